//! Time that a request takes with the layer and without it, in nanoseconds.
//!
//! `cargo bench --bench time` prints the table, and `… -- signed-in` the rows that begin so. Both kinds take turns of 200
//! requests in one process. `bare` and `layer` are the fastest turns; `ratio` is the median over all pairs of turns, so that
//! a machine that is slow for a second makes both slow. Times are good only in comparison within one run.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

mod situations;

use std::time::{Duration, Instant};
use std::{array, env};

use situations::{More, NAMES, Send, TIMES, prove, run};

/// Turns of each kind.
const TURNS: usize = 300;

const AT_ONCE: usize = 10;

fn main() {
    let chosen: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    println!("{:<26} {:>9} {:>9} {:>8}", "request", "bare ns", "layer ns", "ratio");
    for name in NAMES {
        if chosen.is_empty() || chosen.iter().any(|chosen| name.starts_with(chosen.as_str())) {
            prove(name);
            run(name, true, |send_bare, more_bare| {
                run(name, false, |send, more| {
                    row(name, || turn(send_bare, more_bare), || turn(send, more));
                });
            });
        }
    }
}

fn row(name: &str, mut bare: impl FnMut() -> f64, mut layer: impl FnMut() -> f64) {
    let (mut fastest_bare, mut fastest_layer) = (f64::MAX, f64::MAX);
    let mut ratios = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        let (bare, layer) = (bare(), layer());
        fastest_bare = fastest_bare.min(bare);
        fastest_layer = fastest_layer.min(layer);
        ratios.push(layer / bare);
    }
    ratios.sort_by(f64::total_cmp);
    println!("{name:<26} {fastest_bare:>9.0} {fastest_layer:>9.0} {:>8.2}", ratios[TURNS / 2]);
}

/// Nanoseconds per request. Only few are made at once, so that they are in the cache like those of a server.
fn turn(send: Send<'_>, more: More<'_>) -> f64 {
    let mut elapsed = Duration::ZERO;
    for _ in 0..TIMES / AT_ONCE {
        let requests: [_; AT_ONCE] = array::from_fn(|_| more());
        let start = Instant::now();
        requests.into_iter().for_each(&mut *send);
        elapsed += start.elapsed();
    }
    elapsed.as_nanos() as f64 / TIMES as f64
}
