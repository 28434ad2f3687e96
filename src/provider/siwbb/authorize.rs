//! The authorization URL.

use url::form_urlencoded::Serializer;

use super::Siwbb;
use crate::oauth::authorize::AuthorizationRequest;

/// The parameters that extra ones can't replace.
pub(super) const OURS: &[&str] = &[
    "client_id",
    "redirect_uri",
    "state",
    "scope",
    "claimId",
    "hideIfAlreadyClaimed",
    "expectVerifySuccess",
    "response_type",
    "code_challenge",
    "code_challenge_method",
];

/// Most URLs take less.
const ROOM: usize = 512;

/// Every value is form-encoded. Scopes are joined by commas, not by the spaces of RFC 6749: so the BitBadges
/// documentation has it.
pub(super) fn url(provider: &Siwbb, request: &AuthorizationRequest<'_>) -> String {
    let mut url = String::with_capacity(ROOM);
    url.push_str(&provider.website);
    url.push_str("/siwbb/authorize?");
    let start = url.len();
    let mut query = Serializer::for_suffix(&mut url, start);
    query
        .append_pair("client_id", &provider.client_id)
        .append_pair("redirect_uri", request.redirect_uri)
        .append_pair("state", request.state);
    if !provider.scopes.is_empty() {
        query.append_pair("scope", &provider.scopes.join(","));
    }
    if let Some(claim) = &provider.shown_claim {
        query.append_pair("claimId", claim);
    }
    if provider.hide_if_already_claimed {
        query.append_pair("hideIfAlreadyClaimed", "true");
    }
    if provider.expect_verify_success {
        query.append_pair("expectVerifySuccess", "true");
    }
    query
        .append_pair("response_type", "code")
        .append_pair("code_challenge", request.code_challenge)
        .append_pair("code_challenge_method", "S256")
        .extend_pairs(&provider.extra_parameters);
    url
}
