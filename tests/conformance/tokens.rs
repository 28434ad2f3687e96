//! Tokens: how they are asked for, read, kept and given back.

use tower_signin::dev::openid::{Account, Misbehaviour as M};

use crate::rows::Level::{Must, Ours, Should};
use crate::rows::Verdict::{DoesNotApply, Held, Later};
use crate::rows::{Row, row};
use crate::stage::{Stage, TOKEN, refused};
use crate::support::{Browser, code};
use crate::trial::works;

pub(crate) const ROWS: &[Row] = &[
    row(
        "C25",
        Must,
        "send token requests by POST, as a form in UTF-8, with no parameter twice",
        Held(&["src/oauth/token_request.rs::each_request_has_its_parameters_once"]),
    ),
    row(
        "C26",
        Must,
        "authenticate in one way in each request",
        Held(&[
            "tests/providers/oidc/sign_in.rs::each_client_authentication_works_and_another_secret_does_not",
            "src/oauth/client_authentication.rs::the_body_has_what_the_method_wants_and_no_header_comes_with_it",
        ]),
    ),
    row(
        "C27",
        Must,
        "form-encode id and secret before Basic joins them",
        Held(&[
            "src/oauth/client_authentication.rs::basic_encodes_id_and_secret_before_it_joins_them",
            "tests/providers/oidc/sign_in.rs::each_client_authentication_works_and_another_secret_does_not",
        ]),
    ),
    row(
        "C28",
        Should,
        "offer private_key_jwt or mutual TLS, and recommend it",
        Later("client authentication is by secret or by none"),
    ),
    row(
        "C29",
        Must,
        "name the issuer alone as the audience of a client assertion",
        Later("there are no assertions before C28"),
    ),
    row(
        "C30",
        Must,
        "send the redirect URI to the token endpoint as well",
        Held(&["tests/providers/oidc/sign_in.rs::four_requests_are_sent_and_the_second_time_two"]),
    ),
    row(
        "C31",
        Must,
        "pass over members and parameters of answers that are unknown",
        Held(&[
            "tests/bad_input/callback.rs::the_right_issuer_and_unknown_parameters_do_no_harm",
            "src/oauth/token_response/tests.rs::what_is_granted_is_read_whole",
        ]),
    ),
    row(
        "C32",
        Must,
        "count on no length of codes and tokens",
        Held(&[
            "c32_a_code_of_any_length_is_sent_or_refused",
            "src/oauth/token_request.rs::a_code_of_any_length_goes_through",
            "src/oauth/token_response/tests.rs::tokens_of_any_length_are_read_and_others_refused",
        ]),
    ),
    row(
        "C33",
        Must,
        "compare `token_type` without case, and refuse another",
        Held(&[
            "c33_a_bearer_token_in_any_case_and_no_other",
            "src/oauth/token_response/tests.rs::a_token_type_is_bearer_whatever_its_case",
        ]),
    ),
    row(
        "C34",
        Must,
        "have access tokens in the Authorization header alone, and look into none",
        Held(&[
            "tests/providers/oidc/sign_in.rs::four_requests_are_sent_and_the_second_time_two",
            "tests/providers/oauth2/sign_in.rs::two_requests_are_sent_and_the_token_is_in_a_header_alone",
        ]),
    ),
    row(
        "C35",
        Must,
        "keep tokens in a cookie only under seal",
        Held(&[
            "tests/tokens/keep.rs::a_sign_in_keeps_them_sealed_in_a_cookie_of_their_own",
            "tests/hostile/set_cookies.rs::h091_every_cookie_has_every_attribute",
        ]),
    ),
    row(
        "C36",
        Must,
        "verify TLS, and speak plain http with this machine alone",
        Held(&[
            "c36_endpoints_are_as_secure_as_the_issuer",
            "tests/hostile/leaks.rs::h133_secrets_go_over_tls_or_to_this_machine",
            "tests/hostile/leaks.rs::h133_a_certificate_that_nobody_vouches_for_gets_no_request",
            "tests/faults/tls.rs::tls_at_fault_signs_nobody_in_and_nobody_out",
        ]),
    ),
    row(
        "C37",
        Must,
        "bear `expires_in` that is missing, a text, 0, negative or huge",
        Held(&[
            "tests/providers/oauth2/tokens.rs::a_lifetime_that_says_nothing_leaves_the_end_open",
            "tests/providers/oidc/misbehaviours.rs::each_is_refused_or_borne_and_no_token_of_a_refused_answer_is_used",
        ]),
    ),
    row(
        "C38",
        Must,
        "take a missing scope for the one that was asked for, and show the app another one",
        Held(&[
            "c38_the_scope_that_was_granted_is_the_applications_to_see",
            "tests/providers/oauth2/tokens.rs::h129_the_scope_that_was_granted_is_the_applications_to_see",
        ]),
    ),
    row(
        "C39",
        Should,
        "ask for no more than is needed by default",
        Held(&["tests/providers/oidc/sign_in.rs::what_the_browser_asks_for"]),
    ),
    row(
        "C40",
        Must,
        "replace a refresh token by the new one, and keep it where none comes",
        Held(&[
            "tests/providers/oidc/tokens.rs::c40_a_refresh_token_lasts_until_a_new_one_comes",
            "tests/providers/oauth2/tokens.rs::a_new_refresh_token_replaces_the_old_one_and_none_keeps_it",
        ]),
    ),
    row(
        "C41",
        Ours,
        "send a refresh token once, however many requests come at once",
        Held(&[
            "tests/tokens/refresh.rs::u06_a_thousand_requests_at_once_refresh_once",
            "tests/tokens/refresh.rs::a_spent_refresh_token_is_not_sent_again",
        ]),
    ),
    row(
        "C42",
        Must,
        "hold a refreshed ID token to issuer, subject, audience, `auth_time` and nonce of before",
        Held(&["tests/providers/oidc/tokens.rs::c42_a_refreshed_id_token_is_of_the_same_person_and_sign_in"]),
    ),
    row(
        "C43",
        Must,
        "end the session where a refresh is refused, and not where the network fails",
        Held(&[
            "tests/providers/oauth2/tokens.rs::c43_a_refused_refresh_ends_the_session_and_an_outage_does_not",
            "tests/tokens/unreachable.rs::u25_an_outage_signs_nobody_out",
        ]),
    ),
    row(
        "C44",
        Must,
        "redirect by 303, never by 307 or 308",
        Held(&["tests/hostile/peers.rs::r06_every_redirect_is_303_and_every_cookie_lax"]),
    ),
    row(
        "C45",
        Must,
        "believe no header that names somebody, or the address of this site",
        Held(&[
            "tests/hostile/headers.rs::h041_no_spelling_of_a_header_names_anybody",
            "tests/hostile/headers.rs::h044_forwarded_moves_nothing_whatever_its_grammar",
            "tests/hostile/addresses.rs::h018_forwarding_headers_reach_no_location",
        ]),
    ),
    row(
        "C46",
        Must,
        "take every parameter of an answer for hostile: bounded, without control characters, once, escaped",
        Held(&[
            "tests/bad_input/callback.rs::every_wrong_query_is_refused_before_the_provider_hears_of_it",
            "tests/hostile/state.rs::h059_a_repeated_parameter_is_refused",
            "tests/hostile/leaks.rs::h131_no_word_of_a_request_is_markup_or_a_message",
        ]),
    ),
    row(
        "C47",
        Must,
        "match the origin of messages between windows exactly",
        DoesNotApply("no popup is opened and no message is sent between windows: people are redirected"),
    ),
];

#[tokio::test]
async fn c32_a_code_of_any_length_is_sent_or_refused() {
    let stage = Stage::start().await;
    works(&stage, "with a code of its own").await;
    for (length, expected, sent) in [
        (1, refused(502, "exchange_rejected"), 1),
        (512, refused(502, "exchange_rejected"), 1),
        (4096, refused(502, "exchange_rejected"), 1),
        (4097, refused(400, "callback_malformed"), 0),
        (16 * 1024, refused(400, "callback_malformed"), 0),
    ] {
        let mut browser = Browser::new();
        let authorization_url = browser.start(&stage.app.origin, "/").await;
        let callback = stage.openid.approve(&authorization_url, &Account::alice()).unwrap();
        let (start, rest) = callback.split_once("code=").unwrap();
        let (_, rest) = rest.split_once('&').unwrap();
        stage.openid.clear_requests();
        let answer = browser.get(&format!("{start}code={}&{rest}", "a".repeat(length))).await;
        let found = (answer.status().as_u16(), code(&answer), stage.app.says(&mut browser, "/").await);
        assert_eq!((found, stage.count(TOKEN)), (expected, sent), "{length}");
    }
}

#[tokio::test]
async fn c33_a_bearer_token_in_any_case_and_no_other() {
    let stage = Stage::start().await;
    crate::trial::accepts(&stage, M::TokenTypeMixedCase).await;
    stage.openid.set_misbehaviour(Some(M::TokenTypeMac));
    stage.openid.clear_requests();
    assert_eq!(stage.outcome().await, refused(502, "provider_answer_unreadable"));
    assert_eq!(stage.asked(), [TOKEN], "no token of the answer is used");
    stage.openid.set_misbehaviour(None);
    works(&stage, "mended").await;
}

#[tokio::test]
async fn c36_endpoints_are_as_secure_as_the_issuer() {
    let stage = Stage::start().await;
    stage.openid.set_misbehaviour(Some(M::MetadataInsecureEndpoints));
    assert_eq!(stage.outcome().await, refused(502, "provider_answer_unreadable"));
    assert_eq!(stage.asked(), [crate::stage::METADATA], "nobody is sent there");
    stage.openid.set_misbehaviour(None);
    stage.app.clock.advance(std::time::Duration::from_secs(10));
    works(&stage, "mended").await;
}

#[tokio::test]
async fn c38_the_scope_that_was_granted_is_the_applications_to_see() {
    let stage = Stage::with_both(|oidc| oidc.scope("email"), |builder| builder.keep_tokens()).await;
    for (misbehaviour, scope, has_email) in [
        (None, "Some(\"openid email\")", true),
        (Some(M::ScopeMissing), "None", true),
        (Some(M::ScopeNarrowed), "Some(\"openid\")", false),
    ] {
        stage.openid.set_misbehaviour(misbehaviour);
        let mut browser = Browser::new();
        assert_eq!(stage.sign_in(&mut browser).await.status(), 303, "{misbehaviour:?}");
        assert_eq!(stage.app.says(&mut browser, "/scope").await, scope, "{misbehaviour:?}");
        let claims = stage.app.says(&mut browser, "/claims").await;
        assert_eq!(claims.contains("alice@example.com"), has_email, "{misbehaviour:?}: {claims}");
    }
}
