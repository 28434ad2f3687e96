//! What a shared cache may store carries no cookie of ours.

use http::Request;
use http::header::{CACHE_CONTROL, COOKIE};
use tower_signin::Builder;

use crate::inner::{answering, through};
use crate::site::{CODE, Site, deleted, set_cookies, siwbb};
use crate::support::{Browser, navigation};

/// Anybody can make a session cookie that has to go, without an account: a flow cookie's value names a key we hold. A
/// cached deletion would sign out everybody who gets the cached answer.
#[tokio::test]
async fn a_deletion_never_rides_on_a_cacheable_answer() {
    let site = Site::new();
    let mut browser = Browser::new();
    site.start(&mut browser, "/").await;
    let forged = format!("__Host-signin={}", browser.jar.pop_first().unwrap().1);
    type Headers = &'static [(&'static str, &'static str)];
    let cases: &[(Headers, bool)] = &[
        (&[("cache-control", "public, max-age=3600")], false),
        (&[("cache-control", "max-age=3600")], true),
        (&[("cache-control", "no-cache")], true),
        (&[("cache-control", "s-maxage=9, stale-while-revalidate=9")], false),
        (&[("cache-control", "unprivate")], true),
        (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], false),
        (&[("cache-control", "private"), ("cdn-cache-control", "max-age=9")], false),
        (&[("cache-control", "no-store"), ("surrogate-control", "max-age=9")], false),
        (&[("cache-control", "max-age=9, Private")], true),
        (&[("cache-control", "no-store")], true),
        (&[], true),
    ];
    for (headers, is_private) in cases {
        let request = Request::get("/static/app.js").header(COOKIE, &forged).body(Default::default()).unwrap();
        let response = through(&site.sign_in, answering(headers), request).await;
        let expected = if *is_private { vec![deleted("__Host-signin")] } else { Vec::new() };
        assert_eq!(set_cookies(&response), expected, "{headers:?}");
        for (name, value) in *headers {
            assert_eq!(response.headers()[*name], *value, "{headers:?}: what the application said stays");
        }
        let mut told = response.headers().get_all(CACHE_CONTROL).iter().map(|value| value.to_str().unwrap());
        let is_told = told.any(|value| value.split(", ").any(|it| ["private", "Private", "no-store"].contains(&it)));
        assert!(!is_private || is_told, "{headers:?}: no shared cache may store the cookie");
    }
}

#[tokio::test]
async fn forwarded_answers_are_stored_by_no_cache() {
    let site = Site::of(siwbb(), crate::site::CALLBACK, Builder::forward_callback);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let request = navigation(http::Method::GET, &started.callback(CODE), "cross-site")
        .header(COOKIE, browser.cookie_header().unwrap())
        .body(Default::default())
        .unwrap();
    let inner = answering(&[
        ("cache-control", "public, max-age=9"),
        ("cache-control", "immutable"),
        ("cdn-cache-control", "public, max-age=9"),
        ("surrogate-control", "max-age=9"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
    ]);
    let response = through(&site.sign_in, inner, request).await;
    assert!(set_cookies(&response).iter().any(|cookie| cookie.starts_with("__Host-signin=")), "{response:?}");
    let said: Vec<_> = response.headers().get_all(CACHE_CONTROL).iter().collect();
    assert_eq!(said, ["no-store"]);
    for name in ["cdn-cache-control", "surrogate-control", "expires"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
}
