//! A replica that is promoted, with and without having waited for it.

use std::time::{Duration, Instant};

use tower_signin::{SessionStore, StoreErrorKind};

use crate::proxy::{Network, Proxy};
use crate::server::{Server, in_an_hour, key, load_soon, record};

const LIMIT: Duration = Duration::from_millis(800);

fn master() -> Server {
    Server::with(&["--repl-diskless-sync-delay", "0"])
}

fn master_and_replica() -> (Server, Server) {
    let master = master();
    let replica = replica_of(&master, master.port);
    (master, replica)
}

/// Through this port.
fn replica_of(master: &Server, port: u16) -> Server {
    let replica = Server::with(&["--replicaof", "127.0.0.1", &port.to_string()]);
    replica.wait_for(&["INFO", "replication"], "master_link_status:up");
    master.wait_for(&["INFO", "replication"], "state=online");
    // It is online before it is sent anything: up to a second may pass until it says so for the first time.
    for (command, count) in [("SET here 1", ":1"), ("DEL here", ":0")] {
        master.ask(&command.split(' ').collect::<Vec<_>>());
        replica.wait_for(&["EXISTS", "here"], count);
    }
    replica
}

fn promote(replica: &Server, proxy: &Proxy) {
    assert_eq!(replica.ask(&["REPLICAOF", "NO", "ONE"]), "+OK\r\n");
    proxy.leads_to(replica.port);
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_promoted_redis_replica_has_what_was_waited_for() {
    let (mut master, replica) = master_and_replica();
    let proxy = Proxy::to(master.port).await;
    let store = proxy.builder().replicas(1).build().unwrap();
    let first = record("first");
    for number in 1..=50 {
        assert!(store.create(key(number), first.clone()).await.unwrap());
    }
    assert!(store.update(key(1), first.successor(*b"second", in_an_hour()).unwrap()).await.unwrap());
    store.delete(key(2)).await.unwrap();
    master.stop();
    promote(&replica, &proxy);
    let load = async |number| load_soon(&store, number).await;
    assert_eq!(load(1).await.as_deref(), Some(&b"second"[..]));
    assert_eq!(load(2).await, None);
    for number in 3..=50 {
        assert_eq!(load(number).await.as_deref(), Some(&b"first"[..]), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs redis"]
async fn a_promoted_redis_replica_lacks_what_had_not_reached_it() {
    let mut master = master();
    let between = Proxy::to(master.port).await;
    let replica = replica_of(&master, between.port());
    let proxy = Proxy::to(master.port).await;
    let store = proxy.builder().build().unwrap();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    replica.wait_for(&["DBSIZE"], ":1");
    between.is(Network::Cut);
    replica.wait_for(&["INFO", "replication"], "master_link_status:down");
    assert!(store.create(key(2), record("bob")).await.unwrap());
    store.delete(key(1)).await.unwrap();
    master.stop();
    promote(&replica, &proxy);
    assert_eq!(load_soon(&store, 1).await.as_deref(), Some(&b"alice"[..]), "who was signed out is signed in again");
    assert_eq!(load_soon(&store, 2).await, None, "who had signed in has to again");
}

#[tokio::test]
#[ignore = "needs redis"]
async fn without_its_redis_replica_a_change_is_an_error_and_a_load_is_not() {
    let (master, mut replica) = master_and_replica();
    let proxy = Proxy::to(master.port).await;
    let patient = proxy.builder().replicas(1).time_limit(Duration::from_secs(30)).build().unwrap();
    assert!(patient.create(key(1), record("alice")).await.unwrap());
    let store = proxy.builder().replicas(1).time_limit(LIMIT).build().unwrap();
    replica.pause();
    let started = Instant::now();
    let (created, loaded, touched) = tokio::join!(
        store.create(key(2), record("bob")),
        async { (store.load(key(1)).await, started.elapsed()) },
        store.touch(key(1), in_an_hour() + Duration::from_secs(60)),
    );
    let error = created.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreachable);
    assert!(format!("{error:?}").contains("0 replicas have it"), "{error:?}");
    assert!(loaded.0.unwrap().is_some() && loaded.1 < LIMIT / 2, "a load waits for nobody: {:?}", loaded.1);
    assert!(touched.unwrap());
    assert!(started.elapsed() < LIMIT * 2);
    replica.go_on();
    assert!(store.load(key(2)).await.unwrap().is_some(), "the master has taken it");
    let started = Instant::now();
    while store.delete(key(1)).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(30), "the replica is back");
    }
    replica.stop();
}

/// The name of the master leads to another server; the old one lives on as a replica.
#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_master_that_became_a_replica_is_left() {
    let (master, replica) = master_and_replica();
    let proxy = Proxy::to(master.port).await;
    let store = proxy.builder().build().unwrap();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    replica.wait_for(&["DBSIZE"], ":1");
    promote(&replica, &proxy);
    let new_master = replica.port.to_string();
    assert_eq!(master.ask(&["REPLICAOF", "127.0.0.1", &new_master]), "+OK\r\n");
    let error = store.create(key(2), record("bob")).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Failed);
    assert!(format!("{error:?}").contains("READONLY"), "{error:?}");
    assert!(store.create(key(2), record("bob")).await.unwrap(), "the next step goes to the new one");
    assert_eq!(proxy.connections(), 2);
    proxy.is(Network::Cut);
}
