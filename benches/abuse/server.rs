//! The site under attack, in a process of its own: this program, run again for it.

use std::env;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder as Http;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET};
use tower_signin::{Builder, Keys, MemoryStore, SignIn, Siwbb};

use crate::report::Reading;
use crate::support::who;

/// Tells a process that it is the site, and where the provider's website is.
const WEBSITE: &str = "ABUSE_WEBSITE";
const API: &str = "ABUSE_API";
const STORE: &str = "ABUSE_STORE";

/// A head that takes longer ends the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(8);

pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    panics: Arc<AtomicU64>,
}

impl Server {
    pub(crate) async fn start(website: &str, api: &str, is_stored: bool) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.env(WEBSITE, website).env(API, api);
        // What is given back goes back to the system, so that its reading is of what is held.
        command
            .env("MALLOC_ARENA_MAX", "2")
            .env("MALLOC_MMAP_THRESHOLD_", "32768")
            .env("MALLOC_TRIM_THRESHOLD_", "65536");
        if is_stored {
            command.env(STORE, "1");
        }
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.kill_on_drop(true).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = said.next_line().await.unwrap().expect("it says where it listens").parse().unwrap();
        let panics = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&panics);
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = told.next_line().await {
                counter.fetch_add(u64::from(line.contains("panicked at")), Ordering::SeqCst);
                eprintln!("server: {line}");
            }
        });
        Self { child, address, panics }
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::SeqCst)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until connections that were dropped are gone, but no longer than those that say nothing are kept.
    pub(crate) async fn at_rest(&self, name: &'static str, idle_descriptors: usize) -> Reading {
        let begin = Instant::now();
        while self.descriptors() > idle_descriptors && begin.elapsed() < 2 * HEAD_TIMEOUT {
            sleep(Duration::from_millis(50)).await;
        }
        Reading { name, memory: self.memory(), descriptors: self.descriptors() }
    }

    fn memory(&self) -> u64 {
        let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", self.pid())) else { return 0 };
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// Whether this is such a process.
pub(crate) fn is_asked_for() -> bool {
    env::var_os(WEBSITE).is_some()
}

/// Serves until whoever started this is gone.
pub(crate) fn run() {
    std::thread::spawn(|| {
        // Nothing is ever written: it ends with the other process.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (website, api) = (env::var(WEBSITE).unwrap(), env::var(API).unwrap());
        let builder = sign_in(&website, &api, address);
        let builder = if env::var_os(STORE).is_some() { builder.session_store(MemoryStore::new()) } else { builder };
        let app = app(&builder.build().unwrap());
        println!("{address}");
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let service = TowerToHyperService::new(app.clone());
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut http = Http::new(TokioExecutor::new());
                http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                http.http2().timer(TokioTimer::new());
                // Most of them end badly.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

/// The attackers' side builds the same, to seal what is too old.
pub(crate) fn sign_in(website: &str, api: &str, address: SocketAddr) -> Builder {
    SignIn::builder(Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY).base_urls(website, api))
        .redirect_uri(format!("{}/auth/callback", origin(address)))
        .keys(Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap())
}

pub(crate) fn origin(address: SocketAddr) -> String {
    format!("http://localhost:{}", address.port())
}

fn app(sign_in: &SignIn) -> Router {
    Router::new().route("/", get(who)).route("/guarded", get(who).layer(sign_in.require())).layer(sign_in.layer())
}
