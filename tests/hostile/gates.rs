//! Whom the app lets in: groups, vetoes, forged identities, and what stands behind an answer of ours.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::predicate::{claim_includes, issuer};
use tower_signin::{Admission, Builder, ErrorKind, Identity, Rejection, siwbb as people};

use crate::anybody::Anybody;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, query, set_cookies};
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H035",
        what: "what changed about a person after the sign-in was never looked at",
        verdict: Held(&[
            "tests/recheck/ended.rs::each_no_ends_the_session",
            "tests/recheck/due.rs::due_to_the_second_and_again_after_as_long",
            "tests/recheck/once.rs::off_it_asks_nothing_and_holds_nobody",
        ]),
    },
    Row {
        id: "H036",
        what: "the check of groups was off, and nobody noticed",
        verdict: Held(&["h036_who_is_not_in_the_group_is_not_let_in"]),
    },
    Row {
        id: "H037",
        what: "a path that was answered early let forged identities through",
        verdict: Held(&["h037_no_way_through_carries_a_forged_identity"]),
    },
    Row {
        id: "H038",
        what: "the page behind was sent along with the sign-in page",
        verdict: Held(&["h038_who_is_answered_by_us_never_reaches_the_app"]),
    },
    Row {
        id: "H039",
        what: "a sign-in brought back an account that had been disabled",
        verdict: Held(&["h039_the_app_can_veto_each_sign_in"]),
    },
    Row { id: "H040", what: "an empty value, or a word for one, matched", verdict: Held(&["h040_nothing_is_nobody"]) },
];

#[tokio::test]
async fn h036_who_is_not_in_the_group_is_not_let_in() {
    let cases = [
        (json!({ "groups": ["staff"] }), true),
        (json!({ "groups": ["a", "staff"] }), true),
        (json!({ "groups": [] }), false),
        (json!({ "groups": ["Staff"] }), false),
        (json!({ "groups": ["staff "] }), false),
        (json!({ "groups": ["staff,admin"] }), false),
        (json!({ "groups": "staff" }), false),
        (json!({ "groups": { "staff": true } }), false),
        (json!({ "groups": [["staff"]] }), false),
        (json!({ "groups": null }), false),
        (json!({ "Groups": ["staff"] }), false),
        (json!({ "groups/": ["staff"] }), false),
        (json!({}), false),
        (json!(["groups", "staff"]), false),
        (Value::Null, false),
    ];
    for (claims, expected) in cases {
        let site = Site::of(Anybody::called("ada", claims.clone()), CALLBACK, |builder| builder);
        let browser = site.signed_in().await;
        let guard = site.sign_in.require_where(claim_includes("/groups", "staff"));
        let router = Router::new().fallback(any(async || "let in")).layer(guard);
        let response = site.through(&router, &browser, navigation(Method::GET, "/", "none")).await;
        assert_eq!((response.status() == 200, text(&response) == "let in"), (expected, expected), "{claims}");
    }
    // A list of nobody is nobody, not everybody; neither is a group without a name.
    let site = Site::new();
    let browser = site.signed_in().await;
    let empty: [&str; 0] = [];
    for guard in [
        site.sign_in.require_where(people::addresses(empty).unwrap()),
        site.sign_in.require_where(claim_includes("/groups", Value::Null)),
        site.sign_in.require_where(claim_includes("", "")),
        site.sign_in.require_where(issuer("")),
    ] {
        let router = Router::new().fallback(any(async || "let in")).layer(guard);
        let response = site.through(&router, &browser, navigation(Method::GET, "/", "none")).await;
        assert_eq!((response.status().as_u16(), text(&response).contains("let in")), (403, false));
    }
}

#[tokio::test]
async fn h037_no_way_through_carries_a_forged_identity() {
    // Somebody else's, as an extension that was left in a request.
    let stranger = Site::of(Anybody::called("mallory", Value::Null), CALLBACK, |builder| builder);
    let forged = identity(&stranger, &stranger.signed_in().await).await;
    let site = Site::with(Builder::hide_cookies);
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/").await;
    let callback = started.callback(CODE);
    let ways = [
        (Method::OPTIONS, "/api/login"),
        (Method::OPTIONS, callback.as_str()),
        (Method::OPTIONS, "/api/logout"),
        (Method::OPTIONS, "/"),
        (Method::HEAD, "/"),
        (Method::TRACE, "/x"),
        (Method::GET, "//api/login"),
        (Method::GET, "/.well-known/jwks.json"),
    ];
    for (method, path) in ways {
        for (who, cookies) in
            [("nobody", None), ("nobody", Some("__Host-signin=junk".to_owned())), (BOB, browser.cookie_header())]
        {
            let mut request = Request::builder().method(method.clone()).uri(path).body(Bytes::new()).unwrap();
            request.extensions_mut().insert(forged.clone());
            request.headers_mut().insert("x-forwarded-user", "mallory".parse().unwrap());
            if let Some(cookies) = cookies {
                request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
            }
            let inner = service_fn(|request: Request<Bytes>| async move {
                let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
                assert!(!request.headers().contains_key(COOKIE), "{:?}", request.headers());
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(who)))
            });
            let response = site.sign_in.layer().layer(inner).oneshot(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, who, "{method} {path}");
        }
    }
    let forwarding = Site::with(Builder::forward_callback);
    let mut browser = Browser::new();
    let started = forwarding.start(&mut browser, "/").await;
    let mut request = navigation(Method::GET, &started.callback(CODE), "none").body(Bytes::new()).unwrap();
    request.headers_mut().insert(COOKIE, browser.cookie_header().unwrap().parse().unwrap());
    request.extensions_mut().insert(forged);
    assert_eq!(text(&forwarding.send(request).await), BOB, "a forwarded callback");
}

#[tokio::test]
async fn h038_who_is_answered_by_us_never_reaches_the_app() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let callback = started.callback(CODE);
    let declined = format!("/api/callback?error=access_denied&state={}", started.state);
    let cases = [
        (Method::GET, "/api/login", vec![]),
        (Method::GET, "/api/login", vec![("sec-fetch-mode", "cors")]),
        (Method::HEAD, "/api/login", vec![]),
        (Method::POST, "/api/login", vec![]),
        (Method::GET, "/api/login", vec![("sec-purpose", "prefetch")]),
        (Method::GET, "/api/callback", vec![]),
        (Method::GET, declined.as_str(), vec![]),
        (Method::GET, callback.as_str(), vec![]),
        (Method::HEAD, callback.as_str(), vec![]),
        (Method::POST, callback.as_str(), vec![("content-type", "application/x-www-form-urlencoded")]),
        (Method::POST, "/api/logout", vec![("sec-fetch-site", "cross-site")]),
        (Method::POST, "/api/logout", vec![("sec-fetch-site", "same-origin")]),
        (Method::GET, "/api/logout", vec![]),
    ];
    for (method, path, headers) in &cases {
        let request =
            Request::builder().method(method.clone()).uri(*path).header(COOKIE, browser.cookie_header().unwrap());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = site.send(request.body(Bytes::new()).unwrap()).await;
        assert!(!response.status().is_success(), "{method} {path} {headers:?}");
        assert_eq!(site.inner_calls(), 0, "{method} {path} {headers:?}");
        assert!(!text(&response).contains("nobody") && !text(&response).contains(BOB), "{method} {path}");
    }

    // And the guard: neither its call nor its future.
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<Bytes>| {
        counted.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("secret"))))
    });
    let guarded = site.sign_in.layer().layer(site.sign_in.require().layer(inner));
    let callers: [(Method, &[(&str, &str)]); 8] = [
        (Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("accept", "text/html")]),
        (Method::POST, &[("accept", "text/html")]),
        (Method::GET, &[("accept", "application/json")]),
        (Method::POST, &[("content-type", "application/grpc")]),
        (Method::OPTIONS, &[("access-control-request-method", "GET")]),
        (Method::OPTIONS, &[]),
        (Method::GET, &[("connection", "upgrade"), ("upgrade", "websocket")]),
        (Method::GET, &[("sec-purpose", "prefetch;prerender")]),
    ];
    for (method, headers) in callers {
        let request = Request::builder().method(method.clone()).uri("/page");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = guarded.clone().oneshot(request.body(Bytes::new()).unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("secret"), "{method} {headers:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 0, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn h039_the_app_can_veto_each_sign_in() {
    let asked = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&asked);
    // An administrator disables bob after his first sign-in.
    let site = Site::with(|builder| {
        builder.on_sign_in(move |who| {
            let is_enabled = times.fetch_add(1, Ordering::SeqCst) == 0;
            assert_eq!(who.identity().subject(), BOB);
            async move { if is_enabled { Ok(Admission::new()) } else { Err(Rejection::refuse("disabled")) } }
        })
    });
    let mut browser = Browser::new();
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
    for times in 2..5 {
        let response = site.complete(&mut browser, "/").await;
        assert_eq!(response.extensions().get(), Some(&ErrorKind::RefusedByApp));
        assert_eq!((response.status().as_u16(), asked.load(Ordering::SeqCst)), (403, times), "asked each time");
        assert!(!browser.jar.contains_key("__Host-signin"));
        assert_eq!(text(&site.get(&mut browser, "/").await), "nobody");
    }
    let started = site.start(&mut browser, "/").await;
    let flow = browser.clone();
    for _ in 0..3 {
        let response = site.get(&mut flow.clone(), &started.callback(CODE)).await;
        assert_eq!(response.status(), 403, "a double of a refused callback is refused too");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn h040_nothing_is_nobody() {
    const NOTHINGS: [&str; 14] = [
        "",
        "null",
        "undefined",
        "none",
        "None",
        "nil",
        "NaN",
        "0",
        "false",
        "{}",
        "[]",
        "\"\"",
        "[object Object]",
        "%00",
    ];
    let site = Site::new();
    let started = site.start(&mut Browser::new(), "/").await;
    for nothing in NOTHINGS {
        let mut browser = Browser::new();
        for name in ["__Host-signin", "__Host-signin-tokens", "__Host-signin-rounds", &started.flow_cookie()] {
            browser.jar.insert(name.to_owned(), nothing.to_owned());
        }
        assert_eq!(text(&site.get(&mut browser, "/").await), "nobody", "{nothing}");
        let guard = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require());
        let basic = navigation(Method::GET, "/", "none").header(AUTHORIZATION, format!("Basic {nothing}"));
        assert_eq!(site.through(&guard, &browser, basic).await.status(), 303, "{nothing}");
        for (code, state) in [(nothing, nothing), (CODE, nothing), (nothing, &started.state)] {
            let query = query(&[("code", code), ("state", state)]);
            let response = site.get(&mut browser, &format!("/api/callback?{query}")).await;
            assert_eq!((response.status().as_u16(), set_cookies(&response)), (400, Vec::new()), "{query}");
        }
    }
    assert!(site.upstream.requests().is_empty(), "the provider was asked");

    // Nor does a provider vouch for nobody.
    let answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    for field in ["address", "bitbadgesAddress"] {
        for nothing in
            [json!(null), json!(""), json!("null"), json!("undefined"), json!(0), json!(false), json!([]), json!({})]
        {
            let mut answer = answer.clone();
            answer[field] = nothing.clone();
            site.upstream.answer(200, answer.to_string());
            let mut browser = Browser::new();
            let response = site.complete(&mut browser, "/").await;
            assert_eq!(response.status(), 502, "{field}: {nothing}");
            assert!(browser.jar.is_empty(), "{field}: {nothing}");
        }
    }
    let provider = Anybody::called("", Value::Null);
    let site = Site::of(provider.clone(), CALLBACK, |builder| builder);
    assert_eq!(site.complete(&mut Browser::new(), "/").await.status(), 502);
    assert_eq!(provider.redeemed(), 1);
}

/// Whose session a browser holds, taken out of the request that the app was shown.
async fn identity(site: &Site, browser: &Browser) -> Identity {
    let (sender, receiver) = std::sync::mpsc::channel();
    let inner = service_fn(move |request: Request<Bytes>| {
        sender.send(request.extensions().get::<Identity>().cloned()).unwrap();
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let request = Request::get("/").header(COOKIE, browser.cookie_header().unwrap()).header(CONTENT_TYPE, "text/plain");
    site.sign_in.layer().layer(inner).oneshot(request.body(Bytes::new()).unwrap()).await.unwrap();
    receiver.recv().unwrap().expect("somebody")
}
