//! What was seen in other Rust crates that do the same.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use http::header::COOKIE;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_signin::{Builder, Identity, Keys, Provider as _, SignIn, SignedIn, Siwbb, Tokens};

use crate::cookies::whole_life;
use crate::rows::Row;
use crate::rows::Verdict::{Held, HeldElsewhere};
use crate::site::{BOB, CALLBACK, CODE, KEY, SECRET, Site, set_cookies};
use crate::support::{Browser, location, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "R01",
        what: "a clone of the service that was never polled ready was called",
        verdict: HeldElsewhere(&[
            "tests/frameworks/readiness.rs::the_inner_service_is_called_only_when_it_was_ready",
            "tests/frameworks/readiness.rs::an_answer_of_the_layer_gives_the_turn_back",
            "tests/tokens/readiness.rs::goes_through_a_buffer",
            "tests/stored/waiting.rs::a_buffer_goes_on",
        ]),
    },
    Row {
        id: "R02",
        what: "state was looked up on the server and bound to no browser",
        verdict: HeldElsewhere(&["tests/hostile/state.rs::h051_a_callback_counts_only_in_the_browser_that_started_it"]),
    },
    Row {
        id: "R03",
        what: "a return path passed for local because it begins with one slash",
        verdict: Held(&["r03_one_slash_makes_no_path_local"]),
    },
    Row {
        id: "R04",
        what: "a key of any length was padded with zeros, so that nothing was a key",
        verdict: Held(&["r04_a_key_is_32_random_bytes_or_none"]),
    },
    Row {
        id: "R05",
        what: "a short cookie made a length negative, and the server panicked",
        verdict: Held(&["r05_a_cookie_of_any_length_is_nobody"]),
    },
    Row {
        id: "R06",
        what: "a redirect sent the form again, or a cookie was too strict to come back with the callback",
        verdict: Held(&["r06_every_redirect_is_303_and_every_cookie_lax"]),
    },
    Row {
        id: "R07",
        what: "a layer that was missing made the answer an empty 200",
        verdict: Held(&["r07_a_guard_whose_layer_is_missing_lets_nobody_in"]),
    },
    Row {
        id: "R08",
        what: "what a later answer said of the person was not compared, or had to hold an ID token",
        verdict: HeldElsewhere(&[
            "tests/tokens/refused.rs::another_account_s_tokens_are_never_handed_on",
            "tests/tokens/refresh.rs::a_refresh_may_leave_the_refresh_token_as_it_is",
        ]),
    },
    Row {
        id: "R09",
        what: "secrets of the settings lay in every request's extensions, and the verifier in the log",
        verdict: Held(&["r09_a_request_carries_who_it_is_and_nothing_else", "tests/canary.rs::no_secret_is_ever_seen"]),
    },
    Row {
        id: "R10",
        what: "there was room for one sign-in at a time, so two tabs broke each other",
        verdict: HeldElsewhere(&[
            "tests/flow.rs::two_tabs_both_finish_at_their_own_targets",
            "tests/users/tabs.rs::u01_a_second_tab_does_not_break_the_first",
            "tests/users/tabs.rs::u16_a_browser_that_asks_twice_is_signed_in_once",
        ]),
    },
    Row {
        id: "R11",
        what: "an encoded path passed a guard, pending cookies had no bound, and caches kept Set-Cookie",
        verdict: HeldElsewhere(&[
            "tests/hostile/paths.rs::h026_a_path_in_disguise_is_guarded_or_nothing",
            "tests/hostile/denial.rs::h099_abandoned_sign_ins_stay_below_four_kilobytes",
            "tests/attack/caches.rs::a_deletion_never_rides_on_a_cacheable_answer",
            "tests/sessions/caches.rs::a_renewal_waits_for_a_response_that_is_not_meant_for_shared_caches",
        ]),
    },
    Row {
        id: "R12",
        what: "each sign-in fetched the provider's settings, without a time limit, and followed redirects",
        verdict: Held(&[
            "r12_a_sign_in_is_one_request_and_a_page_none",
            "tests/siwbb_vectors/faults.rs::v24_an_api_that_takes_its_time",
            "tests/hostile/leaks.rs::h133_no_redirect_of_the_provider_is_followed",
        ]),
    },
    Row {
        id: "R13",
        what: "HTTP/2 splits the Cookie header, and only its first part was read",
        verdict: HeldElsewhere(&[
            "tests/frameworks/http2.rs::a_split_cookie_header_is_read_whole_by_hyper",
            "tests/frameworks/http2.rs::a_split_cookie_header_is_read_whole_by_tonic",
        ]),
    },
];

const SESSION: &str = "__Host-signin";

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

#[test]
fn r04_a_key_is_32_random_bytes_or_none() {
    let random: Vec<u8> = (0..96_u8).map(|number| number.wrapping_mul(37) ^ 0x5a).collect();
    for length in 0..random.len() {
        for engine in [STANDARD, URL_SAFE, URL_SAFE_NO_PAD] {
            let parsed = Keys::parse(&engine.encode(&random[..length]));
            assert_eq!(parsed.is_ok(), length == 32, "{length} bytes");
            assert!(Keys::parse(&engine.encode(vec![0; length])).is_err(), "{length} zeros");
        }
        assert!(Keys::parse(&String::from_utf8_lossy(&random[..length])).is_err(), "{length} bytes as they are");
        assert!(Keys::parse(&"a".repeat(length)).is_err(), "a {length} times");
    }
    // One bad key of a ring is not passed over for the good ones.
    let good = URL_SAFE_NO_PAD.encode(&random[..32]);
    for ring in [
        format!("{good},"),
        format!(",{good}"),
        format!("{good},{}", &good[1..]),
        format!("{good};{good}"),
        format!("{good} {good}"),
    ] {
        assert!(Keys::parse(&ring).is_err(), "{ring}");
    }
    assert!(Keys::parse(&good).is_ok());
}

#[tokio::test]
async fn r05_a_cookie_of_any_length_is_nobody() {
    let site = Site::with(Builder::keep_tokens);
    let jar = site.signed_in().await.jar;
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let flow = started.flow_cookie();
    let session = &jar[SESSION];
    let tokens = &jar["__Host-signin-tokens"];
    for length in 0..=100 {
        for filler in ["A", "=", ".", "\u{ff}"] {
            let value = filler.repeat(length);
            for name in [SESSION, "__Host-signin.1", "__Host-signin-tokens", "__Host-signin-rounds", &flow] {
                let cookies = HeaderValue::from_bytes(format!("{name}={value}").as_bytes()).unwrap();
                for path in ["/", "/api/login", &started.callback(CODE)] {
                    let request = navigation(Method::GET, path, "none").header(COOKIE, cookies.clone());
                    let response = site.visit(&mut Browser::new(), request).await;
                    assert!(response.status().as_u16() < 500, "{length} of {filler:?} in {name} at {path}");
                    assert!(path != "/" || text(&response) == "nobody", "{length} of {filler:?} in {name}");
                }
            }
        }
        // A good beginning is no better.
        let cut = format!("{SESSION}={}; __Host-signin-tokens={tokens}", &session[..length]);
        let request = navigation(Method::GET, "/", "none").header(COOKIE, cut);
        assert_eq!(text(&site.visit(&mut Browser::new(), request).await), "nobody", "the first {length}");
    }
    assert!(site.upstream.requests().is_empty(), "the provider was asked");
}

#[tokio::test]
async fn r06_every_redirect_is_303_and_every_cookie_lax() {
    let site = Site::new();
    let guarded = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require());
    let mut browser = Browser::new();
    let mut redirects = Vec::new();
    redirects.push(site.through(&guarded, &browser, navigation(Method::GET, "/form", "same-origin")).await);
    redirects.push(site.get(&mut browser, "/api/login?return_to=/form").await);
    let started = crate::site::Started::at(&location(&redirects[1]));
    redirects.push(site.get(&mut browser, &started.callback(CODE)).await);
    redirects.push(site.get(&mut browser, &started.callback(CODE)).await);
    redirects.push(site.visit(&mut browser, navigation(Method::GET, "/api/login?return_to=/x", "cross-site")).await);
    redirects
        .push(site.visit(&mut browser, navigation(Method::POST, "/api/logout?return_to=/bye", "same-origin")).await);
    let statuses: Vec<_> = redirects.iter().map(|response| response.status().as_u16()).collect();
    assert_eq!(statuses, [303; 6], "what follows is a GET without a body");
    // A form is not sent on at all.
    let form = site.through(&guarded, &Browser::new(), navigation(Method::POST, "/form", "same-origin")).await;
    assert_eq!(form.status(), 401);
    for cookie in whole_life(CALLBACK).await {
        assert!(cookie.contains("; SameSite=Lax;"), "{cookie}");
    }
    // As a browser comes back from the provider: a navigation of another site, which carries what is Lax.
    let mut browser = Browser::new();
    let started = site.start_from(&mut browser, "none", "/form").await;
    let back = site.visit(&mut browser, navigation(Method::GET, &started.callback(CODE), "cross-site")).await;
    assert_eq!((back.status().as_u16(), location(&back).as_str()), (303, "/form"));
    assert!(set_cookies(&back).iter().any(|cookie| cookie.starts_with("__Host-signin=")));
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

#[tokio::test]
async fn r09_a_request_carries_who_it_is_and_nothing_else() {
    for keep_tokens in [false, true] {
        let configure = |builder: Builder| if keep_tokens { builder.keep_tokens() } else { builder };
        let site = Site::with(|builder| configure(builder.forward_callback()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let router = tower::service_fn(move |request: Request<Body>| {
            let extensions = request.extensions();
            assert!(extensions.get::<Keys>().is_none() && extensions.get::<Siwbb>().is_none());
            assert!(extensions.get::<SignIn>().is_none() && extensions.get::<String>().is_none());
            let there = (
                extensions.get::<Identity>().is_some(),
                extensions.get::<SignedIn>().is_some(),
                extensions.get::<Tokens>().is_some(),
            );
            noted.lock().unwrap().push((extensions.len(), there));
            let shown = format!("{request:?} {extensions:?}");
            assert!(!shown.contains(SECRET) && !shown.contains(KEY) && !shown.contains(CODE), "{shown}");
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty())))
        });
        let router = Router::new().fallback_service(router);
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        site.through(&router, &browser, Request::get("/nobody")).await;
        let response =
            site.through(&router, &browser, navigation(Method::GET, &started.callback(CODE), "cross-site")).await;
        browser.keep(&response);
        site.through(&router, &browser, Request::get("/somebody")).await;
        let seen = seen.lock().unwrap();
        // The handler of a callback has the tokens either way.
        let there: Vec<_> = seen.iter().map(|(_, there)| *there).collect();
        assert_eq!(there, [(false, false, false), (true, true, true), (true, false, keep_tokens)]);
        // What axum and the guards put there aside.
        let base = seen[0].0;
        assert!(
            seen.iter().all(|(count, (identity, signed_in, tokens))| {
                *count <= base + usize::from(*identity) + usize::from(*signed_in) + usize::from(*tokens)
            }),
            "{seen:?}"
        );
        assert!(base <= 2, "{seen:?}");
    }
    assert_eq!(Siwbb::new("a", "b", "c").issuer(), "https://bitbadges.io");
}

#[tokio::test]
async fn r12_a_sign_in_is_one_request_and_a_page_none() {
    let site = Site::new();
    for round in 1..=3 {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        assert_eq!(site.upstream.requests().len(), round - 1, "login asks nothing");
        site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(site.upstream.requests().len(), round, "the callback asks once");
        assert_eq!(text(&site.get(&mut browser, "/").await), BOB);
        site.get(&mut browser, &started.callback(CODE)).await;
        site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
        assert_eq!(site.upstream.requests().len(), round, "and nothing else does");
    }
    for request in site.upstream.requests() {
        assert_eq!(
            (request.method(), request.uri().to_string().as_str()),
            (&Method::POST, "https://api.bitbadges.io/api/v0/siwbb/token")
        );
    }
}
