//! Denial of service: nothing malformed is a panic, and nothing long takes time without bound.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderValue, Method, Uri};
use tower_signin::ErrorKind;

use crate::people::who;
use crate::random::{Random, rounds};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CODE, SESSION, Site, query, set_cookies};
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H103",
        what: "a malformed Authorization header threw",
        verdict: Held(&["h103_no_authorization_header_matters"]),
    },
    Row {
        id: "H104",
        what: "made-up key ids had the keys fetched again and again",
        verdict: Held(&[
            "h104_nothing_made_up_asks_the_provider",
            "tests/providers/oidc/caches.rs::a_key_that_stays_unknown_is_not_sought_over_and_over",
        ]),
    },
    Row {
        id: "H105",
        what: "an empty query, an empty issuer or JSON of another shape was read through a null pointer",
        verdict: Held(&["h105_no_query_is_a_server_error", "h105_no_answer_of_any_shape_is_a_panic"]),
    },
    Row {
        id: "H106",
        what: "the parts of a token were counted on to be there",
        verdict: Held(&["h106_a_state_of_any_length_is_an_answer"]),
    },
    Row {
        id: "H108",
        what: "a pattern took exponential time over an address",
        verdict: Held(&["h108_long_input_takes_a_moment"]),
    },
];

#[tokio::test]
async fn h103_no_authorization_header_matters() {
    let site = Site::new();
    let session = site.signed_in().await.cookie_header().unwrap();
    let mut random = Random::new(103);
    for round in 0..rounds(2000) {
        let scheme = random.pick(&["Bearer ", "bearer", "Basic ", "", "DPoP ", "Bearer Bearer ", "Digest username="]);
        let mut value = random.mutate(scheme).into_bytes();
        for _ in 0..random.below(4) {
            value.extend_from_slice(random.pick(&[
                &b"."[..],
                b"eyJhbGciOiJub25lIn0",
                b"=",
                b"\xff\xfe",
                b"\t",
                b"a,b",
                b"\"",
                b"Og==",
                b"null",
            ]));
        }
        let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
        let path = random.pick(&["/", "/x?y", "/api/login", "/api/callback?code=a&state=b", "/api/logout"]);
        let mut answers = Vec::new();
        for authorization in [Some(&value), None] {
            for cookies in [None, Some(&session)] {
                let mut request = navigation(Method::GET, path, "same-origin").body(Bytes::new()).unwrap();
                request.headers_mut().extend(authorization.map(|value| (AUTHORIZATION, value.clone())));
                request.headers_mut().extend(cookies.map(|cookies| (COOKIE, cookies.parse::<HeaderValue>().unwrap())));
                let response = site.send(request).await;
                let said = if path.starts_with("/api") { "" } else { text(&response) };
                answers.push((response.status().as_u16(), said.to_owned(), set_cookies(&response).len()));
            }
        }
        assert_eq!(answers[..2], answers[2..], "round {round}: {value:?} at {path}");
        assert!(answers[0].0 < 500, "round {round}: {value:?} at {path}");
    }
    assert!(site.upstream.requests().is_empty());
}

#[tokio::test]
async fn h104_nothing_made_up_asks_the_provider() {
    let site = Site::with(|builder| builder.keep_tokens().recheck_every(Duration::from_secs(60)));
    let good = site.signed_in().await.jar;
    site.clock.advance(Duration::from_secs(600));
    let mut random = Random::new(104);
    for round in 0..500 {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        for (name, value) in &good {
            // Another format, another key id, another nonce, another body: never the value itself.
            let at = random.below(value.len());
            let other = if value.as_bytes()[at] == b'A' { "B" } else { "A" };
            browser.jar.insert(name.clone(), format!("{}{other}{}", &value[..at], &value[at + 1..]));
        }
        let state = format!("{}{}", &started.state[..26], random.mutate(&started.state[26..]));
        if state != started.state {
            let callback = format!("/api/callback?{}", query(&[("code", CODE), ("state", &state)]));
            assert_eq!(site.get(&mut browser, &callback).await.status(), 400, "{state}");
        }
        assert_eq!(text(&site.get(&mut browser, "/").await), "nobody", "round {round}");
    }
    assert!(site.upstream.requests().is_empty(), "the provider was asked");
}

#[tokio::test]
async fn h105_no_query_is_a_server_error() {
    let site = Site::new();
    let mut pending = Browser::new();
    let started = site.start(&mut pending, "/").await;
    let state = format!("state={}", started.state);
    #[rustfmt::skip]
    let pieces = [
        "&", "&&", "=", "=&=", "%", "%%", "%0", "%zz", "%ff", "+", "?", "iss=", "iss", "iss=%00", "state=", "state", "code=",
        "code", "error=", "error", "error&error", "return_to=", "return_to", "return_to=%", "prompt=", "token=", "token",
        "site=", "=a", "a=b=c", ";", "%26%3d", "state[]=a", "code[0]=a", "__proto__=1", "\u{e9}",
    ];
    for path in ["/api/login", "/api/callback", "/api/logout", "/"] {
        for method in [Method::GET, Method::POST] {
            for one in pieces {
                for other in ["", "&", "=", one, "%", "iss=", "code=x"] {
                    let Ok(uri) = format!("{path}?{one}&{other}").parse::<Uri>() else { continue };
                    let request = navigation(method.clone(), "/", "same-origin").uri(uri.clone());
                    let response = site.visit(&mut pending.clone(), request).await;
                    assert!(response.status().as_u16() < 500, "{method} {uri}: {}", response.status());
                    // With the good state as well: what is left is refused, or answered by an error of the provider.
                    if path == "/api/callback" && !one.starts_with("code") && other != "code=x" && method == Method::GET
                    {
                        let uri = format!("{path}?{one}&{other}&{state}");
                        let Ok(uri) = uri.parse::<Uri>() else { continue };
                        let request = navigation(Method::GET, "/", "cross-site").uri(uri.clone());
                        let response = site.visit(&mut pending.clone(), request).await;
                        assert!(response.status() == 400 || response.status() == 502, "{uri}: {}", response.status());
                        assert!(set_cookies(&response).iter().all(|cookie| cookie.contains("Max-Age=0")), "{uri}");
                    }
                }
            }
        }
    }
    assert!(site.upstream.requests().is_empty(), "the provider was asked");
}

#[tokio::test]
async fn h105_no_answer_of_any_shape_is_a_panic() {
    let good: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
    let odd = [
        "null",
        "0",
        "-1",
        "1e999",
        "true",
        "\"\"",
        "\"null\"",
        "[]",
        "{}",
        "[null]",
        "{\"a\":null}",
        "\"\\u0000\"",
        "\"\\ud800\"",
    ];
    let mut bodies: Vec<Vec<u8>> = odd.iter().map(|odd| odd.as_bytes().to_vec()).collect();
    bodies.extend(
        [&b""[..], b" ", b"{", b"}", b"{\"a\"", b"nul", b"\xff\xfe", b"\xef\xbb\xbf{}", b"{}{}", b"[[[[[[", b"<html>"]
            .map(<[u8]>::to_vec),
    );
    bodies.push("[".repeat(100_000).into_bytes());
    bodies.push("{\"a\":".repeat(50_000).into_bytes());
    let members: Vec<String> = good.as_object().unwrap().keys().cloned().collect();
    for member in &members {
        for odd in odd {
            // An identity may not hang on what can't be read; a chain of no meaning is one like any other.
            let text = serde_json::to_string(&good[member]).unwrap();
            let named = format!("\"{member}\":");
            let whole = good.to_string();
            bodies.push(whole.replace(&format!("{named}{text}"), &format!("{named}{odd}")).into_bytes());
            bodies.push(whole.replacen('{', &format!("{{{named}{odd},"), 1).into_bytes());
        }
    }
    let (mut refused, mut let_in) = (0, 0);
    for body in bodies {
        for status in [200, 401, 500] {
            let site = Site::new();
            site.upstream.answer(status, body.clone());
            let mut browser = Browser::new();
            let response = site.complete(&mut browser, "/").await;
            let shown = || format!("{status} {}", String::from_utf8_lossy(&body));
            if response.status() == 303 {
                assert_eq!(status, 200, "{}", shown());
                let read: serde_json::Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(
                    (&read["bitbadgesAddress"], &read["verificationResponse"]["success"]),
                    (&BOB.into(), &true.into()),
                    "{}",
                    shown()
                );
                assert_eq!(who(&site, &browser).await, BOB, "{}", shown());
                let_in += 1;
            } else {
                assert!([403, 502, 503].contains(&response.status().as_u16()), "{}: {}", response.status(), shown());
                assert_eq!(who(&site, &browser).await, "nobody", "{}", shown());
                refused += 1;
            }
        }
    }
    assert!(refused > 300 && let_in < 30, "{refused} {let_in}");
}

#[tokio::test]
async fn h106_a_state_of_any_length_is_an_answer() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let flow = started.flow_cookie();
    let long = format!("{0}{0}", started.state);
    for length in 0..=long.len() {
        if length == started.state.len() {
            continue;
        }
        for state in [long[..length].to_owned(), "é".repeat(length / 2), "%C3%A9".repeat(length), ".".repeat(length)] {
            let response = site.get(&mut browser.clone(), &format!("/api/callback?code={CODE}&state={state}")).await;
            site.assert_refused(&state, &response, 400, ErrorKind::CallbackMalformed);
            assert_eq!(set_cookies(&response), [""; 0], "{state}");
        }
        // The same of the name of a flow cookie, and of what is in it.
        let cut = browser.jar[&flow].get(..length).unwrap_or_default();
        let name = flow.get(..length.min(flow.len())).unwrap();
        let cookies = format!("{name}=x; {flow}={cut}");
        let request = navigation(Method::GET, &started.callback(CODE), "cross-site").header(COOKIE, cookies);
        let response = site.visit(&mut Browser::new(), request).await;
        site.assert_refused("a cut flow", &response, 400, ErrorKind::FlowUnreadable);
    }
}

/// Ten times what a test machine under load takes for them, and a small part of what time squared would take.
#[tokio::test]
async fn h108_long_input_takes_a_moment() {
    const LENGTH: usize = 60_000;
    let site = Site::new();
    let browser = site.signed_in().await;
    let began = Instant::now();
    for piece in [
        "/",
        "%2f",
        "..%2f",
        "a/../",
        "%5c",
        "%25",
        "@",
        "%09",
        "a",
        "%E2%80%8B",
        ";=",
        "&return_to=",
        "[",
        "http:",
        "=",
    ] {
        let long = piece.repeat(LENGTH / piece.len());
        for path in [
            "/api/login?return_to=/",
            "/api/callback?code=",
            "/api/callback?state=",
            "/api/logout?return_to=/",
            "/",
            "/?",
        ] {
            let Ok(uri) = format!("{path}{long}").parse::<Uri>() else { continue };
            for method in [Method::GET, Method::POST] {
                let request = navigation(method, "/", "same-origin").uri(uri.clone());
                site.visit(&mut browser.clone(), request).await;
            }
        }
        for header in ["cookie", "referer", "origin", "host", "accept", "x-request-id", "sec-purpose", "content-type"] {
            let value = format!("{SESSION}{long}; {}", piece.replace('%', "x"));
            site.visit(&mut browser.clone(), navigation(Method::GET, "/api/login", "none").header(header, value)).await;
        }
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}
