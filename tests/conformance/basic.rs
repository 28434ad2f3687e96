//! The Basic profile: one sign-in, and what may be wrong with it.

use tower_signin::dev::openid::Misbehaviour as M;

use crate::rows::Level::{BasicProfile, FormPostProfile};
use crate::rows::Verdict::{Held, Later};
use crate::rows::{Row, row};
use crate::stage::Stage;
use crate::trial::{accepts, by_id_token, by_user_info, refuses};

pub(crate) const ROWS: &[Row] = &[
    row(
        "RP01",
        BasicProfile,
        "sign in with a code, exchange it, ask UserInfo",
        Held(&["tests/providers/oidc/sign_in.rs::four_requests_are_sent_and_the_second_time_two"]),
    ),
    row("RP02", BasicProfile, "refuse an ID token of another issuer", Held(&["rp02_another_issuer"])),
    row("RP03", BasicProfile, "refuse an ID token without a subject", Held(&["rp03_no_subject"])),
    row("RP04", BasicProfile, "refuse an ID token for another client", Held(&["rp04_another_audience"])),
    row(
        "RP05",
        BasicProfile,
        "refuse an ID token that does not say when it was issued",
        Held(&["rp05_no_time_of_issue"]),
    ),
    row(
        "RP06",
        BasicProfile,
        "accept an ID token without a key id where there is one key",
        Held(&["rp06_no_key_id_and_one_key"]),
    ),
    row(
        "RP07",
        BasicProfile,
        "the same with several keys: refuse it, or try each that fits; here at most 8 are tried",
        Held(&[
            "rp07_no_key_id_and_several_keys",
            "src/provider/oidc/id_token.rs::without_a_kid_each_key_that_fits_is_tried",
        ]),
    ),
    row(
        "RP08",
        BasicProfile,
        "accept RS256",
        Held(&["tests/providers/oidc/misbehaviours.rs::signatures_of_every_algorithm_are_verified"]),
    ),
    row(
        "RP09",
        BasicProfile,
        "an ID token whose algorithm is `none`: refused here, always",
        Held(&["rp09_no_signature", "src/provider/oidc/id_token.rs::a_token_without_a_proof_is_none"]),
    ),
    row(
        "RP10",
        BasicProfile,
        "an RS256 signature that is wrong: refused here, always",
        Held(&[
            "rp10_a_wrong_signature",
            "tests/providers/oidc/caches.rs::a_key_that_stays_unknown_is_not_sought_over_and_over",
        ]),
    ),
    row(
        "RP11",
        BasicProfile,
        "use nothing of a UserInfo answer about another subject",
        Held(&["rp11_user_info_of_somebody_else"]),
    ),
    row("RP12", BasicProfile, "refuse another nonce", Held(&["rp12_another_nonce"])),
    row(
        "RP13",
        BasicProfile,
        "ask for claims by their scopes, and read them",
        Held(&["tests/providers/oidc/sign_in.rs::what_is_claimed_of_a_person"]),
    ),
    row(
        "RP14",
        BasicProfile,
        "authenticate by client_secret_basic, id and secret form-encoded",
        Held(&["tests/providers/oidc/sign_in.rs::each_client_authentication_works_and_another_secret_does_not"]),
    ),
    row(
        "FP",
        FormPostProfile,
        "RP01 to RP14 where the answer comes by `response_mode=form_post`",
        Later("a body is read by no layer yet; the answer comes in the query, and `response_mode` can't be set"),
    ),
];

#[tokio::test]
async fn rp02_another_issuer() {
    let stage = Stage::start().await;
    refuses(&stage, M::InvalidIssuer, by_id_token("iss is not the issuer")).await;
}

#[tokio::test]
async fn rp03_no_subject() {
    let stage = Stage::start().await;
    refuses(&stage, M::MissingSubject, by_id_token("sub is missing, empty or too long")).await;
}

#[tokio::test]
async fn rp04_another_audience() {
    let stage = Stage::start().await;
    refuses(&stage, M::InvalidAudience, by_id_token("aud is not this client")).await;
}

#[tokio::test]
async fn rp05_no_time_of_issue() {
    let stage = Stage::start().await;
    refuses(&stage, M::MissingIssuedAt, by_id_token("iat is missing")).await;
}

#[tokio::test]
async fn rp06_no_key_id_and_one_key() {
    accepts(&Stage::start().await, M::NoKeyIdSingleKey).await;
}

#[tokio::test]
async fn rp07_no_key_id_and_several_keys() {
    accepts(&Stage::start().await, M::NoKeyIdSeveralKeys).await;
}

#[tokio::test]
async fn rp09_no_signature() {
    let stage = Stage::start().await;
    let reason = "alg is not among the signing_algorithms of the settings";
    refuses(&stage, M::AlgorithmNone, by_id_token(reason)).await;
    refuses(&stage, M::EmptySignature, by_id_token("the signature is wrong")).await;
}

#[tokio::test]
async fn rp10_a_wrong_signature() {
    let stage = Stage::start().await;
    refuses(&stage, M::InvalidSignature, by_id_token("the signature is wrong")).await;
}

#[tokio::test]
async fn rp11_user_info_of_somebody_else() {
    let stage = Stage::start().await;
    let reason = "UserInfo is of another person than the ID token, or of nobody";
    refuses(&stage, M::UserInfoInvalidSubject, by_user_info(reason)).await;
}

#[tokio::test]
async fn rp12_another_nonce() {
    let stage = Stage::start().await;
    refuses(&stage, M::InvalidNonce, by_id_token("nonce is not the one of this sign-in")).await;
}
