//! Sessions in Redis, against servers of the tests' own: Debian's `redis-server`, on 127.0.0.1. Valkey speaks the same protocol;
//! these tests have not been run against it.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod away;
mod cluster;
mod contents;
mod fleet;
#[path = "../support/cut.rs"]
mod proxy;
mod replicas;
mod rules;
#[path = "../support/redis_server.rs"]
mod server;
mod tls;
