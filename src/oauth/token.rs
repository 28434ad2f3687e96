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
    id_token: Option<SecretString>,
    scope: Option<String>,
}

impl Tokens {
    /// An access token alone, with no known end.
    #[must_use]
    pub fn new(access_token: impl Into<String>) -> Self {
        Self::of(secret_text(access_token), None)
    }

    pub(crate) fn of(access_token: SecretString, refresh_token: Option<SecretString>) -> Self {
        Self(Arc::new(Pair {
            access_token,
            access_expires_at: None,
            refresh_token,
            refresh_expires_at: None,
            id_token: None,
            scope: None,
        }))
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

    /// Adds the ID token they came with (OpenID Connect Core section 3.1.3.3), as it is.
    #[must_use]
    pub fn with_id_token(mut self, id_token: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).id_token = Some(secret_text(id_token));
        self
    }

    /// Adds the scope that was granted, where the provider said so: values separated by spaces.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).scope = Some(scope.into());
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

    /// The ID token they came with, if any. It told who signed in; it is no key to anything.
    #[must_use]
    pub fn id_token(&self) -> Option<&str> {
        self.0.id_token.as_ref().map(|token| token.expose_secret())
    }

    /// The scope that was granted, values separated by spaces, if the provider said so. Where it did not, it is the one that
    /// was asked for (RFC 6749 section 5.1). It may be less.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope.as_deref()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("access_expires_at", &self.0.access_expires_at)
            .field("refresh_expires_at", &self.0.refresh_expires_at)
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::assert_wiped;

    #[test]
    fn all_are_wiped() {
        let tokens = Tokens::new("access").with_refresh_token("refresh").with_id_token("id");
        assert_wiped(&tokens.0.access_token);
        assert_wiped(&tokens.0.refresh_token);
        assert_wiped(&tokens.0.id_token);
    }
}
