//! Handler arguments for axum.

use std::convert::Infallible;
use std::fmt;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::request::Parts;

use crate::error::ErrorKind;
use crate::flow::signed_in::SignedIn;
use crate::identity::{Identity, Unrecognised};
use crate::oauth::token::Tokens;
use crate::refusal::Refusal;

/// What a handler answers whose argument is not there.
///
/// | argument | is there | otherwise |
/// |---|---|---|
/// | [`Identity`] | where somebody is signed in | 401, in the words of [`RequireLayer`](crate::RequireLayer), with a link to sign in; nobody is redirected |
/// | [`SignedIn`] | at a forwarded callback | 500 and `callback_not_forwarded` |
/// | [`Tokens`] | where [`Builder::keep_tokens`](crate::Builder::keep_tokens) has them kept, and at a forwarded callback | 401 where nobody is signed in, else 500 and `tokens_missing` |
///
/// Each is an argument as an `Option`, too, which rejects only where it is unknown whether somebody is signed in: 503 and
/// `session_unavailable`. The guard runs before any handler and sees every method,
/// preflights too; an argument only says what its handler needs.
pub struct SignInRejection(Box<(ErrorKind, http::Response<Bytes>)>);

impl SignInRejection {
    fn new(kind: ErrorKind, parts: &Parts) -> Self {
        Self(Box::new((kind, Refusal::response(None, kind, None, &parts.method, &parts.headers))))
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.0
    }
}

impl fmt::Debug for SignInRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignInRejection").field(&self.kind()).finish()
    }
}

impl IntoResponse for SignInRejection {
    fn into_response(self) -> Response {
        self.0.1.map(Into::into)
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = SignInRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SignInRejection> {
        parts.extensions.get().cloned().ok_or_else(|| SignInRejection::new(nobody(parts), parts))
    }
}

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = SignInRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SignInRejection> {
        parts.extensions.get().cloned().ok_or_else(|| SignInRejection::new(ErrorKind::NotForwarded, parts))
    }
}

impl<S: Sync> FromRequestParts<S> for Tokens {
    type Rejection = SignInRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SignInRejection> {
        let is_signed_in = parts.extensions.get::<Identity>().is_some();
        let kind = if is_signed_in { ErrorKind::TokensMissing } else { nobody(parts) };
        parts.extensions.get().cloned().ok_or_else(|| SignInRejection::new(kind, parts))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Identity {
    type Rejection = SignInRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SignInRejection> {
        or_unavailable(parts)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Tokens {
    type Rejection = SignInRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SignInRejection> {
        or_unavailable(parts)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for SignedIn {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// `None` says that nobody is signed in, so it must not be said where that is unknown.
fn or_unavailable<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<Option<T>, SignInRejection> {
    match nobody(parts) {
        kind @ ErrorKind::SessionUnavailable => Err(SignInRejection::new(kind, parts)),
        _ => Ok(parts.extensions.get().cloned()),
    }
}

/// Why nobody is there.
fn nobody(parts: &Parts) -> ErrorKind {
    let is_unavailable = parts.extensions.get::<Unrecognised>().is_some_and(|seen| seen.is_unavailable);
    if is_unavailable { ErrorKind::SessionUnavailable } else { ErrorKind::NotSignedIn }
}
