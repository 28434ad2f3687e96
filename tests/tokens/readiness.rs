//! A request that waits for its tokens is answered by the service that was polled ready for it.

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_signin::Tokens;

use crate::strict::{Strict, is_ready};
use crate::support::{Browser, navigation};
use crate::{Shop, is_refresh};

#[tokio::test]
async fn is_kept_while_the_request_waits() {
    let shop = Shop::new();
    let gate = shop.site.upstream.hold(is_refresh);
    let browser = shop.due().await;
    let limited = ConcurrencyLimitLayer::new(1).layer(strict());
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
    let mut service = shop.site.sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(strict()));
    let mut other = service.clone();
    drop(service.ready().await.unwrap().call(request(&browser)));
    assert!(is_ready(&mut other));
}

#[tokio::test]
async fn goes_through_a_buffer() {
    let shop = Shop::new();
    let browser = shop.due().await;
    let mut service = shop.site.sign_in.layer().layer(BufferLayer::new(1).layer(strict()));
    for _ in 0..3 {
        let response = service.ready().await.unwrap().call(request(&browser)).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "at-2");
    }
}

fn request(browser: &Browser) -> Request<Bytes> {
    let request = navigation(Method::GET, "/", "none").header(COOKIE, browser.cookie_header().unwrap());
    request.body(Bytes::new()).unwrap()
}

fn strict() -> Strict {
    Strict::new(|request| {
        let tokens = request.extensions().get::<Tokens>();
        tokens.map(|tokens| tokens.access_token().to_owned()).unwrap_or_default()
    })
}
