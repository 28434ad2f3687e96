//! Bytes on a socket that no HTTP client would send.

use tower_signin::dev::DevProvider;
use tower_signin::{Keys, SignIn, Siwbb};

use crate::site::Upstream;
use crate::support::{App, address_of, raw};

#[tokio::test]
async fn raw_requests() {
    let app = App::start().await;
    let address = address_of(&app.origin);
    let port = address.port();
    let lines = [
        "GET http://evil.example/auth/login HTTP/1.1".to_owned(),
        format!("GET http://127.0.0.1:{port}/auth/login HTTP/1.1"),
        format!("GET http://evil@127.0.0.1:{port}/auth/login HTTP/1.1"),
        format!("GET http://127.0.0.1:{port}@evil/auth/login HTTP/1.1"),
        "GET //evil.example/auth/login HTTP/1.1".to_owned(),
        "GET /auth/login?return_to=//evil.example HTTP/1.1".to_owned(),
        "GET /auth/login?return_to=%0d%0aSet-Cookie:%20a=b HTTP/1.1".to_owned(),
        "GET /auth/login#x HTTP/1.1".to_owned(),
        "GET /auth/login HTTP/1.0".to_owned(),
        "CONNECT evil.example:443 HTTP/1.1".to_owned(),
        "OPTIONS * HTTP/1.1".to_owned(),
        "TRACE /auth/login HTTP/1.1".to_owned(),
        "CONNECT /auth/login HTTP/1.1".to_owned(),
        "GET auth/login HTTP/1.1".to_owned(),
    ];
    let hosts = [
        "evil.example".to_owned(),
        format!("127.0.0.1:{port}"),
        format!("127.0.0.1:{port}@evil"),
        format!("127.0.0.1:{port}\r\nHost: evil.example"),
        format!("[::1]:{port}"),
        "127.0.0.1:80".to_owned(),
    ];
    let mut redirects = 0;
    for line in &lines {
        for host in &hosts {
            let answer = raw(address, &format!("{line}\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
            let head = answer.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
            assert!(head.starts_with("http/1."), "{line} {host}: no answer");
            assert!(!head.starts_with("http/1.1 5"), "{line} {host}: {head}");
            assert!(!head.contains("set-cookie: a=b"), "{line} {host}: {head}");
            if let Some(place) = head.lines().find_map(|line| line.strip_prefix("location: ")) {
                let is_ours = place.starts_with(&format!("{}/siwbb/authorize?", app.dev.origin()))
                    || place == format!("{}/auth/login", app.origin);
                assert!(is_ours, "{line} {host}: {place}");
                redirects += 1;
            }
        }
    }
    assert!(redirects > 20, "only {redirects} redirects");
    assert_eq!(app.provider_requests(), 0);
}

/// A page anywhere can have its own name resolve to 127.0.0.1, and must not reach the stand-in by it.
#[tokio::test]
async fn the_dev_provider_answers_this_machine_only() {
    let dev = DevProvider::start().await.unwrap();
    let address = address_of(dev.origin());
    let port = address.port();
    let cases = [
        (format!("localhost:{port}"), "200"),
        (format!("LOCALHOST:{port}"), "200"),
        ("rebound.evil.example".to_owned(), "421"),
        (format!("rebound.evil.example:{port}"), "421"),
        (format!("localhost.evil.example:{port}"), "421"),
        ("127.0.0.1.nip.io".to_owned(), "421"),
        ("0.0.0.0".to_owned(), "421"),
        ("[::ffff:127.0.0.1]".to_owned(), "421"),
        (format!("localhost:{port}@evil.example"), "4"),
        (format!("127.0.0.1:{port}\r\nHost: evil.example"), "4"),
        (format!("127.0.0.1:{port}, evil.example"), "4"),
        (String::new(), "4"),
    ];
    for (host, status) in cases {
        let answer = raw(address, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer:.60}");
    }
    let answer = raw(address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.0 4"), "without a Host: {answer:.60}");
    let absolute = format!("GET http://evil.example/ HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let answer = raw(address, &absolute).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "another host in the request line: {answer:.60}");

    let half = |website: &str, api: &str| Siwbb::new("id", "secret", "key").base_urls(website, api);
    let providers =
        [dev.siwbb(), half(dev.origin(), "https://api.bitbadges.io"), half("https://bitbadges.io", dev.origin())];
    for provider in providers {
        for redirect_uri in ["https://app.example.com/cb", "https://localhost/cb"] {
            let builder = SignIn::builder(provider.clone()).redirect_uri(redirect_uri).keys(Keys::generate().unwrap());
            let built = builder.http_client(Upstream::default()).build();
            assert!(built.is_err(), "{redirect_uri} with {provider:?}");
        }
    }
}
