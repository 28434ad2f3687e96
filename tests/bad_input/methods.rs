//! Methods and loading ahead of a click: nothing starts, finishes or ends.

use http::header::{ALLOW, LOCATION};
use http::{Method, Request};
use tower_signin::ErrorKind::{MethodNotAllowed, Prefetch};

use crate::site::{BOB, CODE, Site, set_cookies};
use crate::support::{location, text};

#[tokio::test]
async fn another_method_is_told_which_one_it_should_be() {
    let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "CONNECT"];
    for (path, allowed) in [("login", "GET"), ("callback", "GET"), ("logout", "POST")] {
        for method in methods.iter().filter(|method| **method != allowed) {
            let name = format!("{method} {path}");
            refused(
                &name,
                path,
                |request| request.method(*method),
                |site, response| {
                    site.assert_refused(&name, response, 405, MethodNotAllowed);
                    assert_eq!(response.headers()[ALLOW], allowed, "{name}");
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn nothing_is_loaded_ahead_of_a_click() {
    let headers = [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("purpose", "prefetch"),
        ("x-purpose", "preview"),
        ("x-moz", "prefetch"),
        ("next-router-prefetch", "1"),
    ];
    for (path, method) in [("login", "GET"), ("callback", "GET"), ("logout", "POST")] {
        for (header, value) in headers {
            let name = format!("{path} with {header}: {value}");
            refused(
                &name,
                path,
                |request| request.method(method).header(header, value),
                |site, response| {
                    site.assert_refused(&name, response, 503, Prefetch);
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn options_is_the_inner_services_own() {
    for path in ["/api/login", "/api/callback?code=c&state=s", "/api/logout"] {
        let site = Site::new();
        let request = Request::builder().method(Method::OPTIONS).uri(path);
        let response = site.visit(&mut crate::support::Browser::new(), request).await;
        assert_eq!((response.status().as_u16(), site.inner_calls()), (200, 1), "{path}");
        assert_eq!(set_cookies(&response), [""; 0], "{path}");
    }
}

/// Sends a request that would succeed but for what `spoil` does to it, from a browser in which bob is signed in and a
/// flow is open; checks that neither was touched.
async fn refused(
    name: &str,
    path: &str,
    spoil: impl FnOnce(http::request::Builder) -> http::request::Builder,
    check: impl FnOnce(&Site, &http::Response<bytes::Bytes>),
) {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/target").await;
    let before = browser.jar.clone();
    let uri = if path == "callback" { started.callback(CODE) } else { format!("/api/{path}") };
    let request = Request::builder().uri(uri).header("sec-fetch-site", "same-origin");
    let response = site.visit(&mut browser, spoil(request)).await;
    check(&site, &response);
    assert_eq!(set_cookies(&response), [""; 0], "{name}");
    assert!(!response.headers().contains_key(LOCATION), "{name}");
    assert_eq!(browser.jar, before, "{name}");

    assert_eq!(text(&site.get(&mut browser, "/").await), BOB, "{name}: still signed in");
    assert_eq!(location(&site.get(&mut browser, &started.callback(CODE)).await), "/target", "{name}: still open");
}
