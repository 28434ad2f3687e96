//! Cookies that are set: what they say, how they are sealed, and that they arrive.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::SET_COOKIE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_signin::{Admission, Builder};

use crate::cookies::{session, who};
use crate::people::know_everybody;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, CALLBACK, CODE, SESSION, Site, set_cookies, siwbb};
use crate::support::{Browser, navigation};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H091",
        what: "cookies of a session or a sign-in lacked Secure",
        verdict: Held(&["h091_every_cookie_has_every_attribute"]),
    },
    Row {
        id: "H092",
        what: "the nonce or the bound data of a seal was always the same",
        verdict: Held(&["h092_no_two_seals_share_a_nonce", "h092_a_seal_opens_in_its_own_cookie_alone"]),
    },
    Row {
        id: "H094",
        what: "headers that were sent early went without the cookie",
        verdict: Held(&["h094_an_answer_that_begins_before_it_is_whole_has_its_cookie"]),
    },
    Row {
        id: "H095",
        what: "several Set-Cookie headers became one line, or one took another's place",
        verdict: Held(&["h095_each_cookie_has_a_header_of_its_own"]),
    },
];

/// Every `Set-Cookie` of the life of a session in three cookies, with tokens, rounds and sign-ins that came to nothing.
pub(crate) async fn whole_life(callback: &str) -> Vec<String> {
    let site = Site::of(siwbb(), callback, |builder| {
        let builder = builder.keep_tokens().session_cookie_limit(16_384).session_lifetime(Duration::from_secs(9999));
        builder.on_sign_in(|_| async { Admission::with_data(&"x".repeat(7000)) })
    });
    know_everybody(&site);
    let mut browser = Browser::new();
    let mut seen = Vec::new();
    let session = if callback == CALLBACK { SESSION } else { "signin-3000" };
    for number in 0..3 {
        let login = site.get(&mut browser, "/api/login").await;
        let state = crate::site::parameter(&crate::support::location(&login), "state");
        let callback = site.get(&mut browser, &format!("/api/callback?code=0x{number:040x}&state={state}")).await;
        assert_eq!(callback.status(), 303);
        seen.extend([login, callback]);
        if number == 0 {
            // A browser that loses its session begins to run in circles.
            browser.jar.retain(|name, _| name.contains("rounds"));
        } else {
            site.clock.advance(Duration::from_secs(61));
        }
    }
    seen.push(site.get(&mut browser, "/api/login").await);
    let abandoned = browser.jar.keys().find(|name| name.contains("-flow-")).cloned();
    assert!(abandoned.is_some() && browser.jar.contains_key(&format!("{session}.2")));
    site.clock.advance(Duration::from_secs(crate::people::LIFE - 60));
    seen.push(site.get(&mut browser, "/").await);
    seen.push(site.get(&mut browser, "/api/login").await);
    seen.push(site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await);
    assert_eq!(browser.jar, Default::default(), "signing out leaves nothing");
    seen.iter().flat_map(set_cookies).collect()
}

#[tokio::test]
async fn h091_every_cookie_has_every_attribute() {
    let mut kinds = HashSet::new();
    for cookie in whole_life(CALLBACK).await {
        let mut parts = cookie.split("; ");
        let name = parts.next().unwrap().split('=').next().unwrap();
        let rest: Vec<_> = parts.collect();
        assert!(name.starts_with(SESSION), "{cookie}");
        assert_eq!(rest[..4], ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"], "{cookie}");
        assert!(rest.len() == 5 && rest[4].starts_with("Max-Age="), "{cookie}");
        kinds.insert(if name.contains("-flow-") { "flow" } else { &name[SESSION.len()..] }.to_owned());
    }
    let expected = ["", ".1", ".2", "-tokens", "-rounds", "flow"].map(str::to_owned);
    assert_eq!(kinds, HashSet::from(expected), "of every kind there is");
}

#[tokio::test]
async fn h092_no_two_seals_share_a_nonce() {
    let site = Site::new();
    let mut nonces = HashSet::new();
    for _ in 0..500 {
        let mut browser = Browser::new();
        site.start(&mut browser, "/same").await;
        let flow = browser.jar.pop_first().unwrap().1;
        for sealed in [flow, session(&site).await] {
            let bytes = URL_SAFE_NO_PAD.decode(sealed).unwrap();
            assert!(nonces.insert(bytes[9..21].to_vec()), "a nonce again");
        }
    }
    assert_eq!(nonces.len(), 1000);
}

#[tokio::test]
async fn h092_a_seal_opens_in_its_own_cookie_alone() {
    let site = Site::with(|builder| builder.keep_tokens().session_cookie_limit(16_384));
    let mut browser = Browser::new();
    let (one, two) = (site.start(&mut browser, "/one").await, site.start(&mut browser, "/two").await);
    let flows = [browser.jar[&one.flow_cookie()].clone(), browser.jar[&two.flow_cookie()].clone()];
    // Two tabs whose cookies were swapped.
    browser.jar.insert(one.flow_cookie(), flows[1].clone());
    browser.jar.insert(two.flow_cookie(), flows[0].clone());
    for started in [&one, &two] {
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        site.assert_refused("swapped", &response, 400, tower_signin::ErrorKind::FlowUnreadable);
    }
    let signed_in = site.signed_in().await.jar;
    let (session, tokens) = (&signed_in[SESSION], &signed_in["__Host-signin-tokens"]);
    for value in [tokens, &flows[0], &flows[1]] {
        let cookies = format!("{SESSION}={value}; __Host-signin-tokens={session}");
        assert_eq!(who(&site, &[cookies.as_bytes()]).await.0, "nobody");
    }
    // The number of cookies is bound as well: a session of one is none of two.
    let middle = session.len() / 2;
    let cut = format!(
        "{SESSION}=2.{}; {SESSION}.1={}; __Host-signin-tokens={tokens}",
        &session[..middle],
        &session[middle..]
    );
    assert_eq!(who(&site, &[cut.as_bytes()]).await.0, "nobody");
    let whole = format!("{SESSION}={session}; __Host-signin-tokens={tokens}");
    assert_eq!(who(&site, &[whole.as_bytes()]).await.0, BOB);
}

#[tokio::test]
async fn h094_an_answer_that_begins_before_it_is_whole_has_its_cookie() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let site = Site::of(siwbb(), &format!("http://localhost:{}/api/callback", address.port()), |builder| {
        builder.session_idle_timeout(Duration::from_secs(100))
    });
    let endless = || {
        let first = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"first"))]);
        Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()))
    };
    let app = Router::new()
        .route("/stream", any(move || async move { endless() }))
        .route("/events", any(move || async move { ([("content-type", "text/event-stream")], endless()) }))
        .route(
            "/upgrade",
            any(async || {
                (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "chat")], Body::empty())
            }),
        )
        .route("/empty", any(async || StatusCode::NO_CONTENT))
        .route("/same", any(async || StatusCode::NOT_MODIFIED))
        .route("/fails", any(async || StatusCode::INTERNAL_SERVER_ERROR))
        .layer(site.sign_in.layer());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let cookie = site.signed_in().await.cookie_header().unwrap();
    site.clock.advance(Duration::from_secs(50));
    for (path, extra) in [
        ("/stream", ""),
        ("/events", ""),
        ("/upgrade", "Connection: upgrade\r\nUpgrade: chat\r\n"),
        ("/stream", "Expect: 100-continue\r\nContent-Length: 0\r\n"),
        ("/empty", ""),
        ("/same", ""),
        ("/fails", ""),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n{extra}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        let until = async {
            while !head.ends_with(b"\r\n\r\n") || head.starts_with(b"HTTP/1.1 100") {
                if head.starts_with(b"HTTP/1.1 100") && head.ends_with(b"\r\n\r\n") {
                    head.clear();
                }
                head.push(stream.read_u8().await.unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(10), until).await.expect("headers before the end");
        let head = String::from_utf8(head).unwrap();
        let renewed = head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie: signin-")).count();
        assert_eq!(renewed, 1, "{path} {extra}: {head}");
    }
    server.abort();
}

#[tokio::test]
async fn h095_each_cookie_has_a_header_of_its_own() {
    for cookie in whole_life(CALLBACK).await {
        let max_ages = cookie.matches("Max-Age").count();
        assert_eq!((max_ages, cookie.matches(SESSION).count()), (1, 1), "{cookie}");
        assert!(!cookie.contains(','), "{cookie}");
    }
    // What the application sets stays beside it, on a renewal and on a callback of its own.
    let app = || {
        Router::new()
            .fallback(any(async || ([(SET_COOKIE, "one=1; Path=/"), (http::header::CACHE_CONTROL, "private")], "")))
    };
    let both = any(async || {
        let mut response = Response::new(Body::empty());
        for cookie in ["one=1; Path=/", "two=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "__Host-signin=theirs; Path=/"]
        {
            response.headers_mut().append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        response
    });
    let site = Site::with(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    let browser = site.signed_in().await;
    site.clock.advance(Duration::from_secs(50));
    let response = site.through(&Router::new().fallback(both.clone()), &browser, Request::get("/")).await;
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 4, "{cookies:?}");
    assert_eq!(
        cookies[..3],
        ["one=1; Path=/", "two=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "__Host-signin=theirs; Path=/"]
    );
    assert!(cookies[3].starts_with("__Host-signin=") && cookies[3].contains("; Secure; "), "{cookies:?}");

    let site = Site::with(Builder::forward_callback);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let response = site.through(&app(), &browser, navigation(Method::GET, &started.callback(CODE), "cross-site")).await;
    let cookies = set_cookies(&response);
    assert!(cookies.len() >= 3 && cookies[0] == "one=1; Path=/" && cookies[1] == started.flow_deleted(), "{cookies:?}");
}
