//! A cluster of three nodes.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tower_signin::conformance::Fixture;
use tower_signin::{RedisStore, RedisStoreBuilder, SessionStore, StoreErrorKind};

use crate::rules::on_manual_clock;
use crate::server::{SOON, Server, free_port, key, load_soon, record};

struct Cluster {
    nodes: Vec<Server>,
}

/// The last slot of each node.
const LAST: [u16; 3] = [5460, 10_922, 16_383];

impl Cluster {
    fn start() -> Self {
        let nodes: Vec<_> = LAST.iter().map(|_| node()).collect();
        let mut first = 0;
        for (node, last) in nodes.iter().zip(LAST) {
            let range = (first.to_string(), last.to_string());
            assert_eq!(node.ask(&["CLUSTER", "ADDSLOTSRANGE", &range.0, &range.1]), "+OK\r\n");
            first = last + 1;
        }
        for node in &nodes[1..] {
            let (port, bus) = (nodes[0].port.to_string(), bus(&nodes[0]));
            assert_eq!(node.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]), "+OK\r\n");
        }
        for node in &nodes {
            node.wait_for(&["CLUSTER", "INFO"], "cluster_state:ok");
            node.wait_for(&["CLUSTER", "INFO"], "cluster_known_nodes:3");
        }
        Self { nodes }
    }

    fn builder(&self) -> RedisStoreBuilder {
        RedisStore::cluster([self.nodes[0].url()])
    }

    /// Which node has a key of these stores, and its name and slot.
    fn place(&self, number: u8) -> (usize, String, u16) {
        let name = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, key(number).as_bytes());
        let name = format!("signin:s:{name}");
        let slot = u16::try_from(self.nodes[0].number(&["CLUSTER", "KEYSLOT", &name])).unwrap();
        (LAST.iter().position(|last| slot <= *last).unwrap(), name, slot)
    }
}

fn node() -> Server {
    let bus = free_port().to_string();
    Server::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "1000",
        "--cluster-require-full-coverage",
        "no",
    ])
}

/// The port over which the others speak to a node.
fn bus(node: &Server) -> String {
    let answer = node.ask(&["CONFIG", "GET", "cluster-port"]);
    answer.lines().last().unwrap().to_owned()
}

fn id(node: &Server) -> String {
    node.ask(&["CLUSTER", "MYID"]).lines().last().unwrap().to_owned()
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

async fn three_nodes() -> Fixture {
    on_manual_clock(CLUSTER.builder())
}

mod redis {
    tower_signin::store_conformance!(
        #[ignore = "needs redis"]
        super::three_nodes
    );
}

#[tokio::test]
#[ignore = "needs redis"]
async fn sessions_are_on_all_nodes_of_a_redis_cluster() {
    let cluster = Cluster::start();
    let store = cluster.builder().build().unwrap();
    for number in 0..=255 {
        assert!(store.create(key(number), record(&number.to_string())).await.unwrap(), "{number}");
    }
    for number in 0..=255 {
        let loaded = store.load(key(number)).await.unwrap().expect("it is there");
        assert_eq!(loaded.bytes(), number.to_string().as_bytes());
    }
    let sizes: Vec<_> = cluster.nodes.iter().map(|node| node.number(&["DBSIZE"])).collect();
    assert_eq!(sizes.iter().sum::<i64>(), 256);
    assert!(sizes.iter().all(|size| *size > 40), "{sizes:?}");
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_key_that_moves_in_a_redis_cluster_is_followed() {
    let cluster = Cluster::start();
    let store = cluster.builder().build().unwrap();
    let (from, name, slot) = cluster.place(1);
    let (from, to) = (&cluster.nodes[from], &cluster.nodes[(from + 1) % 3]);
    let first = record("first");
    assert!(store.create(key(1), first.clone()).await.unwrap());
    let slot = slot.to_string();
    assert_eq!(to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]), "+OK\r\n");
    assert_eq!(from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]), "+OK\r\n");
    assert!(store.load(key(1)).await.unwrap().is_some(), "it has not moved yet");
    let port = to.port.to_string();
    assert_eq!(from.ask(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]), "+OK\r\n");
    assert!(store.load(key(1)).await.unwrap().is_some(), "it is asked for where it went");
    let second = first.successor(*b"second", first.expires_at()).unwrap();
    assert!(store.update(key(1), second.clone()).await.unwrap(), "a script, too");
    for node in [to, from] {
        assert_eq!(node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]), "+OK\r\n");
    }
    assert!(!store.create(key(1), record("other")).await.unwrap(), "it is followed for good");
    assert_eq!(store.load(key(1)).await.unwrap(), Some(second));
    assert_eq!(to.number(&["EXISTS", &name]), 1);
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_cluster_that_lost_a_node_serves_the_rest() {
    let mut cluster = Cluster::start();
    let store = RedisStore::cluster([cluster.nodes[0].url(), cluster.nodes[1].url()])
        .time_limit(Duration::from_millis(500))
        .build()
        .unwrap();
    let on = |node| (0..=255).find(|number| cluster.place(*number).0 == node).unwrap();
    let numbers = [on(0), on(1), on(2)];
    for number in numbers {
        assert!(store.create(key(number), record("alice")).await.unwrap());
    }
    // The one that was asked first, too.
    cluster.nodes[0].stop();
    let error = store.load(key(numbers[0])).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreachable);
    for _ in 0..20 {
        for number in [numbers[1], numbers[2]] {
            assert!(store.load(key(number)).await.unwrap().is_some(), "{number}");
        }
        assert!(store.load(key(numbers[0])).await.is_err());
    }
    // Nor does a node that is away keep a process from starting.
    let other = RedisStore::cluster([cluster.nodes[0].url(), cluster.nodes[1].url()]).build().unwrap();
    assert!(other.load(key(numbers[1])).await.unwrap().is_some());
    let other = RedisStore::cluster([cluster.nodes[1].url(), cluster.nodes[0].url()]).build().unwrap();
    assert!(other.load(key(numbers[1])).await.unwrap().is_some());
    cluster.nodes[0].start_again();
    assert_eq!(load_soon(&store, numbers[0]).await, None, "it saved nothing");
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_promoted_replica_of_a_redis_cluster_is_found() {
    let mut cluster = Cluster::start();
    let replica = node();
    let (port, bus) = (cluster.nodes[0].port.to_string(), bus(&cluster.nodes[0]));
    assert_eq!(replica.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]), "+OK\r\n");
    let master = id(&cluster.nodes[0]);
    replica.wait_for(&["CLUSTER", "NODES"], &master);
    replica.wait_for(&["CLUSTER", "INFO"], "cluster_known_nodes:4");
    assert_eq!(replica.ask(&["CLUSTER", "REPLICATE", &master]), "+OK\r\n");
    replica.wait_for(&["INFO", "replication"], "master_link_status:up");
    for node in &cluster.nodes {
        node.wait_for(&["CLUSTER", "NODES"], &format!("slave {master}"));
    }
    let store = RedisStore::cluster(cluster.nodes.iter().map(Server::url)).replicas(1).build().unwrap();
    let number = (0..=255).find(|number| cluster.place(*number).0 == 0).unwrap();
    let started = Instant::now();
    while store.create(key(number), record("alice")).await.is_err() {
        assert!(started.elapsed() < SOON, "the replica has caught up");
    }
    cluster.nodes[0].stop();
    assert_eq!(load_soon(&store, number).await.as_deref(), Some(&b"alice"[..]), "it was waited for");
    assert_eq!(replica.number(&["DBSIZE"]), 1);
}

#[tokio::test]
#[ignore = "needs redis"]
async fn a_redis_that_is_no_cluster_is_an_error() {
    let alone = Server::start();
    let store = RedisStore::cluster([alone.url()]).build().unwrap();
    let error = store.load(key(1)).await.unwrap_err();
    assert!(format!("{error:?}").contains("cluster support disabled"), "{error:?}");
    let store = RedisStore::new(&CLUSTER.nodes[0].url()).unwrap();
    let number = (0..=255).find(|number| CLUSTER.place(*number).0 == 2).unwrap();
    let error = store.load(key(number)).await.unwrap_err();
    assert!(format!("{error:?}").contains("part of a cluster"), "{error:?}");
}
