//! The store in memory: the suite, and what it costs.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_signin::conformance::{self, Fixture};
use tower_signin::{
    BoxFuture, ManualClock, MemoryStore, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError,
    StoreErrorKind, store_conformance,
};

async fn fixture() -> Fixture {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
    let store = MemoryStore::new().clock(Arc::clone(&clock));
    Fixture::on_manual_clock(store, &clock)
}

store_conformance!(fixture);

/// The rules hold for a store of any size, so long as it is not full.
mod small {
    use super::*;

    async fn fixture() -> Fixture {
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        let store = MemoryStore::with_capacity(257).clock(Arc::clone(&clock));
        Fixture::on_manual_clock(store, &clock)
    }

    store_conformance!(fixture);
}

/// A database that is down.
struct Down;

impl Down {
    fn answer<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
        Box::pin(async { Err(StoreError::new(StoreErrorKind::Unreachable)) })
    }
}

impl SessionStore for Down {
    fn create(&self, _: SessionKey, _: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Self::answer()
    }

    fn load(&self, _: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Self::answer()
    }

    fn update(&self, _: SessionKey, _: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Self::answer()
    }

    fn touch(&self, _: SessionKey, _: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        Self::answer()
    }

    fn delete(&self, _: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::answer()
    }

    fn join(&self, _: SessionGroup, _: SessionKey, _: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::answer()
    }

    fn leave(&self, _: SessionGroup, _: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Self::answer()
    }

    fn members(&self, _: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        Self::answer()
    }
}

#[tokio::test]
async fn a_store_out_of_reach_is_an_error() {
    conformance::a_store_out_of_reach_is_an_error(&Down).await;
    conformance::a_store_out_of_reach_is_an_error(&Arc::new(Down) as &dyn SessionStore).await;
}

#[test]
fn a_load_allocates_its_future_alone() {
    let store = MemoryStore::new();
    let hour = SystemTime::now() + Duration::from_secs(3600);
    let _ = at_once(store.create(key(1), SessionRecord::new(vec![1; 300], 0, hour)));
    for (name, key, found) in [("there", key(1), true), ("not there", key(2), false)] {
        let counted = allocation_counter::measure(|| {
            assert_eq!(at_once(store.load(key)).unwrap().is_some(), found, "{name}");
        });
        assert!(counted.count_total <= 1 && counted.bytes_total <= 100, "{name}: {counted:?}");
    }
}

#[test]
fn a_session_of_300_bytes_takes_at_most_500() {
    const SESSIONS: u32 = 100_000;
    let hour = SystemTime::now() + Duration::from_secs(3600);
    let mut kept = None;
    let counted = allocation_counter::measure(|| {
        let store = MemoryStore::new();
        for number in 0..SESSIONS {
            assert!(at_once(store.create(key(number), SessionRecord::new(vec![1; 300], 0, hour))).unwrap());
        }
        kept = Some(store);
    });
    let each = counted.bytes_current / i64::from(SESSIONS);
    assert!(each <= 500, "{each} bytes");
    // Many more come and go: nothing grows.
    let Some(store) = kept else { return };
    let counted = allocation_counter::measure(|| {
        for number in 0..SESSIONS {
            assert!(at_once(store.create(key(SESSIONS + number), SessionRecord::new(vec![1; 300], 0, hour))).unwrap());
        }
    });
    let more = counted.bytes_current / i64::from(SESSIONS);
    assert!(more <= 10, "{more} bytes more");
}

fn key(number: u32) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    SessionKey::new(bytes)
}

/// The answer of a store that never waits.
fn at_once<T>(mut answer: BoxFuture<'_, T>) -> T {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}
