//! The provider's metadata (OpenID Connect Discovery section 3), read with distrust.

use bytes::Bytes;
use http::{Response, Uri};
use serde::Deserialize;
use url::Url;

use super::authorize::{END_SESSION, OURS};
use crate::error::Error;
use crate::oauth::answer::{json, unreadable};
use crate::oauth::query::reserved_in_query;
use crate::redirect_uri::is_loopback_host;

/// What is used of the metadata. Members that are unknown are ignored, and one that is there twice makes the whole unreadable.
#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    #[serde(rename = "userinfo_endpoint")]
    pub(super) user_info_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    #[serde(rename = "authorization_response_iss_parameter_supported")]
    names_issuer: Option<bool>,
    #[serde(rename = "id_token_signing_alg_values_supported")]
    pub(super) signing_algorithms: Option<Vec<String>>,
    #[serde(rename = "token_endpoint_auth_methods_supported")]
    pub(super) client_authentication: Option<Vec<String>>,
    #[serde(rename = "claims_parameter_supported")]
    knows_claims_parameter: Option<bool>,
    #[serde(rename = "code_challenge_methods_supported")]
    pub(super) code_challenge_methods: Option<Vec<String>>,
}

impl Metadata {
    /// Where it lies (Discovery section 4).
    pub(super) fn url(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
    }

    /// The metadata of this issuer and of no other, with endpoints as secure as the issuer itself.
    pub(super) fn read(answer: &Response<Bytes>, issuer: &str) -> Result<Self, Error> {
        let metadata: Self = json(answer)?;
        if metadata.issuer != issuer {
            // Nothing secret was sent, so nothing secret can come back.
            let found = metadata.issuer.chars().take(200).collect::<String>();
            return Err(unreadable("the metadata names another issuer")
                .with_source(format!("it names {found:?}, and the settings {issuer:?}")));
        }
        let is_plain = issuer.starts_with("http:");
        for (name, endpoint) in metadata.endpoints() {
            if !is_as_secure(endpoint, is_plain) {
                return Err(unreadable("an endpoint is not as secure as the issuer, or no URL").with_source(name));
            }
        }
        let end_session = metadata.end_session_endpoint.as_deref().unwrap_or_default();
        for (endpoint, ours) in [(metadata.authorization_endpoint.as_str(), OURS), (end_session, END_SESSION)] {
            if let Some(name) = reserved_in_query(endpoint, ours) {
                return Err(unreadable("an endpoint has a parameter that is set here").with_source(name));
            }
        }
        Ok(metadata)
    }

    /// Whether single claims may be asked for (Core section 5.5). A provider that does not say so does not know how.
    pub(super) fn knows_claims_parameter(&self) -> bool {
        self.knows_claims_parameter == Some(true)
    }

    /// Whether each answer of the provider names it (RFC 9207 section 3).
    pub(super) fn names_issuer(&self) -> bool {
        self.names_issuer == Some(true)
    }

    fn endpoints(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let optional = [
            ("userinfo_endpoint", &self.user_info_endpoint),
            ("revocation_endpoint", &self.revocation_endpoint),
            ("end_session_endpoint", &self.end_session_endpoint),
        ];
        let required = [
            ("authorization_endpoint", &self.authorization_endpoint),
            ("token_endpoint", &self.token_endpoint),
            ("jwks_uri", &self.jwks_uri),
        ];
        let optional = optional.into_iter().filter_map(|(name, url)| Some((name, url.as_deref()?)));
        required.into_iter().map(|(name, url)| (name, url.as_str())).chain(optional)
    }
}

/// https, or where the issuer is plain http on loopback, the same. A fragment would swallow what is appended, and a name or
/// password has no place there.
fn is_as_secure(endpoint: &str, is_plain: bool) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    let is_secure = match url.scheme() {
        "https" => !is_plain,
        "http" => is_plain && url.host_str().is_some_and(is_loopback_host),
        _ => false,
    };
    let is_bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    // One reader alone must not see another host in it.
    let is_unambiguous = endpoint.parse::<Uri>().is_ok_and(|uri| uri.host() == url.host_str());
    is_secure && is_bare && is_unambiguous
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error::ErrorKind;
    use crate::provider::oidc::signing::answer;

    fn of(issuer: &str) -> Value {
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize?tenant=a"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    /// The reason for which it is refused, with the place; empty where it is taken.
    fn refusal(issuer: &str, members: &Value) -> String {
        let mut document = of(issuer);
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        let Err(error) = Metadata::read(&answer(&document.to_string()), issuer) else { return String::new() };
        assert_eq!(error.kind(), ErrorKind::ProviderAnswer);
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{}: {source}", error.reason().unwrap_or_default())
    }

    #[test]
    fn the_issuer_is_the_one_of_the_settings_byte_for_byte() {
        let ours = "https://id.example.com";
        for (name, issuer) in [
            ("another", "https://evil.example"),
            ("a slash more", "https://id.example.com/"),
            ("another case", "https://ID.example.com"),
            ("the port spelled out", "https://id.example.com:443"),
            ("plain", "http://id.example.com"),
            ("a path more", "https://id.example.com/tenant"),
            ("empty", ""),
        ] {
            let found = refusal(ours, &json!({ "issuer": issuer }));
            assert!(found.starts_with("the metadata names another issuer: it names"), "{name}: {found}");
        }
        assert_eq!(refusal(ours, &json!({})), "");
        assert_eq!(refusal("https://id.example.com/", &json!({})), "");
    }

    #[test]
    fn endpoints_are_as_secure_as_the_issuer() {
        const WHERE: [&str; 6] = [
            "authorization_endpoint",
            "token_endpoint",
            "jwks_uri",
            "userinfo_endpoint",
            "revocation_endpoint",
            "end_session_endpoint",
        ];
        for (url, by_https, by_loopback) in [
            ("https://other.example/x?y=z", true, false),
            ("https://127.0.0.1:8443/x", true, false),
            ("http://id.example.com/x", false, false),
            ("http://127.0.0.1:4000/x", false, true),
            ("http://localhost/x", false, true),
            ("http://[::1]:1/x", false, true),
            ("http://127.0.0.1.evil.example/x", false, false),
            ("http://0.0.0.0/x", false, false),
            ("https://user@id.example.com/x", false, false),
            ("https://:password@id.example.com/x", false, false),
            ("https://id.example.com/x#fragment", false, false),
            ("https://id.example.com/x#", false, false),
            ("https:id.example.com/x", false, false),
            ("https:\\\\id.example.com/x", false, false),
            ("https://id.example.com/a b", false, false),
            ("https://id.exa\nmple.com/x", false, false),
            (" https://id.example.com/x", false, false),
            ("javascript:alert(1)", false, false),
            ("file:///etc/passwd", false, false),
            ("//id.example.com/x", false, false),
            ("/x", false, false),
            ("", false, false),
        ] {
            for endpoint in WHERE {
                for (issuer, is_taken) in [("https://id.example.com", by_https), ("http://127.0.0.1:4000", by_loopback)]
                {
                    let found = refusal(issuer, &json!({ endpoint: url }));
                    let refused = format!("an endpoint is not as secure as the issuer, or no URL: {endpoint}");
                    assert_eq!(found, if is_taken { "" } else { &refused }, "{url:?} by {issuer}");
                }
            }
        }
    }

    #[test]
    fn no_parameter_of_ours_is_there_before() {
        let issuer = "https://id.example.com";
        for (endpoint, query, refused) in [
            ("authorization_endpoint", "tenant=a&policy=b", ""),
            ("authorization_endpoint", "redirect_uri=https://evil.example/", "redirect_uri"),
            ("authorization_endpoint", "a=b&%73tate=x", "state"),
            ("authorization_endpoint", "nonce", "nonce"),
            ("authorization_endpoint", "post_logout_redirect_uri=x", ""),
            ("end_session_endpoint", "tenant=a", ""),
            ("end_session_endpoint", "post_logout_redirect_uri=https://evil.example/", "post_logout_redirect_uri"),
            ("end_session_endpoint", "id_token_hint=", "id_token_hint"),
        ] {
            let found = refusal(issuer, &json!({ endpoint: format!("{issuer}/x?{query}") }));
            let expected = format!("an endpoint has a parameter that is set here: {refused}");
            assert_eq!(found, if refused.is_empty() { "" } else { &expected }, "{endpoint}?{query}");
        }
    }

    #[test]
    fn what_is_missing_or_of_another_type() {
        let issuer = "https://id.example.com";
        for (name, members, is_read) in [
            ("no issuer", json!({"issuer": null}), false),
            ("no authorization endpoint", json!({"authorization_endpoint": null}), false),
            ("no token endpoint", json!({"token_endpoint": null}), false),
            ("no keys", json!({"jwks_uri": null}), false),
            ("no UserInfo", json!({"userinfo_endpoint": null}), true),
            ("no algorithms", json!({"id_token_signing_alg_values_supported": null}), true),
            ("plain alone for PKCE", json!({"code_challenge_methods_supported": ["plain"]}), true),
            ("issuer as an array", json!({"issuer": [issuer]}), false),
            ("algorithms as text", json!({"id_token_signing_alg_values_supported": "RS256"}), false),
            (
                "a text for whether answers name it",
                json!({"authorization_response_iss_parameter_supported": "true"}),
                false,
            ),
        ] {
            assert_eq!(refusal(issuer, &members).is_empty(), is_read, "{name}");
        }
        let good = of(issuer).to_string();
        for (name, body) in [
            ("issuer twice", good.replacen('{', r#"{"issuer":"https://id.example.com","#, 1)),
            ("array", format!("[{good}]")),
            ("HTML", "<html></html>".to_owned()),
            ("nothing", String::new()),
        ] {
            assert!(Metadata::read(&answer(&body), issuer).is_err(), "{name}");
        }
    }

    #[test]
    fn only_true_says_that_answers_name_it() {
        let issuer = "https://id.example.com";
        for (value, expected) in [(json!(true), true), (json!(false), false), (json!(null), false)] {
            let mut document = of(issuer);
            document["authorization_response_iss_parameter_supported"] = value.clone();
            let metadata = Metadata::read(&answer(&document.to_string()), issuer).unwrap();
            assert_eq!(metadata.names_issuer(), expected, "{value}");
        }
    }

    #[test]
    fn where_the_metadata_lies() {
        for (issuer, url) in [
            ("https://id.example.com", "https://id.example.com/.well-known/openid-configuration"),
            ("https://id.example.com/", "https://id.example.com/.well-known/openid-configuration"),
            ("https://id.example.com/a/b", "https://id.example.com/a/b/.well-known/openid-configuration"),
            ("https://id.example.com/a/", "https://id.example.com/a/.well-known/openid-configuration"),
        ] {
            assert_eq!(Metadata::url(issuer), url);
        }
    }
}
