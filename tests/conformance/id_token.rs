//! Metadata, ID tokens and UserInfo: whose they are, and what they must say.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::dev::openid::{CLIENT_ID, CLIENT_SECRET, Misbehaviour as M, OpenIdProvider};
use tower_signin::oidc::SigningAlgorithm::{Hs256, Ps256, Rs256};
use tower_signin::{Clock as _, Oidc};

use crate::app::App;
use crate::log::Log;
use crate::rows::Level::Must;
use crate::rows::Verdict::Held;
use crate::rows::{Row, row};
use crate::stage::{METADATA, Stage, refused};
use crate::trial::{accepts, by_id_token, by_user_info, fails, refuses, works};

pub(crate) const ROWS: &[Row] = &[
    row(
        "C48",
        Must,
        "have the issuer of the metadata equal that of the settings, byte for byte",
        Held(&[
            "c48_an_issuer_is_compared_byte_for_byte",
            "tests/conformance/configuration.rs::rp17_metadata_of_another_issuer",
        ]),
    ),
    row(
        "C49",
        Must,
        "have `iss` of the ID token equal that issuer",
        Held(&["c49_no_issuer", "tests/conformance/basic.rs::rp02_another_issuer"]),
    ),
    row(
        "C50",
        Must,
        "find oneself in `aud`, and nobody there who is not trusted",
        Held(&["c50_for_this_client_and_nobody_unknown"]),
    ),
    row(
        "C51",
        Must,
        "find `azp` where there are several audiences, and oneself in it where it is there",
        Held(&["c51_the_authorized_party"]),
    ),
    row(
        "C52",
        Must,
        "accept the algorithms of the settings, whatever header and metadata say; `none` never",
        Held(&[
            "c52_the_settings_name_the_algorithms",
            "tests/conformance/basic.rs::rp09_no_signature",
            "src/provider/oidc/id_token.rs::each_algorithm_is_taken_where_it_is_set_and_nowhere_else",
        ]),
    ),
    row(
        "C53",
        Must,
        "verify HMAC with the client secret alone, where it is set, and with no key that is published",
        Held(&[
            "c53_the_client_secret_is_the_only_hmac_key",
            "src/provider/oidc/id_token.rs::no_public_key_is_a_secret",
        ]),
    ),
    row(
        "C54",
        Must,
        "have `exp` in the future and `iat` present and sane, with a skew of at most five minutes that errors tell",
        Held(&[
            "c54_times_that_are_wrong",
            "c54_clocks_may_be_apart_by_the_skew_and_the_log_tells_by_how_much",
            "tests/providers/oidc/settings.rs::what_is_wrong_is_named",
        ]),
    ),
    row(
        "C55",
        Must,
        "check `auth_time` where `max_age` was asked for, and `acr` where it was required",
        Held(&[
            "c55_when_and_how_the_person_signed_in",
            "tests/providers/oidc/misbehaviours.rs::what_depends_on_the_settings",
        ]),
    ),
    row(
        "C56",
        Must,
        "use UserInfo only where its subject is there and the same",
        Held(&["c56_user_info_of_nobody", "tests/conformance/basic.rs::rp11_user_info_of_somebody_else"]),
    ),
    row("C57", Must, "compare `at_hash` where it is there", Held(&["c57_the_hash_of_the_access_token"])),
    row(
        "C58",
        Must,
        "choose no key by `jwk`, `jku`, `x5u` or `x5c`; refuse `crit`",
        Held(&["c58_nothing_in_a_header_brings_a_key", "src/provider/oidc/id_token.rs::what_the_header_says_besides"]),
    ),
];

const NOT_SET: &str = "alg is not among the signing_algorithms of the settings";
const WRONG: &str = "the signature is wrong";

#[tokio::test]
async fn c48_an_issuer_is_compared_byte_for_byte() {
    let stage = Stage::start().await;
    let issuer = stage.openid.issuer();
    for (name, other) in [
        ("a slash behind it", format!("{issuer}/")),
        ("another name of this machine", issuer.replace("localhost", "127.0.0.1")),
    ] {
        let app = App::start(Oidc::discover(other, CLIENT_ID, CLIENT_SECRET)).await;
        let stage = Stage { openid: Arc::clone(&stage.openid), app };
        stage.openid.clear_requests();
        Log::start();
        assert_eq!(stage.outcome().await, refused(502, "provider_answer_unreadable"), "{name}");
        assert!(Log::line("sign-in failed").contains("the metadata names another issuer"), "{name}: {}", Log::text());
        assert_eq!(stage.asked(), [METADATA], "{name}");
    }
    works(&stage, "as it is").await;
}

#[tokio::test]
async fn c49_no_issuer() {
    refuses(&Stage::start().await, M::MissingIssuer, by_id_token("iss is not the issuer")).await;
}

#[tokio::test]
async fn c50_for_this_client_and_nobody_unknown() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    let stage = Stage::at(&openid, |oidc| oidc, |builder| builder).await;
    refuses(&stage, M::MissingAudience, by_id_token("aud is missing, or neither a string nor strings")).await;
    refuses(&stage, M::InvalidAudience, by_id_token("aud is not this client")).await;
    refuses(&stage, M::UntrustedAudience, by_id_token("aud has an audience that is not trusted")).await;
    accepts(&stage, M::AudienceAsArray).await;
    let stage = Stage::at(&openid, |oidc| oidc.trusted_audience("somebody-else"), |builder| builder).await;
    accepts(&stage, M::UntrustedAudience).await;
    refuses(&stage, M::InvalidAudience, by_id_token("aud is not this client")).await;
}

#[tokio::test]
async fn c51_the_authorized_party() {
    let stage = Stage::with(|oidc| oidc.trusted_audience("somebody-else")).await;
    refuses(&stage, M::MissingAuthorizedParty, by_id_token("azp is missing beside several audiences")).await;
    refuses(&stage, M::InvalidAuthorizedParty, by_id_token("azp is not this client")).await;
    stage.openid.set_authorized_party(true);
    works(&stage, "named though it is the only audience").await;
}

#[tokio::test]
async fn c52_the_settings_name_the_algorithms() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    let stage = Stage::at(&openid, |oidc| oidc, |builder| builder).await;
    for misbehaviour in [M::AnotherAlgorithm, M::HmacWithClientSecret, M::AlgorithmMissing] {
        refuses(&stage, misbehaviour, by_id_token(NOT_SET)).await;
    }
    let stage = Stage::at(&openid, |oidc| oidc.signing_algorithms([Rs256, Ps256, Hs256]), |builder| builder).await;
    accepts(&stage, M::AnotherAlgorithm).await;
    accepts(&stage, M::HmacWithClientSecret).await;
    refuses(&stage, M::AlgorithmNone, by_id_token(NOT_SET)).await;
}

#[tokio::test]
async fn c53_the_client_secret_is_the_only_hmac_key() {
    let stage = Stage::with(|oidc| oidc.signing_algorithms([Rs256, Hs256])).await;
    for misbehaviour in [M::HmacWithPublicKey, M::HmacWithPublishedKey, M::HmacWithEmptyKey] {
        refuses(&stage, misbehaviour, by_id_token(WRONG)).await;
    }
    accepts(&stage, M::HmacWithClientSecret).await;
    stage.openid.set_signing_algorithm(Hs256);
    works(&stage, "by the client secret").await;
}

#[tokio::test]
async fn c54_times_that_are_wrong() {
    let stage = Stage::start().await;
    for (misbehaviour, reason) in [
        (M::MissingExpiry, "exp is missing"),
        (M::Expired, "exp has passed"),
        (M::ExpiryAsText, "a claim has another type than it must"),
        (M::MissingIssuedAt, "iat is missing"),
        (M::IssuedInAWeek, "iat is yet to come"),
    ] {
        refuses(&stage, misbehaviour, by_id_token(reason)).await;
    }
    accepts(&stage, M::IssuedAWeekAgo).await;
}

#[tokio::test]
async fn c54_clocks_may_be_apart_by_the_skew_and_the_log_tells_by_how_much() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for skew in [0, 60, 300] {
        let configure = |oidc: Oidc| oidc.clock_skew(Duration::from_secs(skew));
        let stage = Stage::at(&openid, configure, |builder| builder).await;
        // How far the provider is ahead, and how far behind: its tokens live for an hour.
        for (ahead, behind, refusal) in [
            (skew, 0, None),
            (skew + 1, 0, Some(("iat is yet to come", format!("iat is {} seconds in the future", skew + 1)))),
            (0, 3600 + skew - 1, None),
            (0, 3600 + skew, Some(("exp has passed", format!("exp is {skew} seconds in the past")))),
        ] {
            let clock = Arc::clone(&stage.app.clock);
            let (ahead_by, behind_by) = (Duration::from_secs(ahead), Duration::from_secs(behind));
            stage.openid.set_clock(Arc::new(move || clock.now() + ahead_by - behind_by));
            let when = format!("{ahead} ahead, {behind} behind, skew {skew}");
            let Some((reason, measured)) = refusal else {
                works(&stage, &when).await;
                continue;
            };
            fails(&stage, &when, by_id_token(reason)).await;
            let logged = Log::line("sign-in failed");
            let measured = format!("{measured} by this machine's clock; clock_skew is {skew}");
            assert!(logged.contains(&measured), "{when}: {logged}");
        }
    }
}

#[tokio::test]
async fn c55_when_and_how_the_person_signed_in() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    let stage = Stage::at(&openid, |oidc| oidc.max_age(Duration::from_secs(3600)), |builder| builder).await;
    let reason = "auth_time is missing, and max_age was asked for";
    refuses(&stage, M::MissingAuthTime, by_id_token(reason)).await;
    refuses(&stage, M::OldAuthTime, by_id_token("auth_time is longer ago than max_age")).await;
    let stage = Stage::at(&openid, |oidc| oidc.require_acr(["gold", "silver"]), |builder| builder).await;
    let reason = "acr is not among those that are required";
    refuses(&stage, M::InvalidAuthenticationContext, by_id_token(reason)).await;
}

#[tokio::test]
async fn c56_user_info_of_nobody() {
    let stage = Stage::start().await;
    let reason = "UserInfo is of another person than the ID token, or of nobody";
    refuses(&stage, M::UserInfoMissingSubject, by_user_info(reason)).await;
    refuses(&stage, M::UserInfoHtml, by_user_info("")).await;
}

#[tokio::test]
async fn c57_the_hash_of_the_access_token() {
    let stage = Stage::start().await;
    refuses(&stage, M::InvalidAccessTokenHash, by_id_token("at_hash is not that of the access token")).await;
}

#[tokio::test]
async fn c58_nothing_in_a_header_brings_a_key() {
    let stage = Stage::start().await;
    for misbehaviour in [M::KeyInHeader, M::KeyAddressInHeader, M::CertificateAddressInHeader] {
        refuses(&stage, misbehaviour, by_id_token(WRONG)).await;
    }
    refuses(&stage, M::UnknownCriticalHeader, by_id_token("its header has crit")).await;
}
