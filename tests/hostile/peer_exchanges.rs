//! Mistakes that sign-in crates for Rust have made: what goes between app, browser and provider.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION};
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, Identity, SignIn, SignedIn, Tokens};

use crate::pairs::{holder, pair};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, CODE, KEY, NOW, SECRET, Site, set_cookies, siwbb};
use crate::support::{Browser, alice, code, navigation, text};

pub(crate) const ROWS: &[Row] = &[
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
        verdict: Held(&[
            "tests/hostile/paths.rs::h026_a_path_in_disguise_is_guarded_or_nothing",
            "tests/bad_input/login.rs::a_fifth_sign_in_evicts_the_oldest",
            "tests/hostile/floods.rs::h099_abandoned_sign_ins_stay_below_four_kilobytes",
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
        verdict: Held(&[
            "tests/frameworks/http2.rs::a_split_cookie_header_is_read_whole_by_hyper",
            "tests/frameworks/http2.rs::a_split_cookie_header_is_read_whole_by_tonic",
        ]),
    },
];

#[tokio::test]
async fn r08_a_refresh_is_the_same_person_s_and_needs_no_id_token() {
    const LIFE: u64 = 3600;
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
    let holder = holder();
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
