//! Allocations that the layer costs per request, over the same request to the same service without it.
//!
//! `cargo bench --bench allocations` prints the table, `… -- --check` compares it with `benches/counts/allocations.txt`, and
//! `… -- --write` writes that file. It is a program of its own, since counting costs instructions.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod situations;

use situations::report::report;
use situations::{TIMES, prove, run};

fn main() {
    report("allocations", |name| {
        prove(name);
        allocations(name, false) - allocations(name, true)
    });
}

fn allocations(name: &str, is_bare: bool) -> i64 {
    let mut count = 0;
    run(name, is_bare, |send, more| {
        for _ in 0..TIMES {
            let request = more();
            count += allocation_counter::measure(|| send(request)).count_total;
        }
    });
    i64::try_from(count).unwrap() / i64::try_from(TIMES).unwrap()
}
