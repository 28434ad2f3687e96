use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::state::{Authorization, State};
use super::{Misbehaviour, signature};
use crate::dev::DevError;
use crate::dev::state::hash;
use crate::provider::oidc::SigningAlgorithm;

/// An ID token (OpenID Connect Core 1.0 sections 2 and 3.1.3.6; for a refresh 12.2), or what the misbehaviour makes of it.
pub(super) fn issue(
    state: &mut State,
    authorization: &Authorization,
    access_token: &str,
    refreshed: bool,
) -> Result<String, DevError> {
    match state.misbehaviour {
        Some(Misbehaviour::RotatesKeys) => state.rotate_keys(false)?,
        Some(Misbehaviour::RotatesKeysUnderTheirIds) => state.rotate_keys(true)?,
        _ => {}
    }
    let mut claims = claims(state, authorization, access_token, refreshed);
    alter(state, &mut claims);
    if refreshed {
        alter_refreshed(state, &mut claims);
    }
    let mut payload = Value::Object(claims).to_string();
    if state.misbehaves(Misbehaviour::DuplicateSubject) {
        payload.insert_str(1, &format!("\"sub\":\"{OTHER}\","));
    }
    let client = state.clients.get(&authorization.client_id);
    let secret = client.and_then(|client| client.secret.clone()).unwrap_or_default();
    let token = signature::sign(state, Some("JWT"), &payload, secret.as_bytes())?;
    state.id_tokens.insert([hash(&token)], authorization.session());
    Ok(token)
}

fn claims(state: &State, authorization: &Authorization, access_token: &str, refreshed: bool) -> Map<String, Value> {
    let now = state.now();
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", json!(state.issuer));
    set("sub", json!(authorization.account.subject));
    set("sid", json!(authorization.session_id));
    set("aud", json!(authorization.client_id));
    set("iat", json!(now));
    set("exp", json!(now.saturating_add(LIFETIME)));
    set("auth_time", json!(authorization.auth_time));
    set("at_hash", json!(access_token_hash(state.algorithm, access_token)));
    if state.names_authorized_party {
        set("azp", json!(authorization.client_id));
    }
    if let Some(acr) = &authorization.acr {
        set("acr", json!(acr));
    }
    if let (Some(nonce), false) = (&authorization.nonce, refreshed) {
        set("nonce", json!(nonce));
    }
    claims
}

/// What is wrong with logout tokens, too.
pub(super) fn alter(state: &State, claims: &mut Map<String, Value>) {
    use Misbehaviour as M;
    let now = state.now();
    let client = claims.get("aud").cloned().unwrap_or_default();
    let mut set = |name: &str, value: Value| _ = claims.insert(name.to_owned(), value);
    match state.misbehaviour {
        Some(M::InvalidIssuer) => set("iss", json!(state.other_issuer())),
        Some(M::InvalidAudience) => set("aud", json!(OTHER)),
        Some(M::AudienceAsArray) => set("aud", json!([client])),
        Some(M::UntrustedAudience) => {
            set("aud", json!([client, OTHER]));
            set("azp", client);
        }
        Some(M::MissingAuthorizedParty) => {
            set("aud", json!([client, OTHER]));
            claims.remove("azp");
        }
        Some(M::InvalidAuthorizedParty) => set("azp", json!(OTHER)),
        Some(M::IssuedInAWeek) => {
            set("iat", json!(now.saturating_add(WEEK)));
            set("exp", json!(now.saturating_add(WEEK + LIFETIME)));
        }
        Some(M::IssuedAWeekAgo) => set("iat", json!(now.saturating_sub(WEEK))),
        Some(M::Expired) => {
            set("iat", json!(now.saturating_sub(LIFETIME)));
            set("exp", json!(now.saturating_sub(600)));
        }
        Some(M::ExpiryAsText) => set("exp", json!(now.saturating_add(LIFETIME).to_string())),
        Some(M::InvalidNonce) => set("nonce", json!(OTHER)),
        Some(M::InvalidAccessTokenHash) => set("at_hash", json!(access_token_hash(state.algorithm, OTHER))),
        Some(M::OldAuthTime) => set("auth_time", json!(now.saturating_sub(DAY))),
        Some(M::InvalidAuthenticationContext) => set("acr", json!(OTHER)),
        Some(M::MissingIssuer) => _ = claims.remove("iss"),
        Some(M::MissingSubject) => _ = claims.remove("sub"),
        Some(M::MissingAudience) => _ = claims.remove("aud"),
        Some(M::MissingIssuedAt) => _ = claims.remove("iat"),
        Some(M::MissingExpiry) => _ = claims.remove("exp"),
        Some(M::MissingNonce) => _ = claims.remove("nonce"),
        Some(M::MissingAuthTime) => _ = claims.remove("auth_time"),
        _ => {}
    }
}

fn alter_refreshed(state: &State, claims: &mut Map<String, Value>) {
    let (name, value) = match state.misbehaviour {
        Some(Misbehaviour::RefreshInvalidIssuer) => ("iss", json!(state.other_issuer())),
        Some(Misbehaviour::RefreshInvalidSubject) => ("sub", json!(OTHER)),
        Some(Misbehaviour::RefreshInvalidAudience) => ("aud", json!(OTHER)),
        Some(Misbehaviour::RefreshInvalidAuthTime) => ("auth_time", json!(state.now().saturating_sub(DAY))),
        Some(Misbehaviour::RefreshInvalidNonce) => ("nonce", json!(OTHER)),
        _ => return,
    };
    claims.insert(name.to_owned(), value);
}

/// The left half of the hash that the algorithm uses (section 3.1.3.6); for Ed25519 that is SHA-512.
fn access_token_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let algorithm = match algorithm {
        SigningAlgorithm::EdDsa => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let digest = digest::digest(algorithm, access_token.as_bytes());
    let (left, _) = digest.as_ref().split_at(digest.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode_to_string(left)
}

/// Subject, audience or nonce of nobody here.
pub(super) const OTHER: &str = "somebody-else";
pub(super) const LIFETIME: u64 = 60 * 60;
const DAY: u64 = 24 * 60 * 60;
const WEEK: u64 = 7 * DAY;
