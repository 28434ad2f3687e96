//! The rules that every store keeps to, on each kind of server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use tower_signin::conformance::Fixture;
use tower_signin::{ManualClock, RedisStoreBuilder};

use crate::server::Server;

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// A part of a server that nobody else uses.
pub fn part_of(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    static PARTS: AtomicU32 = AtomicU32::new(0);
    builder.key_prefix(format!("{}:", PARTS.fetch_add(1, Ordering::Relaxed)))
}

pub fn on_manual_clock(builder: RedisStoreBuilder) -> Fixture {
    // It begins now: the server removes keys by its own clock.
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let store = part_of(builder).clock(Arc::clone(&clock)).build().unwrap();
    Fixture::on_manual_clock(store, &clock)
}

mod redis {
    use super::*;

    async fn one_server() -> Fixture {
        on_manual_clock(tower_signin::RedisStore::builder(SERVER.url()))
    }

    tower_signin::store_conformance!(
        #[ignore = "needs redis"]
        one_server
    );
}

mod redis_on_the_system_s_clock {
    use super::*;

    async fn one_server() -> Fixture {
        Fixture::on_system_clock(part_of(tower_signin::RedisStore::builder(SERVER.url())).build().unwrap())
    }

    tower_signin::store_conformance!(
        #[ignore = "needs redis"]
        one_server
    );
}

/// With a user who may do what the documentation names, and nothing else.
mod redis_with_a_password {
    use super::*;

    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let server = Server::start();
        let rights = "on >pass:w%rd ~*:s:* ~*:g:* -@all +evalsha +eval +get +getrange +setrange +set +del +pexpireat \
                      +zadd +zrem +zrange +zremrangebyscore +ping";
        let words: Vec<_> = ["ACL", "SETUSER", "signin"].into_iter().chain(rights.split_whitespace()).collect();
        assert_eq!(server.ask(&words), "+OK\r\n");
        assert_eq!(server.ask(&["ACL", "SETUSER", "default", "off"]), "+OK\r\n");
        server
    });

    async fn one_server() -> Fixture {
        on_manual_clock(tower_signin::RedisStore::builder(format!(
            "redis://signin:pass%3Aw%25rd@127.0.0.1:{}",
            SERVER.port
        )))
    }

    tower_signin::store_conformance!(
        #[ignore = "needs redis"]
        one_server
    );
}

/// As nodes of a fleet: each step by another connection.
mod redis_from_many_nodes {
    use crate::fleet::Fleet;

    use super::*;

    async fn one_server() -> Fixture {
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        static PARTS: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("fleet{}:", PARTS.fetch_add(1, Ordering::Relaxed));
        let node = || {
            let builder = tower_signin::RedisStore::builder(SERVER.url()).key_prefix(&prefix);
            builder.clock(Arc::clone(&clock)).build().unwrap()
        };
        Fixture::on_manual_clock(Fleet::of([node(), node(), node()]), &clock)
    }

    tower_signin::store_conformance!(
        #[ignore = "needs redis"]
        one_server
    );
}
