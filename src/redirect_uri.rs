//! The redirect URI, and which URLs are secure enough.

use http::Uri;
use url::{Host, Url};

use crate::config_error::ConfigError;

/// The redirect URI, and what follows from it.
pub(crate) struct RedirectUri {
    pub(crate) text: String,
    pub(crate) uri: Uri,
    /// Scheme, host and port, as a browser writes them in `Origin`.
    pub(crate) origin: String,
    pub(crate) path: String,
    /// Host as written in a `Host` header, without the port.
    pub(crate) host: String,
    /// The port, if the URI is http on a loopback host.
    pub(crate) loopback_port: Option<u16>,
}

impl RedirectUri {
    pub(crate) fn parse(text: Option<&str>) -> Result<Self, ConfigError> {
        const REMEDY: &str = "use an absolute https URL such as https://app.example.com/auth/callback, \
                              or http://localhost:3000/auth/callback while developing";
        let wrong = |problem: String| ConfigError::new("redirect_uri", problem, REMEDY);
        let text = text.ok_or_else(|| wrong("it is not set".to_owned()))?;
        let url = Url::parse(text).map_err(|error| wrong(format!("it is not an absolute URL ({error})")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it has a user name or password".to_owned()));
        }
        if url.fragment().is_some() || url.query().is_some() {
            return Err(wrong(format!("{text:?} has a query or a fragment")));
        }
        let (Some(host), true) = (url.host_str(), matches!(url.scheme(), "https" | "http")) else {
            return Err(wrong(format!("{text:?} is neither https nor http")));
        };
        let is_http = url.scheme() == "http";
        if is_http && !is_loopback(&url) {
            return Err(wrong(format!("{text:?} is plain http on a host that is not loopback")));
        }
        if url.path().starts_with("//") {
            return Err(wrong(format!(
                "{text:?} has a path that starts with two slashes, which is another host to browsers"
            )));
        }
        if url.as_str() != text {
            return Err(wrong(format!("browsers write {text:?} as {:?}, and so must it be here", url.as_str())));
        }
        let uri = text.parse().map_err(|error| wrong(format!("{text:?} can't be sent in a request ({error})")))?;
        Ok(Self {
            text: text.to_owned(),
            uri,
            origin: url.origin().ascii_serialization(),
            path: url.path().to_owned(),
            host: host.to_owned(),
            loopback_port: url.port_or_known_default().filter(|_| is_http),
        })
    }
}

/// Whether a host, as a URL writes it, is this machine.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_loopback_host(name),
        Some(Host::Ipv4(address)) => address == std::net::Ipv4Addr::LOCALHOST,
        Some(Host::Ipv6(address)) => address == std::net::Ipv6Addr::LOCALHOST,
        None => false,
    }
}

/// Refuses a base URL that is neither https nor http on loopback, or to which no path can be appended as it stands.
pub(crate) fn is_secure_or_loopback(setting: &'static str, base: &str) -> Result<(), ConfigError> {
    let remedy = "give https URLs without a trailing slash, or http ones on loopback";
    let wrong = |problem: &str| ConfigError::new(setting, problem, remedy);
    let url = secure_url(base).map_err(|problem| wrong(&problem))?;
    if url.query().is_some() || url.fragment().is_some() || base.ends_with('/') {
        return Err(wrong(&format!("{base:?} has a query, a fragment or a trailing slash")));
    }
    if url.as_str().trim_end_matches('/') != base {
        return Err(wrong(&format!("{base:?} is written otherwise than browsers write it, {:?}", url.as_str())));
    }
    Ok(())
}

/// Refuses the URL of an endpoint that is neither https nor http on loopback. It may have a query, and no fragment (RFC 6749
/// sections 3.1 and 3.2).
pub(crate) fn is_endpoint(setting: &'static str, text: &str) -> Result<(), ConfigError> {
    let wrong = |problem: String| ConfigError::new(setting, problem, "give an https URL, or an http one on loopback");
    if text.is_empty() {
        return Err(wrong("it is not set".to_owned()));
    }
    let url = secure_url(text).map_err(wrong)?;
    if url.fragment().is_some() {
        return Err(wrong(format!("{text:?} has a fragment")));
    }
    text.parse::<Uri>().map(drop).map_err(|error| wrong(format!("{text:?} can't be sent in a request ({error})")))
}

/// The URL, or what is wrong with it.
fn secure_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "it is not an absolute URL".to_owned())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or password".to_owned());
    }
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(format!("{text:?} is neither https nor http on loopback"));
    }
    Ok(url)
}
