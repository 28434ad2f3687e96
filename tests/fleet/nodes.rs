//! Nodes as processes, and who comes to them.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::future::join_all;
use http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use http::{Method, Response};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tower_signin::dev::{Account, DevProvider};

use crate::support::{Browser, code, location, navigation, send, text};

/// What the nodes share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetUp {
    /// Sessions.
    Stored,
    /// The list of those that were ended.
    List,
    /// The same, and an old copy of it will do while it can't be had.
    StaleList,
}

pub const SET_UPS: [SetUp; 3] = [SetUp::Stored, SetUp::List, SetUp::StaleList];

/// How old a node's copy of the list may get.
pub const BOUND: Duration = Duration::from_secs(2);

/// What a node does at once takes no longer, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Of an access token of the provider.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub struct Fleet {
    pub set_up: SetUp,
    pub dev: DevProvider,
    nodes: Vec<Node>,
    redis: String,
    keys: String,
    /// The address that people know. Nothing is behind it: requests go to the nodes as a test says.
    front: TcpListener,
}

struct Node {
    process: Child,
    port: u16,
}

impl Fleet {
    pub async fn start(set_up: SetUp, count: usize, redis: String) -> Self {
        let dev = DevProvider::start().await.unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys = URL_SAFE_NO_PAD.encode((0..32).collect::<Vec<u8>>());
        let mut fleet = Self { set_up, dev, nodes: Vec::new(), redis, keys, front };
        for node in join_all((0..count).map(|_| fleet.new_node())).await {
            fleet.nodes.push(node);
        }
        fleet
    }

    /// One more node; gives its number.
    pub async fn add(&mut self) -> usize {
        let node = self.new_node().await;
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    async fn new_node(&self) -> Node {
        // This test is `target/debug/deps/fleet-…`, the program `target/debug/examples/nodes`.
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples");
        let program: PathBuf = folder.join(format!("nodes{}", std::env::consts::EXE_SUFFIX));
        let mut command = Command::new(program);
        for variable in ["CLIENT_ID", "CLIENT_SECRET", "API_KEY"] {
            command.env_remove(format!("BITBADGES_{variable}"));
        }
        command.args(["--node", "0", "--provider", self.dev.origin()]);
        let bound = BOUND.as_secs().to_string();
        match self.set_up {
            SetUp::Stored => &mut command,
            SetUp::List => command.args(["--list", "--bound", &bound]),
            SetUp::StaleList => command.args(["--list", "--bound", &bound, "--stale"]),
        };
        let front = self.front.local_addr().unwrap().port();
        command.env("PORT", front.to_string()).env("REDIS_URL", &self.redis).env("SIGNIN_KEYS", &self.keys);
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut process = command.spawn().expect("cargo build --example nodes");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some(origin) = line.strip_prefix("Open http://localhost:") {
                    return origin.trim_end_matches('/').parse().unwrap();
                }
            }
            panic!("a node ends at once");
        };
        let port = timeout(PATIENCE, listening).await.expect("it starts soon");
        Node { process, port }
    }

    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    pub fn url(&self, node: usize, path: &str) -> String {
        format!("http://localhost:{}{path}", self.nodes[node].port)
    }

    /// By SIGKILL.
    pub async fn kill(&mut self, node: usize) {
        self.nodes[node].process.kill().await.unwrap();
    }

    /// How often the provider was asked to redeem a code.
    pub fn redeemed(&self) -> usize {
        self.token_requests("authorization_code")
    }

    /// How often it was asked for new tokens.
    pub fn refreshes(&self) -> usize {
        self.token_requests("refresh_token")
    }

    fn token_requests(&self, grant_type: &str) -> usize {
        let requests = self.dev.requests();
        let of_this_type = requests.iter().filter(|request| {
            let fields: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
            request.path.ends_with("/siwbb/token") && fields["grant_type"] == grant_type
        });
        of_this_type.count()
    }

    /// From now on the provider gives access tokens that end so soon; `None` for a day, as usual.
    pub fn tokens_last(&self, life: Option<Duration>) {
        let back = life.map_or(Duration::ZERO, |life| DAY - life);
        self.dev.set_clock(Arc::new(move || SystemTime::now() - back));
    }

    /// The whole way, at one node.
    pub async fn sign_in(&self, person: &mut Person, node: usize) {
        let callback = self.begin(person, node).await;
        let answer = person.browser.get(&self.url(node, &callback)).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/me"), "{}", text(&answer));
    }

    /// To the provider and back to the door; gives path and query of the callback.
    pub async fn begin(&self, person: &mut Person, node: usize) -> String {
        let authorization_url = person.browser.start(&self.url(node, ""), "/me").await;
        let callback = person.browser.approve(&authorization_url, person.account).await;
        let front = format!("http://localhost:{}", self.front.local_addr().unwrap().port());
        callback.strip_prefix(&front).expect("people come back to the address they know").to_owned()
    }

    pub async fn sign_out(&self, person: &mut Person, node: usize) {
        let answer = person.browser.post(&self.url(node, "/auth/logout"), "").await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"), "{}", text(&answer));
        assert!(person.browser.jar.is_empty(), "{:?}", person.browser.jar.keys());
    }

    /// Asks a node who this is. Whatever it is not sure of, it takes nobody for somebody else.
    pub async fn ask(&self, person: &mut Person, node: usize) -> Seen {
        let answer = person.browser.get(&self.url(node, "/me")).await;
        person.seen(&answer, &format!("{:?}, {} at node {node}", self.set_up, person.account))
    }

    /// Asks every node.
    pub async fn ask_all(&self, person: &mut Person) -> Vec<Seen> {
        let mut seen = Vec::new();
        for node in 0..self.count() {
            seen.push(self.ask(person, node).await);
        }
        seen
    }

    /// Asks until the answer is this one, and gives how long that took. Answers before it must be of the other kind.
    pub async fn wait_until(&self, person: &mut Person, node: usize, wanted: Seen, before: Seen) -> Duration {
        let started = std::time::Instant::now();
        loop {
            let seen = self.ask(person, node).await;
            if seen == wanted {
                return started.elapsed();
            }
            let whom = format!("{:?}, {} at node {node}", self.set_up, person.account);
            assert_eq!(seen, before, "{whom}, before {wanted:?}");
            assert!(started.elapsed() < PATIENCE, "{whom} is {seen:?}, and not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A request as a browser with these cookies sends it, in a task of its own.
    pub fn spawn(&self, person: &Person, node: usize) -> tokio::task::JoinHandle<Option<Response<Bytes>>> {
        let request = navigation(Method::GET, &self.url(node, "/me"), "none");
        let request = request.header(COOKIE, person.browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        tokio::spawn(async move { send(request).await.ok() })
    }
}

/// As whom a node sees somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    Themselves,
    Nobody,
    /// 503, to be tried again.
    Unavailable,
}

/// Somebody with a browser. A clone is a copy of the cookies.
#[derive(Clone)]
pub struct Person {
    pub account: &'static str,
    subject: String,
    pub browser: Browser,
}

impl Person {
    pub fn alice() -> Self {
        Self::new("alice", &Account::alice())
    }

    pub fn bob() -> Self {
        Self::new("bob", &Account::bob())
    }

    pub fn carol() -> Self {
        Self::new("carol", &Account::carol())
    }

    pub fn agent() -> Self {
        Self::new("agent", &Account::agent())
    }

    fn new(account: &'static str, known: &Account) -> Self {
        Self { account, subject: known.bitbadges_address.clone(), browser: Browser::new() }
    }

    /// What an answer of `/me` comes to.
    #[track_caller]
    pub fn seen(&self, answer: &Response<Bytes>, whom: &str) -> Seen {
        let cookies: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
        match answer.status().as_u16() {
            200 => {
                let me: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(me["subject"], self.subject, "{whom}");
                assert!(!format!("{cookies:?}").contains("Max-Age=0"), "{whom}: {cookies:?}");
                Seen::Themselves
            }
            303 => {
                assert_eq!(location(answer), "/auth/login?return_to=%2Fme", "{whom}");
                Seen::Nobody
            }
            503 => {
                assert_eq!(code(answer), "session_unavailable", "{whom}");
                assert!(answer.headers().contains_key(RETRY_AFTER), "{whom}: {answer:?}");
                assert!(cookies.is_empty(), "{whom}: {cookies:?}");
                Seen::Unavailable
            }
            status => panic!("{whom}: {status}, {}", text(answer)),
        }
    }
}
