//! Where the browser is sent, whatever the request says, and what survives the way.

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{Method, Response, Uri};
use tower_signin::{Builder, Identity, siwbb};

use crate::site::{BOB, CODE, Site, Started, parameter, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::{told, visit};

/// Everywhere a refusal can write the address of the request: a redirect, and the links of pages.
fn routers(site: &Site) -> [(&'static str, Router, bool); 3] {
    let around = |guard| Router::new().fallback(any(async || "secret")).layer(guard);
    [
        ("a guard", around(site.sign_in.require()), false),
        ("a predicate", around(site.sign_in.require_where(siwbb::chain("none"))), true),
        ("an argument", Router::new().fallback(any(async |who: Identity| who.subject().to_owned())), false),
    ]
}

/// The address of login that an answer sends or links to.
fn login(response: &Response<Bytes>) -> String {
    if response.headers().contains_key(LOCATION) {
        return location(response);
    }
    let (_, rest) = text(response).split_once("href=\"/api/login").expect("a link to login");
    format!("/api/login{}", rest.split('"').next().unwrap().replace("&amp;", "&"))
}

#[tokio::test]
async fn u20_no_address_of_a_request_is_a_way_off_this_site() {
    let site = Site::new();
    let long = format!("/{}", "a".repeat(60_000));
    let cases = [
        ("two slashes", "//evil.example/", ""),
        ("a backslash", "/\\evil.example/", ""),
        ("two backslashes", "/\\\\evil.example/", ""),
        ("a slash, encoded", "/%2f/evil.example/", ""),
        ("a slash in capitals", "/%2F%2Fevil.example/", ""),
        ("a backslash, encoded", "/%5cevil.example/", ""),
        ("a tab, encoded", "/%09/evil.example/", ""),
        ("a NUL, encoded", "/%00/evil.example/", ""),
        ("dots", "/..//evil.example/", ""),
        ("dots, encoded", "/%2e%2e//evil.example/", ""),
        ("dots with a parameter", "/..;//evil.example/", ""),
        ("a later backslash", "/a\\evil.example", ""),
        ("a very long one", &long, ""),
        ("another authority", "http://evil.example/page", "/page"),
        ("one with a user", "http://user:pass@evil.example/page", "/page"),
        ("one with a hostile path", "http://evil.example//evil.example/", ""),
        ("later slashes", "/a//evil.example", "/a//evil.example"),
        ("a colon", "/https://evil.example", "/https://evil.example"),
        ("an at", "/@evil.example", "/@evil.example"),
        ("a query", "/?//evil.example", "/?//evil.example"),
    ];
    let here = url::Url::parse("https://example.com/").unwrap();
    for (place, router, is_bob) in routers(&site) {
        for (name, path, expected) in cases {
            let uri: Uri = path.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut browser = if is_bob { site.signed_in().await } else { Browser::new() };
            let request = navigation(Method::GET, "/", "none").uri(uri);
            let response = visit(&site, &router, &mut browser, request).await;
            let login = here.join(&login(&response)).unwrap();
            assert_eq!(login.origin(), here.origin(), "{place}: {name}");
            let wanted =
                login.query_pairs().find(|(name, _)| name == "return_to").map(|(_, target)| target.into_owned());
            assert_eq!(wanted.as_deref().unwrap_or_default(), expected, "{place}: {name}");
            assert_eq!(here.join(&wanted.unwrap_or_default()).unwrap().origin(), here.origin(), "{place}: {name}");
        }
    }
}

#[tokio::test]
async fn u20_an_address_is_no_markup() {
    let site = Site::new();
    for (place, router, is_bob) in routers(&site) {
        let mut browser = if is_bob { site.signed_in().await } else { Browser::new() };
        for path in ["/'onmouseover='alert(1)'", "/a?\"><script>alert(1)</script>", "/a?<img%20src=x>", "/&lt;b&gt;"] {
            let Ok(uri) = path.parse::<Uri>() else { continue };
            let response = visit(&site, &router, &mut browser, navigation(Method::GET, "/", "none").uri(uri)).await;
            let body = text(&response);
            let has_markup = ["<script", "<img", "<b>", "onmouseover='"].iter().any(|part| body.contains(part));
            assert!(!has_markup, "{place}, {path}: {body}");
        }
    }
}

#[tokio::test]
async fn u20_no_header_names_the_site() {
    const HEADERS: [&str; 9] = [
        "forwarded",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-server",
        "x-original-host",
        "x-original-url",
        "x-rewrite-url",
    ];
    let hostile = |request: http::request::Builder| {
        HEADERS
            .iter()
            .fold(request.header(HOST, "evil.example"), |request, name| request.header(*name, "//evil.example"))
    };
    for (mode, site) in [("plain", Site::new()), ("with fragments", Site::with(Builder::keep_fragment))] {
        let mut browser = Browser::new();
        let request = hostile(navigation(Method::GET, "/api/login?fragment=read&return_to=/page%23a", "same-origin"));
        let login = site.visit(&mut browser, request).await;
        assert_eq!(parameter(&location(&login), "redirect_uri"), "https://example.com/api/callback", "{mode}");
        let started = Started::at(&location(&login));
        let done =
            site.visit(&mut browser, hostile(navigation(Method::GET, &started.callback(CODE), "cross-site"))).await;
        assert_eq!(location(&done), "/page#a", "{mode}");
        let sent: Vec<_> =
            site.upstream.requests().iter().map(|it| String::from_utf8_lossy(it.body()).into_owned()).collect();
        assert!(sent.iter().all(|body| !body.contains("evil")), "{mode}: {sent:?}");
        let page = site.visit(&mut Browser::new(), hostile(navigation(Method::GET, "/api/login", "none"))).await;
        assert!(!format!("{page:?}").contains("evil"), "{mode}");
        let cookies = [set_cookies(&login), set_cookies(&done)].concat();
        assert!(cookies.iter().all(|cookie| !cookie.contains("Domain")), "{mode}: {cookies:?}");
        let request = hostile(navigation(Method::POST, "/api/logout?return_to=/bye", "same-origin"));
        assert_eq!(location(&site.visit(&mut browser, request).await), "/bye", "{mode}");
    }
}

#[tokio::test]
async fn u33_who_declines_stays_whoever_they_were() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let session = browser.jar["__Host-signin"].clone();
    let request = navigation(Method::GET, "/api/login?prompt=select_account&return_to=/page", "same-origin");
    let started = Started::at(&location(&site.visit(&mut browser, request).await));
    let path = format!("/api/callback?error=access_denied&state={}", started.state);
    let response = site.get(&mut browser, &path).await;
    assert_eq!(told(&response), (403, "access_denied".to_owned()));
    assert_eq!(set_cookies(&response), [started.flow_deleted()]);
    assert_eq!(browser.jar["__Host-signin"], session);
    assert_eq!(text(&site.get(&mut browser, "/").await), BOB);
    assert_eq!(site.upstream.requests().len(), 0);
}

#[tokio::test]
async fn u34_the_wish_for_another_account_survives_another_loopback_name() {
    let site = Site::of(crate::site::siwbb(), "http://localhost:3000/api/callback", |builder| builder);
    let cases = [
        ("prompt=select_account&return_to=/page", "?prompt=select_account&return_to=%2Fpage"),
        ("return_to=/page&prompt=select_account", "?prompt=select_account&return_to=%2Fpage"),
        ("prompt=select_account", "?prompt=select_account"),
        ("prompt=login&return_to=/page", "?return_to=%2Fpage"),
        ("prompt=select_account&prompt=login", ""),
        ("prompt=select_account&return_to=//evil.example", "?prompt=select_account"),
    ];
    for (query, expected) in cases {
        let request = navigation(Method::GET, &format!("/api/login?{query}"), "none").header(HOST, "127.0.0.1:3000");
        let response = site.visit(&mut Browser::new(), request).await;
        assert_eq!(location(&response), format!("http://localhost:3000/api/login{expected}"), "{query}");
        assert_eq!(set_cookies(&response), [""; 0], "{query}");
    }
}

#[tokio::test]
async fn u34_the_wish_survives_the_page_that_another_site_s_link_ends_at() {
    let site = Site::new();
    let mut browser = Browser::new();
    for _ in 0..4 {
        site.start(&mut browser, "/own").await;
    }
    let login = "/api/login?return_to=/page&prompt=select_account";
    let response = site.visit(&mut browser, navigation(Method::GET, login, "cross-site")).await;
    assert_eq!(told(&response), (403, "login_from_another_site".to_owned()));
    let link = "<a href=\"/api/login?prompt=select_account&amp;return_to=%2Fpage\">Continue</a>";
    assert!(text(&response).contains(link), "{}", text(&response));
}

#[tokio::test]
async fn u22_a_provider_that_is_down_keeps_nothing_from_starting() {
    let site = Site::new();
    site.upstream.fail(tower_signin::HttpErrorKind::Unreachable);
    let mut browser = Browser::new();
    assert_eq!(site.get(&mut browser, "/").await.status(), 200, "the rest of the site goes on");
    let started = site.start(&mut browser, "/").await;
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(told(&response), (502, "provider_unreachable".to_owned()));
    assert_eq!(site.upstream.requests().len(), 1, "only the exchange ever asks for it");
}
