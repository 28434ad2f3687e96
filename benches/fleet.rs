//! What it costs that many machines serve one site.
//!
//! `cargo bench --bench fleet` prints five tables in some two minutes, on Linux. It starts a `redis-server` of its own; where none is
//! installed, it says so and leaves out the rows that need one. Everything but that server is on one core: what a request takes,
//! with the client of Redis in it.
//!
//! **Requests** of somebody signed in, by where sessions are. All take turns; `ns` is the median turn, `to bare` and `to sealed` the
//! medians over all rounds of the time in comparison with the same service without the layer, and with sealed cookies alone.
//! `allocations` are over the bare service's; with Redis they include the task that writes and reads. One list has
//! a person's entry among a hundred sessions'. Rows of Redis are of requests one after the other, which is the latency, and of 64 at
//! once, which is what a core gets done.
//!
//! **CPU** of the same: what a request takes of this thread's time, and of the server's, over a second of each. What the system
//! does for either is in it. A machine that is busy with other things changes the times above more than these.
//!
//! **Sign-ins** and sign-outs one after the other, by a provider that answers at once and without a network: `trips` are how often
//! the server of Redis was asked something, one after the other.
//!
//! **Nodes**: sign-ins per second of one and of two processes with 32 sign-ins under way in each, by turns of a second. Two nodes
//! and a server are three processes: on a machine of two cores they share, and the columns of CPU time say what each takes.
//!
//! **Bytes** that the server of Redis holds, by `MEMORY USAGE`, for each session of a person of its own; and at the bottom by how much all of its
//! memory grew.
//!
//! The allocator counts, which takes a few nanoseconds of each allocation in all rows. Times are good only in comparison within one run.

#![allow(missing_docs, unreachable_pub, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

#[path = "fleet/bytes.rs"]
mod bytes;
#[path = "fleet/cpu.rs"]
mod cpu;
#[path = "fleet/nodes.rs"]
mod nodes;
#[path = "fleet/requests.rs"]
mod requests;
#[path = "../tests/support/redis_server.rs"]
mod server;
#[path = "fleet/sign_ins.rs"]
mod sign_ins;
#[path = "fleet/site.rs"]
mod site;

use std::process::{Command, Stdio};

use server::Server;

fn main() {
    if nodes::is_one() {
        return nodes::run();
    }
    let server = has_redis().then(Server::start);
    if server.is_none() {
        println!("no redis-server is installed (apt-get install redis-server): what needs one is left out\n");
    }
    requests::tables(server.as_ref());
    sign_ins::table(server.as_ref());
    nodes::table(server.as_ref());
    if let Some(server) = &server {
        bytes::table(server);
    }
}

fn has_redis() -> bool {
    let version = Command::new("redis-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// The middle of these.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
