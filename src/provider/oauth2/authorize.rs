//! The authorization URL (RFC 6749 section 4.1.1).

use super::OAuth2;
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::query::EndpointUrl;

/// The parameters that extra ones can't be: those set here, those that move the answer elsewhere or hide what is asked for in an
/// object, and those that are never for a browser to see.
pub(super) const OURS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "request",
    "request_uri",
    "client_secret",
    "code_verifier",
];

pub(super) fn url(provider: &OAuth2, request: &AuthorizationRequest<'_>) -> String {
    let mut url = EndpointUrl::new(&provider.authorization_endpoint);
    let mut add = |name: &str, value: &str| url.add(name, value);
    add("response_type", "code");
    add("client_id", &provider.client_id);
    add("redirect_uri", request.redirect_uri);
    if !provider.scopes.is_empty() {
        add("scope", &provider.scopes.join(" "));
    }
    add("state", request.state);
    add("code_challenge", request.code_challenge);
    add("code_challenge_method", "S256");
    let selects_account = provider.offers_accounts && request.select_account;
    if selects_account {
        add("prompt", "select_account");
    }
    for (name, value) in &provider.extra_parameters {
        if name != "prompt" || !selects_account {
            add(name, value);
        }
    }
    url.finish()
}
