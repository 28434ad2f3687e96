//! Addresses of ours: no path, host or header of a request moves one.

use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Request};
use tower_signin::dev::{CLIENT_ID, DevProvider};

use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{CALLBACK, CODE, Site, parameter, query, set_cookies};
use crate::support::{Browser, location, navigation, send};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H017",
        what: "a redirect that adds or takes a trailing slash was made of a raw path",
        verdict: Held(&["h017_no_redirect_is_made_of_a_raw_path"]),
    },
    Row {
        id: "H018",
        what: "a forwarding header reached a Location",
        verdict: Held(&["h018_forwarding_headers_reach_no_location"]),
    },
    Row {
        id: "H019",
        what: "the redirect URI was built from the Host header",
        verdict: Held(&["h019_host_builds_no_redirect_uri", "tests/attack/addresses.rs::no_header_moves_an_address"]),
    },
    Row {
        id: "H020",
        what: "a provider redirected an error before it knew the client",
        verdict: Held(&["h020_the_dev_provider_redirects_to_no_unknown_uri"]),
    },
    Row { id: "H021", what: "the Referer was the target", verdict: Held(&["h021_referer_is_no_target"]) },
];

#[tokio::test]
async fn h017_no_redirect_is_made_of_a_raw_path() {
    let site = Site::new();
    let paths =
        ["//evil.example/", "//evil.example/api/login", "/api/login/", "/api//login", "/api/callback/", "//api/login"];
    for (number, path) in paths.into_iter().enumerate() {
        let response = site.get(&mut Browser::new(), path).await;
        assert!(!response.headers().contains_key(LOCATION), "{path}");
        assert_eq!(site.inner_calls(), number + 1, "{path} is the inner service's own");
    }
}

#[tokio::test]
async fn h018_forwarding_headers_reach_no_location() {
    for header in ["x-forwarded-prefix", "x-forwarded-uri", "x-original-url", "x-rewrite-url", "x-script-name"] {
        unmoved_by(&[(header, "/evil")]).await;
    }
}

#[tokio::test]
async fn h019_host_builds_no_redirect_uri() {
    let hosts =
        ["evil.example", "example.com:8443", "example.com@evil.example", "evil.example#example.com", "localhost", ""];
    for host in hosts {
        unmoved_by(&[("host", host)]).await;
        unmoved_by(&[("x-forwarded-host", host), ("x-forwarded-proto", "http"), ("x-forwarded-port", "81")]).await;
        unmoved_by(&[("forwarded", &format!("host=\"{host}\";proto=http"))]).await;
    }
    let site = Site::new();
    let response = site.get(&mut Browser::new(), "http://evil.example/api/login").await;
    assert_eq!(parameter(&location(&response), "redirect_uri"), CALLBACK, "a request line with another host");

    let loopback = Site::of(crate::site::siwbb(), "http://localhost:3000/api/callback", |builder| builder);
    for host in ["evil.example:3000", "127.0.0.1.evil.example:3000", "localhost.evil.example:3000", "127.0.0.1:3001"] {
        let request = navigation(Method::GET, "/api/login", "none").header("host", host);
        let response = loopback.visit(&mut Browser::new(), request).await;
        assert!(location(&response).starts_with("https://bitbadges.io/siwbb/authorize?"), "{host}");
    }
}

/// Of the dev provider: no redirect before client and redirect URI are known to be good.
#[tokio::test]
async fn h020_the_dev_provider_redirects_to_no_unknown_uri() {
    let dev = DevProvider::start().await.unwrap();
    let good = "http://localhost:3000/cb";
    let cases = [
        (CLIENT_ID, "https://evil.example/"),
        (CLIENT_ID, "http://localhost.evil.example/"),
        (CLIENT_ID, "http://localhost@evil.example/"),
        (CLIENT_ID, "//evil.example"),
        (CLIENT_ID, ""),
        ("nobody", good),
        ("", good),
    ];
    for (client_id, redirect_uri) in cases {
        let query = query(&[("client_id", client_id), ("redirect_uri", redirect_uri), ("scope", "\u{0}")]);
        for method in [Method::GET, Method::POST] {
            let url = format!("{}/siwbb/authorize?{query}", dev.origin());
            let request = navigation(method, &url, "same-origin")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Bytes::from_static(b"account=alice&address=&decision=deny"));
            let response = send(request.unwrap()).await.unwrap();
            assert!(response.status().is_client_error(), "{client_id} {redirect_uri}: {}", response.status());
            assert!(!response.headers().contains_key(LOCATION), "{client_id} {redirect_uri}");
        }
    }
}

#[tokio::test]
async fn h021_referer_is_no_target() {
    unmoved_by(&[("referer", "https://evil.example/"), ("origin", "https://evil.example")]).await;
    unmoved_by(&[("referer", "https://example.com/private?x=1")]).await;
}

/// A whole sign-in and sign-out with these headers on every request goes exactly where it goes without them.
pub(crate) async fn unmoved_by(headers: &[(&str, &str)]) {
    let site = Site::new();
    let mut browser = Browser::new();
    let with = |method, uri: &str| {
        let request = Request::builder().method(method).uri(uri).header("sec-fetch-site", "same-origin");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let login = site.visit(&mut browser, with(Method::GET, "/api/login?return_to=/target")).await;
    let url = location(&login);
    assert!(url.starts_with("https://bitbadges.io/siwbb/authorize?client_id=app_demo_01&"), "{headers:?}: {url}");
    assert_eq!(parameter(&url, "redirect_uri"), CALLBACK, "{headers:?}");
    assert!(set_cookies(&login)[0].starts_with("__Host-signin-flow-"), "{headers:?}");
    let callback = format!("/api/callback?code={CODE}&state={}", parameter(&url, "state"));
    let callback = site.visit(&mut browser, with(Method::GET, &callback)).await;
    assert_eq!(location(&callback), "/target", "{headers:?}");
    let sent = site.upstream.requests();
    let sent: serde_json::Value = serde_json::from_slice(sent[0].body()).unwrap();
    assert_eq!(sent["redirect_uri"], CALLBACK, "{headers:?}");
    let logout = site.visit(&mut browser, with(Method::POST, "/api/logout")).await;
    assert_eq!(location(&logout), "/", "{headers:?}");
}
