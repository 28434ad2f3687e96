//! Prints what tower-signin costs beside its peers, as a Markdown table:
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`. It needs Linux, valgrind and wrk, and half an hour.
//! `… -- axum-login` prints the rows whose names begin so; `--keep` uses what was built before and leaves out the column
//! of builds.
//!
//! Every row is the same router and handler on the same route. The bare one knows nobody, answers as if it did, and shows
//! its own numbers; instructions and allocations of the others are what they take over the bare router for the same
//! request. The columns:
//!
//! * **signed in**: instructions and allocations of a request of somebody who is signed in, with 5 cookies, by callgrind
//!   and a counting allocator. valgrind has no SHA instructions, so it counts HMAC (signed cookies, HS256) too high:
//!   compare those by time.
//! * **nobody**: the same for a request with 5 cookies of which none is the peer's.
//! * **login**: the same for the answer that sends somebody to the provider; `–` where the peer leaves that to others.
//! * **time**: of the signed-in request, over that of the bare router, taking turns in one process.
//! * **requests/s**: of the signed-in request, over those of the bare router, each from a process of its own with one
//!   worker, under wrk with 16 connections on loopback, taking turns.
//! * **peak memory**: the most that the server had in memory by then (`VmHWM`).
//! * **a session**: bytes by which each sign-in made a process grow, over the row's number of them (100,000 unless
//!   `rows.rs` says less); 0 where the server keeps nothing. What is kept of a sign-in and not of a session is left out where the peer's clock
//!   can be moved on: tower-signin remembers that a sign-in is spent for ten minutes.
//! * **crates**: what `cargo tree -e normal` lists below a package with this row's crates, axum and tokio among them.
//! * **build**: CPU seconds of a clean release build of that package and its server.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

mod build;
mod load;
mod machine;
mod measure;

use std::collections::HashMap;
use std::env;
use std::io::{Write as _, stdout};

use peers::rows::ROWS;

use self::build::Build;
use self::measure::cells;

fn main() {
    let (flags, chosen): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|argument| argument.starts_with("--"));
    assert!(flags.iter().all(|flag| flag == "--keep"), "the only flag is --keep, not {flags:?}");
    let is_kept = !flags.is_empty();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|chosen| name.starts_with(chosen.as_str()));
    let rows: Vec<_> = ROWS.iter().filter(|row| is_chosen(row.name)).collect();
    assert!(!rows.is_empty(), "the rows are {:?}", ROWS.iter().map(|row| row.name).collect::<Vec<_>>());

    // First all builds, so that none disturbs what is measured.
    let mut builds = HashMap::new();
    for row in &rows {
        builds.entry(row.feature).or_insert_with(|| Build::new(row.feature, is_kept));
    }
    let mut columns =
        vec!["", "signed in", "nobody", "login", "time", "requests/s", "peak memory", "a session", "crates"];
    columns.extend((!is_kept).then_some("build"));
    println!("| {} |\n|---|{}", columns.join(" | "), "---:|".repeat(columns.len() - 1));
    for row in rows {
        println!("| {} |", cells(row, &builds[row.feature]).join(" | "));
        stdout().flush().expect("somebody reads this");
    }
    println!("\n{}", machine::description());
}
