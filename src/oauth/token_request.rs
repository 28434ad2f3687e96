//! The requests to a token endpoint (RFC 6749 sections 4.1.3 and 6) and a revocation endpoint (RFC 7009 section 2.1).

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
use url::form_urlencoded::byte_serialize;

use super::callback::ValidatedCode;
use super::client_authentication::Client;
use crate::error::{Error, ErrorKind};
use crate::secret::SecretBytes;

impl Client<'_> {
    /// Exchanges a code. The redirect URI goes along byte for byte, as OAuth 2.0 wants it.
    pub(crate) fn code_request(&self, token_endpoint: &str, code: &ValidatedCode) -> Result<Request<Bytes>, Error> {
        self.post(
            token_endpoint,
            &[
                ("grant_type", "authorization_code"),
                ("code", code.code()),
                ("redirect_uri", code.redirect_uri()),
                ("code_verifier", code.code_verifier()),
            ],
        )
    }

    /// Exchanges a refresh token.
    pub(crate) fn refresh_request(&self, token_endpoint: &str, refresh_token: &str) -> Result<Request<Bytes>, Error> {
        self.post(token_endpoint, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
    }

    /// Ends a token; which sort of token it is helps the provider to find it.
    pub(crate) fn revocation_request(
        &self,
        revocation_endpoint: &str,
        token: &str,
        hint: TokenTypeHint,
    ) -> Result<Request<Bytes>, Error> {
        let hint = match hint {
            TokenTypeHint::AccessToken => "access_token",
            TokenTypeHint::RefreshToken => "refresh_token",
        };
        self.post(revocation_endpoint, &[("token", token), ("token_type_hint", hint)])
    }

    fn post(&self, endpoint: &str, pairs: &[(&str, &str)]) -> Result<Request<Bytes>, Error> {
        let mut form = Form::default();
        for (name, value) in pairs {
            form.add(name, value);
        }
        let authorization = self.authenticate(&mut form)?;
        let mut request = Request::post(endpoint)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            // GitHub answers with a form unless it is asked for JSON.
            .header(ACCEPT, "application/json")
            .body(form.into_bytes())
            .map_err(|_| ErrorKind::Internal)?;
        let headers = request.headers_mut();
        authorization.map(|value: HeaderValue| headers.insert(AUTHORIZATION, value));
        Ok(request)
    }
}

/// The sorts of token that a revocation endpoint tells apart.
#[derive(Clone, Copy)]
pub(crate) enum TokenTypeHint {
    AccessToken,
    RefreshToken,
}

/// A form-encoded body (RFC 6749 appendix B), wiped with its last copy.
pub(super) struct Form(SecretBytes);

/// Most bodies take less.
const ROOM: usize = 512;

impl Default for Form {
    fn default() -> Self {
        Self(SecretBytes::with_capacity(ROOM))
    }
}

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        if !self.0.as_slice().is_empty() {
            self.0.extend(b"&");
        }
        self.0.extend(name.as_bytes());
        self.0.extend(b"=");
        for part in byte_serialize(value.as_bytes()) {
            self.0.extend(part.as_bytes());
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client_authentication::ClientAuthentication;

    const ENDPOINT: &str = "https://id.example.com/token?tenant=a";

    fn parts(request: &Request<Bytes>) -> (String, Vec<(String, String)>) {
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", ENDPOINT));
        assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert_eq!(request.headers()[ACCEPT], "application/json");
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(request.body()).into_owned().collect();
        let names: std::collections::HashSet<_> = pairs.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), pairs.len(), "a parameter twice: {pairs:?}");
        (String::from_utf8(request.body().to_vec()).unwrap(), pairs)
    }

    #[test]
    fn each_request_has_its_parameters_once() {
        let secret = "s&=cret".to_owned().into();
        let code = || ValidatedCode::new("c+d/e=", "verifier-~".to_owned().into(), "https://app.example.com/a%2Fb");
        let exchange = "grant_type=authorization_code&code=c%2Bd%2Fe%3D\
                        &redirect_uri=https%3A%2F%2Fapp.example.com%2Fa%252Fb&code_verifier=verifier-%7E";
        let refresh = "grant_type=refresh_token&refresh_token=r+%26";
        let revocation = "token=a%3D&token_type_hint=";
        for (name, authentication, proof, has_header) in [
            ("basic", ClientAuthentication::Basic, "", true),
            ("post", ClientAuthentication::Post, "&client_id=app&client_secret=s%26%3Dcret", false),
            ("none", ClientAuthentication::None, "&client_id=app", false),
        ] {
            let client = Client { id: "app", secret: &secret, authentication: &authentication };
            let revoke = |hint| client.revocation_request(ENDPOINT, "a=", hint).unwrap();
            for (expected, request) in [
                (exchange.to_owned(), client.code_request(ENDPOINT, &code()).unwrap()),
                (refresh.to_owned(), client.refresh_request(ENDPOINT, "r &").unwrap()),
                (format!("{revocation}access_token"), revoke(TokenTypeHint::AccessToken)),
                (format!("{revocation}refresh_token"), revoke(TokenTypeHint::RefreshToken)),
            ] {
                let (body, _) = parts(&request);
                assert_eq!(body, format!("{expected}{proof}"), "{name}");
                let header = request.headers().get(AUTHORIZATION);
                assert_eq!(header.is_some(), has_header, "{name}");
                assert!(header.is_none_or(HeaderValue::is_sensitive), "{name}");
            }
        }
    }

    #[test]
    fn the_redirect_uri_arrives_byte_for_byte() {
        let client = Client { id: "app", secret: &"".to_owned().into(), authentication: &ClientAuthentication::None };
        for redirect_uri in ["https://app.example.com/cb", "http://localhost:3000/a%20b/", "https://x.example/ü+%2b"] {
            let code = ValidatedCode::new("c", "v".to_owned().into(), redirect_uri);
            let (_, pairs) = parts(&client.code_request(ENDPOINT, &code).unwrap());
            assert!(pairs.contains(&("redirect_uri".to_owned(), redirect_uri.to_owned())), "{redirect_uri}: {pairs:?}");
        }
    }

    #[test]
    fn a_code_of_any_length_goes_through() {
        let client = Client { id: "app", secret: &"".to_owned().into(), authentication: &ClientAuthentication::None };
        for length in [1, 512, 4096, 16 * 1024] {
            let text = "+".repeat(length);
            let code = ValidatedCode::new(&text, "v".to_owned().into(), "https://app.example.com/cb");
            let (_, pairs) = parts(&client.code_request(ENDPOINT, &code).unwrap());
            assert!(pairs.contains(&("code".to_owned(), text)), "{length}");
        }
    }
}
