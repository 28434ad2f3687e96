//! Floods: what anybody can pile up, or send too much of, costs no memory that stays.

use std::convert::Infallible;
use std::future::{Future as _, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, COOKIE};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{ANSWER_LIMIT, Builder, ErrorKind};

use crate::gzip::gzip;
use crate::people::{know_everybody, sign_in_as, subject, who};
use crate::random::Random;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CODE, SESSION, Site};
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
        verdict: Held(&[
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
    let zipped = gzip(Bytes::from_static(BOB_ANSWER.as_bytes())).await;
    for coding in ["gzip", "x-gzip", "GZIP", "gzip, gzip"] {
        let answer = on_the_wire("200 OK", &format!("Content-Encoding: {coding}\r\n"), &zipped);
        let trap = Trap::answering(answer).await;
        let (response, who) = sign_in_at(&trap.url).await;
        assert_eq!((response.status().as_u16(), who.as_str(), trap.heard().len()), (502, "nobody", 1), "{coding}");
        assert_eq!(response.extensions().get(), Some(&ErrorKind::ProviderAnswer), "{coding}");
    }
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
