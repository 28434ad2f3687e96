//! All sessions of a person end, and who signs in again is in.

use std::sync::Arc;

use tower_signin::ManualClock;

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{Fault, KINDS, Kind, STEPS};
use crate::site::BOB;
use crate::{A_WHILE, BOUND, Fleet, at, node, open, settle};

const ISSUER: &str = "https://bitbadges.io";

#[tokio::test(start_paused = true)]
async fn all_of_theirs_are_over_everywhere_and_nobody_else_s() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let browsers = [fleet.signed_in().await, fleet.signed_in().await];
        fleet.one.sign_in.end_sessions_of(ISSUER, "bb1somebodyelse").await.unwrap();
        fleet.pass(BOUND).await;
        for browser in &browsers {
            assert_eq!(open(&fleet.one, &mut browser.clone()).await, Kept, "{kind:?}");
            assert_eq!(open(&fleet.other, &mut browser.clone()).await, Kept, "{kind:?}");
        }
        fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
        for browser in &browsers {
            assert_eq!(open(&fleet.one, &mut browser.clone()).await, Over, "{kind:?}: here at once");
        }
        fleet.pass(BOUND).await;
        for browser in &browsers {
            assert_eq!(open(&fleet.other, &mut browser.clone()).await, Over, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_again_is_in() {
    for kind in KINDS {
        for seconds in [0, 1, 5, 100] {
            let fleet = Fleet::new(kind);
            let before = fleet.signed_in().await;
            fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
            fleet.pass(1000 * seconds).await;
            // At the node that knows, within the same second too.
            let mut again = before.clone();
            assert_eq!(fleet.one.complete(&mut again, "/").await.status(), 303, "{kind:?}, {seconds}");
            settle().await;
            for _ in 0..3 {
                assert_eq!(open(&fleet.one, &mut again).await, Kept, "{kind:?}, {seconds}");
                assert_eq!(open(&fleet.other, &mut again).await, Kept, "{kind:?}, {seconds}");
                fleet.pass(BOUND).await;
            }
            for node in [&fleet.one, &fleet.other] {
                assert!([Over, Ignored].contains(&open(node, &mut before.clone()).await), "{kind:?}, {seconds}");
            }
            // And out again.
            fleet.other.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
            fleet.pass(BOUND).await;
            for node in [&fleet.one, &fleet.other] {
                assert_eq!(open(node, &mut again.clone()).await, Over, "{kind:?}, {seconds}");
            }
        }
    }
}

/// An application that leaves everybody one session at a time, say.
#[tokio::test(start_paused = true)]
async fn who_signed_in_again_within_the_second_is_out_with_the_next_word() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        fleet.signed_in().await;
        for round in 0..3 {
            fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
            let again = fleet.one.signed_in().await;
            assert_eq!(open(&fleet.one, &mut again.clone()).await, Kept, "{kind:?}, {round}");
            fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
            assert_eq!(open(&fleet.one, &mut again.clone()).await, Over, "{kind:?}, {round}");
            fleet.pass(A_WHILE).await;
            open(&fleet.other, &mut again.clone()).await;
            settle().await;
            assert_eq!(open(&fleet.other, &mut again.clone()).await, Over, "{kind:?}, {round}");
        }
    }
}

/// It can't be told from one that began just before, so it is over; from the next second on, none is.
#[tokio::test(start_paused = true)]
async fn within_the_second_at_a_node_that_has_not_heard_of_it_nobody_is_in() {
    for (seconds, expected) in [(0, Over), (1, Kept), (2, Kept)] {
        let fleet = Fleet::new(Kind::Sealed);
        fleet.signed_in().await;
        fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
        fleet.pass(1000 * seconds).await;
        let again = fleet.other.signed_in().await;
        assert_eq!(open(&fleet.other, &mut again.clone()).await, Kept, "{seconds}");
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut again.clone()).await, expected, "{seconds}");
    }
}

/// The node that ended them is ahead, by as much as it may be.
#[tokio::test(start_paused = true)]
async fn a_node_that_knows_lets_them_in_again_though_its_clock_is_behind() {
    for ahead in [1, 30, 60] {
        let fleet = Fleet::new(Kind::Sealed);
        let theirs = Arc::new(ManualClock::new(at(ahead)));
        let ends = node(&fleet.store, &theirs, |builder| builder);
        let mut before = fleet.signed_in().await;
        ends.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
        fleet.pass(A_WHILE).await;
        open(&fleet.one, &mut before).await;
        settle().await;
        let mut again = fleet.one.signed_in().await;
        fleet.pass(A_WHILE).await;
        for _ in 0..2 {
            assert_eq!(open(&fleet.one, &mut again).await, Kept, "{ahead}");
            settle().await;
        }
    }
}

/// A session that was begun behind an end is not behind the next one.
#[tokio::test(start_paused = true)]
async fn who_is_in_again_is_ended_again_within_the_second_and_by_a_clock_that_is_behind() {
    for kind in KINDS {
        for ahead in [0, 1, 30, 59] {
            let name = format!("{kind:?}, {ahead}");
            let fleet = Fleet::new(kind);
            let theirs = Arc::new(ManualClock::new(at(ahead)));
            let ends = node(&fleet.store, &theirs, |builder| builder);
            let before = fleet.signed_in().await;
            ends.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
            // Whoever has heard of it begins sessions behind it.
            let hears = fleet.node(|builder| builder);
            assert_eq!(open(&hears, &mut before.clone()).await, Over, "{name}");
            let again = hears.signed_in().await;
            assert_eq!(open(&hears, &mut again.clone()).await, Kept, "{name}");
            hears.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
            assert_eq!(open(&hears, &mut again.clone()).await, Over, "{name}");
            fleet.pass(BOUND).await;
            assert_eq!(open(&fleet.other, &mut again.clone()).await, Over, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_session_is_ended_by_the_application() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let (one, other) = (fleet.signed_in().await, fleet.signed_in().await);
        let identity = crate::identity(&fleet.one, &one).await.unwrap();
        fleet.one.sign_in.end_session(&identity).await.unwrap();
        assert_eq!(open(&fleet.one, &mut one.clone()).await, Over, "{kind:?}");
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut one.clone()).await, Over, "{kind:?}");
        assert_eq!(open(&fleet.other, &mut other.clone()).await, Kept, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_list_is_away_the_application_is_told_and_this_node_knows() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let browser = fleet.signed_in().await;
        fleet.store.fail(&STEPS, Fault::Unreachable);
        let error = fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap_err();
        assert_eq!(error.kind(), tower_signin::ErrorKind::SessionUnavailable, "{kind:?}");
        assert_eq!(open(&fleet.one, &mut browser.clone()).await, Over, "{kind:?}");
        fleet.store.recover();
        fleet.one.sign_in.end_sessions_of(ISSUER, BOB).await.unwrap();
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut browser.clone()).await, Over, "{kind:?}");
    }
}
