//! Providers whose endpoints are known. Each fact is from the page that its preset names; nothing here was run against the
//! services.

use super::*;

impl OAuth2 {
    /// GitHub, with client id and client secret of an OAuth app or a GitHub App.
    ///
    /// No scope is asked for, which shows what is public. The subject is the number of the account, which stays when the login is
    /// changed or given to somebody else. Claims: `login`, `name`, `email`, `avatar_url`. The `email` is the public one of the
    /// profile, and GitHub does not say here whether it is verified, so `email_verified` is always false. Tokens can't be revoked
    /// in the standard way.
    ///
    /// From GitHub's pages "Authorizing OAuth apps", "REST API endpoints for users" and, for `prompt=select_account`, "Account
    /// picker updates for OAuth and GitHub App sign-in". The issuer is what GitHub calls itself in the `iss` of its answers
    /// (release notes of next-auth 4.24.14).
    ///
    /// ```
    /// use tower_signin::{OAuth2, Provider as _};
    ///
    /// let provider = OAuth2::github("client-id", "client-secret").scope("read:user");
    /// assert_eq!(provider.issuer(), "https://github.com/login/oauth");
    /// ```
    #[must_use]
    pub fn github(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new("https://github.com/login/oauth", client_id, client_secret)
            .authorization_endpoint("https://github.com/login/oauth/authorize")
            .token_endpoint("https://github.com/login/oauth/access_token")
            .user_info_endpoint("https://api.github.com/user")
            .client_authentication(ClientAuthentication::Post)
            .offers_accounts()
            .subject_pointer("/id")
            .claims(["login", "name", "email", "avatar_url"])
            .name("github")
            .label("GitHub")
    }

    /// GitLab.com, with the application id and secret of an OAuth application that is allowed the scope `openid`.
    ///
    /// The scope is `openid`; add `profile` and `email` for more. Claims: `name`, `nickname` (the user name), `picture`, `email`,
    /// `email_verified`.
    ///
    /// From GitLab's pages "OAuth 2.0 identity provider API" and "GitLab as OpenID Connect identity provider".
    ///
    /// ```
    /// use tower_signin::OAuth2;
    ///
    /// let provider = OAuth2::gitlab("application-id", "secret").scope("email");
    /// ```
    #[must_use]
    pub fn gitlab(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new("https://gitlab.com", client_id, client_secret)
            .authorization_endpoint("https://gitlab.com/oauth/authorize")
            .token_endpoint("https://gitlab.com/oauth/token")
            .user_info_endpoint("https://gitlab.com/oauth/userinfo")
            .revocation_endpoint("https://gitlab.com/oauth/revoke")
            .client_authentication(ClientAuthentication::Post)
            .scope("openid")
            .claims(["name", "nickname", "picture", "email"])
            .name("gitlab")
            .label("GitLab")
    }

    /// Discord, with client id and client secret of an application.
    ///
    /// The scope is `identify`; add `email` for the address. Claims: `username`, `global_name`, `avatar`, `email`, and
    /// `email_verified`, which Discord calls `verified`.
    ///
    /// From Discord's pages "OAuth2" and "Users Resource", and its metadata (RFC 8414).
    ///
    /// ```
    /// use tower_signin::OAuth2;
    ///
    /// let provider = OAuth2::discord("client-id", "client-secret").scope("email");
    /// ```
    #[must_use]
    pub fn discord(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new("https://discord.com", client_id, client_secret)
            .authorization_endpoint("https://discord.com/oauth2/authorize")
            .token_endpoint("https://discord.com/api/oauth2/token")
            .user_info_endpoint("https://discord.com/api/v10/users/@me")
            .revocation_endpoint("https://discord.com/api/oauth2/token/revoke")
            .scope("identify")
            .subject_pointer("/id")
            .claims(["username", "global_name", "avatar", "email"])
            .email_verified_member("verified")
            .name("discord")
            .label("Discord")
    }

    /// Google, with client id and client secret of an OAuth client.
    ///
    /// The scope is `openid`; add `profile` and `email` for more. Claims: `name`, `picture`, `email`, `email_verified`, and `hd`,
    /// the domain of an organization's account. For a refresh token, which Google gives at the first consent only, add the
    /// parameter `access_type=offline`.
    ///
    /// From Google's pages "OpenID Connect" and "Using OAuth 2.0 for Web Server Applications", and its discovery document.
    ///
    /// ```
    /// use tower_signin::OAuth2;
    ///
    /// let provider = OAuth2::google("client-id", "client-secret").scope("email").extra_parameter("access_type", "offline");
    /// ```
    #[must_use]
    pub fn google(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self::new("https://accounts.google.com", client_id, client_secret)
            .authorization_endpoint("https://accounts.google.com/o/oauth2/v2/auth")
            .token_endpoint("https://oauth2.googleapis.com/token")
            .user_info_endpoint("https://openidconnect.googleapis.com/v1/userinfo")
            .revocation_endpoint("https://oauth2.googleapis.com/revoke")
            .client_authentication(ClientAuthentication::Post)
            .offers_accounts()
            .scope("openid")
            .claims(["name", "picture", "email", "hd"])
            .name("google")
            .label("Google")
    }
}
