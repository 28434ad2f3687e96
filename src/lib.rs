//! One tower layer that signs people in.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod clock;
mod config;
mod cookies;
#[cfg(feature = "dev")]
pub mod dev;
mod error;
mod flow;
mod future;
mod http_client;
mod identity;
mod layer;
mod oauth;
mod provider;
mod require;
mod respond;
mod return_to;
mod route;
mod seal;
mod service;
mod session;
mod wire;

pub use self::body::ResponseBody;
pub use self::clock::{Clock, ManualClock, SystemClock};
pub use self::config::{Builder, ConfigError, SignIn};
pub use self::error::{BoxError, Error, ErrorKind};
pub use self::flow::hook::{Admission, Rejection};
pub use self::flow::signed_in::SignedIn;
pub use self::future::ResponseFuture;
pub use self::http_client::{ANSWER_LIMIT, BoxFuture, HttpClient, HttpError, HttpErrorKind};
pub use self::identity::Identity;
#[cfg(feature = "axum")]
pub use self::identity::NotSignedIn;
pub use self::layer::SignInLayer;
pub use self::oauth::authorize::AuthorizationRequest;
pub use self::oauth::callback::ValidatedCode;
pub use self::oauth::token::Tokens;
pub use self::provider::siwbb::{self, Siwbb};
pub use self::provider::{Grant, Provider};
pub use self::require::{RequireFuture, RequireLayer, RequireService};
pub use self::seal::Keys;
pub use self::service::SignInService;

/// The version of the `http` crate whose requests and responses this crate speaks.
pub use http;
