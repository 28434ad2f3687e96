//! Every way in which the provider on loopback goes wrong, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::Oidc;
use tower_signin::dev::openid::{Misbehaviour, OpenIdProvider};
use tower_signin::oidc::SigningAlgorithm;

use super::{KEYS, METADATA, Stage, TOKEN, USER_INFO, alice, refused};

/// How far a sign-in gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    /// The person is signed in.
    Well,
    /// Before anybody is sent away.
    AtLogin(u16, &'static str),
    /// Before the code is sent.
    AtCallback(u16, &'static str),
    /// After the code was exchanged, and before anything is done with the access token.
    AtIdToken(u16, &'static str),
    /// At UserInfo.
    AtUserInfo(u16, &'static str),
}

fn expected(misbehaviour: Misbehaviour) -> Ends {
    use Ends::{AtCallback, AtIdToken, AtLogin, AtUserInfo, Well};
    use Misbehaviour as M;
    const REJECTED: Ends = AtIdToken(502, "id_token_rejected");
    const UNREADABLE: Ends = AtIdToken(502, "provider_answer_unreadable");
    match misbehaviour {
        M::InvalidIssuer | M::MissingIssuer | M::MissingSubject | M::DuplicateSubject => REJECTED,
        M::InvalidAudience | M::MissingAudience | M::UntrustedAudience => REJECTED,
        M::MissingAuthorizedParty | M::InvalidAuthorizedParty => REJECTED,
        M::MissingIssuedAt | M::IssuedInAWeek | M::MissingExpiry | M::Expired | M::ExpiryAsText => REJECTED,
        M::InvalidNonce | M::MissingNonce => REJECTED,
        M::InvalidAccessTokenHash | M::AccessTokenHashOfUnknownAlgorithm => REJECTED,
        M::MissingAuthTime | M::OldAuthTime | M::InvalidAuthenticationContext => REJECTED,
        M::AudienceAsArray | M::IssuedAWeekAgo => Well,

        M::NoKeyIdSingleKey | M::NoKeyIdSeveralKeys => Well,
        M::AlgorithmNone | M::AlgorithmNoneCapitalized | M::AlgorithmNoneMixed => REJECTED,
        M::AlgorithmEmpty | M::AlgorithmMissing | M::EmptySignature => REJECTED,
        M::HmacWithPublicKey | M::HmacWithPublishedKey | M::HmacWithClientSecret | M::HmacWithEmptyKey => REJECTED,
        M::InvalidSignature | M::AnotherAlgorithm | M::KeyOfAnotherType | M::UnknownKeyId => REJECTED,
        M::RotatesKeys | M::RotatesKeysUnderTheirIds | M::KeysAmongUnusable => Well,
        M::KeyInHeader | M::KeyAddressInHeader | M::CertificateAddressInHeader => REJECTED,
        M::UnknownCriticalHeader | M::Encrypted => REJECTED,
        M::MissingIdToken => UNREADABLE,

        M::RefreshInvalidIssuer | M::RefreshInvalidSubject | M::RefreshInvalidAudience => Well,
        M::RefreshInvalidAuthTime | M::RefreshInvalidNonce => Well,
        M::RefreshWithoutIdToken | M::RefreshWithoutRefreshToken => Well,

        M::TokenTypeMac => UNREADABLE,
        M::TokenTypeMixedCase | M::ExpiresInMissing | M::ExpiresInText | M::ExpiresInZero => Well,
        M::ExpiresInNegative | M::ExpiresInHuge | M::ScopeMissing | M::ScopeNarrowed => Well,

        M::UserInfoInvalidSubject | M::UserInfoMissingSubject | M::UserInfoHtml => {
            AtUserInfo(502, "provider_answer_unreadable")
        }
        M::UserInfoEmailVerifiedText => Well,

        M::MetadataInvalidIssuer | M::MetadataInsecureEndpoints => AtLogin(502, "provider_answer_unreadable"),
        M::MetadataPlainChallenges => Well,
        M::DiscoveryDown => AtLogin(502, "provider_answer_unreadable"),
        M::KeysDown | M::KeysHtml => AtCallback(502, "provider_answer_unreadable"),
        M::KeysServerError => AtCallback(502, "provider_failed"),
        M::KeysEmpty => REJECTED,

        M::ResponseIssuerMissing | M::ResponseIssuerInvalid => AtCallback(400, "issuer_mismatch"),
        M::ResponseIssuerUnannounced => AtCallback(400, "issuer_mismatch"),
        M::ResponseIssuerUnsupported => Well,
        M::LogoutInvalidState | M::LogoutMissingState => Well,
        M::LogoutTokenWithoutEvents | M::LogoutTokenOfAnotherEvent | M::LogoutTokenWithNonce => Well,
        M::LogoutTokenWithoutId | M::LogoutTokenOfNobody | M::LogoutTokenUntyped => Well,
        M::LogoutTokenOfAnotherType => Well,
        _ => panic!("{misbehaviour:?} is not in the table"),
    }
}

/// What the app has to ask for, so that the misbehaviour is one.
fn configured(oidc: Oidc, misbehaviour: Misbehaviour) -> Oidc {
    match misbehaviour {
        Misbehaviour::MissingAuthTime | Misbehaviour::OldAuthTime => oidc.max_age(Duration::from_secs(3600)),
        Misbehaviour::InvalidAuthenticationContext => oidc.require_acr(["gold", "silver"]),
        _ => oidc,
    }
}

#[tokio::test]
async fn each_is_refused_or_borne_and_no_token_of_a_refused_answer_is_used() {
    // Making keys is what takes time.
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for misbehaviour in Misbehaviour::ALL.iter().copied() {
        let stage = Stage::at(&openid, |oidc| configured(oidc, misbehaviour), |builder| builder).await;
        stage.openid.set_misbehaviour(Some(misbehaviour));
        let found = stage.outcome().await;
        let (outcome, asks_token, asks_user_info) = match expected(misbehaviour) {
            Ends::Well => (alice(), 1, 1),
            Ends::AtLogin(status, code) | Ends::AtCallback(status, code) => (refused(status, code), 0, 0),
            Ends::AtIdToken(status, code) => (refused(status, code), 1, 0),
            Ends::AtUserInfo(status, code) => (refused(status, code), 1, 1),
        };
        assert_eq!(found, outcome, "{misbehaviour:?}");
        assert_eq!((stage.count(TOKEN), stage.count(USER_INFO)), (asks_token, asks_user_info), "{misbehaviour:?}");
        assert!(stage.count(KEYS) <= 2 && stage.count(METADATA) == 1, "{misbehaviour:?}: {:?}", stage.asked());
        assert!(!stage.asked().iter().any(|path| path.starts_with("/foreign")), "{misbehaviour:?}");
        // The same app goes on once the provider is itself again.
        stage.openid.set_misbehaviour(None);
        stage.app.clock.advance(Duration::from_secs(10));
        assert_eq!(stage.outcome().await, alice(), "{misbehaviour:?}, mended");
    }
}

#[tokio::test]
async fn signatures_of_every_algorithm_are_verified() {
    use SigningAlgorithm::{EdDsa, Es256, Hs256, Ps256, Rs256};
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for algorithm in [Rs256, Ps256, Es256, EdDsa, Hs256] {
        let stage = Stage::at(&openid, |oidc| oidc.signing_algorithms([algorithm]), |builder| builder).await;
        stage.openid.set_signing_algorithm(algorithm);
        assert_eq!(stage.outcome().await, alice(), "{algorithm:?}");
        assert_eq!(stage.count(KEYS), usize::from(algorithm != Hs256), "{algorithm:?}");
        stage.openid.set_misbehaviour(Some(Misbehaviour::InvalidSignature));
        assert_eq!(stage.outcome().await, refused(502, "id_token_rejected"), "{algorithm:?}");
        stage.openid.set_misbehaviour(None);
        let other = if algorithm == Es256 { EdDsa } else { Es256 };
        stage.openid.set_signing_algorithm(other);
        assert_eq!(stage.outcome().await, refused(502, "id_token_rejected"), "{other:?} in place of {algorithm:?}");
    }
}

#[tokio::test]
async fn what_depends_on_the_settings() {
    use Misbehaviour as M;
    type Configure = fn(Oidc) -> Oidc;
    let cases: [(&str, M, Configure); 5] = [
        ("an old sign-in where none was asked for", M::OldAuthTime, |oidc| oidc),
        ("an old sign-in within max_age", M::OldAuthTime, |oidc| oidc.max_age(Duration::from_secs(90_000))),
        ("another acr where it is only wished for", M::InvalidAuthenticationContext, |oidc| oidc.acr_values(["gold"])),
        ("another algorithm that is set", M::AnotherAlgorithm, |oidc| {
            oidc.signing_algorithms([SigningAlgorithm::Rs256, SigningAlgorithm::Ps256])
        }),
        ("UserInfo that is not asked", M::UserInfoInvalidSubject, |oidc| oidc.user_info(false)),
    ];
    for (name, misbehaviour, configure) in cases {
        let stage = Stage::with(configure).await;
        stage.openid.set_misbehaviour(Some(misbehaviour));
        assert_eq!(stage.outcome().await, alice(), "{name}");
    }
}
