//! Session cookies that don't count: nobody is signed in, the inner service answers, and a cookie is deleted only where
//! it is proven to be ours and over or forged.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::header::COOKIE;
use tower_signin::Keys;

use crate::site::{BOB, NOW, SESSION, Site, deleted, set_cookies, siwbb};
use crate::support::{Browser, navigation, text};

#[tokio::test]
async fn only_a_whole_session_of_ours_is_anybody() {
    let site = Site::new();
    let browser = site.signed_in().await;
    let whole = browser.jar[SESSION].clone();
    let bytes = URL_SAFE_NO_PAD.decode(&whole).unwrap();
    let changed = |position: usize| {
        let mut bytes = bytes.clone();
        bytes[position] ^= 1;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let cut = |length: usize| URL_SAFE_NO_PAD.encode(&bytes[..length]);
    let stranger = Site::new().signed_in().await.jar[SESSION].clone();
    let mut with_flow = Browser::new();
    let flow = site.start(&mut with_flow, "/").await;
    let flow = with_flow.jar[&flow.flow_cookie()].clone();
    // The bytes are: format 1, key id 8, nonce 12, then what is sealed and a tag of 16.
    let cases: &[(&str, String, bool)] = &[
        ("empty", String::new(), false),
        ("junk", "junk".to_owned(), false),
        ("junk of the right length", "A".repeat(whole.len()), false),
        ("a name", BOB.to_owned(), false),
        ("JSON", r#"{"sub":"bb1"}"#.to_owned(), false),
        ("a JWT", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJiYjEifQ.".to_owned(), false),
        ("null", "null".to_owned(), false),
        ("in quotes", format!("\"{whole}\""), false),
        ("with padding", format!("{whole}="), false),
        ("longer than any cookie", "A".repeat(9000), false),
        ("another key", stranger, false),
        ("a newer format", changed(0), false),
        ("another key id", changed(1), false),
        ("cut within the header", cut(20), false),
        ("another nonce", changed(9), true),
        ("a changed first byte", changed(21), true),
        ("a changed last byte", changed(bytes.len() - 1), true),
        ("cut to the header", cut(21), true),
        ("cut within the tag", cut(30), true),
        ("a byte less", cut(bytes.len() - 1), true),
        ("a byte more", URL_SAFE_NO_PAD.encode([&bytes[..], &[0]].concat()), true),
        ("a flow", flow, true),
    ];
    for (name, value, is_deleted) in cases {
        let expected = if *is_deleted { vec![deleted(SESSION)] } else { Vec::new() };
        assert_eq!(visit(&site, &format!("{SESSION}={value}")).await, ("nobody".to_owned(), expected), "{name}");
    }
    for length in 0..bytes.len() {
        assert_eq!(visit(&site, &format!("{SESSION}={}", cut(length))).await.0, "nobody", "length {length}");
    }
    assert_eq!(site.inner_calls(), cases.len() + bytes.len(), "every request went on");
    assert_eq!(visit(&site, &format!("{SESSION}={whole}")).await, (BOB.to_owned(), Vec::new()));
    assert!(site.upstream.requests().is_empty());
}

#[tokio::test]
async fn two_sessions_in_one_request_are_nobody() {
    let site = Site::new();
    let whole = site.signed_in().await.jar[SESSION].clone();
    for cookies in [
        format!("{SESSION}={whole}; {SESSION}={whole}"),
        format!("{SESSION}={whole}; {SESSION}=planted"),
        format!("{SESSION}=planted; a=b; {SESSION}={whole}"),
        format!("{SESSION}=;{SESSION}={whole}"),
    ] {
        assert_eq!(visit(&site, &cookies).await, ("nobody".to_owned(), Vec::new()), "{cookies:.60}");
    }
    let request = navigation(Method::GET, "/", "none")
        .header(COOKIE, format!("{SESSION}={whole}"))
        .header(COOKIE, format!("{SESSION}=planted"));
    assert_eq!(text(&site.visit(&mut Browser::new(), request).await), "nobody", "in two headers");
}

#[tokio::test]
async fn a_session_under_another_name_is_nobody() {
    let site = Site::new();
    let whole = site.signed_in().await.jar[SESSION].clone();
    for name in
        ["signin", "__Secure-signin", "__host-signin", "__Host-signin2", "__Host-signin-flow-", "X__Host-signin"]
    {
        assert_eq!(visit(&site, &format!("{name}={whole}")).await, ("nobody".to_owned(), Vec::new()), "{name}");
    }
    for odd in ["", ";", "=", ";=;", "a", ";;; ", SESSION, &format!("={SESSION}={whole}"), "\u{1}"] {
        let request = navigation(Method::GET, "/", "none");
        let Ok(value) = http::HeaderValue::from_str(odd) else { continue };
        let response = site.visit(&mut Browser::new(), request.header(COOKIE, value)).await;
        assert_eq!((text(&response), set_cookies(&response)), ("nobody", Vec::new()), "{odd:?}");
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_nobody_and_goes() {
    let hour = Duration::from_secs(3600);
    let site = Site::with(|builder| builder.session_lifetime(hour));
    let cookie = site.signed_in().await.cookie_header().unwrap();
    site.clock.advance(hour - Duration::from_secs(1));
    assert_eq!(visit(&site, &cookie).await, (BOB.to_owned(), Vec::new()), "a second before");
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(visit(&site, &cookie).await, ("nobody".to_owned(), vec![deleted(SESSION)]), "at the end");
    for (name, seconds) in [("in 2038", 2_147_483_648), ("in 2106", 4_294_967_296), ("in 10000", 253_402_300_800)] {
        site.clock.advance(Duration::from_secs(seconds - NOW));
        assert_eq!(visit(&site, &cookie).await.0, "nobody", "{name}");
        site.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(NOW));
    }
    assert_eq!(visit(&site, &cookie).await.0, BOB, "the clock is what decides");
}

#[tokio::test]
async fn a_session_of_another_deployment_is_nobody_and_stays() {
    let keys = Keys::generate().unwrap();
    let with = |redirect_uri: &str| Site::of(siwbb(), redirect_uri, |builder| builder.keys(keys.clone()));
    let ours = with("http://localhost:3000/api/callback");
    let other_port = with("http://localhost:3001/api/callback").signed_in().await.jar["signin-3001"].clone();
    let cases = [
        ("under its own name", format!("signin-3001={other_port}")),
        ("under ours", format!("signin-3000={other_port}")),
        ("of production", format!("__Host-signin={}", with(crate::site::CALLBACK).signed_in().await.jar[SESSION])),
    ];
    for (name, cookies) in cases {
        assert_eq!(visit(&ours, &cookies).await, ("nobody".to_owned(), Vec::new()), "{name}");
    }
    let production = with(crate::site::CALLBACK);
    let staging = with("https://staging.example.com/api/callback").signed_in().await.cookie_header().unwrap();
    assert_eq!(visit(&production, &staging).await, ("nobody".to_owned(), Vec::new()), "staging in production");
}

#[tokio::test]
async fn a_session_of_another_issuer_is_nobody_and_stays() {
    let keys = Keys::generate().unwrap();
    let testnet = siwbb().base_urls("https://testnet.example", "https://api.testnet.example");
    let testnet = Site::of(testnet, crate::site::CALLBACK, |builder| builder.keys(keys.clone()));
    let cookie = testnet.signed_in().await.cookie_header().unwrap();
    assert_eq!(visit(&testnet, &cookie).await.0, BOB);
    let site = Site::with(|builder| builder.keys(keys));
    assert_eq!(visit(&site, &cookie).await, ("nobody".to_owned(), Vec::new()));
}

#[tokio::test]
async fn a_session_that_was_there_before_signing_in_never_counts_afterwards() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let before = browser.jar[SESSION].clone();
    site.complete(&mut browser, "/").await;
    assert_ne!(browser.jar[SESSION], before);
    let mut planted = Browser::new();
    planted.jar.insert(SESSION.to_owned(), "planted".to_owned());
    site.complete(&mut planted, "/").await;
    assert_ne!(planted.jar[SESSION], "planted");
}

#[tokio::test]
async fn headers_sign_nobody_in() {
    let site = Site::new();
    let headers = ["authorization", "x-forwarded-user", "x-user", "remote-user", "x-signin", "x-middleware-subrequest"];
    for header in headers {
        let request = navigation(Method::GET, "/", "none").header(header, BOB);
        assert_eq!(text(&site.visit(&mut Browser::new(), request).await), "nobody", "{header}");
    }
}

/// The answer's text and cookies.
async fn visit(site: &Site, cookies: &str) -> (String, Vec<String>) {
    let request = navigation(Method::GET, "/", "none").header(COOKIE, cookies);
    let response = site.visit(&mut Browser::new(), request).await;
    assert_eq!(response.status(), 200, "{cookies:.60}");
    (text(&response).to_owned(), set_cookies(&response))
}
