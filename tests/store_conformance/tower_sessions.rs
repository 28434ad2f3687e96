//! The stores of tower-sessions: the suite, and what happens where theirs is slow, wrong or shared.

mod theirs;

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_signin::conformance::{self, Fixture};
use tower_signin::{
    ManualClock, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreErrorKind, TowerSessionsStore,
    store_conformance,
};

use self::theirs::{Fault, Theirs};

/// Their store filters by the system's clock, so that ours must not be behind it.
async fn fixture() -> Fixture {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let store = TowerSessionsStore::new(tower_sessions_memory_store::MemoryStore::default());
    Fixture::on_manual_clock(store.clock(Arc::clone(&clock)), &clock)
}

store_conformance!(fixture);

/// The same with a store that lets others go first in each of its steps: what is not one step here shows.
mod later {
    use super::*;

    async fn fixture() -> Fixture {
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        let store = TowerSessionsStore::new(Theirs::new(Fault::Later));
        Fixture::on_manual_clock(store.clock(Arc::clone(&clock)), &clock)
    }

    store_conformance!(fixture);
}

const KEY: SessionKey = SessionKey::new([7; 32]);
const GROUP: SessionGroup = SessionGroup::new([7; 32]);

fn hour() -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UNIX_EPOCH + Duration::from_secs(now + 3600)
}

fn record(text: &str) -> SessionRecord {
    SessionRecord::new(text.as_bytes(), 0, hour())
}

#[tokio::test]
async fn a_store_out_of_reach_is_an_error() {
    conformance::a_store_out_of_reach_is_an_error(&TowerSessionsStore::new(Theirs::new(Fault::Down))).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_answers_is_out_of_reach_after_five_seconds() {
    let theirs = Theirs::new(Fault::Hangs);
    let store = TowerSessionsStore::new(theirs.clone());
    let started = tokio::time::Instant::now();
    let error = store.update(KEY, record("late")).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed()), (StoreErrorKind::Unreachable, Duration::from_secs(5)));
    assert!(error.source().unwrap().to_string().contains("five seconds"));
    assert_eq!(store.load(KEY).await.unwrap_err().kind(), StoreErrorKind::Unreachable);
    theirs.set(Fault::None);
    assert!(store.create(KEY, record("now")).await.unwrap(), "others have their turn again");
}

#[tokio::test]
async fn one_that_panics_fails() {
    let theirs = Theirs::new(Fault::Panics);
    let store = TowerSessionsStore::new(theirs.clone());
    assert_eq!(store.touch(KEY, hour()).await.unwrap_err().kind(), StoreErrorKind::Failed);
    theirs.set(Fault::None);
    assert!(store.create(KEY, record("now")).await.unwrap(), "others have their turn again");
}

#[tokio::test]
async fn what_is_none_of_ours_is_no_session_and_no_member() {
    let theirs = Theirs::new(Fault::None);
    let store = TowerSessionsStore::new(theirs.clone());
    assert!(store.create(KEY, record("alice")).await.unwrap());
    store.join(GROUP, KEY, hour()).await.unwrap();
    theirs.falsify();
    for (name, error) in [
        ("load", store.load(KEY).await.err()),
        ("create", store.create(KEY, record("bob")).await.err()),
        ("update", store.update(KEY, record("bob")).await.err()),
        ("touch", store.touch(KEY, hour()).await.err()),
        ("join", store.join(GROUP, KEY, hour()).await.err()),
        ("leave", store.leave(GROUP, KEY).await.err()),
        ("members", store.members(GROUP).await.err()),
    ] {
        assert_eq!(error.map(|error| error.kind()), Some(StoreErrorKind::Failed), "{name}");
    }
    store.delete(KEY).await.unwrap();
    assert!(store.create(KEY, record("bob")).await.unwrap(), "a delete mends it");
}

/// Browsers go away. Half a step would be an update that others may overtake, or a record that nobody finds.
#[tokio::test]
async fn a_step_that_has_begun_is_carried_through() {
    let theirs = Theirs::new(Fault::None);
    let store = Arc::new(TowerSessionsStore::new(theirs.clone()));
    let first = record("first");
    assert!(store.create(KEY, first.clone()).await.unwrap());

    theirs.set(Fault::Held);
    let second = first.successor(*b"second", hour()).unwrap();
    let update = tokio::spawn({
        let (store, second) = (Arc::clone(&store), second.clone());
        async move { store.update(KEY, second).await }
    });
    theirs.has_begun().await;
    update.abort();
    assert!(update.await.unwrap_err().is_cancelled());

    let delete = tokio::spawn(async move { store.delete(KEY).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!((theirs.held(), theirs.rows()), (1, 1), "the next step waits for its turn");
    theirs.set(Fault::None);
    theirs.release();
    delete.await.unwrap().unwrap();
    assert_eq!((theirs.saves(), theirs.rows()), (1, 0), "first the update, then the delete");
}

/// Their stores keep rows that are over until somebody clears them away, and show them to nobody.
#[tokio::test]
async fn a_row_that_is_over_takes_no_key() {
    let past = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let theirs = Theirs::new(Fault::None);
    // Long ago by their clock, an hour ahead by ours.
    let store = TowerSessionsStore::new(theirs.clone()).clock(ManualClock::new(past));
    let first = SessionRecord::new(*b"first", 0, past + Duration::from_secs(3600));
    assert!(store.create(KEY, first).await.unwrap());
    assert_eq!(theirs.rows(), 1);

    let store = TowerSessionsStore::new(theirs.clone());
    let second = record("second");
    assert!(store.create(KEY, second.clone()).await.unwrap());
    assert_eq!(store.load(KEY).await.unwrap(), Some(second));
    assert_eq!(theirs.rows(), 1, "nothing is left of what theirs made under another id");
}

/// It is between the look and the step that another process creates the record: theirs evades to another id.
#[tokio::test]
async fn who_creates_after_another_process_is_told_and_leaves_nothing() {
    let theirs = Theirs::new(Fault::None);
    let (one, other) = (TowerSessionsStore::new(theirs.clone()), TowerSessionsStore::new(theirs.clone()));
    let first = record("first");
    theirs.set(Fault::Held);
    let ours = tokio::spawn(async move { one.create(KEY, record("second")).await });
    theirs.has_begun().await;
    theirs.set(Fault::None);
    assert!(other.create(KEY, first.clone()).await.unwrap());
    theirs.release();
    assert!(!ours.await.unwrap().unwrap());
    assert_eq!(other.load(KEY).await.unwrap(), Some(first));
    assert_eq!(theirs.rows(), 1);
}

#[tokio::test]
async fn what_is_over_is_not_kept_in_a_group() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let theirs = Theirs::new(Fault::None);
    let store = TowerSessionsStore::new(theirs.clone()).clock(Arc::clone(&clock));
    for number in 0..100 {
        store.join(GROUP, SessionKey::new([number; 32]), hour()).await.unwrap();
    }
    let large = theirs.bytes();
    clock.advance(Duration::from_secs(3601));
    store.join(GROUP, KEY, hour() + Duration::from_secs(3601)).await.unwrap();
    assert!(theirs.bytes() * 50 < large, "{} of {large}", theirs.bytes());
    store.leave(GROUP, KEY).await.unwrap();
    assert_eq!(theirs.rows(), 0, "nor a group without members");
}

/// Some databases refuse what is over.
#[tokio::test]
async fn what_is_over_is_not_written() {
    let theirs = Theirs::new(Fault::None);
    let store = TowerSessionsStore::new(theirs.clone());
    let over = SessionRecord::new(*b"over", 0, UNIX_EPOCH);
    assert!(store.create(KEY, over).await.unwrap());
    assert_eq!(theirs.rows(), 0);
    let first = record("first");
    assert!(store.create(KEY, first.clone()).await.unwrap());
    assert!(store.update(KEY, first.successor(*b"over", UNIX_EPOCH).unwrap()).await.unwrap());
    assert_eq!((theirs.rows(), theirs.saves()), (0, 0));
}

#[tokio::test]
async fn what_moves_nothing_writes_nothing() {
    let theirs = Theirs::new(Fault::None);
    let store = TowerSessionsStore::new(theirs.clone());
    assert!(store.create(KEY, record("alice")).await.unwrap());
    store.join(GROUP, KEY, hour()).await.unwrap();
    let before = theirs.saves();
    assert!(store.touch(KEY, UNIX_EPOCH).await.unwrap());
    store.join(GROUP, KEY, UNIX_EPOCH).await.unwrap();
    store.leave(GROUP, SessionKey::new([8; 32])).await.unwrap();
    assert_eq!(theirs.saves(), before);
}

/// By a minute: their clock may be ahead of ours, and would hide what is not over yet.
#[tokio::test]
async fn their_end_is_later_than_ours() {
    let theirs = Theirs::new(Fault::None);
    let ends = SystemTime::now() + Duration::from_secs(10);
    let store = TowerSessionsStore::new(theirs.clone());
    assert!(store.create(KEY, SessionRecord::new(*b"short", 0, ends)).await.unwrap());
    let theirs = theirs.expiry().duration_since(ends).unwrap().as_secs_f64();
    assert!((59.0..=60.0).contains(&theirs), "{theirs}");
}

#[test]
fn debug_shows_nothing_of_their_store() {
    let shown = format!("{:?}", TowerSessionsStore::new(Theirs::new(Fault::None)));
    assert_eq!(shown, "TowerSessionsStore { .. }");
}
