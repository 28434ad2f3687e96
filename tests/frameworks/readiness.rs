//! The contract of `poll_ready` and `call`, which layers such as `ConcurrencyLimit` and `Buffer` live by.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request, Response};
use http_body_util::Full;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceExt as _};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{BoxFuture, SignIn};

use crate::app::{FROM_THE_APP, answer};
use crate::support::{navigation, sign_in_at};

const ORIGIN: &str = "http://localhost:3000";

#[tokio::test]
async fn the_inner_service_is_called_only_when_it_was_ready() {
    for forward in [false, true] {
        let (dev, sign_in) = sign_in(forward).await;
        let inner = Strict::default();
        let mut service = sign_in.layer().layer(inner.clone());
        let (callback, flow) = callback_of(&dev, &mut service).await;
        let session = dev.signed_in_cookie(&sign_in, &Account::alice()).unwrap();

        let cases = [
            ("nobody", Method::GET, "/", "", 200, true),
            ("somebody", Method::GET, "/", session.as_str(), 200, true),
            ("a callback", Method::GET, callback.as_str(), flow.as_str(), 303, forward),
            ("the same again", Method::GET, callback.as_str(), flow.as_str(), 303, forward),
            ("a callback of nobody", Method::GET, "/auth/callback?code=a&state=b", "", 400, false),
            ("login", Method::GET, "/auth/login", "", 303, false),
            ("logout", Method::POST, "/auth/logout", session.as_str(), 303, false),
            ("a wrong method", Method::PUT, "/auth/login", "", 405, false),
            ("OPTIONS of login", Method::OPTIONS, "/auth/login", "", 204, true),
            ("OPTIONS of the callback", Method::OPTIONS, "/auth/callback", "", 204, true),
            ("OPTIONS of logout", Method::OPTIONS, "/auth/logout", "", 204, true),
        ];
        let mut calls = 0;
        for (name, method, path, cookie, status, is_from_the_app) in cases {
            let response = service.ready().await.unwrap().call(request(method, path, cookie)).await.unwrap();
            assert_eq!(response.status(), status, "{name}, forward: {forward}");
            assert_eq!(response.headers().contains_key(FROM_THE_APP), is_from_the_app, "{name}, forward: {forward}");
            calls += usize::from(is_from_the_app);
            assert_eq!(inner.calls.load(Ordering::SeqCst), calls, "{name}, forward: {forward}");
        }
    }
}

#[tokio::test]
#[should_panic(expected = "called without being ready")]
async fn a_layer_that_calls_a_mere_clone_would_be_caught() {
    let mut ready = Strict::default();
    ready.ready().await.unwrap();
    let _ = ready.clone().call(request(Method::GET, "/", "")).await;
}

/// What `poll_ready` reserved for a call that never comes would starve every other clone.
#[tokio::test]
async fn an_answer_of_the_layer_gives_the_turn_back() {
    for forward in [false, true] {
        let (dev, sign_in) = sign_in(forward).await;
        let limited = sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(Strict::default()));
        gives_the_turn_back("ConcurrencyLimit(1)", &dev, limited).await;
        let buffered = sign_in.layer().layer(BufferLayer::new(1).layer(Strict::default()));
        gives_the_turn_back("Buffer(1)", &dev, buffered).await;
    }
}

/// In redirect mode no call of the inner service follows, however long the provider takes.
#[tokio::test]
async fn a_callback_that_will_redirect_gives_the_turn_back_at_once() {
    let (dev, sign_in) = sign_in(false).await;
    let mut service = sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(Strict::default()));
    let mut other = service.clone();
    let (callback, flow) = callback_of(&dev, &mut service).await;
    let waiting = service.ready().await.unwrap().call(request(Method::GET, &callback, &flow));
    assert!(is_ready(&mut other), "another request can't go on while the provider is asked");
    assert_eq!(waiting.await.unwrap().status(), 303);
}

/// In forward mode the call does follow, and its turn is kept for it.
#[tokio::test]
async fn a_callback_that_is_handed_on_keeps_its_turn() {
    let (dev, sign_in) = sign_in(true).await;
    let mut service = sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(Strict::default()));
    let mut other = service.clone();
    let (callback, flow) = callback_of(&dev, &mut service).await;
    let waiting = service.ready().await.unwrap().call(request(Method::GET, &callback, &flow));
    assert!(!is_ready(&mut other));
    assert_eq!(waiting.await.unwrap().status(), 303);
    assert!(is_ready(&mut other));
}

#[tokio::test]
async fn a_guard_that_turns_away_gives_the_turn_back() {
    let (_dev, sign_in) = sign_in(false).await;
    let mut guard = sign_in.require().layer(ConcurrencyLimitLayer::new(1).layer(Strict::default()));
    let mut other = guard.clone();
    let response = guard.ready().await.unwrap().call(request(Method::GET, "/", "")).await.unwrap();
    assert_eq!(response.status(), 303);
    assert!(is_ready(&mut other));
}

async fn gives_the_turn_back<S, R>(name: &str, dev: &DevProvider, mut service: S)
where
    S: Service<Request<()>, Response = Response<R>, Error: std::fmt::Debug> + Clone,
{
    let mut other = service.clone();
    let (callback, flow) = callback_of(dev, &mut service).await;
    let cases = [
        ("login", Method::GET, "/auth/login", "", 303),
        ("a callback of nobody", Method::GET, "/auth/callback?code=a&state=b", "", 400),
        ("a callback", Method::GET, callback.as_str(), flow.as_str(), 303),
        ("logout", Method::POST, "/auth/logout", "", 303),
        ("a wrong method", Method::PUT, "/auth/login", "", 405),
    ];
    for (case, method, path, cookie, status) in cases {
        let response = service.ready().await.unwrap().call(request(method, path, cookie)).await.unwrap();
        assert_eq!(response.status(), status, "{name}, {case}");
        let response = tokio::time::timeout(std::time::Duration::from_secs(5), async {
            other.ready().await.unwrap().call(request(Method::GET, "/", "")).await.unwrap()
        });
        let response = response.await.unwrap_or_else(|_| panic!("{name}: after {case} the other clone waits forever"));
        assert_eq!(response.status(), 200, "{name}, {case}");
    }
}

async fn sign_in(forward: bool) -> (DevProvider, SignIn) {
    let dev = DevProvider::start().await.unwrap();
    let sign_in = sign_in_at(&dev, ORIGIN, |builder| if forward { builder.forward_callback() } else { builder });
    (dev, sign_in)
}

/// Starts a sign-in and approves it; gives the callback URL and the flow cookie.
async fn callback_of<S, R>(dev: &DevProvider, service: &mut S) -> (String, String)
where
    S: Service<Request<()>, Response = Response<R>, Error: std::fmt::Debug>,
{
    let response = service.ready().await.unwrap().call(request(Method::GET, "/auth/login", "")).await.unwrap();
    let header = |name| response.headers()[name].to_str().unwrap().to_owned();
    let callback = dev.approve(&header(LOCATION), &Account::alice()).unwrap();
    (callback, header(SET_COOKIE).split(';').next().unwrap().to_owned())
}

fn request(method: Method, path: &str, cookie: &str) -> Request<()> {
    let mut request = navigation(method, path, "same-origin").body(()).unwrap();
    if !cookie.is_empty() {
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    }
    request
}

fn is_ready<S: Service<Request<()>>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Panics when called without having been polled ready; a clone starts over, as that of `ConcurrencyLimit` does.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, calls: Arc::clone(&self.calls) }
    }
}

impl Service<Request<()>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "called without being ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(answer(&request))
        })
    }
}
