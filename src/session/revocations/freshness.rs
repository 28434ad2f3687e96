//! How old the copy is: by this machine's steady clock, which nobody sets, and by the one that is injected, which goes on while
//! the machine sleeps. The longer of the two counts.

use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

use crate::clock::Clock;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Tells it without a lock.
pub(super) struct Freshness {
    started: Instant,
    /// Milliseconds since then at which the copy was begun to be read, counted from 1.
    steady: AtomicU64,
    /// Milliseconds since 1970, likewise.
    clock: AtomicU64,
}

/// One moment by both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) steady: u64,
    clock: u64,
}

impl Default for Freshness {
    fn default() -> Self {
        Self { started: Instant::now(), steady: AtomicU64::new(0), clock: AtomicU64::new(0) }
    }
}

impl Freshness {
    pub(super) fn now(&self, clock: &dyn Clock) -> Moment {
        let steady = Instant::now().saturating_duration_since(self.started);
        let since_1970 = clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { steady: milliseconds(steady).saturating_add(1), clock: milliseconds(since_1970) }
    }

    /// The copy is as the list was at this moment, or later.
    pub(super) fn set(&self, began: Moment) {
        self.steady.store(began.steady, Ordering::Release);
        self.clock.store(began.clock, Ordering::Release);
    }

    /// `None` where there is no copy, or where nobody can tell because the clock was set back.
    pub(super) fn age(&self, clock: &dyn Clock) -> Option<Duration> {
        let steady = Some(self.steady.load(Ordering::Acquire)).filter(|steady| *steady > 0)?;
        let read_at = self.clock.load(Ordering::Acquire);
        let now = self.now(clock);
        let by_clock = now.clock.checked_sub(read_at)?;
        Some(Duration::from_millis(by_clock.max(now.steady.saturating_sub(steady))))
    }

    /// Whether the copy is no older than this was at that moment.
    pub(super) fn is_within(&self, bound: Duration, of: Moment) -> bool {
        let (steady, read_at) = (self.steady.load(Ordering::Acquire), self.clock.load(Ordering::Acquire));
        let age = of.steady.saturating_sub(steady).max(of.clock.saturating_sub(read_at));
        steady > 0 && age < milliseconds(bound)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
