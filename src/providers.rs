//! The providers that one layer signs people in with, each at its own addresses.

use std::sync::Arc;

use http::Uri;
use url::Url;

use crate::clock::Clock;
use crate::config_error::ConfigError;
use crate::http_client::HttpClient;
use crate::provider::{Context, Provider};
use crate::redirect_uri::RedirectUri;
use crate::route::Paths;

/// At least one. The first comes back to the configured redirect URI, each further one to a path of its name below it.
pub(crate) struct Providers {
    first: Mounted,
    further: Vec<Mounted>,
}

/// A provider, and where its people start and come back.
pub(crate) struct Mounted {
    pub(crate) provider: Box<dyn Provider>,
    /// The path that starts a sign-in with it.
    pub(crate) login: String,
    /// Byte for byte as it is registered at the provider.
    pub(crate) redirect_uri: String,
    /// The same, as a request has it.
    pub(crate) uri: Uri,
}

impl Providers {
    /// Checks each of them, and that all can be told apart.
    pub(crate) fn new(
        first: Box<dyn Provider>,
        further: Vec<Box<dyn Provider>>,
        redirect: &RedirectUri,
        paths: &mut Paths,
    ) -> Result<Self, ConfigError> {
        for provider in further.iter().chain([&first]) {
            check(&**provider, redirect)?;
        }
        for (index, provider) in further.iter().enumerate() {
            let before = || further.iter().take(index).chain([&first]);
            if before().any(|other| other.issuer() == provider.issuer()) {
                return Err(ConfigError::new(
                    "provider",
                    format!("two providers are {}, and a person there would be one person", provider.issuer()),
                    "mount one of them, or give each its own SignIn with a cookie_prefix of its own",
                ));
            }
            if before().any(|other| other.name() == provider.name()) {
                return Err(ConfigError::new(
                    "provider",
                    format!("two providers are named {:?}", provider.name()),
                    "give one of them another name",
                ));
            }
        }
        let is_only = further.is_empty();
        let first_login = if is_only { paths.login.clone() } else { format!("{}/{}", paths.login, first.name()) };
        let first = Mounted {
            login: first_login,
            redirect_uri: redirect.text.clone(),
            uri: redirect.uri.clone(),
            provider: first,
        };
        let mut mounted = Vec::with_capacity(further.len());
        for (place, provider) in (1..).zip(further) {
            let (login, callback) =
                (format!("{}/{}", paths.login, provider.name()), format!("{}/{}", paths.callback, provider.name()));
            let redirect_uri = format!("{}/{}", redirect.text, provider.name());
            let uri = redirect_uri.parse().map_err(|_| {
                ConfigError::new("redirect_uri", "it is too long for the name of a provider behind it", "shorten it")
            })?;
            paths.add(place, &login, &callback)?;
            mounted.push(Mounted { provider, login, redirect_uri, uri });
        }
        if !is_only {
            paths.choose(&first.login)?;
        }
        Ok(Self { first, further: mounted })
    }

    /// The one at this place; the first has place 0.
    pub(crate) fn at(&self, place: usize) -> &Mounted {
        place.checked_sub(1).and_then(|place| self.further.get(place)).unwrap_or(&self.first)
    }

    /// The one that names its people by this issuer.
    #[inline]
    pub(crate) fn of_issuer(&self, issuer: &str) -> Option<&Mounted> {
        if self.first.provider.issuer() == issuer { Some(&self.first) } else { self.further_of(issuer) }
    }

    #[cold]
    fn further_of(&self, issuer: &str) -> Option<&Mounted> {
        self.further.iter().find(|mounted| mounted.provider.issuer() == issuer)
    }

    /// What people call it, where there are others that it could be mistaken for.
    pub(crate) fn label_among_several(&self, issuer: &str) -> Option<String> {
        let mounted = self.of_issuer(issuer).filter(|_| self.only().is_none())?;
        Some(mounted.provider.label().to_owned())
    }

    /// The only one, unless there are several.
    pub(crate) fn only(&self) -> Option<&Mounted> {
        self.further.is_empty().then_some(&self.first)
    }

    /// Where forms on pages of this site may lead, as a content security policy has it: here, and over a provider that ends its
    /// sessions. Where that is, its metadata will tell.
    pub(crate) fn form_targets(&self, redirect: &RedirectUri) -> &'static str {
        match redirect.loopback_port {
            _ if !self.iter().any(|mounted| mounted.provider.ends_sessions()) => "'self'",
            None => "'self' https:",
            Some(_) => "'self' https: http:",
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Mounted> {
        std::iter::once(&self.first).chain(&self.further)
    }
}

impl Mounted {
    pub(crate) fn context<'a>(&'a self, http: &'a Arc<dyn HttpClient>, clock: &'a dyn Clock) -> Context<'a> {
        Context::of_layer(http, clock, &self.redirect_uri)
    }
}

fn check(provider: &dyn Provider, redirect: &RedirectUri) -> Result<(), ConfigError> {
    let name = provider.name();
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_letter) {
        return Err(ConfigError::new(
            "provider",
            format!("{name:?} can't be a part of a path"),
            "name it by up to 64 lower-case letters, digits and `-`",
        ));
    }
    let is_plain = |url: &str| Url::parse(url).is_ok_and(|url| url.scheme() == "http");
    let is_on_loopback = is_plain(provider.issuer()) || provider.endpoints().iter().any(|url| is_plain(url));
    if redirect.loopback_port.is_none() && is_on_loopback {
        return Err(ConfigError::new(
            "provider",
            "a provider on loopback can't sign people in on a public site",
            "use the real provider, or a loopback redirect URI while developing",
        ));
    }
    Ok(())
}
