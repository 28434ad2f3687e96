//! Sign In With BitBadges (SIWBB).
//!
//! The browser goes to `bitbadges.io/siwbb/authorize` and comes back with a code; the code is exchanged at
//! `api.bitbadges.io`, with the app's client secret and an API key, for the verified address.
//!
//! The wire follows BitBadges' public documentation (API pages "Sign In With BitBadges", 2026) and its published SDK.
//! Nothing here was run against the live service.

mod account;
mod authorize;
mod check;
mod exchange;
mod ownership;
mod predicate;
mod requests;

use std::fmt;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use self::exchange::Route;

pub use self::account::Account;
pub use self::ownership::{Asset, OwnershipRequirements, Range};
pub use self::predicate::{addresses, chain, evm};
use super::{Context, Grant, Provider, Refreshed};
use crate::check::Finding;
use crate::config_error::ConfigError;
use crate::error::{Error, ErrorKind};
use crate::http_client::BoxFuture;
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::callback::ValidatedCode;
use crate::oauth::token::Tokens;
use crate::redirect_uri::is_secure_or_loopback;
use crate::secret::secret_text;

/// The issuer of people who signed in at bitbadges.io.
pub const ISSUER: &str = "https://bitbadges.io";

const WEBSITE: &str = "https://bitbadges.io";
const API: &str = "https://api.bitbadges.io";

/// The scope ids that BitBadges documents. Scopes are open strings: others pass as they are.
pub mod scope {
    /// Report.
    pub const REPORT: &str = "report";
    /// Read Profile.
    pub const READ_PROFILE: &str = "readProfile";
    /// Manage Applications.
    pub const MANAGE_APPLICATIONS: &str = "manageApplications";
    /// Manage Claims.
    pub const MANAGE_CLAIMS: &str = "manageClaims";
    /// Manage Developer Apps.
    pub const MANAGE_DEVELOPER_APPS: &str = "manageDeveloperApps";
    /// Manage Dynamic Stores.
    pub const MANAGE_DYNAMIC_STORES: &str = "manageDynamicStores";
    /// Manage Utility Pages.
    pub const MANAGE_UTILITY_PAGES: &str = "manageUtilityPages";
    /// Approve Sign In With BitBadges Requests.
    pub const APPROVE_SIGN_IN_WITH_BITBADGES_REQUESTS: &str = "approveSignInWithBitBadgesRequests";
    /// Read Authentication Codes.
    pub const READ_AUTHENTICATION_CODES: &str = "readAuthenticationCodes";
    /// Delete Authentication Codes.
    pub const DELETE_AUTHENTICATION_CODES: &str = "deleteAuthenticationCodes";
    /// Read Private Claim Data.
    pub const READ_PRIVATE_CLAIM_DATA: &str = "readPrivateClaimData";
    /// Complete Claims.
    pub const COMPLETE_CLAIMS: &str = "completeClaims";
}

/// Sign In With BitBadges, as a [`Provider`].
///
/// Three values come from bitbadges.io/developer: client id and client secret of the app, and an API key. The redirect
/// URI must be registered there, byte for byte.
///
/// ```
/// use tower_signin::Siwbb;
/// use tower_signin::siwbb::scope;
///
/// let provider = Siwbb::new("client-id", "client-secret", "api-key")
///     .scope(scope::COMPLETE_CLAIMS)
///     .require_claim("my-claim");
/// assert!(!format!("{provider:?}").contains("client-secret"));
/// ```
#[derive(Clone)]
pub struct Siwbb {
    client_id: String,
    client_secret: SecretString,
    api_key: SecretString,
    issuer: String,
    website: String,
    api: String,
    scopes: Vec<String>,
    shown_claim: Option<String>,
    hide_if_already_claimed: bool,
    expect_verify_success: bool,
    extra_parameters: Vec<(String, String)>,
    code_max_age: Duration,
    required_claims: Vec<String>,
    required_ownership: Vec<OwnershipRequirements>,
}

impl Siwbb {
    /// A provider with the app's credentials. Only the address is asked for until [`scope`](Self::scope) adds more.
    #[must_use]
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>, api_key: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: secret_text(client_secret),
            api_key: secret_text(api_key),
            issuer: ISSUER.to_owned(),
            website: WEBSITE.to_owned(),
            api: API.to_owned(),
            scopes: Vec::new(),
            shown_claim: None,
            hide_if_already_claimed: false,
            expect_verify_success: false,
            extra_parameters: Vec::new(),
            code_max_age: Duration::from_secs(600),
            required_claims: Vec::new(),
            required_ownership: Vec::new(),
        }
    }

    /// Reads `BITBADGES_CLIENT_ID`, `BITBADGES_CLIENT_SECRET` and `BITBADGES_API_KEY` from the environment. No URL is
    /// read from there.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing or empty.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// [`from_env`](Self::from_env) with the environment as a function.
    ///
    /// # Errors
    ///
    /// Names every variable that is missing or empty.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        const NAMES: [&str; 3] = ["BITBADGES_CLIENT_ID", "BITBADGES_CLIENT_SECRET", "BITBADGES_API_KEY"];
        let values = NAMES.map(|name| lookup(name).map(Zeroizing::new).filter(|value| !value.is_empty()));
        let missing: Vec<_> =
            NAMES.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
        match values {
            [Some(client_id), Some(client_secret), Some(api_key)] => {
                Ok(Self::new(client_id.as_str(), client_secret.as_str(), api_key.as_str()))
            }
            _ => Err(ConfigError::new(
                "provider",
                format!("missing from the environment: {}", missing.join(", ")),
                "set all three; they come from bitbadges.io/developer",
            )),
        }
    }

    /// Speaks to another website and API, given as URLs without a trailing slash: a testnet, say. The website becomes the
    /// issuer, or the API where only that is another, so that these people never pass for those of bitbadges.io.
    #[must_use]
    pub fn base_urls(mut self, website: impl Into<String>, api: impl Into<String>) -> Self {
        self.website = website.into();
        self.api = api.into();
        let only_api_differs = self.website == WEBSITE && self.api != API;
        self.issuer.clone_from(if only_api_differs { &self.api } else { &self.website });
        self
    }

    /// Asks for a scope by its id; see [`scope`].
    #[must_use]
    pub fn scope(mut self, id: impl Into<String>) -> Self {
        self.scopes.push(id.into());
        self
    }

    /// Shows a claim on the authorize page. For display only: use [`require_claim`](Self::require_claim) to demand it.
    #[must_use]
    pub fn show_claim(mut self, claim_id: impl Into<String>) -> Self {
        self.shown_claim = Some(claim_id.into());
        self
    }

    /// Hides the shown claim from whoever has completed it. Off by default.
    #[must_use]
    pub fn hide_if_already_claimed(mut self) -> Self {
        self.hide_if_already_claimed = true;
        self
    }

    /// Has the page hold people back while the shown claim fails. Off by default, and no control: the person can edit
    /// the URL.
    #[must_use]
    pub fn expect_verify_success(mut self) -> Self {
        self.expect_verify_success = true;
        self
    }

    /// Adds a query parameter to the authorization URL. One that the provider sets itself is refused at build.
    #[must_use]
    pub fn extra_parameter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extra_parameters.push((name.into(), value.into()));
        self
    }

    /// The greatest age of a code that BitBadges may exchange. Ten minutes by default; zero turns the check off there.
    #[must_use]
    pub fn code_max_age(mut self, age: Duration) -> Self {
        self.code_max_age = age;
        self
    }

    /// Lets in only who has completed this claim, checked on the server after the exchange. May be called repeatedly;
    /// all must hold. Claims that hide their state can't be checked.
    #[must_use]
    pub fn require_claim(mut self, claim_id: impl Into<String>) -> Self {
        self.required_claims.push(claim_id.into());
        self
    }

    /// Lets in only who owns these assets, checked on the server after the exchange. May be called repeatedly; all must
    /// hold.
    ///
    /// ```
    /// use tower_signin::Siwbb;
    /// use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
    ///
    /// let provider = Siwbb::new("client-id", "client-secret", "api-key")
    ///     .require_ownership(OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]));
    /// ```
    #[must_use]
    pub fn require_ownership(mut self, requirements: OwnershipRequirements) -> Self {
        self.required_ownership.push(requirements);
        self
    }
}

impl Provider for Siwbb {
    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn name(&self) -> &str {
        "bitbadges"
    }

    fn label(&self) -> &str {
        "BitBadges"
    }

    fn endpoints(&self) -> Vec<&str> {
        vec![&self.api]
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let credentials = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_secret()),
            ("api_key", self.api_key.expose_secret()),
        ];
        for (setting, value) in credentials {
            if value.trim().is_empty() {
                return Err(ConfigError::new(setting, "it is empty", "copy it from bitbadges.io/developer"));
            }
        }
        if http::HeaderValue::from_str(self.api_key.expose_secret()).is_err() {
            return Err(ConfigError::new("api_key", "it holds characters no header can carry", "copy it again"));
        }
        for url in [&self.website, &self.api] {
            is_secure_or_loopback("base_urls", url)?;
        }
        for (name, _) in &self.extra_parameters {
            if authorize::OURS.contains(&name.as_str()) {
                return Err(ConfigError::new(
                    "extra_parameter",
                    format!("`{name}` is set by the provider itself"),
                    "leave it out, or use the method that sets it",
                ));
            }
        }
        if self.required_claims.iter().any(|claim_id| claim_id.trim().is_empty()) {
            return Err(ConfigError::new("require_claim", "a claim id is empty", "name the claim"));
        }
        if let Some(mistake) = self.required_ownership.iter().find_map(OwnershipRequirements::mistake) {
            return Err(ConfigError::new("require_ownership", mistake, "name what must be owned"));
        }
        Ok(())
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(authorize::url(self, request))
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async move {
            let answer = context.http().send(self.exchange_request(&code, &self.client_secret)?).await?;
            exchange::grant(&answer, false)
        })
    }

    /// At most three requests, each of which costs one API credit: one that asks after nobody's tokens, with the API key
    /// alone, and up to two that redeem a made-up code, the second with a made-up client secret on purpose. What BitBadges'
    /// answers do not tell is [skipped](crate::Verdict::Skipped), with the reason.
    fn check<'a>(&'a self, context: Context<'a>) -> BoxFuture<'a, Vec<Finding>> {
        Box::pin(check::findings(self, context))
    }

    fn admit<'a>(&'a self, context: Context<'a>, who: &'a Grant) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            for claim_id in &self.required_claims {
                let answer = context.http().send(self.claim_success_request(claim_id, who.subject())?).await?;
                if requests::claim_success_count(&answer)? == 0 {
                    return Err(ErrorKind::ClaimRequired.into());
                }
            }
            for requirements in &self.required_ownership {
                let answer = context.http().send(self.ownership_request(requirements, who.subject())?).await?;
                if !requests::owns(&answer)? {
                    return Err(ErrorKind::OwnershipRequired.into());
                }
            }
            Ok(())
        })
    }

    fn refresh<'a>(
        &'a self,
        context: Context<'a>,
        subject: &'a str,
        tokens: &'a Tokens,
    ) -> BoxFuture<'a, Result<Refreshed, Error>> {
        Box::pin(async move {
            let refresh_token = tokens.refresh_token().ok_or(ErrorKind::Unsupported)?;
            let request = self.refresh_request(refresh_token, context.redirect_uri())?;
            let answer = context.http().send(request).await?;
            let grant = exchange::grant(&answer, true)?;
            let tokens = grant.tokens().filter(|_| grant.subject() == subject).cloned();
            let other =
                || Error::new(ErrorKind::ProviderAnswer).with_reason("the refreshed tokens are another account's");
            Ok(Refreshed::new(tokens.ok_or_else(other)?).with_grant(grant))
        })
    }

    fn is_active<'a>(&'a self, context: Context<'a>, tokens: &'a Tokens) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let answer = context.http().send(self.post("/api/v0/auth/status", &json!({}), Some(tokens))?).await?;
            requests::signed_in(&answer)
        })
    }

    fn revoke<'a>(&'a self, context: Context<'a>, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let answer = context.http().send(self.revoke_request(tokens)?).await?;
            exchange::check_status(&answer, Route::Revoke)
        })
    }
}

impl fmt::Debug for Siwbb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Siwbb")
            .field("client_id", &self.client_id)
            .field("issuer", &self.issuer)
            .field("scopes", &self.scopes)
            .field("required_claims", &self.required_claims)
            .finish_non_exhaustive()
    }
}
