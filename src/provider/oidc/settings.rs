//! What can be set, and what of it can't work.

use jsonwebtoken::crypto::aws_lc;

use super::authorize::OURS;
use super::*;
use crate::oauth::query::is_scope;
use crate::redirect_uri::is_secure_or_loopback;
use crate::secret::secret_text;

/// The largest [`Oidc::clock_skew`].
const LARGEST_SKEW: Duration = Duration::from_secs(300);

impl Oidc {
    /// A provider by its issuer, with this site's credentials there; a public client has an empty secret and
    /// [`ClientAuthentication::None`]. The issuer is given as the provider's own metadata has it, byte for byte: a slash at the
    /// end belongs to it or does not. Everything else is read from the metadata, when the first person signs in.
    #[must_use]
    pub fn discover(issuer: impl Into<String>, client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        let issuer = issuer.into();
        Self {
            metadata_url: Metadata::url(&issuer),
            issuer,
            name: "oidc".to_owned(),
            label: None,
            client_id: client_id.into(),
            client_secret: secret_text(client_secret),
            client_authentication: ClientAuthentication::Basic,
            scopes: Vec::new(),
            extra_parameters: Vec::new(),
            signing_algorithms: vec![SigningAlgorithm::Rs256],
            clock_skew: Duration::from_secs(60),
            max_age: None,
            acr_values: Vec::new(),
            requires_acr: false,
            prompt: None,
            trusted_audiences: Vec::new(),
            asks_user_info: true,
            ends_sessions: true,
            claims: None,
            metadata: Cached::new("the provider's metadata could not be fetched", Metadata::read),
            keys: Cached::new("the provider's keys could not be fetched", |answer, _| Keys::read(answer)),
        }
    }

    /// Asks for a scope besides `openid`; once for each. `profile`, `email`, `address` and `phone` ask for claims,
    /// `offline_access` for a refresh token (Core sections 5.4 and 11). A strict provider gives that only where it is told to ask the
    /// person, too: `.scope("offline_access").prompt("consent")`.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// How this site proves to the provider which client it is. [`Basic`](ClientAuthentication::Basic) by default, as in
    /// Core section 9; the metadata does not change it.
    #[must_use]
    pub fn client_authentication(mut self, authentication: ClientAuthentication) -> Self {
        self.client_authentication = authentication;
        self
    }

    /// How ID tokens may be signed: as agreed with the provider when this site was registered there.
    /// [`Rs256`](SigningAlgorithm::Rs256) alone by default.
    ///
    /// ```
    /// use tower_signin::Oidc;
    /// use tower_signin::oidc::SigningAlgorithm;
    ///
    /// let provider = Oidc::discover("https://id.example.com", "client-id", "client-secret")
    ///     .signing_algorithms([SigningAlgorithm::Es256, SigningAlgorithm::EdDsa]);
    /// ```
    #[must_use]
    pub fn signing_algorithms(mut self, algorithms: impl IntoIterator<Item = SigningAlgorithm>) -> Self {
        self.signing_algorithms = algorithms.into_iter().collect();
        self
    }

    /// How far this machine's clock and the provider's may be apart. A minute by default, and at most five. Where more is
    /// measured, the error tells how much.
    #[must_use]
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Lets in only who has signed in at the provider within this time, in whole seconds; the others are asked to do so again. Not
    /// set by default. Zero asks everybody.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Asks for a way of signing in, by its `acr` values in the order of preference. The provider may choose another: look at the
    /// claim `acr`, or [`require_acr`](Self::require_acr).
    #[must_use]
    pub fn acr_values<I>(mut self, values: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.acr_values = values.into_iter().map(Into::into).collect();
        self.requires_acr = false;
        self
    }

    /// Asks for a way of signing in, and lets in only who has signed in by one of these.
    #[must_use]
    pub fn require_acr<I>(mut self, values: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self = self.acr_values(values);
        self.requires_acr = true;
        self
    }

    /// What the provider is to show (Core section 3.1.2.1): `login`, `consent`, `select_account`, separated by spaces. Not set by
    /// default; who asks to come as somebody else gets `select_account` besides.
    #[must_use]
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = Some(prompt.into());
        self
    }

    /// Accepts ID tokens that are for this audience as well as for this site. None by default. Where there are several, `azp` must
    /// name this site.
    #[must_use]
    pub fn trusted_audience(mut self, audience: impl Into<String>) -> Self {
        self.trusted_audiences.push(audience.into());
        self
    }

    /// Whether the UserInfo endpoint is asked, where the provider has one, for claims that the ID token does not have. It is by
    /// default. What it says of anybody else than the ID token ends the sign-in.
    #[must_use]
    pub fn user_info(mut self, asks: bool) -> Self {
        self.asks_user_info = asks;
        self
    }

    /// Whether signing out here leads over the provider, where its metadata has an `end_session_endpoint`, to end the person's
    /// session there, too. It does by default, and [`SignIn::logout_path`](crate::SignIn::logout_path) has to be registered there
    /// for it. Where tokens are [kept](crate::Builder::keep_tokens), the ID token goes along, and the provider need not ask. One
    /// that has done away with the keys it was signed by may show an error instead; here the session is over in any case.
    #[must_use]
    pub fn end_session(mut self, ends: bool) -> Self {
        self.ends_sessions = ends;
        self
    }

    /// Picks the claims that are kept, so that the session cookie stays small; all but those of the protocol by default. Those that
    /// are missing are left out. `email` brings `email_verified` along.
    #[must_use]
    pub fn claims<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.claims = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a query parameter to the authorization URL. One that the provider sets itself, or that would change where the answer
    /// goes, is refused at build.
    #[must_use]
    pub fn extra_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_parameters.push((name.into(), value.into()));
        self
    }

    /// Its part of the paths where there are several providers. `oidc` by default.
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

pub(super) fn validate(provider: &Oidc) -> Result<(), ConfigError> {
    provider.client().validate()?;
    // With two backends linked by other crates, jsonwebtoken would panic for want of a choice. An earlier one stands.
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
    let issuer = provider.issuer.as_str();
    is_secure_or_loopback("discover", issuer.strip_suffix('/').unwrap_or(issuer))?;
    if provider.signing_algorithms.is_empty() {
        return Err(ConfigError::new("signing_algorithms", "there are none", "leave it out for RS256"));
    }
    let has_no_secret = matches!(provider.client_authentication, ClientAuthentication::None);
    if has_no_secret && provider.signing_algorithms.contains(&SigningAlgorithm::Hs256) {
        let problem = "HS256 is by the client secret, and a public client has none";
        return Err(ConfigError::new("signing_algorithms", problem, "have the provider sign by a key of its own"));
    }
    if provider.clock_skew > LARGEST_SKEW {
        let problem = format!("{} seconds are more than 300", provider.clock_skew.as_secs());
        return Err(ConfigError::new("clock_skew", problem, "have this machine's clock set by NTP instead"));
    }
    let scopes = provider.scopes.iter().map(|scope| ("scope", scope));
    let values = provider.acr_values.iter().map(|value| ("acr_values", value));
    let prompts = provider.prompt.iter().flat_map(|prompt| prompt.split(' ')).map(|prompt| ("prompt", prompt));
    let texts = scopes.chain(values).map(|(setting, text)| (setting, text.as_str())).chain(prompts);
    for (setting, text) in texts {
        if !is_scope(text) {
            let problem = format!("{text:?} is empty, or has characters that none of them has");
            return Err(ConfigError::new(setting, problem, "give each as the provider spells it"));
        }
    }
    if provider.requires_acr && provider.acr_values.is_empty() {
        return Err(ConfigError::new("require_acr", "there are no values, so nobody could sign in", "name some"));
    }
    if let Some((name, _)) = provider.extra_parameters.iter().find(|(name, _)| OURS.contains(&name.as_str())) {
        let problem = format!("`{name}` is set by the provider itself, or is not for it");
        return Err(ConfigError::new("extra_parameter", problem, "leave it out, or use the method that sets it"));
    }
    Ok(())
}
