//! Faults, over sockets and with the built-in HTTP client: a provider that is away, slow, mad or false; a process that is
//! killed; a clock that jumps; files and descriptors that can't be had. Each test fills a part of `docs/faults.md`.

// Full queues, stopped processes and limits are made with what Linux has for them.
#![cfg(target_os = "linux")]
#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod answers;
mod clocks;
#[path = "../support/double.rs"]
mod double;
mod exchange;
#[path = "../support/gzip.rs"]
mod gzip;
mod kept;
mod keys;
mod killed;
mod limits;
mod place;
mod process;
mod stores;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod tls;
mod wire;
