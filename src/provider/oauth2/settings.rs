//! What can be set, and what of it can't work.

use super::authorize::OURS;
use super::*;
use crate::oauth::query::{is_scope, reserved_in_query};
use crate::redirect_uri::is_endpoint;

impl OAuth2 {
    /// A provider by its issuer, with the app's credentials there; a public client has an empty secret and
    /// [`ClientAuthentication::None`]. The issuer is the provider's name in every person's key: where the provider states one in
    /// its metadata or in the `iss` of its answers (RFC 9207), that, byte for byte; else a URL of your choice that stays the same.
    ///
    /// The three endpoints [`authorization_endpoint`](Self::authorization_endpoint), [`token_endpoint`](Self::token_endpoint) and
    /// [`user_info_endpoint`](Self::user_info_endpoint) must be set.
    #[must_use]
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            name: "oauth2".to_owned(),
            label: None,
            client_id: client_id.into(),
            client_secret: secret_text(client_secret),
            client_authentication: ClientAuthentication::Basic,
            authorization_endpoint: String::new(),
            token_endpoint: String::new(),
            user_info_endpoint: String::new(),
            revocation_endpoint: None,
            scopes: Vec::new(),
            extra_parameters: Vec::new(),
            offers_accounts: false,
            subject_pointer: "/sub".to_owned(),
            claims: None,
            email_verified_member: "email_verified".to_owned(),
        }
    }

    /// Where the browser goes to sign in. A query it has is kept.
    #[must_use]
    pub fn authorization_endpoint(mut self, url: impl Into<String>) -> Self {
        self.authorization_endpoint = url.into();
        self
    }

    /// Where codes and refresh tokens are exchanged.
    #[must_use]
    pub fn token_endpoint(mut self, url: impl Into<String>) -> Self {
        self.token_endpoint = url.into();
        self
    }

    /// Where an access token tells who the person is: a URL that answers GET with a JSON object.
    #[must_use]
    pub fn user_info_endpoint(mut self, url: impl Into<String>) -> Self {
        self.user_info_endpoint = url.into();
        self
    }

    /// Where tokens are ended (RFC 7009). Without it, tokens that are kept end by themselves after a sign-out.
    #[must_use]
    pub fn revocation_endpoint(mut self, url: impl Into<String>) -> Self {
        self.revocation_endpoint = Some(url.into());
        self
    }

    /// How the app proves to the provider which client it is. [`Basic`](ClientAuthentication::Basic) by default.
    #[must_use]
    pub fn client_authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.client_authentication = authentication;
        self
    }

    /// Asks for a scope; once for each. No scope is asked for by default.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// Adds a query parameter to the authorization URL. One that the provider sets itself, or that would change where the answer
    /// goes, is refused at build.
    #[must_use]
    pub fn extra_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_parameters.push((name.into(), value.into()));
        self
    }

    /// Sends `prompt=select_account` where a person asks to come as somebody else, for a provider that knows it. A `prompt` among
    /// the extra parameters makes room for it.
    #[must_use]
    pub fn offers_accounts(mut self) -> Self {
        self.offers_accounts = true;
        self
    }

    /// Where the answer of the user info endpoint has the subject: a JSON pointer (RFC 6901) to a text or a whole number.
    /// `/sub` by default. Whoever has none, an empty one, or one of another type is not signed in.
    #[must_use]
    pub fn subject_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.subject_pointer = pointer.into();
        self
    }

    /// Picks the members of the user info endpoint's answer that become claims, so that the session cookie stays small; all of
    /// them by default. Those that are missing are left out.
    #[must_use]
    pub fn claims<I>(mut self, members: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.claims = Some(members.into_iter().map(Into::into).collect());
        self
    }

    /// The member of the user info endpoint's answer that says whether the e-mail address is verified: `email_verified` by
    /// default. The claim is called `email_verified` in any case, and is true only where this member is the boolean `true`.
    #[must_use]
    pub fn email_verified_member(mut self, member: impl Into<String>) -> Self {
        self.email_verified_member = member.into();
        self
    }

    /// Its part of the paths where there are several providers. `oauth2` by default.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What people call it. Its name by default.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

pub(super) fn validate(provider: &OAuth2) -> Result<(), ConfigError> {
    provider.client().validate()?;
    is_endpoint("issuer", &provider.issuer)?;
    is_endpoint("authorization_endpoint", &provider.authorization_endpoint)?;
    is_endpoint("token_endpoint", &provider.token_endpoint)?;
    is_endpoint("user_info_endpoint", &provider.user_info_endpoint)?;
    if let Some(url) = &provider.revocation_endpoint {
        is_endpoint("revocation_endpoint", url)?;
    }
    if let Some(name) = reserved_in_query(&provider.authorization_endpoint, OURS) {
        let problem = format!("`{name}` in its query is set by the provider itself");
        return Err(ConfigError::new("authorization_endpoint", problem, "leave it out of the URL"));
    }
    if let Some((name, _)) = provider.extra_parameters.iter().find(|(name, _)| OURS.contains(&name.as_str())) {
        let problem = format!("`{name}` is set by the provider itself, or is not for it");
        return Err(ConfigError::new("extra_parameter", problem, "leave it out, or use the method that sets it"));
    }
    if let Some(scope) = provider.scopes.iter().find(|scope| !is_scope(scope)) {
        let problem = format!("{scope:?} is no scope");
        return Err(ConfigError::new("scope", problem, "call it once for each scope, as the provider spells it"));
    }
    if !provider.subject_pointer.starts_with('/') {
        let problem = format!("{:?} is no JSON pointer to a member", provider.subject_pointer);
        return Err(ConfigError::new("subject_pointer", problem, "start it with a slash: /id, or /data/id"));
    }
    Ok(())
}
