//! Asking the provider again while a session lasts: when, once for everybody, and what becomes of the session.

#![allow(missing_docs, reason = "tests")]

mod attack;
#[path = "../support/double.rs"]
mod double;
mod due;
mod ended;
#[path = "../support/log.rs"]
mod log;
mod once;
mod outage;
mod provider;
#[path = "../support/site.rs"]
mod site;
mod stored;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::routing::get;
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{Method, Request, Response};
use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
use tower_signin::{Builder, Clock as _, HttpErrorKind, Identity, ManualClock};

use crate::site::{Answer, SESSION, Site, set_cookies};
use crate::support::{Browser, code, navigation, text};

const TOKENS: &str = "__Host-signin-tokens";
/// Sessions are checked again after so many seconds,
const EVERY: u64 = 600;
/// and live on for so many more where that can't be done.
const GRACE: u64 = 3600;
/// How long an access token lives here.
const LIFE: u64 = 86_400;

/// A site that keeps tokens, demands a claim and an asset, and checks both again.
struct Club {
    site: Site,
    desk: Arc<Desk>,
    router: Router,
}

/// The provider: stands by everybody until it is told otherwise.
struct Desk {
    clock: Arc<ManualClock>,
    issued: AtomicUsize,
    status: Mutex<Reply>,
    claim: Mutex<Reply>,
    ownership: Mutex<Reply>,
    refresh: Mutex<Reply>,
}

type Reply = Arc<dyn Fn() -> Answer + Send + Sync>;

impl Club {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(|builder| configure(builder.keep_tokens().recheck_every(seconds(EVERY))))
    }

    /// One that keeps tokens and checks again only where it is told to.
    fn of(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let owns = OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]);
        let provider = site::siwbb().require_claim("member").require_ownership(owns);
        let site =
            Site::of(provider, site::CALLBACK, |builder| configure(builder.session_lifetime(seconds(100 * LIFE))));
        let desk = Desk::open(&site);
        let router = Router::new()
            .route("/", get(|request: Incoming| async move { who(&request) }))
            .route(
                "/public",
                get(|request: Incoming| async move { ([(CACHE_CONTROL, "public, max-age=60")], who(&request)) }),
            )
            .route("/guarded", get(|request: Incoming| async move { who(&request) }).layer(site.sign_in.require()));
        Self { site, desk, router }
    }

    async fn signed_in(&self) -> Browser {
        self.site.signed_in().await
    }

    /// The same, and its check is due now.
    async fn due(&self) -> Browser {
        let browser = self.signed_in().await;
        self.advance(EVERY);
        browser
    }

    fn advance(&self, by: u64) {
        self.site.clock.advance(seconds(by));
    }

    /// A request with this browser's cookies; nothing that comes back is kept.
    fn call(&self, browser: &Browser, path: &str) -> impl Future<Output = Response<Bytes>> + Send + 'static {
        self.site.through(&self.router, browser, navigation(Method::GET, path, "none"))
    }

    /// Opens an address as a person would by typing it.
    async fn get(&self, browser: &mut Browser, path: &str) -> Response<Bytes> {
        let response = self.call(browser, path).await;
        browser.keep(&response);
        response
    }

    async fn who(&self, browser: &mut Browser) -> String {
        text(&self.get(browser, "/").await).to_owned()
    }

    /// The same request on a task of its own, run until it waits for something.
    async fn begin(&self, browser: &Browser, path: &str) -> tokio::task::JoinHandle<Response<Bytes>> {
        let task = tokio::spawn(self.call(browser, path));
        settle().await;
        task
    }

    /// What was sent to the provider since the last look.
    fn sent(&self) -> Vec<&'static str> {
        let sent = self.site.upstream.requests().iter().map(name).collect();
        self.site.upstream.forget();
        sent
    }
}

/// What a check of such a site sends.
const WHOLE: [&str; 3] = ["status", "claim", "ownership"];

impl Desk {
    fn open(site: &Site) -> Arc<Self> {
        let desk = Arc::new(Self {
            clock: Arc::clone(&site.clock),
            issued: AtomicUsize::new(0),
            status: Mutex::new(Arc::new(|| json(r#"{"signedIn":true}"#))),
            claim: Mutex::new(Arc::new(|| json(r#"{"successCount":1,"claimNumbers":[0]}"#))),
            ownership: Mutex::new(Arc::new(|| json(r#"{"success":true}"#))),
            refresh: Mutex::new(Arc::new(|| Err(HttpErrorKind::Unreachable))),
        });
        let answering = Arc::clone(&desk);
        site.upstream.answer_by(move |request| {
            let reply = match name(request) {
                "status" => &answering.status,
                "claim" => &answering.claim,
                "ownership" => &answering.ownership,
                "refresh" => &answering.refresh,
                _ => return answering.pair(),
            };
            let reply = Arc::clone(&reply.lock().unwrap());
            reply()
        });
        desk
    }

    /// A new pair, as the answer of an exchange or a refresh.
    fn pair(&self) -> Answer {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let mut pair: serde_json::Value = serde_json::from_str(site::BOB_ANSWER).unwrap();
        let now = self.clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        pair["access_token"] = format!("at-{number}").into();
        pair["access_token_expires_at"] = ((now + LIFE) * 1000).into();
        pair["refresh_token"] = format!("rt-{number}").into();
        json(&pair.to_string())
    }

    fn replies(&self) -> [&Mutex<Reply>; 3] {
        [&self.status, &self.claim, &self.ownership]
    }
}

fn set(which: &Mutex<Reply>, reply: impl Fn() -> Answer + Send + Sync + 'static) {
    *which.lock().unwrap() = Arc::new(reply);
}

fn json(body: &str) -> Answer {
    Ok(Response::new(Bytes::from(body.to_owned())))
}

fn failure(status: u16, body: &'static str) -> Answer {
    Ok(Response::builder().status(status).body(body.into()).unwrap())
}

fn name(request: &Request<Bytes>) -> &'static str {
    let is_refresh = || String::from_utf8_lossy(request.body()).contains("\"refresh_token\"");
    match request.uri().path() {
        "/api/v0/auth/status" => "status",
        "/api/v0/verifyOwnershipRequirements" => "ownership",
        path if path.starts_with("/api/v0/claims/success/member/bb1") => "claim",
        "/api/v0/siwbb/token" if is_refresh() => "refresh",
        "/api/v0/siwbb/token" => "exchange",
        _ => "other",
    }
}

fn is_check(request: &Request<Bytes>) -> bool {
    WHOLE.contains(&name(request))
}

fn is_refresh(request: &Request<Bytes>) -> bool {
    name(request) == "refresh"
}

fn who(request: &Incoming) -> &'static str {
    request.extensions().get::<Identity>().map_or("nobody", |_| "bob")
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets every task run until it waits for something that is not another task.
async fn settle() {
    for _ in 0..30 {
        tokio::task::yield_now().await;
    }
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
