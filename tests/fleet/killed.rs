//! A node that dies while the provider holds the answer to its refresh.

use std::time::{Duration, Instant};

use tower_signin::dev::Fault;

use crate::nodes::{Fleet, PATIENCE, Person, Seen, SetUp};
use crate::refresh::with_ended_tokens;
use crate::server::Server;

/// How long a lease lasts that nobody renews.
const LEASE: Duration = Duration::from_secs(10);

const SET_UPS: [SetUp; 2] = [SetUp::Stored, SetUp::List];

/// A fleet whose first node was killed while it refreshed alice's tokens.
async fn killed_while_refreshing(set_up: SetUp, redis: &Server, fault: Fault) -> (Fleet, Person) {
    let mut fleet = Fleet::start(set_up, 3, redis.url()).await;
    let alice = with_ended_tokens(&fleet, 0).await;
    fleet.dev.set_fault(Some(fault));
    let waits = fleet.spawn(&alice, 0);
    let started = Instant::now();
    while fleet.refreshes() == 0 {
        assert!(started.elapsed() < PATIENCE && !waits.is_finished(), "{set_up:?}: the provider is asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    fleet.kill(0).await;
    assert!(waits.await.unwrap().is_none(), "{set_up:?}: it died before it had answered");
    fleet.dev.set_fault(None);
    (fleet, alice)
}

#[tokio::test]
#[ignore = "needs redis"]
async fn with_redis_a_node_that_was_killed_while_it_refreshed_is_stood_in_for() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let (fleet, mut alice) = killed_while_refreshing(set_up, &redis, Fault::Hang).await;
        let killed = Instant::now();
        let (one, other) = (fleet.spawn(&alice, 1), fleet.spawn(&alice, 2));
        for request in [one, other] {
            let answer = request.await.unwrap().expect("the node answers");
            alice.browser.keep(&answer);
            assert_eq!(alice.seen(&answer, "after the kill"), Seen::Themselves, "{set_up:?}");
        }
        let took = killed.elapsed();
        println!("{set_up:?}: another node refreshed {took:?} after the kill");
        assert!(took < LEASE + Duration::from_secs(10), "{set_up:?}: {took:?}");
        assert_eq!(fleet.refreshes(), 2, "{set_up:?}: the one that died, and one more");
        for node in [1, 2] {
            assert_eq!(fleet.ask(&mut alice, node).await, Seen::Themselves, "{set_up:?}");
        }
        assert_eq!(fleet.refreshes(), 2, "{set_up:?}");
    }
}

/// The new tokens died with the node, and the old ones are used up: nobody can have the provider stand by this session again.
#[tokio::test]
#[ignore = "needs redis"]
async fn with_redis_a_session_whose_tokens_died_with_a_node_ends_once_and_a_sign_in_begins_another() {
    for set_up in SET_UPS {
        let redis = Server::start();
        let held = Fault::Drip(Duration::from_secs(60));
        let (fleet, mut alice) = killed_while_refreshing(set_up, &redis, held).await;
        let killed = Instant::now();
        let mut copy = alice.clone();
        assert_eq!(fleet.ask(&mut alice, 1).await, Seen::Nobody, "{set_up:?}");
        println!("{set_up:?}: the session was over {:?} after the kill", killed.elapsed());
        assert!(killed.elapsed() < LEASE + Duration::from_secs(10), "{set_up:?}: {:?}", killed.elapsed());
        let left: Vec<_> = alice.browser.jar.keys().filter(|name| !name.ends_with("-rounds")).collect();
        assert!(left.is_empty(), "{set_up:?}: {left:?}");
        assert_eq!(fleet.refreshes(), 2, "{set_up:?}: the one that died, and one that was refused");
        // Whoever goes on with those cookies is nobody; which of the nodes they ask is of no account.
        for node in [1, 2, 1, 2] {
            let seen = fleet.ask(&mut copy, node).await;
            assert_eq!(seen, Seen::Nobody, "{set_up:?}");
        }
        let asked = fleet.refreshes();
        assert!(asked <= 3, "{set_up:?}: the provider was asked {asked} times");
        fleet.sign_in(&mut alice, 2).await;
        for node in [1, 2] {
            assert_eq!(fleet.ask(&mut alice, node).await, Seen::Themselves, "{set_up:?}");
        }
        assert_eq!(fleet.refreshes(), asked, "{set_up:?}: no more of that");
    }
}
