//! The builder: every setting, with its default and reason.

mod build;
mod fleet;
mod looks;
mod provider;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::cookies::COOKIE_LIMIT;
use crate::flow::hook::{Admission, Hook, Rejection};
use crate::flow::signed_in::SignedIn;
use crate::http_client::HttpClient;
use crate::keys::Keys;
use crate::page::{ChooserPage, Pages};
use crate::provider::Provider;
use crate::session::bounded::Store;
use crate::session::lifetime::Lifetimes;
use crate::session::recheck::WhenUnchecked;

/// Collects the settings of a [`SignIn`](crate::SignIn); [`build`](Self::build) checks them all.
#[must_use = "nothing is configured until build() is called"]
pub struct Builder {
    provider: Box<dyn Provider>,
    further: Vec<Box<dyn Provider>>,
    redirect_uri: Option<String>,
    keys: Option<Keys>,
    login_path: Option<String>,
    logout_path: Option<String>,
    cookie_prefix: String,
    hide_cookies: bool,
    session_cookie_limit: usize,
    lifetimes: Lifetimes,
    store: Option<Arc<Store>>,
    revocation_list: Option<Arc<Store>>,
    revocation_bound: Option<(Duration, WhenUnchecked)>,
    keep_tokens: bool,
    recheck_every: Option<Duration>,
    recheck_outage: Option<(Duration, WhenUnchecked)>,
    front_channel_logout: bool,
    forward: bool,
    hook: Option<Hook>,
    pages: Option<Pages>,
    chooser: Option<ChooserPage>,
    keep_fragment: bool,
    clear_site_data: bool,
    http: Option<Arc<dyn HttpClient>>,
    clock: Arc<dyn Clock>,
}

impl Builder {
    pub(crate) fn new(provider: Box<dyn Provider>) -> Self {
        Self {
            provider,
            further: Vec::new(),
            redirect_uri: None,
            keys: None,
            login_path: None,
            logout_path: None,
            cookie_prefix: "signin".to_owned(),
            hide_cookies: false,
            session_cookie_limit: COOKIE_LIMIT,
            lifetimes: Lifetimes::default(),
            store: None,
            revocation_list: None,
            revocation_bound: None,
            keep_tokens: false,
            recheck_every: None,
            recheck_outage: None,
            front_channel_logout: false,
            forward: false,
            hook: None,
            pages: None,
            chooser: None,
            keep_fragment: false,
            clear_site_data: false,
            http: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Adds another provider that people may sign in with. They choose at the [login path](Self::login_path), on a page with a
    /// button for each, and start with each at its own path below: `/auth/login/bitbadges`, `/auth/login/google`.
    ///
    /// The first provider, which the builder began with, comes back to the [redirect URI](Self::redirect_uri) itself; each
    /// further one to a path of its [name](Provider::name) below it, which is the one to register there:
    /// `https://app.example.com/auth/callback/google`. So one provider never answers at another's address.
    ///
    /// Each needs an issuer and a name of its own. [`Identity::issuer`](crate::Identity::issuer) tells who signed in where;
    /// whoever comes by two providers is two people, since only the application can know better.
    ///
    /// ```
    /// use tower_signin::{Keys, OAuth2, SignIn, Siwbb};
    ///
    /// let sign_in = SignIn::builder(Siwbb::new("client-id", "client-secret", "api-key"))
    ///     .and(OAuth2::github("client-id", "client-secret"))
    ///     .redirect_uri("https://app.example.com/auth/callback")
    ///     .keys(Keys::generate()?)
    ///     .build()?;
    /// assert_eq!(sign_in.login_url_at("github", "/me").as_deref(), Some("/auth/login/github?return_to=%2Fme"));
    /// # Ok::<(), tower_signin::ConfigError>(())
    /// ```
    pub fn and(mut self, provider: impl Provider) -> Self {
        self.further.push(Box::new(provider));
        self
    }

    /// The absolute URL the provider sends the browser back to. Required; sent byte for byte, so it must be written as
    /// it is registered there, and as browsers write URLs. https, or http on `localhost`, `127.0.0.1` or `[::1]`; a path
    /// below `/`; no query, fragment, user name or password.
    ///
    /// Nothing of a request, `Host` included, ever changes it.
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// The keys that seal the cookies. Required.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Where signing in starts. By default the sibling `login` of the redirect URI: `/auth/login` for `/auth/callback`.
    pub fn login_path(mut self, path: impl Into<String>) -> Self {
        self.login_path = Some(path.into());
        self
    }

    /// Where signing out happens. By default the sibling `logout` of the redirect URI.
    pub fn logout_path(mut self, path: impl Into<String>) -> Self {
        self.logout_path = Some(path.into());
        self
    }

    /// The start of our cookies' names. Two `SignIn`s on one host need different ones. `signin` by default, so `__Host-signin`
    /// and `__Host-signin-flow-…` on https. A dot and a digit at its end are taken: `__Host-signin.1` is the second cookie of a
    /// [large session](Self::session_cookie_limit).
    pub fn cookie_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.cookie_prefix = prefix.into();
        self
    }

    /// Takes the layer's own cookies out of every request that goes on to the inner service, forwarded callbacks included,
    /// once the layer has read them: session, tokens and all. Every other cookie stays, byte for byte and in order; a
    /// `Cookie` header that held none goes.
    ///
    /// For reverse proxies: whoever gets a session cookie is signed in with it, here, and a proxy would hand it to the
    /// servers behind. Off by default, since a service in this process hands nothing on; either way the header is marked
    /// [sensitive](http::HeaderValue::is_sensitive). Headers other than `Cookie` are left alone.
    ///
    /// The identity is in the request's extensions all the same, and guards and extractors work as ever. A second layer of
    /// the same `SignIn` further inside would find nobody signed in, so mount it once.
    ///
    /// ```
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.hide_cookies()
    /// # }
    /// ```
    pub fn hide_cookies(mut self) -> Self {
        self.hide_cookies = true;
        self
    }

    /// The most bytes that a session may take in cookies, their names and values together. 4096 by default, which is one
    /// cookie at its fullest (RFC 6265bis section 5); between 1024 and 16384. A larger session is spread over `__Host-signin`,
    /// `__Host-signin.1` and so on, up to four in all. A sign-in that would take more fails with `session_too_large`, and
    /// the log says how much.
    ///
    /// Every request carries these cookies, and many servers refuse one whose headers are larger than 8 or 16 kB: nginx a
    /// `Cookie` header that does not fit into 8 kB (`large_client_header_buffers 4 8k`), Node all headers over 16 kB. So
    /// look at every hop before you raise it, and rather keep what is large on your side, under a key that
    /// [`Identity::data`](crate::Identity::data) gives back.
    ///
    /// It counts for sessions that begin. Those that are there already keep their size.
    ///
    /// ```
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.session_cookie_limit(7 * 1024)
    /// # }
    /// ```
    pub fn session_cookie_limit(mut self, bytes: usize) -> Self {
        self.session_cookie_limit = bytes;
        self
    }

    /// How long a session lasts from signing in. 24 hours by default, as long as a BitBadges access token; at most 400 days,
    /// which is what browsers keep a cookie for. It does not outlast the provider's access token, see
    /// [`sessions_outlive_tokens`](Self::sessions_outlive_tokens), unless that is [refreshed](Self::keep_tokens). A shorter lifetime counts for sessions that are there
    /// already, too.
    pub fn session_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.absolute = lifetime;
        self
    }

    /// Ends a session that nobody has used for this long, between a minute and 400 days. By default sessions end by their
    /// [`session_lifetime`](Self::session_lifetime) alone, which this never lengthens.
    ///
    /// A request renews the session once a tenth of this time has passed since the last renewal: its response then carries
    /// the cookie anew, unless shared caches may store it.
    pub fn session_idle_timeout(mut self, timeout: Duration) -> Self {
        self.lifetimes.idle = Some(timeout);
        self
    }

    /// Lets a session last longer than the access token it was made with. By default it ends with the token, where the
    /// provider says when that is: afterwards nobody vouches for the person.
    pub fn sessions_outlive_tokens(mut self) -> Self {
        self.lifetimes.outlive_tokens = true;
        self
    }

    /// Hands the completed callback on to the inner service instead of redirecting: the request arrives at the
    /// redirect URI's path with [`SignedIn`] and [`Identity`](crate::Identity) in its extensions. The session cookie is
    /// set where the answer's status is below 400 and [`SignedIn::refuse`] was not called. Whatever answers counts as the
    /// handler, a layer in between that redirects, too: whom to refuse is best decided in
    /// [`on_sign_in`](Self::on_sign_in), which nothing comes before.
    ///
    /// Mount the layer around the whole service (in axum `sign_in.layer().layer(router)`, with its responses mapped back
    /// to axum's own body for `axum::serve`; the README shows it): inside `Router::layer`, axum's `OriginalUri` would
    /// still hold the code. The handler should answer 303.
    ///
    /// ```
    /// use axum::response::Redirect;
    /// use tower_signin::SignedIn;
    ///
    /// async fn callback(who: SignedIn) -> Redirect {
    ///     Redirect::to(who.return_to())
    /// }
    /// ```
    pub fn forward_callback(mut self) -> Self {
        self.forward = true;
        self
    }

    /// Runs when somebody has signed in, before the session is made: to refuse them, or to attach a small value of
    /// yours, such as your own user id, that [`Identity::data`](crate::Identity::data) gives back on every request.
    ///
    /// It has ten seconds, and is dropped where it stands after them. It runs at most once for each sign-in, in a task of
    /// its own, whether or not the browser waits. An error, through `?`, is a 500; the sign-in can then be tried again
    /// from the start. There is one hook: a second call replaces the first.
    ///
    /// It does not run again while the session lasts, so who must lose access at once is to be checked in the handler.
    /// Any error that is `Send + Sync` goes through `?`. What the closure captures is cloned outside the `async move`
    /// block, as below: an `async move |who|` closure that captures is no `Fn`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tower_signin::{Admission, Rejection, SignIn};
    /// # struct Database;
    /// # impl Database { async fn user_id(&self, _: &str) -> Result<Option<i64>, std::io::Error> { Ok(Some(7)) } }
    /// # fn example(builder: tower_signin::Builder, database: Arc<Database>) -> tower_signin::Builder {
    ///
    /// builder.on_sign_in(move |who| {
    ///     let database = Arc::clone(&database);
    ///     async move {
    ///         match database.user_id(who.identity().subject()).await? {
    ///             Some(id) => Admission::with_data(&id),
    ///             None => Err(Rejection::refuse("not_a_member")),
    ///         }
    ///     }
    /// })
    /// # }
    /// ```
    pub fn on_sign_in<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(SignedIn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Admission, Rejection>> + Send + 'static,
    {
        self.hook = Some(Box::new(move |who| Box::pin(hook(who))));
        self
    }

    /// Has the fragment of the page that somebody was on (`#section`) survive the sign-in. Off by default, since a browser
    /// sends no fragment to anybody: login then answers with a page whose small script adds it to the return target, so it
    /// reaches this server in the address of login and travels in the flow cookie. Whoever has no scripts goes on without.
    /// That page shows nothing, so [`pages`](Self::pages) is not asked for it.
    pub fn keep_fragment(mut self) -> Self {
        self.keep_fragment = true;
        self
    }

    /// Has a browser throw away what it keeps of this site when somebody signs out: the answer then carries
    /// `Clear-Site-Data: "cache", "storage"` (W3C Clear Site Data, section 3.1). That empties the cache, and with
    /// `localStorage`, IndexedDB and service workers all that scripts have stored for this origin, another application's on
    /// it included. Off by default; for a site that keeps private things there, or is used on shared machines.
    ///
    /// It does not say `"cookies"`, which would delete those of every application on this host and its sibling and parent
    /// domains. The layer deletes its own, and the rest is the application's. Browsers obey on https and on loopback; one
    /// that does not know the header passes over it.
    ///
    /// ```
    /// # fn example(builder: tower_signin::Builder) -> tower_signin::Builder {
    /// builder.clear_site_data()
    /// # }
    /// ```
    pub fn clear_site_data(mut self) -> Self {
        self.clear_site_data = true;
        self
    }

    /// The way out to the provider; the built-in one by default.
    pub fn http_client(mut self, client: impl HttpClient) -> Self {
        self.http = Some(Arc::new(client));
        self
    }

    /// Where the time comes from; the system's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}
