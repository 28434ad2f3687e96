//! The store in memory, called from threads.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shuttle::future::block_on;
use shuttle::thread;
use tower_signin::{ManualClock, MemoryStore, SessionKey, SessionRecord, SessionStore as _};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::set_global_default;
use tracing::{Event, Level, Metadata, Subscriber};

mod tests {
    crate::in_many_orders! {
        nothing_brings_a_deleted_session_back,
        of_many_that_create_or_update_one_does,
        it_never_holds_more_than_it_may,
        it_warns_once,
    }
}

fn at(second: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1000 + second)
}

fn store(capacity: usize) -> (Arc<MemoryStore>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(at(0)));
    (Arc::new(MemoryStore::with_capacity(capacity).clock(Arc::clone(&clock))), clock)
}

fn key(number: u8) -> SessionKey {
    SessionKey::new([number; 32])
}

fn record(bytes: u8) -> SessionRecord {
    SessionRecord::new([bytes], 0, at(100))
}

/// Runs this with the store on so many threads, and gives what they say.
fn each<T: Send + 'static>(
    store: &Arc<MemoryStore>,
    numbers: impl IntoIterator<Item = u8>,
    step: impl Fn(&MemoryStore, u8) -> T + Copy + Send + 'static,
) -> Vec<T> {
    let run = |number| {
        let store = Arc::clone(store);
        thread::spawn(move || step(&store, number))
    };
    let threads: Vec<_> = numbers.into_iter().map(run).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

async fn nothing_brings_a_deleted_session_back() {
    let (store, _) = store(10);
    assert!(store.create(key(1), record(0)).await.unwrap());
    let next = record(0).successor([1], at(200)).unwrap();
    let (touching, updating) = (Arc::clone(&store), Arc::clone(&store));
    let touching = thread::spawn(move || block_on(touching.touch(key(1), at(300))).unwrap());
    let updating = thread::spawn(move || block_on(updating.update(key(1), next)).unwrap());
    store.delete(key(1)).await.unwrap();
    let between = store.load(key(1)).await.unwrap();
    touching.join().unwrap();
    updating.join().unwrap();
    assert!(between.is_none() && store.load(key(1)).await.unwrap().is_none());
    assert!(!store.touch(key(1), at(300)).await.unwrap());
}

async fn of_many_that_create_or_update_one_does() {
    let (store, _) = store(10);
    let created = each(&store, 1..=3, |store, number| block_on(store.create(key(1), record(number))).unwrap());
    let created: Vec<_> = (1..=3_u8).zip(created).filter(|(_, is_new)| *is_new).map(|(number, _)| number).collect();
    let found = store.load(key(1)).await.unwrap().unwrap();
    assert_eq!(created, found.bytes());
    let update = |store: &MemoryStore, number: u8| {
        let found = block_on(store.load(key(1))).unwrap().unwrap();
        let is_updated = block_on(store.update(key(1), found.successor([number], at(100)).unwrap())).unwrap();
        (number, found.generation(), is_updated)
    };
    let mut updated = each(&store, 4..=6, update);
    updated.retain(|(_, _, is_updated)| *is_updated);
    let mut before: Vec<_> = updated.iter().map(|(_, generation, _)| *generation).collect();
    before.sort_unstable();
    assert_eq!(before, (0..before.len() as u64).collect::<Vec<_>>(), "each generation has one successor");
    let last = updated.iter().max_by_key(|(_, generation, _)| *generation).unwrap();
    assert_eq!(store.load(key(1)).await.unwrap().unwrap().bytes(), [last.0]);
}

async fn it_never_holds_more_than_it_may() {
    let (store, clock) = store(2);
    let held =
        |store: &MemoryStore| (1..=4).filter(|number| block_on(store.load(key(*number))).unwrap().is_some()).count();
    let created = each(&store, 1..=4, move |store, number| {
        assert!(block_on(store.create(key(number), record(number))).unwrap(), "nobody is kept out");
        if number == 1 {
            block_on(store.delete(key(1))).unwrap();
        }
    });
    assert!(created.len() == 4 && held(&store) <= 2);
    assert!(store.load(key(1)).await.unwrap().is_none());
    clock.set(at(100));
    assert_eq!(held(&store), 0);
}

/// It is full, and many sign in.
async fn it_warns_once() {
    let (store, clock) = store(1);
    // Only once in this process.
    let _ = set_global_default(Warnings);
    let before = WARNINGS.get();
    for round in 0..2 {
        clock.set(at(60 * round));
        let new = 10 * u8::try_from(round).unwrap();
        each(&store, new..new + 4, |store, number| {
            block_on(store.create(key(number), SessionRecord::new([], 0, at(600)))).unwrap()
        });
        assert_eq!(WARNINGS.get() - before, round + 1);
    }
}

thread_local! {
    /// Shuttle runs all threads of one test on one thread of the system.
    static WARNINGS: Cell<u64> = const { Cell::new(0) };
}

/// Counts what the store warns of.
struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN && metadata.target() == "tower_signin::session::memory"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        WARNINGS.set(WARNINGS.get() + 1);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
