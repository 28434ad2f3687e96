//! The authorization URL.

use url::form_urlencoded::byte_serialize;

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
    let mut add = |before: &str, value: &str| {
        url.push_str(before);
        url.extend(byte_serialize(value.as_bytes()));
    };
    add("/siwbb/authorize?client_id=", &provider.client_id);
    add("&redirect_uri=", request.redirect_uri);
    add("&state=", request.state);
    if !provider.scopes.is_empty() {
        add("&scope=", &provider.scopes.join(","));
    }
    if let Some(claim) = &provider.shown_claim {
        add("&claimId=", claim);
    }
    if provider.hide_if_already_claimed {
        add("&hideIfAlreadyClaimed=true", "");
    }
    if provider.expect_verify_success {
        add("&expectVerifySuccess=true", "");
    }
    add("&response_type=code&code_challenge=", request.code_challenge);
    add("&code_challenge_method=S256", "");
    for (name, value) in &provider.extra_parameters {
        add("&", name);
        add("=", value);
    }
    url
}
