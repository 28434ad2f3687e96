//! Providers whose issuer is known. Each fact is from the page that its preset names; nothing here was run against the services.

use super::*;

impl Oidc {
    /// Google, with client id and client secret of an OAuth client.
    ///
    /// The scope is `openid`; add `email` and `profile` for more. Claims: `name`, `picture`, `email`, `email_verified`, and `hd`,
    /// the domain of an organization's account. For a refresh token, which Google gives at the first consent only, add the
    /// parameter `access_type=offline`.
    ///
    /// From Google's page "OpenID Connect" and its discovery document.
    ///
    /// ```
    /// use tower_signin::{Oidc, Provider as _};
    ///
    /// let provider = Oidc::google("client-id", "client-secret").scope("email");
    /// assert_eq!(provider.issuer(), "https://accounts.google.com");
    /// ```
    #[must_use]
    pub fn google(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::discover("https://accounts.google.com", client_id, client_secret)
            .claims(["name", "picture", "email", "hd"])
            .name("google")
            .label("Google")
    }

    /// Microsoft Entra ID, for the accounts of one tenant, by the tenant's id: the UUID, since that is what the issuer holds. A
    /// sign-in for several tenants has as many issuers, so each tenant is a provider of its own here.
    ///
    /// The scope is `openid`; add `email` and `profile` for more. Claims: `name`, `preferred_username`, `email`, `oid`, `tid`. An
    /// `email` is what an administrator wrote, and never counts as verified. The UserInfo endpoint is not asked: Microsoft's ID
    /// tokens say all that it says.
    ///
    /// From Microsoft's pages "OpenID Connect on the Microsoft identity platform" and "Microsoft identity platform UserInfo
    /// endpoint".
    ///
    /// ```
    /// use tower_signin::{Oidc, Provider as _};
    ///
    /// let provider = Oidc::microsoft("11111111-2222-3333-4444-555555555555", "client-id", "client-secret");
    /// assert_eq!(
    ///     provider.issuer(),
    ///     "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"
    /// );
    /// ```
    #[must_use]
    pub fn microsoft(tenant: &str, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::discover(format!("https://login.microsoftonline.com/{tenant}/v2.0"), client_id, client_secret)
            .claims(["name", "preferred_username", "email", "oid", "tid"])
            .user_info(false)
            .name("microsoft")
            .label("Microsoft")
    }
}
