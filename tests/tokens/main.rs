//! Tokens that are kept beside the session: made, refreshed once for everybody, refused, out of reach, revoked.

#![allow(missing_docs, reason = "tests")]

mod arguments;
#[path = "../support/bank.rs"]
mod bank;
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

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{Method, Request, Response};
use support::{Browser, code, navigation, text};
use tokio::sync::Semaphore;
use tower_signin::{Builder, Identity, Keys, Tokens};

use crate::bank::{Bank, LIFE, failure, is_refresh, is_revoke, sent};
use crate::site::{SESSION, Site, deleted, set_cookies};

const TOKENS: &str = "__Host-signin-tokens";

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
