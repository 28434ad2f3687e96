//! The logout request (OpenID Connect RP-Initiated Logout 1.0, section 2).

use std::fmt;

use super::token::Tokens;

/// What a provider puts into the URL that ends a person's session there, too.
#[non_exhaustive]
pub struct EndSessionRequest<'a> {
    /// Where the provider sends the browser afterwards: the logout path of this site. It has to be registered there.
    pub post_logout_redirect_uri: &'a str,
    /// The `state` parameter, which comes back with the browser.
    pub state: &'a str,
    /// The tokens of the session, where the application [keeps them](crate::Builder::keep_tokens).
    pub tokens: Option<&'a Tokens>,
}

impl<'a> EndSessionRequest<'a> {
    /// A request of these parts, for tests of a provider of yours.
    #[must_use]
    pub fn new(post_logout_redirect_uri: &'a str, state: &'a str, tokens: Option<&'a Tokens>) -> Self {
        Self { post_logout_redirect_uri, state, tokens }
    }
}

impl fmt::Debug for EndSessionRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndSessionRequest")
            .field("post_logout_redirect_uri", &self.post_logout_redirect_uri)
            .finish_non_exhaustive()
    }
}
