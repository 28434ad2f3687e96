//! What other layers do to our answers: to all of them from around, to none from inside.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING, COOKIE,
    LOCATION, ORIGIN, SET_COOKIE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::Notify;
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Admission, SignIn};

use crate::app::{FROM_THE_APP, answer};
use crate::support::sign_in_at;

const ORIGIN_OF_THE_APP: &str = "http://localhost:3000";
const OUR_PATHS: [&str; 3] = ["/auth/login", "/auth/callback", "/auth/logout"];

#[tokio::test]
async fn options_on_our_paths_reaches_the_app() {
    let (_dev, sign_in) = sign_in().await;
    let service = sign_in.layer().layer(service_fn(app));
    for path in OUR_PATHS {
        let headers = ask(service.clone(), preflight(path), 204).await;
        assert!(headers.contains_key(FROM_THE_APP), "{path}");
    }
}

#[tokio::test]
async fn a_preflight_is_answered_by_cors_around_or_inside() {
    let (_dev, sign_in) = sign_in().await;
    let around = CorsLayer::permissive().layer(sign_in.layer().layer(service_fn(app)));
    let inside = sign_in.layer().layer(CorsLayer::permissive().layer(service_fn(app)));
    for path in OUR_PATHS {
        for (name, headers) in [
            ("around", ask(around.clone(), preflight(path), 200).await),
            ("inside", ask(inside.clone(), preflight(path), 200).await),
        ] {
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*", "{name}, {path}");
            assert!(!headers.contains_key(FROM_THE_APP), "{name}, {path}");
        }
    }
    for (path, status, is_marked_inside) in [("/", 200, true), ("/auth/login", 303, false)] {
        let headers = ask(around.clone(), request(path, &[]), status).await;
        assert!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "around, {path}");
        let headers = ask(inside.clone(), request(path, &[]), status).await;
        assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), is_marked_inside, "inside, {path}");
    }
}

#[tokio::test]
async fn compression_around_takes_our_pages_too() {
    let (_dev, sign_in) = sign_in().await;
    let compression = CompressionLayer::new().compress_when(SizeAbove::new(1));
    let around = compression.layer(sign_in.layer().layer(service_fn(app)));
    let inside = sign_in.layer().layer(compression.layer(service_fn(app)));
    let headers = [(ACCEPT_ENCODING, "gzip"), (ACCEPT, "text/html")];
    for (path, status, is_compressed_inside) in [("/", 200, true), ("/auth/callback", 400, false)] {
        let answered = ask(around.clone(), request(path, &headers), status).await;
        assert_eq!(answered[CONTENT_ENCODING], "gzip", "around, {path}");
        let answered = ask(inside.clone(), request(path, &headers), status).await;
        assert_eq!(answered.contains_key(CONTENT_ENCODING), is_compressed_inside, "inside, {path}");
    }
}

/// The app's hook takes too long; the sign-in goes on by itself, and the browser's next try joins it.
#[tokio::test]
async fn a_timeout_around_ends_the_answer_but_not_the_sign_in() {
    let dev = DevProvider::start().await.unwrap();
    let may_end = Arc::new(Notify::new());
    let hook = Arc::clone(&may_end);
    let sign_in = sign_in_at(&dev, ORIGIN_OF_THE_APP, |builder| {
        builder.on_sign_in(move |_| {
            let hook = Arc::clone(&hook);
            async move {
                hook.notified().await;
                Ok(Admission::new())
            }
        })
    });
    let service = sign_in.layer().layer(service_fn(app));
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_millis(50));
    let impatient = timeout.layer(service.clone());

    let login = ask(service.clone(), request("/auth/login", &[]), 303).await;
    let callback = dev.approve(login[LOCATION].to_str().unwrap(), &Account::alice()).unwrap();
    let flow = login[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let headers = ask(impatient, request(&callback, &[(COOKIE, flow)]), 504).await;
    assert!(!headers.contains_key(SET_COOKIE));
    may_end.notify_one();
    let headers = ask(service, request(&callback, &[(COOKIE, flow)]), 303).await;
    assert_eq!(headers[LOCATION], "/");
    assert_eq!(dev.requests().len(), 1, "one exchange");
}

async fn sign_in() -> (DevProvider, SignIn) {
    let dev = DevProvider::start().await.unwrap();
    let sign_in = sign_in_at(&dev, ORIGIN_OF_THE_APP, |builder| builder);
    (dev, sign_in)
}

async fn app(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(answer(&request))
}

fn preflight(path: &str) -> Request<()> {
    let mut request = request(path, &[(ORIGIN, "https://other.example"), (ACCESS_CONTROL_REQUEST_METHOD, "GET")]);
    *request.method_mut() = Method::OPTIONS;
    request
}

fn request(path: &str, headers: &[(http::HeaderName, &str)]) -> Request<()> {
    let mut request = Request::get(path).body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// The headers of an answer that has this status.
async fn ask<S, B>(service: S, request: Request<()>, status: u16) -> HeaderMap
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let what = format!("{} {}", request.method(), request.uri());
    let Ok(response) = service.oneshot(request).await;
    assert_eq!(response.status(), status, "{what}");
    response.headers().clone()
}
