//! A stand-in for BitBadges on this machine, for development and tests.
//!
//! [`DevProvider`] is a real HTTP server. It shows the authorize page that bitbadges.io shows and
//! answers the routes of its API that signing in needs, on one origin:
//!
//! | route | stands in for |
//! |---|---|
//! | `GET`, `POST /siwbb/authorize` | the page where a person approves |
//! | `POST /api/v0/siwbb/token` | codes and refresh tokens for tokens |
//! | `POST /api/v0/siwbb/token/revoke` | the end of an authorization |
//! | `POST /api/v0/auth/status` | whether an access token still holds, and whose it is |
//! | `GET /api/v0/claims/success/{id}/{address}` | how often an address succeeded at a claim |
//! | `POST /api/v0/verifyOwnershipRequirements` | whether an address owns what is asked |
//!
//! It proves nothing about anybody, so it keeps itself from being mistaken for the real one:
//!
//! 1. It listens on 127.0.0.1 only, and answers 421 where the `Host` is no name of this machine.
//! 2. Only `http` redirect URIs on `localhost`, `127.0.0.1` and `[::1]` are registered.
//! 3. Every page, and a warning in the log at the start, say what it is.
//!
//! With the feature `oidc` there is an OpenID provider as well, by the same rules: `dev::openid`.
//!
//! ```
//! use tower_signin::dev::{Account, CLIENT_ID, DevProvider};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let bitbadges = DevProvider::start().await?;
//! let url = format!(
//!     "{}/siwbb/authorize?client_id={CLIENT_ID}&redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fcb&state=f3a9",
//!     bitbadges.origin(),
//! );
//! let back = bitbadges.approve(&url, &Account::alice())?;
//! assert!(back.starts_with("http://localhost:3000/cb?code="));
//! assert!(back.ends_with("&state=f3a9"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod account;
mod api;
mod authorize;
mod body;
mod fault;
mod iso_time;
#[cfg(feature = "oidc")]
pub mod openid;
mod page;
mod payload;
mod server;
mod sign_in;
mod site;
mod state;
mod token;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::authorize::{AuthorizationRequest, Challenge, own_query};
use self::state::{NewCode, Shared, hash};

pub use self::account::Account;
pub use self::fault::{Fault, Route};
#[cfg(feature = "oidc")]
pub use self::openid::OpenIdProvider;

/// The client id of the app that is registered from the start.
pub const CLIENT_ID: &str = "app_demo_01";
/// The client secret of that app.
pub const CLIENT_SECRET: &str = "s3cr3t-demo";
/// The one API key there is, sent as `x-api-key`.
pub const API_KEY: &str = "key-demo";

/// A running stand-in for BitBadges; see the [module](self).
///
/// Dropping it stops it, open connections included. Every setting takes effect at once.
pub struct DevProvider {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl DevProvider {
    /// Starts on a free port of 127.0.0.1. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where no socket can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(0).await
    }

    /// Starts on this port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// Where the port is taken, or not ours to take.
    pub async fn start_on(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let origin = format!("http://localhost:{}", listener.local_addr()?.port());
        tracing::warn!(
            %origin,
            "a DEVELOPMENT STAND-IN for BitBadges is running: it signs in anybody as anyone, \
             and nothing it says may be trusted"
        );
        let shared = Arc::new(Shared::new(origin));
        let server = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        let provider = Self { shared, server };
        provider.add_app(CLIENT_ID, CLIENT_SECRET);
        Ok(provider)
    }

    /// `http://localhost:PORT`: the base of the authorize page and of the API.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// Which BitBadges to be; [`Mode::Strict`] at the start.
    pub fn set_mode(&self, mode: Mode) {
        self.shared.lock().mode = mode;
    }

    /// Breaks the token route in this way until told otherwise; `None` mends it.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.set_fault_on(Route::Token, fault);
    }

    /// Breaks any route of the API in this way until told otherwise; `None` mends it.
    pub fn set_fault_on(&self, route: Route, fault: Option<Fault>) {
        let faults = &mut self.shared.lock().faults;
        match fault {
            Some(fault) => faults.insert(route, fault),
            None => faults.remove(&route),
        };
    }

    /// The requests to the API, oldest first: the last 1,000, those that were refused included.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.lock().requests.all()
    }

    /// Forgets the requests seen so far.
    pub fn clear_requests(&self) {
        self.shared.lock().requests.clear();
    }

    /// How often `address` succeeded at a claim; 0 unless told. `0x…` and `bb1…` are one address.
    pub fn set_claim_success(&self, claim_id: &str, address: &str, count: u64) {
        let key = (claim_id.to_owned(), canonical(address));
        self.shared.lock().claims.insert(key, count);
    }

    /// Whether `address` meets every ownership requirement; false unless told.
    pub fn set_ownership(&self, address: &str, owns: bool) {
        let owners = &mut self.shared.lock().owners;
        if owns {
            owners.insert(canonical(address));
        } else {
            owners.remove(&canonical(address));
        }
    }

    /// Registers another app, for tests of whose code is whose.
    pub fn add_app(&self, client_id: &str, client_secret: &str) {
        let mut state = self.shared.lock();
        state.apps.insert(client_id.to_owned(), hash(client_secret));
    }

    /// What the time is, for tests of how codes and tokens age; [`SystemTime::now`] at the start.
    ///
    /// It is called while the state is locked, so it must not call back into this provider.
    pub fn set_clock(&self, clock: Arc<dyn Fn() -> SystemTime + Send + Sync>) {
        self.shared.lock().clock = clock;
    }

    /// Approves an authorization request as `account` would in a browser, and gives the URL the
    /// browser would be sent to: the redirect URI with `code` and `state`.
    ///
    /// # Errors
    ///
    /// [`DevError::ForeignUrl`] where the URL is not of this server's authorize page,
    /// [`DevError::Request`] where the page would have refused it.
    pub fn approve(&self, authorization_url: &str, account: &Account) -> Result<String, DevError> {
        self.parse(authorization_url)?.approve(&mut self.shared.lock(), account.clone())
    }

    /// Refuses an authorization request, and gives the URL the browser would be sent to: the
    /// redirect URI with `error=access_denied` and `state`.
    ///
    /// BitBadges does not document what it sends here, if anything; this is RFC 6749 section 4.1.2.1.
    ///
    /// # Errors
    ///
    /// As [`approve`](Self::approve).
    pub fn deny(&self, authorization_url: &str) -> Result<String, DevError> {
        Ok(self.parse(authorization_url)?.deny())
    }

    /// Makes a code without an authorization request, for tests of the token route alone.
    ///
    /// The redirect URI may be any, `https` included; the exchange must repeat it byte for byte.
    /// `challenge` is an S256 code challenge. The code has no scopes.
    ///
    /// # Errors
    ///
    /// [`DevError::Random`] where the system gives no randomness.
    pub fn issue_code(
        &self,
        client_id: &str,
        redirect_uri: &str,
        account: &Account,
        challenge: Option<&str>,
    ) -> Result<String, DevError> {
        self.shared.lock().issue_code(NewCode {
            account: account.clone(),
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.map(|challenge| Challenge::S256(challenge.to_owned())),
            scopes: Vec::new(),
        })
    }

    fn parse(&self, authorization_url: &str) -> Result<AuthorizationRequest, DevError> {
        let query = own_query(self.origin(), authorize::PATH, authorization_url)?;
        AuthorizationRequest::parse(&query, &self.shared.lock()).map_err(DevError::Request)
    }
}

impl Drop for DevProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for DevProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevProvider").field("origin", &self.shared.origin).finish_non_exhaustive()
    }
}

/// Which BitBadges the dev provider is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// The documented one: a code works once, for the app, the redirect URI and the code verifier
    /// it was made with; tokens always come in pairs; times are decimal strings.
    #[default]
    Strict,
    /// The public server of July 2024: refusals are 500, a code works until it is 10 minutes old
    /// and for any app, PKCE is unknown, an API key is optional, times are numbers,
    /// `cosmosAddress` stands for `bitbadgesAddress`, and without scopes the access token is the
    /// address itself.
    Legacy2024,
}

/// A request that an app sent by itself, as the server read it.
///
/// Its `Debug` shows neither header values nor the body, since both hold secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// The method.
    pub method: Method,
    /// The path, as sent.
    pub path: String,
    /// The query, as sent, without the question mark.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; empty where it was longer than the 64 KiB that are read.
    pub body: Bytes,
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Why the dev provider could not do what a test asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DevError {
    /// Neither `0x` and 40 hex digits nor a valid `bb1…` address.
    Address,
    /// Not a URL of the page of this server that should answer it.
    ForeignUrl,
    /// The server refuses the request, for this reason.
    Request(String),
    /// The system gave no randomness.
    Random,
    /// The `SignIn` was built on another provider.
    ForeignSignIn,
    /// The value is no JSON, or does not fit into the session's cookies.
    Data,
}

impl fmt::Display for DevError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("neither 0x and 40 hex digits nor a valid bb1 address"),
            Self::ForeignUrl => f.write_str("not a URL of this page of the dev provider"),
            Self::Request(reason) => write!(f, "the dev provider refuses this: {reason}"),
            Self::Random => f.write_str("the system gave no randomness"),
            Self::Data => f.write_str("the value is no JSON, or does not fit into the session's cookies"),
            Self::ForeignSignIn => f.write_str("the SignIn was built on another provider"),
        }
    }
}

impl std::error::Error for DevError {}

/// What can't be read as an address is its own key, and no request reaches it.
fn canonical(address: &str) -> String {
    Account::from_address(address).map_or_else(|_| address.to_owned(), |account| account.bitbadges_address)
}
