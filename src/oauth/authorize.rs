//! The authorization request (RFC 6749 section 4.1.1).

use std::fmt;

use super::nonce;

/// What a provider puts into its authorization URL. The values that must not be guessed are drawn by the layer.
#[non_exhaustive]
pub struct AuthorizationRequest<'a> {
    /// The configured redirect URI, to be sent byte for byte.
    pub redirect_uri: &'a str,
    /// The `state` parameter.
    pub state: &'a str,
    /// The S256 `code_challenge` (RFC 7636).
    pub code_challenge: &'a str,
    /// The person asked to come as somebody else. A provider that can show a choice of accounts should: OpenID Connect
    /// has `prompt=select_account` for it. BitBadges documents nothing of the kind; its page names the account.
    pub select_account: bool,
    /// Who the person probably is, as the application put it into the link to login: OpenID Connect has `login_hint` for it.
    /// It comes from a URL, so it proves nothing.
    pub login_hint: Option<&'a str>,
}

impl<'a> AuthorizationRequest<'a> {
    /// A request of these parts, for tests of a provider of yours.
    #[must_use]
    pub fn new(redirect_uri: &'a str, state: &'a str, code_challenge: &'a str) -> Self {
        Self { redirect_uri, state, code_challenge, select_account: false, login_hint: None }
    }

    /// The `nonce` of OpenID Connect (Core section 3.1.2.1), bound to this request: [`ValidatedCode::nonce`] gives the same one
    /// back. 43 characters of `[0-9A-Za-z_-]`.
    ///
    /// [`ValidatedCode::nonce`]: crate::ValidatedCode::nonce
    #[must_use]
    pub fn nonce(&self) -> String {
        nonce::of(self.code_challenge)
    }

    /// The same, asking for a choice of accounts.
    #[must_use]
    pub fn selecting_account(self) -> Self {
        Self { select_account: true, ..self }
    }

    /// The same, for who probably is this person.
    #[must_use]
    pub fn hinting(self, login_hint: &'a str) -> Self {
        Self { login_hint: Some(login_hint), ..self }
    }
}

impl fmt::Debug for AuthorizationRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}
