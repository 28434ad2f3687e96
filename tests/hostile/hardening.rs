//! What another module's diary of hardening tells to look at.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_signin::ErrorKind;

use crate::rows::Row;
use crate::rows::Verdict::{Held, HeldElsewhere};
use crate::site::{BOB, CODE, Site, set_cookies};
use crate::support::{Browser, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "K01",
        what: "nothing found and nobody to ask were the same answer of a cache",
        verdict: HeldElsewhere(&[
            "tests/stored/away.rs::u25_whoever_needs_to_know_is_told_that_nobody_can_and_everybody_else_is_answered",
            "tests/stored/away.rs::a_callback_waits_for_the_store_to_come_back",
            "tests/stored/sign_in.rs::a_store_that_does_not_take_the_session_makes_none_and_the_next_try_works",
        ]),
    },
    Row {
        id: "K02",
        what: "a refused refresh deleted the session of the request that had won the race",
        verdict: HeldElsewhere(&[
            "tests/tokens/refused.rs::a_late_refusal_leaves_the_next_sign_in_alone",
            "tests/tokens/refresh.rs::u06_a_thousand_requests_at_once_refresh_once",
            "tests/tokens/orders.rs::u07_in_every_order_nothing_is_lost_brought_back_or_left_alive",
        ]),
    },
    Row {
        id: "K03",
        what: "what a newer version had sealed was misread by an older one",
        verdict: Held(&[
            "k03_a_newer_format_is_left_alone_wherever_it_comes",
            "tests/sessions/rotation.rs::a_session_of_another_format_is_ignored_and_left_alone",
        ]),
    },
    Row {
        id: "K04",
        what: "the time of a comparison told how much of a secret was right",
        verdict: Held(&["k04_state_is_compared_whole_and_in_constant_time"]),
    },
    Row {
        id: "K05",
        what: "any failure of the provider counted as a token that is over",
        verdict: HeldElsewhere(&[
            "tests/tokens/refused.rs::only_the_api_s_own_word_on_the_tokens_is_a_refusal",
            "tests/tokens/unreachable.rs::u25_an_outage_signs_nobody_out",
            "tests/recheck/outage.rs::an_outage_signs_nobody_out_whatever_it_looks_like",
        ]),
    },
    Row {
        id: "K06",
        what: "a lock was held while a store was waited for",
        verdict: HeldElsewhere(&[
            "tests/stored/away.rs::a_hundred_requests_to_a_store_that_hangs_wait_five_seconds_together",
            "tests/stored/attack.rs::a_store_that_panics_shuts_nobody_else_out",
            "tests/tokens/unreachable.rs::a_try_that_is_held_up_keeps_nobody_else",
        ]),
    },
    Row {
        id: "K07",
        what: "settings were documented that there were none of, and others not at all",
        verdict: Held(&[
            "k07_every_setting_that_is_spoken_of_is_there",
            "tests/error_reference.rs::the_error_reference_says_what_the_code_says",
        ]),
    },
    Row {
        id: "K08",
        what: "caches at each request had races, and went again",
        verdict: HeldElsewhere(&[
            "tests/allocations.rs::u36_a_request_of_nobody_allocates_nothing",
            "tests/allocations.rs::a_session_in_one_cookie_costs_five",
            "tests/stored/sign_in.rs::a_session_is_one_look_for_each_request_and_none_for_anybody_else",
        ]),
    },
];

#[tokio::test]
async fn k03_a_newer_format_is_left_alone_wherever_it_comes() {
    let site = Site::with(tower_signin::Builder::keep_tokens);
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/").await;
    let callback = started.callback(CODE);
    assert_eq!(browser.jar.len(), 4, "session, tokens, rounds and a flow");
    for version in [0, 2, 3, 0x7f, 0x80, 0xff] {
        for (name, value) in &browser.jar {
            let mut bytes = URL_SAFE_NO_PAD.decode(value).unwrap();
            bytes[0] = version;
            let mut newer = browser.clone();
            newer.jar.insert(name.clone(), URL_SAFE_NO_PAD.encode(bytes));
            let page = site.get(&mut newer.clone(), "/").await;
            let is_somebody = !["__Host-signin", "__Host-signin-tokens"].contains(&name.as_str());
            assert_eq!(text(&page), if is_somebody { BOB } else { "nobody" }, "{version} of {name}");
            assert_eq!(set_cookies(&page), [""; 0], "{version} of {name}: it is somebody else's to delete");
            if name.contains("-flow-") {
                let response = site.get(&mut newer, &callback).await;
                assert_eq!(response.extensions().get(), Some(&ErrorKind::FlowUnreadable), "{version}");
                assert_eq!(set_cookies(&response), [""; 0], "{version}");
            }
        }
    }
    assert!(site.upstream.requests().is_empty());
    assert_eq!(site.get(&mut browser, &callback).await.status(), 303, "it was there all along");
}

/// That the time tells nothing can't be measured well on a machine that does other things, so the code is looked at: the
/// one comparison of a secret is aws-lc's.
#[tokio::test]
async fn k04_state_is_compared_whole_and_in_constant_time() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    for position in 26..started.state.len() {
        let mut state = started.state.clone().into_bytes();
        state[position] = if state[position] == b'A' { b'Q' } else { b'A' };
        let state = String::from_utf8(state).unwrap();
        let response = site.get(&mut browser, &format!("/api/callback?code={CODE}&state={state}")).await;
        site.assert_refused(&format!("character {position}"), &response, 400, ErrorKind::StateMismatch);
    }
    let source = include_str!("../../src/oauth/state.rs");
    let (_, matches) = source.split_once("fn matches(").expect("where state is compared");
    let body = matches.split("\n    }").next().unwrap();
    assert!(body.contains("verify_slices_are_equal(") && !body.contains("=="), "{body}");
}

#[test]
fn k07_every_setting_that_is_spoken_of_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let methods = |path: &str| -> BTreeSet<String> {
        let source = read(&root.join(path));
        let names = source.split("pub fn ").skip(1).map(|rest| rest.split(['(', '<']).next().unwrap().to_owned());
        names.collect()
    };
    let settings: BTreeSet<_> = methods("src/builder.rs").union(&methods("src/builder/build.rs")).cloned().collect();
    assert!(settings.contains("keep_fragment") && settings.contains("build"), "{settings:?}");
    let mut texts = Vec::new();
    let mut folders = vec![root.join("src"), root.join("docs"), root.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { texts.push(path) }
        }
    }
    texts.extend(["README.md", "SECURITY.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let mut spoken_of = BTreeSet::new();
    for path in texts {
        // `[`Builder::x`]`, as prose has it.
        for rest in read(&path).split("`Builder::").skip(1) {
            let name: String =
                rest.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
            assert!(settings.contains(&name), "{} speaks of Builder::{name}", path.display());
            spoken_of.insert(name);
        }
    }
    assert!(spoken_of.len() > 8, "{spoken_of:?}");
    // That each setting is documented, `missing_docs` sees to; that it says what is so by default is for a reader.
    let lints = read(&root.join("Cargo.toml"));
    assert!(lints.contains("missing_docs = \"deny\""));
}
