//! Instructions that the layer costs per request, by valgrind's callgrind, over the same request to the same service without
//! it. It is a count and repeats, so it can be compared from run to run.
//!
//! `cargo bench --bench requests` prints the table; it needs valgrind. `… -- signed-in` prints the rows that begin so,
//! `… -- --check` compares the table with `benches/counts/instructions.txt`, and `… -- --write` writes that file.
//!
//! `callback` is a callback without its HTTP client: the exchange is answered at once. It runs in tasks, and some 3,000 of its
//! instructions are what has them run. Where a processor has SHA extensions its hashes, 23,000 here, take far less: valgrind has
//! none.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod situations;

use std::env;
use std::process::Command;

use http::Request;
use situations::report::report;
use situations::{Send, TIMES, run};

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag, name, kind] if flag == "--row" => run(name, kind == "bare", |send, more| {
            for _ in 0..TIMES {
                measured(send, more());
            }
        }),
        _ => report("instructions", |name| instructions(name, "layer") - instructions(name, "bare")),
    }
}

/// Per request. Callgrind counts only what runs within `measured`.
fn instructions(name: &str, kind: &str) -> i64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*requests::measured*"])
        .arg(env::current_exe().unwrap())
        .args(["--row", name, kind])
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {text}");
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1)).unwrap_or_else(|| panic!("{text}"));
    collected.trim().parse::<i64>().unwrap() / i64::try_from(TIMES).unwrap()
}

#[inline(never)]
fn measured(send: Send<'_>, request: Request<()>) {
    send(request);
}
