//! Redis servers as processes.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use tower_signin::{RedisStore, SessionKey, SessionRecord, SessionStore};

/// A server with a directory and a port of its own. It ends with this value, and with the test's process where that is killed or
/// has it in a `static`.
pub struct Server {
    pub port: u16,
    settings: Vec<String>,
    directory: PathBuf,
    running: Option<Running>,
}

/// The shell ends the server when its standard input is closed, as it is when the test's process is gone.
struct Running {
    shell: Child,
    server: String,
}

const SHELL: &str =
    r#"redis-server "$@" >/dev/null 2>&1 </dev/null & echo $!; read -r _; kill -9 $! 2>/dev/null; wait $! 2>/dev/null"#;

/// How long a server may take for what it does at once.
const PATIENCE: Duration = Duration::from_secs(30);

impl Server {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more settings, as on the command line. `PORT` stands for the port.
    pub fn with(settings: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("redis-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let settings = settings.iter().map(|word| (*word).to_owned()).collect();
        let mut server = Self { port: 0, settings, directory, running: None };
        // Somebody else may have taken the port since.
        for _ in 0..10 {
            server.port = free_port();
            if server.try_to_start() {
                return server;
            }
        }
        panic!("redis-server does not start; apt-get install redis-server");
    }

    /// A server whose port is free, and which was not started.
    pub fn not_yet() -> Self {
        let mut server = Self::start();
        server.stop();
        server
    }

    pub fn start_again(&mut self) {
        assert!(self.try_to_start(), "its port is taken");
    }

    fn try_to_start(&mut self) -> bool {
        let port = self.port.to_string();
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "redis-server", "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(&self.directory);
        if !self.settings.iter().any(|word| word == "--port") {
            command.args(["--port", &port]);
        }
        command.args(self.settings.iter().map(|word| if word == "PORT" { port.clone() } else { word.clone() }));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let mut server = String::new();
        let mut output = shell.stdout.take().expect("its output is piped");
        let mut byte = [0];
        while output.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            server.push(byte[0].into());
        }
        self.running = Some(Running { shell, server });
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if self.pid_is_gone() {
                break;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.pid_listens() {
                return true;
            }
            std::thread::yield_now();
        }
        self.stop();
        false
    }

    fn pid_is_gone(&self) -> bool {
        let Some(running) = &self.running else { return true };
        let status = fs::read_to_string(format!("/proc/{}/status", running.server)).unwrap_or_default();
        status.is_empty() || status.contains("State:\tZ")
    }

    /// Whether it is this server that has the port, and not somebody else.
    fn pid_listens(&self) -> bool {
        if self.settings.iter().any(|word| word.starts_with("--tls")) {
            return true;
        }
        let Some(running) = &self.running else { return false };
        let info = self.ask(&["INFO", "server"]);
        info.contains(&format!("process_id:{}\r", running.server))
            || info.starts_with("-NOAUTH")
            || info.starts_with("-NOPERM")
    }

    pub fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        kill("-KILL", &running.server);
        drop(running.shell.stdin.take());
        let _ = running.shell.wait();
    }

    /// Until [`go_on`](Self::go_on) it does nothing; its sockets stay open.
    pub fn pause(&self) {
        kill("-STOP", &self.running.as_ref().expect("it runs").server);
    }

    pub fn go_on(&self) {
        kill("-CONT", &self.running.as_ref().expect("it runs").server);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn store(&self) -> RedisStore {
        RedisStore::new(&self.url()).unwrap()
    }

    /// What it answers to a command, as it comes over the wire, by a client that is not the one under test.
    pub fn ask(&self, words: &[&str]) -> String {
        String::from_utf8_lossy(&self.ask_bytes(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()))
            .into_owned()
    }

    pub fn ask_bytes(&self, words: &[&[u8]]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for command in [words, &[b"QUIT"]] {
            write!(stream, "*{}\r\n", command.len()).unwrap();
            for word in command {
                write!(stream, "${}\r\n", word.len()).unwrap();
                stream.write_all(word).unwrap();
                stream.write_all(b"\r\n").unwrap();
            }
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer.truncate(answer.len() - b"+OK\r\n".len());
        answer
    }

    /// The number that it answers.
    pub fn number(&self, words: &[&str]) -> i64 {
        let answer = self.ask(words);
        answer.trim().trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{words:?}: {answer}"))
    }

    /// Asks until the answer has this in it.
    pub fn wait_for(&self, words: &[&str], part: &str) {
        let started = Instant::now();
        loop {
            let answer = self.ask(words);
            if answer.contains(part) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{part} in the answer to {words:?}, which is {answer}");
            std::thread::yield_now();
        }
    }

    /// Every key, as it comes over the wire.
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "*"]).lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn kill(signal: &str, process: &str) {
    let status = Command::new("kill").args([signal, process]).stderr(Stdio::null()).status();
    assert!(status.is_ok(), "kill is there");
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

pub fn key(number: u8) -> SessionKey {
    SessionKey::new([number; 32])
}

/// In whole seconds, as the layer writes them.
pub fn in_an_hour() -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    UNIX_EPOCH + Duration::from_secs(now + 3600)
}

/// A session that lasts for an hour.
pub fn record(text: &str) -> SessionRecord {
    SessionRecord::new(text.as_bytes(), 0, in_an_hour())
}

/// Longer than any pause between two attempts to connect, and than what a busy machine takes.
pub const SOON: Duration = Duration::from_secs(30);

/// The bytes of a session, as soon as an answer comes.
pub async fn load_soon(store: &RedisStore, number: u8) -> Option<Vec<u8>> {
    let started = Instant::now();
    loop {
        match store.load(key(number)).await {
            Ok(loaded) => return loaded.map(|record| record.bytes().to_vec()),
            Err(error) => assert!(started.elapsed() < SOON, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
