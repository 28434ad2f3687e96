//! Sessions that live in their cookies, and are over at every node: by sign-out, by the application, by the provider.

#![allow(missing_docs, reason = "tests")]

mod age;
mod check;
#[path = "../support/double.rs"]
mod double;
mod ended;
mod hostile;
mod keys;
#[path = "../support/log.rs"]
mod log;
mod lost;
mod outage;
mod persons;
mod provider;
mod settings;
mod sign_out;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/visits.rs"]
mod visits;

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, Identity, ManualClock};

use crate::double::{Double, Kind, Step};
use crate::site::{NOW, SESSION, Site};
use crate::support::{Browser, code, navigation};
use crate::visits::{Visit, at, open, ring};

/// Two nodes of one site, whose sessions are in their cookies, and the list that they share.
struct Fleet {
    one: Site,
    other: Site,
    store: Double,
    clock: Arc<ManualClock>,
}

impl Fleet {
    fn new(kind: Kind) -> Self {
        Self::with(kind, |builder| builder)
    }

    fn with(kind: Kind, configure: impl Fn(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(at(0)));
        let store = Double::new(kind, &clock);
        let (one, other) = (node(&store, &clock, &configure), node(&store, &clock, &configure));
        Self { one, other, store, clock }
    }

    /// Another node of the same site.
    fn node(&self, configure: impl Fn(Builder) -> Builder) -> Site {
        node(&self.store, &self.clock, configure)
    }

    /// A browser in which bob is signed in, whom both nodes have let in just now.
    async fn signed_in(&self) -> Browser {
        let mut browser = self.one.signed_in().await;
        for node in [&self.one, &self.other] {
            assert_eq!(open(node, &mut browser).await, Visit::Kept);
        }
        settle().await;
        self.store.forget();
        browser
    }

    /// So many milliseconds go by, for every clock.
    async fn pass(&self, milliseconds: u64) {
        pass(&self.clock, milliseconds).await;
    }

    /// How often the list was read since the last look.
    fn reads(&self) -> usize {
        let reads = self.store.count(Step::Load);
        self.store.forget();
        reads
    }
}

fn node(store: &Double, clock: &Arc<ManualClock>, configure: impl Fn(Builder) -> Builder) -> Site {
    let mut site = Site::with(|builder| {
        configure(builder.keys(ring(&[1])).revocation_list(store.clone())).clock(Arc::clone(clock))
    });
    site.clock = Arc::clone(clock);
    site
}

async fn pass(clock: &ManualClock, milliseconds: u64) {
    clock.advance(Duration::from_millis(milliseconds));
    tokio::time::advance(Duration::from_millis(milliseconds)).await;
    settle().await;
}

/// A third of the bound and a bit: after this a request has the copy read anew, and still goes on by the old one.
const A_WHILE: u64 = 3400;
/// The bound.
const BOUND: u64 = 10_000;

/// Signs out by a form of this site.
async fn sign_out(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    site.visit(browser, navigation(Method::POST, site.sign_in.logout_path(), "same-origin")).await
}

/// Lets every task run until it waits for something that is not another task.
async fn settle() {
    for _ in 0..60 {
        tokio::task::yield_now().await;
    }
}

/// A request with this browser's cookies to an app that asks in every way who is there; nothing that comes is kept.
async fn ask(site: &Site, browser: &Browser, request: http::request::Builder) -> Response<Bytes> {
    let router = Router::new()
        .route("/guarded", any(|| async { "guarded" }).layer(site.sign_in.require()))
        .route("/somebody", get(|identity: Identity| async move { identity.subject().to_owned() }))
        .route("/perhaps", get(support::who))
        .route("/open", get(|| async { "open" }));
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(cookies) = browser.cookie_header() {
        request.headers_mut().append(COOKIE, cookies.parse().unwrap());
    }
    let response = site.sign_in.layer().layer(router).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// A request of a script.
fn fetch(path: &str) -> http::request::Builder {
    Request::get(path).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty")
}

fn told(response: &Response<Bytes>) -> (u16, String) {
    (response.status().as_u16(), code(response))
}

fn said(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Who comes with this browser's cookies, as a handler sees them; nothing that comes is kept.
async fn identity(site: &Site, browser: &Browser) -> Option<Identity> {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<Bytes>| {
        *kept.lock().unwrap() = request.extensions().get::<Identity>().cloned();
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let request = fetch("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
    site.sign_in.layer().layer(inner).oneshot(request).await.unwrap();
    seen.lock().unwrap().take()
}
