//! Mistakes that sign-in crates for Rust have made.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::header::{COOKIE, LOCATION};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_signin::{Builder, ErrorKind, Identity, ManualClock, MemoryStore, SignedIn, Tokens};

use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, CODE, NOW, Site, set_cookies};
use crate::strict::Strict;
use crate::support::{Browser, code, location, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "R01",
        what: "`call` went to a clone that had never been polled ready, and panicked under a limit or a buffer",
        verdict: Held(&[
            "r01_the_service_that_is_called_is_the_one_that_was_ready",
            "tests/frameworks/readiness.rs::the_inner_service_is_called_only_when_it_was_ready",
            "tests/stored/waiting.rs::a_buffer_goes_on",
        ]),
    },
    Row {
        id: "R02",
        what: "state was looked up on the server alone, whatever browser brought it",
        verdict: Held(&["tests/hostile/state.rs::h051_a_callback_counts_only_in_the_browser_that_started_it"]),
    },
    Row {
        id: "R03",
        what: "a return target passed that begins with `/` and not with `//`, and a browser still left with it",
        verdict: Held(&[
            "r03_one_slash_makes_no_path_local",
            "tests/hostile/redirects.rs::h001_backslash_return_target",
            "tests/hostile/redirects.rs::h002_whitespace_and_encoded_forms",
            "tests/hostile/redirects.rs::h015_protocol_relative_in_disguise",
        ]),
    },
    Row {
        id: "R04",
        what: "a cookie key of any length was filled up with zeros, so the empty text was a key",
        verdict: Held(&["tests/hostile/keys.rs::h117_no_key_is_empty_short_or_uniform"]),
    },
    Row {
        id: "R05",
        what: "a cookie of 24 characters made a length negative, and panicked",
        verdict: Held(&["r05_a_cookie_of_any_length_is_nobody_and_no_panic"]),
    },
    Row {
        id: "R06",
        what: "307 after signing in sent a form again, and `SameSite=Strict` lost the callback",
        verdict: Held(&["r06_every_redirect_is_303_and_every_cookie_lax"]),
    },
    Row {
        id: "R07",
        what: "where something that was needed was missing, the answer was an empty 200",
        verdict: Held(&[
            "r07_what_is_missing_is_never_a_200",
            "r07_without_a_runtime_a_callback_is_a_500",
            "r07_a_guard_whose_layer_is_missing_lets_nobody_in",
        ]),
    },
];

fn subject(request: &Request<Bytes>) -> String {
    request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned()
}

#[tokio::test]
async fn r01_the_service_that_is_called_is_the_one_that_was_ready() {
    for forward in [false, true] {
        for kept in [false, true] {
            let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
            let site = Site::with(|builder| {
                let store = MemoryStore::new().clock(Arc::clone(&clock));
                let builder = builder.keep_tokens().recheck_every(Duration::from_secs(60)).clock(Arc::clone(&clock));
                let builder = if kept { builder.session_store(store) } else { builder };
                if forward { builder.forward_callback() } else { builder }
            });
            // They share a permit or a place among their clones, and what is inside panics where it was not ready.
            let strict = || site.sign_in.require().layer(Strict::new(subject));
            let limited = site.sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(strict()));
            let buffered = site.sign_in.layer().layer(BufferLayer::new(1).layer(strict()));
            let (mut first, mut second) = (Browser::new(), Browser::new());
            for browser in [&mut first, &mut second] {
                site.complete(browser, "/").await;
            }
            clock.advance(Duration::from_secs(60));
            through_each_way("ConcurrencyLimit", &site, first, limited, forward).await;
            through_each_way("Buffer", &site, second, buffered, forward).await;
        }
    }
}

/// Every way through the layer, by a clone each time, and none of them is held up by one before.
async fn through_each_way<S, B>(name: &str, site: &Site, mut browser: Browser, service: S, forward: bool)
where
    S: Service<Request<Bytes>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
{
    let started = site.start(&mut browser, "/").await;
    let callback = || navigation(Method::GET, &started.callback(CODE), "none");
    let finished = if forward { 200 } else { 303 };
    let steps = [
        ("somebody", navigation(Method::GET, "/", "none"), 200),
        ("somebody again", navigation(Method::GET, "/", "none"), 200),
        ("login", navigation(Method::GET, "/api/login", "none"), 303),
        ("OPTIONS", navigation(Method::OPTIONS, "/api/login", "none"), 200),
        ("a wrong method", navigation(Method::PUT, "/api/login", "none"), 405),
        ("a callback of nobody's", navigation(Method::GET, "/api/callback?code=a&state=b", "none"), 400),
        ("a callback", callback(), finished),
        ("the same without its flow", callback(), 303),
        ("logout", navigation(Method::POST, "/api/logout", "same-origin"), 303),
        ("nobody", navigation(Method::GET, "/", "none"), 303),
    ];
    for (step, request, expected) in steps {
        let request = request.header(COOKIE, browser.cookie_header().unwrap_or_default());
        let answer = service.clone().oneshot(request.body(Bytes::new()).unwrap());
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{name}: {step} waits for ever")).unwrap();
        assert_eq!(answer.status(), expected, "{name}: {step}");
        browser.keep(&answer.map(|_| Bytes::new()));
    }
}

/// Tens of thousands more are in `redirects`; these are the ones that the check of a peer let through.
#[tokio::test]
async fn r03_one_slash_makes_no_path_local() {
    let site = Site::new();
    let here = url::Url::parse("https://example.com/api/callback").unwrap();
    for target in [
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\n/evil.example",
        "/\t\\evil.example",
        "/./\\evil.example",
        "/ /evil.example",
        "/\0/evil.example",
    ] {
        for target in [target.to_owned(), target.replacen('/', "%2f", 1), query_encoded(target)] {
            let mut browser = Browser::new();
            let landed = location(&site.complete(&mut browser, &target).await);
            let landed = here.join(&landed).unwrap();
            assert_eq!(landed.host_str(), Some("example.com"), "{target:?}: {landed}");
        }
    }
}

fn query_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn r05_a_cookie_of_any_length_is_nobody_and_no_panic() {
    let site = Site::with(|builder| builder.keep_tokens().hide_cookies());
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/").await;
    let flow = started.flow_cookie();
    let names = ["__Host-signin", "__Host-signin.1", "__Host-signin-tokens", "__Host-signin-rounds", flow.as_str()];
    for length in (0..=64).chain([255, 256, 700, 4096, 8192]) {
        for filling in ["A", "AQ", "-_", "=", "%00", "\u{e9}", " ", "."] {
            let value: String = filling.chars().cycle().take(length).collect();
            for name in names {
                let mut changed = browser.clone();
                changed.jar.insert(name.to_owned(), value.clone());
                let cookies = changed.cookie_header().unwrap();
                let header = http::HeaderValue::from_bytes(cookies.as_bytes()).unwrap();
                let request = |address: &str| {
                    navigation(Method::GET, address, "none").header(COOKIE, &header).body(Bytes::new()).unwrap()
                };
                let what = format!("{name} of {length} {filling:?}");
                let answer = site.send(request("/")).await;
                // The others are no part of a session in one cookie.
                let may_be_bob = !["__Host-signin", "__Host-signin-tokens"].contains(&name);
                assert_eq!(text(&answer), if may_be_bob { BOB } else { "nobody" }, "{what}");
                assert!(set_cookies(&answer).is_empty(), "{what}: {:?}", set_cookies(&answer));
                if name == flow {
                    let answer = site.send(request(&started.callback(CODE))).await;
                    assert_eq!((answer.status().as_u16(), set_cookies(&answer)), (400, vec![]), "{what}");
                }
            }
        }
    }
    assert!(site.upstream.requests().is_empty());
}

#[tokio::test]
async fn r06_every_redirect_is_303_and_every_cookie_lax() {
    let site = Site::with(Builder::keep_tokens);
    let guarded = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require());
    let mut browser = Browser::new();
    let mut answers = vec![site.get(&mut browser, "/api/login").await];
    let started = crate::site::Started::at(answers[0].headers()[LOCATION].to_str().unwrap());
    answers.push(site.visit(&mut browser, navigation(Method::GET, &started.callback(CODE), "cross-site")).await);
    answers.push(site.get(&mut browser, &started.callback(CODE)).await);
    answers.push(site.visit(&mut browser, navigation(Method::GET, "/api/login", "cross-site")).await);
    answers.push(site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await);
    answers.push(site.through(&guarded, &Browser::new(), navigation(Method::GET, "/a", "none")).await);
    let mut cookies = 0;
    for (step, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status(), 303, "step {step}: {answer:?}");
        assert!(answer.headers().contains_key(LOCATION), "step {step}");
        for cookie in set_cookies(answer) {
            let is_whole =
                ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"].iter().all(|it| cookie.contains(it));
            assert!(is_whole && cookie.starts_with("__Host-") && !cookie.contains("Domain"), "step {step}: {cookie}");
            cookies += 1;
        }
    }
    assert!(cookies >= 7, "{cookies}");
    // What was posted is never sent on, to the provider or anywhere.
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        for site_of in ["same-origin", "cross-site", "none"] {
            let request = navigation(method.clone(), "/a", site_of);
            let answer = site.through(&guarded, &Browser::new(), request).await;
            assert_eq!((answer.status().as_u16(), answer.headers().get(LOCATION)), (401, None), "{method} {site_of}");
            for address in ["/api/login", "/api/callback"] {
                let answer = site.visit(&mut Browser::new(), navigation(method.clone(), address, site_of)).await;
                assert_eq!(
                    (answer.status().as_u16(), answer.headers().get(LOCATION)),
                    (405, None),
                    "{method} {address}"
                );
            }
        }
    }
}

#[tokio::test]
async fn r07_what_is_missing_is_never_a_200() {
    let site = Site::with(Builder::keep_tokens);
    let cookie = site.signed_in().await.cookie_header().unwrap();
    let guard = || site.sign_in.require();
    let routes = Router::new()
        .route("/guard", any(async || "let in").layer(guard()))
        .route("/identity", any(async |_: Identity| "let in"))
        .route("/tokens", any(async |_: Tokens| "let in"))
        .route("/signed-in", any(async |_: SignedIn| "let in"));
    let kinds = [
        ("plain", "accept", "*/*"),
        ("a page", "accept", "text/html"),
        ("gRPC", "content-type", "application/grpc"),
        ("an upgrade", "upgrade", "websocket"),
    ];
    for path in ["/guard", "/identity", "/tokens", "/signed-in"] {
        for (kind, name, value) in kinds {
            for cookie in [None, Some(&cookie)] {
                let method = if kind == "gRPC" { Method::POST } else { Method::GET };
                let mut request = Request::builder().method(method).uri(path).header(name, value);
                if let Some(cookie) = cookie {
                    request = request.header(COOKIE, cookie);
                }
                // There is no layer around them.
                let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                let what = format!("{path} for {kind}, {}", if cookie.is_some() { "with a cookie" } else { "without" });
                if kind == "gRPC" {
                    let status = answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
                    assert!(status.is_some_and(|status| status != "0"), "{what}: {answer:?}");
                } else {
                    assert!(!answer.status().is_success(), "{what}");
                    // Whoever opens a page is sent to sign in.
                    let is_sent_on = answer.status() == 303;
                    assert!(!is_sent_on || (path, kind, cookie) == ("/guard", "a page", None), "{what}");
                }
                assert!(answer.extensions().get::<ErrorKind>().is_some(), "{what}");
                let is_redirect = answer.status() == 303;
                let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
                assert!(!body.starts_with(b"let in"), "{what}");
                assert!(kind == "gRPC" || is_redirect || !body.is_empty(), "{what}: an empty answer");
            }
        }
    }
    // Behind the layer but at a route that is no callback, and where no tokens are kept.
    let plain = Site::new();
    let browser = plain.signed_in().await;
    for (path, expected) in [("/tokens", "tokens_missing"), ("/signed-in", "callback_not_forwarded")] {
        let answer = plain.through(&routes, &browser, Request::get(path)).await;
        assert_eq!((answer.status().as_u16(), code(&answer)), (500, expected.to_owned()));
    }
}

#[tokio::test]
async fn r07_a_guard_whose_layer_is_missing_lets_nobody_in() {
    let site = Site::new();
    let other = Site::with(|builder| builder.cookie_prefix("other"));
    let session = site.signed_in().await.cookie_header().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let secret = any(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { "let in" }
    });
    let argument = Router::new().route("/", any(async |_: Identity| "let in"));
    let guards = [
        ("a guard", Router::new().route("/", secret.clone()).layer(site.sign_in.require())),
        ("a predicate", Router::new().route("/", secret.clone()).layer(site.sign_in.require_where(|_| true))),
        (
            "another one's layer",
            Router::new().route("/", secret).layer(site.sign_in.require()).layer(other.sign_in.layer()),
        ),
        ("an argument", argument),
    ];
    for (name, router) in guards {
        for cookies in ["", session.as_str(), "__Host-signin=x"] {
            let requests = [
                navigation(Method::GET, "/", "none"),
                navigation(Method::POST, "/", "same-origin"),
                Request::head("/"),
                Request::get("/").header("accept", "application/json"),
                Request::get("/").header("sec-fetch-mode", "cors"),
                Request::options("/"),
                Request::post("/").header("content-type", "application/grpc"),
            ];
            for request in requests {
                let request = request.header(COOKIE, cookies).body(Body::empty()).unwrap();
                let shown =
                    format!("{name}: {} {:?}, {cookies:.20}", request.method(), request.headers().get("accept"));
                let is_grpc = request.headers().contains_key("content-type");
                let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                assert!(!body.starts_with(b"let in"), "{shown}");
                let says_no = !parts.status.is_success()
                    || (is_grpc && parts.headers.get("grpc-status").is_some_and(|it| it != "0"));
                assert!(says_no, "{shown}: {}", parts.status);
            }
        }
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

/// A callback needs a runtime to run on; where there is none, that is said.
#[test]
fn r07_without_a_runtime_a_callback_is_a_500() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (site, started, cookies) = runtime.block_on(async {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        (site, started, browser.cookie_header().unwrap())
    });
    drop(runtime);
    let inner = service_fn(|_: Request<Bytes>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let request = Request::get(started.callback(CODE)).header(COOKIE, cookies).body(Bytes::new()).unwrap();
    let mut answer = Box::pin(site.sign_in.layer().layer(inner).oneshot(request));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Ok(answer)) = answer.as_mut().poll(&mut context) else { panic!("it waits for nothing") };
    assert_eq!((answer.status().as_u16(), answer.extensions().get()), (500, Some(&ErrorKind::Internal)));
}
