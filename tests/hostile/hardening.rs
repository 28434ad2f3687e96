//! What others hardened after the fact, each before it is needed here.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;
use tower_signin::{Builder, ErrorKind, HttpErrorKind};

use crate::double::{Fault, Step};
use crate::log::Log;
use crate::pairs::{holder, pair};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{Answer, BOB, CODE, NOW, SESSION, Site, deleted, set_cookies};
use crate::stored::stored;
use crate::support::{Browser, code, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "K01",
        what: "a store that failed was taken for one that has nothing, and nobody was told",
        verdict: Held(&[
            "k01_a_store_that_fails_is_no_empty_one_and_is_in_the_log",
            "tests/stored/away.rs::u25_whoever_needs_to_know_is_told_that_nobody_can_and_everybody_else_is_answered",
            "tests/stored/away.rs::a_callback_waits_for_the_store_to_come_back",
        ]),
    },
    Row {
        id: "K02",
        what: "a refused refresh deleted the session of the request that had won the race",
        verdict: Held(&[
            "k02_who_comes_late_with_a_spent_pair_gets_the_newest_and_sends_nothing",
            "tests/tokens/refused.rs::a_late_refusal_leaves_the_next_sign_in_alone",
            "tests/tokens/orders.rs::u07_in_every_order_nothing_is_lost_brought_back_or_left_alive",
        ]),
    },
    Row {
        id: "K03",
        what: "a sealed value of a newer format was misread, and compression was taken for granted",
        verdict: Held(&[
            "k03_a_value_of_another_format_is_left_alone",
            "tests/sessions/rotation.rs::a_session_of_another_format_is_ignored_and_left_alone",
        ]),
    },
    Row {
        id: "K04",
        what: "state and anti-forgery values were compared byte by byte, in as long as the first bytes are right",
        verdict: Held(&["k04_every_character_of_state_counts_and_none_before_the_others"]),
    },
    Row {
        id: "K05",
        what: "any error of the user-info endpoint had tokens refreshed",
        verdict: Held(&[
            "k05_no_answer_to_a_check_refreshes_anything",
            "tests/tokens/refused.rs::only_the_api_s_own_word_on_the_tokens_is_a_refusal",
            "tests/recheck/outage.rs::an_outage_signs_nobody_out_whatever_it_looks_like",
        ]),
    },
    Row {
        id: "K06",
        what: "one call that was waiting or asleep held a lock that all others needed",
        verdict: Held(&[
            "tests/stored/away.rs::a_hundred_requests_to_a_store_that_hangs_wait_five_seconds_together",
            "tests/stored/attack.rs::a_store_that_panics_shuts_nobody_else_out",
            "tests/tokens/unreachable.rs::a_try_that_is_held_up_keeps_nobody_else",
        ]),
    },
    Row {
        id: "K07",
        what: "settings were documented that did not exist, and others existed that were not documented",
        verdict: Held(&[
            "k07_every_setting_that_a_page_or_an_error_names_exists",
            "tests/error_reference.rs::the_error_reference_says_what_the_code_says",
        ]),
    },
    Row {
        id: "K08",
        what: "caches on the way of every request raced, and were not worth it",
        verdict: Held(&[
            "tests/allocations.rs::u36_a_request_of_nobody_allocates_nothing",
            "tests/allocations.rs::a_session_in_one_cookie_costs_five",
            "tests/sessions/lifetimes.rs::settings_that_change_count_for_sessions_that_are_there",
            "tests/stored/sign_in.rs::a_session_is_one_look_for_each_request_and_none_for_anybody_else",
        ]),
    },
];

const TOKENS: &str = "__Host-signin-tokens";

#[tokio::test]
async fn k01_a_store_that_fails_is_no_empty_one_and_is_in_the_log() {
    Log::start();
    let (site, store) = stored(|builder| builder);
    let browser = site.signed_in().await;
    let router = Router::new()
        .route("/open", any(crate::support::who))
        .route("/guarded", any(async || "let in").layer(site.sign_in.require()));
    let ask = async |path: &str| {
        Log::start();
        let request = Request::get(path).header("accept", "application/json");
        let answer = site.through(&router, &browser, request).await;
        (answer.status().as_u16(), code(&answer), set_cookies(&answer))
    };
    assert_eq!(ask("/guarded").await, (200, String::new(), vec![]));
    for (fault, source) in [(Fault::Unreachable, "connection refused"), (Fault::Failed, "did not do as asked")] {
        store.fail(&[Step::Load], fault);
        let unavailable = (503, "session_unavailable".to_owned(), vec![]);
        // A failure that lasts is said once a minute, not at each request.
        site.clock.advance(Duration::from_secs(60));
        assert_eq!(ask("/guarded").await, unavailable, "not signed out, and not let in");
        let lines = Log::text();
        let said = ["WARN", "session_unavailable", source];
        assert!(said.iter().all(|said| lines.contains(said)), "{lines}");
        assert_eq!(ask("/open").await, unavailable, "nobody is called nobody");
    }
    store.recover();
    assert_eq!(ask("/guarded").await.0, 200, "it was all there");
    store.clear();
    let (status, _, cookies) = ask("/guarded").await;
    assert_eq!((status, cookies), (401, vec![deleted(SESSION)]), "what is gone is over");
    assert!(!Log::text().contains("WARN"), "and no failure");
}

/// The path of the API that a request went to, and which refresh token it had.
fn sent(site: &Site) -> Vec<String> {
    let requests = site.upstream.requests();
    let one = |request: &Request<Bytes>| {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let token = body["refresh_token"].as_str().map(|token| format!(" {token}"));
        format!("{}{}", request.uri().path().trim_start_matches("/api/v0/"), token.unwrap_or_default())
    };
    requests.iter().map(one).collect()
}

fn reply(status: u16, body: impl Into<Bytes>) -> Answer {
    Ok(Response::builder().status(status).body(body.into()).unwrap())
}

#[tokio::test]
async fn k02_who_comes_late_with_a_spent_pair_gets_the_newest_and_sends_nothing() {
    let site = Site::with(Builder::keep_tokens);
    site.upstream.answer_by(|_| reply(200, pair(1, NOW + 3600).to_string()));
    let old = site.signed_in().await;
    site.clock.advance(Duration::from_secs(3570));
    // The provider takes a refresh token once; whatever comes with it again is refused, and ends a session.
    let uses = AtomicU8::new(0);
    site.upstream.answer_by(move |_| match uses.fetch_add(1, Ordering::SeqCst) {
        0 => reply(200, pair(2, NOW + 7200).to_string()),
        _ => reply(400, r#"{"errorMessage":"Invalid refresh token."}"#),
    });
    let router = holder();
    let ask = || site.through(&router, &old, navigation(Method::GET, "/", "none"));
    let gate = site.upstream.hold(|_| true);
    let racing: Vec<_> = (0..20).map(|_| tokio::spawn(ask())).collect();
    tokio::task::yield_now().await;
    gate.add_permits(100);
    let newest = format!("{BOB} at-2");
    let mut won = old.clone();
    for answer in racing {
        let answer = answer.await.unwrap();
        assert_eq!(text(&answer), newest);
        assert!(set_cookies(&answer).iter().all(|cookie| cookie.starts_with(TOKENS) && !cookie.contains("Max-Age=0")));
        won.keep(&answer);
    }
    for after in [0, 1, 29, 1800] {
        site.clock.set(UNIX_EPOCH + Duration::from_secs(NOW + 3570 + after));
        let answer = ask().await;
        assert_eq!(text(&answer), newest, "{after} s later");
        assert!(set_cookies(&answer).iter().all(|cookie| !cookie.contains("Max-Age=0")), "{after} s later");
    }
    let answer = site.through(&router, &won, navigation(Method::GET, "/", "none")).await;
    assert_eq!((text(&answer), set_cookies(&answer)), (newest.as_str(), vec![]), "the winner's session is untouched");
    assert_eq!(sent(&site), ["siwbb/token rt-1"], "a spent token is not sent again");
}

#[tokio::test]
async fn k03_a_value_of_another_format_is_left_alone() {
    let site = Site::with(Builder::keep_tokens);
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/").await;
    let flow = started.flow_cookie();
    let names: Vec<_> = browser.jar.keys().cloned().collect();
    assert_eq!(names.len(), 4, "session, tokens, rounds and flow: {names:?}");
    for name in &names {
        let sealed = URL_SAFE_NO_PAD.decode(&browser.jar[name]).unwrap();
        assert_eq!(sealed[0], 1, "the format of {name}");
        for format in (0..=255).filter(|format| *format != 1) {
            let mut changed = browser.clone();
            changed.jar.insert(name.clone(), URL_SAFE_NO_PAD.encode([&[format], &sealed[1..]].concat()));
            let answer = site.get(&mut changed.clone(), "/").await;
            let who = if [SESSION, TOKENS].contains(&name.as_str()) { "nobody" } else { BOB };
            assert_eq!((text(&answer), set_cookies(&answer)), (who, vec![]), "{name} of format {format}");
            if *name == flow {
                let answer = site.get(&mut changed, &started.callback(CODE)).await;
                let found = (answer.status().as_u16(), code(&answer), set_cookies(&answer));
                assert_eq!(found, (400, "flow_cookie_unreadable".to_owned(), vec![]), "format {format}");
            }
        }
        // What only looks compressed is not unpacked: there is no format for it.
        for magic in [&[0x1f, 0x8b, 8, 0][..], &[0x78, 0x9c], &[0x28, 0xb5, 0x2f, 0xfd], b"PK\x03\x04"] {
            let mut changed = browser.clone();
            changed.jar.insert(name.clone(), URL_SAFE_NO_PAD.encode([magic, &sealed[..]].concat()));
            let answer = site.get(&mut changed, "/").await;
            let who = if [SESSION, TOKENS].contains(&name.as_str()) { "nobody" } else { BOB };
            assert_eq!((text(&answer), set_cookies(&answer)), (who, vec![]), "{name} after {magic:?}");
        }
    }
    assert!(site.upstream.requests().is_empty());
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303, "as it was it still counts");
}

#[tokio::test]
async fn k04_every_character_of_state_counts_and_none_before_the_others() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    for at in 26..started.state.len() {
        let mut state = started.state.clone().into_bytes();
        // Two steps of the alphabet, so that the last character's spare bits are no excuse.
        state[at] = match state[at] {
            b'A' => b'Q',
            b'w' => b'g',
            _ => b'A',
        };
        let state = String::from_utf8(state).unwrap();
        let answer = site.get(&mut browser.clone(), &format!("/api/callback?code={CODE}&state={state}")).await;
        site.assert_refused(&format!("character {at}"), &answer, 400, ErrorKind::StateMismatch);
        assert!(set_cookies(&answer).is_empty(), "character {at}");
    }
    // How long it takes tells nothing; a clock can't show that here, so the comparison is looked up.
    let source = include_str!("../../src/oauth/state.rs");
    let matches = source.split("fn matches(").nth(1).unwrap().split("\n    }").next().unwrap();
    assert!(matches.contains("are_same(") && !matches.contains("=="), "{matches}");
    let source = include_str!("../../src/secret.rs");
    let are_same = source.split("fn are_same(").nth(1).unwrap().split("\n}").next().unwrap();
    assert!(are_same.contains("verify_slices_are_equal(") && !are_same.contains("=="), "{are_same}");
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303, "nothing was used up");
}

#[tokio::test]
async fn k05_no_answer_to_a_check_refreshes_anything() {
    const EVERY: u64 = 600;
    let answers: [fn() -> Answer; 9] = [
        || reply(401, r#"{"errorMessage":"Unauthorized.","unauthorized":true}"#),
        || reply(401, ""),
        || reply(403, "{}"),
        || reply(404, "{}"),
        || reply(429, "{}"),
        || reply(500, r#"{"errorMessage":"Invalid refresh token."}"#),
        || reply(503, "<html>"),
        || Err(HttpErrorKind::Timeout),
        || reply(200, r#"{"signedIn":false,"errorMessage":"try later"}"#),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let site = Site::with(|builder| builder.keep_tokens().recheck_every(Duration::from_secs(EVERY)));
        site.upstream.answer_by(move |request| match request.uri().path() {
            "/api/v0/siwbb/token" => reply(200, pair(1, NOW + 86_400).to_string()),
            _ => answer(),
        });
        let browser = site.signed_in().await;
        for round in 0..3 {
            site.clock.advance(Duration::from_secs(EVERY));
            let answer = site.through(&holder(), &browser, navigation(Method::GET, "/", "none")).await;
            assert_eq!(text(&answer), format!("{BOB} at-1"), "answer {number}, round {round}");
            assert!(set_cookies(&answer).iter().all(|cookie| !cookie.contains("Max-Age=0")), "answer {number}");
        }
        assert_eq!(sent(&site), ["auth/status"; 3], "answer {number}: asked once each time, and nothing refreshed");
    }
}

#[test]
fn k07_every_setting_that_a_page_or_an_error_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let builder = ["builder", "builder/fleet", "builder/looks", "builder/provider"]
        .map(|file| read(&format!("src/{file}.rs")))
        .concat();
    let siwbb = read("src/provider/siwbb/mod.rs");
    let of_provider = |name: &str| {
        let file = |file: &str| read(&format!("src/provider/{name}/{file}.rs"));
        [file("mod"), file("presets"), file("settings")].concat()
    };
    let (oauth2, oidc) = (of_provider("oauth2"), of_provider("oidc"));
    let redis = read("src/redis/builder.rs");
    let sign_in = [read("src/config.rs"), read("src/check.rs"), read("src/session/ending.rs")].concat();
    let methods = |source: &str| -> Vec<String> {
        let public = source.lines().filter_map(|line| line.trim_start().strip_prefix("pub "));
        let names = public.filter_map(|line| line.trim_start_matches("async ").strip_prefix("fn "));
        names.map(|rest| rest.split(['(', '<']).next().unwrap().to_owned()).collect()
    };
    let pages = [
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs/errors.md",
        "docs/fleet.md",
        "docs/metrics.md",
        "src/lib.rs",
    ];
    let pages: String = pages.map(read).join("\n");

    // Whoever is told of a wrong setting finds it by that name.
    let mut settings: Vec<String> =
        [&builder, &siwbb, &oauth2, &oidc, &redis, &sign_in].into_iter().flat_map(|it| methods(it)).collect();
    settings.extend(["client_id", "client_secret", "api_key", "provider", "addresses"].map(str::to_owned));
    let mut named = 0;
    for source in sources(&root.join("src")) {
        for call in source.split("ConfigError::new(").skip(1) {
            let Some(name) = call.trim_start().strip_prefix('"').and_then(|name| name.split('"').next()) else {
                continue;
            };
            named += 1;
            assert!(settings.iter().any(|setting| setting == name), "an error names `{name}`, which is no setting");
        }
    }
    assert!(named > 15, "{named}");

    let documented = [
        ("Builder::", &builder),
        ("Siwbb::", &siwbb),
        ("OAuth2::", &oauth2),
        ("Oidc::", &oidc),
        ("SignIn::", &sign_in),
        ("RedisStoreBuilder::", &redis),
    ];
    for (of, source) in documented {
        let known = methods(source);
        for (at, _) in pages.match_indices(of) {
            if pages[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == ':') {
                continue; // a type of another crate
            }
            let name = pages[at + of.len()..].split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
            assert!(known.iter().any(|known| known == name), "{of}{name} is documented and is not there");
        }
    }
}

/// The text of every source below this folder.
pub(crate) fn sources(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(std::fs::read_to_string(&path).unwrap());
        }
    }
    found
}
