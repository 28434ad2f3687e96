//! What is logged, to be looked at.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use tracing_subscriber::fmt::format::FmtSpan;

/// What this thread has logged, at every level. One subscriber serves all threads: what is first logged on a thread without
/// one would be taken for unwanted everywhere.
pub struct Log;

thread_local! {
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Log {
    /// Begins anew.
    pub fn start() {
        Self::start_with(FmtSpan::NONE);
    }

    /// The same in a program that wants to see spans come and go.
    pub fn start_with(events: FmtSpan) {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
            subscriber.with_span_events(events).with_writer(|| Self).init();
            tracing::callsite::rebuild_interest_cache();
        });
        LOG.take();
    }

    pub fn text() -> String {
        LOG.with_borrow(Clone::clone)
    }

    /// The first line with `part` in it, or nothing.
    pub fn line(part: &str) -> String {
        Self::text().lines().find(|line| line.contains(part)).unwrap_or_default().to_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| log.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
