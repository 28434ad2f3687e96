//! What a token endpoint gives (RFC 6749 section 5.1).

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use secrecy::{ExposeSecret as _, SecretString};

use crate::secret::secret_text;

/// An access token and, where the provider gave one, a refresh token. Opaque; `Debug` shows neither. Cheap to clone.
///
/// ```
/// use tower_signin::Tokens;
///
/// let tokens = Tokens::new("access-secret").with_refresh_token("refresh-secret");
/// assert_eq!(tokens.access_token(), "access-secret");
/// assert!(!format!("{tokens:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Tokens(Arc<Pair>);

#[derive(Clone)]
struct Pair {
    access_token: SecretString,
    access_expires_at: Option<SystemTime>,
    refresh_token: Option<SecretString>,
    refresh_expires_at: Option<SystemTime>,
}

impl Tokens {
    /// An access token alone, with no known end.
    #[must_use]
    pub fn new(access_token: impl Into<String>) -> Self {
        Self::of(secret_text(access_token), None)
    }

    pub(crate) fn of(access_token: SecretString, refresh_token: Option<SecretString>) -> Self {
        Self(Arc::new(Pair { access_token, access_expires_at: None, refresh_token, refresh_expires_at: None }))
    }

    /// Adds a refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).refresh_token = Some(secret_text(refresh_token));
        self
    }

    /// Adds when each token ends, where the provider said so.
    #[must_use]
    pub fn with_expiries(mut self, access: Option<SystemTime>, refresh: Option<SystemTime>) -> Self {
        let pair = Arc::make_mut(&mut self.0);
        (pair.access_expires_at, pair.refresh_expires_at) = (access, refresh);
        self
    }

    /// The access token, to be sent in an `Authorization: Bearer` header (RFC 6750 section 2.1).
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.0.access_token.expose_secret()
    }

    /// When the access token ends, if the provider said so.
    #[must_use]
    pub fn access_expires_at(&self) -> Option<SystemTime> {
        self.0.access_expires_at
    }

    /// The refresh token, if the provider gave one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.0.refresh_token.as_ref().map(|token| token.expose_secret())
    }

    /// When the refresh token ends, if the provider said so.
    #[must_use]
    pub fn refresh_expires_at(&self) -> Option<SystemTime> {
        self.0.refresh_expires_at
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access_expires_at", &self.0.access_expires_at)
            .field("refresh_expires_at", &self.0.refresh_expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::assert_wiped;

    #[test]
    fn both_are_wiped() {
        let tokens = Tokens::new("access").with_refresh_token("refresh");
        assert_wiped(&tokens.0.access_token);
        assert_wiped(&tokens.0.refresh_token);
    }
}
