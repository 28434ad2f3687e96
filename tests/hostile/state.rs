//! State, the browser it is bound to, and the mixing up of browsers, people and providers.

use std::collections::HashSet;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use tower_signin::ErrorKind::{CallbackMalformed, CookiesRefused, FlowNotFound, IssuerMismatch, StateMismatch};
use tower_signin::Keys;
use tower_signin::siwbb::scope;

use crate::anybody::Anybody;
use crate::people::{code, know_everybody, subject, who};
use crate::rows::Row;
use crate::rows::Verdict::{CannotApply, Held};
use crate::site::{CODE, ID, Site, Started, parameter, set_cookies, siwbb};
use crate::support::{Browser, location, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H049",
        what: "some providers were used without any state",
        verdict: Held(&["h049_every_sign_in_has_a_state"]),
    },
    Row {
        id: "H050",
        what: "a link started a sign-in, or tied an account of the attacker's to the victim's",
        verdict: Held(&[
            "h050_a_link_signs_nobody_in_as_somebody_else",
            "tests/bad_input/login.rs::only_a_top_level_navigation_starts_a_sign_in",
            "tests/bad_input/login.rs::another_site_starts_nothing_for_who_is_signed_in",
        ]),
    },
    Row {
        id: "H051",
        what: "state was kept on the server, not bound to the browser",
        verdict: Held(&[
            "h051_a_callback_counts_only_in_the_browser_that_started_it",
            "tests/attack/flows.rs::flows_can_not_be_mixed_or_moved",
        ]),
    },
    Row {
        id: "H052",
        what: "a signed state with nothing random in it and bound to nothing",
        verdict: Held(&["h052_one_browsers_flow_cookie_does_not_fit_another_state"]),
    },
    Row {
        id: "H053",
        what: "one kind of provider skipped the check of state",
        verdict: Held(&["h053_a_provider_of_another_kind_gets_the_same_checks"]),
    },
    Row {
        id: "H054",
        what: "a sign-in that began at one provider could end at another",
        verdict: Held(&["h054_a_flow_ends_at_the_provider_it_began_with"]),
    },
    Row {
        id: "H055",
        what: "state or verifier could be guessed",
        verdict: Held(&["h055_nothing_that_must_not_be_guessed_repeats"]),
    },
    Row {
        id: "H056",
        what: "the code was redeemed before state was compared",
        verdict: Held(&["h056_no_code_is_sent_before_state_has_passed"]),
    },
    Row {
        id: "H057",
        what: "a callback with an error was shown without a check of state",
        verdict: Held(&["h057_an_error_needs_a_state_too"]),
    },
    Row {
        id: "H058",
        what: "parameters of a link chose scopes and other things sent to the provider",
        verdict: Held(&["h058_a_link_chooses_no_scope_and_no_other_parameter"]),
    },
    Row {
        id: "H059",
        what: "of two parameters of one name, the last one won",
        verdict: Held(&[
            "h059_a_repeated_parameter_is_refused",
            "tests/bad_input/callback.rs::every_wrong_query_is_refused_before_the_provider_hears_of_it",
        ]),
    },
    Row {
        id: "H060",
        what: "a configured parameter doubled one that was set anyway",
        verdict: Held(&["h060_the_authorization_url_has_every_parameter_once"]),
    },
    Row {
        id: "H061",
        what: "a proxy of callbacks for preview deployments took one it never issued a state for",
        verdict: CannotApply(
            "callbacks come to the one configured redirect URI; nothing passes them on to other deployments",
        ),
    },
    Row {
        id: "H062",
        what: "the provider did not bind a code to its client",
        verdict: Held(&[
            "h062_pkce_is_always_used",
            "tests/attack/flows.rs::a_code_of_another_persons_sign_in_is_worth_nothing",
        ]),
    },
    Row {
        id: "H063",
        what: "a shared object of a provider mixed two people up",
        verdict: Held(&["h063_sign_ins_at_the_same_time_never_mix"]),
    },
    Row { id: "H064", what: "PKCE could be talked down to plain", verdict: Held(&["h064_pkce_is_never_plain"]) },
];

#[tokio::test]
async fn h049_every_sign_in_has_a_state() {
    let site = Site::new();
    let started = site.start(&mut Browser::new(), "/").await;
    assert_eq!(started.state.len(), 69);
    let stateless = site.get(&mut Browser::new(), &format!("/api/callback?code={CODE}")).await;
    site.assert_refused("no state", &stateless, 400, CallbackMalformed);
}

/// What another site may and may not start is in `login`; whatever it starts, it can't choose who is signed in.
#[tokio::test]
async fn h050_a_link_signs_nobody_in_as_somebody_else() {
    let site = Site::new();
    let attackers = site.start(&mut Browser::new(), "/").await;
    let mut victim = Browser::new();
    let victims = site.start_from(&mut victim, "cross-site", "/").await;
    let before = victim.jar.clone();
    let mixed = format!("{}{}", &victims.state[..26], &attackers.state[26..]);
    let response = site.get(&mut victim, &format!("/api/callback?code={CODE}&state={mixed}")).await;
    site.assert_refused("the attacker's secret under the victim's name", &response, 400, StateMismatch);
    assert_eq!((set_cookies(&response), &victim.jar), (Vec::new(), &before));
}

#[tokio::test]
async fn h051_a_callback_counts_only_in_the_browser_that_started_it() {
    let site = Site::new();
    let attackers = site.start(&mut Browser::new(), "/").await;
    let mut signed_out = Browser::new();
    let mut with_a_flow = Browser::new();
    let own = site.start(&mut with_a_flow, "/own").await;
    let cases =
        [("no cookies", &mut signed_out, CookiesRefused), ("a flow of its own", &mut with_a_flow, FlowNotFound)];
    for (name, browser, kind) in cases {
        let before = browser.jar.clone();
        let response = site.get(browser, &attackers.callback(CODE)).await;
        site.assert_refused(name, &response, 400, kind);
        assert_eq!((set_cookies(&response), &browser.jar), (Vec::new(), &before), "{name}");
    }
    assert_eq!(location(&site.get(&mut with_a_flow, &own.callback(CODE)).await), "/own");
}

#[tokio::test]
async fn h052_one_browsers_flow_cookie_does_not_fit_another_state() {
    let site = Site::new();
    let mut browser = Browser::new();
    let one = site.start(&mut browser, "/").await;
    let other = site.start(&mut Browser::new(), "/").await;
    let sealed = browser.jar[&one.flow_cookie()].clone();
    browser.jar.insert(other.flow_cookie(), sealed);
    let response = site.get(&mut browser, &other.callback(CODE)).await;
    site.assert_refused("renamed", &response, 400, tower_signin::ErrorKind::FlowUnreadable);
    assert_eq!(set_cookies(&response), [""; 0]);
}

#[tokio::test]
async fn h053_a_provider_of_another_kind_gets_the_same_checks() {
    let provider = Anybody::called("somebody", serde_json::Value::Null);
    let site = Site::of(provider.clone(), crate::site::CALLBACK, |builder| builder);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    for (query, kind) in [
        (format!("code={CODE}"), CallbackMalformed),
        (format!("code={CODE}&state={}&state={}", started.state, started.state), CallbackMalformed),
        (format!("code={CODE}&state={}{}", &started.state[..26], "A".repeat(43)), StateMismatch),
    ] {
        let response = site.get(&mut browser, &format!("/api/callback?{query}")).await;
        site.assert_refused(&query, &response, 400, kind);
        assert_eq!(provider.redeemed(), 0, "{query}");
    }
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
    assert_eq!(provider.redeemed(), 1);
}

#[tokio::test]
async fn h054_a_flow_ends_at_the_provider_it_began_with() {
    let keys = Keys::generate().unwrap();
    let one = Site::with(|builder| builder.keys(keys.clone()));
    let testnet = siwbb().base_urls("https://testnet.example", "https://api.testnet.example");
    let other = Site::of(testnet, crate::site::CALLBACK, |builder| builder.keys(keys.clone()));
    let mut browser = Browser::new();
    let started = one.start(&mut browser, "/").await;
    let response = other.get(&mut browser, &started.callback(CODE)).await;
    other.assert_refused("the other provider", &response, 400, IssuerMismatch);
    assert_eq!(set_cookies(&response), [started.flow_deleted()]);
}

#[tokio::test]
async fn h055_nothing_that_must_not_be_guessed_repeats() {
    let site = Site::new();
    let (mut states, mut challenges) = (HashSet::new(), HashSet::new());
    for _ in 0..1000 {
        let started = site.start(&mut Browser::new(), "/").await;
        let (public, secret) = started.state.split_at(26);
        assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert!(states.insert(public[10..].to_owned()) && states.insert(secret.to_owned()));
        assert!(challenges.insert(parameter(&started.authorization_url, "code_challenge")));
    }
}

#[tokio::test]
async fn h056_no_code_is_sent_before_state_has_passed() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    for position in [26, 40, 67] {
        let mut state = started.state.clone().into_bytes();
        state[position] = if state[position] == b'A' { b'B' } else { b'A' };
        let state = String::from_utf8(state).unwrap();
        let response = site.get(&mut browser, &format!("/api/callback?code={CODE}&state={state}")).await;
        site.assert_refused(&format!("character {position}"), &response, 400, StateMismatch);
    }
}

#[tokio::test]
async fn h057_an_error_needs_a_state_too() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let wrong = format!("&state={}{}", &started.state[..26], "A".repeat(43));
    let strangers = format!("&state={}", site.start(&mut Browser::new(), "/").await.state);
    for (state, kind) in [("", CallbackMalformed), (&wrong, StateMismatch), (&strangers, FlowNotFound)] {
        let path = format!("/api/callback?error=access_denied&error_description=call+0800{state}");
        let response = site.get(&mut browser, &path).await;
        site.assert_refused(state, &response, 400, kind);
        assert_eq!(set_cookies(&response), [""; 0], "{state}");
        assert!(!text(&response).contains("0800"), "{state}");
    }
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
}

#[tokio::test]
async fn h058_a_link_chooses_no_scope_and_no_other_parameter() {
    let site = Site::new();
    let names = |url: &str| -> Vec<String> {
        url::Url::parse(url).unwrap().query_pairs().map(|(name, _)| name.into_owned()).collect()
    };
    let plain = names(&site.start(&mut Browser::new(), "/").await.authorization_url);
    let login =
        "/api/login?scope=fullAccess&client_id=evil&state=mine&code_challenge=x&prompt=none&redirect_uri=//evil";
    let url = location(&site.get(&mut Browser::new(), login).await);
    assert_eq!(names(&url), plain);
    assert_eq!(parameter(&url, "client_id"), ID);
}

#[tokio::test]
async fn h059_a_repeated_parameter_is_refused() {
    for repeated in ["code", "state", "error", "iss"] {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let (one, other) = if repeated == "state" { (started.state.as_str(), "x") } else { ("x", "y") };
        for (first, second) in [(one, one), (one, other), (other, one)] {
            let path = format!("{}&{repeated}={first}&{repeated}={second}", started.callback(CODE));
            let response = site.get(&mut browser, &path).await;
            site.assert_refused(repeated, &response, 400, CallbackMalformed);
            assert_eq!(set_cookies(&response), [""; 0], "{repeated}");
        }
    }
    // What decides less counts as not given.
    let site = Site::new();
    for repeated in ["return_to=/a&return_to=/b", "return_to=/a&return_to=/a", "return_to=/a&return%5fto=/b"] {
        let mut browser = Browser::new();
        let started = Started::at(&location(&site.get(&mut browser, &format!("/api/login?{repeated}")).await));
        assert_eq!(location(&site.get(&mut browser, &started.callback(CODE)).await), "/", "{repeated}");
        let logout = navigation(Method::POST, &format!("/api/logout?{repeated}"), "same-origin");
        assert_eq!(location(&site.visit(&mut browser, logout).await), "/", "{repeated}");
    }
}

#[tokio::test]
async fn h060_the_authorization_url_has_every_parameter_once() {
    let provider = siwbb()
        .scope(scope::COMPLETE_CLAIMS)
        .scope(scope::READ_PROFILE)
        .show_claim("claim")
        .hide_if_already_claimed()
        .expect_verify_success()
        .extra_parameter("theme", "dark");
    let site = Site::of(provider, crate::site::CALLBACK, |builder| builder);
    let url = site.start(&mut Browser::new(), "/").await.authorization_url;
    let url = url::Url::parse(&url).unwrap();
    let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names.len(), 11);
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
}

/// Whether a code is bound to the client is the provider's to say; ours always comes with a verifier, though the client
/// has a secret as well.
#[tokio::test]
async fn h062_pkce_is_always_used() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    site.get(&mut browser, &started.callback(CODE)).await;
    let requests = site.upstream.requests();
    let sent: serde_json::Value = serde_json::from_slice(requests[0].body()).unwrap();
    let verifier = sent["code_verifier"].as_str().unwrap();
    let challenge = parameter(&started.authorization_url, "code_challenge");
    assert_eq!(URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())), challenge);
    assert!(sent["client_secret"].is_string());
}

#[tokio::test]
async fn h063_sign_ins_at_the_same_time_never_mix() {
    let site = Arc::new(Site::new());
    know_everybody(&site);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..48 {
        let site = Arc::clone(&site);
        tasks.spawn(async move {
            let person = number % 16;
            let mut browser = Browser::new();
            let started = site.start(&mut browser, &format!("/{number}")).await;
            tokio::task::yield_now().await;
            let landed = location(&site.get(&mut browser, &started.callback(&code(person))).await);
            (landed, format!("/{number}"), who(&site, &browser).await, person)
        });
    }
    for (landed, target, seen, person) in tasks.join_all().await {
        assert_eq!((landed, seen), (target, subject(person)));
    }
}

#[tokio::test]
async fn h064_pkce_is_never_plain() {
    let site = Site::new();
    for query in ["", "?code_challenge_method=plain", "?code_challenge=&code_challenge_method=plain"] {
        let url = location(&site.get(&mut Browser::new(), &format!("/api/login{query}")).await);
        assert_eq!(parameter(&url, "code_challenge_method"), "S256", "{query}");
        assert_eq!(URL_SAFE_NO_PAD.decode(parameter(&url, "code_challenge")).unwrap().len(), 32, "{query}");
    }
}
