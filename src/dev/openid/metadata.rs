use serde_json::{Value, json};

use super::keys::PUBLISHED;
use super::state::State;
use super::{Misbehaviour, end_session, routes};
use crate::provider::oidc::SigningAlgorithm;

/// What `/.well-known/openid-configuration` says (OpenID Connect Discovery 1.0 section 3, RFC 8414, RFC 9207 section 3).
pub(super) fn document(state: &State) -> Value {
    let base = match state.misbehaviour {
        Some(Misbehaviour::MetadataInsecureEndpoints) => "http://op.example.com",
        _ => &state.issuer,
    };
    let issuer = match state.misbehaviour {
        Some(Misbehaviour::MetadataInvalidIssuer) => state.other_issuer(),
        _ => state.issuer.clone(),
    };
    let challenges = match state.misbehaviour {
        Some(Misbehaviour::MetadataPlainChallenges) => "plain",
        _ => "S256",
    };
    let names_issuer = !matches!(
        state.misbehaviour,
        Some(Misbehaviour::ResponseIssuerUnannounced | Misbehaviour::ResponseIssuerUnsupported)
    );
    let mut algorithms = PUBLISHED.map(SigningAlgorithm::as_str).to_vec();
    if state.algorithm == SigningAlgorithm::Hs256 {
        algorithms.push(state.algorithm.as_str());
    }
    let at = |path: &str| format!("{base}{path}");
    json!({
        "issuer": issuer,
        "authorization_endpoint": at(routes::AUTHORIZE),
        "token_endpoint": at(routes::TOKEN),
        "userinfo_endpoint": at(routes::USER_INFO),
        "jwks_uri": at(routes::KEYS),
        "revocation_endpoint": at(routes::REVOKE),
        "end_session_endpoint": at(end_session::PATH),
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": [challenges],
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "claims_supported": ["sub", "sid", "name", "email", "email_verified", "auth_time", "acr"],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "authorization_response_iss_parameter_supported": names_issuer,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    })
}
