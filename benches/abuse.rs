//! One site under load and abuse at once, which must hold all the while.
//!
//! `cargo bench --bench abuse` takes 20 seconds, `… -- --seconds 10` and `… -- --minutes 5` as long as they say, and
//! `--store` has the sessions in a `MemoryStore`. It needs Linux, where /proc tells the memory of a process.
//!
//! The site is an axum app on hyper in a process of its own, which speaks HTTP/1 and HTTP/2 on 127.0.0.1; the provider and
//! everybody else are in this one. People who are signed in ask for pages. At the same time come floods of login, callbacks
//! that are forged, stale, used or of another browser, cookies of every wrong kind up to a megabyte, logouts of other sites,
//! and clients that drip, stall, reset or leave; the provider is slow for some and fails for others, and every five seconds
//! more sign in at once than the 64 that the layer lets. Some people sign in all the way, and out again.
//!
//! It fails where anything forged was accepted, a signed-in request was answered as anybody else or nobody, an honest
//! sign-in did not succeed (who is told to come again does so), an answer was another than the one that is due, which no 5xx
//! is for bad input, the server panicked or ended, or held more at the end than it may: 4 MiB more than after the first
//! tenth of the time, and 1 KiB for each sign-in since, which is remembered for ten minutes and in the store; and two
//! descriptors for each of the 64 exchanges that run at once, since connections to the provider are kept. It never fails for
//! being slow. Readings are of the server at rest, between parts of the load. Latencies are those that the signed-in people
//! see, in turns while they are alone (`idle`) and under abuse; both sides share the cores.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

#[path = "abuse/callbacks.rs"]
mod callbacks;
#[path = "abuse/cookies.rs"]
mod cookies;
#[path = "abuse/flood.rs"]
mod flood;
#[path = "abuse/honest.rs"]
mod honest;
#[path = "abuse/provider.rs"]
mod provider;
#[path = "abuse/report.rs"]
mod report;
#[path = "abuse/server.rs"]
mod server;
#[path = "abuse/slow.rs"]
mod slow;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "abuse/visitor.rs"]
mod visitor;
#[path = "abuse/world.rs"]
mod world;

use std::env;
use std::process::exit;
use std::sync::Arc;
use std::time::{Duration, Instant};

use provider::Provider;
use report::{Fault, Report, mebibytes};
use server::Server;
use world::World;

/// What may be held beyond the reading that is called warm, and for each sign-in since.
const MOST_GROWTH: u64 = 4 << 20;
const FOR_EACH_SIGN_IN: u64 = 1 << 10;
/// Connections to the provider that are kept (hyper's client may open one while it waits for another), and what a runtime
/// opens late.
const MOST_DESCRIPTORS: usize = 2 * 64 + 8;

fn main() {
    if server::is_asked_for() {
        return server::run();
    }
    let (time, is_stored) = arguments();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let held = runtime.block_on(load(time, is_stored));
    if !held {
        exit(1);
    }
}

async fn load(time: Duration, is_stored: bool) -> bool {
    let report = Arc::new(Report::default());
    let provider = Arc::new(Provider::start(&report).await);
    let mut server = Server::start(provider.dev.origin(), &provider.api, is_stored).await;
    let mut readings = vec![server.at_rest("at start", usize::MAX).await];
    let quiet = readings[0].descriptors + MOST_DESCRIPTORS;
    let begin = Instant::now();
    let world = World::new(server.address, Arc::clone(&provider), Arc::clone(&report), is_stored).await;
    let mut warm_exchanges = 0;
    for (name, tenths) in [("warm", 1), ("in the middle", 4), ("at the end", 5)] {
        let part = time * tenths / 10;
        world.idle(part / 10).await;
        world.abuse(part * 9 / 10).await;
        readings.push(server.at_rest(name, quiet).await);
        if name == "warm" {
            warm_exchanges = provider.exchanges();
        }
    }
    let took = begin.elapsed();
    let (warm, end) = (&readings[1], &readings[3]);
    let allowed = MOST_GROWTH + FOR_EACH_SIGN_IN * (provider.exchanges() - warm_exchanges);
    if end.memory > warm.memory + allowed {
        let (grown, allowed) = (mebibytes(end.memory - warm.memory), mebibytes(allowed));
        report
            .fault(Fault::Memory, format!("{grown:.1} MiB more than when it was warm, where {allowed:.1} are allowed"));
    }
    if end.descriptors > quiet {
        report.fault(Fault::Descriptors, format!("{} at the end, where {quiet} are allowed", end.descriptors));
    }
    for _ in 0..server.panics() {
        report.fault(Fault::ServerPanicked, "see above");
    }
    if server.has_ended() {
        report.fault(Fault::ServerPanicked, "the process has ended");
    }
    report.print(took, &readings, allowed)
}

/// How long, and whether with a store.
fn arguments() -> (Duration, bool) {
    let (mut time, mut is_stored) = (Duration::from_secs(20), false);
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|number| number.parse().ok());
            number.unwrap_or_else(|| panic!("{argument} takes a number"))
        };
        match argument.as_str() {
            "--seconds" => time = Duration::from_secs(number()),
            "--minutes" => time = Duration::from_secs(60 * number()),
            "--store" => is_stored = true,
            unknown => panic!("there is --seconds, --minutes and --store, no {unknown}"),
        }
    }
    (time, is_stored)
}
