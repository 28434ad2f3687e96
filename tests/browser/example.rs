//! An example program, as a person runs it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// What of the environment an example reads, but for the port.
const CONCERNED: [&str; 8] = [
    "BITBADGES_CLIENT_ID",
    "BITBADGES_CLIENT_SECRET",
    "BITBADGES_API_KEY",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "GITHUB_CLIENT_ID",
    "GITHUB_CLIENT_SECRET",
    "SIGNIN_KEYS",
];

/// The running program; dropping it kills it.
pub struct Example {
    pub port: u16,
    _process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Example {
    /// `axum`.
    pub async fn start() -> Self {
        Self::start_program("axum").await
    }

    /// Starts it on a port that was free a moment ago, and on another one where that was taken meanwhile.
    pub async fn start_program(name: &str) -> Self {
        for _ in 0..5 {
            if let Some(example) = Self::start_on(name, free_ports_in_a_row()).await {
                return example;
            }
        }
        panic!("the example ended five times before it said where it listens");
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port)
    }

    /// Where the dev provider of the example listens.
    pub fn provider(&self) -> String {
        self.provider_at(1)
    }

    /// Where the dev provider that many ports above listens.
    pub fn provider_at(&self, distance: u16) -> String {
        format!("http://localhost:{}", self.port + distance)
    }

    async fn start_on(name: &str, port: u16) -> Option<Self> {
        let mut command = Command::new(program(name));
        for variable in CONCERNED {
            command.env_remove(variable);
        }
        command.env("PORT", port.to_string()).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().expect("the example starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let opened = timeout(Duration::from_secs(20), async {
            while let Some(line) = lines.next_line().await.expect("its output is text") {
                if line.starts_with("Open http://") {
                    return Some(line);
                }
            }
            None
        });
        let line = opened.await.expect("the example says where it listens within 20 s")?;
        assert_eq!(line, format!("Open http://localhost:{port}/"));
        Some(Self { port, _process: process, _stdout: lines })
    }
}

/// `cargo test` builds the examples next to the tests: `target/debug/deps/browser-…` and `target/debug/examples/axum`.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let program = test.ancestors().nth(2).expect("a test lies in target/…/deps").join("examples").join(name);
    assert!(program.is_file(), "{} is missing: run `cargo build --example {name}`", program.display());
    program
}

/// An example takes up to three ports after its own for dev providers.
fn free_ports_in_a_row() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..1000 {
        let any = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = any.expect("a free port").port() & !3;
        if (port..port + 4).all(is_free) {
            return port;
        }
    }
    panic!("no four free ports side by side");
}
