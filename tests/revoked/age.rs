//! A node's copy of the list is never older than the bound, and read no more often than that takes.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tower_signin::WhenUnchecked;

use crate::Visit::{Kept, Over};
use crate::double::{KINDS, Kind, Step};
use crate::site::{BOB, Site};
use crate::support::text;
use crate::{A_WHILE, BOUND, Fleet, ask, at, fetch, open, settle, sign_out};

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_fresh_costs_no_step() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        for _ in 0..1000 {
            assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{kind:?}");
        }
        fleet.pass(3000).await;
        assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{kind:?}");
        settle().await;
        assert!(fleet.store.asked_for().is_empty(), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_read_once_in_a_third_of_the_bound() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        for _ in 0..60 {
            fleet.pass(1000).await;
            for _ in 0..5 {
                assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{kind:?}");
            }
            settle().await;
        }
        let groups = fleet.store.count(Step::Members);
        assert_eq!(fleet.reads(), 15, "{kind:?}: every fourth second");
        assert!(groups <= 30, "{kind:?}: {groups}");
        // Nobody comes, and nobody asks.
        fleet.pass(60_000).await;
        assert_eq!(fleet.reads(), 0, "{kind:?}");
    }
}

/// The bound is what was asked for.
#[tokio::test(start_paused = true)]
async fn another_bound_is_another_pace() {
    for (seconds, reads) in [(1, 60), (3, 60), (30, 6), (600, 0)] {
        let bound = Duration::from_secs(seconds);
        let fleet = Fleet::with(Kind::Sealed, |builder| builder.revocation_bound(bound, WhenUnchecked::Unavailable));
        let mut browser = fleet.signed_in().await;
        for _ in 0..60 {
            fleet.pass(1000).await;
            assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{seconds}");
            settle().await;
        }
        assert_eq!(fleet.reads(), reads, "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowd_has_it_read_once() {
    for kind in KINDS {
        for age in [A_WHILE, BOUND, 10 * BOUND] {
            let fleet = Fleet::new(kind);
            let browser = fleet.signed_in().await;
            fleet.pass(age).await;
            let mut waiting = tokio::task::JoinSet::new();
            let router = axum::Router::new().fallback(crate::support::who);
            for _ in 0..500 {
                waiting.spawn(fleet.one.through(&router, &browser, fetch("/")));
            }
            assert!(waiting.join_all().await.iter().all(|response| text(response) == BOB), "{kind:?}, {age}");
            assert_eq!(fleet.reads(), 1, "{kind:?}, {age}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_when_it_is_older_waits_and_is_not_let_in_by_it() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let mut copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.pass(BOUND).await;
        let gates = fleet.store.hold(Step::Members);
        gates.after.add_permits(9);
        let mut visit = pin!(open(&fleet.other, &mut copy));
        for _ in 0..20 {
            assert!(is_pending(visit.as_mut()).await, "{kind:?}");
        }
        gates.before.add_permits(9);
        assert_eq!(visit.await, Over, "{kind:?}");
    }
}

async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    let is_pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    settle().await;
    is_pending
}

/// What is read slowly is as old as its beginning.
#[tokio::test(start_paused = true)]
async fn a_slow_refresh_counts_from_its_beginning() {
    let fleet = Fleet::with(Kind::Sealed, |builder| {
        builder.revocation_bound(Duration::from_secs(6), WhenUnchecked::Unavailable)
    });
    let mut browser = fleet.signed_in().await;
    fleet.pass(2500).await;
    let gates = fleet.store.hold_next(Step::Members);
    gates.before.add_permits(1);
    assert_eq!(open(&fleet.one, &mut browser).await, Kept, "it is read beside this");
    settle().await;
    fleet.pass(3400).await;
    gates.after.add_permits(1);
    settle().await;
    assert_eq!(fleet.reads(), 1);
    // 3.4 seconds old: due again.
    fleet.store.fail(&crate::double::STEPS, crate::double::Fault::Failed);
    fleet.pass(2500).await;
    assert_eq!(open(&fleet.one, &mut browser).await, Kept, "5.9 seconds");
    fleet.pass(100).await;
    let response = ask(&fleet.one, &browser, fetch("/guarded")).await;
    assert_eq!(response.status(), 503, "6 seconds");
}

/// Either clock may stand still: a machine sleeps, or somebody sets the time.
#[tokio::test(start_paused = true)]
async fn the_clock_that_says_older_counts() {
    for (name, by_clock, steady) in [("asleep", BOUND, 0), ("set to stand still", 0, BOUND)] {
        let fleet = Fleet::new(Kind::Sealed);
        let mut browser = fleet.signed_in().await;
        let mut copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.clock.advance(Duration::from_millis(by_clock));
        tokio::time::advance(Duration::from_millis(steady)).await;
        assert_eq!(open(&fleet.other, &mut copy).await, Over, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_has_it_read_anew_and_once() {
    for back in [1, 60, 170] {
        let fleet = Fleet::new(Kind::Sealed);
        fleet.clock.set(at(200_000));
        let mut browser = fleet.signed_in().await;
        let mut copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.clock.set(at(200_000 - back));
        assert_eq!(open(&fleet.other, &mut copy).await, Over, "{back}");
        fleet.store.forget();
        let mut another = fleet.one.signed_in().await;
        for _ in 0..5 {
            assert_eq!(open(&fleet.other, &mut another).await, Kept, "{back}");
        }
        assert_eq!(fleet.reads(), 0, "{back}");
    }
}

/// Whoever did not look for an hour or a month reads what is there.
#[tokio::test(start_paused = true)]
async fn a_node_that_nobody_asked_for_long_reads_it_all() {
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    for minutes in [1, 9, 17, 33, 35, 36, 60, 24 * 60, 29 * 24 * 60] {
        let fleet = Fleet::with(Kind::Sealed, |builder| builder.session_lifetime(days(30)));
        let mut browser = fleet.signed_in().await;
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.pass(minutes * 60_000).await;
        let new = fleet.node(|builder| builder.session_lifetime(days(30)));
        for node in [&fleet.other, &new] {
            assert_eq!(open(node, &mut copy.clone()).await, Over, "{minutes}");
        }
    }
}

/// At any second between the borders of groups, and whether a node's clock is ahead or behind.
#[tokio::test(start_paused = true)]
async fn what_is_written_at_any_second_is_read() {
    for offset in [-59_i64, 0, 59] {
        for second in (0..600).step_by(7).chain(505..520) {
            let fleet = Fleet::new(Kind::Private);
            fleet.clock.set(at(second));
            let theirs = std::sync::Arc::new(tower_signin::ManualClock::new(at(second + offset)));
            let other = crate::node(&fleet.store, &theirs, |builder| builder);
            let mut browser = fleet.signed_in().await;
            let copy = browser.clone();
            assert_eq!(open(&other, &mut copy.clone()).await, Kept, "{offset}, {second}");
            sign_out(&fleet.one, &mut browser).await;
            fleet.clock.advance(Duration::from_secs(10));
            crate::pass(&theirs, 10_000).await;
            assert_eq!(open(&other, &mut copy.clone()).await, Over, "{offset}, {second}");
        }
    }
}

/// A new node knows what those before it knew, for as long as a session may last.
#[tokio::test(start_paused = true)]
async fn a_node_that_starts_reads_it_all() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        for hours in [0, 1, 22] {
            fleet.pass(hours * 3_600_000).await;
            let new: Site = fleet.node(|builder| builder);
            assert_eq!(open(&new, &mut copy.clone()).await, Over, "{kind:?}, {hours}");
        }
    }
}

/// As when the machine sleeps in the middle of a reading: its steady clock stands still meanwhile.
#[tokio::test(start_paused = true)]
async fn a_reading_from_before_the_clock_went_on_lets_nobody_in() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        // Where all that is read is one group of the store.
        fleet.pass(100_000).await;
        assert_eq!(open(&fleet.other, &mut browser.clone()).await, Kept, "{kind:?}");
        settle().await;
        fleet.pass(A_WHILE).await;
        let reading = fleet.store.hold_next(Step::Members);
        reading.before.add_permits(1);
        assert_eq!(open(&fleet.other, &mut browser.clone()).await, Kept, "{kind:?}");
        settle().await;
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.clock.advance(Duration::from_millis(BOUND));
        let mut thief = copy.clone();
        let released = async {
            settle().await;
            reading.after.add_permits(1);
        };
        let (visit, ()) = tokio::join!(open(&fleet.other, &mut thief), released);
        assert_eq!(visit, Over, "{kind:?}");
    }
}
