//! Time of the signed-in request over that of the same request to the bare router, in one process: `time axum-login`.
//!
//! The machine's speed swings, so the two take turns, and the median of the ratios of neighbours is printed.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::time::{Duration, Instant};
use std::{array, env};

use axum::Router;
use peers::requests::{Kind, Template, prove, send};
use tokio::runtime::{Builder, Runtime};

const TURNS: usize = 101;
const TURN: Duration = Duration::from_millis(10);
const AT_A_TIME: usize = 16;

fn main() {
    let row = env::args().nth(1).expect("a row is named");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let mut bare = runtime.block_on(peers::peers::peer("bare"));
    let mut peer = runtime.block_on(peers::peers::peer(&row));
    runtime.block_on(prove(&mut peer, row == "bare"));
    let template = Template::new(&peer, Kind::SignedIn).expect("every row has one");
    let mut of_bare = Turns::new(&runtime, &mut bare.router, &template);
    let mut of_peer = Turns::new(&runtime, &mut peer.router, &template);
    let mut ratios: Vec<_> = (0..TURNS)
        .map(|turn| {
            // Whoever comes second finds warmer or colder caches, so they change places.
            let first = if turn % 2 == 0 { of_peer.seconds() } else { of_bare.seconds() };
            let second = if turn % 2 == 0 { of_bare.seconds() } else { of_peer.seconds() };
            if turn % 2 == 0 { first / second } else { second / first }
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("{:.3}", ratios[TURNS / 2]);
}

struct Turns<'a> {
    runtime: &'a Runtime,
    router: &'a mut Router,
    template: &'a Template,
    /// How many times so many requests a turn has.
    count: usize,
}

impl<'a> Turns<'a> {
    fn new(runtime: &'a Runtime, router: &'a mut Router, template: &'a Template) -> Self {
        let mut turns = Self { runtime, router, template, count: 1 };
        while turns.seconds() * ((turns.count * AT_A_TIME) as f64) < TURN.as_secs_f64() {
            turns.count *= 2;
        }
        turns
    }

    /// Per request, of one turn. The requests are made a few at a time, so that they are in the cache like those of a server.
    fn seconds(&mut self) -> f64 {
        let mut elapsed = Duration::ZERO;
        for _ in 0..self.count {
            let requests: [_; AT_A_TIME] = array::from_fn(|_| self.template.request());
            let begin = Instant::now();
            for request in requests {
                self.runtime.block_on(send(self.router, request));
            }
            elapsed += begin.elapsed();
        }
        elapsed.as_secs_f64() / (self.count * AT_A_TIME) as f64
    }
}
