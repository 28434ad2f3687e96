//! Instructions of a row's requests over the same request to the bare router, by valgrind's callgrind; of the bare router,
//! its own. It is a count and repeats. `instructions axum-login` prints a line for each kind of request.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::env;
use std::process::Command;

use axum::Router;
use axum::body::Body;
use http::Request;
use peers::requests::{KINDS, TIMES, counted, send};
use tokio::runtime::Runtime;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [row] => {
            for kind in KINDS {
                let Some(peer) = instructions(row, row, kind.name()) else { continue };
                let bare = instructions("bare", row, kind.name()).filter(|_| row != "bare").unwrap_or(0);
                println!("{} {}", kind.name(), peer - bare);
            }
        }
        [router, row, kind] => println!("{}", counted(router, row, kind, measured).is_some()),
        _ => panic!("one row is named"),
    }
}

/// Per request. Callgrind counts only what runs within `measured`.
fn instructions(router: &str, row: &str, kind: &str) -> Option<i64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=instructions::measured*"])
        .arg(env::current_exe().expect("this program has a path"))
        .args([router, row, kind])
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1)).unwrap_or_else(|| panic!("{text}"));
    let collected: i64 = collected.trim().parse().expect("it is a number");
    output.stdout.starts_with(b"true").then_some(collected / i64::try_from(TIMES).expect("they are few"))
}

#[inline(never)]
fn measured(runtime: &Runtime, router: &mut Router, request: Request<Body>) {
    drop(runtime.block_on(send(router, request)));
}
