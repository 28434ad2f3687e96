//! The example program `axum`, as a person runs it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The running program; dropping it kills it.
pub struct Example {
    pub port: u16,
    _process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Example {
    /// Starts it on a port that was free a moment ago, and on another one where that was taken meanwhile.
    pub async fn start() -> Self {
        for _ in 0..5 {
            if let Some(example) = Self::start_on(free_pair_of_ports()).await {
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
        format!("http://localhost:{}", self.port + 1)
    }

    async fn start_on(port: u16) -> Option<Self> {
        let mut command = Command::new(program());
        for name in ["BITBADGES_CLIENT_ID", "BITBADGES_CLIENT_SECRET", "BITBADGES_API_KEY", "SIGNIN_KEYS"] {
            command.env_remove(name);
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
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let program = test.ancestors().nth(2).expect("a test lies in target/…/deps").join("examples/axum");
    assert!(program.is_file(), "{} is missing: run `cargo build --example axum`", program.display());
    program
}

/// The example takes the port after its own for the dev provider.
fn free_pair_of_ports() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..1000 {
        let any = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let port = any.expect("a free port").port() & !1;
        if is_free(port) && is_free(port + 1) {
            return port;
        }
    }
    panic!("no two free ports side by side");
}
