//! What the application says to a sign-in.

use std::fmt;

use serde::Serialize;

use super::signed_in::SignedIn;
use crate::error::{BoxError, Error, ErrorKind};
use crate::http_client::BoxFuture;

/// The application's hook, boxed once at build.
pub(crate) type Hook = Box<dyn Fn(SignedIn) -> BoxFuture<'static, Result<Admission, Rejection>> + Send + Sync>;

/// The hook lets the person in, with or without a value to remember.
///
/// See [`Builder::on_sign_in`](crate::Builder::on_sign_in).
#[derive(Clone, Default)]
pub struct Admission {
    data: String,
}

impl Admission {
    /// Lets the person in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the person in and keeps a small value in the session, for [`Identity::data`](crate::Identity::data) to give
    /// back. It travels in a cookie, so a few hundred bytes are plenty; what doesn't fit
    /// ([`Builder::session_cookie_limit`](crate::Builder::session_cookie_limit)) fails the sign-in with `session_too_large`.
    ///
    /// # Errors
    ///
    /// When the value can't be written as JSON.
    pub fn with_data(value: &impl Serialize) -> Result<Self, Rejection> {
        Ok(Self { data: serde_json::to_string(value)? })
    }

    pub(crate) fn data(&self) -> &str {
        &self.data
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

/// The hook does not let the person in, or failed. Every error becomes one through `?`.
#[derive(Debug)]
pub struct Rejection(Kind);

#[derive(Debug)]
enum Kind {
    Refused(&'static str),
    Failed(BoxError),
}

impl Rejection {
    /// Turns the person away with status 403. They see `code`, so make it a word they can quote: `not_a_member`.
    #[must_use]
    pub fn refuse(code: &'static str) -> Self {
        Self(Kind::Refused(code))
    }

    pub(crate) fn into_error(self) -> Error {
        match self.0 {
            Kind::Refused(code) => Error::new(ErrorKind::RefusedByApp).with_reason(code),
            Kind::Failed(source) => Error::new(ErrorKind::HookFailed).with_source(source),
        }
    }
}

/// The hook failed: status 500, and the error is logged.
impl<E: Into<BoxError>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Self(Kind::Failed(error.into()))
    }
}
