//! Allocations that the layer costs per request, over the same request to the same service without it.
//!
//! `cargo bench --bench allocations` prints the table. It is a program of its own, since counting costs instructions.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod situations;

use situations::{NAMES, TIMES, run};

fn main() {
    println!("{:<26} {:>12}", "request", "allocations");
    for name in NAMES {
        println!("{name:<26} {:>12}", allocations(name, false) - allocations(name, true));
    }
}

fn allocations(name: &str, is_bare: bool) -> i64 {
    let mut count = 0;
    run(name, is_bare, |send, requests, _| {
        count = allocation_counter::measure(|| requests.into_iter().for_each(send)).count_total;
    });
    i64::try_from(count).unwrap() / i64::try_from(TIMES).unwrap()
}
