//! Ways past the sign-in: what passes for somebody signed in, and what reaches the app without.

use std::time::Duration;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, LOCATION};
use http::{Method, Request};
use serde_json::{Value, json};
use tower_signin::predicate::{claim_equals, claim_includes, issuer};
use tower_signin::{Builder, Error, ErrorKind, Keys};

use crate::anybody::Anybody;
use crate::random::Random;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, parameter, query, set_cookies, siwbb};
use crate::support::{Browser, location, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H028",
        what: "an expired session lived on in a header",
        verdict: Held(&["h028_a_session_counts_as_its_cookie_alone"]),
    },
    Row {
        id: "H029",
        what: "rules of access gave another answer in another order",
        verdict: Held(&["h029_guards_in_any_order_let_in_the_same_people"]),
    },
    Row { id: "H031", what: "any token was proof", verdict: Held(&["h031_no_authorization_header_signs_anybody_in"]) },
    Row {
        id: "H032",
        what: "fields were sealed without their bounds, so that one site's cookie fitted another, for ever",
        verdict: Held(&["h032_no_cookie_fits_another_site_or_prefix"]),
    },
    Row {
        id: "H033",
        what: "an error object counted as somebody signed in",
        verdict: Held(&["h033_no_error_is_anybody"]),
    },
    Row {
        id: "H034",
        what: "the token of a sign-in under way passed for a session",
        verdict: Held(&["h034_no_seal_passes_for_another_kind"]),
    },
];

#[tokio::test]
async fn h028_a_session_counts_as_its_cookie_alone() {
    let site = Site::new();
    let browser = site.signed_in().await;
    let value = browser.jar["__Host-signin"].clone();
    let elsewhere = |request: http::request::Builder| {
        let request = request
            .header(AUTHORIZATION, format!("Bearer {value}"))
            .header("set-cookie", format!("__Host-signin={value}; Path=/"));
        let names =
            ["x-session", "x-workos-session", "__host-signin", "cookie2", "x-cookie", "x-forwarded-cookie", "session"];
        names.iter().fold(request, |request, name| {
            request.header(*name, format!("__Host-signin={value}")).header(*name, &value)
        })
    };
    let path = format!("/?{}", query(&[("__Host-signin", &value), ("session", &value), ("access_token", &value)]));
    let body = Bytes::from(format!("__Host-signin={value}"));
    let nobody = async |name: &str, cookie: Option<&str>| {
        let mut request = elsewhere(navigation(Method::POST, &path, "same-origin")).body(body.clone()).unwrap();
        if let Some(cookie) = cookie {
            request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
        }
        assert_eq!(text(&site.send(request).await), "nobody", "{name}");
    };
    nobody("no cookie at all", None).await;
    for name in ["signin", "__host-signin", "__Secure-signin", "__Host-session", "\"__Host-signin\"", "$__Host-signin"]
    {
        nobody(name, Some(&format!("{name}={value}"))).await;
    }
    nobody("in another value", Some(&format!("a=__Host-signin={value}"))).await;
    nobody("in quotes", Some(&format!("__Host-signin=\"{value}\""))).await;
    let whole = format!("__Host-signin={value}");
    let request = elsewhere(navigation(Method::GET, "/", "none")).header(COOKIE, &whole).body(Bytes::new()).unwrap();
    assert_eq!(text(&site.send(request).await), BOB, "the cookie itself");
    site.clock.advance(Duration::from_secs(40 * 86_400));
    nobody("expired", Some(&whole)).await;
}

#[tokio::test]
async fn h029_guards_in_any_order_let_in_the_same_people() {
    let provider = Anybody::called("ada", json!({ "role": "staff", "groups": ["a", "b"], "n": 1 }));
    let site = Site::of(provider, CALLBACK, |builder| builder);
    let browser = site.signed_in().await;
    let rules: [(fn(&Site) -> tower_signin::RequireLayer, bool); 8] = [
        (|site| site.sign_in.require(), true),
        (|site| site.sign_in.require_where(issuer("https://id.example")), true),
        (|site| site.sign_in.require_where(issuer("https://id.example/")), false),
        (|site| site.sign_in.require_where(claim_equals("/role", "staff")), true),
        (|site| site.sign_in.require_where(claim_equals("/role", "admin")), false),
        (|site| site.sign_in.require_where(claim_includes("/groups", "b")), true),
        (|site| site.sign_in.require_where(claim_includes("/groups", "c")), false),
        (|site| site.sign_in.require_where(claim_equals("/n", 1)), true),
    ];
    let mut random = Random::new(29);
    let mut let_in = 0;
    for _ in 0..300 {
        let chosen: Vec<_> = (0..=random.below(4)).map(|_| random.pick(&rules)).collect();
        let router = Router::new().fallback(any(async || "let in"));
        let router = chosen.iter().fold(router, |router, (guard, _)| router.layer(guard(&site)));
        let expected = chosen.iter().all(|(_, passes)| *passes);
        let response = site.through(&router, &browser, navigation(Method::GET, "/", "none")).await;
        assert_eq!(response.status(), if expected { 200 } else { 403 });
        assert_eq!(text(&response) == "let in", expected);
        let response = site.through(&router, &Browser::new(), navigation(Method::GET, "/", "none")).await;
        assert_eq!((response.status().as_u16(), text(&response)), (303, ""), "nobody");
        let_in += usize::from(expected);
    }
    assert!((30..270).contains(&let_in), "{let_in}");
}

#[tokio::test]
async fn h031_no_authorization_header_signs_anybody_in() {
    const NONE: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJiYjFweTRtZnBnNnVmNTlxa3l6ZzBubWF1MzIyYzU4NzNlZXlzcDV1ZSJ9.";
    let answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    // Where tokens are kept, a session alone is nobody's, and where they are not, somebody's.
    for site in [Site::new(), Site::with(Builder::keep_tokens)] {
        let mut browser = site.signed_in().await;
        let started = site.start(&mut browser, "/").await;
        let mut proofs = vec![answer["access_token"].as_str().unwrap(), BOB, NONE, "", "null", "undefined", CODE];
        proofs.push(&started.state);
        proofs.extend(browser.jar.values().map(String::as_str));
        let guarded = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require());
        for proof in proofs {
            for scheme in ["Bearer ", "bearer ", "Basic ", "Token ", "DPoP ", "Bearer  ", "Bearer,", ""] {
                let value = format!("{scheme}{proof}");
                let once = |request: http::request::Builder| {
                    request
                        .header(AUTHORIZATION, &value)
                        .header("x-api-key", &value)
                        .header("proxy-authorization", &value)
                };
                let twice = once(navigation(Method::GET, "/", "none")).header(AUTHORIZATION, format!("Bearer {BOB}"));
                assert_eq!(text(&site.visit(&mut Browser::new(), twice).await), "nobody", "{value}");
                let response = site.through(&guarded, &Browser::new(), once(Request::get("/"))).await;
                assert_eq!(response.status(), 401, "{value}");
                assert!(!text(&response).contains("let in"), "{value}");
            }
        }
        assert!(site.upstream.requests().is_empty(), "the provider was asked");
    }
}

#[tokio::test]
async fn h032_no_cookie_fits_another_site_or_prefix() {
    let keys = Keys::generate().unwrap();
    let settings = [
        ("https://example.com/api/callback", "signin"),
        ("https://example.com:8443/api/callback", "signin"),
        ("https://example.co/api/callback", "signin"),
        ("https://www.example.com/api/callback", "signin"),
        ("https://example.com/api/callback", "signi"),
        ("https://example.com/api/callback", "signin2"),
        ("https://example.com/api/callback", "signin-"),
        ("https://example.com/api/callback", "n"),
        ("http://localhost:3000/api/callback", "signin"),
        ("http://localhost:3001/api/callback", "signin"),
    ];
    let sites = settings.map(|(callback, prefix)| {
        Site::of(siwbb(), callback, |builder| builder.keys(keys.clone()).cookie_prefix(prefix))
    });
    let mut sessions = Vec::new();
    for site in &sites {
        let jar = site.signed_in().await.jar;
        let (name, value) = jar.into_iter().find(|(name, _)| !name.ends_with("-rounds")).unwrap();
        sessions.push((name, value));
    }
    for (here, site) in sites.iter().enumerate() {
        for (there, (_, value)) in sessions.iter().enumerate() {
            let mut browser = Browser::new();
            browser.jar.insert(sessions[here].0.clone(), value.clone());
            let response = site.get(&mut browser, "/").await;
            let expected = if here == there { BOB } else { "nobody" };
            assert_eq!(text(&response), expected, "the session of {:?} at {:?}", settings[there], settings[here]);
        }
        site.clock.advance(Duration::from_secs(40 * 86_400));
        let mut browser = Browser::new();
        browser.jar.insert(sessions[here].0.clone(), sessions[here].1.clone());
        assert_eq!(text(&site.get(&mut browser, "/").await), "nobody", "for ever: {:?}", settings[here]);
    }
}

#[tokio::test]
async fn h033_no_error_is_anybody() {
    for kind in ErrorKind::ALL {
        let provider = Anybody::new(|| Err(Error::new(*kind).with_reason("somebody").with_source("somebody")));
        let site = Site::of(provider, CALLBACK, |builder| builder);
        let mut browser = Browser::new();
        let response = site.complete(&mut browser, "/target").await;
        assert!(!response.status().is_success(), "{kind:?}: {}", response.status());
        assert!(!response.headers().contains_key(LOCATION), "{kind:?}");
        assert!(set_cookies(&response).iter().all(|cookie| cookie.contains("Max-Age=0")), "{kind:?}");
        assert!(!browser.jar.contains_key("__Host-signin"), "{kind:?}");
        assert_eq!((text(&site.get(&mut browser, "/").await), site.inner_calls()), ("nobody", 1), "{kind:?}");

        let forwarding = Site::of(Anybody::new(|| Err(Error::new(*kind))), CALLBACK, Builder::forward_callback);
        let response = forwarding.complete(&mut Browser::new(), "/").await;
        assert!(!response.status().is_success(), "{kind:?}: {}", response.status());
        assert_eq!(forwarding.inner_calls(), 0, "{kind:?}: the handler of the callback was called");
    }
    let failing = Site::with(|builder| builder.on_sign_in(|_| async { Err(std::io::Error::other("down").into()) }));
    let mut browser = Browser::new();
    assert_eq!(failing.complete(&mut browser, "/").await.status(), 500);
    assert!(browser.jar.is_empty());
    assert!(tower_signin::SignIn::builder(siwbb()).build().is_err(), "settings that are none build nothing");
}

#[tokio::test]
async fn h034_no_seal_passes_for_another_kind() {
    let site = Site::with(Builder::keep_tokens);
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/").await;
    let logout = Request::post("/api/logout").header(ACCEPT, "text/html");
    let page = site.visit(&mut browser.clone(), logout).await;
    let action = text(&page).split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    let token = parameter(&format!("https://example.com{action}"), "token");
    let (session, flow) = ("__Host-signin", started.flow_cookie());
    let mut values: Vec<_> = browser.jar.clone().into_iter().collect();
    assert_eq!(values.len(), 4, "session, tokens, rounds and flow: {values:?}");
    values.push(("the token to sign out".to_owned(), token));
    values.push(("state".to_owned(), started.state.clone()));
    for (kind, value) in &values {
        let mut other = browser.clone();
        other.jar.insert(session.to_owned(), value.clone());
        let who = text(&site.get(&mut other, "/").await).to_owned();
        assert_eq!(who, if kind == session { BOB } else { "nobody" }, "{kind} as a session");

        let mut other = Browser::new();
        other.jar.insert(flow.clone(), value.clone());
        if kind != &flow {
            let response = site.get(&mut other, &started.callback(CODE)).await;
            assert_eq!((response.status().as_u16(), set_cookies(&response)), (400, Vec::new()), "{kind} as a flow");
        }

        let mut other = browser.clone();
        let request = Request::post(format!("/api/logout?{}", query(&[("token", value)]))).header(ACCEPT, "text/html");
        let response = site.visit(&mut other, request).await;
        let is_token = kind == "the token to sign out";
        assert_eq!(response.status(), if is_token { 303 } else { 403 }, "{kind} as a token to sign out");
        assert_eq!(set_cookies(&response).is_empty(), !is_token, "{kind}");
    }
    let callback = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(location(&callback), "/", "the right one is still open");
}
