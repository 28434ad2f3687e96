//! A site in a process of its own: this test binary, run again for it.

use std::fs::File;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{env, io};

use axum::Router;
use axum::extract::{Path, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tower_signin::dev::DevProvider;
use tower_signin::{Clock, Keys};

use crate::place::{LIFE, app, sign_in};
use crate::support::{Browser, block_on, text};
use crate::wire::{Wire, listen};

/// What a process of this kind is told, by its environment.
const WEBSITE: &str = "TOWER_SIGNIN_FAULTS_WEBSITE";
const API: &str = "TOWER_SIGNIN_FAULTS_API";
const PORT: &str = "TOWER_SIGNIN_FAULTS_PORT";
pub const KEYS: &str = "TOWER_SIGNIN_FAULTS_KEYS";
pub const KEYS_FILE: &str = "TOWER_SIGNIN_FAULTS_KEYS_FILE";

/// No step takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The provider, and where a site of it is to be.
pub struct Town {
    pub dev: DevProvider,
    pub wire: Wire,
    pub origin: String,
    port: u16,
    /// The test that runs itself again.
    test: &'static str,
}

/// A running process; it ends with its owner.
pub struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Town {
    pub async fn start(test: &'static str) -> Self {
        let dev = DevProvider::start().await.unwrap();
        let wire = Wire::start(dev.origin(), dev.origin(), None).await;
        let port = listen().await.local_addr().unwrap().port();
        Self { dev, wire, origin: format!("http://localhost:{port}"), port, test }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Starts the site, within these limits of the shell's `ulimit`, and waits until it listens.
    pub async fn site(&self, limits: &str, environment: &[(&str, &str)]) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limits}\nexec \"$0\" \"$@\"")]).arg(env::current_exe().unwrap());
        command.args([self.test, "--exact", "--nocapture"]);
        command.env(WEBSITE, self.dev.origin()).env(API, self.wire.origin()).env(PORT, self.port.to_string());
        let mut child = command
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut process = Process { child, lines };
        process.says("listens").await;
        process
    }

    /// Has the site do something for the test; see [`run`].
    pub async fn tell(&self, what: &str) -> String {
        text(&Browser::new().get(&self.url(what)).await).to_owned()
    }
}

impl Process {
    /// Waits until it says so.
    pub async fn says(&mut self, what: &str) {
        let said = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                if line.unwrap_or_else(|| panic!("it ended without saying: {what}")).ends_with(what) {
                    return;
                }
            }
        };
        timeout(PATIENCE, said).await.unwrap_or_else(|_| panic!("it never says: {what}"));
    }

    /// SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGSTOP: from now on it does nothing, and its system takes what comes for it.
    pub async fn stop(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("sh").args(["-c", &format!("kill -STOP {pid}")]).status().await.unwrap().success());
        let stands = |thread: io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
            stat.rsplit(") ").next().unwrap().starts_with('T')
        };
        while !std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().all(stands) {
            tokio::task::yield_now().await;
        }
    }
}

/// Whether this is such a process rather than the test itself.
pub fn is_asked_for() -> bool {
    env::var_os(PORT).is_some()
}

/// Runs the site until it is killed. It says what it hears and answers, and does what a test tells it to.
pub fn run() {
    block_on(async {
        let of = |name| env::var(name).unwrap();
        let port = of(PORT);
        let keys = if env::var_os(KEYS_FILE).is_some() {
            Keys::from_file(of(KEYS_FILE)).unwrap()
        } else if env::var_os(KEYS).is_some() {
            Keys::from_env(KEYS).unwrap()
        } else {
            Keys::generate().unwrap()
        };
        let sign_in = sign_in(&of(WEBSITE), &of(API), &format!("http://localhost:{port}"), keys)
            .keep_tokens()
            .session_lifetime(Duration::from_secs(30 * LIFE))
            .clock(Arc::new(Ahead))
            .build()
            .unwrap();
        let test = Router::new()
            .route("/test/mark", get(|| async { say("mark") }))
            .route("/test/hold", get(|| async { HOLDS.store(true, Ordering::SeqCst) }))
            .route("/test/exhaust", get(|| async { exhaust() }))
            .route("/test/free", get(|| async { FILES.lock().unwrap().clear() }))
            .route("/test/write", get(|| async { write() }))
            .route("/test/ahead/{seconds}", get(|Path(seconds)| async move { AHEAD.store(seconds, Ordering::SeqCst) }));
        let app = test.merge(app(&sign_in).layer(from_fn(told)));
        // Whoever started this may have a copy of the port in another child that has not begun yet.
        let listener = loop {
            if let Ok(listener) = TcpListener::bind(format!("127.0.0.1:{port}")).await {
                break listener;
            }
        };
        say("listens");
        axum::serve(listener, app).await.unwrap();
    });
}

/// Whether answers are kept back once they are made.
static HOLDS: AtomicBool = AtomicBool::new(false);
/// By how many seconds the clock is ahead.
static AHEAD: AtomicU64 = AtomicU64::new(0);
static FILES: Mutex<Vec<File>> = Mutex::new(Vec::new());

async fn told(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    say(&format!("hears {path}"));
    let response = next.run(request).await;
    say(&format!("answers {path}"));
    if HOLDS.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    response
}

#[allow(clippy::print_stdout, reason = "the test listens")]
fn say(what: &str) {
    println!("{what}");
}

/// Takes every file descriptor there is.
fn exhaust() -> String {
    let mut files = FILES.lock().unwrap();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => return error.to_string(),
        }
    }
}

/// Tries to write a byte to a file.
fn write() -> String {
    let path = env::temp_dir().join(format!("tower-signin-faults-{}", std::process::id()));
    let outcome = std::fs::write(&path, "x").map_or_else(|error| error.to_string(), |()| "written".to_owned());
    let _ = std::fs::remove_file(path);
    outcome
}

struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(AHEAD.load(Ordering::SeqCst))
    }
}
