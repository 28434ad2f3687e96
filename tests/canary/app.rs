//! The app that is watched, and every way through it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{OriginalUri, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::any;
use bytes::Bytes;
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tower_signin::dev::{DevProvider, Fault, Route};
use tower_signin::{Admission, Builder, Clock as _, Identity, Keys, ManualClock, Rejection, SignIn, SignedIn, Tokens};

use crate::support::{Browser, location, text};
use crate::watched::Store;
use crate::{RING_KEY, Secrets, Seen};

/// An app behind the layer of which everything is seen, and whose secrets are noted.
pub(crate) struct App {
    pub(crate) origin: String,
    pub(crate) dev: DevProvider,
    clock: Arc<ManualClock>,
    sign_in: SignIn,
    store: Store,
    seen: Seen,
    secrets: Secrets,
}

impl App {
    pub(crate) async fn start(
        seen: &Seen,
        secrets: &Secrets,
        configure: impl FnOnce(Builder, &Store) -> Builder,
    ) -> Self {
        let dev = DevProvider::start().await.unwrap();
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        let dev_clock = Arc::clone(&clock);
        dev.set_clock(Arc::new(move || dev_clock.now()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let siwbb = dev.siwbb().require_claim("canary-claim");
        seen.add("provider", &siwbb);
        let keys = Keys::parse(RING_KEY).unwrap();
        seen.add("keys", &keys);
        let (hook_seen, hook_secrets) = (seen.clone(), secrets.clone());
        let builder =
            SignIn::builder(siwbb).redirect_uri(format!("{origin}/auth/callback")).keys(keys).on_sign_in(move |who| {
                watch_sign_in(&hook_seen, &hook_secrets, &who);
                async move {
                    match who.return_to() {
                        "/refused" => Err(Rejection::refuse("canary")),
                        "/fails" => Err(io::Error::other("the hook failed").into()),
                        "/panics" => panic!("the hook panicked"),
                        _ => Ok(Admission::new()),
                    }
                }
            });
        let store = Store::new(seen, secrets, &clock);
        let builder = configure(builder, &store).clock(Arc::clone(&clock));
        seen.add("builder", &builder);
        let sign_in = builder.build().unwrap();
        seen.add("sign_in", &(&sign_in, sign_in.layer(), sign_in.require()));
        let (request_seen, request_secrets) = (seen.clone(), secrets.clone());
        let watch = from_fn(move |request: Request, next: Next| {
            watch_request(&request_seen, &request_secrets, &request);
            next.run(request)
        });
        let trace = TraceLayer::new_for_http()
            .make_span_with(DefaultMakeSpan::new().include_headers(true).level(tracing::Level::TRACE))
            .on_request(DefaultOnRequest::new().level(tracing::Level::TRACE))
            .on_response(DefaultOnResponse::new().include_headers(true).level(tracing::Level::TRACE));
        let router = Router::new()
            .route("/guarded", any(handler).layer(sign_in.require()))
            .route("/argument", any(async |_: Tokens| "hello"))
            .fallback(any(handler))
            .layer(watch)
            .layer(trace);
        let service = ServiceBuilder::new()
            .map_response(|response: http::Response<_>| response.map(axum::body::Body::new))
            .layer(sign_in.layer())
            .service(router);
        seen.add("service", &"mounted around the router");
        tokio::spawn(async move { axum::serve(listener, tower::make::Shared::new(service)).await.unwrap() });
        Self { origin, dev, clock, sign_in, store, seen: seen.clone(), secrets: secrets.clone() }
    }

    /// One sign-in to `return_to`, whatever becomes of it; its answers are seen, and its secrets noted.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, return_to: &str) {
        let authorization_url = browser.start(&self.origin, return_to).await;
        browser.get(&self.origin).await;
        let callback = browser.approve(&authorization_url, "alice").await;
        self.secrets.add_callback(&callback);
        self.note_cookies(browser);
        for name in ["first", "again", "without its cookie"] {
            let answer = browser.get(&callback).await;
            self.watch_answer(name, &answer);
            if answer.status() == 303 {
                self.watch_answer("target", &browser.get(&format!("{}{}", self.origin, location(&answer))).await);
            }
        }
        self.note_cookies(browser);
    }

    fn note_cookies(&self, browser: &Browser) {
        for (name, value) in &browser.jar {
            self.secrets.add(name, value);
        }
    }

    /// Keeps tokens until they are due, refreshes them while the provider answers so, and signs out.
    pub(crate) async fn keep(&self, fault: Option<Fault>) {
        let mut browser = Browser::new();
        self.sign_in(&mut browser, "/kept").await;
        let revoke_fault = fault.clone();
        self.dev.set_fault(fault);
        for wait in [24 * 60 * 60 - 60, 60] {
            self.clock.advance(Duration::from_secs(wait));
            for path in ["/", "/guarded", "/argument"] {
                let url = format!("{}{path}", self.origin);
                self.watch_answer("a page", &browser.get(&url).await);
                let script = http::Request::get(&url).header("sec-fetch-mode", "cors").body(Bytes::new()).unwrap();
                self.watch_answer("a script's", &browser.send(script).await);
                self.note_cookies(&browser);
            }
        }
        self.dev.set_fault(None);
        self.dev.set_fault_on(Route::Revoke, revoke_fault);
        self.watch_answer("logout", &browser.post(&format!("{}/auth/logout", self.origin), "").await);
        self.dev.set_fault_on(Route::Revoke, None);
    }

    /// Has a session checked again while the provider answers so, in every way.
    pub(crate) async fn recheck(&self, fault: Option<&Fault>) {
        for route in [Route::Status, Route::ClaimSuccess] {
            let mut browser = Browser::new();
            self.sign_in(&mut browser, "/checked").await;
            self.dev.set_fault_on(route, fault.cloned());
            for wait in [0, 700, 7200] {
                self.clock.advance(Duration::from_secs(wait));
                for path in ["/", "/guarded", "/argument"] {
                    self.watch_answer("checked again", &browser.get(&format!("{}{path}", self.origin)).await);
                    self.note_cookies(&browser);
                }
            }
            self.dev.set_fault_on(route, None);
        }
    }

    /// Every answer of ours while the store is away, and once it has forgotten.
    pub(crate) async fn without_store(&self) {
        let mut browser = Browser::new();
        self.sign_in(&mut browser, "/stored").await;
        let started = browser.start(&self.origin, "/stored").await;
        let callback = browser.approve(&started, "alice").await;
        self.secrets.add_callback(&callback);
        self.store.set_away(true);
        for path in ["/", "/guarded", "/argument", "/auth/login"] {
            self.watch_answer("store away", &browser.get(&format!("{}{path}", self.origin)).await);
        }
        self.watch_answer("store away", &browser.get(&callback).await);
        let mut nobody = browser.clone();
        nobody.jar.retain(|name, _| name.contains("-flow-"));
        self.watch_answer("store away", &nobody.get(&callback).await);
        self.watch_answer("store away", &browser.post(&format!("{}/auth/logout", self.origin), "").await);
        self.store.set_away(false);
        self.watch_answer("store back", &browser.get(&format!("{}/guarded", self.origin)).await);
    }

    /// Goes round in circles until that is stopped, and signs out by the page that asks.
    pub(crate) async fn circles(&self) {
        let mut browser = Browser::new();
        for _ in 0..3 {
            self.sign_in(&mut browser, "/loop").await;
            let session =
                browser.jar.keys().find(|name| !name.contains("-flow-") && !name.ends_with("-rounds")).cloned();
            browser.jar.remove(&session.unwrap());
            let login = browser.get(&format!("{}/auth/login?return_to=/loop", self.origin)).await;
            self.note_cookies(&browser);
            if login.status() == 303 {
                continue;
            }
            self.watch_answer("the circle ends", &login);
        }
        let mut browser = Browser::new();
        self.sign_in(&mut browser, "/asked").await;
        let request = |path: &str| {
            let url = format!("{}{path}", self.origin);
            http::Request::post(url).header("accept", "text/html").body(Bytes::new()).unwrap()
        };
        // It has the token in its form, where it must be, and so it is not searched.
        let page = browser.send(request("/auth/logout")).await;
        let (_, action) = text(&page).split_once("action=\"").expect("a form");
        let action = action.split('"').next().unwrap().replace("&amp;", "&");
        self.secrets.add("token to sign out", action.split_once("token=").unwrap().1.split('&').next().unwrap());
        self.watch_answer("another's", &Browser::new().send(request(&action)).await);
        self.watch_answer("signed out by the page", &browser.send(request(&action)).await);
    }

    /// What the operator is told, of a provider that answers so.
    pub(crate) async fn check(&self, fault: Option<Fault>) {
        for route in [Route::Status, Route::Token] {
            self.dev.set_fault_on(route, fault.clone());
            let report = self.sign_in.check().await;
            self.seen.add("report", &report);
            self.seen.add("report", &report.to_string());
            self.dev.set_fault_on(route, None);
        }
    }

    pub(crate) fn watch_answer(&self, name: &str, answer: &http::Response<Bytes>) {
        // This side of the wire nothing is marked sensitive any more, and a browser must get its cookies.
        let headers = answer.headers().iter().filter(|(name, _)| *name != http::header::SET_COOKIE);
        self.seen.add(name, &(answer.status(), headers.collect::<Vec<_>>(), text(answer)));
    }

    /// The secrets that went to the provider.
    pub(crate) fn note_exchanges(&self) {
        for request in self.dev.requests() {
            self.seen.add("request to the provider", &(&request.path, &request.query));
            if let Ok(body) = serde_json::from_slice::<serde_json::Value>(&request.body) {
                for name in ["code_verifier", "code", "refresh_token", "token"] {
                    if let Some(value) = body[name].as_str() {
                        self.secrets.add(name, value);
                    }
                }
            }
        }
    }
}

fn watch_sign_in(seen: &Seen, secrets: &Secrets, who: &SignedIn) {
    seen.add("hook", who);
    if let Some(tokens) = who.tokens() {
        seen.add("tokens", tokens);
        secrets.add("access token", tokens.access_token());
        secrets.add("refresh token", tokens.refresh_token().unwrap_or("no refresh token"));
    }
}

fn watch_request(seen: &Seen, secrets: &Secrets, request: &Request) {
    let extensions = request.extensions();
    seen.add("request", request);
    seen.add("uri", request.uri());
    seen.add("original uri", &extensions.get::<OriginalUri>());
    seen.add("identity", &extensions.get::<Identity>());
    seen.add("signed in", &extensions.get::<SignedIn>());
    seen.add("kept tokens", &extensions.get::<Tokens>());
    if let Some(tokens) = extensions.get::<Tokens>() {
        secrets.add("kept access token", tokens.access_token());
        secrets.add("kept refresh token", tokens.refresh_token().unwrap_or("no refresh token"));
    }
}

/// In forward mode this is the app's own callback handler.
async fn handler(request: Request) -> Response {
    match request.extensions().get::<SignedIn>() {
        Some(who) if who.return_to() == "/refused-by-handler" => {
            who.refuse("canary");
            "refused".into_response()
        }
        Some(who) => Redirect::to(who.return_to()).into_response(),
        None => "hello".into_response(),
    }
}
