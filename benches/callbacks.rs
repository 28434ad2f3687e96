//! Whole callbacks over TLS, and what many of them do to everybody else.
//!
//! `cargo bench --bench callbacks` prints two tables; it takes about a minute. The provider and all clients are in this process,
//! each side in a thread of its own, on 127.0.0.1.
//!
//! The first compares whole callbacks through the layer, whose own HTTP client exchanges the code at a TLS server on a connection
//! that is kept, with the same POST made by the same kind of client alone: `post us` and `callback us` are microseconds of each
//! at its fastest turn, `own us` is their difference, `per second` how many callbacks that is, `ratio` the median over all turns
//! of the time of a callback in comparison with a POST. Turns alternate.
//!
//! The second is of a hyper server with the layer over real sockets, whose provider answers after 300 ms: the 99th percentile
//! of the latency of signed-in requests while nothing else is asked, and while 500 browsers wait; `in flight` is how many did,
//! at the end of a window. The two take turns; `ratio` is the median over all pairs. The first row is of 500 that wait for a
//! page of the app that takes as long: what they cost without a callback, on a machine whose cores the clients share. The layer
//! runs 64 attempts at once and asks others to come again, so there are two more: 500 callbacks of 63 sign-ins, as of
//! people who click eight times, all of which wait; and 500 sign-ins, of which 64 wait and the others come again when they
//! have been told to.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

#[path = "callbacks/exchange.rs"]
mod exchange;
#[path = "callbacks/latency.rs"]
mod latency;
#[path = "callbacks/provider.rs"]
mod provider;
#[path = "situations/visit.rs"]
mod visit;

use std::env;
use std::process::Command;

/// Tells the program that it runs with the certificate of its own provider as the only one that is trusted.
const PROVIDER: &str = "CALLBACKS_PROVIDER";

fn main() {
    match env::var(PROVIDER) {
        Ok(origin) => measure(&origin),
        Err(_) => {
            // The trust store is looked up in the environment of the process.
            let certified = provider::Certified::new();
            let origin = provider::start(Some(&certified), std::time::Duration::ZERO);
            let status = Command::new(env::current_exe().unwrap())
                .env("SSL_CERT_FILE", certified.file())
                .env("SSL_CERT_DIR", "/no/such/place")
                .env(PROVIDER, origin)
                .status();
            assert!(status.unwrap().success());
        }
    }
}

fn measure(origin: &str) {
    exchange::table(origin);
    println!();
    latency::table();
}
