//! Where the browser is sent: to sign in (OpenID Connect Core section 3.1.2.1), and to sign out there, too (RP-Initiated Logout
//! section 2).

use serde_json::json;

use super::Oidc;
use super::metadata::Metadata;
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::end_session::EndSessionRequest;
use crate::oauth::query::EndpointUrl;

/// The parameters that extra ones can't be: those set here, those that move the answer elsewhere or hide what is asked for in an
/// object, and those that are never for a browser to see.
pub(super) const OURS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "max_age",
    "acr_values",
    "claims",
    "prompt",
    "login_hint",
    "id_token_hint",
    "response_mode",
    "request",
    "request_uri",
    "client_secret",
    "code_verifier",
];

/// Those of signing out.
pub(super) const END_SESSION: &[&str] = &["id_token_hint", "client_id", "post_logout_redirect_uri", "state"];

const OPENID: &str = "openid";
const SELECT_ACCOUNT: &str = "select_account";

pub(super) fn url(provider: &Oidc, metadata: &Metadata, request: &AuthorizationRequest<'_>) -> String {
    let mut url = EndpointUrl::new(&metadata.authorization_endpoint);
    let further = provider.scopes.iter().map(String::as_str).filter(|scope| *scope != OPENID);
    url.add("response_type", "code");
    url.add("client_id", &provider.client_id);
    url.add("redirect_uri", request.redirect_uri);
    url.add("scope", &[OPENID].into_iter().chain(further).collect::<Vec<_>>().join(" "));
    url.add("state", request.state);
    url.add("nonce", &request.nonce());
    url.add("code_challenge", request.code_challenge);
    url.add("code_challenge_method", "S256");
    if let Some(age) = provider.max_age {
        url.add("max_age", &age.as_secs().to_string());
    }
    // Not both at once: what that comes to is not specified (Core section 5.5.1.1).
    if provider.requires_acr && metadata.knows_claims_parameter() {
        // A provider that knows this parameter says so itself where it can't do it.
        let acr = json!({"id_token": {"acr": {"essential": true, "values": provider.acr_values}}});
        url.add("claims", &acr.to_string());
    } else if !provider.acr_values.is_empty() {
        url.add("acr_values", &provider.acr_values.join(" "));
    }
    if let Some(prompt) = prompt(provider.prompt.as_deref(), request.select_account) {
        url.add("prompt", &prompt);
    }
    if let Some(hint) = request.login_hint {
        url.add("login_hint", hint);
    }
    for (name, value) in &provider.extra_parameters {
        url.add(name, value);
    }
    url.finish()
}

/// Nothing else may stand beside `none`, and then nobody could choose an account.
fn prompt(configured: Option<&str>, selects_account: bool) -> Option<String> {
    match configured {
        _ if !selects_account => configured.map(str::to_owned),
        None | Some("none") => Some(SELECT_ACCOUNT.to_owned()),
        Some(prompt) if prompt.split(' ').any(|word| word == SELECT_ACCOUNT) => Some(prompt.to_owned()),
        Some(prompt) => Some(format!("{prompt} {SELECT_ACCOUNT}")),
    }
}

pub(super) fn end_session_url(provider: &Oidc, metadata: &Metadata, request: &EndSessionRequest<'_>) -> Option<String> {
    let mut url = EndpointUrl::new(metadata.end_session_endpoint.as_deref()?);
    if let Some(id_token) = request.tokens.and_then(|tokens| tokens.id_token()) {
        url.add("id_token_hint", id_token);
    }
    url.add("client_id", &provider.client_id);
    url.add("post_logout_redirect_uri", request.post_logout_redirect_uri);
    url.add("state", request.state);
    Some(url.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::oidc::signing::answer;

    #[test]
    fn a_way_of_signing_in_is_asked_for_once() {
        let wished = || Oidc::discover("https://id.example.com", "id", "secret").acr_values(["gold", "silver"]);
        let required = || wished().require_acr(["gold"]);
        for (provider, knows_claims, expected) in [
            (wished(), false, ("gold silver", "")),
            (wished(), true, ("gold silver", "")),
            (required(), false, ("gold", "")),
            (required(), true, ("", r#"{"id_token":{"acr":{"essential":true,"values":["gold"]}}}"#)),
        ] {
            let document = json!({
                "issuer": "https://id.example.com",
                "authorization_endpoint": "https://id.example.com/authorize",
                "token_endpoint": "https://id.example.com/token",
                "jwks_uri": "https://id.example.com/jwks",
                "claims_parameter_supported": knows_claims,
            });
            let metadata = Metadata::read(&answer(&document.to_string()), "https://id.example.com").unwrap();
            let request = AuthorizationRequest::new("https://app.example.com/cb", "state", "challenge");
            let url = url::Url::parse(&url(&provider, &metadata, &request)).unwrap();
            let asked = |name| url.query_pairs().find(|(asked, _)| asked == name).map(|(_, value)| value.into_owned());
            let found = ["acr_values", "claims"].map(|name| asked(name).unwrap_or_default());
            assert_eq!((found[0].as_str(), found[1].as_str()), expected, "{knows_claims}");
        }
    }

    #[test]
    fn what_the_provider_is_to_show() {
        for (configured, selects_account, expected) in [
            (None, false, None),
            (None, true, Some("select_account")),
            (Some("login"), false, Some("login")),
            (Some("login consent"), true, Some("login consent select_account")),
            (Some("select_account login"), true, Some("select_account login")),
            (Some("none"), false, Some("none")),
            (Some("none"), true, Some("select_account")),
        ] {
            assert_eq!(prompt(configured, selects_account).as_deref(), expected, "{configured:?} {selects_account}");
        }
    }
}
