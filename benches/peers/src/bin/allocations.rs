//! Allocations of a row's requests over the same request to the bare router; of the bare router, its own.
//! `allocations axum-login` prints a line for each kind of request. It is a program of its own, since counting costs
//! instructions.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;

use peers::requests::{KINDS, TIMES, counted, send};

fn main() {
    let row = env::args().nth(1).expect("a row is named");
    for kind in KINDS {
        let Some(peer) = allocations(&row, &row, kind.name()) else { continue };
        let bare = allocations("bare", &row, kind.name()).filter(|_| row != "bare").unwrap_or(0);
        println!("{} {}", kind.name(), peer - bare);
    }
}

/// Per request.
fn allocations(router: &str, row: &str, kind: &str) -> Option<i64> {
    let mut count = 0;
    counted(router, row, kind, |runtime, router, request| {
        count += allocation_counter::measure(|| drop(runtime.block_on(send(router, request)))).count_total;
    })?;
    Some(i64::try_from(count).expect("they are few") / i64::try_from(TIMES).expect("they are few"))
}
