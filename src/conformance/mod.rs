//! What every [`SessionStore`] must do, one test for each rule of its documentation: for whoever writes a store. Feature
//! `conformance`, meant for `[dev-dependencies]`.
//!
//! [`store_conformance!`](crate::store_conformance) makes the tests. It takes the path of an async function that gives a
//! [`Fixture`]: an empty store, or one in which nobody else uses the same keys. Each rule asks for one of its own.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::SystemTime;
//!
//! use tower_signin::conformance::{self, Fixture};
//! use tower_signin::{ManualClock, MemoryStore, store_conformance};
//!
//! /// A store that takes the time from a clock of the test's: nothing is waited for.
//! async fn on_manual_clock() -> Fixture {
//!     let clock = Arc::new(ManualClock::new(SystemTime::now()));
//!     Fixture::on_manual_clock(MemoryStore::new().clock(Arc::clone(&clock)), &clock)
//! }
//!
//! mod memory {
//!     tower_signin::store_conformance!(super::on_manual_clock);
//! }
//!
//! /// One that asks the system, or a database that does: a test of ends takes some seconds.
//! async fn on_system_clock() -> Fixture {
//!     Fixture::on_system_clock(MemoryStore::new())
//! }
//!
//! mod database {
//!     // Attributes go to each test.
//!     tower_signin::store_conformance!(#[ignore = "needs a database"] super::on_system_clock);
//! }
//!
//! // A rule is a function as well.
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! conformance::a_delete_may_come_twice(on_manual_clock().await).await;
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! The tests call the store from many tasks on several threads of one process, and through the one value that the fixture gives.
//! So a store whose steps are atomic within its process alone passes as well, and says so in its own documentation; of
//! what happens between processes these rules see nothing. To see that, give the fixture a store that hands each step to
//! another of several connections.
//!
//! A rule that is broken panics and says what was expected. [`a_store_out_of_reach_is_an_error`] is not among the tests that the
//! macro makes, since it needs a store that is down.

#![allow(clippy::unwrap_used, reason = "a rule that is broken panics")]

mod groups;
mod races;
mod records;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

pub use self::groups::*;
pub use self::races::*;
pub use self::records::*;
use crate::clock::{Clock, ManualClock};
use crate::http_client::BoxFuture;
use crate::session::store::{SessionGroup, SessionKey, SessionRecord, SessionStore, StoreErrorKind};

/// A store, and the time as it sees it.
pub struct Fixture {
    store: Arc<dyn SessionStore>,
    now: Box<dyn Fn() -> SystemTime + Send + Sync>,
    /// Lets time go by.
    pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    step_back: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    tick: Duration,
}

impl Fixture {
    /// A store that takes the time from this clock, which the tests move, forward and back.
    #[must_use]
    pub fn on_manual_clock(store: impl SessionStore, clock: &Arc<ManualClock>) -> Self {
        let (shown, passing, stepping) = (Arc::clone(clock), Arc::clone(clock), Arc::clone(clock));
        Self {
            store: Arc::new(store),
            now: Box::new(move || shown.now()),
            pass: Box::new(move |time| {
                passing.advance(time);
                Box::pin(async {})
            }),
            step_back: Some(Box::new(move |time| stepping.set(stepping.now() - time))),
            tick: Duration::from_secs(60),
        }
    }

    /// A store that takes the time from the system, so that it must be waited for: ticks of two seconds.
    #[must_use]
    pub fn on_system_clock(store: impl SessionStore) -> Self {
        Self {
            store: Arc::new(store),
            now: Box::new(SystemTime::now),
            pass: Box::new(|time| Box::pin(tokio::time::sleep(time))),
            step_back: None,
            tick: Duration::from_secs(2),
        }
    }

    /// What counts as some time, in whole seconds: as few as the store can tell apart where time must be waited for, and one more,
    /// so that a slow machine fails no test.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// So many ticks from now, in whole seconds.
    fn after(&self, ticks: u32) -> SystemTime {
        let now = (self.now)().duration_since(UNIX_EPOCH).expect("the clock shows a time since 1970").as_secs();
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

    async fn join(&self, group: SessionGroup, member: SessionKey, until: SystemTime) {
        self.store.join(group, member, until).await.expect("join");
    }

    async fn leave(&self, group: SessionGroup, member: SessionKey) {
        self.store.leave(group, member).await.expect("leave");
    }

    /// In order; who is given twice shows.
    async fn members(&self, group: SessionGroup) -> Vec<SessionKey> {
        let mut members = self.store.members(group).await.expect("members");
        members.sort_unstable_by_key(|member| *member.as_bytes());
        members
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").field("tick", &self.tick).finish_non_exhaustive()
    }
}

/// For a store whose database can't be reached: nobody is told that there is no session, or no member.
pub async fn a_store_out_of_reach_is_an_error(store: &dyn SessionStore) {
    let end = SystemTime::now() + Duration::from_secs(3600);
    let record = SessionRecord::new(*b"alice", 1, end);
    let errors = [
        ("create", store.create(key(1), record.clone()).await.err()),
        ("load", store.load(key(1)).await.err()),
        ("update", store.update(key(1), record).await.err()),
        ("touch", store.touch(key(1), end).await.err()),
        ("delete", store.delete(key(1)).await.err()),
        ("join", store.join(group(1), key(1), end).await.err()),
        ("leave", store.leave(group(1), key(1)).await.err()),
        ("members", store.members(group(1)).await.err()),
    ];
    for (method, error) in errors {
        assert_eq!(error.map(|error| error.kind()), Some(StoreErrorKind::Unreachable), "{method}");
    }
}

/// Runs a rule on four threads.
#[doc(hidden)]
pub fn run<F: Future<Output = Fixture>, R: Future<Output = ()>>(fixture: fn() -> F, rule: fn(Fixture) -> R) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(async { rule(fixture().await).await });
}

fn key(number: u8) -> SessionKey {
    let mut bytes = [0xc4; 32];
    bytes[31] = number;
    SessionKey::new(bytes)
}

fn group(number: u8) -> SessionGroup {
    let mut bytes = [0x67; 32];
    bytes[31] = number;
    SessionGroup::new(bytes)
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

/// Makes a test for each rule of [`SessionStore`](crate::SessionStore), see [`conformance`](crate::conformance): feature `conformance`.
///
/// It takes the path of an `async fn() -> Fixture`, with attributes for each test in front. A test binary may use it in several
/// modules. It needs nothing in the scope but the path.
#[macro_export]
macro_rules! store_conformance {
    ($(#[$attribute:meta])* $fixture:path) => {
        $crate::store_conformance! { @rules [$(#[$attribute])*] $fixture:
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
            who_joins_is_a_member_until_the_time_has_come
            a_time_that_has_been_changes_nothing
            joining_again_moves_the_time_later_and_never_earlier
            who_leaves_is_no_member
            who_has_left_may_join_again
            a_group_whose_members_are_all_over_is_as_none
            groups_and_sessions_leave_each_other_alone
            groups_and_members_differ_in_every_bit
            a_large_group_is_given_whole
            a_far_time_is_a_time
            a_clock_that_steps_back_takes_nobody_out
            of_many_who_join_all_are_there
            joins_and_leaves_at_once_all_hold
            of_many_times_the_latest_holds
        }
    };
    (@rules $attributes:tt $fixture:path: $($rule:ident)*) => {
        $($crate::store_conformance! { @test $attributes $fixture, $rule })*
    };
    (@test [$(#[$attribute:meta])*] $fixture:path, $rule:ident) => {
        #[test]
        $(#[$attribute])*
        fn $rule() {
            $crate::conformance::run($fixture, $crate::conformance::$rule);
        }
    };
}
