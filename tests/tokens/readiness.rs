//! A request that waits for its tokens is answered by the service that was polled ready for it.

use std::convert::Infallible;
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_signin::{BoxFuture, Tokens};

use crate::support::{Browser, navigation};
use crate::{Shop, is_refresh};

#[tokio::test]
async fn is_kept_while_the_request_waits() {
    let shop = Shop::new();
    let gate = shop.site.upstream.hold(is_refresh);
    let browser = shop.due().await;
    let limited = ConcurrencyLimitLayer::new(1).layer(Strict::default());
    let mut service = shop.site.sign_in.layer().layer(limited);
    let mut other = service.clone();
    let waiting = service.ready().await.unwrap().call(request(&browser));
    assert!(!is_ready(&mut other), "its turn is kept");
    gate.add_permits(1);
    let body = waiting.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "at-2");
    assert!(is_ready(&mut other), "and given back");
}

#[tokio::test]
async fn is_given_back_where_the_client_goes_away() {
    let shop = Shop::new();
    let _gate = shop.site.upstream.hold(is_refresh);
    let browser = shop.due().await;
    let mut service = shop.site.sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(Strict::default()));
    let mut other = service.clone();
    drop(service.ready().await.unwrap().call(request(&browser)));
    assert!(is_ready(&mut other));
}

#[tokio::test]
async fn goes_through_a_buffer() {
    let shop = Shop::new();
    let browser = shop.due().await;
    let mut service = shop.site.sign_in.layer().layer(BufferLayer::new(1).layer(Strict::default()));
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(request(&browser)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "at-2");
    }
}

fn request(browser: &Browser) -> Request<Bytes> {
    let request = navigation(Method::GET, "/", "none").header(COOKIE, browser.cookie_header().unwrap());
    request.body(Bytes::new()).unwrap()
}

fn is_ready<S: Service<Request<Bytes>>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Panics when called without having been polled ready; a clone starts over, as that of `ConcurrencyLimit` does.
#[derive(Debug, Default)]
struct Strict {
    is_ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false }
    }
}

impl Service<Request<Bytes>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "called without being ready");
        let token = request.extensions().get::<Tokens>().map(|tokens| tokens.access_token().to_owned());
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(Response::new(Full::from(token.unwrap_or_default())))
        })
    }
}
