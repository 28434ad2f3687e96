//! The way back from the provider: what is checked of an answer before anything is done with it.

use tower_signin::dev::openid::{Account, Misbehaviour as M};
use url::Url;

use crate::refresh::signed_in;
use crate::requests::{parameters, query_of};
use crate::rows::Level::{Must, Should};
use crate::rows::Verdict::Held;
use crate::rows::{Row, row};
use crate::stage::{Stage, TOKEN, refused};
use crate::support::{Browser, code};
use crate::trial::{by_id_token, fails, works};

pub(crate) const ROWS: &[Row] = &[
    row(
        "C11",
        Must,
        "compare the nonce before any use of the tokens",
        Held(&["c11_no_nonce", "tests/conformance/basic.rs::rp12_another_nonce"]),
    ),
    row(
        "C12",
        Must,
        "compare `iss` of the answer with the issuer it was asked of, byte for byte",
        Held(&[
            "c12_another_issuer_in_the_answer",
            "tests/providers/several/mix_up.rs::an_answer_that_names_another_issuer_is_refused_before_the_network",
        ]),
    ),
    row(
        "C13",
        Must,
        "stop where `iss` is missing though the metadata announces it",
        Held(&[
            "c13_no_issuer_in_the_answer",
            "src/provider/oidc/tests.rs::a_code_without_issuer_is_not_sent_where_the_metadata_comes_only_now",
        ]),
    ),
    row(
        "C14",
        Should,
        "compare `iss` also where the metadata does not announce it",
        Held(&["c14_an_issuer_that_was_not_announced"]),
    ),
    row(
        "C15",
        Must,
        "check state and `iss` of answers that are errors just the same",
        Held(&["c15_errors_are_checked_like_codes", "tests/hostile/state.rs::h057_an_error_needs_a_state_too"]),
    ),
    row(
        "C16",
        Must,
        "send a code to the token endpoint of the issuer it was asked of, and to no other",
        Held(&[
            "tests/providers/several/mix_up.rs::begun_at_one_and_finished_at_another_is_refused_before_the_network",
            "tests/providers/several/whose.rs::one_number_at_two_providers_is_two_people",
        ]),
    ),
    row(
        "C17",
        Must,
        "give each of several providers a redirect URI of its own, and compare where the answer came",
        Held(&[
            "tests/providers/several/whose.rs::each_has_a_redirect_uri_of_its_own",
            "tests/providers/several/mix_up.rs::begun_at_one_and_finished_at_another_is_refused_before_the_network",
        ]),
    ),
    row(
        "C18",
        Should,
        "take no token through the browser: neither the implicit flow nor a hybrid one",
        Held(&[
            "tests/providers/oidc/sign_in.rs::what_the_browser_asks_for",
            "tests/hostile/claims.rs::h130_nothing_the_browser_brings_to_the_callback_is_a_claim",
        ]),
    ),
    row(
        "C19",
        Must,
        "have no way to send a person's password",
        Held(&["c19_codes_and_refresh_tokens_are_all_that_is_sent"]),
    ),
    row(
        "C20",
        Must,
        "have a redirect URI that is absolute, without fragment, https but on loopback, and the same each time",
        Held(&[
            "tests/bad_input/config.rs::every_wrong_redirect_uri_is_refused",
            "src/oauth/token_request.rs::the_redirect_uri_arrives_byte_for_byte",
            "tests/providers/oidc/sign_in.rs::four_requests_are_sent_and_the_second_time_two",
        ]),
    ),
    row(
        "C21",
        Must,
        "keep the query that the authorization endpoint has",
        Held(&[
            "tests/providers/oauth2/authorize.rs::c21_a_query_of_the_endpoint_is_kept",
            "tests/conformance/configuration.rs::rp15_every_endpoint_is_where_the_metadata_says",
        ]),
    ),
    row(
        "C22",
        Should,
        "answer the callback without script and without anything of other sites, and lead on to a clean URL",
        Held(&[
            "tests/users/pages.rs::u15_every_page_says_what_happened_what_to_do_and_its_code",
            "tests/attack/fuzz.rs::fuzz_the_whole_layer",
            "tests/users/guards.rs::a_code_and_its_state_never_become_a_return_target",
            "tests/forward.rs::the_handler_gets_who_signed_in_and_neither_code_nor_state",
        ]),
    ),
    row(
        "C23",
        Should,
        "send `Referrer-Policy: no-referrer` with every answer of ours",
        Held(&["tests/attack/fuzz.rs::fuzz_the_whole_layer"]),
    ),
    row(
        "C24",
        Should,
        "let no page of ours be framed",
        Held(&[
            "tests/users/pages.rs::u15_every_page_says_what_happened_what_to_do_and_its_code",
            "tests/logout_page.rs::a_person_whose_browser_does_not_say_where_from_signs_out_by_the_page",
        ]),
    ),
];

/// A callback with another `iss`.
fn with_issuer(callback: &str, issuer: &str) -> String {
    let mut url = Url::parse(callback).unwrap();
    let others: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("iss", issuer);
    url.into()
}

/// What becomes of a callback in this browser, and that the provider has heard nothing of it.
async fn refusal(stage: &Stage, browser: &mut Browser, callback: &str) -> (u16, String, String) {
    let answer = browser.get(callback).await;
    assert_eq!(stage.count(TOKEN), 0, "{callback}");
    (answer.status().as_u16(), code(&answer), stage.app.says(browser, "/").await)
}

#[tokio::test]
async fn c11_no_nonce() {
    let stage = Stage::start().await;
    crate::trial::refuses(&stage, M::MissingNonce, by_id_token("nonce is not the one of this sign-in")).await;
    // Nor is the nonce of another sign-in taken: every token is.
    stage.openid.set_misbehaviour(Some(M::InvalidNonce));
    fails(&stage, "another", by_id_token("nonce is not the one of this sign-in")).await;
}

#[tokio::test]
async fn c12_another_issuer_in_the_answer() {
    let stage = Stage::start().await;
    stage.openid.set_misbehaviour(Some(M::ResponseIssuerInvalid));
    assert_eq!(stage.outcome().await, refused(400, "issuer_mismatch"));
    stage.openid.set_misbehaviour(None);
    let issuer = stage.openid.issuer().to_owned();
    for (name, other, expected) in [
        ("a slash behind it", format!("{issuer}/"), "issuer_mismatch"),
        ("the scheme in capitals", issuer.replace("http", "HTTP"), "issuer_mismatch"),
        ("the host in capitals", issuer.replace("localhost", "LOCALHOST"), "issuer_mismatch"),
        ("another name of this machine", issuer.replace("localhost", "127.0.0.1"), "issuer_mismatch"),
        ("encoded twice", issuer.replace(':', "%3A"), "issuer_mismatch"),
        ("a space behind it", format!("{issuer} "), "issuer_mismatch"),
        ("cut short", issuer[..issuer.len() - 1].to_owned(), "issuer_mismatch"),
        ("another one", "https://evil.example".to_owned(), "issuer_mismatch"),
        ("an empty one", String::new(), "callback_malformed"),
    ] {
        let mut browser = Browser::new();
        let authorization_url = browser.start(&stage.app.origin, "/").await;
        let callback = stage.openid.approve(&authorization_url, &Account::alice()).unwrap();
        stage.openid.clear_requests();
        let found = refusal(&stage, &mut browser, &with_issuer(&callback, &other)).await;
        assert_eq!(found, refused(400, expected), "{name}");
    }
    let mut browser = Browser::new();
    let authorization_url = browser.start(&stage.app.origin, "/").await;
    let callback = stage.openid.approve(&authorization_url, &Account::alice()).unwrap();
    stage.openid.clear_requests();
    let twice = format!("{callback}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(refusal(&stage, &mut browser, &twice).await, refused(400, "callback_malformed"));
    // What was refused for its shape has ended nothing.
    assert_eq!(browser.get(&with_issuer(&callback, &issuer)).await.status(), 303, "its own");
    works(&stage, "afterwards").await;
}

#[tokio::test]
async fn c13_no_issuer_in_the_answer() {
    let stage = Stage::start().await;
    works(&stage, "with an issuer").await;
    stage.openid.clear_requests();
    stage.openid.set_misbehaviour(Some(M::ResponseIssuerMissing));
    assert_eq!(stage.outcome().await, refused(400, "issuer_mismatch"));
    assert_eq!(stage.asked(), [""; 0]);
    let other = Stage::start().await;
    other.openid.set_misbehaviour(Some(M::ResponseIssuerUnsupported));
    works(&other, "neither announced nor sent").await;
}

#[tokio::test]
async fn c14_an_issuer_that_was_not_announced() {
    let stage = Stage::start().await;
    stage.openid.set_misbehaviour(Some(M::ResponseIssuerUnannounced));
    assert_eq!(stage.outcome().await, refused(400, "issuer_mismatch"));
    assert_eq!(stage.count(TOKEN), 0);
    // The metadata is still that without the announcement, and the answer names the right issuer.
    stage.openid.set_misbehaviour(None);
    works(&stage, "its own").await;
}

#[tokio::test]
async fn c15_errors_are_checked_like_codes() {
    for (misbehaviour, expected) in [
        (None, refused(403, "access_denied")),
        (Some(M::ResponseIssuerMissing), refused(400, "issuer_mismatch")),
        (Some(M::ResponseIssuerInvalid), refused(400, "issuer_mismatch")),
        (Some(M::ResponseIssuerUnannounced), refused(400, "issuer_mismatch")),
        (Some(M::ResponseIssuerUnsupported), refused(403, "access_denied")),
    ] {
        let stage = Stage::start().await;
        stage.openid.set_misbehaviour(misbehaviour);
        let mut browser = Browser::new();
        let authorization_url = browser.start(&stage.app.origin, "/").await;
        let callback = stage.openid.deny(&authorization_url).unwrap();
        let state = &query_of(&callback)["state"];
        let (start, rest) = state.split_at(40);
        let other = if rest.starts_with('A') { "B" } else { "A" };
        let other = callback.replace(state, &format!("{start}{other}{}", &rest[1..]));
        let found = refusal(&stage, &mut browser, &other).await;
        assert_eq!(found, refused(400, "state_mismatch"), "{misbehaviour:?}");
        assert_eq!(refusal(&stage, &mut browser, &callback).await, expected, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn c19_codes_and_refresh_tokens_are_all_that_is_sent() {
    let (stage, mut browser) = signed_in().await;
    works(&stage, "in another browser").await;
    let mut requests = stage.openid.requests();
    stage.app.clock.advance(std::time::Duration::from_secs(3570));
    stage.app.says(&mut browser, "/").await;
    requests.extend(stage.openid.requests().pop());
    let grants: Vec<_> = requests
        .iter()
        .filter(|request| request.path == TOKEN)
        .map(|request| {
            let sent = parameters(&request.body);
            assert!(!sent.contains_key("username") && !sent.contains_key("password"), "{sent:?}");
            sent["grant_type"].clone()
        })
        .collect();
    assert_eq!(grants, ["authorization_code", "refresh_token"]);
}
