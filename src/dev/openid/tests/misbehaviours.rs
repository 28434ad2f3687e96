use std::time::SystemTime;

use aws_lc_rs::{digest, hmac};

use super::*;
use crate::clock::unix_seconds;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What each switch changes is there with it, and not without it.
#[tokio::test]
async fn each_changes_what_the_provider_says() {
    let provider = OpenIdProvider::start().await.unwrap();
    let plain = Said::by(&provider, None).await;
    let mut without_effect = Vec::new();
    for how in Misbehaviour::ALL.iter().copied() {
        assert!(!shows(how, &plain), "{how:?} is there without being asked for");
        if !shows(how, &Said::by(&provider, Some(how)).await) {
            without_effect.push(how);
        }
    }
    assert_eq!(without_effect, []);
    assert!(is_right(&Said::by(&provider, None).await), "and all is well again");
}

#[tokio::test]
async fn all_are_listed_once_and_those_about_signatures_leave_other_algorithms_right() {
    let distinct: std::collections::HashSet<_> = Misbehaviour::ALL.iter().collect();
    assert_eq!(distinct.len(), Misbehaviour::ALL.len());
    for (at, how) in Misbehaviour::ALL.iter().enumerate() {
        assert_eq!(*how as usize, at, "{how:?}");
    }
    let provider = OpenIdProvider::start().await.unwrap();
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Ps256] {
        provider.set_signing_algorithm(algorithm);
        let said = Said::by(&provider, Some(Misbehaviour::InvalidSignature)).await;
        assert_eq!(said.header["alg"], algorithm.as_str());
        assert!(!is_signed(&said.id_token, &said.keys_before) && !said.signature().is_empty(), "{algorithm:?}");
        for how in [Misbehaviour::AnotherAlgorithm, Misbehaviour::RotatesKeys, Misbehaviour::NoKeyIdSingleKey] {
            let said = Said::by(&provider, Some(how)).await;
            assert!(is_signed(&said.id_token, &said.keys), "{algorithm:?} {how:?}");
            assert_eq!(
                said.header["alg"] != algorithm.as_str(),
                how == Misbehaviour::AnotherAlgorithm,
                "{algorithm:?}"
            );
        }
    }
}

/// A whole sign-in, as it was seen.
struct Said {
    issuer: String,
    /// Null where nothing came, or no JSON.
    metadata: Value,
    /// The answer for the key set before the sign-in, and what it says before and after.
    keys_reply: Option<Reply>,
    keys_before: Value,
    keys: Value,
    /// Where the browser was sent, with a code and with an error.
    approved: String,
    denied: String,
    tokens: Value,
    id_token: String,
    header: Value,
    claims: Value,
    user_info: Reply,
    refreshed: Value,
    refreshed_claims: Value,
    /// Whether the old refresh token goes on.
    old_goes_on: bool,
    signed_out: String,
    logout_header: Value,
    logout_claims: Value,
    /// The key set that `jku` leads to.
    foreign_keys: Value,
}

impl Said {
    async fn by(provider: &OpenIdProvider, misbehaviour: Option<Misbehaviour>) -> Self {
        provider.set_misbehaviour(misbehaviour);
        let json = |reply: &Option<Reply>| {
            reply.as_ref().and_then(|reply| serde_json::from_slice(&reply.body).ok()).unwrap_or_default()
        };
        let metadata = json(&try_call(provider, "GET", "/.well-known/openid-configuration", &[], "").await);
        let keys_reply = try_call(provider, "GET", "/jwks", &[], "").await;
        let keys_before = json(&keys_reply);
        let target = authorization_target(&[("acr_values", "urn:mfa")]);
        let url = format!("{}{target}", provider.issuer());
        let approved = provider.approve(&url, &Account::alice()).unwrap();
        let denied = provider.deny(&url).unwrap();
        let tokens = redeem(provider, &parameter(&approved, "code").unwrap()).await.json();
        let text = |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_default().to_owned();
        let id_token = text(&tokens, "id_token");
        let keys = json(&try_call(provider, "GET", "/jwks", &[], "").await);
        let old = text(&tokens, "refresh_token");
        let user_info = user_info(provider, &text(&tokens, "access_token")).await;
        let refreshed = refresh(provider, &old).await.json();
        let uri = "http://localhost:3000/out";
        let logout_token = provider.logout_token(CLIENT_ID, Some("1001"), Some("7e")).unwrap();
        let query = encoded(&[("client_id", CLIENT_ID), ("post_logout_redirect_uri", uri), ("state", "7e")]);
        Self {
            issuer: provider.issuer().to_owned(),
            header: part(&id_token, 0),
            claims: part(&id_token, 1),
            refreshed_claims: part(&text(&refreshed, "id_token"), 1),
            old_goes_on: refresh(provider, &old).await.status == 200,
            signed_out: provider.end_session(&format!("{}/end_session?{query}", provider.issuer())).unwrap().unwrap(),
            logout_header: part(&logout_token, 0),
            logout_claims: part(&logout_token, 1),
            foreign_keys: get(provider, "/foreign/jwks").await.json(),
            metadata,
            keys_reply,
            keys_before,
            keys,
            approved,
            denied,
            tokens,
            id_token,
            user_info,
            refreshed,
        }
    }

    fn signature(&self) -> &str {
        self.id_token.rsplit('.').next().unwrap()
    }

    /// Whether the HMAC with this key is the signature, and the header one that is not refused for its shape.
    fn is_hmac(&self, key: &[u8]) -> bool {
        let message = self.id_token.rsplit_once('.').unwrap().0;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let is_header = self.header["alg"] == "HS256" && self.header.get("kid").is_none_or(Value::is_string);
        is_header && hmac::verify(&key, message.as_bytes(), &decoded(self.signature())).is_ok()
    }

    /// The key that the header names.
    fn key<'a>(&self, keys: &'a Value) -> Option<&'a Value> {
        keys["keys"].as_array()?.iter().find(|key| key.get("kid") == self.header.get("kid"))
    }

    fn is_hash_right(&self) -> bool {
        let digest = digest::digest(&digest::SHA256, self.tokens["access_token"].as_str().unwrap().as_bytes());
        decoded(self.claims["at_hash"].as_str().unwrap_or_default()) == digest.as_ref()[..16]
    }

    fn is_unsigned(&self, algorithm: &Value) -> bool {
        self.id_token.ends_with('.') && self.header.get("alg").unwrap_or(&Value::Null) == algorithm
    }
}

fn is_right(said: &Said) -> bool {
    let is_logout = said.logout_claims["events"][EVENT].is_object() && said.logout_header["typ"] == "logout+jwt";
    is_signed(&said.id_token, &said.keys) && said.is_hash_right() && said.claims["nonce"] == NONCE && is_logout
}

fn shows(how: Misbehaviour, said: &Said) -> bool {
    use Misbehaviour as M;
    let now = unix_seconds(SystemTime::now());
    let (header, claims, tokens) = (&said.header, &said.claims, &said.tokens);
    let has_claims = claims.is_object();
    let lacks = |claim: &str| has_claims && claims.get(claim).is_none();
    let time = |claim: &str| claims[claim].as_u64().unwrap_or(now);
    let signed = || is_signed(&said.id_token, &said.keys);
    let keys = |at: usize| &said.keys["keys"][at];
    let key_count = said.keys["keys"].as_array().map_or(0, Vec::len);
    let refreshed = &said.refreshed_claims;
    let differs = |claim: &str| refreshed.is_object() && refreshed[claim] != claims[claim];
    let person = || said.user_info.json();
    let iss = |url: &str| parameter(url, "iss");
    let ours = Some(said.issuer.clone());
    let logout = &said.logout_claims;
    let announced = said.metadata["authorization_response_iss_parameter_supported"] == true;
    let two_audiences = claims["aud"].as_array().is_some_and(|all| all.len() == 2 && all[0] == CLIENT_ID);
    match how {
        M::InvalidIssuer => signed() && claims["iss"].is_string() && claims["iss"] != said.issuer.as_str(),
        M::MissingIssuer => signed() && lacks("iss"),
        M::MissingSubject => signed() && lacks("sub"),
        M::DuplicateSubject => {
            let payload = decoded(said.id_token.split('.').nth(1).unwrap_or_default());
            signed() && String::from_utf8(payload).unwrap().matches("\"sub\":").count() == 2
        }
        M::InvalidAudience => signed() && claims["aud"].is_string() && claims["aud"] != CLIENT_ID,
        M::MissingAudience => signed() && lacks("aud"),
        M::AudienceAsArray => signed() && claims["aud"] == serde_json::json!([CLIENT_ID]),
        M::UntrustedAudience => signed() && two_audiences && claims["azp"] == CLIENT_ID,
        M::MissingAuthorizedParty => signed() && two_audiences && lacks("azp"),
        M::InvalidAuthorizedParty => {
            signed() && claims["aud"] == CLIENT_ID && claims["azp"].is_string() && claims["azp"] != CLIENT_ID
        }
        M::MissingIssuedAt => signed() && lacks("iat"),
        M::IssuedInAWeek => signed() && time("iat") > now + 600_000 && time("exp") > time("iat"),
        M::IssuedAWeekAgo => signed() && time("iat") + 600_000 < now && time("exp") > now,
        M::MissingExpiry => signed() && lacks("exp"),
        M::Expired => signed() && time("exp") + 500 < now,
        M::ExpiryAsText => signed() && claims["exp"].as_str().is_some_and(|text| text.parse::<u64>().unwrap() > now),
        M::InvalidNonce => signed() && claims["nonce"].is_string() && claims["nonce"] != NONCE,
        M::MissingNonce => signed() && lacks("nonce"),
        M::InvalidAccessTokenHash => signed() && !lacks("at_hash") && !said.is_hash_right(),
        M::AccessTokenHashOfUnknownAlgorithm => header["alg"] == "XX999" && said.is_hash_right(),
        M::MissingAuthTime => signed() && lacks("auth_time"),
        M::OldAuthTime => signed() && time("auth_time") + 80_000 < now,
        M::InvalidAuthenticationContext => signed() && claims["acr"].is_string() && claims["acr"] != "urn:mfa",

        M::NoKeyIdSingleKey => {
            header.get("kid").is_none() && key_count == 1 && keys(0).get("kid").is_none() && signed()
        }
        M::NoKeyIdSeveralKeys => {
            let by = |at| is_signed_by(&said.id_token, keys(at));
            let without_ids = header.get("kid").is_none() && (0..2).all(|at| keys(at).get("kid").is_none());
            key_count == 2 && without_ids && keys(0)["kty"] == keys(1)["kty"] && !by(0) && by(1)
        }
        M::AlgorithmNone => said.is_unsigned(&"none".into()),
        M::AlgorithmNoneCapitalized => said.is_unsigned(&"None".into()),
        M::AlgorithmNoneMixed => said.is_unsigned(&"nOnE".into()),
        M::AlgorithmEmpty => said.is_unsigned(&"".into()),
        M::AlgorithmMissing => header.is_object() && said.is_unsigned(&Value::Null),
        M::EmptySignature => said.is_unsigned(&"RS256".into()),
        M::HmacWithPublicKey => said.key(&said.keys).is_some_and(|key| said.is_hmac(pem(key).as_bytes())),
        M::HmacWithPublishedKey => said
            .key(&said.keys)
            .is_some_and(|key| key["kty"] == "oct" && said.is_hmac(&decoded(key["k"].as_str().unwrap()))),
        M::HmacWithClientSecret => said.is_hmac(CLIENT_SECRET.as_bytes()),
        M::HmacWithEmptyKey => said.is_hmac(b""),
        M::InvalidSignature => {
            let right_length = decoded(said.signature()).len() == 256;
            header["alg"] == "RS256" && said.key(&said.keys).is_some() && right_length && !signed()
        }
        M::AnotherAlgorithm => header["alg"] == "PS256" && signed(),
        M::KeyOfAnotherType => header["alg"] == "RS256" && said.key(&said.keys).is_some_and(|key| key["kty"] == "EC"),
        M::UnknownKeyId => header["kid"].is_string() && said.key(&said.keys).is_none() && key_count == 4,
        M::RotatesKeys => said.key(&said.keys_before).is_none() && signed_once_rotated(said),
        M::RotatesKeysUnderTheirIds => said.key(&said.keys_before).is_some() && signed_once_rotated(said),
        M::KeyInHeader => !signed() && said.key(&said.keys).is_some() && is_signed_by(&said.id_token, &header["jwk"]),
        M::KeyAddressInHeader => {
            let there = header["jku"] == format!("{}/foreign/jwks", said.issuer);
            there && !signed() && said.key(&said.keys).is_some() && is_signed(&said.id_token, &said.foreign_keys)
        }
        M::CertificateAddressInHeader => {
            let there = header["x5u"] == format!("{}/foreign/certificate", said.issuer);
            there && !signed() && said.key(&said.keys).is_some() && is_signed(&said.id_token, &said.foreign_keys)
        }
        M::UnknownCriticalHeader => {
            signed() && header["crit"][0].as_str().is_some_and(|name| header.get(name).is_some())
        }
        M::Encrypted => said.id_token.split('.').count() == 5 && header["enc"].is_string(),
        M::MissingIdToken => tokens.get("id_token").is_none() && tokens["access_token"].is_string(),

        M::RefreshInvalidIssuer => is_right(said) && differs("iss"),
        M::RefreshInvalidSubject => is_right(said) && differs("sub"),
        M::RefreshInvalidAudience => is_right(said) && differs("aud"),
        M::RefreshInvalidAuthTime => is_right(said) && differs("auth_time"),
        M::RefreshInvalidNonce => is_right(said) && differs("nonce") && refreshed["nonce"].is_string(),
        M::RefreshWithoutIdToken => is_right(said) && said.refreshed.get("id_token").is_none(),
        M::RefreshWithoutRefreshToken => {
            is_right(said) && said.refreshed.get("refresh_token").is_none() && said.old_goes_on
        }

        M::TokenTypeMac => tokens["token_type"] == "mac",
        M::TokenTypeMixedCase => tokens["token_type"] == "bEaReR",
        M::ExpiresInMissing => tokens.get("expires_in").is_none(),
        M::ExpiresInText => tokens["expires_in"] == "3600",
        M::ExpiresInZero => tokens["expires_in"] == 0,
        M::ExpiresInNegative => tokens["expires_in"] == -1,
        M::ExpiresInHuge => tokens["expires_in"].as_f64().is_some_and(|seconds| seconds > 1e29),
        M::ScopeMissing => tokens.get("scope").is_none(),
        M::ScopeNarrowed => tokens["scope"] == "openid" && person().get("email").is_none(),

        M::UserInfoInvalidSubject => person_differs(said, |sub| sub.is_some_and(|sub| *sub != claims["sub"])),
        M::UserInfoMissingSubject => person_differs(said, |sub| sub.is_none()),
        M::UserInfoHtml => {
            said.user_info.status == 200 && said.user_info.header("content-type").starts_with("text/html")
        }
        M::UserInfoEmailVerifiedText => {
            person_differs(said, |sub| sub.is_some()) && person()["email_verified"] == "true"
        }

        M::MetadataInvalidIssuer => said.metadata["issuer"]
            .as_str()
            .is_some_and(|issuer| issuer != said.issuer && issuer.contains(&said.issuer)),
        M::MetadataInsecureEndpoints => {
            let names = ["authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"];
            names
                .iter()
                .all(|name| said.metadata[*name].as_str().is_some_and(|at| at.starts_with("http://op.example.com/")))
        }
        M::MetadataPlainChallenges => said.metadata["code_challenge_methods_supported"] == serde_json::json!(["plain"]),
        M::DiscoveryDown => said.metadata.is_null(),
        M::KeysDown => said.keys_reply.is_none(),
        M::KeysServerError => said.keys_reply.as_ref().is_some_and(|reply| reply.status == 500),
        M::KeysHtml => said
            .keys_reply
            .as_ref()
            .is_some_and(|reply| reply.status == 200 && reply.header("content-type").starts_with("text/html")),
        M::KeysEmpty => said.keys == serde_json::json!({ "keys": [] }),
        M::KeysAmongUnusable => {
            let ids = said.keys["keys"].as_array().into_iter().flatten();
            ids.filter(|key| key.get("kid") == header.get("kid")).any(|key| key["kty"] == "LATTICE")
        }

        M::ResponseIssuerMissing => announced && iss(&said.approved).is_none() && iss(&said.denied).is_none(),
        M::ResponseIssuerInvalid => {
            announced && [&said.approved, &said.denied].iter().all(|url| iss(url).is_some() && iss(url) != ours)
        }
        M::ResponseIssuerUnannounced => {
            !announced && [&said.approved, &said.denied].iter().all(|url| iss(url).is_some() && iss(url) != ours)
        }
        M::ResponseIssuerUnsupported => !announced && iss(&said.approved).is_none() && iss(&said.denied).is_none(),
        M::LogoutInvalidState => parameter(&said.signed_out, "state").is_some_and(|state| state != "7e"),
        M::LogoutMissingState => parameter(&said.signed_out, "state").is_none(),
        M::LogoutTokenWithoutEvents => logout["jti"].is_string() && logout.get("events").is_none(),
        M::LogoutTokenOfAnotherEvent => {
            logout["events"].as_object().is_some_and(|events| events.len() == 1 && !events.contains_key(EVENT))
        }
        M::LogoutTokenWithNonce => logout["jti"].is_string() && logout["nonce"].is_string(),
        M::LogoutTokenWithoutId => logout["events"][EVENT].is_object() && logout.get("jti").is_none(),
        M::LogoutTokenOfNobody => ["sub", "sid"].iter().all(|name| logout.get(name).is_none()),
        M::LogoutTokenUntyped => said.logout_header["kid"].is_string() && said.logout_header.get("typ").is_none(),
        M::LogoutTokenOfAnotherType => said.logout_header["typ"] == "at+jwt",
    }
}

/// Not by the keys of before, but by those that a client would fetch after the answer. By now a refresh has changed them again,
/// but `said.keys` is from before that.
fn signed_once_rotated(said: &Said) -> bool {
    !is_signed(&said.id_token, &said.keys_before) && is_signed(&said.id_token, &said.keys)
}

/// An answer of UserInfo with all else in it, and such a `sub`.
fn person_differs(said: &Said, sub: impl Fn(Option<&Value>) -> bool) -> bool {
    let person: Value = serde_json::from_slice(&said.user_info.body).unwrap_or_default();
    said.user_info.status == 200 && person["email"] == "alice@example.com" && sub(person.get("sub"))
}

/// The public key as PEM, made from the JWK by other code than the server's.
fn pem(key: &Value) -> String {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::PublicKeyComponents;
    let (Some(n), Some(e)) = (key["n"].as_str(), key["e"].as_str()) else { return String::new() };
    let der = PublicKeyComponents { n: decoded(n), e: decoded(e) }.as_der().unwrap();
    let text = STANDARD.encode_to_string(der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}
