//! Servers that are away, come back, or have lost what they had.

use std::time::{Duration, Instant};

use tower_signin::{RedisStore, SessionGroup, SessionStore, StoreError, StoreErrorKind, conformance};

use crate::proxy::{Network, Proxy};
use crate::server::{Server, in_an_hour, key, load_soon, record};

const SHORT: Duration = Duration::from_millis(400);

fn store(server: &Server) -> RedisStore {
    RedisStore::builder(server.url()).time_limit(SHORT).build().unwrap()
}

/// The error of a step that had no answer.
fn unreachable<T>(answer: Result<T, StoreError>) -> String {
    let Err(error) = answer else { panic!("an answer came") };
    assert_eq!(error.kind(), StoreErrorKind::Unreachable, "{error:?}");
    std::error::Error::source(&error).expect("it says why").to_string()
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_is_down_keeps_nobody_from_starting() {
    let mut server = Server::not_yet();
    let store = store(&server);
    conformance::a_store_out_of_reach_is_an_error(&store).await;
    assert!(unreachable(store.load(key(1)).await).contains(&format!("127.0.0.1:{}", server.port)));
    let started = Instant::now();
    let times = 100;
    for _ in 0..times {
        unreachable(store.load(key(1)).await);
    }
    assert!(started.elapsed() < SHORT * times / 2, "steps wait for a server that refuses connections");
    server.start_again();
    assert_eq!(load_soon(&store, 1).await, None);
    assert!(store.create(key(1), record("alice")).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "needs redis"]
async fn a_redis_that_was_restarted_empty_has_no_sessions_and_takes_new_ones() {
    let mut server = Server::start();
    let store = store(&server);
    assert!(store.create(key(1), record("alice")).await.unwrap());
    server.stop();
    server.start_again();
    // The connection that ended meanwhile costs nobody an error.
    assert!(store.load(key(1)).await.unwrap().is_none());
    assert!(store.create(key(1), record("alice again")).await.unwrap(), "the scripts are sent anew");
    assert_eq!(load_soon(&store, 1).await.as_deref(), Some(&b"alice again"[..]));
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_saves_has_its_sessions_after_a_restart() {
    let mut server = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let store = store(&server);
    assert!(store.create(key(1), record("alice")).await.unwrap());
    let alice = SessionGroup::new([1; 32]);
    store.join(alice, key(1), in_an_hour()).await.unwrap();
    server.stop();
    server.start_again();
    assert_eq!(load_soon(&store, 1).await.as_deref(), Some(&b"alice"[..]));
    assert_eq!(store.members(alice).await.unwrap(), [key(1)]);
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_was_flushed_has_no_sessions_and_takes_new_ones() {
    let server = Server::start();
    let store = store(&server);
    assert!(store.create(key(1), record("alice")).await.unwrap());
    assert!(store.touch(key(1), in_an_hour()).await.unwrap());
    assert_eq!(server.ask(&["FLUSHALL"]), "+OK\r\n");
    assert_eq!(server.ask(&["SCRIPT", "FLUSH"]), "+OK\r\n");
    assert!(!store.touch(key(1), in_an_hour()).await.unwrap(), "nothing comes back");
    assert!(store.load(key(1)).await.unwrap().is_none());
    let first = record("alice again");
    assert!(store.create(key(1), first.clone()).await.unwrap());
    assert!(store.update(key(1), first.successor(*b"", in_an_hour()).unwrap()).await.unwrap());
    store.join(SessionGroup::new([1; 32]), key(1), in_an_hour()).await.unwrap();
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_hangs_is_an_error_in_time_and_loses_nothing() {
    let server = Server::start();
    let store = store(&server);
    assert!(store.create(key(1), record("alice")).await.unwrap());
    server.pause();
    let started = Instant::now();
    let (loaded, created) = tokio::join!(store.load(key(1)), store.create(key(2), record("bob")));
    assert!(unreachable(loaded).contains("time limit"));
    unreachable(created);
    assert!(started.elapsed() >= SHORT && started.elapsed() < SHORT * 3, "{:?}", started.elapsed());
    unreachable(store.delete(key(1)).await);
    server.go_on();
    load_soon(&store, 1).await;
    // What was sent while it hung was taken once it went on: the error did not say that it was not.
    assert_eq!(load_soon(&store, 2).await.as_deref(), Some(&b"bob"[..]));
    assert!(!store.create(key(2), record("bob again")).await.unwrap());
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_network_to_redis_that_was_cut_comes_back() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let store = proxy.builder().time_limit(SHORT).build().unwrap();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    proxy.is(Network::Cut);
    while store.load(key(1)).await.is_ok() {
        tokio::task::yield_now().await;
    }
    unreachable(store.load(key(1)).await);
    unreachable(store.touch(key(1), in_an_hour()).await);
    proxy.is(Network::Whole);
    assert_eq!(load_soon(&store, 1).await.as_deref(), Some(&b"alice"[..]));
}

/// The old connection stays as it is; only a new one can help.
#[tokio::test]
#[ignore = "needs redis"]
async fn a_connection_to_redis_that_nothing_comes_through_is_given_up() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let store = proxy.builder().time_limit(SHORT).build().unwrap();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    proxy.is(Network::Silent);
    unreachable(store.load(key(1)).await);
    assert_eq!(proxy.connections(), 1);
    unreachable(store.load(key(1)).await);
    assert_eq!(proxy.connections(), 2);
    proxy.is(Network::Whole);
    assert_eq!(load_soon(&store, 1).await.as_deref(), Some(&b"alice"[..]));
}

#[tokio::test]
#[ignore = "needs redis"]
async fn an_idle_connection_to_redis_that_was_forgotten_costs_no_error() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let store = proxy.builder().build().unwrap();
    assert!(store.create(key(1), record("alice")).await.unwrap());
    proxy.is(Network::Silent);
    // Lets the proxy see it.
    tokio::task::yield_now().await;
    proxy.is(Network::Whole);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(60)).await;
    tokio::time::resume();
    assert!(store.load(key(1)).await.unwrap().is_some());
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
#[ignore = "needs redis"]
async fn everybody_shares_one_connection_to_redis() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let store = proxy.builder().build().unwrap();
    let load_all = async || {
        let loads = (0..100).map(|number| store.load(key(number)));
        for loaded in futures_util::future::join_all(loads).await {
            loaded.unwrap();
        }
    };
    load_all().await;
    load_all().await;
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
#[ignore = "needs redis"]
async fn one_at_a_time_tries_to_connect_to_redis() {
    let server = Server::start();
    let proxy = Proxy::to(server.port).await;
    let store = proxy.builder().time_limit(SHORT).build().unwrap();
    proxy.is(Network::Silent);
    let loads = (0..100).map(|number| store.load(key(number)));
    for loaded in futures_util::future::join_all(loads).await {
        unreachable(loaded);
    }
    assert_eq!(proxy.connections(), 1);
    proxy.is(Network::Cut);
    let started = Instant::now();
    let mut steps = 0;
    while started.elapsed() < Duration::from_secs(1) {
        unreachable(store.load(key(1)).await);
        steps += 1;
        tokio::task::yield_now().await;
    }
    assert!(steps > 20, "{steps} steps waited");
    assert!(proxy.connections() < 10, "{} connections in a second", proxy.connections());
}
