//! A site on a socket, with the provider behind a [`Wire`], and a clock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Response;
use http::header::CACHE_CONTROL;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_signin::dev::{API_KEY, CLIENT_ID, CLIENT_SECRET, DevProvider};
use tower_signin::{Builder, Clock as _, ErrorKind, Identity, Keys, ManualClock, SignIn, Siwbb};

use crate::support::{Browser, alice, code, location, text};
use crate::tls::Certificates;
use crate::wire::{Fault, Wire};

/// How long an access token of the dev provider lives, in seconds.
pub const LIFE: u64 = 86_400;

pub struct Place {
    pub origin: String,
    pub clock: Arc<ManualClock>,
    pub dev: DevProvider,
    pub wire: Wire,
    pub elsewhere: Elsewhere,
    server: JoinHandle<()>,
}

impl Place {
    pub async fn start(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::start_with_tls(None, configure).await
    }

    pub async fn start_with_tls(tls: Option<Certificates>, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(now)));
        let dev = DevProvider::start().await.unwrap();
        let elsewhere = Elsewhere::start().await;
        let wire = Wire::start(dev.origin(), &elsewhere.origin, tls).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let builder = sign_in(dev.origin(), &wire.origin(), &origin, Keys::generate().unwrap());
        let sign_in = configure(builder.clock(Arc::clone(&clock))).build().unwrap();
        let app = app(&sign_in);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { origin, clock, dev, wire, elsewhere, server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The provider's clock goes with this site's.
    pub fn same_clock(&self) {
        let clock = Arc::clone(&self.clock);
        self.dev.set_clock(Arc::new(move || clock.now()));
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A browser in which alice is signed in.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = Browser::new();
        assert_eq!(signs_in(&mut browser, &self.origin).await, "signed in");
        browser
    }

    /// What a page says that is for people who are signed in.
    pub async fn guarded(&self, browser: &mut Browser) -> String {
        sees(&browser.get(&self.url("/guarded")).await)
    }

    /// Does something that ends by itself, or only by time: then the clock of the deadlines jumps, once the request that
    /// meets the fault has gone as far as it can. Gives what it came to and the seconds that took.
    pub async fn outwait<T: Send + 'static>(
        &self,
        fault: Fault,
        task: impl Future<Output = T> + Send + 'static,
    ) -> (T, u64) {
        let (before, _) = self.wire.seen();
        let task = tokio::spawn(task);
        if !takes_time(fault) {
            return (task.await.unwrap(), 0);
        }
        while fault != Fault::NeverAccepts && self.wire.seen().0 == before && !task.is_finished() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        let began = Instant::now();
        let outcome = task.await.unwrap();
        let took = began.elapsed().as_millis().div_ceil(100).div_euclid(10);
        // What goes on behind has its end too.
        tokio::time::advance(Duration::from_secs(30)).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
        (outcome, u64::try_from(took).unwrap())
    }

    /// Opens a guarded page and gives what it says, and after how many seconds.
    pub async fn guarded_in_time(&self, fault: Fault, browser: &mut Browser) -> String {
        let (mut visitor, url) = (browser.clone(), self.url("/guarded"));
        let visit = async move { (sees(&visitor.get(&url).await), visitor) };
        let ((sees, visitor), took) = self.outwait(fault, visit).await;
        *browser = visitor;
        after(sees, took)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Another server, which must never hear of anything.
pub struct Elsewhere {
    pub origin: String,
    heard: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Elsewhere {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let heard = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&heard);
        let server = tokio::spawn(async move {
            while let Ok(_connection) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { origin, heard, server }
    }

    pub fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn takes_time(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::NeverAccepts
            | Fault::NeverAnswers
            | Fault::DripsAll
            | Fault::DripsBody
            | Fault::EndlessInterim
            | Fault::NeverShakesHands
    )
}

/// Runs a test that is no `#[tokio::test]`, since it begins as another process.
pub fn in_one_thread(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

/// A site at `origin` whose people come from the dev provider's website, and whose calls go to `api`.
pub fn sign_in(website: &str, api: &str, origin: &str, keys: Keys) -> Builder {
    let provider = Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY).base_urls(website, api);
    SignIn::builder(provider).redirect_uri(format!("{origin}/auth/callback")).keys(keys)
}

/// `/` and `/guarded` say who is there.
pub fn app(sign_in: &SignIn) -> Router {
    let who = |identity: Option<Identity>| async move {
        match identity {
            None => "nobody".to_owned(),
            Some(identity) if identity.subject() == alice() => "alice".to_owned(),
            Some(identity) => format!("somebody else: {}", identity.subject()),
        }
    };
    Router::new().route("/", get(who)).route("/guarded", get(who).layer(sign_in.require())).layer(sign_in.layer())
}

/// The whole way, from login on, and the page that follows.
pub async fn signs_in(browser: &mut Browser, origin: &str) -> String {
    let answer = browser.sign_in(origin, "/target").await;
    match sees(&answer) {
        done if done == "303 to /target" => {
            assert_eq!(text(&browser.get(&format!("{origin}/guarded")).await), "alice");
            "signed in".to_owned()
        }
        other => other,
    }
}

/// What a person sees. Every failure is a page with its words, which is never kept and holds no secret.
pub fn sees(response: &Response<Bytes>) -> String {
    let (status, page) = (response.status().as_u16(), text(response));
    for secret in [CLIENT_SECRET, API_KEY, "siwbb_at_", "siwbb_rt_"] {
        assert!(!page.contains(secret), "{secret} on a page: {page}");
    }
    match status {
        200 => page.to_owned(),
        303 if location(response).starts_with("/auth/login?") => "the way to sign in".to_owned(),
        303 => format!("303 to {}", location(response)),
        _ => {
            let code = code(response);
            let kind = ErrorKind::ALL.iter().find(|kind| kind.code() == code).expect("a known code");
            assert_eq!(
                (kind.status().as_u16(), &response.headers()[CACHE_CONTROL]),
                (status, &"no-store".parse().unwrap())
            );
            let plain = page.replace("&#39;", "'");
            assert!(plain.contains(kind.title()), "{code}: {page}");
            format!("{status} {code}")
        }
    }
}

pub fn after(sees: String, seconds: u64) -> String {
    if seconds == 0 { sees } else { format!("{sees} after {seconds} s") }
}
