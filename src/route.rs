//! Which requests are ours: a pure function of method, path and headers.

use http::{HeaderMap, HeaderName, Method, Uri};
use url::Url;

use crate::config_error::ConfigError;
use crate::respond::SEC_FETCH_SITE;

/// The paths the layer answers, matched byte for byte as axum matches its own.
#[derive(Debug)]
pub(crate) struct Paths {
    pub(crate) login: String,
    pub(crate) callback: String,
    pub(crate) logout: String,
    /// Login and callback of each, where there are several providers.
    further: Vec<(String, Route)>,
    at_login: Route,
    /// The length of the shortest of them: a shorter path is none of ours, nor ends with one.
    shortest: usize,
    all: Vec<String>,
}

/// What a request is to the layer. Providers are told by their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Login(usize),
    Callback(usize),
    Logout,
    /// Where a provider ends a session in a frame of its page.
    FrontChannel,
    /// Login, where it is not told yet with which of several providers.
    Choose,
    /// Not ours: goes on to the inner service.
    Other,
}

impl Paths {
    /// Login and logout are siblings of the callback unless they are given.
    pub(crate) fn new(callback: &str, login: Option<String>, logout: Option<String>) -> Result<Self, ConfigError> {
        let folder = callback.rsplit_once('/').map_or("", |(folder, _)| folder);
        let login = login.map(|path| given("login_path", path)).transpose()?;
        let login = login.unwrap_or_else(|| format!("{folder}/login"));
        let logout = logout.map(|path| given("logout_path", path)).transpose()?;
        let logout = logout.unwrap_or_else(|| format!("{folder}/logout"));
        if callback == "/" {
            let problem = "its path is `/`, where people land who want to go nowhere in particular";
            return Err(ConfigError::new(
                "redirect_uri",
                problem,
                "give the callback a path of its own, /auth/callback, say",
            ));
        }
        let addresses = [("redirect_uri", callback), ("login_path", &login), ("logout_path", &logout)];
        for (index, (first, path)) in addresses.iter().enumerate() {
            if let Some((second, _)) = addresses.iter().skip(index + 1).find(|(_, other)| other == path) {
                let problem = format!(
                    "{first} and {second} are both {path:?}; login and logout are siblings of the callback unless they are set"
                );
                return Err(ConfigError::new(second, problem, "give each a path of its own"));
            }
        }
        let all = vec![login.clone(), callback.to_owned(), logout.clone()];
        let shortest = all.iter().map(String::len).min().unwrap_or_default();
        Ok(Self {
            login,
            callback: callback.to_owned(),
            logout,
            further: Vec::new(),
            at_login: Route::Login(0),
            shortest,
            all,
        })
    }

    /// The path of this name beside the callback.
    pub(crate) fn sibling(&self, name: &str) -> String {
        let folder = self.callback.rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{name}")
    }

    /// Adds the addresses of a further provider.
    pub(crate) fn add(&mut self, place: usize, login: &str, callback: &str) -> Result<(), ConfigError> {
        self.take(login, Route::Login(place))?;
        self.take(callback, Route::Callback(place))
    }

    /// Has people choose where they signed in with the first provider, which moves to `first_login`.
    pub(crate) fn choose(&mut self, first_login: &str) -> Result<(), ConfigError> {
        self.at_login = Route::Choose;
        self.take(first_login, Route::Login(0))
    }

    /// Has providers end sessions in a frame, beside the callback.
    pub(crate) fn add_front_channel(&mut self) -> Result<(), ConfigError> {
        self.take(&self.sibling("frontchannel-logout"), Route::FrontChannel)
    }

    fn take(&mut self, path: &str, route: Route) -> Result<(), ConfigError> {
        if self.all.iter().any(|taken| taken == path) {
            return Err(ConfigError::new(
                "provider",
                format!("{path:?} is an address of its own already"),
                "give the provider another name, or callback, login and logout other paths",
            ));
        }
        self.shortest = self.shortest.min(path.len());
        self.all.push(path.to_owned());
        self.further.push((path.to_owned(), route));
        Ok(())
    }

    /// OPTIONS is never ours: this layer guards nothing, and a CORS layer may want it.
    pub(crate) fn route(&self, method: &Method, uri: &Uri) -> Route {
        let path = uri.path();
        if path.len() < self.shortest {
            return Route::Other;
        }
        let route = if path == self.login {
            self.at_login
        } else if path == self.callback {
            Route::Callback(0)
        } else if path == self.logout {
            Route::Logout
        } else if let Some((_, route)) = self.further.iter().find(|(ours, _)| ours == path) {
            *route
        } else {
            return Route::Other;
        };
        if method == Method::OPTIONS { Route::Other } else { route }
    }

    /// Whether a router that takes away the beginning of a path can make one of ours of it.
    pub(crate) fn can_be_shortened_to(&self, path: &str) -> bool {
        path.len() >= self.shortest && self.all.iter().any(|ours| path.ends_with(ours.as_str()))
    }

    pub(crate) fn all(&self) -> &[String] {
        &self.all
    }
}

/// Whether the browser asks ahead of a click, when nothing may start, finish or end.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    static PURPOSES: [HeaderName; 4] = [
        HeaderName::from_static("sec-purpose"),
        HeaderName::from_static("purpose"),
        HeaderName::from_static("x-purpose"),
        HeaderName::from_static("x-moz"),
    ];
    static NEXT_ROUTER: HeaderName = HeaderName::from_static("next-router-prefetch");
    let says = |name: &HeaderName| {
        headers.get_all(name).iter().any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            [&b"prefetch"[..], b"prerender", b"preview"]
                .iter()
                .any(|word| value.windows(word.len()).any(|w| w == *word))
        })
    };
    PURPOSES.iter().any(says) || headers.contains_key(&NEXT_ROUTER)
}

/// Which site a request came from, as the browser tells in `Sec-Fetch-Site`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// A page of this origin, or the person's own typing or bookmark.
    Ours,
    /// Any other site, sibling subdomains included.
    Foreign,
    /// The browser does not say.
    Unknown,
}

impl Site {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        match headers.get(&SEC_FETCH_SITE).map(|value| value.as_bytes()) {
            None => Self::Unknown,
            Some(b"same-origin" | b"none") => Self::Ours,
            Some(_) => Self::Foreign,
        }
    }
}

/// A path that a setting gives, as browsers write it.
pub(crate) fn given(setting: &'static str, path: String) -> Result<String, ConfigError> {
    let as_browsers_write_it = |path: &str| Url::parse("https://site.invalid").ok()?.join(path).ok().map(String::from);
    if path.len() < 2
        || as_browsers_write_it(&path) != Some(format!("https://site.invalid{path}"))
        || path.contains(['?', '#'])
    {
        let problem = format!("{path:?} is not a path below `/` as browsers write it");
        return Err(ConfigError::new(setting, problem, "write it as /auth/login, say"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn matches_bytes_and_nothing_like_them() {
        let paths = Paths::new("/auth/callback", None, None).unwrap();
        let cases = [
            ("GET", "/auth/login", Route::Login(0)),
            ("GET", "/auth/login?return_to=/", Route::Login(0)),
            ("POST", "/auth/callback", Route::Callback(0)),
            ("HEAD", "/auth/logout", Route::Logout),
            ("OPTIONS", "/auth/logout", Route::Other),
            ("GET", "/auth/login/", Route::Other),
            ("GET", "//auth/login", Route::Other),
            ("GET", "/auth//login", Route::Other),
            ("GET", "/auth/./login", Route::Other),
            ("GET", "/auth/%6cogin", Route::Other),
            ("GET", "/AUTH/login", Route::Other),
            ("GET", "/", Route::Other),
            ("GET", "/x?path=/auth/login", Route::Other),
            ("GET", "http://elsewhere.example/auth/login", Route::Login(0)),
        ];
        for (method, uri, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(paths.route(&method, &uri.parse().unwrap()), expected, "{method} {uri}");
        }
    }

    #[test]
    fn each_of_several_providers_has_its_own() {
        let mut paths = Paths::new("/auth/callback", None, None).unwrap();
        paths.add(1, "/auth/login/b", "/auth/callback/b").unwrap();
        paths.choose("/auth/login/a").unwrap();
        for (path, expected) in [
            ("/auth/login", Route::Choose),
            ("/auth/login/a", Route::Login(0)),
            ("/auth/login/b", Route::Login(1)),
            ("/auth/callback", Route::Callback(0)),
            ("/auth/callback/b", Route::Callback(1)),
            ("/auth/logout", Route::Logout),
            ("/auth/callback/a", Route::Other),
            ("/auth/login/c", Route::Other),
            ("/auth/login/", Route::Other),
            ("/auth/login/b/", Route::Other),
        ] {
            assert_eq!(paths.route(&Method::GET, &path.parse().unwrap()), expected, "{path}");
            assert_eq!(paths.all().iter().any(|ours| ours == path), expected != Route::Other, "{path}");
        }
        assert_eq!(paths.add(2, "/auth/login/a", "/auth/callback/a").unwrap_err().setting(), "provider");
    }

    #[test]
    fn a_provider_s_frame_has_its_own_where_it_is_turned_on() {
        let mut paths = Paths::new("/auth/callback", None, None).unwrap();
        let uri = "/auth/frontchannel-logout?iss=x".parse().unwrap();
        assert_eq!(paths.route(&Method::GET, &uri), Route::Other);
        paths.add_front_channel().unwrap();
        assert_eq!(paths.route(&Method::GET, &uri), Route::FrontChannel);
        let mut taken = Paths::new("/auth/callback", Some("/auth/frontchannel-logout".to_owned()), None).unwrap();
        assert!(taken.add_front_channel().is_err());
    }

    #[test]
    fn siblings_collisions_and_bad_paths() {
        assert_eq!(Paths::new("/cb", None, None).unwrap().all(), ["/login", "/cb", "/logout"]);
        let cases = [
            ("/auth/login", None, None, "login_path"),
            ("/auth/logout", None, None, "logout_path"),
            ("/cb", Some("/x"), Some("/x"), "logout_path"),
            ("/cb", Some("login"), None, "login_path"),
            ("/cb", Some("/login?x=1"), None, "login_path"),
            ("/cb", Some("//login"), None, "login_path"),
            ("/cb", Some("/"), None, "login_path"),
            ("/cb", Some("/a/../login"), None, "login_path"),
            ("/cb", Some("/anmelden/für"), None, "login_path"),
            ("/cb", None, Some("/"), "logout_path"),
            ("/cb", None, Some(""), "logout_path"),
            ("/", None, None, "redirect_uri"),
            ("/cb", None, Some("https://a.example/logout"), "logout_path"),
        ];
        for (callback, login, logout, setting) in cases {
            let error = Paths::new(callback, login.map(str::to_owned), logout.map(str::to_owned)).unwrap_err();
            assert_eq!(error.setting(), setting, "{callback} {login:?} {logout:?}");
        }
    }

    #[test]
    fn hears_every_way_to_say_prefetch() {
        let cases = [
            ("sec-purpose", "prefetch", true),
            ("sec-purpose", "prefetch;prerender", true),
            ("sec-purpose", "Prefetch;anonymous-client-ip", true),
            ("purpose", "prefetch", true),
            ("x-purpose", "preview", true),
            ("x-moz", "prefetch", true),
            ("next-router-prefetch", "1", true),
            ("sec-purpose", "", false),
            ("sec-fetch-mode", "navigate", false),
        ];
        for (name, value, expected) in cases {
            let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))]);
            assert_eq!(is_prefetch(&headers), expected, "{name}: {value}");
        }
    }
}
