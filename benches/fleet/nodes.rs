//! Sign-ins per second of one node and of two, each a process: this program, run again for it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io};

use tower_signin::RedisStore;

use crate::server::Server;
use crate::site::Site;
use crate::{cpu, median};

/// Tells a process that it is a node, and where its sessions are.
const NODE: &str = "FLEET_NODE";
/// The server's URL.
const REDIS: &str = "FLEET_REDIS";

const ROUNDS: usize = 7;
const STRETCH: Duration = Duration::from_secs(1);

/// Sign-ins under way in a node.
const AT_ONCE: usize = 32;

struct Row {
    name: String,
    place: &'static str,
    nodes: usize,
    per_second: Vec<f64>,
    here: Vec<f64>,
    there: Vec<f64>,
}

pub(crate) fn table(server: Option<&Server>) {
    let places: &[_] = if server.is_some() {
        &["sealed cookie", "sealed, and a list in Redis", "in Redis"]
    } else {
        &["sealed cookie"]
    };
    let mut rows: Vec<_> = places.iter().flat_map(|place| [Row::new(place, 1), Row::new(place, 2)]).collect();
    for _ in 0..ROUNDS {
        for row in &mut rows {
            row.turn(server);
        }
    }
    println!("{:<38} {:>12} {:>11} {:>11} {:>13}", "nodes", "sign-ins/s", "to one", "us of node", "us of server");
    for (at, row) in rows.iter().enumerate() {
        let one = &rows[at - at % 2];
        let ratio = median(row.per_second.iter().zip(&one.per_second).map(|(this, one)| this / one));
        let middle = |turns: &[f64]| median(turns.iter().copied());
        println!(
            "{:<38} {:>12.0} {ratio:>11.2} {:>11.1} {:>13.1}",
            row.name,
            middle(&row.per_second),
            middle(&row.here),
            middle(&row.there)
        );
    }
    println!();
}

impl Row {
    fn new(place: &'static str, nodes: usize) -> Self {
        let name = if nodes == 1 { format!("{place}, one") } else { "… two".to_owned() };
        Self { name, place, nodes, per_second: Vec::new(), here: Vec::new(), there: Vec::new() }
    }

    fn turn(&mut self, server: Option<&Server>) {
        if let Some(server) = server {
            server.ask(&["FLUSHALL"]);
        }
        let mut nodes: Vec<_> = (0..self.nodes).map(|_| Node::start(self.place, server)).collect();
        let before = server.map_or(0, cpu::of_server);
        nodes.iter_mut().for_each(Node::go);
        let (counts, times): (Vec<_>, Vec<_>) = nodes.iter_mut().map(Node::told).unzip();
        let (count, time) = (counts.iter().sum::<f64>(), times.iter().sum::<f64>());
        let there = server.filter(|_| self.place != "sealed cookie").map_or(before, cpu::of_server) - before;
        self.per_second.push(count / STRETCH.as_secs_f64());
        self.here.push(time / count / 1e3);
        self.there.push(there as f64 / count / 1e3);
    }
}

/// It ends when its standard input does.
struct Node {
    child: Child,
    orders: Option<ChildStdin>,
    words: BufReader<ChildStdout>,
}

impl Node {
    /// Gives it once it is ready.
    fn start(place: &str, server: Option<&Server>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(NODE, place).env(REDIS, server.map(Server::url).unwrap_or_default());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, words) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut node = Self { child, orders, words };
        assert_eq!(node.line(), "ready");
        node
    }

    fn go(&mut self) {
        writeln!(self.orders.as_mut().expect("it runs"), "go").unwrap();
    }

    /// How many signed in, and the CPU time of all.
    fn told(&mut self) -> (f64, f64) {
        let line = self.line();
        let (count, time) = line.split_once(' ').expect("two numbers");
        (count.parse().unwrap(), time.parse().unwrap())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.words.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

pub(crate) fn is_one() -> bool {
    env::var_os(NODE).is_some()
}

/// As a node.
pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = || RedisStore::new(&env::var(REDIS).unwrap()).unwrap();
    let site = Site::new(|builder| match env::var(NODE).unwrap().as_str() {
        "in Redis" => builder.session_store(store()),
        "sealed, and a list in Redis" => builder.revocation_list(store()),
        _ => builder,
    });
    let site = std::sync::Arc::new(site);
    // Connects.
    runtime.block_on(site.sign_in());
    println!("ready");
    let mut order = String::new();
    while io::stdin().read_line(&mut order).unwrap() > 0 {
        let before = cpu::of_this_thread();
        let count = runtime.block_on(async {
            let start = Instant::now();
            let browsers: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let site = std::sync::Arc::clone(&site);
                    tokio::spawn(async move {
                        let mut count = 0;
                        while start.elapsed() < STRETCH {
                            site.sign_in().await;
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            let mut count = 0;
            for browser in browsers {
                count += browser.await.unwrap();
            }
            count
        });
        println!("{count} {}", cpu::of_this_thread() - before);
    }
}
