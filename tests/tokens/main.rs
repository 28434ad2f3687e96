//! Tokens that are kept beside the session: made, refreshed once for everybody, refused, out of reach, revoked.

#![allow(missing_docs, reason = "tests")]

mod arguments;
mod keep;
mod orders;
mod readiness;
mod refresh;
mod refused;
mod responses;
mod sign_out;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/strict.rs"]
mod strict;
#[path = "../support/mod.rs"]
mod support;
mod unreachable;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{Method, Request, Response};
use support::{Browser, code, navigation, text};
use tokio::sync::Semaphore;
use tower_signin::{Builder, Clock as _, Identity, Keys, Tokens};

use crate::site::{Answer, Site, deleted, set_cookies};

const SESSION: &str = "__Host-signin";
const TOKENS: &str = "__Host-signin-tokens";

/// How long an access token lives here, in seconds.
const LIFE: u64 = 3600;

/// A site that keeps tokens, and what the tests need around it.
struct Shop {
    site: Site,
    bank: Arc<Bank>,
    router: Router,
    /// `/slow` and its kin answer once they get a permit.
    slow: Arc<Semaphore>,
}

impl Shop {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(|builder| configure(builder.keep_tokens()))
    }

    /// One that keeps tokens only where it is told to.
    fn of(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let site = Site::with(configure);
        let bank = Bank::open(&site);
        let slow = Arc::new(Semaphore::new(0));
        let router = router(&site, &slow);
        Self { site, bank, router, slow }
    }

    /// A browser in which bob is signed in with the first pair; what that took is not counted.
    async fn signed_in(&self) -> Browser {
        self.site.signed_in().await
    }

    fn advance(&self, seconds: u64) {
        self.site.clock.advance(Duration::from_secs(seconds));
    }

    /// The same, and the browser's pair is due to be refreshed now, a minute before its end.
    async fn due(&self) -> Browser {
        let browser = self.signed_in().await;
        self.advance(LIFE - 60);
        browser
    }

    /// A request with this browser's cookies; nothing that comes back is kept.
    fn call(
        &self,
        browser: &Browser,
        request: http::request::Builder,
    ) -> impl Future<Output = Response<Bytes>> + Send + 'static {
        self.site.through(&self.router, browser, request)
    }

    async fn visit(&self, browser: &mut Browser, request: http::request::Builder) -> Response<Bytes> {
        let response = self.call(browser, request).await;
        browser.keep(&response);
        response
    }

    /// Opens an address as a person would by typing it.
    async fn get(&self, browser: &mut Browser, path: &str) -> Response<Bytes> {
        self.visit(browser, navigation(Method::GET, path, "none")).await
    }

    /// Who `/` says is there, and with which access token.
    async fn who(&self, browser: &mut Browser) -> String {
        text(&self.get(browser, "/").await).to_owned()
    }

    /// The same request on a task of its own, run until it waits for something.
    async fn begin(&self, browser: &Browser, path: &str) -> tokio::task::JoinHandle<Response<Bytes>> {
        let task = tokio::spawn(self.call(browser, navigation(Method::GET, path, "none")));
        settle().await;
        task
    }

    /// Signs out from a page of the site.
    async fn sign_out(&self, browser: &mut Browser) -> Response<Bytes> {
        self.visit(browser, navigation(Method::POST, "/api/logout", "same-origin")).await
    }

    /// What was sent to the provider, as `refresh rt-1`, `revoke at-1` or `exchange`.
    fn sent(&self) -> Vec<String> {
        self.site.upstream.requests().iter().map(sent).collect()
    }
}

/// Says who is there, in various ways.
fn router(site: &Site, slow: &Arc<Semaphore>) -> Router {
    let wait = |slow: &Arc<Semaphore>| {
        let slow = Arc::clone(slow);
        async move { slow.acquire().await.unwrap().forget() }
    };
    let slow = Arc::clone(slow);
    let slowly = move |request: Incoming| {
        let (told, wait) = (told_of(&request), wait(&slow));
        async move {
            wait.await;
            told
        }
    };
    let public = |request: Incoming| async move { ([(CACHE_CONTROL, "public, max-age=60")], told_of(&request)) };
    Router::new()
        .route("/", get(|request: Incoming| async move { told_of(&request) }))
        .route("/slow", get(slowly))
        .route("/public", get(public))
        .route("/guarded", any(|request: Incoming| async move { told_of(&request) }).layer(site.sign_in.require()))
        .merge(arguments::routes())
}

fn told_of(request: &Incoming) -> String {
    let Some(identity) = request.extensions().get::<Identity>() else {
        assert!(request.extensions().get::<Tokens>().is_none(), "tokens of nobody");
        return "nobody".to_owned();
    };
    let tokens = request.extensions().get::<Tokens>().map_or("no tokens", Tokens::access_token);
    format!("{} {tokens}", if identity.subject() == site::BOB { "bob" } else { "somebody" })
}

/// The provider: gives numbered pairs, and takes each refresh token once.
struct Bank {
    clock: Arc<tower_signin::ManualClock>,
    issued: AtomicUsize,
    live: Mutex<HashSet<String>>,
    /// How long an access token lives; 0 for one whose end is not told.
    life: AtomicU64,
    gives_refresh_tokens: std::sync::atomic::AtomicBool,
    /// What answers a refresh in place of the bank.
    fault: Mutex<Option<Arc<dyn Fn() -> Answer + Send + Sync>>>,
    revoke_status: AtomicU64,
}

impl Bank {
    fn open(site: &Site) -> Arc<Self> {
        let bank = Arc::new(Self {
            clock: Arc::clone(&site.clock),
            issued: AtomicUsize::new(0),
            live: Mutex::default(),
            life: AtomicU64::new(LIFE),
            gives_refresh_tokens: true.into(),
            fault: Mutex::default(),
            revoke_status: AtomicU64::new(200),
        });
        let answering = Arc::clone(&bank);
        site.upstream.answer_by(move |request| answering.answer(request));
        bank
    }

    fn answer(&self, request: &Request<Bytes>) -> Answer {
        if is_revoke(request) {
            let status = u16::try_from(self.revoke_status.load(Ordering::SeqCst)).unwrap();
            return Ok(Response::builder().status(status).body(Bytes::from_static(b"{}")).unwrap());
        }
        if is_refresh(request) {
            let fault = self.fault.lock().unwrap().clone();
            if let Some(fault) = fault {
                return fault();
            }
            if !self.live.lock().unwrap().remove(&member(request, "refresh_token")) {
                return Ok(failure(400, "Invalid refresh token."));
            }
        }
        Ok(Response::new(self.pair().to_string().into()))
    }

    /// A new pair, as the answer of an exchange or a refresh.
    fn pair(&self) -> serde_json::Value {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let mut pair: serde_json::Value = serde_json::from_str(site::BOB_ANSWER).unwrap();
        pair["access_token"] = format!("at-{number}").into();
        let now = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let life = self.life.load(Ordering::SeqCst);
        if life > 0 {
            pair["access_token_expires_at"] = ((now + life) * 1000).to_string().into();
        }
        if self.gives_refresh_tokens.load(Ordering::SeqCst) {
            pair["refresh_token"] = format!("rt-{number}").into();
            self.live.lock().unwrap().insert(format!("rt-{number}"));
        }
        pair
    }

    /// From now on every refresh is answered so.
    fn fail(&self, fault: impl Fn() -> Answer + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Some(Arc::new(fault));
    }

    fn recover(&self) {
        *self.fault.lock().unwrap() = None;
    }
}

fn failure(status: u16, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "errorMessage": message }).to_string();
    Response::builder().status(status).body(body.into()).unwrap()
}

fn is_refresh(request: &Request<Bytes>) -> bool {
    request.uri().path() == "/api/v0/siwbb/token" && member(request, "grant_type") == "refresh_token"
}

fn is_exchange(request: &Request<Bytes>) -> bool {
    request.uri().path() == "/api/v0/siwbb/token" && member(request, "grant_type") == "authorization_code"
}

fn is_revoke(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/api/v0/siwbb/token/revoke"
}

fn member(request: &Request<Bytes>, name: &str) -> String {
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    body[name].as_str().unwrap_or_default().to_owned()
}

fn sent(request: &Request<Bytes>) -> String {
    match request {
        request if is_refresh(request) => format!("refresh {}", member(request, "refresh_token")),
        request if is_revoke(request) => format!("revoke {}", member(request, "token")),
        request if is_exchange(request) => "exchange".to_owned(),
        request => request.uri().to_string(),
    }
}

/// Lets every task run until it waits for something that is not another task.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A request of a script.
fn fetch(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty")
}

fn told(response: &Response<Bytes>) -> (u16, String) {
    (response.status().as_u16(), code(response))
}

/// The names of the cookies that a response sets or deletes, session and tokens only.
fn sets(response: &Response<Bytes>) -> Vec<&'static str> {
    let cookies = set_cookies(response);
    let is = |name: &str| cookies.iter().any(|cookie| cookie.starts_with(&format!("{name}=")));
    [SESSION, TOKENS].into_iter().filter(|name| is(name)).collect()
}

#[track_caller]
fn assert_both_deleted(response: &Response<Bytes>) {
    assert_eq!(set_cookies(response), [deleted(SESSION), deleted(TOKENS)]);
}

/// Keys that several sites share.
fn shared_keys() -> Keys {
    Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap()
}
