//! The way to the provider: authorization requests, and what they are bound to.

use std::collections::{HashMap, HashSet};

use tower_signin::dev::openid::{Account, CLIENT_SECRET, Misbehaviour as M};
use url::{Url, form_urlencoded};

use crate::log::Log;
use crate::refresh::signed_in;
use crate::rows::Level::Must;
use crate::rows::Verdict::Held;
use crate::rows::{Row, row};
use crate::stage::{Stage, TOKEN};
use crate::support::{Browser, code, location};
use crate::trial::works;

pub(crate) const ROWS: &[Row] = &[
    row(
        "C01",
        Must,
        "send the browser to no address that a request names",
        Held(&[
            "tests/hostile/redirects.rs::h010_every_way_in_shares_one_validator",
            "tests/hostile/redirects.rs::h002_no_login_leaves_for_all_of_the_corpus",
            "tests/hostile/redirects.rs::h006_no_logout_leaves_for_all_of_the_corpus",
            "tests/conformance/logout.rs::rp46_back_with_another_state",
        ]),
    ),
    row(
        "C02",
        Must,
        "do nothing for a callback without a live value that is bound to the browser",
        Held(&[
            "tests/hostile/state.rs::h051_a_callback_counts_only_in_the_browser_that_started_it",
            "tests/hostile/state.rs::h056_no_code_is_sent_before_state_has_passed",
            "tests/bad_input/callback.rs::every_wrong_query_is_refused_before_the_provider_hears_of_it",
        ]),
    ),
    row(
        "C03",
        Must,
        "redeem nothing when the same callback comes again",
        Held(&["tests/bad_input/callback.rs::a_state_is_redeemed_once"]),
    ),
    row(
        "C04",
        Must,
        "rely on PKCE alone nowhere: state, nonce and PKCE, always",
        Held(&[
            "tests/providers/oidc/sign_in.rs::what_the_browser_asks_for",
            "tests/hostile/state.rs::h049_every_sign_in_has_a_state",
        ]),
    ),
    row(
        "C05",
        Must,
        "protect what travels with the state, and bind it to the browser",
        Held(&[
            "tests/attack/flows.rs::flows_can_not_be_mixed_or_moved",
            "tests/bad_input/callback.rs::swapped_flow_cookies_of_two_tabs_open_neither",
        ]),
    ),
    row(
        "C06",
        Must,
        "use PKCE with every code, for clients with a secret as well",
        Held(&[
            "tests/hostile/state.rs::h062_pkce_is_always_used",
            "tests/providers/oidc/sign_in.rs::what_the_browser_asks_for",
        ]),
    ),
    row(
        "C07",
        Must,
        "use S256, also where the metadata has `plain` alone",
        Held(&["c07_s256_where_the_metadata_has_plain_alone", "tests/hostile/state.rs::h064_pkce_is_never_plain"]),
    ),
    row(
        "C08",
        Must,
        "make each verifier of 43 to 128 unreserved characters and 256 random bits, anew",
        Held(&[
            "c08_each_verifier_is_fresh_and_long",
            "tests/hostile/state.rs::h055_nothing_that_must_not_be_guessed_repeats",
        ]),
    ),
    row(
        "C09",
        Must,
        "bind verifier and nonce to the browser; show neither in a log, nor the verifier in a URL",
        Held(&[
            "c09_no_secret_of_a_sign_in_is_logged_or_in_a_url",
            "tests/hostile/state.rs::h052_one_browsers_flow_cookie_does_not_fit_another_state",
        ]),
    ),
    row(
        "C10",
        Must,
        "try again after an error with another state, nonce and verifier",
        Held(&["c10_everything_is_fresh_after_an_error"]),
    ),
];

/// The parameters of a query or a form, each once.
pub(crate) fn parameters(encoded: &[u8]) -> HashMap<String, String> {
    let pairs = form_urlencoded::parse(encoded);
    let parameters: HashMap<String, String> = pairs.into_owned().collect();
    assert_eq!(parameters.len(), pairs.count(), "a parameter twice: {parameters:?}");
    parameters
}

pub(crate) fn query_of(url: &str) -> HashMap<String, String> {
    parameters(Url::parse(url).unwrap().query().unwrap_or_default().as_bytes())
}

#[tokio::test]
async fn c07_s256_where_the_metadata_has_plain_alone() {
    let stage = Stage::start().await;
    stage.openid.set_misbehaviour(Some(M::MetadataPlainChallenges));
    let query = query_of(&Browser::new().start(&stage.app.origin, "/").await);
    assert_eq!((query["code_challenge_method"].as_str(), query["code_challenge"].len()), ("S256", 43));
    works(&stage, "with S256").await;
    let requests = stage.openid.requests();
    let to_token = requests.iter().find(|request| request.path == TOKEN).unwrap();
    let verifier = &parameters(&to_token.body)["code_verifier"];
    assert!(!query.values().any(|value| value == verifier));
}

#[tokio::test]
async fn c08_each_verifier_is_fresh_and_long() {
    let stage = Stage::start().await;
    let mut seen = HashSet::new();
    for _ in 0..10 {
        works(&stage, "again").await;
        let request = stage.openid.requests().into_iter().find(|request| request.path == TOKEN).unwrap();
        let verifier = parameters(&request.body)["code_verifier"].clone();
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!((43..=128).contains(&verifier.len()) && verifier.bytes().all(is_unreserved), "{verifier}");
        assert!(seen.insert(verifier), "a verifier again");
    }
}

#[tokio::test]
async fn c09_no_secret_of_a_sign_in_is_logged_or_in_a_url() {
    Log::start();
    let (stage, mut browser) = signed_in().await;
    let mut secrets = vec![("client secret", CLIENT_SECRET.to_owned())];
    for misbehaviour in [None, Some(M::InvalidNonce), Some(M::UserInfoInvalidSubject)] {
        stage.openid.set_misbehaviour(misbehaviour);
        let mut browser = Browser::new();
        let authorization_url = browser.start(&stage.app.origin, "/").await;
        let callback = stage.openid.approve(&authorization_url, &Account::alice()).unwrap();
        stage.openid.clear_requests();
        browser.get(&callback).await;
        let requests = stage.openid.requests();
        let sent = parameters(&requests.iter().find(|request| request.path == TOKEN).unwrap().body);
        for url in [&authorization_url, &callback] {
            assert!(!url.contains(&sent["code_verifier"]), "{url}");
        }
        assert!(requests.iter().all(|request| request.query.is_none()));
        let query = query_of(&authorization_url);
        let of_request = ["state", "nonce", "code_challenge"].map(|name| (name, query[name].clone()));
        secrets.extend(of_request);
        secrets.extend(["code", "code_verifier"].map(|name| (name, sent[name].clone())));
    }
    stage.openid.set_misbehaviour(None);
    for wait in [0, 3570] {
        stage.app.clock.advance(std::time::Duration::from_secs(wait));
        let says = stage.app.says(&mut browser, "/tokens").await;
        secrets.push(("access token", says.split(' ').next().unwrap().to_owned()));
    }
    let refresh = stage.openid.requests().pop().unwrap();
    secrets.push(("refresh token", parameters(&refresh.body)["refresh_token"].clone()));
    let out = browser.post(&stage.app.url("/auth/logout"), "").await;
    let query = query_of(&location(&out));
    secrets.extend(["id_token_hint", "state"].map(|name| (name, query[name].clone())));
    let log = Log::text();
    assert!(log.contains("signed out") && log.contains("nonce is not the one of this sign-in"), "{log}");
    for (name, secret) in secrets {
        assert!(secret.len() > 10 && !log.contains(&secret), "{name} {secret}");
    }
}

#[tokio::test]
async fn c10_everything_is_fresh_after_an_error() {
    let stage = Stage::start().await;
    let mut browser = Browser::new();
    let mut seen = HashSet::new();
    for ending in ["denied", "refused", "rejected", "well"] {
        let authorization_url = browser.start(&stage.app.origin, "/").await;
        let query = query_of(&authorization_url);
        for name in ["state", "nonce", "code_challenge"] {
            assert!(seen.insert(query[name].clone()), "{name}, {ending}");
        }
        let callback = match ending {
            "denied" => stage.openid.deny(&authorization_url).unwrap(),
            _ => stage.openid.approve(&authorization_url, &Account::alice()).unwrap(),
        };
        let (callback, expected) = match ending {
            "denied" => (callback, "access_denied"),
            "refused" => (callback.replacen("code=", "code=0", 1), "exchange_rejected"),
            "rejected" => (callback, "id_token_rejected"),
            _ => (callback, ""),
        };
        stage.openid.set_misbehaviour((ending == "rejected").then_some(M::InvalidNonce));
        let answer = browser.get(&callback).await;
        assert_eq!(code(&answer), expected, "{ending}");
    }
    assert_eq!(stage.app.says(&mut browser, "/").await, Account::alice().subject);
}
