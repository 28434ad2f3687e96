//! The whole crate on shuttle's locks, tasks and timers: what must hold in whichever order threads take their turns. Every
//! use of a lock, a counter or a channel is a turn, also in the middle of a poll.

#![allow(missing_docs, reason = "tests")]

mod app;
#[path = "../../support/bank.rs"]
mod bank;
#[path = "../../support/double.rs"]
mod double;
mod fleet;
mod memory;
mod recheck;
mod sessions;
mod sign_in;
#[path = "../../support/site.rs"]
mod site;
mod stored;
#[path = "../../support/jar.rs"]
mod support;
mod tokens;

use std::env;
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// So long each test looks for an order that breaks it, half of it with orders drawn at random, half with few switches in
/// each (PCT, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010). `INTERLEAVINGS_SECONDS` sets
/// another time, and new orders with it.
const SECONDS: u64 = 2;
/// The switches that PCT places.
const DEPTH: usize = 3;
/// The orders of a run without the variable are the same each time.
const SEED: u64 = 26;

/// Runs a test in as many orders as there is time for. One that fails prints its order; with it in the file that
/// `INTERLEAVINGS_REPLAY` names, only that one is run.
fn explore<F: Future<Output = ()> + 'static>(name: &str, test: fn() -> F) {
    let run = move || shuttle::future::block_on(test());
    if let Ok(file) = env::var("INTERLEAVINGS_REPLAY") {
        let replay = ReplayScheduler::new_from_file(file).expect("a file with an order");
        Runner::new(replay, config(Duration::MAX)).run(run);
        return;
    }
    let (half, random, pct) = match env::var("INTERLEAVINGS_SECONDS") {
        Ok(seconds) => {
            let seconds: u64 = seconds.parse().expect("INTERLEAVINGS_SECONDS is a number of seconds");
            let random = RandomScheduler::new(usize::MAX);
            (Duration::from_secs(seconds) / 2, random, PctScheduler::new(DEPTH, usize::MAX))
        }
        Err(_) => {
            let random = RandomScheduler::new_from_seed(SEED, usize::MAX);
            (Duration::from_secs(SECONDS) / 2, random, PctScheduler::new_from_seed(SEED, DEPTH, usize::MAX))
        }
    };
    let tried = search(random, half, run) + search(pct, half, run);
    eprintln!("{name}: {tried} orders");
    assert!(tried > 1, "{name}: there was no time");
}

fn search(scheduler: impl Scheduler + 'static, time: Duration, run: impl Fn() + Send + Sync + 'static) -> usize {
    Runner::new(scheduler, config(time)).run(run)
}

fn config(time: Duration) -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.max_time = Some(time);
    // That relaxed counters are played as strict ones is known.
    config.silence_warnings = true;
    config
}

/// A test for each name, and what it runs.
macro_rules! in_many_orders {
    ($($name:ident),+ $(,)?) => {
        $(
            #[test]
            fn $name() {
                crate::explore(stringify!($name), super::$name);
            }
        )+
    };
}
use in_many_orders;
