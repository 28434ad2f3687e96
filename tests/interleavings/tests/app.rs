//! An app whose handler takes its time, and the order in which things were said.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::task::{JoinHandle, yield_now};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, Identity, Provider, SignedIn, Tokens};

use crate::bank::sent;
use crate::site::{BOB, CALLBACK, Site, deleted, set_cookies, siwbb};
use crate::support::{Browser, navigation, text};

pub(crate) const SESSION: &str = "__Host-signin";
pub(crate) const TOKENS: &str = "__Host-signin-tokens";

pub(crate) struct App {
    pub(crate) site: Site,
    turns: Arc<AtomicUsize>,
    /// Whom the handler saw last.
    seen: Arc<Mutex<Option<Identity>>>,
    /// In forward mode, how many of the handlers to come refuse.
    refusing: Arc<AtomicUsize>,
}

/// A response, and when its request was begun, was with the handler if it came there, and was answered.
pub(crate) struct Told {
    pub(crate) response: Response<Bytes>,
    pub(crate) begun: usize,
    handled: Option<Handled>,
    pub(crate) ended: usize,
}

#[derive(Clone, Copy)]
struct Handled {
    from: usize,
    to: usize,
}

impl App {
    pub(crate) fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(siwbb(), configure)
    }

    pub(crate) fn of(provider: impl Provider, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let site = Site::of(provider, CALLBACK, configure);
        Self { site, turns: Arc::default(), seen: Arc::default(), refusing: Arc::default() }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.site.clock.advance(Duration::from_secs(seconds));
    }

    /// Sends a request with this browser's cookies from a task of its own; nothing that comes back is kept.
    pub(crate) fn send(&self, browser: &Browser, request: http::request::Builder) -> JoinHandle<Told> {
        let mut request = request.body(Bytes::new()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().append(COOKIE, cookies.parse().unwrap());
        }
        let (turns, seen, refusing) = (Arc::clone(&self.turns), Arc::clone(&self.seen), Arc::clone(&self.refusing));
        let handler_turns = Arc::clone(&turns);
        let handler = service_fn(move |request: Request<Bytes>| {
            let who = who(&request);
            *seen.lock().unwrap() = request.extensions().get::<Identity>().cloned();
            let signed_in = request.extensions().get::<SignedIn>().cloned();
            let (turns, refusing) = (Arc::clone(&handler_turns), Arc::clone(&refusing));
            async move {
                let from = next(&turns);
                // Longer than the provider, so that a whole sign-in has room in between.
                for _ in 0..3 {
                    yield_now().await;
                }
                if let Some(signed_in) = signed_in
                    && refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
                {
                    signed_in.refuse("not-today");
                }
                let mut response = Response::new(Full::from(who));
                response.extensions_mut().insert(Handled { from, to: next(&turns) });
                Ok::<_, Infallible>(response)
            }
        });
        let service = self.site.sign_in.layer().layer(handler);
        tokio::spawn(async move {
            let begun = next(&turns);
            let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
            let ended = next(&turns);
            let handled = parts.extensions.get::<Handled>().copied();
            let response = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
            Told { response, begun, handled, ended }
        })
    }

    pub(crate) fn visit(&self, browser: &Browser) -> JoinHandle<Told> {
        self.send(browser, navigation(Method::GET, "/", "none"))
    }

    pub(crate) fn come_back(&self, browser: &Browser, callback: &str) -> JoinHandle<Told> {
        self.send(browser, navigation(Method::GET, callback, "cross-site"))
    }

    pub(crate) fn sign_out(&self, browser: &Browser) -> JoinHandle<Told> {
        self.send(browser, navigation(Method::POST, self.site.sign_in.logout_path(), "same-origin"))
    }

    /// Who comes with this browser's cookies.
    pub(crate) async fn identity(&self, browser: &Browser) -> Option<Identity> {
        told(self.visit(browser)).await;
        self.seen.lock().unwrap().take()
    }

    /// The next handlers of callbacks refuse.
    pub(crate) fn refuse_next(&self, many: usize) {
        self.refusing.store(many, Ordering::SeqCst);
    }

    /// What was sent to the provider.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.site.upstream.requests().iter().map(sent).collect()
    }
}

impl Told {
    pub(crate) fn text(&self) -> &str {
        text(&self.response)
    }

    /// The header that sets or deletes a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        set_cookies(&self.response).into_iter().find(|cookie| cookie.starts_with(&format!("{name}=")))
    }

    pub(crate) fn brings(&self, name: &str) -> bool {
        self.cookie(name).is_some_and(|cookie| cookie != deleted(name))
    }

    pub(crate) fn deletes(&self, name: &str) -> bool {
        self.cookie(name) == Some(deleted(name))
    }

    /// Whether the handler answered only once `other` was there. What the layer then adds can know of it. Where the two
    /// overlap either may be the first, as it may on the way to the browser.
    pub(crate) fn was_handled_after(&self, other: &Self) -> bool {
        self.handled.is_some_and(|handled| handled.to > other.ended)
    }

    /// Whether the handler had it before `other` was begun, and answered only once that was there.
    pub(crate) fn was_handled_around(&self, other: &Self) -> bool {
        self.handled.is_some_and(|handled| handled.from < other.begun) && self.was_handled_after(other)
    }
}

pub(crate) async fn told(task: JoinHandle<Told>) -> Told {
    task.await.expect("it is not aborted")
}

pub(crate) async fn all_told(tasks: impl IntoIterator<Item = JoinHandle<Told>>) -> Vec<Told> {
    let mut all = Vec::new();
    for task in tasks {
        all.push(told(task).await);
    }
    all
}

/// Waits for what a task does of which nobody has a handle. Where it never does, shuttle says that there were too many turns.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

/// Gives such tasks many turns.
pub(crate) async fn settle() {
    for _ in 0..60 {
        yield_now().await;
    }
}

fn next(turns: &AtomicUsize) -> usize {
    turns.fetch_add(1, Ordering::SeqCst)
}

fn who(request: &Request<Bytes>) -> String {
    let Some(identity) = request.extensions().get::<Identity>() else { return "nobody".to_owned() };
    assert_eq!(identity.subject(), BOB);
    match request.extensions().get::<Tokens>() {
        Some(tokens) => format!("bob {}", tokens.access_token()),
        None => "bob".to_owned(),
    }
}
