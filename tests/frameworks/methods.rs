//! Routes, services and RPCs that take every method: without a session none of them reaches what is guarded.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, service_fn};

use crate::app::{FROM_THE_APP, answer, while_serving};
use crate::matrix::{Guarded, IsHeadersAlone, Who, Wire, assert_only_over_is_deleted, request, serve};
use crate::matrix_grpc::serve_tonic;

const PREFLIGHT: &[(&str, &str)] = &[("origin", "https://other.example"), ("access-control-request-method", "DELETE")];

/// A name, a method, headers, the status without a session and that for who may not pass.
const REQUESTS: &[(&str, &str, &[(&str, &str)], u16, u16)] = &[
    ("OPTIONS", "OPTIONS", &[], 401, 403),
    ("OPTIONS of another origin", "OPTIONS", &[("origin", "https://other.example")], 401, 403),
    ("OPTIONS by a navigation", "OPTIONS", &[("sec-fetch-mode", "navigate")], 401, 403),
    ("a preflight", "OPTIONS", PREFLIGHT, 204, 204),
    ("an empty preflight", "OPTIONS", &[("access-control-request-method", "")], 204, 204),
    ("a preflight for gRPC-Web", "OPTIONS", &[PREFLIGHT[0], PREFLIGHT[1], GRPC_WEB], 204, 204),
    ("what is no preflight", "DELETE", PREFLIGHT, 401, 403),
    ("HEAD", "HEAD", &[], 401, 403),
    ("HEAD of a page", "HEAD", &[("accept", "text/html")], 401, 403),
    ("HEAD by a navigation", "HEAD", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], 401, 403),
    ("TRACE", "TRACE", &[], 401, 403),
    ("PUT", "PUT", &[], 401, 403),
    ("PATCH", "PATCH", &[], 401, 403),
    ("DELETE", "DELETE", &[], 401, 403),
    ("DELETE by a navigation", "DELETE", &[("sec-fetch-mode", "navigate")], 401, 403),
    ("BREW", "BREW", &[], 401, 403),
    ("get in small letters", "get", &[("accept", "text/html")], 401, 403),
    ("gRPC's type by PUT", "PUT", &[GRPC_WEB], 401, 403),
    ("a prefetch by PUT", "PUT", &[("sec-purpose", "prefetch")], 503, 503),
];
const GRPC_WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");

#[tokio::test]
async fn no_method_reaches_an_any_route_without_a_session() {
    let (guarded, listener) = Guarded::start().await;
    let (guard, handler) = (guarded.only_alice(), || any(guarded.handler()));
    let app = Router::new()
        .route("/method-router", handler().layer(guard.clone()))
        .nest("/router", Router::new().route("/below", handler()).layer(guard.clone()))
        .nest("/route", Router::new().route("/below", handler()).route_layer(guard.clone()))
        .nest_service("/service", guard.layer(Router::new().fallback_service(handler())))
        .fallback_service(guard.layer(handler()))
        .layer(guarded.sign_in.layer());
    let clients = async {
        for path in ["/method-router", "/router/below", "/route/below", "/service/below", "/fallback"] {
            every_method_is_guarded(&guarded, path).await;
        }
    };
    while_serving(serve(listener, app), clients).await;
}

#[tokio::test]
async fn no_method_reaches_a_hyper_service_without_a_session() {
    let (guarded, listener) = Guarded::start().await;
    let service = guarded.sign_in.layer().layer(guarded.only_alice().layer(method_blind(&guarded)));
    while_serving(serve(listener, service), every_method_is_guarded(&guarded, "/page")).await;
}

#[tokio::test]
async fn no_method_reaches_an_rpc_without_a_session() {
    let (guarded, listener) = Guarded::start().await;
    let clients = every_method_is_guarded(&guarded, "/test.WhoAmI/Ask");
    while_serving(serve_tonic(&guarded, guarded.only_alice(), listener), clients).await;
}

#[tokio::test]
async fn options_of_a_path_of_sign_in_is_guarded_like_any_other() {
    let (guarded, listener) = Guarded::start().await;
    let app = Router::new().fallback_service(any(guarded.handler())).layer(guarded.sign_in.require());
    let app = app.layer(guarded.sign_in.layer());
    let clients = async {
        for path in ["/auth/login", "/auth/callback?code=a&state=b", "/auth/logout"] {
            for (headers, who, status, calls) in [
                (&[][..], Who::Nobody, 401, 0),
                (PREFLIGHT, Who::Nobody, 204, 0),
                (PREFLIGHT, Who::Alice, 204, 0),
                (&[], Who::Alice, 200, 1),
            ] {
                let before = guarded.count();
                let request = request(&guarded.origin, "OPTIONS", path, headers, guarded.cookie(who));
                let response = Wire::Http1.send(request).await;
                let found = (response.status().as_u16(), guarded.count() - before);
                assert_eq!(found, (status, calls), "{path}, {who:?}, {headers:?}");
            }
        }
    };
    while_serving(serve(listener, app), clients).await;
}

/// RFC 9110 section 9.3.2. hyper sees to it in HTTP/1.1, and axum for its routes; in HTTP/2 a client takes content for
/// a broken stream.
#[tokio::test]
async fn an_answer_to_head_has_no_content_in_http2() {
    let (guarded, listener) = Guarded::start().await;
    let service = guarded.sign_in.layer().layer(guarded.only_alice().layer(method_blind(&guarded)));
    let mut wrong = while_serving(serve(listener, service), heads_with_content("hyper", &guarded)).await;

    let (guarded, listener) = Guarded::start().await;
    let app = Router::new().nest_service("/any", guarded.only_alice().layer(any(guarded.handler())));
    let app = guarded.sign_in.layer().layer(app);
    wrong.extend(while_serving(serve(listener, app), heads_with_content("axum", &guarded)).await);

    let (guarded, listener) = Guarded::start().await;
    let clients = heads_with_content("tonic", &guarded);
    wrong.extend(while_serving(serve_tonic(&guarded, guarded.only_alice(), listener), clients).await);
    assert!(wrong.is_empty(), "answers to HEAD with content:\n{}", wrong.join("\n"));
}

async fn heads_with_content(place: &str, guarded: &Guarded) -> Vec<String> {
    let mut wire = Wire::connect(Version::HTTP_2, &guarded.origin).await;
    let mut wrong = Vec::new();
    for path in ["/any/page", "/auth/login", "/auth/callback?code=a&state=b", "/auth/logout"] {
        for (caller, header) in [("a person", ("accept", "text/html")), ("a prefetch", ("purpose", "prefetch"))] {
            for who in [Who::Bob, Who::Nobody] {
                let response = wire.send(request(&guarded.origin, "HEAD", path, &[header], guarded.cookie(who))).await;
                if response.extensions().get() != Some(&IsHeadersAlone(true)) {
                    wrong.push(format!("{place}, {path}, {caller}, {who:?}: {}", response.status()));
                }
            }
        }
    }
    wrong
}

/// What takes every method, and counts.
fn method_blind(guarded: &Guarded) -> BoxCloneSyncService<Request<Incoming>, Response<Full<Bytes>>, Infallible> {
    let calls = Arc::clone(&guarded.calls);
    BoxCloneSyncService::new(service_fn(move |request: Request<Incoming>| {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(answer(&request)))
    }))
}

async fn every_method_is_guarded(guarded: &Guarded, path: &str) {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let mut wire = Wire::connect(version, &guarded.origin).await;
        for (name, method, headers, nobody, not_allowed) in REQUESTS {
            for who in [Who::Alice, Who::Bob, Who::Nobody, Who::Expired] {
                let name = format!("{name}, {who:?}, {path}, {version:?}");
                let before = guarded.count();
                let response = wire.send(request(&guarded.origin, method, path, headers, guarded.cookie(who))).await;
                let (ran, is_preflight) = (guarded.count() - before, *nobody == 204);
                if who == Who::Alice && !is_preflight {
                    assert_eq!(ran, 1, "{name}: {response:?}");
                    assert!(response.headers().contains_key(FROM_THE_APP), "{name}: {response:?}");
                } else {
                    assert_eq!(ran, 0, "{name}: what is guarded ran");
                    let status = if who == Who::Bob { not_allowed } else { nobody };
                    assert_refused(&name, *status, &response);
                    assert_only_over_is_deleted(&name, who, &response);
                }
            }
        }
    }
}

#[track_caller]
fn assert_refused(name: &str, status: u16, response: &Response<Bytes>) {
    assert_eq!(response.status(), status, "{name}");
    let headers = response.headers();
    assert_eq!(headers["cache-control"], "no-store", "{name}");
    assert!(!headers.contains_key("location") && !headers.contains_key("grpc-status"), "{name}: {headers:?}");
    assert!(headers.keys().all(|header| !header.as_str().starts_with("access-control-")), "{name}: {headers:?}");
}
