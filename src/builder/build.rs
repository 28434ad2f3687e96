//! Every setting is checked, and all of them become a [`SignIn`].

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Builder;
use crate::config::{Inner, SignIn};
use crate::config_error::ConfigError;
use crate::cookies::{COOKIE_LIMIT, Cookies, MOST_CHUNKS};
use crate::flow::attempt::Attempts;
use crate::flow::login::MOST_WAITING;
use crate::http_client::HttpClient;
use crate::providers::Providers;
use crate::redirect_uri::RedirectUri;
use crate::route::Paths;
use crate::seal::Seal;
use crate::session::recheck::{Rechecks, Rules};
use crate::session::refresh::Refreshes;
use crate::session::registry::Registry;
use crate::session::revocations::{self, Revocations};
use crate::telemetry;

impl Builder {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// Names the wrong setting, what is wrong with it and the remedy.
    pub fn build(self) -> Result<SignIn, ConfigError> {
        for provider in std::iter::once(&self.provider).chain(&self.further) {
            provider.validate()?;
        }
        let redirect = RedirectUri::parse(self.redirect_uri.as_deref())?;
        let mut paths = Paths::new(&redirect.path, self.login_path, self.logout_path)?;
        let providers = Providers::new(self.provider, self.further, &redirect, &mut paths)?;
        if self.front_channel_logout {
            paths.add_front_channel()?;
        }
        check_cookie_prefix(&self.cookie_prefix)?;
        if !SESSION_COOKIE_LIMITS.contains(&self.session_cookie_limit) {
            return Err(ConfigError::new(
                "session_cookie_limit",
                format!("{} is not between 1024 and 16384 bytes", self.session_cookie_limit),
                "choose a number in between; 4096 is one cookie",
            ));
        }
        self.lifetimes.validate()?;
        let recheck = Rules::new(self.recheck_every, self.recheck_outage)?;
        let list_rules = revocations::Rules::new(self.revocation_list.is_some(), self.revocation_bound)?;
        let keys = self.keys.ok_or_else(|| {
            ConfigError::new("keys", "there are none", "give the builder Keys::from_env(\"SIGNIN_KEYS\")?")
        })?;
        let http = match self.http {
            Some(http) => http,
            None => default_http_client(
                &providers.iter().flat_map(|mounted| mounted.provider.endpoints()).collect::<Vec<_>>(),
            )?,
        };
        let seal = Arc::new(Seal::new(&keys, &redirect.text)?);
        let revocations = self.revocation_list.map(|store| {
            let (seal, clock, redirect_uri) = (Arc::clone(&seal), Arc::clone(&self.clock), redirect.text.clone());
            Arc::new(Revocations::new(store, list_rules, seal, clock, redirect_uri, self.lifetimes.absolute))
        });
        let form_targets = providers.form_targets(&redirect);
        telemetry::describe();
        Ok(SignIn(Arc::new(Inner {
            seal,
            cookies: Cookies::new(&self.cookie_prefix, redirect.loopback_port),
            hide_cookies: self.hide_cookies,
            session_cookie_limit: self.session_cookie_limit,
            http,
            registry: Arc::new(Registry::new(Arc::clone(&self.clock), self.store.clone(), revocations.clone())),
            clock: self.clock,
            redirect,
            paths,
            forward: self.forward,
            hook: self.hook,
            pages: self.pages,
            chooser: self.chooser,
            form_targets,
            providers,
            keep_fragment: self.keep_fragment,
            clear_site_data: self.clear_site_data,
            lifetimes: self.lifetimes,
            store: self.store,
            revocations,
            keep_tokens: self.keep_tokens,
            refreshes: Refreshes::default(),
            recheck,
            rechecks: Rechecks::default(),
            attempts: Attempts::default(),
            waiting_logins: Semaphore::new(MOST_WAITING),
        })))
    }
}

fn check_cookie_prefix(prefix: &str) -> Result<(), ConfigError> {
    let is_chunk = matches!(prefix.as_bytes(), [.., b'.', b'0'..=b'9']);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if prefix.is_empty()
        || prefix.starts_with("__")
        || !prefix.bytes().all(is_token)
        || prefix.len() > 64
        || is_chunk
        || ["-tokens", "-rounds"].iter().any(|taken| prefix.ends_with(taken))
        || prefix.contains("-flow-")
    {
        return Err(ConfigError::new(
            "cookie_prefix",
            format!("{prefix:?} can't start a cookie's name"),
            "use up to 64 letters, digits, `-`, `_` and `.`, without `.1`, `-tokens`, `-rounds` at its end or `-flow-` in it; the layer itself adds `__Host-`",
        ));
    }
    Ok(())
}

/// From what a session with a few claims takes, to as many full cookies as it may be spread over.
const SESSION_COOKIE_LIMITS: RangeInclusive<usize> = 1024..=MOST_CHUNKS * COOKIE_LIMIT;

#[cfg(feature = "reqwest")]
fn default_http_client(endpoints: &[&str]) -> Result<Arc<dyn HttpClient>, ConfigError> {
    Ok(Arc::new(crate::http_client::ReqwestClient::for_urls(endpoints.iter().copied())?))
}

#[cfg(not(feature = "reqwest"))]
fn default_http_client(_: &[&str]) -> Result<Arc<dyn HttpClient>, ConfigError> {
    Err(ConfigError::new("http_client", "there is none", "turn on the feature `reqwest`, or give the builder one"))
}
