//! Where servers are, and as whom to speak to them.

use std::fmt;

use percent_encoding::percent_decode_str;
use redis::RedisConnectionInfo;
use url::{Host, Url};

use crate::config_error::ConfigError;

/// Host and port. No secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port }
    }

    /// As a node of a cluster writes it. Without a host it is that of who wrote.
    pub(super) fn of_node(text: &str, writer: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok()?;
        Some(if matches!(host, "" | "?") { Self::new(&writer.host, port) } else { Self::new(host, port) })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What a URL says. Not `Debug`: it holds user and password.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: Address,
    pub(super) has_tls: bool,
    user: Option<String>,
    password: Option<String>,
    pub(super) database: i64,
}

const REMEDY: &str = "use a URL such as redis://127.0.0.1:6379, or rediss://user:password@redis.example.com:6379/0";

impl Server {
    /// What is wrong is told without the URL, which has a password.
    pub(super) fn parse(setting: &'static str, text: &str) -> Result<Self, ConfigError> {
        let wrong = |problem: &str| ConfigError::new(setting, problem, REMEDY);
        let url = Url::parse(text).map_err(|error| wrong(&format!("it is not a URL ({error})")))?;
        let has_tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(wrong("its scheme is none of redis, rediss, valkey and valkeys")),
        };
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => String::new(),
        };
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a query or a fragment, of which none is known here"));
        }
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number.parse::<u16>().map_err(|_| wrong("its path is not the number of a database"))?,
        };
        let decoded = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(decoded) => Ok(Some(decoded.into_owned()).filter(|decoded| !decoded.is_empty())),
            Err(_) => Err(wrong("its user or password is not UTF-8 once decoded")),
        };
        let (user, password) = (decoded(url.username())?, decoded(url.password().unwrap_or_default())?);
        if user.is_some() && password.is_none() {
            return Err(wrong("it has a user and no password"));
        }
        let address = Address { host, port: url.port().unwrap_or(6379) };
        Ok(Self { address, has_tls, user, password, database: database.into() })
    }

    /// Whether one speaks to the other in the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.has_tls == other.has_tls && self.user == other.user && self.password == other.password
    }

    /// Nothing is sent but what is needed, so that a user needs few rights.
    pub(super) fn handshake(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default().set_db(self.database).set_skip_set_lib_name();
        if let Some(user) = &self.user {
            info = info.set_username(user);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password);
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_and_as_whom() {
        let rows = [
            ("redis://localhost", "localhost:6379", false, None, None, 0),
            ("rediss://db.example:7000/3", "db.example:7000", true, None, None, 3),
            ("valkeys://:p%40ss@10.0.0.1", "10.0.0.1:6379", true, None, Some("p@ss"), 0),
            ("valkey://alice:a%3Ab@[::1]:1/", "[::1]:1", false, Some("alice"), Some("a:b"), 0),
        ];
        for (url, address, has_tls, user, password, database) in rows {
            let server = Server::parse("url", url).unwrap();
            assert_eq!(server.address.to_string(), address, "{url}");
            let info = server.handshake();
            let read = (server.has_tls, info.username(), info.password(), server.database);
            assert_eq!(read, (has_tls, user, password, database), "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_shown() {
        for (name, url) in [
            ("no URL", "hunter2"),
            ("another scheme", "http://alice:hunter2@db.example"),
            ("no host", "redis:///hunter2"),
            ("a host that is empty", "redis://alice:hunter2@/0"),
            ("a port out of range", "redis://alice:hunter2@db.example:99999"),
            ("no number", "redis://alice:hunter2@db.example/hunter2"),
            ("a query", "redis://db.example/?password=hunter2"),
            ("a fragment", "rediss://alice:hunter2@db.example/#insecure"),
            ("no UTF-8", "redis://alice:hunter2%ff@db.example"),
            ("a user without a password", "redis://hunter2@db.example"),
        ] {
            let Err(error) = Server::parse("url", url) else { panic!("{name} was taken") };
            assert_eq!(error.setting(), "url", "{name}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("alice"), "{name}: {shown}");
        }
    }
}
