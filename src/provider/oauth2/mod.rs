//! Plain OAuth 2.0 (RFC 6749): for providers that have no OpenID Connect, or where it is not wanted.
//!
//! The browser goes to the authorization endpoint and comes back with a code; the code is exchanged for an access token, and a
//! further request asks with that token who the person is.

mod authorize;
mod person;
mod presets;
mod settings;

use std::fmt;

use secrecy::SecretString;
use serde_json::Value;

use super::{Context, Grant, Provider, Refreshed, revoke_both};
use crate::config_error::ConfigError;
use crate::error::{Error, ErrorKind};
use crate::http_client::BoxFuture;
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::callback::ValidatedCode;
use crate::oauth::client_authentication::{Client, ClientAuthentication};
use crate::oauth::token::Tokens;
use crate::oauth::token_response::TokenResponse;
use crate::oauth::user_info::{read_user_info, user_info_request};
use crate::secret::secret_text;

/// A provider that speaks plain OAuth 2.0 (RFC 6749), as a [`Provider`].
///
/// There are presets for [GitHub](Self::github), [GitLab](Self::gitlab), [Discord](Self::discord) and
/// [Google](Self::google). For another provider, give its endpoints, and say where its answer has the one thing about a person
/// that never changes and is never given to somebody else: with the issuer, it is the key of the person. User names and e-mail
/// addresses are neither.
///
/// ```
/// use tower_signin::{ClientAuthentication, Keys, OAuth2, SignIn};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = OAuth2::new("https://id.example.com", "client-id", "client-secret")
///     .authorization_endpoint("https://id.example.com/authorize")
///     .token_endpoint("https://id.example.com/token")
///     .user_info_endpoint("https://api.example.com/me")
///     .client_authentication(ClientAuthentication::Post)
///     .scope("profile")
///     .subject_pointer("/account/id")
///     .claims(["nickname", "email"]);
///
/// let sign_in = SignIn::builder(provider)
///     .redirect_uri("https://app.example.com/auth/callback")
///     .keys(Keys::generate()?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// # Claims
///
/// [`Identity::claims`](crate::Identity::claims) gives the members of the provider's answer that [`claims`](Self::claims) picks;
/// without it, the whole answer, which may be too large for a session cookie. An `email` always comes with `email_verified`, a
/// boolean: true only where the provider said so, in a boolean of its own.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Person {
///     login: String,
///     #[serde(default)]
///     email: Option<String>,
///     #[serde(default)]
///     email_verified: bool,
/// }
///
/// # fn example(identity: &tower_signin::Identity) -> Result<(), serde_json::Error> {
/// let person: Person = identity.claims()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OAuth2 {
    issuer: String,
    name: String,
    label: Option<String>,
    client_id: String,
    client_secret: SecretString,
    client_authentication: ClientAuthentication,
    authorization_endpoint: String,
    token_endpoint: String,
    user_info_endpoint: String,
    revocation_endpoint: Option<String>,
    scopes: Vec<String>,
    extra_parameters: Vec<(String, String)>,
    offers_accounts: bool,
    subject_pointer: String,
    claims: Option<Vec<String>>,
    email_verified_member: String,
}

impl OAuth2 {
    fn client(&self) -> Client<'_> {
        Client { id: &self.client_id, secret: &self.client_secret, authentication: &self.client_authentication }
    }
}

impl Provider for OAuth2 {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }

    fn endpoints(&self) -> Vec<&str> {
        let always = [self.token_endpoint.as_str(), &self.user_info_endpoint];
        always.into_iter().chain(self.revocation_endpoint.as_deref()).collect()
    }

    fn validate(&self) -> Result<(), ConfigError> {
        settings::validate(self)
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(authorize::url(self, request))
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async move {
            let answer = context.http().send(self.client().code_request(&self.token_endpoint, &code)?).await?;
            let tokens = TokenResponse::to_code(&answer, context.now())?.tokens;
            let answer = context.http().send(user_info_request(&self.user_info_endpoint, &tokens)?).await?;
            let said = Value::Object(read_user_info(&answer)?);
            let subject = person::subject(&said, &self.subject_pointer)?;
            Ok(Grant::new(subject, &person::claims(self, said))?.with_tokens(tokens))
        })
    }

    /// The answer says nothing of the person, and nobody is asked: the tokens are those of whoever the old ones were of.
    fn refresh<'a>(
        &'a self,
        context: Context<'a>,
        _subject: &'a str,
        tokens: &'a Tokens,
    ) -> BoxFuture<'a, Result<Refreshed, Error>> {
        Box::pin(async move {
            let refresh_token = tokens.refresh_token().ok_or(ErrorKind::Unsupported)?;
            let request = self.client().refresh_request(&self.token_endpoint, refresh_token)?;
            let answer = context.http().send(request).await?;
            Ok(Refreshed::new(TokenResponse::to_refresh(&answer, context.now())?.tokens))
        })
    }

    /// The refresh token first, since the access token ends with it at most providers (RFC 7009 section 2.1).
    fn revoke<'a>(&'a self, context: Context<'a>, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let endpoint = self.revocation_endpoint.as_deref().ok_or(ErrorKind::Unsupported)?;
            revoke_both(context, self.client(), endpoint, tokens).await
        })
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2")
            .field("client_id", &self.client_id)
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}
