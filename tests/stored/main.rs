//! Sessions that live in a store: made, found, renewed, over, out of reach, and in every order.

#![allow(missing_docs, reason = "tests")]

mod attack;
mod away;
mod check;
#[path = "../support/double.rs"]
mod double;
mod fleet;
mod forward;
mod gone;
mod keys;
mod lifetimes;
#[path = "../support/log.rs"]
mod log;
mod orders;
mod races;
mod sign_in;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/strict.rs"]
mod strict;
#[path = "../support/mod.rs"]
mod support;
mod tokens;
mod unread;
#[path = "../support/visits.rs"]
mod visits;
mod waiting;

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, Identity, ManualClock, SignIn, SignInService};

use crate::double::{Double, Kind};
use crate::site::{SESSION, Site};
use crate::support::{Browser, code, navigation, text};
use crate::visits::{Visit, at, max_age, open, ring};

/// A site whose sessions are in a store, and what another node of it needs.
struct Stored {
    site: Site,
    store: Double,
    clock: Arc<ManualClock>,
}

impl Stored {
    fn new(kind: Kind) -> Self {
        Self::with(kind, |builder| builder)
    }

    fn with(kind: Kind, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(at(0)));
        let store = Double::new(kind, &clock);
        let site = node(&store, &clock, configure);
        Self { site, store, clock }
    }

    /// Another node of the same site.
    fn node(&self, configure: impl FnOnce(Builder) -> Builder) -> Site {
        node(&self.store, &self.clock, configure)
    }

    /// One that knows of no store.
    fn without_store(&self) -> Site {
        let mut site = Site::with(|builder| builder.keys(ring(&[1])).clock(Arc::clone(&self.clock)));
        site.clock = Arc::clone(&self.clock);
        site
    }

    /// A browser in which bob is signed in; what that took is not counted.
    async fn signed_in(&self) -> Browser {
        let browser = self.site.signed_in().await;
        self.store.forget();
        browser
    }

    /// The layer around a service that answers the subject or `nobody`.
    fn sign_in_service(&self) -> SignInService<Who> {
        service_of(&self.site)
    }

    async fn visit(&self, browser: &mut Browser, second: i64) -> Visit {
        self.clock.set(at(second));
        open(&self.site, browser).await
    }
}

type Who = BoxCloneSyncService<Request<Bytes>, Response<Full<Bytes>>, Infallible>;

fn service_of(site: &Site) -> SignInService<Who> {
    site.sign_in.layer().layer(BoxCloneSyncService::new(service_fn(|request: Request<Bytes>| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
        ready(Ok(Response::new(Full::from(who))))
    })))
}

fn node(store: &Double, clock: &Arc<ManualClock>, configure: impl FnOnce(Builder) -> Builder) -> Site {
    let mut site =
        Site::with(|builder| configure(builder.keys(ring(&[1])).session_store(store.clone())).clock(Arc::clone(clock)));
    site.clock = Arc::clone(clock);
    site
}

/// An app that asks in every way who is there.
fn router(sign_in: &SignIn) -> Router {
    Router::new()
        .route("/guarded", any(|| async { "guarded" }).layer(sign_in.require()))
        .route("/somebody", get(|identity: Identity| async move { identity.subject().to_owned() }))
        .route("/perhaps", get(support::who))
        .route("/open", get(|| async { "open" }))
}

/// A request with this browser's cookies to that app; nothing that comes is kept.
async fn ask(site: &Site, browser: &Browser, request: http::request::Builder) -> Response<Bytes> {
    let mut request = request.body(Body::empty()).unwrap();
    if let Some(cookies) = browser.cookie_header() {
        request.headers_mut().append(COOKIE, cookies.parse().unwrap());
    }
    let response = site.sign_in.layer().layer(router(&site.sign_in)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// A request of a script.
fn fetch(path: &str) -> http::request::Builder {
    Request::get(path).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty")
}

/// A request of a person.
fn page(path: &str) -> http::request::Builder {
    navigation(Method::GET, path, "none")
}

/// Signs out by a form of this site.
async fn sign_out(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    site.visit(browser, navigation(Method::POST, site.sign_in.logout_path(), "same-origin")).await
}

fn told(response: &Response<Bytes>) -> (u16, String) {
    (response.status().as_u16(), code(response))
}

fn said(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// Lets every task run until it waits for something that is not another task.
async fn settle() {
    for _ in 0..40 {
        tokio::task::yield_now().await;
    }
}

/// Who comes with this browser's cookies, as a handler sees them; nothing that comes is kept.
async fn identity(site: &Site, browser: &Browser) -> Option<Identity> {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<Bytes>| {
        *kept.lock().unwrap() = request.extensions().get::<Identity>().cloned();
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let request = page("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
    site.sign_in.layer().layer(inner).oneshot(request).await.unwrap();
    seen.lock().unwrap().take()
}
