//! Denial of service: what anybody can send costs no memory that stays, no time without bound, and no panic.

use std::convert::Infallible;
use std::future::{Future as _, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{ANSWER_LIMIT, Builder, ErrorKind};

use crate::people::{know_everybody, sign_in_as, subject, who};
use crate::random::{Random, rounds};
use crate::rows::Row;
use crate::rows::Verdict::{Held, HeldElsewhere, WithoutIdTokens};
use crate::site::{BOB, BOB_ANSWER, CODE, SESSION, Site, query, set_cookies};
use crate::stored::stored;
use crate::support::{Browser, block_on, navigation, text};
use crate::trap::{Trap, on_the_wire, sign_in_at};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H096",
        what: "each start of a sign-in wrote to the session store until it was full",
        verdict: Held(&["h096_nobody_makes_the_store_do_anything"]),
    },
    Row {
        id: "H097",
        what: "pending sign-ins filled a map in memory that had no bound",
        verdict: HeldElsewhere(&[
            "tests/attack/flood.rs::a_flood_of_logins_leaves_nothing_behind",
            "src/flow/attempt/table.rs::a_full_table_drops_the_oldest_that_ended_and_never_a_running_one",
            "src/session/registry.rs::ends_are_bounded_and_the_newest_stay",
            "src/session/memory/mod.rs::it_is_bounded_and_never_refuses",
        ]),
    },
    Row {
        id: "H098",
        what: "two requests at once wrote to one map, and the process died",
        verdict: Held(&["h098_everybody_at_once_is_still_themselves"]),
    },
    Row {
        id: "H099",
        what: "cookies of abandoned sign-ins piled up until the server refused the header",
        verdict: Held(&["h099_abandoned_sign_ins_stay_below_four_kilobytes"]),
    },
    Row {
        id: "H100",
        what: "a small compressed token became a huge one",
        verdict: Held(&["h100_no_compressed_answer_is_inflated"]),
    },
    Row {
        id: "H101",
        what: "a token of many parts or megabytes was split and decoded first",
        verdict: Held(&["h101_a_huge_value_is_not_decoded"]),
    },
    Row {
        id: "H102",
        what: "a body without an end was read into memory",
        verdict: Held(&["h102_no_body_of_a_request_is_read", "h102_an_answer_of_the_provider_has_a_limit"]),
    },
    Row {
        id: "H103",
        what: "a malformed Authorization header threw",
        verdict: Held(&["h103_no_authorization_header_matters"]),
    },
    Row {
        id: "H104",
        what: "made-up key ids had the keys fetched again and again",
        verdict: WithoutIdTokens(&["h104_nothing_made_up_asks_the_provider"]),
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
async fn h096_nobody_makes_the_store_do_anything() {
    let (site, store) = stored(|builder| builder);
    let forged = stored(|builder| builder).0.signed_in().await.jar[SESSION].clone();
    for round in 0..200 {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/x").await;
        let flow = browser.jar[&started.flow_cookie()].clone();
        for session in [&forged, &flow, "AQ", &format!("{forged}{round}")] {
            browser.jar.insert(SESSION.to_owned(), session.to_owned());
            site.get(&mut browser, "/").await;
            site.start(&mut browser.clone(), "/x").await;
            let wrong = format!("/api/callback?code={round}&state={}{}", &started.state[..26], "A".repeat(43));
            assert_eq!(site.get(&mut browser, &wrong).await.status(), 400);
            let denied =
                format!("/api/callback?error=access_denied&state={}", site.start(&mut Browser::new(), "/").await.state);
            assert_eq!(site.get(&mut browser, &denied).await.status(), 400);
            site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
        }
    }
    assert_eq!(store.asked(), []);
    assert!(site.upstream.requests().is_empty());
    site.signed_in().await;
    assert_eq!(store.asked().len(), 1, "the store is there");
}

/// Sign-ins, pages, refreshes and sign-outs of many people, on several threads, through one `SignIn`.
#[test]
fn h098_everybody_at_once_is_still_themselves() {
    block_on(async {
        let (site, _) = stored(|builder| builder.keep_tokens().session_idle_timeout(Duration::from_secs(500)));
        let site = Arc::new(site);
        know_everybody(&site);
        let mut tasks = tokio::task::JoinSet::new();
        for number in 1..=24 {
            let site = Arc::clone(&site);
            tasks.spawn(async move {
                let mut browser = Browser::new();
                for round in 0..6 {
                    sign_in_as(&site, &mut browser, number).await;
                    for _ in 0..4 {
                        site.clock.advance(Duration::from_secs(1));
                        assert_eq!(text(&site.get(&mut browser, "/").await), subject(number), "round {round}");
                    }
                    let copies = [browser.clone(), browser.clone()];
                    let logout = navigation(Method::POST, "/api/logout", "same-origin");
                    let (one, other, out) =
                        tokio::join!(who(&site, &copies[0]), who(&site, &copies[1]), site.visit(&mut browser, logout));
                    for seen in [one, other] {
                        assert!(seen == subject(number) || seen == "nobody", "{seen}");
                    }
                    assert_eq!(out.status(), 303);
                    assert_eq!(who(&site, &copies[0]).await, "nobody", "round {round}");
                }
            });
        }
        tasks.join_all().await;
    });
}

#[tokio::test]
async fn h099_abandoned_sign_ins_stay_below_four_kilobytes() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let mut random = Random::new(99);
    for round in 0..200 {
        let target = format!("/{}?{}", "p".repeat(random.below(900)), "%C3%A9".repeat(random.below(300)));
        let from = random.pick(&["same-origin", "none"]);
        site.clock.advance(Duration::from_secs(random.below(70) as u64));
        site.visit(&mut browser, navigation(Method::GET, &site.login(&target), from)).await;
        let header = browser.cookie_header().unwrap();
        assert!(header.len() < 4096, "round {round}: {} bytes", header.len());
    }
    site.clock.advance(Duration::from_secs(61));
    assert_eq!(site.complete(&mut browser, "/target").await.headers()["location"], "/target");
}

#[tokio::test]
async fn h100_no_compressed_answer_is_inflated() {
    let plain = Trap::answering(on_the_wire("200 OK", "", BOB_ANSWER.as_bytes())).await;
    assert_eq!(sign_in_at(&plain.url).await.1, BOB, "as it is");
    let asked = plain.heard().concat().to_lowercase();
    assert!(asked.contains("post /api/v0/siwbb/token") && !asked.contains("accept-encoding"), "{asked}");
    for coding in ["gzip", "x-gzip", "GZIP", "gzip, gzip"] {
        let answer = on_the_wire("200 OK", &format!("Content-Encoding: {coding}\r\n"), &gzip(BOB_ANSWER.as_bytes()));
        let trap = Trap::answering(answer).await;
        let (response, who) = sign_in_at(&trap.url).await;
        assert_eq!((response.status().as_u16(), who.as_str(), trap.heard().len()), (502, "nobody", 1), "{coding}");
        assert_eq!(response.extensions().get(), Some(&ErrorKind::ProviderAnswer), "{coding}");
    }
}

/// RFC 1952, with one block as it is.
fn gzip(plain: &[u8]) -> Vec<u8> {
    let length = u16::try_from(plain.len()).unwrap();
    let crc = !plain.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    });
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    bytes.extend_from_slice(plain);
    bytes.extend([crc.to_le_bytes(), u32::from(length).to_le_bytes()].concat());
    bytes
}

#[test]
fn h101_a_huge_value_is_not_decoded() {
    const SIZE: usize = 1 << 20;
    let site = Site::new();
    let flow = format!("{SESSION}-flow-{:010x}{:016x}", 1, 1);
    let state = format!("{:010x}{:016x}{}", 1, 1, "A".repeat(43));
    let keeping = Site::with(Builder::keep_tokens);
    let session = block_on(keeping.signed_in()).jar[SESSION].clone();
    for huge in
        [".".repeat(SIZE), "A".repeat(SIZE), "a.".repeat(SIZE / 2), format!("4.{}", "A".repeat(SIZE)), "=".repeat(SIZE)]
    {
        for cookie in [SESSION, "__Host-signin-rounds", &flow] {
            let page = format!("/api/callback?code={CODE}&state={state}");
            for path in ["/api/login", &page] {
                let mut request = navigation(Method::GET, path, "none").body(Bytes::new()).unwrap();
                request.headers_mut().insert(COOKIE, format!("{cookie}={huge}").parse().unwrap());
                let (peak, _) = measured(&site, request);
                assert!(peak < 64 << 10, "{peak} bytes for {cookie}={huge:.9}… at {path}");
            }
        }
        // Tokens are looked at beside a session that opens, and nowhere else.
        let cookies = format!("{SESSION}={session}; __Host-signin-tokens={huge}");
        let request = navigation(Method::GET, "/", "none").header(COOKIE, cookies).body(Bytes::new()).unwrap();
        let (peak, answer) = measured(&keeping, request);
        assert_eq!(text(&answer), "nobody", "{huge:.9}…");
        assert!(peak < 64 << 10, "{peak} bytes for tokens of {huge:.9}…");
    }
}

/// The most bytes that were taken while a request was answered, and the answer.
fn measured(site: &Site, request: Request<Bytes>) -> (usize, Response<Bytes>) {
    let mut answer = None;
    let counted = allocation_counter::measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(response) = std::pin::pin!(site.send(request)).poll(&mut context) {
            answer = Some(response);
        }
    });
    (usize::try_from(counted.bytes_max).unwrap(), answer.expect("it waits for nothing"))
}

/// A body that nobody may touch.
struct Untouchable;

impl axum::body::HttpBody for Untouchable {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        panic!("the body was read")
    }
}

#[tokio::test]
async fn h102_no_body_of_a_request_is_read() {
    let site = Site::new();
    let browser = site.signed_in().await;
    let mut pending = Browser::new();
    let started = site.start(&mut pending, "/").await;
    let inner =
        service_fn(|_: Request<Untouchable>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let service = site.sign_in.layer().layer(site.sign_in.require().layer(inner));
    let callback = started.callback(CODE);
    let cookies = [browser.cookie_header(), pending.cookie_header(), None];
    let mut answers = 0;
    for path in ["/", "/api/login", callback.as_str(), "/api/callback", "/api/logout"] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::OPTIONS] {
            for from in ["same-origin", "cross-site"] {
                for cookies in cookies.iter() {
                    let request = navigation(method.clone(), path, from).header(CONTENT_LENGTH, u64::MAX);
                    let request = request.header("content-type", "application/x-www-form-urlencoded");
                    let mut request = request.body(Untouchable).unwrap();
                    request.headers_mut().extend(cookies.iter().map(|it| (COOKIE, it.parse::<HeaderValue>().unwrap())));
                    let response = service.clone().oneshot(request).await.unwrap();
                    assert!(response.status().as_u16() < 500, "{method} {path}");
                    answers += 1;
                }
            }
        }
    }
    assert_eq!(answers, 120);
    assert_eq!(site.upstream.requests().len(), 1, "the callback among them was one");
}

#[tokio::test]
async fn h102_an_answer_of_the_provider_has_a_limit() {
    let whole = |size: usize| {
        let body = format!("{}{}", BOB_ANSWER, " ".repeat(size - BOB_ANSWER.len()));
        [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body.as_bytes()].concat()
    };
    for (size, expected) in [(ANSWER_LIMIT, BOB), (ANSWER_LIMIT + 1, "nobody"), (8 << 20, "nobody")] {
        let trap = Trap::answering(whole(size)).await;
        let (response, who) = sign_in_at(&trap.url).await;
        assert_eq!((who.as_str(), trap.heard().len()), (expected, 1), "{size}: {}", response.status());
        assert_eq!(response.status(), if expected == BOB { 303 } else { 502 }, "{size}");
    }
    // Nor has it all the headers in the world.
    let headers: String = (0..2000).map(|number| format!("X-{number}: {}\r\n", "x".repeat(1000))).collect();
    let trap = Trap::answering(on_the_wire("200 OK", &headers, BOB_ANSWER.as_bytes())).await;
    assert_eq!(sign_in_at(&trap.url).await.1, "nobody");
}

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
