//! The layer without a network: a provider whose answers the test gives, and a count of what reached whom.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{
    BoxFuture, Builder, ErrorKind, HttpClient, HttpError, HttpErrorKind, Identity, Keys, ManualClock, Provider, SignIn,
    SignInService, Siwbb,
};

use crate::support::{Browser, location, navigation};

pub const ORIGIN: &str = "https://example.com";
pub const CALLBACK: &str = "https://example.com/api/callback";
/// The session's cookie, of a site with https.
pub const SESSION: &str = "__Host-signin";
pub const ID: &str = "app_demo_01";
pub const SECRET: &str = "s3cr3t-demo";
pub const KEY: &str = "key-demo";
pub const CODE: &str = "9c1f4e2b7a6d5c4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e";
/// 2026-09-06T00:00Z, in seconds.
pub const NOW: u64 = 1_788_739_200;
pub const BOB: &str = "bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue";
pub const BOB_ANSWER: &str = r#"{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH",
    "bitbadgesAddress":"bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue","verificationResponse":{"success":true},
    "access_token":"siwbb_at_7d2e9f4a1b6c3d8e5f0a2b9c4d7e1f6a","token_type":"Bearer"}"#;

/// An app behind the layer. Its inner service answers the subject or `nobody`.
pub struct Site {
    pub sign_in: SignIn,
    pub upstream: Upstream,
    pub clock: Arc<ManualClock>,
    inner_calls: Arc<AtomicUsize>,
    service: SignInService<BoxCloneSyncService<Request<Bytes>, Response<Full<Bytes>>, Infallible>>,
}

/// A sign-in that was started and waits for its callback.
#[derive(Clone)]
pub struct Started {
    pub authorization_url: String,
    pub state: String,
}

impl Site {
    pub fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::of(siwbb(), CALLBACK, configure)
    }

    pub fn of(provider: impl Provider, redirect_uri: &str, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let upstream = Upstream::default();
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)));
        let builder = SignIn::builder(provider)
            .redirect_uri(redirect_uri)
            .keys(Keys::generate().unwrap())
            .clock(Arc::clone(&clock))
            .http_client(upstream.clone());
        let sign_in = configure(builder).build().unwrap();
        let inner_calls = Arc::new(AtomicUsize::new(0));
        let calls = Arc::clone(&inner_calls);
        let inner = service_fn(move |request: Request<Bytes>| {
            calls.fetch_add(1, Ordering::SeqCst);
            let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
            std::future::ready(Ok(Response::new(Full::from(who))))
        });
        let service = sign_in.layer().layer(BoxCloneSyncService::new(inner));
        Self { sign_in, upstream, clock, inner_calls, service }
    }

    /// How often the inner service was called.
    pub fn inner_calls(&self) -> usize {
        self.inner_calls.load(Ordering::SeqCst)
    }

    pub async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = self.service.clone().oneshot(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }

    /// Sends a request with this browser's cookies through the layer around `router`; nothing that comes back is kept.
    pub fn through(
        &self,
        router: &Router,
        browser: &Browser,
        request: http::request::Builder,
    ) -> impl Future<Output = Response<Bytes>> + Send + 'static {
        let mut request = request.body(Body::empty()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().append(COOKIE, cookies.parse().unwrap());
        }
        let answer = self.sign_in.layer().layer(router.clone()).oneshot(request);
        async move {
            let (parts, body) = answer.await.unwrap().into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        }
    }

    /// Sends a request with this browser's cookies and keeps what comes back.
    pub async fn visit(&self, browser: &mut Browser, request: http::request::Builder) -> Response<Bytes> {
        let mut request = request.body(Bytes::new()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().append(COOKIE, cookies.parse().unwrap());
        }
        let response = self.send(request).await;
        browser.keep(&response);
        response
    }

    /// Opens an address as a person would by typing it.
    pub async fn get(&self, browser: &mut Browser, path: &str) -> Response<Bytes> {
        self.visit(browser, navigation(Method::GET, path, "none")).await
    }

    /// Goes to login from a page of the same origin.
    pub async fn start(&self, browser: &mut Browser, return_to: &str) -> Started {
        self.start_from(browser, "same-origin", return_to).await
    }

    pub async fn start_from(&self, browser: &mut Browser, site: &str, return_to: &str) -> Started {
        let response = self.visit(browser, navigation(Method::GET, &self.login(return_to), site)).await;
        assert_eq!(response.status(), 303, "{response:?}");
        Started::at(&location(&response))
    }

    /// The address of login with a return target.
    pub fn login(&self, return_to: &str) -> String {
        format!("{}?{}", self.sign_in.login_path(), query(&[("return_to", return_to)]))
    }

    /// The whole way; gives the answer to the callback.
    pub async fn complete(&self, browser: &mut Browser, return_to: &str) -> Response<Bytes> {
        let started = self.start(browser, return_to).await;
        self.get(browser, &started.callback(CODE)).await
    }

    /// A browser in which bob is signed in; what that took is not counted.
    pub async fn signed_in(&self) -> Browser {
        let mut browser = Browser::new();
        assert_eq!(self.complete(&mut browser, "/").await.status(), 303);
        self.upstream.forget();
        browser
    }

    /// Checks an answer of ours to bad input: its status and kind, that it can't be cached, and that neither the
    /// provider nor the inner service was asked.
    #[track_caller]
    pub fn assert_refused(&self, name: &str, response: &Response<Bytes>, status: u16, kind: ErrorKind) {
        let found = (response.status().as_u16(), response.extensions().get::<ErrorKind>().copied());
        assert_eq!(found, (status, Some(kind)), "{name}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{name}");
        assert_eq!(self.upstream.requests().len(), 0, "{name}: the provider was asked");
        assert_eq!(self.inner_calls(), 0, "{name}: the inner service was called");
    }
}

impl Started {
    pub fn at(authorization_url: &str) -> Self {
        let state = parameter(authorization_url, "state");
        Self { authorization_url: authorization_url.to_owned(), state }
    }

    /// Where the provider would send the browser back with this code.
    pub fn callback(&self, code: &str) -> String {
        format!("/api/callback?code={code}&state={}", self.state)
    }

    pub fn flow_cookie(&self) -> String {
        format!("__Host-signin-flow-{}", &self.state[..26])
    }

    pub fn flow_deleted(&self) -> String {
        deleted(&self.flow_cookie())
    }
}

/// The `Set-Cookie` header that deletes a cookie of an https site.
pub fn deleted(cookie: &str) -> String {
    format!("{cookie}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0")
}

pub fn set_cookies(response: &Response<Bytes>) -> Vec<String> {
    response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
}

pub fn siwbb() -> Siwbb {
    Siwbb::new(ID, SECRET, KEY)
}

pub fn query(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// The value of a query parameter that must be there once.
#[track_caller]
pub fn parameter(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    let values: Vec<_> = url.query_pairs().filter(|(other, _)| other == name).collect();
    assert_eq!(values.len(), 1, "{name} in {url}");
    values[0].1.clone().into_owned()
}

/// The provider's API, as the test wants it; bob is signed in unless told otherwise.
#[derive(Clone)]
pub struct Upstream(Arc<Mutex<Exchange>>);

struct Exchange {
    requests: Vec<Request<Bytes>>,
    answer: Arc<dyn Fn(&Request<Bytes>) -> Answer + Send + Sync>,
    gates: Vec<(Which, Arc<Semaphore>)>,
}

/// Tells some requests to the provider from others.
pub type Which = fn(&Request<Bytes>) -> bool;

pub type Answer = Result<Response<Bytes>, HttpErrorKind>;

impl Default for Upstream {
    fn default() -> Self {
        let answer = Arc::new(|_: &Request<Bytes>| Ok(Response::new(Bytes::from_static(BOB_ANSWER.as_bytes()))));
        Self(Arc::new(Mutex::new(Exchange { requests: Vec::new(), answer, gates: Vec::new() })))
    }
}

impl Upstream {
    /// Answers every request with this status and body.
    pub fn answer(&self, status: u16, body: impl Into<Bytes>) {
        let body = body.into();
        self.answer_by(move |_| Ok(Response::builder().status(status).body(body.clone()).unwrap()));
    }

    pub fn fail(&self, kind: HttpErrorKind) {
        self.answer_by(move |_| Err(kind));
    }

    pub fn answer_by(&self, answer: impl Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static) {
        self.0.lock().unwrap().answer = Arc::new(answer);
    }

    /// Has these requests wait, each for a permit of its own, before they are answered.
    pub fn hold(&self, which: Which) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.0.lock().unwrap().gates.push((which, Arc::clone(&gate)));
        gate
    }

    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.0.lock().unwrap().requests.clone()
    }

    pub fn forget(&self) {
        self.0.lock().unwrap().requests.clear();
    }
}

impl HttpClient for Upstream {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let (answer, gate) = {
            let mut exchange = self.0.lock().unwrap();
            exchange.requests.push(request.clone());
            let gate = exchange.gates.iter().rev().find(|(which, _)| which(&request)).map(|(_, gate)| Arc::clone(gate));
            (Arc::clone(&exchange.answer), gate)
        };
        Box::pin(async move {
            tokio::task::yield_now().await;
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            answer(&request).map_err(HttpError::new)
        })
    }
}
