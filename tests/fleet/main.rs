//! Several processes of the example `nodes`, with their sessions in Redis or the list of those that were ended: what one of them
//! does counts at all, what they do at once is done once, and what happens when one of them dies or Redis is away.
//!
//! `cargo test` builds the example; before `cargo test --test fleet -- --include-ignored` alone, `cargo build --example nodes` does.

#![allow(missing_docs, unreachable_pub, reason = "tests")]
#![allow(clippy::print_stdout, reason = "how long things took, for who wants to read it")]

mod away;
mod killed;
mod nodes;
mod people;
#[path = "../support/cut.rs"]
mod proxy;
mod refresh;
#[path = "../support/redis_server.rs"]
mod server;
#[path = "../support/mod.rs"]
mod support;
