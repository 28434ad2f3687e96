//! Handlers that take who is signed in as an argument, in odd places.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_signin::{ErrorKind, Identity, SignInRejection, SignedIn, Tokens};

use crate::site::{Site, set_cookies};
use crate::support::{Browser, navigation, text};
use crate::{fetch, told, visit};

fn who() -> Router {
    Router::new().route("/who", any(async |who: Identity| who.subject().to_owned()))
}

#[tokio::test]
async fn u08_u12_without_a_layer_around_an_argument_still_says_no() {
    let cases = [
        ("a script", fetch("GET", "/who"), 401, "application/problem+json"),
        ("a person", navigation(Method::GET, "/who", "none"), 401, "text/html; charset=utf-8"),
        ("a form", navigation(Method::POST, "/who", "same-origin"), 401, "text/html; charset=utf-8"),
        ("gRPC", http::Request::post("/who").header(CONTENT_TYPE, "application/grpc"), 200, "application/grpc"),
    ];
    for (name, request, status, content_type) in cases {
        let response = who().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        let found = (response.status().as_u16(), response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned());
        assert_eq!(found, (status, content_type.to_owned()), "{name}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
        assert!(!response.headers().contains_key("location"), "{name}");
        assert_eq!(response.extensions().get(), Some(&ErrorKind::NotSignedIn), "{name}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("href"), "{name}: nobody knows where login is");
    }
}

#[tokio::test]
async fn u12_a_form_is_told_where_to_sign_in_but_not_to_come_back() {
    let site = Site::new();
    let frame =
        || http::Request::get("/who?x=1").header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe");
    let cases = [("a form", navigation(Method::POST, "/who?x=1", "same-origin")), ("a frame", frame())];
    for (name, request) in cases {
        let response = visit(&site, &who(), &mut Browser::new(), request).await;
        assert_eq!(told(&response), (401, "not_signed_in".to_owned()), "{name}");
        assert!(text(&response).contains("<a href=\"/api/login\">Sign in</a>"), "{name}: {}", text(&response));
    }
}

#[tokio::test]
async fn a_handler_may_take_the_refusal_itself() {
    let site = Site::new();
    let handler = async |who: Result<Identity, SignInRejection>| match who {
        Ok(who) => who.subject().to_owned().into_response(),
        Err(refusal) => (StatusCode::IM_A_TEAPOT, format!("{:?}, {refusal:?}", refusal.kind())).into_response(),
    };
    let router = Router::new().route("/who", get(handler));
    for request in [fetch("GET", "/who"), navigation(Method::GET, "/who", "none")] {
        let response = visit(&site, &router, &mut Browser::new(), request).await;
        assert_eq!((response.status().as_u16(), text(&response)), (418, "NotSignedIn, SignInRejection(NotSignedIn)"));
    }
}

#[tokio::test]
async fn mistakes_are_told_to_people_and_programs_alike() {
    let site = Site::new();
    let router = Router::new()
        .route("/signed-in", get(async |who: SignedIn| who.return_to().to_owned()))
        .route("/tokens", get(async |tokens: Tokens| tokens.access_token().len().to_string()));
    let mut bob = site.signed_in().await;
    let cases = [("/signed-in", "callback_not_forwarded"), ("/tokens", "tokens_missing")];
    for (path, expected) in cases {
        let page = visit(&site, &router, &mut bob, navigation(Method::GET, path, "none")).await;
        let problem = visit(&site, &router, &mut bob, fetch("GET", path)).await;
        for (response, content_type) in [(page, "text/html; charset=utf-8"), (problem, "application/problem+json")] {
            assert_eq!(told(&response), (500, expected.to_owned()), "{path}");
            assert_eq!(response.headers()[CONTENT_TYPE], content_type, "{path}");
            assert!(!text(&response).contains("/api/login"), "{path}: signing in again would not help");
            assert_eq!(set_cookies(&response), [""; 0], "{path}");
        }
    }
    let grpc = http::Request::get("/signed-in").method("POST").header(CONTENT_TYPE, "application/grpc");
    let router = Router::new().route("/signed-in", any(async |who: SignedIn| who.return_to().to_owned()));
    let response = visit(&site, &router, &mut bob, grpc).await;
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"13".parse().unwrap()));
}

#[tokio::test]
async fn what_a_layer_in_between_writes_for_itself_stays() {
    let site = Site::new();
    let own = from_fn(async |request: Request, next: Next| {
        let response = next.run(request).await;
        if response.status() == 401 { (StatusCode::NOT_FOUND, "no such page").into_response() } else { response }
    });
    let guarded = Router::new().route("/page", any(async || "secret").layer(site.sign_in.require()));
    let router = who().merge(guarded).layer(own);
    let cases = [
        ("an argument", navigation(Method::GET, "/who", "none")),
        ("an argument, for a script", fetch("GET", "/who")),
        ("a guard", navigation(Method::POST, "/page", "same-origin")),
    ];
    for (name, request) in cases {
        let response = visit(&site, &router, &mut Browser::new(), request).await;
        assert_eq!((response.status().as_u16(), text(&response)), (404, "no such page"), "{name}");
        let length = response.headers().get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().to_owned());
        assert!(length.is_none_or(|length| length == response.body().len().to_string()), "{name}");
    }
}

/// An application that hides its pages from strangers must not see them named again further out.
#[tokio::test]
async fn what_a_layer_in_between_changes_in_place_stays_changed() {
    let site = Site::new();
    let hide = from_fn(async |request: Request, next: Next| {
        let mut response = next.run(request).await;
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.body_mut() = "no such page".into();
        response
    });
    let guarded = Router::new().route("/page", any(async || "secret").layer(site.sign_in.require()));
    let router = who().merge(guarded).layer(hide);
    let cases = [
        ("an argument", navigation(Method::GET, "/who", "none")),
        ("an argument, for a script", fetch("GET", "/who")),
        ("a guard", navigation(Method::GET, "/page", "none")),
        ("a guard, for a form", navigation(Method::POST, "/page", "same-origin")),
        ("a guard, for a script", fetch("GET", "/page")),
    ];
    let mut told = Vec::new();
    for (name, request) in cases {
        let response = visit(&site, &router, &mut Browser::new(), request).await;
        told.push((name, response.status().as_u16(), text(&response) == "no such page"));
    }
    assert!(told.iter().all(|(_, status, is_theirs)| *status == 404 && *is_theirs), "{told:#?}");
}

#[tokio::test]
async fn who_comes_with_a_session_that_is_over_is_nobody_and_loses_its_cookie() {
    let site = Site::with(|builder| builder.session_lifetime(std::time::Duration::from_secs(3600)));
    let guarded = Router::new().route("/page", any(async || "secret").layer(site.sign_in.require()));
    let router = who().merge(guarded);
    let bob = site.signed_in().await;
    site.clock.advance(std::time::Duration::from_secs(3600));
    let over = [crate::site::deleted("__Host-signin")];
    let cases = [
        ("an argument, for a person", navigation(Method::GET, "/who", "none"), 401),
        ("an argument, for a script", fetch("GET", "/who"), 401),
        ("a guard, for a person", navigation(Method::GET, "/page", "none"), 303),
        ("a guard, for a script", fetch("GET", "/page"), 401),
        ("a guard, for a form", navigation(Method::POST, "/page", "same-origin"), 401),
    ];
    for (name, request, status) in cases {
        let response = visit(&site, &router, &mut bob.clone(), request).await;
        assert_eq!((response.status().as_u16(), set_cookies(&response)), (status, over.to_vec()), "{name}");
    }
}
