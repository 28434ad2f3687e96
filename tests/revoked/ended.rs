//! A stream hears of what other nodes have ended, though no request comes.

use std::time::Duration;

use tower_signin::{SessionEnd, WhenUnchecked};

use crate::double::{Fault, KINDS, Kind, STEPS};
use crate::site::BOB;
use crate::{BOUND, Fleet, identity, sign_out};

#[tokio::test(start_paused = true)]
async fn it_is_told_at_both_nodes_within_the_bound() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let (mut browser, stays) = (fleet.signed_in().await, fleet.signed_in().await);
        let here = tokio::spawn(identity(&fleet.one, &browser).await.unwrap().ended());
        let there = tokio::spawn(identity(&fleet.other, &browser).await.unwrap().ended());
        let another = tokio::spawn(identity(&fleet.other, &stays).await.unwrap().ended());
        for _ in 0..50 {
            fleet.pass(1000).await;
        }
        assert!(!there.is_finished() && !here.is_finished(), "{kind:?}");
        sign_out(&fleet.one, &mut browser).await;
        assert_eq!(here.await.unwrap(), SessionEnd::SignedOut, "{kind:?}");
        for _ in 0..10 {
            fleet.pass(1000).await;
        }
        assert!(there.is_finished(), "{kind:?}");
        assert_eq!(there.await.unwrap(), SessionEnd::Elsewhere, "{kind:?}");
        assert!(!another.is_finished(), "{kind:?}");
        another.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_person_too_at_the_node_that_ends_them_and_at_others() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let browser = fleet.signed_in().await;
        let here = tokio::spawn(identity(&fleet.one, &browser).await.unwrap().ended());
        let there = tokio::spawn(identity(&fleet.other, &browser).await.unwrap().ended());
        fleet.one.sign_in.end_sessions_of("https://bitbadges.io", BOB).await.unwrap();
        for _ in 0..10 {
            fleet.pass(1000).await;
        }
        assert!(here.is_finished() && there.is_finished(), "{kind:?}");
        assert_eq!((here.await.unwrap(), there.await.unwrap()), (SessionEnd::Elsewhere, SessionEnd::Elsewhere));
    }
}

/// However many streams there are, the list is read for one of them.
#[tokio::test(start_paused = true)]
async fn many_streams_read_it_once() {
    let fleet = Fleet::new(Kind::Sealed);
    let browser = fleet.signed_in().await;
    let who = identity(&fleet.one, &browser).await.unwrap();
    let streams: Vec<_> = (0..200).map(|_| tokio::spawn(who.ended())).collect();
    crate::settle().await;
    fleet.reads();
    for _ in 0..60 {
        fleet.pass(1000).await;
    }
    let reads = fleet.reads();
    assert!((6..=18).contains(&reads), "{reads}");
    assert!(streams.iter().all(|stream| !stream.is_finished()));
}

/// It goes on, and hears of it afterwards.
#[tokio::test(start_paused = true)]
async fn a_list_that_is_away_ends_no_stream() {
    for then in [WhenUnchecked::Unavailable, WhenUnchecked::SignedIn] {
        for fault in [Fault::Unreachable, Fault::Hangs] {
            let bound = Duration::from_millis(BOUND);
            let fleet = Fleet::with(Kind::Later, |builder| builder.revocation_bound(bound, then));
            let mut browser = fleet.signed_in().await;
            let stream = tokio::spawn(identity(&fleet.other, &browser).await.unwrap().ended());
            sign_out(&fleet.one, &mut browser).await;
            fleet.store.fail(&STEPS, fault);
            for _ in 0..100 {
                fleet.pass(1000).await;
            }
            assert!(!stream.is_finished(), "{then:?}, {fault:?}");
            fleet.store.recover();
            for _ in 0..15 {
                fleet.pass(1000).await;
            }
            assert!(stream.is_finished(), "{then:?}, {fault:?}");
            assert_eq!(stream.await.unwrap(), SessionEnd::Elsewhere, "{then:?}, {fault:?}");
        }
    }
}
