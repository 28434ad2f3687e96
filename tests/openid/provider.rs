//! OpenID providers that others have written, as processes.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Where a provider listens. The socket stays with the test, so that a provider is the same one when it is started again:
/// who comes meanwhile waits.
pub struct Socket {
    listener: TcpListener,
    pub issuer: String,
}

impl Socket {
    pub fn bind() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, issuer }
    }

    /// Starts a program that serves its standard input, and waits until it says `ready`.
    async fn serve(&self, mut command: Command, remedy: &str) -> Running {
        let socket = OwnedFd::from(self.listener.try_clone().unwrap());
        command.stdin(Stdio::from(socket)).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{error}: {remedy}"));
        let mut complaints = process.stderr.take().expect("its complaints are piped");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is piped")).lines();
        let first =
            timeout(Duration::from_secs(60), lines.next_line()).await.expect("it says something within a minute");
        if first.unwrap().as_deref() != Some("ready") {
            let mut complaint = String::new();
            let _ = complaints.read_to_string(&mut complaint).await;
            panic!("the provider ended: {complaint}\n{remedy}");
        }
        // Both warn of settings that no site should have, and must not wait for a reader.
        tokio::spawn(async move { tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await });
        Running { process, _stdout: lines }
    }
}

/// A running provider; dropping it ends it.
struct Running {
    process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
}

/// npm `oidc-provider`: certified, and strict. It insists on PKCE, names itself in its answers, and takes a refresh token back
/// when it is used. Its clients are `openid-provider.mjs`'s.
pub struct Certified {
    socket: Socket,
    /// What it is told when it starts.
    settings: Value,
    store: PathBuf,
    running: Option<Running>,
}

impl Certified {
    /// For apps with these origins.
    pub async fn start(socket: Socket, apps: &[&str]) -> Self {
        Self::start_telling(socket, apps, json!({})).await
    }

    /// Whose clients have these members beside, which say where it tells of logouts.
    pub async fn start_telling(socket: Socket, apps: &[&str], logout: Value) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("openid-{}-{number}.json", std::process::id()));
        let settings = json!({ "issuer": socket.issuer, "apps": apps, "logout": logout, "store": store });
        let mut provider = Self { socket, settings, store, running: None };
        provider.start_again().await;
        provider
    }

    pub fn issuer(&self) -> &str {
        &self.socket.issuer
    }

    pub async fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.process.kill().await.unwrap();
        }
    }

    /// With new keys, and all else as it was.
    pub async fn start_again(&mut self) {
        self.stop().await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        let remedy = "run `npm ci --prefix tests/node`, which brings Node 22, too";
        assert!(folder.join("node_modules/oidc-provider").is_dir(), "oidc-provider is not installed: {remedy}");
        let own = folder.join("node_modules/.bin/node");
        let mut command = Command::new(if own.exists() { own } else { "node".into() });
        command.arg(folder.join("openid-provider.mjs")).arg(self.settings.to_string());
        self.running = Some(self.socket.serve(command, remedy).await);
    }
}

impl Drop for Certified {
    fn drop(&mut self) {
        self.running = None;
        let _ = std::fs::remove_file(&self.store);
    }
}

/// PyPI `oidc-provider-mock`: lenient, on another library. Apps register themselves.
pub struct Mock {
    socket: Socket,
    _running: Running,
}

impl Mock {
    /// With one person, of these claims.
    pub async fn start(person: &Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
        let packages = folder.join("packages");
        let remedy = "run `pip install --target tests/python/packages -r tests/python/requirements.txt` \
                      (on Debian: `apt-get install python3 python3-pip`)";
        assert!(packages.join("oidc_provider_mock").is_dir(), "oidc-provider-mock is not installed: {remedy}");
        let mut command = Command::new("python3");
        command.arg(folder.join("openid_provider.py")).arg(person.to_string()).env("PYTHONPATH", packages);
        let socket = Socket::bind();
        let running = socket.serve(command, remedy).await;
        Self { socket, _running: running }
    }

    pub fn issuer(&self) -> &str {
        &self.socket.issuer
    }
}
