//! Client authentication (RFC 6749 section 2.3).

use base64_simd::STANDARD;
use http::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use url::form_urlencoded::byte_serialize;

use super::token_request::Form;
use crate::config_error::ConfigError;
use crate::error::Error;
use crate::secret::{SecretBytes, secret_header};

/// How the app proves to a provider's token endpoint which client it is. Each request uses the one method that is set, and
/// no other.
///
/// ```
/// use tower_signin::{ClientAuthentication, OAuth2};
///
/// let in_the_body = OAuth2::gitlab("client-id", "client-secret").client_authentication(ClientAuthentication::Post);
/// let public = OAuth2::gitlab("client-id", "").client_authentication(ClientAuthentication::None);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// Client id and secret in an `Authorization: Basic` header, form-encoded first (RFC 6749 section 2.3.1):
    /// `client_secret_basic`. Every provider that follows the standard takes it.
    #[default]
    Basic,
    /// Client id and secret as parameters of the body: `client_secret_post`, for providers that don't take
    /// [`Basic`](Self::Basic).
    Post,
    /// The client id alone: `none`, for a public client, which has no secret. PKCE then is all that keeps a stolen code from
    /// being used.
    None,
}

/// Who asks a provider for tokens.
pub(crate) struct Client<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a SecretString,
    pub(crate) authentication: &'a ClientAuthentication,
}

impl Client<'_> {
    /// Refuses credentials that can't work.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        const REMEDY: &str = "copy it from where the app is registered at the provider";
        if self.id.trim().is_empty() {
            return Err(ConfigError::new("client_id", "it is empty", REMEDY));
        }
        let has_secret = !self.secret.expose_secret().trim().is_empty();
        match self.authentication {
            ClientAuthentication::Basic | ClientAuthentication::Post if !has_secret => {
                let remedy = "copy it from where the app is registered at the provider, or set \
                              ClientAuthentication::None for a public client";
                Err(ConfigError::new("client_secret", "it is empty", remedy))
            }
            ClientAuthentication::None if has_secret => {
                let problem = "there is a client secret, which ClientAuthentication::None never sends";
                let remedy = "leave the secret empty for a public client, or authenticate with it";
                Err(ConfigError::new("client_authentication", problem, remedy))
            }
            _ => Ok(()),
        }
    }

    /// Says who asks, by the one method that is set: in the form, or in the header that is given back.
    pub(super) fn authenticate(&self, form: &mut Form) -> Result<Option<HeaderValue>, Error> {
        match self.authentication {
            ClientAuthentication::Basic => return self.basic().map(Some),
            ClientAuthentication::Post => {
                form.add("client_id", self.id);
                form.add("client_secret", self.secret.expose_secret());
            }
            ClientAuthentication::None => form.add("client_id", self.id),
        }
        Ok(None)
    }

    fn basic(&self) -> Result<HeaderValue, Error> {
        let mut pair = SecretBytes::with_capacity(3 * (self.id.len() + self.secret.expose_secret().len()) + 1);
        let mut add = |part: &str| byte_serialize(part.as_bytes()).for_each(|part| pair.extend(part.as_bytes()));
        add(self.id);
        // Colons within are encoded, so this one alone separates.
        pair.extend(b":");
        let mut add = |part: &str| byte_serialize(part.as_bytes()).for_each(|part| pair.extend(part.as_bytes()));
        add(self.secret.expose_secret());
        let encoded = Zeroizing::new(STANDARD.encode_to_string(pair.as_slice()));
        secret_header(["Basic ", &encoded])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticated(id: &str, secret: &str, authentication: &ClientAuthentication) -> (String, Option<HeaderValue>) {
        let mut form = Form::default();
        let client = Client { id, secret: &secret.to_owned().into(), authentication };
        let header = client.authenticate(&mut form).unwrap();
        (String::from_utf8(form.into_bytes().to_vec()).unwrap(), header)
    }

    #[test]
    fn basic_encodes_id_and_secret_before_it_joins_them() {
        for (name, id, secret, pair) in [
            ("plain", "app", "secret", "app:secret"),
            ("colon", "a:b", "c:d", "a%3Ab:c%3Ad"),
            ("percent", "100%", "%41", "100%25:%2541"),
            ("plus", "a+b", "c+d", "a%2Bb:c%2Bd"),
            ("space", "a b", " c ", "a+b:+c+"),
            ("utf-8", "café", "pä€", "caf%C3%A9:p%C3%A4%E2%82%AC"),
            ("unreserved", "a-b_c.d", "e*f~g", "a-b_c.d:e*f%7Eg"),
            ("reserved", "a/b?c&d=e", "\"\\", "a%2Fb%3Fc%26d%3De:%22%5C"),
        ] {
            let (form, header) = authenticated(id, secret, &ClientAuthentication::Basic);
            let header = header.unwrap();
            let encoded = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
            let decoded = STANDARD.decode_to_vec(encoded).unwrap();
            assert_eq!(String::from_utf8(decoded).unwrap(), pair, "{name}");
            assert!(header.is_sensitive(), "{name}");
            assert_eq!(form, "", "{name}: a second method");
        }
    }

    #[test]
    fn the_body_has_what_the_method_wants_and_no_header_comes_with_it() {
        for (name, authentication, expected) in [
            ("post", ClientAuthentication::Post, "client_id=a%3Ab&client_secret=c%2Bd"),
            ("none", ClientAuthentication::None, "client_id=a%3Ab"),
        ] {
            let (form, header) = authenticated("a:b", "c+d", &authentication);
            assert_eq!((form.as_str(), header), (expected, None), "{name}");
        }
    }

    #[test]
    fn credentials_that_cannot_work_are_named() {
        use ClientAuthentication::{Basic, None, Post};
        for (id, secret, authentication, setting) in [
            ("id", "secret", Basic, ""),
            ("id", "secret", Post, ""),
            ("id", "", None, ""),
            ("", "secret", Basic, "client_id"),
            (" ", "", None, "client_id"),
            ("id", "", Basic, "client_secret"),
            ("id", " ", Post, "client_secret"),
            ("id", "secret", None, "client_authentication"),
        ] {
            let client = Client { id, secret: &secret.to_owned().into(), authentication: &authentication };
            let error = client.validate().err();
            let found = error.as_ref().map_or("", |error| error.setting());
            assert_eq!(found, setting, "{id:?} {secret:?} {authentication:?}");
            assert!(error.is_none_or(|error| !error.to_string().contains("\"secret\"")));
        }
    }
}
