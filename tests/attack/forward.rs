//! Forward mode: what the application's own handler at the redirect path gets to see.

use bytes::Bytes;
use http::header::{COOKIE, REFERER};
use http::{Method, Request};
use tower_signin::Builder;

use crate::inner::{FROM_THE_APP, shown};
use crate::site::{BOB, CALLBACK, Site, siwbb};
use crate::support::{Browser, navigation, text};

#[tokio::test]
async fn forward_mode_shows_neither_code_nor_state() {
    let site = Site::of(siwbb(), CALLBACK, Builder::forward_callback);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let callback = started.callback("good-secret");
    let request = navigation(Method::GET, &format!("https://evil.example{callback}"), "cross-site")
        .header(COOKIE, browser.cookie_header().unwrap())
        .header(REFERER, "https://bitbadges.io/siwbb/authorize?code=good-secret")
        .header("x-forwarded-uri", &started.authorization_url)
        .header("x-original-url", &callback)
        .header("x-rewrite-url", "/harmless")
        .header("x-rewrite-url", format!("https://example.com{callback}"))
        .header("x-kept", "kept")
        .body(Bytes::new())
        .unwrap();
    let response = shown(&site, request).await;
    let seen = text(&response);
    assert!(seen.starts_with(&format!("{BOB}|true|{CALLBACK}|")), "{seen}");
    assert!(!seen.contains(&started.state) && !seen.contains("good-secret"), "{seen}");
    assert!(!seen.contains("referer") && seen.contains("kept"), "{seen}");
    assert!(seen.contains("harmless"), "what a proxy said of its own stays: {seen}");
}

/// A provider's page may encode more than it must, and a proxy repeats what it got.
#[tokio::test]
async fn forward_mode_shows_no_state_in_another_encoding() {
    let site = Site::of(siwbb(), CALLBACK, Builder::forward_callback);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let (start, end) = started.state.split_at(started.state.len() - 1);
    let encoded = format!("{start}%{:02X}", end.as_bytes()[0]);
    let callback = started.callback("good-secret").replace(&started.state, &encoded);
    let request = navigation(Method::GET, &callback, "cross-site")
        .header(COOKIE, browser.cookie_header().unwrap())
        .header("x-original-url", &callback)
        .body(Bytes::new())
        .unwrap();
    let response = shown(&site, request).await;
    let seen = text(&response);
    assert!(seen.starts_with(&format!("{BOB}|true|")), "{seen}");
    assert!(!seen.contains(start) && !seen.contains("good-secret"), "{seen}");
}

/// A session alone does not pass for a sign-in that has just ended.
#[tokio::test]
async fn nobody_looks_signed_in_at_the_callback_path() {
    let site = Site::of(siwbb(), CALLBACK, Builder::forward_callback);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let request = navigation(Method::GET, &started.callback("good"), "none");
    site.visit(&mut browser, request).await;
    let cookie = browser.cookie_header().unwrap();
    assert!(cookie.starts_with("__Host-signin="));
    let paths = [
        "/api/callback",
        "/api/callback?code=good&state=s",
        "/api/callback?error=x",
        "https://evil.example/api/callback",
    ];
    for method in ["GET", "HEAD", "POST", "TRACE", "QUERY", "options", "OPTIONS"] {
        for path in paths {
            let request = Request::builder().method(method).uri(path).header(COOKIE, &cookie);
            let response = shown(&site, request.body(Bytes::new()).unwrap()).await;
            let is_from_the_app = response.headers().contains_key(FROM_THE_APP);
            assert_eq!(is_from_the_app, method == "OPTIONS", "{method} {path}");
            assert!(!is_from_the_app || text(&response).contains("|false|"), "{method} {path}");
        }
    }
}
