//! The guard: each caller is told no in its own language, and nothing of theirs reaches what is guarded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, SET_COOKIE, WWW_AUTHENTICATE};
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::ServiceExt as _;
use tower_signin::ErrorKind;
use tower_signin::dev::Account;

use crate::app::{Site, while_serving};
use crate::support::alice;
use crate::who_am_i::{WhoAmI, ask};

/// An `any()` route behind the guard, which takes every method, and how often it ran.
async fn guarded() -> (Site, Router, Arc<AtomicUsize>) {
    let site = Site::in_mode(false).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = any(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        "secret"
    });
    let router = Router::new().route("/", handler.layer(site.sign_in.require())).layer(site.sign_in.layer());
    (site, router, calls)
}

fn request(method: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::builder().method(method).uri("/");
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn every_caller_is_told_no_in_its_own_language() {
    let (site, router, calls) = guarded().await;
    let (page, problem) = (Some("text/html; charset=utf-8"), Some("application/problem+json"));
    let cases: &[(&str, &str, &[(&str, &str)], u16, Option<&str>)] = &[
        ("a form", "POST", &[("sec-fetch-mode", "navigate")], 401, page),
        ("a fetch", "GET", &[("sec-fetch-mode", "cors")], 401, problem),
        ("an XHR", "GET", &[("x-requested-with", "XMLHttpRequest"), ("accept", "text/html")], 401, problem),
        ("curl", "GET", &[("accept", "*/*")], 401, problem),
        (
            "a WebSocket",
            "GET",
            &[("connection", "upgrade"), ("upgrade", "websocket"), ("accept", "text/html")],
            401,
            problem,
        ),
        ("a preflight", "OPTIONS", &[("access-control-request-method", "PUT")], 204, None),
        ("another OPTIONS", "OPTIONS", &[], 401, problem),
        ("TRACE", "TRACE", &[], 401, problem),
        ("an unknown method", "BREW", &[], 401, problem),
        ("HEAD", "HEAD", &[], 401, problem),
        ("a prefetch", "GET", &[("sec-purpose", "prefetch"), ("sec-fetch-mode", "navigate")], 503, problem),
        ("gRPC", "POST", &[("content-type", "application/grpc")], 200, Some("application/grpc")),
        ("gRPC by another method", "GET", &[("content-type", "application/grpc")], 401, problem),
        (
            "gRPC-Web",
            "POST",
            &[("content-type", "application/grpc-web+proto")],
            200,
            Some("application/grpc-web+proto"),
        ),
    ];
    let login_url = site.sign_in.redirect_uri().replace("/auth/callback", "/auth/login");
    for (name, method, headers, status, content_type) in cases {
        let response = router.clone().oneshot(request(method, headers)).await.unwrap();
        assert_eq!(response.status(), *status, "{name}");
        let found = response.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(found.as_deref(), *content_type, "{name}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{name}");
        assert!(!response.headers().contains_key(SET_COOKIE), "{name}");
        assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control")), "{name}");
        if *status == 200 {
            assert_eq!(response.headers()["grpc-status"], "16", "{name}");
            assert_eq!(response.extensions().get(), Some(&ErrorKind::NotSignedIn), "{name}");
            assert!(body(response).await.is_empty(), "{name}: trailers only");
            continue;
        }
        let challenge = response.headers().get(WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
        assert_eq!(challenge, (*status == 401).then_some("Cookie"), "{name}: RFC 9110 section 15.5.2");
        if *content_type == problem && *method != "HEAD" && *status == 401 {
            let body: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
            assert_eq!(
                (&body["code"], &body["login_url"]),
                (&"not_signed_in".into(), &login_url.clone().into()),
                "{name}"
            );
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0, "what is guarded never ran");
}

#[tokio::test]
async fn who_is_signed_in_passes_with_every_method() {
    let (site, router, calls) = guarded().await;
    let cookie = site.dev.signed_in_cookie(&site.sign_in, &Account::alice()).unwrap();
    for method in [Method::GET, Method::POST, Method::OPTIONS, Method::TRACE] {
        let mut request = request(method.as_str(), &[]);
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), 200, "{method}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 4);

    let mut preflight = request("OPTIONS", &[("access-control-request-method", "PUT")]);
    preflight.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    assert_eq!(router.clone().oneshot(preflight).await.unwrap().status(), 204);
    assert_eq!(calls.load(Ordering::SeqCst), 4, "what a preflight asks about never runs");
}

#[tokio::test]
async fn a_session_cookie_that_no_layer_looked_at_is_a_loud_mistake() {
    let (site, outside, _) = guarded().await;
    let without = Router::new().route("/", any("secret").layer(site.sign_in.require()));
    let cookie = site.dev.signed_in_cookie(&site.sign_in, &Account::alice()).unwrap();
    let name = cookie.split('=').next().unwrap();
    let junk = format!("{name}=junk");
    let twice = format!("{cookie}; {cookie}");
    let cases = [
        ("a session, no layer", &without, cookie.as_str(), 500),
        ("junk, no layer", &without, junk.as_str(), 500),
        ("another cookie, no layer", &without, "other=1", 401),
        ("a session", &outside, cookie.as_str(), 200),
        ("junk", &outside, junk.as_str(), 401),
        ("a session twice", &outside, twice.as_str(), 401),
    ];
    for (name, router, cookie, status) in cases {
        let response = router.clone().oneshot(request("GET", &[("cookie", cookie)])).await.unwrap();
        assert_eq!(response.status(), status, "{name}");
        if status == 500 {
            assert_eq!(response.extensions().get(), Some(&ErrorKind::LayerMissing), "{name}");
            assert!(body(response).await.contains("sign_in_layer_missing"), "{name}");
        }
    }
}

#[tokio::test]
async fn a_grpc_client_reads_the_guards_answer() {
    let site = Site::in_mode(false).await;
    let cookie = site.dev.signed_in_cookie(&site.sign_in, &Account::alice()).unwrap();
    let server = Server::builder()
        .layer(site.sign_in.layer())
        .layer(site.sign_in.require())
        .serve_with_incoming(Routes::new(WhoAmI), TcpIncoming::from(site.listener));
    let client = async {
        assert_eq!(ask(&site.origin, Some(&cookie)).await.unwrap(), alice());
        let status = ask(&site.origin, None).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (tonic::Code::Unauthenticated, "not_signed_in"), "{status:?}");
    };
    while_serving(server, client).await;
}

async fn body(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
