//! What it takes to sign in and out, one after the other.

use std::time::Instant;

use tokio::runtime::Runtime;
use tower_signin::{Builder, MemoryStore};

use crate::median;
use crate::server::Server;
use crate::site::Site;

const ROUNDS: usize = 40;

/// People of a turn, and those for whom trips to the server are counted: the question for their number is some trips itself.
const PEOPLE: usize = 25;
const COUNTED: usize = 200;

struct Kind {
    name: &'static str,
    site: Site,
    is_redis: bool,
    ins: Vec<f64>,
    outs: Vec<f64>,
}

pub(crate) fn table(server: Option<&Server>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut kinds = vec![
        Kind::new("sealed cookie", false, |builder| builder),
        Kind::new("… and a list in memory", false, |builder| builder.revocation_list(MemoryStore::new())),
        Kind::new("in memory", false, |builder| builder.session_store(MemoryStore::new())),
    ];
    if let Some(server) = server {
        kinds.push(Kind::new("sealed, and a list in Redis", true, |builder| builder.revocation_list(server.store())));
        kinds.push(Kind::new("in Redis", true, |builder| builder.session_store(server.store())));
    }
    for _ in 0..ROUNDS {
        for kind in &mut kinds {
            let (ins, outs) = kind.turn(&runtime, PEOPLE, || {});
            kind.ins.push(ins);
            kind.outs.push(outs);
        }
    }
    println!(
        "{:<38} {:>8} {:>10} {:>6} {:>8} {:>10} {:>6}",
        "sign-ins", "in us", "to sealed", "trips", "out us", "to sealed", "trips"
    );
    for kind in &kinds {
        let ratio = |turns: &[f64], sealed: &[f64]| median(turns.iter().zip(sealed).map(|(this, it)| this / it));
        let (ins, outs) = kind.trips(&runtime, server.filter(|_| kind.is_redis));
        println!(
            "{:<38} {:>8.0} {:>10.2} {ins:>6} {:>8.0} {:>10.2} {outs:>6}",
            kind.name,
            median(kind.ins.iter().copied()),
            ratio(&kind.ins, &kinds[0].ins),
            median(kind.outs.iter().copied()),
            ratio(&kind.outs, &kinds[0].outs),
        );
    }
    println!();
}

impl Kind {
    fn new(name: &'static str, is_redis: bool, configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self { name, site: Site::new(configure), is_redis, ins: Vec::new(), outs: Vec::new() }
    }

    /// Microseconds of a sign-in and of a sign-out.
    fn turn(&self, runtime: &Runtime, people: usize, between: impl FnOnce()) -> (f64, f64) {
        let mut cookies = Vec::with_capacity(people);
        let each = |start: Instant| start.elapsed().as_secs_f64() * 1e6 / people as f64;
        let ins = runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..people {
                cookies.push(self.site.sign_in().await);
            }
            each(start)
        });
        between();
        let outs = runtime.block_on(async {
            let start = Instant::now();
            for cookies in &cookies {
                self.site.sign_out(cookies).await;
            }
            each(start)
        });
        (ins, outs)
    }

    /// How often the server is asked something for a sign-in, and for a sign-out.
    fn trips(&self, runtime: &Runtime, server: Option<&Server>) -> (u64, u64) {
        let Some(server) = server else { return (0, 0) };
        let (before, mut middle) = (reads(server), 0);
        self.turn(runtime, COUNTED, || middle = reads(server));
        let each = |reads: u64| reads / COUNTED as u64;
        (each(middle - before), each(reads(server) - middle))
    }
}

/// How often the server has read something. With one step after the other, that is once for each.
fn reads(server: &Server) -> u64 {
    let info = server.ask(&["INFO", "stats"]);
    let reads = info.lines().find_map(|line| line.strip_prefix("total_reads_processed:")).expect("it says");
    reads.trim().parse().unwrap()
}
