//! Servers under wrk.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::build::Build;

/// What a server did under load.
pub(crate) struct Load {
    /// Requests per second, over those of the bare router.
    pub(crate) rate: f64,
    /// The most that its process had in memory, in 1,000,000 bytes.
    pub(crate) peak_megabytes: f64,
}

const TURNS: usize = 3;
const SECONDS_OF_A_TURN: u32 = 3;

/// The row's server and a bare one take turns; the median of the ratios of neighbours counts.
pub(crate) fn under_wrk(row: &str, build: &Build) -> Load {
    eprintln!("wrk of {row}");
    let bare = Server::start("bare", build);
    let peer = Server::start(row, build);
    let mut rates: Vec<_> = (0..TURNS)
        .map(|turn| {
            let (first, second) = if turn % 2 == 0 { (&bare, &peer) } else { (&peer, &bare) };
            let (first, second) = (first.rate(&peer.headers), second.rate(&peer.headers));
            if turn % 2 == 0 { second / first } else { first / second }
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    Load { rate: rates[TURNS / 2], peak_megabytes: peer.peak_megabytes() }
}

struct Server {
    process: Child,
    port: u16,
    /// Of the signed-in user.
    headers: Vec<String>,
}

impl Server {
    fn start(row: &str, build: &Build) -> Self {
        let mut command = build.program("serve");
        let mut process =
            command.arg(row).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("serve was built");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut lines = output.lines().map(|line| line.expect("it is text")).take_while(|line| !line.is_empty());
        let port = lines.next().and_then(|port| port.parse().ok()).expect("a port comes first");
        Self { headers: lines.collect(), process, port }
    }

    fn rate(&self, headers: &[String]) -> f64 {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t1", "-c16"]).arg(format!("-d{SECONDS_OF_A_TURN}s"));
        for header in headers {
            wrk.args(["-H", header]);
        }
        let output = wrk.arg(format!("http://127.0.0.1:{}/page", self.port)).output().expect("wrk is installed");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).unwrap_or_else(|| panic!("{text}"));
        rate.trim().parse().expect("it is a number")
    }

    fn peak_megabytes(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is told");
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
        kibibytes * 1024.0 / 1e6
    }
}

impl Drop for Server {
    /// It ends with its standard input.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}
