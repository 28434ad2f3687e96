//! What was asked, what came back, and everything that must not be.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;

/// A kind of fault, as the table names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    ForgedAccepted,
    /// A signed-in request was answered as nobody, as somebody else, or not at all.
    NotThemselves,
    HonestFailed,
    /// A 5xx answers what is the client's fault.
    BlamesItself,
    /// Any other answer than the one that is due.
    OtherAnswer,
    ServerPanicked,
    Memory,
    Descriptors,
}

/// Faults that are shown with their words, of each kind.
const SHOWN: usize = 5;

#[derive(Default)]
pub(crate) struct Report {
    /// By kind of request and answer, where 0 is none.
    answers: Mutex<BTreeMap<&'static str, BTreeMap<u16, u64>>>,
    faults: Mutex<BTreeMap<Fault, (u64, Vec<String>)>>,
    pub(crate) honest_begun: AtomicU64,
    pub(crate) honest_completed: AtomicU64,
    /// How often a sign-in was told to come again, since 64 others ran.
    pub(crate) told_to_come_again: AtomicU64,
    idle: Mutex<Vec<Duration>>,
    loaded: Mutex<Vec<Duration>>,
}

impl Report {
    pub(crate) fn fault(&self, kind: Fault, what: impl Into<String>) {
        let mut faults = self.faults.lock().unwrap();
        let (count, shown) = faults.entry(kind).or_default();
        *count += 1;
        if shown.len() < SHOWN {
            shown.push(what.into());
        }
    }

    pub(crate) fn count(&self, kind: &'static str, status: u16) {
        self.count_many(kind, status, 1);
    }

    pub(crate) fn count_many(&self, kind: &'static str, status: u16, times: usize) {
        *self.answers.lock().unwrap().entry(kind).or_default().entry(status).or_default() += times as u64;
    }

    /// Counts an answer, and whether it is one of those that are due. No answer is 0.
    pub(crate) fn expect(&self, kind: &'static str, what: &str, answer: Option<&Response<Bytes>>, due: &[u16]) -> bool {
        let status = answer.map_or(0, |answer| answer.status().as_u16());
        self.count(kind, status);
        let is_due = due.contains(&status);
        if !is_due {
            let fault = if status >= 500 { Fault::BlamesItself } else { Fault::OtherAnswer };
            self.fault(fault, format!("{kind}, {what}: {status} instead of one of {due:?}"));
        }
        is_due
    }

    pub(crate) fn latency(&self, is_idle: bool, took: Duration) {
        let latencies = if is_idle { &self.idle } else { &self.loaded };
        latencies.lock().unwrap().push(took);
    }

    /// Prints the table, and gives whether nothing was wrong.
    pub(crate) fn print(&self, took: Duration, readings: &[Reading], allowed: u64) -> bool {
        println!("duration                     {:>10.1} s", took.as_secs_f64());
        for reading in readings {
            let Reading { name, memory, descriptors } = reading;
            println!("server {name:<20} {:>11.1} MiB {descriptors:>6} descriptors", mebibytes(*memory));
        }
        println!("  growth allowed since warm  {:>11.1} MiB", mebibytes(allowed));
        let (idle, loaded) = (self.idle.lock().unwrap(), self.loaded.lock().unwrap());
        println!("signed-in requests           {:>10} idle, {} under abuse", idle.len(), loaded.len());
        for (name, share) in [("p50", 50), ("p99", 99)] {
            let (idle, loaded) = (percentile(&idle, share), percentile(&loaded, share));
            let ratio = loaded / idle;
            println!(
                "  {name}                        {idle:>10.0} us idle, {loaded:.0} us under abuse, ratio {ratio:.1}"
            );
        }
        let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let (begun, completed, again) =
            (of(&self.honest_begun), of(&self.honest_completed), of(&self.told_to_come_again));
        println!(
            "honest sign-ins              {begun:>10} begun, {completed} completed, told to come again {again} times"
        );
        let faults = self.faults.lock().unwrap();
        let forged = faults.get(&Fault::ForgedAccepted).map_or(0, |(count, _)| *count);
        println!("forged accepted              {forged:>10}");
        println!("{:<28} {:>10}  answers", "requests", "sent");
        for (kind, answers) in &*self.answers.lock().unwrap() {
            let name = |status: &u16| if *status == 0 { "none".to_owned() } else { status.to_string() };
            let each: Vec<_> = answers.iter().map(|(status, count)| format!("{}: {count}", name(status))).collect();
            println!("  {kind:<26} {:>10}  {}", answers.values().sum::<u64>(), each.join(", "));
        }
        for (kind, (count, shown)) in &*faults {
            println!("FAILED: {kind:?}, {count} times");
            for what in shown {
                println!("  {what}");
            }
        }
        faults.is_empty()
    }
}

/// Of the server at rest: every connection of ours is closed.
pub(crate) struct Reading {
    pub(crate) name: &'static str,
    /// In bytes.
    pub(crate) memory: u64,
    pub(crate) descriptors: usize,
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// In microseconds.
fn percentile(latencies: &[Duration], share: usize) -> f64 {
    let mut sorted = latencies.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() * share / 100).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e6)
}
