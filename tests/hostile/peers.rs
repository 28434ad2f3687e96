//! Mistakes that sign-in crates for Rust have made.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Incoming;
use axum::routing::any;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_signin::{Builder, ErrorKind, Identity, ManualClock, MemoryStore, SignIn, SignedIn, Tokens};

use crate::rows::Row;
use crate::rows::Verdict::{Held, HeldElsewhere};
use crate::site::{BOB, BOB_ANSWER, CODE, KEY, NOW, SECRET, Site, set_cookies, siwbb};
use crate::strict::Strict;
use crate::support::{Browser, alice, code, location, navigation, text};

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
        verdict: HeldElsewhere(&["tests/hostile/state.rs::h051_a_callback_counts_only_in_the_browser_that_started_it"]),
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
        verdict: HeldElsewhere(&["tests/hostile/tokens.rs::h117_no_key_is_empty_short_or_uniform"]),
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
    Row {
        id: "R08",
        what: "a refresh took another person's tokens, and failed where no ID token came with it",
        verdict: Held(&[
            "r08_a_refresh_is_the_same_person_s_and_needs_no_id_token",
            "tests/tokens/refused.rs::another_account_s_tokens_are_never_handed_on",
        ]),
    },
    Row {
        id: "R09",
        what: "client secret and cookie key lay in the extensions of each request, the code verifier in the log",
        verdict: Held(&[
            "r09_extensions_hold_what_is_meant_for_the_app_and_nothing_else",
            "tests/canary.rs::no_secret_is_ever_seen",
        ]),
    },
    Row {
        id: "R10",
        what: "one pending sign-in for a session, so that two tabs broke each other",
        verdict: Held(&[
            "r10_sign_ins_side_by_side_all_end_at_their_own_targets",
            "tests/users/tabs.rs::u01_a_second_tab_does_not_break_the_first",
            "tests/users/tabs.rs::u16_a_browser_that_asks_twice_is_signed_in_once",
        ]),
    },
    Row {
        id: "R11",
        what: "an encoded path went past a guard, pending cookies had no bound, and a cache could keep a Set-Cookie",
        verdict: HeldElsewhere(&[
            "tests/hostile/paths.rs::h026_a_path_in_disguise_is_guarded_or_nothing",
            "tests/bad_input/login.rs::a_fifth_sign_in_evicts_the_oldest",
            "tests/hostile/denial.rs::h099_abandoned_sign_ins_stay_below_four_kilobytes",
            "tests/attack/caches.rs::a_deletion_never_rides_on_a_cacheable_answer",
        ]),
    },
    Row {
        id: "R12",
        what: "each sign-in fetched metadata and keys, without a time limit, and followed redirects",
        verdict: Held(&[
            "r12_a_sign_in_is_one_request_and_login_none",
            "r12_a_provider_that_never_answers_is_given_up",
            "tests/siwbb_vectors/faults.rs::v24_an_api_that_takes_its_time",
            "tests/hostile/leaks.rs::h133_no_redirect_of_the_provider_is_followed",
        ]),
    },
    Row {
        id: "R13",
        what: "HTTP/2 splits the cookies into several headers, and only the first was read",
        verdict: HeldElsewhere(&[
            "tests/frameworks/http2.rs::a_split_cookie_header_is_read_whole_by_hyper",
            "tests/frameworks/http2.rs::a_split_cookie_header_is_read_whole_by_tonic",
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

#[tokio::test]
async fn r08_a_refresh_is_the_same_person_s_and_needs_no_id_token() {
    const LIFE: u64 = 3600;
    let pair = |name: &str, ends_at: u64| {
        let mut pair: Value = serde_json::from_str(BOB_ANSWER).unwrap();
        pair["access_token"] = format!("at-{name}").into();
        pair["refresh_token"] = format!("rt-{name}").into();
        pair["access_token_expires_at"] = (ends_at * 1000).into();
        pair
    };
    let alices = {
        let mut pair = pair("alice", NOW + 9 * LIFE);
        pair["address"] = alice().into();
        pair["bitbadgesAddress"] = alice().into();
        pair
    };
    let nobodys = {
        let mut pair = pair("nobody", NOW + 9 * LIFE);
        pair.as_object_mut().unwrap().remove("bitbadgesAddress");
        pair
    };
    let mut shouted = pair("shouted", NOW + 9 * LIFE);
    shouted["bitbadgesAddress"] = BOB.to_uppercase().into();
    let holder = Router::new().fallback(any(async |request: Incoming| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
        format!("{who} {}", request.extensions().get::<Tokens>().map_or("none", Tokens::access_token))
    }));
    for (name, answer, expected) in [
        ("bob's, without an ID token", pair("new", NOW + 9 * LIFE), format!("{BOB} at-new")),
        ("alice's", alices, format!("{BOB} at-first")),
        ("nobody's", nobodys, format!("{BOB} at-first")),
        ("of an address that is none", shouted, format!("{BOB} at-first")),
    ] {
        let site = Site::with(|builder| builder.keep_tokens().session_lifetime(Duration::from_secs(10 * LIFE)));
        site.upstream.answer(200, pair("first", NOW + LIFE).to_string());
        let mut browser = site.signed_in().await;
        site.clock.advance(Duration::from_secs(LIFE - 30));
        site.upstream.answer(200, answer.to_string());
        let seen = site.through(&holder, &browser, Request::get("/")).await;
        assert_eq!(text(&seen), expected, "{name}");
        assert_eq!(set_cookies(&seen).is_empty(), expected.ends_with("first"), "{name}");
        browser.keep(&seen);
        // Once the first pair has ended there is no other to fall back to.
        site.clock.advance(Duration::from_secs(60));
        let seen = site.through(&holder, &browser, Request::get("/")).await;
        let is_taken = expected.ends_with("new");
        assert_eq!(text(&seen) == expected, is_taken, "{name}");
        assert!(!text(&seen).contains("at-alice") && !text(&seen).contains("at-nobody"), "{name}: {}", text(&seen));
    }
}

#[tokio::test]
async fn r09_extensions_hold_what_is_meant_for_the_app_and_nothing_else() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    let watch = service_fn(move |request: Request<Bytes>| {
        let extensions = request.extensions();
        let known = usize::from(extensions.get::<Identity>().is_some())
            + usize::from(extensions.get::<Tokens>().is_some())
            + usize::from(extensions.get::<SignedIn>().is_some());
        let shown = format!("{request:?} {extensions:?} {:?}", extensions.get::<SignIn>().is_some());
        keep.lock().unwrap().push((extensions.len(), known, shown));
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let site = Site::with(|builder| builder.keep_tokens().forward_callback());
    let service = site.sign_in.layer().layer(watch);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let verifiers: Vec<String> = {
        let callback =
            navigation(Method::GET, &started.callback(CODE), "none").header(COOKIE, browser.cookie_header().unwrap());
        let answer = service.clone().oneshot(callback.body(Bytes::new()).unwrap()).await.unwrap();
        browser.keep(&answer.map(|_| Bytes::new()));
        let bodies = site.upstream.requests();
        bodies
            .iter()
            .map(|request| serde_json::from_slice::<Value>(request.body()).unwrap()["code_verifier"].to_string())
            .collect()
    };
    assert_eq!(verifiers.len(), 1);
    for (cookies, path) in [(browser.cookie_header(), "/"), (None, "/"), (Some("__Host-signin=x".to_owned()), "/")] {
        let request = navigation(Method::GET, path, "none");
        let request = cookies.into_iter().fold(request, |request, cookies| request.header(COOKIE, cookies));
        let answer = service.clone().oneshot(request.body(Bytes::new()).unwrap()).await.unwrap();
        let extensions = format!("{:?}", answer.extensions());
        assert!(answer.extensions().is_empty(), "{extensions}");
    }
    let seen = seen.lock().unwrap();
    // A marker of ours is all that may be there besides: that a cookie came and nobody is signed in by it.
    let counts: Vec<_> = seen.iter().map(|(all, known, _)| (*all, *known)).collect();
    assert_eq!(counts, [(3, 3), (2, 2), (0, 0), (1, 0)], "at the callback, somebody, nobody, a cookie of nobody's");
    for (_, _, shown) in seen.iter() {
        for secret in [SECRET, KEY, CODE, &started.state, verifiers[0].trim_matches('"'), "siwbb_at_7d2e9f4a"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
        assert!(shown.ends_with("false"), "no SignIn is in the extensions");
    }
}

#[tokio::test]
async fn r10_sign_ins_side_by_side_all_end_at_their_own_targets() {
    let site = Site::new();
    let mut browser = Browser::new();
    let mut tabs = Vec::new();
    for number in 0..4 {
        let target = format!("/tab/{number}?q={number}");
        tabs.push((site.start(&mut browser, &target).await, target));
    }
    assert_eq!(browser.jar.len(), 4, "{:?}", browser.jar.keys());
    // All four come back at once, with the cookies of that moment.
    let nothing = Router::new();
    let answers: Vec<_> = tabs
        .iter()
        .map(|(started, _)| {
            let request = navigation(Method::GET, &started.callback(CODE), "cross-site");
            tokio::spawn(site.through(&nothing, &browser, request))
        })
        .collect();
    for (answer, (_, target)) in answers.into_iter().zip(&tabs) {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()[LOCATION].to_str().unwrap()), (303, target.as_str()));
        browser.keep(&answer);
        assert_eq!(text(&site.get(&mut browser, "/").await), BOB);
    }
    assert!(browser.jar.keys().all(|name| !name.contains("flow")), "{:?}", browser.jar.keys());
    assert_eq!(site.upstream.requests().len(), 4, "each code is exchanged once");
}

#[tokio::test]
async fn r12_a_sign_in_is_one_request_and_login_none() {
    let site = Site::with(Builder::keep_tokens);
    for _ in 0..5 {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        assert!(site.upstream.requests().is_empty(), "login asks nobody");
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
        site.get(&mut browser, "/").await;
        let sent = site.upstream.requests();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(sent[0].uri(), "https://api.bitbadges.io/api/v0/siwbb/token");
        assert_eq!(
            (sent[0].method(), &sent[0].headers()[CONTENT_TYPE]),
            (&Method::POST, &"application/json".parse().unwrap())
        );
        site.upstream.forget();
    }
}

#[tokio::test(start_paused = true)]
async fn r12_a_provider_that_never_answers_is_given_up() {
    let site = Site::of(siwbb().require_claim("member"), crate::site::CALLBACK, |builder| builder);
    let _never = site.upstream.hold(|_| true);
    let start = tokio::time::Instant::now();
    let mut browser = Browser::new();
    let answer = site.complete(&mut browser, "/").await;
    assert_eq!((answer.status().as_u16(), code(&answer)), (504, "provider_timeout".to_owned()));
    assert_eq!(start.elapsed().as_secs(), 20);
    assert_eq!(text(&site.get(&mut browser, "/").await), "nobody");
    assert_eq!(site.upstream.requests().len(), 1, "and not asked again");
}
