//! One tower layer that signs people in.
//!
//! [`SignInLayer`] answers the login path and the redirect path itself, exchanges the authorization code, and puts the
//! [`Identity`] of who is signed in into the extensions of every other request, for whatever service stands behind it:
//! axum, hyper, tonic. [`RequireLayer`] turns away who is not signed in. The first provider is [`Siwbb`], Sign In With
//! BitBadges; [`OAuth2`] speaks plain OAuth 2.0, with GitHub for one, and `Oidc` OpenID Connect (feature `oidc`); [`Provider`] is
//! the seam for others.
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, Service, ServiceExt, service_fn};
//! use tower_signin::{Identity, Keys, SignIn, Siwbb};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let sign_in = SignIn::builder(Siwbb::new("client-id", "client-secret", "api-key"))
//!     .redirect_uri("https://app.example.com/auth/callback")
//!     .keys(Keys::generate()?)
//!     .build()?;
//!
//! let mut service = sign_in.layer().layer(service_fn(|request: Request<()>| async move {
//!     let who = request.extensions().get::<Identity>().map(|identity| identity.subject().to_owned());
//!     Ok::<_, std::io::Error>(Response::new(who))
//! }));
//!
//! let response = service.ready().await?.call(Request::get("/auth/login?return_to=/me").body(())?).await?;
//! assert_eq!(response.status(), StatusCode::SEE_OTHER);
//! assert!(response.headers()["location"].to_str()?.starts_with("https://bitbadges.io/siwbb/authorize?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way of a request
//!
//! Data goes one way, and no step calls back.
//!
//! * **Ordinary**: the session cookie is opened, the [`Identity`] inserted, the inner service called. Without a cookie of
//!   ours nothing is allocated. Where sessions are in a [`SessionStore`], what the cookie names is asked for in between; what
//!   does not open never reaches the store.
//! * **Guarded**: a [`RequireLayer`] inside answers who must not pass, each caller in its own language. A router may have
//!   shortened the address it sees, so [`SignInLayer`], which saw the whole, adds the page to come back to.
//! * **Login**, `GET /auth/login?return_to=/path`: a fresh state and code verifier, sealed into a flow cookie; 303 to the
//!   provider. Nothing is kept on the server, and no I/O done, but where what the provider publishes has to be fetched first.
//! * **Callback**, on the configured redirect URI's path: method, shape of the query, flow cookie, freshness, state, issuer,
//!   error; only then the *attempt*, in a task of its own: where nodes share a store, the state is marked as spent there; exchange,
//!   the provider's checks and gates, the application's hook. Then a session, in its cookie or in the store, and 303 to the return target, or on to the application's own handler
//!   ([`Builder::forward_callback`]).
//! * **Logout**, `POST /auth/logout` from a page of this site: every cookie of ours is deleted, who waits at
//!   [`Identity::ended`] in this process is told, and so is the store or the list, if there is one. Where the provider [ends its own session](Provider::ends_sessions), a
//!   person is led over it, and comes back with `GET`. A provider that ended a session by itself tells so to a second layer,
//!   [`SignIn::back_channel_logout`].
//!
//! # Several providers
//!
//! [`SignIn::builder`] takes the first provider and [`Builder::and`] each further one: [`Siwbb`], [`OAuth2`] for plain OAuth 2.0, `Oidc`
//! for OpenID Connect, or a [`Provider`] of yours. Login then shows a page to choose on, and each has a login path of its own.
//! The layer, and how it is mounted, stays the same:
//!
//! ```
//! use http::{Request, Response};
//! use hyper_util::service::TowerToHyperService;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_signin::{Identity, Keys, OAuth2, SignIn, Siwbb, predicate};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let sign_in = SignIn::builder(Siwbb::new("client-id", "client-secret", "api-key"))
//!     .and(OAuth2::github("client-id", "client-secret"))
//!     .redirect_uri("https://app.example.com/auth/callback") // BitBadges; GitHub's is .../auth/callback/github
//!     .keys(Keys::generate()?)
//!     .build()?;
//!
//! let by_github = sign_in.require_where(predicate::issuer("https://github.com/login/oauth"));
//! let who = by_github.layer(service_fn(|request: Request<String>| async move {
//!     let who = request.extensions().get::<Identity>().map(|who| format!("{} of {}", who.subject(), who.issuer()));
//!     Ok::<_, std::convert::Infallible>(Response::new(who.unwrap_or_default()))
//! }));
//! let service = sign_in.layer().layer(who);
//!
//! let to = async |path: &str| service.clone().oneshot(Request::get(path).body(String::new()).expect("a path")).await;
//! assert_eq!(to("/auth/login").await?.status(), 200, "the page to choose on");
//! let location = to("/auth/login/github").await?.headers()["location"].clone();
//! assert!(location.to_str()?.starts_with("https://github.com/login/oauth/authorize?"));
//! assert_eq!(to("/").await?.status(), 401, "for people of GitHub");
//!
//! // hyper: a clone of this serves each connection. tonic: any of its services goes behind the same layer.
//! let hyper = TowerToHyperService::new(service);
//! let tonic = tonic::transport::Server::builder().accept_http1(true).layer(sign_in.layer());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * A person is [issuer](Identity::issuer) and [subject](Identity::subject) together. One with accounts at two providers is two
//!   people, and an e-mail address is a claim, no key.
//! * The first provider comes back to the [redirect URI](Builder::redirect_uri), each further one to a path of its
//!   [name](Provider::name) below it. Each is registered at its own provider. The [guide to providers](provider_guide) says where, and what
//!   each preset needs.
//! * Signing out leads over an OpenID provider that has a page for it, and back to the [logout path](SignIn::logout_path), which is
//!   registered there as well.
//!
//! # Many machines
//!
//! Nodes that share their [`Keys`] know each other's sessions, which live in cookies. What ends at one node ends at all where they share
//! a [`SessionStore`] as well, `RedisStore` (feature `redis`) for one: for the sessions themselves ([`Builder::session_store`]), or
//! for a list of those that were ended, of which each node has a copy ([`Builder::revocation_list`]). Then
//! [`SignIn::end_sessions_of`] signs somebody out everywhere, tokens are refreshed once in the whole fleet, and a state is spent
//! once. The [guide to many machines](fleet_guide) says which to choose, and what each costs and promises.
//!
//! # Where to mount it
//!
//! Outermost. The layer answers paths that the inner service need not know, so a router must not decide first; the
//! README has the table of how axum routes around a layer. Responses have the body type [`ResponseBody`], so
//! `tower::util::option_layer` can't wrap the layer.
//!
//! # What holds always
//!
//! 1. A token request is built from a [`ValidatedCode`] alone; nothing is sent on behalf of a callback before state has passed, and a
//!    [`SignIn`], or all that share a store, redeem a state at most once. Only [`SignIn::check`], which operators call, redeems a made-up code.
//! 2. The protocol code does no I/O, reads no clock and draws no randomness. Time comes from [`Clock`].
//! 3. Nothing from a header, query or body becomes an [`Identity`]; a forwarded request carries ours or none.
//! 4. The layer adds no error to the service's own, and answers no failure with a 2xx, but for gRPC, whose status is
//!    elsewhere. Every failure carries its [`ErrorKind`] in the response's extensions.
//! 5. It reads no request body and touches no response body of the inner service; what a guard or extractor of this crate
//!    answered inside counts as its own. A [`BackChannelLogoutLayer`] reads the body of one address, up to a bound.
//! 6. No secret reaches `Debug`, logs, pages or addresses of ours.
//! 7. No redirect target comes from a request unless it is a path on this site; the redirect URI comes from
//!    configuration alone.
//! 8. Paths are matched byte for byte, and nothing is let through by path.
//! 9. Cookies are set and deleted on proof only: a matched state, an opened session or count, a logout that passed its check. What
//!    can't be read is ignored and left alone.
//! 10. Requests of nobody leave nothing behind that is not bounded.
//! 11. A feature adds API and never changes behaviour.
//! 12. No panic that a request can reach.
//!
//! # Defaults
//!
//! | what | default | why |
//! |---|---|---|
//! | session | 24 hours, or to the end of the access token where the provider tells it; sealed in its cookie | as long as a BitBadges access token; nothing to store ([`Builder::session_store`] for one that is) |
//! | sessions that were ended elsewhere | not heard of while they live in their cookies; with [`Builder::revocation_list`] within 10 seconds, and with a list that can't be read 503 | a list has to be shared; who is signed out stays out |
//! | a store that does not answer | given up after 5 seconds, 1,024 wait at most: 503, and no cookie is deleted | an outage signs nobody out |
//! | asking the provider again | never; with [`Builder::recheck_every`], and out of reach for an hour: 503 | it costs requests; an outage signs nobody out |
//! | idle timeout | none; with one, renewed after a tenth of it | a renewal is a cookie on a response |
//! | responses to somebody signed in | `Vary: Cookie`, and `private` where they say nothing | no shared cache shows one person's page to another |
//! | pending sign-in | 10 minutes, one cookie each, at most 4 | several tabs work to the end, and the header stays small |
//! | cookies | `__Host-`, `Secure`, `HttpOnly`, `SameSite=Lax` | no other host can plant them; `Strict` would lose the callback |
//! | attempts | 64 at once at each provider, 30 seconds each, 10 of them the hook's | a flood does not pile up |
//! | provider's answer | 256 KiB, 5 seconds to connect, 15 in all, no redirects | the request carries secrets |
//!
//! A Tokio runtime with timers must run the service. Changing the cookie prefix or the redirect URI ends all sessions.
//!
//! # Features
//!
//! `reqwest` (default): the HTTP client. `axum`: extractors. `metrics`: counters and latencies. `oidc`: OpenID Connect. `redis`:
//! sessions in Redis or Valkey. `tower-sessions`: sessions in the stores of that crate. `conformance`: the tests that every
//! [`SessionStore`] must pass, for whoever writes one. `dev`: a stand-in for BitBadges on loopback; with `oidc`, an OpenID provider
//! there as well.
//!
//! Every error is in the [error reference](error_reference).

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doc)]
#[doc = include_str!("../docs/errors.md")]
pub mod error_reference {}

#[cfg(doc)]
#[doc = include_str!("../docs/providers.md")]
pub mod provider_guide {}

#[cfg(doc)]
#[doc = include_str!("../docs/fleet.md")]
pub mod fleet_guide {}

mod after;
mod back_channel;
mod body;
mod builder;
mod caller;
mod check;
mod clock;
mod config;
mod config_error;
#[cfg(feature = "conformance")]
pub mod conformance;
mod cookies;
#[cfg(feature = "dev")]
pub mod dev;
mod error;
#[cfg(feature = "axum")]
mod extract;
mod flow;
mod future;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod http_client;
mod identity;
mod keys;
mod layer;
mod oauth;
mod page;
pub mod predicate;
mod provider;
mod providers;
mod redirect_uri;
#[cfg(feature = "redis")]
mod redis;
mod refusal;
mod requester;
mod require;
mod respond;
mod return_to;
mod route;
mod seal;
mod secret;
mod service;
mod session;
mod sync;
mod telemetry;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;
mod wire;

pub use self::back_channel::{BackChannelLogoutFuture, BackChannelLogoutLayer, BackChannelLogoutService};
pub use self::body::ResponseBody;
pub use self::builder::Builder;
pub use self::check::{Finding, Report, Verdict};
pub use self::clock::{Clock, ManualClock, SystemClock};
pub use self::config::SignIn;
pub use self::config_error::ConfigError;
pub use self::error::{BoxError, Error, ErrorKind};
#[cfg(feature = "axum")]
pub use self::extract::SignInRejection;
pub use self::flow::hook::{Admission, Rejection};
pub use self::flow::signed_in::SignedIn;
pub use self::future::ResponseFuture;
pub use self::http_client::{ANSWER_LIMIT, BoxFuture, HttpClient, HttpError, HttpErrorKind};
pub use self::identity::Identity;
pub use self::keys::Keys;
pub use self::layer::SignInLayer;
pub use self::oauth::authorize::AuthorizationRequest;
pub use self::oauth::callback::ValidatedCode;
pub use self::oauth::client_authentication::ClientAuthentication;
pub use self::oauth::end_session::EndSessionRequest;
pub use self::oauth::token::Tokens;
pub use self::page::{Choice, Chooser, Page, PageAction, PageLink};
pub use self::provider::logout_notice::LogoutNotice;
pub use self::provider::oauth2::OAuth2;
#[cfg(feature = "oidc")]
pub use self::provider::oidc::{self, Oidc};
pub use self::provider::siwbb::{self, Siwbb};
pub use self::provider::{Context, Grant, Provider, Refreshed};
#[cfg(feature = "redis")]
pub use self::redis::{RedisStore, RedisStoreBuilder};
pub use self::require::{RequireFuture, RequireLayer, RequireService};
pub use self::service::SignInService;
pub use self::session::memory::MemoryStore;
pub use self::session::recheck::WhenUnchecked;
pub use self::session::registry::SessionEnd;
pub use self::session::store::{SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError, StoreErrorKind};
#[cfg(feature = "tower-sessions")]
pub use self::tower_sessions::TowerSessionsStore;

/// The version of the `bytes` crate whose buffers an [`HttpClient`] takes and gives.
pub use bytes;
/// The version of the `http` crate whose requests and responses this crate speaks.
pub use http;
/// The version of the `tower-sessions-core` crate whose stores a [`TowerSessionsStore`] takes.
#[cfg(feature = "tower-sessions")]
pub use tower_sessions_core;
