//! What every session store must do, one test for each rule of `SessionStore`'s documentation.
//!
//! `store_conformance!(fixture)` makes the tests; `fixture` is a function that gives a [`Fixture`] with an empty store, or
//! one in which nobody else uses the same keys.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tower_signin::{BoxFuture, Clock, ManualClock, SessionKey, SessionRecord, SessionStore};

/// A store, and the time as it sees it.
pub struct Fixture {
    pub store: Arc<dyn SessionStore>,
    pub now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// Lets time go by.
    pub pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Sets the clock back, where that can be done.
    pub step_back: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    /// What counts as some time: a whole number of seconds, as few as the store can tell apart where time must be waited
    /// for.
    pub tick: Duration,
}

impl Fixture {
    pub fn on_manual_clock(store: Arc<dyn SessionStore>, clock: &Arc<ManualClock>) -> Self {
        let (shown, passing, stepping) = (Arc::clone(clock), Arc::clone(clock), Arc::clone(clock));
        Self {
            store,
            now: Box::new(move || shown.now()),
            pass: Box::new(move |time| {
                passing.advance(time);
                Box::pin(async {})
            }),
            step_back: Some(Box::new(move |time| stepping.set(stepping.now() - time))),
            tick: Duration::from_secs(60),
        }
    }

    /// So many ticks from now, in whole seconds.
    fn after(&self, ticks: u32) -> SystemTime {
        let now = (self.now)().duration_since(UNIX_EPOCH).unwrap().as_secs();
        UNIX_EPOCH + Duration::from_secs(now) + self.tick * ticks
    }

    async fn pass(&self, ticks: u32) {
        (self.pass)(self.tick * ticks).await;
    }

    fn record(&self, text: &str) -> SessionRecord {
        SessionRecord::new(text.as_bytes(), 0, self.after(1000))
    }

    async fn create(&self, key: SessionKey, record: &SessionRecord) -> bool {
        self.store.create(key, record.clone()).await.expect("create")
    }

    async fn load(&self, key: SessionKey) -> Option<SessionRecord> {
        self.store.load(key).await.expect("load")
    }

    async fn update(&self, key: SessionKey, record: &SessionRecord) -> bool {
        self.store.update(key, record.clone()).await.expect("update")
    }

    async fn touch(&self, key: SessionKey, expires_at: SystemTime) -> bool {
        self.store.touch(key, expires_at).await.expect("touch")
    }

    async fn delete(&self, key: SessionKey) {
        self.store.delete(key).await.expect("delete");
    }
}

fn key(number: u8) -> SessionKey {
    let mut bytes = [0xc4; 32];
    bytes[31] = number;
    SessionKey::new(bytes)
}

fn next(record: &SessionRecord, text: &str) -> SessionRecord {
    record.successor(text.as_bytes(), record.expires_at()).expect("generations are left")
}

/// Runs so many tasks at the same time, and gives what they gave.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    tasks: u8,
    task: impl Fn(u8) -> F,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(tasks.into()));
    let mut running = JoinSet::new();
    for number in 0..tasks {
        let (start, task) = (Arc::clone(&start), task(number));
        running.spawn(async move {
            start.wait().await;
            task.await
        });
    }
    running.join_all().await
}

pub async fn what_is_created_is_loaded_as_it_was(fixture: Fixture) {
    assert_eq!(fixture.load(key(1)).await, None);
    let record = fixture.record("alice");
    assert!(fixture.create(key(1), &record).await);
    assert_eq!(fixture.load(key(1)).await, Some(record.clone()));
    assert_eq!(fixture.load(key(1)).await, Some(record), "a load takes nothing away");
}

pub async fn an_id_that_is_taken_is_refused(fixture: Fixture) {
    let (first, second) = (fixture.record("first"), fixture.record("second"));
    assert!(fixture.create(key(1), &first).await);
    assert!(!fixture.create(key(1), &second).await);
    assert!(!fixture.create(key(1), &next(&first, "another generation")).await);
    assert_eq!(fixture.load(key(1)).await, Some(first));
    fixture.delete(key(1)).await;
    assert!(fixture.create(key(1), &second).await, "free again");
    assert_eq!(fixture.load(key(1)).await, Some(second));
}

pub async fn an_id_whose_session_is_over_is_free(fixture: Fixture) {
    let first = SessionRecord::new(*b"first", 7, fixture.after(1));
    assert!(fixture.create(key(1), &first).await);
    fixture.pass(2).await;
    let second = fixture.record("second");
    assert!(fixture.create(key(1), &second).await);
    assert_eq!(fixture.load(key(1)).await, Some(second), "nothing is left of the first");
}

pub async fn a_session_is_over_from_its_end_on(fixture: Fixture) {
    assert!(fixture.create(key(1), &SessionRecord::new(*b"short", 0, fixture.after(2))).await);
    let long = fixture.record("long");
    assert!(fixture.create(key(2), &long).await);
    fixture.pass(1).await;
    assert!(fixture.load(key(1)).await.is_some());
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None, "at the very end");
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None);
    assert_eq!(fixture.load(key(2)).await, Some(long));
}

pub async fn what_is_over_from_the_start_is_taken_and_is_none(fixture: Fixture) {
    for (number, end) in [(1, UNIX_EPOCH), (2, UNIX_EPOCH + Duration::from_secs(1)), (3, fixture.after(0))] {
        let over = SessionRecord::new(*b"over", 0, end);
        assert!(fixture.create(key(number), &over).await, "{number}");
        assert_eq!(fixture.load(key(number)).await, None, "{number}");
        assert!(!fixture.update(key(number), &next(&fixture.record(""), "next")).await, "{number}");
        assert!(!fixture.touch(key(number), fixture.after(5)).await, "{number}");
        assert!(fixture.create(key(number), &fixture.record("new")).await, "{number}");
        assert!(fixture.load(key(number)).await.is_some(), "{number}");
    }
}

pub async fn an_update_needs_the_generation_before(fixture: Fixture) {
    let first = fixture.record("first");
    assert!(!fixture.update(key(1), &next(&first, "nobody")).await);
    assert_eq!(fixture.load(key(1)).await, None, "an update creates nothing");
    assert!(fixture.create(key(1), &first).await);
    let second = first.successor(*b"second", fixture.after(20)).unwrap();
    assert!(fixture.update(key(1), &second).await);
    assert_eq!(fixture.load(key(1)).await, Some(second.clone()), "bytes, generation and end, which may be earlier");

    let end = fixture.after(2000);
    for generation in [0, 1, 3, 4, u64::MAX] {
        assert!(!fixture.update(key(1), &SessionRecord::new(*b"other", generation, end)).await, "{generation}");
    }
    assert_eq!(fixture.load(key(1)).await, Some(second.clone()));
    let third = next(&second, "third");
    assert!(fixture.update(key(1), &third).await);
    assert_eq!(fixture.load(key(1)).await, Some(third));
}

pub async fn an_update_brings_nothing_back(fixture: Fixture) {
    let first = SessionRecord::new(*b"first", 0, fixture.after(1));
    let second = first.successor(*b"second", fixture.after(100)).unwrap();
    for number in [1, 2] {
        assert!(fixture.create(key(number), &first).await);
    }
    fixture.delete(key(1)).await;
    fixture.pass(1).await;
    for (number, gone) in [(1, "deleted"), (2, "over")] {
        assert!(!fixture.update(key(number), &second).await, "{gone}");
        assert_eq!(fixture.load(key(number)).await, None, "{gone}");
    }
}

pub async fn an_update_to_an_end_that_has_been_ends_the_session(fixture: Fixture) {
    let first = fixture.record("first");
    assert!(fixture.create(key(1), &first).await);
    assert!(fixture.update(key(1), &first.successor(*b"over", fixture.after(0)).unwrap()).await);
    assert_eq!(fixture.load(key(1)).await, None);
}

/// Floating-point numbers, as scripts of databases compute with, tell no neighbours apart beyond 2^53; signed ones end
/// at 2^63.
pub async fn generations_are_exact_to_the_last(fixture: Fixture) {
    let end = fixture.after(1000);
    let bounds = [1_u64 << 32, 1 << 53, 1 << 63, u64::MAX - 1];
    for (number, first) in (1..).zip(bounds) {
        let record = |generation: u64| SessionRecord::new(generation.to_be_bytes(), generation, end);
        assert!(fixture.create(key(number), &record(first)).await, "{first}");
        assert!(!fixture.update(key(number), &record(first)).await, "{first}: the same");
        assert!(fixture.update(key(number), &record(first + 1)).await, "{first}: the next");
        assert_eq!(fixture.load(key(number)).await, Some(record(first + 1)), "{first}");
        for other in [0, first - 1, first, first + 1] {
            assert!(!fixture.update(key(number), &record(other)).await, "{first}: {other}");
        }
        assert_eq!(fixture.load(key(number)).await, Some(record(first + 1)), "{first}");
    }
    let last = fixture.load(key(4)).await.unwrap();
    assert_eq!(last.generation(), u64::MAX);
    assert_eq!(last.successor(*b"", end), None, "there is no generation behind the last, and it does not begin anew");
}

pub async fn a_touch_moves_the_end_later_and_nothing_else(fixture: Fixture) {
    let first = SessionRecord::new(*b"alice", 5, fixture.after(2));
    assert!(fixture.create(key(1), &first).await);
    let later = fixture.after(4);
    assert!(fixture.touch(key(1), later).await);
    assert_eq!(fixture.load(key(1)).await, Some(SessionRecord::new(*b"alice", 5, later)));
    for (name, earlier) in [("earlier", fixture.after(3)), ("the same", later), ("long ago", UNIX_EPOCH)] {
        assert!(fixture.touch(key(1), earlier).await, "{name}");
        assert_eq!(fixture.load(key(1)).await.map(|record| record.expires_at()), Some(later), "{name}");
    }
    fixture.pass(3).await;
    assert!(fixture.load(key(1)).await.is_some(), "beyond the end it had at first");
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None);
}

pub async fn a_touch_brings_nothing_back(fixture: Fixture) {
    let record = SessionRecord::new(*b"alice", 0, fixture.after(1));
    for number in [1, 2] {
        assert!(fixture.create(key(number), &record).await);
    }
    fixture.delete(key(1)).await;
    fixture.pass(1).await;
    for (number, gone) in [(1, "deleted"), (2, "over"), (3, "never there")] {
        assert!(!fixture.touch(key(number), fixture.after(100)).await, "{gone}");
        assert_eq!(fixture.load(key(number)).await, None, "{gone}");
    }
}

pub async fn a_touch_and_an_update_both_hold(fixture: Fixture) {
    let first = fixture.record("first");
    assert!(fixture.create(key(1), &first).await);
    let later = fixture.after(2000);
    assert!(fixture.touch(key(1), later).await);
    let second = next(&first, "second");
    assert!(fixture.update(key(1), &second).await, "a touch is no new generation");
    assert!(fixture.touch(key(1), later).await);
    let expected = SessionRecord::new(second.bytes(), 1, later);
    assert_eq!(fixture.load(key(1)).await, Some(expected));
}

pub async fn a_delete_may_come_twice(fixture: Fixture) {
    let (one, other) = (fixture.record("one"), fixture.record("other"));
    assert!(fixture.create(key(1), &one).await);
    assert!(fixture.create(key(2), &other).await);
    for _ in 0..2 {
        fixture.delete(key(1)).await;
        assert_eq!(fixture.load(key(1)).await, None);
    }
    fixture.delete(key(3)).await;
    assert_eq!(fixture.load(key(2)).await, Some(other));
}

pub async fn keys_differ_in_every_bit(fixture: Fixture) {
    let zero = SessionKey::new([0; 32]);
    assert!(fixture.create(zero, &fixture.record("zero")).await);
    let keys: Vec<_> = (0..256_usize)
        .map(|bit| {
            let mut bytes = [0; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            SessionKey::new(bytes)
        })
        .collect();
    for (bit, key) in keys.iter().enumerate() {
        assert!(fixture.create(*key, &fixture.record(&bit.to_string())).await, "bit {bit}");
    }
    fixture.delete(zero).await;
    for (bit, key) in keys.iter().enumerate() {
        let loaded = fixture.load(*key).await.map(|record| record.bytes().to_vec());
        assert_eq!(loaded, Some(bit.to_string().into_bytes()), "bit {bit}");
    }
}

pub async fn any_bytes_are_kept_as_they_are(fixture: Fixture) {
    let every: Vec<u8> = (0..=255).collect();
    let cases = [
        ("none", vec![]),
        ("every byte", every.clone()),
        ("no UTF-8", vec![0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
        ("zeros", vec![0; 300]),
        ("line ends and quotes", b"\r\n\"'\\\n\0\r\n".to_vec()),
        ("256 KiB", every.repeat(1024)),
    ];
    for (number, (name, bytes)) in (1..).zip(cases) {
        let record = SessionRecord::new(bytes.clone(), 0, fixture.after(1000));
        assert!(fixture.create(key(number), &record).await, "{name}");
        assert!(fixture.load(key(number)).await.as_ref() == Some(&record), "{name}");
        let turned: Vec<u8> = bytes.into_iter().rev().collect();
        let turned = record.successor(turned, record.expires_at()).unwrap();
        assert!(fixture.update(key(number), &turned).await, "{name}");
        assert!(fixture.touch(key(number), fixture.after(1)).await, "{name}");
        assert!(fixture.load(key(number)).await == Some(turned), "{name}");
    }
}

pub async fn a_far_end_is_an_end(fixture: Fixture) {
    // The longest session lasts 400 days; a store may count in 32 bits nowhere.
    for (number, days) in [(1, 400), (2, 36_500)] {
        let end = fixture.after(0) + Duration::from_secs(days * 24 * 60 * 60);
        assert!(fixture.create(key(number), &SessionRecord::new(*b"long", 0, end)).await, "{days} days");
        assert_eq!(fixture.load(key(number)).await.map(|record| record.expires_at()), Some(end), "{days} days");
        let later = end + Duration::from_secs(1);
        assert!(fixture.touch(key(number), later).await, "{days} days");
        assert_eq!(fixture.load(key(number)).await.map(|record| record.expires_at()), Some(later), "{days} days");
    }
}

pub async fn a_clock_that_steps_back_ends_nothing(fixture: Fixture) {
    let Some(step_back) = &fixture.step_back else { return };
    let first = SessionRecord::new(*b"first", 0, fixture.after(10));
    assert!(fixture.create(key(1), &first).await);
    fixture.pass(5).await;
    step_back(fixture.tick * 20);
    assert_eq!(fixture.load(key(1)).await, Some(first.clone()), "before it was made");
    assert!(!fixture.create(key(1), &fixture.record("other")).await);
    assert!(fixture.touch(key(1), fixture.after(20)).await);
    assert_eq!(fixture.load(key(1)).await, Some(first.clone()), "an end reckoned by such a clock is earlier");
    let second = next(&first, "second");
    assert!(fixture.update(key(1), &second).await);
    fixture.pass(24).await;
    assert_eq!(fixture.load(key(1)).await, Some(second));
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None);
}

pub async fn of_many_who_create_one_wins(fixture: Fixture) {
    for round in 0..20 {
        let created = at_once(16, |task| {
            let (store, record) = (Arc::clone(&fixture.store), fixture.record(&task.to_string()));
            async move { store.create(key(round), record).await.unwrap().then_some(task) }
        })
        .await;
        let winners: Vec<_> = created.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let loaded = fixture.load(key(round)).await.unwrap();
        assert_eq!(loaded.bytes(), winners[0].to_string().as_bytes(), "round {round}");
    }
}

pub async fn of_many_who_update_one_wins(fixture: Fixture) {
    let mut current = fixture.record("first");
    assert!(fixture.create(key(1), &current).await);
    for round in 0..20 {
        let updated = at_once(16, |task| {
            let (store, next) = (Arc::clone(&fixture.store), next(&current, &format!("{round} {task}")));
            async move { store.update(key(1), next.clone()).await.unwrap().then_some(next) }
        })
        .await;
        let mut winners: Vec<_> = updated.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}");
        current = winners.remove(0);
        assert_eq!(fixture.load(key(1)).await.as_ref(), Some(&current), "round {round}");
    }
}

/// Whoever loses loads and tries again; then every step of every task counts.
pub async fn no_update_is_lost(fixture: Fixture) {
    assert!(fixture.create(key(1), &SessionRecord::new([0], 0, fixture.after(1000))).await);
    at_once(8, |_| {
        let store = Arc::clone(&fixture.store);
        async move {
            for _ in 0..10 {
                loop {
                    let record = store.load(key(1)).await.unwrap().unwrap();
                    let next = record.successor([record.bytes()[0] + 1], record.expires_at()).unwrap();
                    tokio::task::yield_now().await;
                    if store.update(key(1), next).await.unwrap() {
                        break;
                    }
                }
            }
        }
    })
    .await;
    let record = fixture.load(key(1)).await.unwrap();
    assert_eq!((record.bytes(), record.generation()), (&[80][..], 80));
}

pub async fn what_is_deleted_meanwhile_stays_so(fixture: Fixture) {
    for round in 0..50 {
        let first = fixture.record("first");
        assert!(fixture.create(key(round), &first).await);
        let (second, later) = (next(&first, "second"), fixture.after(2000));
        at_once(8, |task| {
            let (store, second) = (Arc::clone(&fixture.store), second.clone());
            async move {
                match task {
                    0 => store.delete(key(round)).await.unwrap(),
                    1 => drop(store.update(key(round), second).await.unwrap()),
                    2 => drop(store.load(key(round)).await.unwrap()),
                    _ => drop(store.touch(key(round), later).await.unwrap()),
                }
            }
        })
        .await;
        assert_eq!(fixture.load(key(round)).await, None, "round {round}");
    }
}

/// A touch that loads and saves the whole record would write an old one over a new one.
pub async fn a_touch_meanwhile_undoes_no_update(fixture: Fixture) {
    for round in 0..50 {
        let first = fixture.record("first");
        assert!(fixture.create(key(round), &first).await);
        let second = next(&first, "second");
        let done = at_once(8, |task| {
            let (store, second) = (Arc::clone(&fixture.store), second.clone());
            let later = fixture.after(2000 + u32::from(task));
            async move {
                match task {
                    0 => store.update(key(round), second).await.unwrap(),
                    _ => store.touch(key(round), later).await.unwrap(),
                }
            }
        })
        .await;
        assert_eq!(done, [true; 8], "round {round}");
        let loaded = fixture.load(key(round)).await.unwrap();
        assert_eq!((loaded.bytes(), loaded.generation()), (second.bytes(), 1), "round {round}");
        assert!(loaded.expires_at() >= second.expires_at(), "round {round}");
    }
}

pub async fn of_many_touches_the_latest_holds(fixture: Fixture) {
    for round in 0..20 {
        assert!(fixture.create(key(round), &fixture.record("alice")).await);
        let start = fixture.after(2000);
        at_once(16, |task| {
            let (store, end) = (Arc::clone(&fixture.store), start + Duration::from_secs(u64::from(task) * 7 % 16));
            async move { assert!(store.touch(key(round), end).await.unwrap()) }
        })
        .await;
        let end = fixture.load(key(round)).await.unwrap().expires_at();
        assert_eq!(end, start + Duration::from_secs(15), "round {round}");
    }
}

/// For a store whose database can't be reached: nobody is told that there is no session.
pub async fn a_store_out_of_reach_is_an_error(store: &dyn SessionStore) {
    let end = SystemTime::now() + Duration::from_secs(3600);
    let record = SessionRecord::new(*b"alice", 1, end);
    let errors = [
        ("create", store.create(key(1), record.clone()).await.err()),
        ("load", store.load(key(1)).await.err()),
        ("update", store.update(key(1), record).await.err()),
        ("touch", store.touch(key(1), end).await.err()),
        ("delete", store.delete(key(1)).await.err()),
    ];
    for (method, error) in errors {
        assert_eq!(error.map(|error| error.kind()), Some(tower_signin::StoreErrorKind::Unreachable), "{method}");
    }
}

macro_rules! store_conformance {
    ($fixture:path) => {
        store_conformance! { $fixture:
            what_is_created_is_loaded_as_it_was
            an_id_that_is_taken_is_refused
            an_id_whose_session_is_over_is_free
            a_session_is_over_from_its_end_on
            what_is_over_from_the_start_is_taken_and_is_none
            an_update_needs_the_generation_before
            an_update_brings_nothing_back
            an_update_to_an_end_that_has_been_ends_the_session
            generations_are_exact_to_the_last
            a_touch_moves_the_end_later_and_nothing_else
            a_touch_brings_nothing_back
            a_touch_and_an_update_both_hold
            a_delete_may_come_twice
            keys_differ_in_every_bit
            any_bytes_are_kept_as_they_are
            a_far_end_is_an_end
            a_clock_that_steps_back_ends_nothing
            of_many_who_create_one_wins
            of_many_who_update_one_wins
            no_update_is_lost
            what_is_deleted_meanwhile_stays_so
            a_touch_meanwhile_undoes_no_update
            of_many_touches_the_latest_holds
        }
    };
    ($fixture:path: $($rule:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                $crate::suite::$rule($fixture().await).await;
            }
        )*
    };
}
pub(crate) use store_conformance;
