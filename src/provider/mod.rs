//! Who vouches for people.

pub(crate) mod logout_notice;
pub(crate) mod oauth2;
#[cfg(feature = "oidc")]
pub mod oidc;
pub mod siwbb;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use self::logout_notice::LogoutNotice;
use crate::check::Finding;
use crate::clock::Clock;
use crate::config_error::ConfigError;
use crate::error::{Error, ErrorKind};
use crate::http_client::{BoxFuture, HttpClient};
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::callback::ValidatedCode;
use crate::oauth::client_authentication::Client;
use crate::oauth::end_session::EndSessionRequest;
use crate::oauth::token::Tokens;
use crate::oauth::token_request::TokenTypeHint;
use crate::oauth::token_response::check_revocation;
use crate::session::Session;

/// A provider that people sign in with: how to send them there, and what to make of the answer.
///
/// The layer draws state and code verifier, keeps the flow, checks the callback and makes the session; a provider only
/// speaks its own dialect. Every request goes through the [`HttpClient`] of its [`Context`], and nothing is ever sent
/// twice.
///
/// ```
/// use url::form_urlencoded;
/// use tower_signin::{AuthorizationRequest, BoxFuture, Context, Error, ErrorKind, Grant, Provider, ValidatedCode};
///
/// struct Example;
///
/// impl Provider for Example {
///     fn issuer(&self) -> &str {
///         "https://id.example.com"
///     }
///     fn endpoints(&self) -> Vec<&str> {
///         vec!["https://id.example.com/token"]
///     }
///     fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
///         let query = form_urlencoded::Serializer::new(String::new())
///             .append_pair("response_type", "code")
///             .append_pair("client_id", "my-client")
///             .append_pair("redirect_uri", request.redirect_uri)
///             .append_pair("state", request.state)
///             .append_pair("code_challenge", request.code_challenge)
///             .append_pair("code_challenge_method", "S256")
///             .finish();
///         Ok(format!("https://id.example.com/authorize?{query}"))
///     }
///     fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
///         Box::pin(async move {
///             let body = form_urlencoded::Serializer::new(String::new())
///                 .append_pair("grant_type", "authorization_code")
///                 .append_pair("client_id", "my-client")
///                 .append_pair("code", code.code())
///                 .append_pair("code_verifier", code.code_verifier())
///                 .append_pair("redirect_uri", code.redirect_uri())
///                 .finish();
///             let request = http::Request::post("https://id.example.com/token")
///                 .header("content-type", "application/x-www-form-urlencoded")
///                 .body(body.into())
///                 .map_err(|_| ErrorKind::Internal)?;
///             let answer = context.http().send(request).await?;
///             if !answer.status().is_success() {
///                 return Err(ErrorKind::ExchangeRejected.into());
///             }
///             let who: serde_json::Value =
///                 serde_json::from_slice(answer.body()).map_err(|_| ErrorKind::ProviderAnswer)?;
///             Grant::new(who["sub"].as_str().unwrap_or_default(), &who)
///         })
///     }
/// }
/// ```
pub trait Provider: Send + Sync + 'static {
    /// Names the provider; with the subject it is the key of a person. Two deployments that must not mix their people
    /// (production and testnet, say) have different issuers.
    fn issuer(&self) -> &str;

    /// Its part of the paths where there are [several](crate::Builder::and): `/auth/login/{name}`. Up to 64 lower-case letters,
    /// digits and `-`. `provider` by default.
    fn name(&self) -> &str {
        "provider"
    }

    /// What people call it. Its [`name`](Self::name) by default.
    fn label(&self) -> &str {
        self.name()
    }

    /// The URLs that the back channel speaks to. They decide which HTTP client is built and whether the provider is a
    /// loopback one, which [`Builder::build`](crate::Builder::build) allows for loopback redirect URIs only.
    fn endpoints(&self) -> Vec<&str>;

    /// Refuses settings that can't work. Called once, at build.
    ///
    /// # Errors
    ///
    /// Names the wrong setting and the remedy.
    fn validate(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Fetches what [`authorization_url`](Self::authorization_url) needs and does not have: the layer waits for it first.
    /// `None` where nothing has to be waited for, which it asks at each login.
    ///
    /// `None` by default.
    fn prepare<'a>(&'a self, context: Context<'a>) -> Option<BoxFuture<'a, Result<(), Error>>> {
        let _ = context;
        None
    }

    /// Where the browser goes to sign in. No I/O.
    ///
    /// # Errors
    ///
    /// When the provider is not ready to take anyone.
    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error>;

    /// Whether the provider has announced that each of its answers names it (RFC 9207), so that one without `iss` is not its
    /// own. One that names another issuer never passes.
    ///
    /// `false` by default.
    fn names_issuer(&self) -> bool {
        false
    }

    /// Exchanges the code, once, and checks everything about the answer that can be checked.
    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>>;

    /// Checks whatever else the provider's settings demand of a person: gates. Runs after each exchange, and again
    /// while the session lasts where [`Builder::recheck_every`](crate::Builder::recheck_every) asks for it: then with the
    /// subject and claims of the session, and tokens only where they are kept. [`ErrorKind::NotVerified`],
    /// [`ErrorKind::ClaimRequired`] and [`ErrorKind::OwnershipRequired`] then end the session; any other error is taken for
    /// an outage.
    ///
    /// Lets everyone pass by default.
    fn admit<'a>(&'a self, context: Context<'a>, who: &'a Grant) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (context, who);
        Box::pin(async { Ok(()) })
    }

    /// Exchanges the refresh token of `subject` for a new pair. The old pair may be dead as soon as this was sent. What the new
    /// one lacks (refresh token, ID token, scope) stays as it was. The layer calls this, and [`revoke`](Self::revoke), where it
    /// keeps tokens. [`ErrorKind::ExchangeRejected`],
    /// [`ErrorKind::NotVerified`], [`ErrorKind::ClaimRequired`] and [`ErrorKind::OwnershipRequired`] end the session; any
    /// other error is taken for an outage.
    ///
    /// [`ErrorKind::Unsupported`] by default.
    fn refresh<'a>(
        &'a self,
        context: Context<'a>,
        subject: &'a str,
        tokens: &'a Tokens,
    ) -> BoxFuture<'a, Result<Refreshed, Error>> {
        let _ = (context, subject, tokens);
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }

    /// Asks whether the authorization behind the tokens still stands, where
    /// [`Builder::recheck_every`](crate::Builder::recheck_every) asks for it. `false` ends the session; an error is taken for
    /// an outage.
    ///
    /// [`ErrorKind::Unsupported`] by default.
    fn is_active<'a>(&'a self, context: Context<'a>, tokens: &'a Tokens) -> BoxFuture<'a, Result<bool, Error>> {
        let _ = (context, tokens);
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }

    /// Ends the authorization behind the tokens at the provider.
    ///
    /// [`ErrorKind::Unsupported`] by default.
    fn revoke<'a>(&'a self, context: Context<'a>, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), Error>> {
        let _ = (context, tokens);
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }

    /// Whether signing out here leads over the provider, to end the person's session there too: OpenID Connect RP-Initiated
    /// Logout. The browser comes back to the [logout path](crate::SignIn::logout_path), which has to be registered there.
    ///
    /// `false` by default: signing out ends the session here alone.
    fn ends_sessions(&self) -> bool {
        false
    }

    /// Where the browser goes for it, once the session is over here. No I/O; [`prepare`](Self::prepare) was waited for.
    ///
    /// `None` by default, and where the provider can't tell now: the browser then goes where it would without.
    fn end_session_url(&self, request: &EndSessionRequest<'_>) -> Option<String> {
        let _ = request;
        None
    }

    /// Whether the provider tells by itself when it has ended somebody's session there, in
    /// [logout tokens](Self::logout_notice) to a [`BackChannelLogoutLayer`](crate::BackChannelLogoutLayer).
    ///
    /// `false` by default.
    fn tells_of_logouts(&self) -> bool {
        false
    }

    /// Reads a logout token, as the provider sent it: a JWT whose `iss` is this provider's issuer, and of which nothing else is
    /// known. It must be believed for no other reason than its signature. [`ErrorKind::LogoutTokenRejected`] where it is not to
    /// be believed; any other error is taken for an outage, and the provider is asked to come again. Whether a token comes the
    /// second time is looked after by the layer.
    ///
    /// [`ErrorKind::Unsupported`] by default.
    fn logout_notice<'a>(&'a self, context: Context<'a>, token: &'a str) -> BoxFuture<'a, Result<LogoutNotice, Error>> {
        let _ = (context, token);
        Box::pin(async { Err(ErrorKind::Unsupported.into()) })
    }

    /// Looks for what is wrong with the settings while nobody signs in, for [`SignIn::check`](crate::SignIn::check): do
    /// the credentials work, is there anything left to pay with. It sends as few requests as it can, and says so where they
    /// cost. It never guesses: what the answers do not tell is a [`Finding::skipped`] with the reason.
    ///
    /// Whether answers come and what time the provider has is noted by the [`HttpClient`] of the context, so a provider
    /// need not report it. Nothing is checked by default, and the report says so.
    ///
    /// ```
    /// use tower_signin::{BoxFuture, Context, Finding};
    ///
    /// // Within `impl Provider for Example`:
    /// fn check<'a>(context: Context<'a>) -> BoxFuture<'a, Vec<Finding>> {
    ///     Box::pin(async move {
    ///         let Ok(request) = http::Request::get("https://id.example.com/me").body(Default::default()) else {
    ///             return Vec::new();
    ///         };
    ///         let status = context.http().send(request).await.map(|answer| answer.status().as_u16());
    ///         vec![match status {
    ///             Ok(200) => Finding::ok("api_key", "it is accepted"),
    ///             Ok(401) => Finding::failed("api_key", "it is refused", "copy it again"),
    ///             _ => Finding::skipped("api_key", "the answer does not tell"),
    ///         }]
    ///     })
    /// }
    /// ```
    fn check<'a>(&'a self, context: Context<'a>) -> BoxFuture<'a, Vec<Finding>> {
        let _ = context;
        Box::pin(async { Vec::new() })
    }
}

/// What a provider's calls run with.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Context<'a> {
    http: &'a dyn HttpClient,
    /// The same, for work that goes on without whoever asked for it.
    shared: Option<&'a Arc<dyn HttpClient>>,
    time: Time<'a>,
    redirect_uri: &'a str,
}

#[derive(Clone, Copy)]
enum Time<'a> {
    At(SystemTime),
    By(&'a dyn Clock),
}

impl<'a> Context<'a> {
    /// For tests of a provider of yours; the layer makes its own.
    #[must_use]
    pub fn new(http: &'a dyn HttpClient, now: SystemTime, redirect_uri: &'a str) -> Self {
        Self { http, shared: None, time: Time::At(now), redirect_uri }
    }

    #[cfg(all(test, feature = "oidc"))]
    pub(crate) fn sharing(self, http: &'a Arc<dyn HttpClient>) -> Self {
        Self { shared: Some(http), ..self }
    }

    pub(crate) fn of_layer(http: &'a Arc<dyn HttpClient>, clock: &'a dyn Clock, redirect_uri: &'a str) -> Self {
        Self { shared: Some(http), time: Time::By(clock), ..Self::new(&**http, SystemTime::UNIX_EPOCH, redirect_uri) }
    }

    #[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "nothing else outlives a call"))]
    pub(crate) fn shared_http(&self) -> Option<Arc<dyn HttpClient>> {
        self.shared.cloned()
    }

    /// The way out.
    #[must_use]
    pub fn http(&self) -> &'a dyn HttpClient {
        self.http
    }

    /// The time, by the layer's [clock](crate::Builder::clock). Each call reads it anew: a request takes its time.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        match self.time {
            Time::At(now) => now,
            Time::By(clock) => clock.now(),
        }
    }

    /// The configured redirect URI, byte for byte.
    #[must_use]
    pub fn redirect_uri(&self) -> &'a str {
        self.redirect_uri
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("now", &self.now())
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// Revokes the refresh token first, since the access token ends with it at most providers (RFC 7009 section 2.1), and then the
/// access token, whatever became of the other.
async fn revoke_both(context: Context<'_>, client: Client<'_>, endpoint: &str, tokens: &Tokens) -> Result<(), Error> {
    let refresh_token = tokens.refresh_token().map(|token| (token, TokenTypeHint::RefreshToken));
    let mut outcome = Ok(());
    for (token, hint) in refresh_token.into_iter().chain([(tokens.access_token(), TokenTypeHint::AccessToken)]) {
        let answer = context.http().send(client.revocation_request(endpoint, token, hint)?).await;
        outcome = outcome.and(answer.map_err(Error::from).and_then(|answer| check_revocation(&answer)));
    }
    outcome
}

/// What a refresh brought: the new tokens, and who they are for where the answer says so.
#[derive(Clone, Debug)]
pub struct Refreshed {
    tokens: Tokens,
    grant: Option<Grant>,
}

impl Refreshed {
    /// New tokens, and nothing new about the person.
    #[must_use]
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens, grant: None }
    }

    /// Adds what the answer says of the person. The provider has checked that it is the same one.
    #[must_use]
    pub fn with_grant(mut self, grant: Grant) -> Self {
        self.grant = Some(Grant { tokens: None, ..grant });
        self
    }

    /// The new tokens.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// What the answer says of the person, if anything.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }
}

/// What an exchange brought: who, what is claimed of them, and the tokens if any.
#[derive(Clone)]
pub struct Grant {
    subject: String,
    claims: String,
    tokens: Option<Tokens>,
    session_id: Option<String>,
}

impl Grant {
    /// A person by subject, with claims that [`Identity::claims`](crate::Identity::claims) gives back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ProviderAnswer`] when the subject is empty or the claims can't be written as JSON.
    pub fn new(subject: impl Into<String>, claims: &impl serde::Serialize) -> Result<Self, Error> {
        let subject = subject.into();
        if subject.is_empty() {
            return Err(Error::new(ErrorKind::ProviderAnswer).with_reason("the subject is empty"));
        }
        let claims = serde_json::to_string(claims)
            .map_err(|_| Error::new(ErrorKind::ProviderAnswer).with_reason("the claims are not JSON"))?;
        Ok(Self { subject, claims, tokens: None, session_id: None })
    }

    /// Who a session is of, as the exchange said then.
    pub(crate) fn of_session(session: &Session) -> Self {
        let (subject, claims) = (session.subject().to_owned(), session.claims().to_owned());
        Self { subject, claims, tokens: None, session_id: None }
    }

    /// Adds the tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Tokens) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Adds the id of the session that the provider keeps for this browser, where it tells: `sid` in OpenID Connect. By that it
    /// may end sessions here later.
    #[must_use]
    pub fn with_session_id(mut self, session_id: impl Into<String>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }

    /// The person's name at the issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The id of the provider's own session, if it told one.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// The claims, as JSON.
    #[must_use]
    pub fn claims(&self) -> &str {
        &self.claims
    }

    /// The tokens, if the provider gave any.
    #[must_use]
    pub fn tokens(&self) -> Option<&Tokens> {
        self.tokens.as_ref()
    }
}

/// Does not show the id of the provider's session, by which it can be ended.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("subject", &self.subject)
            .field("claims", &self.claims)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_has_one_pair_of_tokens() {
        let grant = Grant::new("alice", &()).unwrap().with_tokens(Tokens::new("of the grant"));
        let refreshed = Refreshed::new(Tokens::new("new")).with_grant(grant);
        assert_eq!((refreshed.tokens().access_token(), refreshed.grant().unwrap().subject()), ("new", "alice"));
        assert!(refreshed.grant().unwrap().tokens().is_none());
    }
}
