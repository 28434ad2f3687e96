//! OpenID Connect (feature `oidc`).
//!
//! The browser goes to the provider and comes back with a code; the code is exchanged for an ID token, in which the provider
//! says who the person is, under its signature. Where the provider is, and with which keys it signs, it publishes itself.

mod algorithm;
mod authorize;
mod cache;
mod check;
mod claims;
mod expected;
mod id_token;
mod keys;
mod logout_token;
mod members;
mod metadata;
mod presets;
mod settings;
#[cfg(test)]
mod signing;
mod tokens;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use self::cache::{Cached, Place};
use self::keys::Keys;
use self::metadata::Metadata;
use super::logout_notice::LogoutNotice;
use super::{Context, Grant, Provider, Refreshed};
use crate::check::Finding;
use crate::clock::unix_seconds;
use crate::config_error::ConfigError;
use crate::error::{Error, ErrorKind};
use crate::http_client::BoxFuture;
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::callback::ValidatedCode;
use crate::oauth::client_authentication::{Client, ClientAuthentication};
use crate::oauth::end_session::EndSessionRequest;
use crate::oauth::token::Tokens;

pub use self::algorithm::SigningAlgorithm;

/// A provider that speaks OpenID Connect, as a [`Provider`].
///
/// Three values come from the provider: its issuer, which its documentation names, and the client id and client secret of this
/// site. The redirect URI must be registered there, byte for byte.
///
/// ```
/// use tower_signin::{Keys, Oidc, SignIn};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = Oidc::discover("https://id.example.com", "client-id", "client-secret").scope("email").scope("profile");
/// assert!(!format!("{provider:?}").contains("client-secret"));
///
/// let sign_in = SignIn::builder(provider)
///     .redirect_uri("https://app.example.com/auth/callback")
///     .keys(Keys::generate()?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// # What is fetched, and when
///
/// The provider's [metadata](https://openid.net/specs/openid-connect-discovery-1_0.html) and its keys are fetched when the first
/// person signs in, so a provider that is down keeps no process from starting. They are kept for an hour, and for longer while
/// the provider does not answer. Keys are fetched anew at once where an ID token is signed by one that is not known. However
/// many people sign in, one fetch of each runs at a time, and at most two begin within five seconds.
///
/// # What is checked
///
/// State, `nonce` and PKCE with S256, always. The metadata must name the very issuer of the settings, and endpoints as secure as
/// it. The ID token's signature, issuer, audience, times, and whatever the settings ask for besides are checked before its access
/// token is used for anything; what is wrong is refused with [`ErrorKind::IdTokenRejected`], whose reason names the check. A
/// token with the same claim twice is refused, too. `none` is no signature here.
///
/// # Claims
///
/// [`Identity::claims`](crate::Identity::claims) gives those of the ID token, and what the UserInfo endpoint adds to them. Left
/// out is what serves the protocol alone: `iss`, `aud`, `azp`, `exp`, `iat`, `nbf`, `jti`, `nonce`, `at_hash`, `c_hash`, `s_hash`,
/// `sid`. [`claims`](Self::claims) picks those that are kept, so that the session cookie stays small. What is known from the ID
/// token is not replaced, and how and when the person signed in (`auth_time`, `acr`, `amr`) is believed from there alone.
///
/// An `email` always comes with `email_verified`, a boolean: true only where the provider said of this very address so, in a
/// boolean of its own. It is no key of a person: issuer and subject are.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Person {
///     #[serde(default)]
///     name: Option<String>,
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
pub struct Oidc {
    issuer: String,
    metadata_url: String,
    name: String,
    label: Option<String>,
    client_id: String,
    client_secret: SecretString,
    client_authentication: ClientAuthentication,
    scopes: Vec<String>,
    extra_parameters: Vec<(String, String)>,
    signing_algorithms: Vec<SigningAlgorithm>,
    clock_skew: Duration,
    max_age: Option<Duration>,
    acr_values: Vec<String>,
    requires_acr: bool,
    prompt: Option<String>,
    trusted_audiences: Vec<String>,
    asks_user_info: bool,
    ends_sessions: bool,
    claims: Option<Vec<String>>,
    metadata: Arc<Cached<Metadata>>,
    keys: Arc<Cached<Keys>>,
}

impl Oidc {
    fn client(&self) -> Client<'_> {
        Client { id: &self.client_id, secret: &self.client_secret, authentication: &self.client_authentication }
    }

    fn place_of_metadata(&self) -> Place<'_> {
        Place { url: &self.metadata_url, issuer: &self.issuer }
    }

    fn place_of_keys<'a>(&'a self, metadata: &'a Metadata) -> Place<'a> {
        Place { url: &metadata.jwks_uri, issuer: &self.issuer }
    }

    async fn metadata(&self, context: Context<'_>) -> Result<Arc<Metadata>, Error> {
        self.metadata.get(context, self.place_of_metadata()).await
    }
}

impl Provider for Oidc {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.name)
    }

    /// The metadata tells the others, all of them as secure as this one.
    fn endpoints(&self) -> Vec<&str> {
        vec![&self.issuer]
    }

    fn validate(&self) -> Result<(), ConfigError> {
        settings::validate(self)
    }

    fn prepare<'a>(&'a self, context: Context<'a>) -> Option<BoxFuture<'a, Result<(), Error>>> {
        if self.metadata.is_at_hand(unix_seconds(context.now()), self.place_of_metadata()) {
            return None;
        }
        Some(Box::pin(async move { self.metadata(context).await.map(drop) }))
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        let metadata = self.metadata.known().ok_or_else(|| {
            Error::new(ErrorKind::ProviderUnreachable).with_reason("the provider's metadata has not been fetched")
        })?;
        Ok(authorize::url(self, &metadata, request))
    }

    fn names_issuer(&self) -> bool {
        self.metadata.known().is_some_and(|metadata| metadata.names_issuer())
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(tokens::redeem(self, context, code))
    }

    /// The ID token of the answer, where there is one, must be of the same person and sign-in (Core section 12.2). The first
    /// one is kept.
    fn refresh<'a>(
        &'a self,
        context: Context<'a>,
        subject: &'a str,
        tokens: &'a Tokens,
    ) -> BoxFuture<'a, Result<Refreshed, Error>> {
        Box::pin(tokens::refresh(self, context, subject, tokens))
    }

    /// The refresh token first, then the access token (RFC 7009). [`ErrorKind::Unsupported`] where the provider has no
    /// endpoint for it.
    fn revoke<'a>(&'a self, context: Context<'a>, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(tokens::revoke(self, context, tokens))
    }

    fn ends_sessions(&self) -> bool {
        self.ends_sessions
    }

    /// Where the metadata has an `end_session_endpoint`. The ID token goes along as a hint where tokens are kept.
    fn end_session_url(&self, request: &EndSessionRequest<'_>) -> Option<String> {
        authorize::end_session_url(self, &*self.metadata.known()?, request)
    }

    fn tells_of_logouts(&self) -> bool {
        true
    }

    /// Reads a logout token (OpenID Connect Back-Channel Logout): signed and addressed as an ID token must be.
    fn logout_notice<'a>(&'a self, context: Context<'a>, token: &'a str) -> BoxFuture<'a, Result<LogoutNotice, Error>> {
        Box::pin(logout_token::notice(self, context, token))
    }

    /// Two requests: for the metadata, and for the keys. Whether client id and client secret are right, only a sign-in tells.
    fn check<'a>(&'a self, context: Context<'a>) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(check::findings(self, context))
    }
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
