//! The configured whole.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::back_channel::BackChannelLogoutLayer;
use crate::builder::Builder;
use crate::check::{self, Report};
use crate::clock::Clock;
use crate::config_error::ConfigError;
use crate::cookies::Cookies;
use crate::flow::attempt::Attempts;
use crate::flow::hook::Hook;
use crate::flow::{link, login_link, switch_link};
use crate::http_client::HttpClient;
use crate::identity::Identity;
use crate::layer::SignInLayer;
use crate::page::{ChooserPage, Pages};
use crate::provider::Provider;
use crate::providers::Providers;
use crate::redirect_uri::RedirectUri;
use crate::require::RequireLayer;
use crate::return_to::ReturnTo;
use crate::route::Paths;
use crate::seal::Seal;
use crate::session::bounded::Store;
use crate::session::lifetime::Lifetimes;
use crate::session::recheck::{Rechecks, Rules};
use crate::session::refresh::Refreshes;
use crate::session::registry::Registry;
use crate::session::revocations::Revocations;

/// The configured whole: provider, addresses, keys and rules. A cheap clone; make one for each application.
///
/// ```
/// use tower_signin::{Keys, SignIn, Siwbb};
///
/// let sign_in = SignIn::builder(Siwbb::new("client-id", "client-secret", "api-key"))
///     .redirect_uri("https://app.example.com/auth/callback")
///     .keys(Keys::generate()?)
///     .build()?;
/// assert_eq!(sign_in.login_path(), "/auth/login");
/// # Ok::<(), tower_signin::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SignIn(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) providers: Providers,
    pub(crate) http: Arc<dyn HttpClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) redirect: RedirectUri,
    pub(crate) paths: Paths,
    pub(crate) cookies: Cookies,
    pub(crate) hide_cookies: bool,
    pub(crate) session_cookie_limit: usize,
    pub(crate) seal: Arc<Seal>,
    pub(crate) forward: bool,
    pub(crate) hook: Option<Hook>,
    pub(crate) pages: Option<Pages>,
    pub(crate) chooser: Option<ChooserPage>,
    /// Where forms on pages may lead.
    pub(crate) form_targets: &'static str,
    pub(crate) keep_fragment: bool,
    pub(crate) clear_site_data: bool,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) registry: Arc<Registry>,
    /// Where sessions live, if not in their cookies.
    pub(crate) store: Option<Arc<Store>>,
    /// What was ended before its time, of the sessions that live in their cookies.
    pub(crate) revocations: Option<Arc<Revocations>>,
    pub(crate) keep_tokens: bool,
    pub(crate) refreshes: Refreshes,
    pub(crate) recheck: Option<Rules>,
    pub(crate) rechecks: Rechecks,
    pub(crate) attempts: Attempts,
    pub(crate) waiting_logins: Semaphore,
}

impl Inner {
    /// The store that this process shares with others, if it has one.
    pub(crate) fn fleet(&self) -> Option<&Arc<Store>> {
        self.stores().find(|store| !store.is_private())
    }

    /// That one, or else the one that it has for itself.
    pub(crate) fn any_store(&self) -> Option<&Arc<Store>> {
        self.fleet().or_else(|| self.stores().next())
    }

    /// The store of sessions, and that of the revocation list.
    fn stores(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.store.iter().chain(self.revocations.as_ref().map(|list| list.store()))
    }
}

impl SignIn {
    /// Starts with the provider people sign in with.
    pub fn builder(provider: impl Provider) -> Builder {
        Builder::new(Box::new(provider))
    }

    /// The layer that answers login, callback and logout and puts the [`Identity`](crate::Identity) into every other
    /// request. Mount it outermost.
    #[must_use]
    pub fn layer(&self) -> SignInLayer {
        SignInLayer::new(self.clone())
    }

    /// The layer that turns away who is not signed in, to be mounted inside [`layer`](Self::layer), on one route or around
    /// many. See [`RequireLayer`] for what each caller is told.
    #[must_use]
    pub fn require(&self) -> RequireLayer {
        RequireLayer::new(self.clone(), None)
    }

    /// [`require`](Self::require), and only for people whom `predicate` lets pass; everybody else who is signed in gets
    /// 403 and `not_allowed`. It runs at each request, so it should only look at what the session holds; where it panics, so
    /// does the request, like in a handler.
    ///
    /// [`predicate`](crate::predicate) and [`siwbb`](crate::siwbb) have the usual ones:
    ///
    /// ```
    /// # fn example(sign_in: tower_signin::SignIn) -> Result<(), tower_signin::ConfigError> {
    /// use tower_signin::{predicate, siwbb};
    ///
    /// let admins = sign_in.require_where(siwbb::addresses(["0x0bc63cfe31d5218eb414b142c799e20964a54a1a"])?);
    /// let evm = sign_in.require_where(siwbb::evm());
    /// let staff = sign_in.require_where(predicate::claim_equals("/role", "staff"));
    /// let members = sign_in.require_where(|who| who.data::<i64>().is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn require_where(&self, predicate: impl Fn(&Identity) -> bool + Send + Sync + 'static) -> RequireLayer {
        RequireLayer::new(self.clone(), Some(Arc::new(predicate)))
    }

    /// The layer that a provider tells of logouts: mount it beside [`layer`](Self::layer), inside or outside. See
    /// [`BackChannelLogoutLayer`].
    ///
    /// # Errors
    ///
    /// Where no provider tells of logouts, or sessions live in their cookies without a
    /// [`revocation_list`](crate::Builder::revocation_list), so that nobody could end them.
    pub fn back_channel_logout(&self) -> Result<BackChannelLogoutLayer, ConfigError> {
        BackChannelLogoutLayer::new(self.clone())
    }

    /// Where signing in starts, for links: `GET`, with an optional query `return_to=`, a path on this site that begins with
    /// one slash, percent-encoded. Anything else counts as `/`. A target of more than about 250 bytes loses its query, since
    /// it travels in a cookie that stays small. [`login_url`](Self::login_url) writes the whole.
    #[must_use]
    pub fn login_path(&self) -> &str {
        &self.0.paths.login
    }

    /// The address of login with a page to come back to. `&login_hint=` may be added to tell a provider of OpenID Connect who the
    /// person probably is: an address or name of up to 256 bytes, which counts in links of this site alone.
    ///
    /// ```
    /// # fn example(sign_in: tower_signin::SignIn) {
    /// assert_eq!(sign_in.login_url("/me?a=1&b=2"), "/auth/login?return_to=%2Fme%3Fa%3D1%26b%3D2");
    /// # }
    /// ```
    #[must_use]
    pub fn login_url(&self, return_to: &str) -> String {
        login_link(&self.0, &ReturnTo::new(return_to, self.0.paths.all()))
    }

    /// The address that starts a sign-in with the provider of this [name](crate::Provider::name), with a page to come back to;
    /// `None` where there is no such provider. [`login_url`](Self::login_url) leaves the choice to the person.
    #[must_use]
    pub fn login_url_at(&self, provider: &str, return_to: &str) -> Option<String> {
        let mounted = self.0.providers.iter().find(|mounted| mounted.provider.name() == provider)?;
        Some(link(&mounted.login, None, &ReturnTo::new(return_to, self.0.paths.all())))
    }

    /// The address of login for who wants to come as somebody else, with a page to come back to: it asks the provider to let
    /// the person choose an account (OpenID Connect's `prompt=select_account`). Who is signed in and follows it from another
    /// site is asked first.
    ///
    /// BitBadges knows no such parameter: there the person chooses on its page, and signs out of it first where need be.
    ///
    /// ```
    /// # fn example(sign_in: tower_signin::SignIn) {
    /// assert_eq!(sign_in.switch_account_url("/me"), "/auth/login?prompt=select_account&return_to=%2Fme");
    /// # }
    /// ```
    #[must_use]
    pub fn switch_account_url(&self, return_to: &str) -> String {
        switch_link(&self.0, &ReturnTo::new(return_to, self.0.paths.all()))
    }

    /// Where the provider sends the browser back: the first of [several](crate::Builder::and), whose others have a path of
    /// their name below it.
    #[must_use]
    pub fn callback_path(&self) -> &str {
        &self.0.paths.callback
    }

    /// Where signing out happens, and where a provider that [ends its own session](crate::Provider::ends_sessions) sends the
    /// browser back to. For forms: `POST`, with an optional query `return_to=/path`. The request must come from
    /// this site, which a browser tells in `Sec-Fetch-Site` or `Origin`; a test has to send one of them. A person whose
    /// browser tells neither is asked once more, by a page with a button.
    #[must_use]
    pub fn logout_path(&self) -> &str {
        &self.0.paths.logout
    }

    /// Looks for what would keep people from signing in, and reports it for operators: redirect URI, cookies, keys, the way
    /// to the provider, this machine's clock against the provider's, and what the provider's own check finds of the
    /// credentials. Nothing of it is logged.
    ///
    /// It speaks to the provider, so it takes a Tokio runtime and as long as the [`HttpClient`] does. With BitBadges it sends
    /// at most three requests, each of which costs one API credit: run it at deployment or by hand, not as a health check.
    /// What can't be told without a sign-in is [skipped](crate::Verdict::Skipped), with the reason.
    ///
    /// `cargo run --example doctor` prints it.
    ///
    /// ```no_run
    /// # async fn example(sign_in: tower_signin::SignIn) {
    /// let report = sign_in.check().await;
    /// println!("{report}");
    /// if !report.is_ok() {
    ///     std::process::exit(1);
    /// }
    /// # }
    /// ```
    pub async fn check(&self) -> Report {
        check::run(&self.0).await
    }

    /// The configured redirect URI, which is that of the first provider; a further one has `/` and its
    /// [name](crate::Provider::name) behind it.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.0.redirect.text
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn")
            .field("issuers", &self.0.providers.iter().map(|mounted| mounted.provider.issuer()).collect::<Vec<_>>())
            .field("redirect_uri", &self.redirect_uri())
            .finish_non_exhaustive()
    }
}
