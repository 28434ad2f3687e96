//! An OpenID provider on this machine, for development and tests (with the feature `oidc` too).
//!
//! [`OpenIdProvider`] is a real HTTP server that does what OpenID Connect asks of a provider, on one origin, which is its issuer:
//!
//! | route | what it is |
//! |---|---|
//! | `GET /.well-known/openid-configuration` | the metadata |
//! | `GET /jwks` | the public keys |
//! | `GET`, `POST /authorize` | the page where a person picks an account and approves |
//! | `POST /token` | codes and refresh tokens for tokens |
//! | `GET`, `POST /userinfo` | who the access token is for |
//! | `POST /revoke` | the end of what was approved |
//! | `GET`, `POST /end_session` | signing out here as well; apps that want to know are sent a logout token |
//! | `GET /foreign/jwks`, `GET /foreign/certificate` | keys of somebody else, which nobody may ask for |
//!
//! It is strict: codes work once, with S256 and the redirect URI they were made with; refresh tokens work once, and one that is
//! shown again ends all that was approved. [`set_misbehaviour`](OpenIdProvider::set_misbehaviour) makes it go wrong in any of the
//! ways that a client must withstand.
//!
//! It proves nothing about anybody, so it keeps itself from being mistaken for a real one, by the rules of [`dev`](super): it is
//! to be reached on this machine only, sends people to redirect URIs of this machine only, and says what it is.
//!
//! ```
//! use tower_signin::dev::openid::{Account, CLIENT_ID, OpenIdProvider};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let provider = OpenIdProvider::start().await?;
//! let url = format!(
//!     "{}/authorize?response_type=code&client_id={CLIENT_ID}&scope=openid+email&state=f3a9&nonce=n-0S6\
//!      &redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcb\
//!      &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
//!     provider.issuer(),
//! );
//! let back = provider.approve(&url, &Account::alice())?;
//! assert!(back.starts_with("http://localhost:3000/cb?code="));
//! assert!(back.contains("&state=f3a9&iss=http%3A%2F%2Flocalhost%3A"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod authorize;
mod client;
mod end_session;
mod id_token;
mod keys;
mod logout;
mod metadata;
mod misbehaviour;
mod pages;
mod parameters;
mod revoke;
mod routes;
mod signature;
mod state;
mod token;
mod user_info;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::authorize::{AuthorizationRequest, Refused};
use self::end_session::EndSession;
use self::state::{Client, Shared, State};
use super::authorize::{is_loopback_uri, own_query};
use super::{DevError, RecordedRequest, server};
use crate::provider::oidc::{Oidc, SigningAlgorithm};

pub use self::account::Account;
pub use self::misbehaviour::Misbehaviour;

/// The client id of the app that is registered from the start.
pub const CLIENT_ID: &str = "openid-demo";
/// The client secret of that app.
pub const CLIENT_SECRET: &str = "openid-demo-secret";

/// A running OpenID provider; see the [module](self).
///
/// Dropping it stops it, open connections included. Every setting takes effect at once.
pub struct OpenIdProvider {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl OpenIdProvider {
    /// Starts on a free port of 127.0.0.1, with keys made now. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where no socket or no randomness can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts on this port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where the port is taken, or not ours to take, or no randomness can be had.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let issuer = format!("http://localhost:{}", listener.local_addr()?.port());
        tracing::warn!(
            %issuer,
            "a DEVELOPMENT STAND-IN for an OpenID provider is running: it signs in anybody as anyone, \
             and nothing it says may be trusted"
        );
        let shared = Arc::new(Shared::new(issuer).map_err(io::Error::other)?);
        let server = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        let provider = Self { shared, server };
        provider.add_client(CLIENT_ID, Some(CLIENT_SECRET));
        Ok(provider)
    }

    /// `http://localhost:PORT`: the issuer, below which everything is.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// An [`Oidc`] that people sign in with here. Its issuer is this server's, so nobody it signs in passes for a real person.
    ///
    /// ```
    /// use tower_signin::dev::OpenIdProvider;
    /// use tower_signin::{Keys, SignIn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let provider = OpenIdProvider::start().await?;
    /// let sign_in = SignIn::builder(provider.oidc().scope("email"))
    ///     .redirect_uri("http://localhost:3000/auth/callback")
    ///     .keys(Keys::generate()?)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn oidc(&self) -> Oidc {
        Oidc::discover(self.issuer(), CLIENT_ID, CLIENT_SECRET)
    }

    /// Goes wrong in this way until told otherwise; `None` mends it.
    pub fn set_misbehaviour(&self, misbehaviour: Option<Misbehaviour>) {
        self.shared.lock().misbehaviour = misbehaviour;
    }

    /// How ID tokens are signed; RS256 at the start. The key set always has keys for all but HS256, which the client secret signs,
    /// so no misbehaviour about keys goes with it.
    pub fn set_signing_algorithm(&self, algorithm: SigningAlgorithm) {
        self.shared.lock().algorithm = algorithm;
    }

    /// Whether ID tokens name the client as `azp` though they are for it alone; not at the start.
    pub fn set_authorized_party(&self, named: bool) {
        self.shared.lock().names_authorized_party = named;
    }

    /// New keys in place of the old ones, which are gone from the key set.
    ///
    /// # Errors
    ///
    /// [`DevError::Random`] where the system gives no randomness.
    pub fn rotate_keys(&self) -> Result<(), DevError> {
        self.shared.lock().rotate_keys(false)
    }

    /// The requests that apps sent by themselves, oldest first: the last 1,000, those that were refused included. What browsers
    /// ask of `/authorize` and `/end_session` is not among them.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.all()
    }

    /// Forgets the requests seen so far.
    pub fn clear_requests(&self) {
        self.shared.lock().requests.clear();
    }

    /// Registers another app, or this one anew. One without a secret is a public client.
    pub fn add_client(&self, client_id: &str, client_secret: Option<&str>) {
        let client = Client { secret: client_secret.map(str::to_owned), ..Client::default() };
        self.shared.lock().clients.insert(client_id.to_owned(), client);
    }

    /// Sends people of this app only to redirect URIs that were registered so. Before the first one, any `http` URI of this
    /// machine will do.
    ///
    /// # Errors
    ///
    /// [`DevError::Request`] where no app has the id, or the URI is not of this machine.
    pub fn register_redirect_uri(&self, client_id: &str, uri: &str) -> Result<(), DevError> {
        self.register(client_id, uri, |client| &mut client.redirect_uris)
    }

    /// The same for where people go after signing out.
    ///
    /// # Errors
    ///
    /// As [`register_redirect_uri`](Self::register_redirect_uri).
    pub fn register_post_logout_redirect_uri(&self, client_id: &str, uri: &str) -> Result<(), DevError> {
        self.register(client_id, uri, |client| &mut client.post_logout_redirect_uris)
    }

    /// Tells this app who has signed out here, by a logout token to this address (OpenID Connect Back-Channel Logout 1.0).
    ///
    /// # Errors
    ///
    /// As [`register_redirect_uri`](Self::register_redirect_uri).
    pub fn register_back_channel_logout_uri(&self, client_id: &str, uri: &str) -> Result<(), DevError> {
        let mut state = self.shared.lock();
        client_with(&mut state, client_id, uri)?.back_channel_logout_uri = Some(uri.to_owned());
        Ok(())
    }

    /// Offers one more account on the page. [`approve`](Self::approve) takes any.
    pub fn add_account(&self, account: &Account) {
        self.shared.lock().accounts.push(account.clone());
    }

    /// What the time is, for tests of how codes and tokens age; [`SystemTime::now`] at the start.
    ///
    /// It is called while the state is locked, so it must not call back into this provider.
    pub fn set_clock(&self, clock: Arc<dyn Fn() -> SystemTime + Send + Sync>) {
        self.shared.lock().clock = clock;
    }

    /// Approves an authorization request as `account` would in a browser, and gives the URL the browser would be sent to: the
    /// redirect URI with `code`, `state` and `iss`. It stands for somebody who is signed in here already, so `prompt=none` is no
    /// obstacle, as it is to the page.
    ///
    /// # Errors
    ///
    /// [`DevError::ForeignUrl`] where the URL is not of this server's page, [`DevError::Request`] where the page would have
    /// refused it or sent the browser back with an error.
    pub fn approve(&self, authorization_url: &str, account: &Account) -> Result<String, DevError> {
        let mut state = self.shared.lock();
        self.parse(authorization_url, &state)?.approve(&mut state, account.clone())
    }

    /// Refuses an authorization request, and gives the URL the browser would be sent to: the redirect URI with
    /// `error=access_denied`, `state` and `iss`.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub fn deny(&self, authorization_url: &str) -> Result<String, DevError> {
        let state = self.shared.lock();
        Ok(self.parse(authorization_url, &state)?.deny(&state, "access_denied"))
    }

    /// Signs out as a person would in a browser, and gives the URL it would be sent to, if the request names one.
    ///
    /// # Errors
    ///
    /// [`DevError::ForeignUrl`] where the URL is not of this server's page, [`DevError::Request`] where the page would have
    /// refused it.
    pub fn end_session(&self, end_session_url: &str) -> Result<Option<String>, DevError> {
        let query = own_query(self.issuer(), end_session::PATH, end_session_url)?;
        let mut state = self.shared.lock();
        let request = EndSession::parse(&query, &state).map_err(DevError::Request)?;
        request.end(&mut state);
        Ok(request.target)
    }

    /// Ends every session of `account` here, as an administrator would, and tells each app that has
    /// [registered for it](Self::register_back_channel_logout_uri). What the apps said is in [`told`](Self::told).
    pub fn sign_out(&self, account: &Account) {
        logout::end(&mut self.shared.lock(), |session| session.subject == account.subject);
    }

    /// What apps have answered to the logout tokens that were sent since this was asked last, once all have: `None` where no
    /// answer came.
    pub async fn told(&self) -> Vec<Option<StatusCode>> {
        let told = std::mem::take(&mut self.shared.lock().told);
        let mut answers = Vec::with_capacity(told.len());
        for answer in told {
            answers.push(answer.await.unwrap_or_default());
        }
        answers
    }

    /// The `sid` of each session that `account` has here, oldest first.
    #[must_use]
    pub fn session_ids(&self, account: &Account) -> Vec<String> {
        let state = self.shared.lock();
        let sessions = state.sessions.iter().filter(|session| session.subject == account.subject);
        sessions.map(|session| session.session_id.clone()).collect()
    }

    /// A logout token for this app, or what the [misbehaviour](Self::set_misbehaviour) makes of it; it is not sent.
    ///
    /// # Errors
    ///
    /// [`DevError::Random`] where the system gives no randomness.
    pub fn logout_token(
        &self,
        client_id: &str,
        subject: Option<&str>,
        session_id: Option<&str>,
    ) -> Result<String, DevError> {
        logout::token(&mut self.shared.lock(), client_id, subject, session_id)
    }

    fn parse(&self, authorization_url: &str, state: &State) -> Result<AuthorizationRequest, DevError> {
        let query = own_query(self.issuer(), routes::AUTHORIZE, authorization_url)?;
        AuthorizationRequest::parse(&query, state).map_err(|refused| {
            DevError::Request(match refused {
                Refused::Here(reason) => reason,
                Refused::There { description, .. } => description.to_owned(),
            })
        })
    }

    fn register(&self, client_id: &str, uri: &str, list: fn(&mut Client) -> &mut Vec<String>) -> Result<(), DevError> {
        list(client_with(&mut self.shared.lock(), client_id, uri)?).push(uri.to_owned());
        Ok(())
    }
}

/// The app that this URI is to be registered for.
fn client_with<'a>(state: &'a mut State, client_id: &str, uri: &str) -> Result<&'a mut Client, DevError> {
    if !is_loopback_uri(uri) {
        return Err(DevError::Request(format!("{uri} is no http URI of this machine")));
    }
    let client = state.clients.get_mut(client_id);
    client.ok_or_else(|| DevError::Request(format!("no app has the client id {client_id}")))
}

impl Drop for OpenIdProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for OpenIdProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenIdProvider").field("issuer", &self.shared.issuer).finish_non_exhaustive()
    }
}
