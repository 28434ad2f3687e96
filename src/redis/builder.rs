//! The settings of a store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::RedisStore;
use super::address::Server;
use super::cluster::{Cluster, Servers};
use super::line::Settings;
use super::node::Node;
use crate::clock::{Clock, SystemClock};
use crate::config_error::ConfigError;

/// Settings of a [`RedisStore`], which [`RedisStore::builder`] and [`RedisStore::cluster`] begin. `Debug` shows none of them.
#[must_use = "a builder does nothing until it is built"]
pub struct RedisStoreBuilder {
    urls: Vec<String>,
    is_cluster: bool,
    root_certificates: Option<Vec<u8>>,
    prefix: String,
    time_limit: Duration,
    replicas: u32,
    clock: Arc<dyn Clock>,
}

const TIME_LIMIT: Duration = Duration::from_secs(2);

impl RedisStoreBuilder {
    pub(super) fn one(url: String) -> Self {
        Self {
            urls: vec![url],
            is_cluster: false,
            root_certificates: None,
            prefix: "signin:".to_owned(),
            time_limit: TIME_LIMIT,
            replicas: 0,
            clock: Arc::new(SystemClock),
        }
    }

    pub(super) fn cluster(urls: Vec<String>) -> Self {
        Self { urls, is_cluster: true, ..Self::one(String::new()) }
    }

    /// The certificates, as PEM, of the authorities that may vouch for the servers with `rediss://`, instead of those that the
    /// system trusts.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates = Some(pem.into());
        self
    }

    /// What all keys begin with, `signin:` by default. Two applications on the same server take different ones.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a step may take, connecting included; 2 seconds by default. It should be less than the 5 seconds after which the
    /// layer gives a store up.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// On how many replicas each change must be before it counts, 0 by default: sessions that are made, updated and
    /// deleted, and groups that are joined and left. An end that moves later waits for none.
    ///
    /// Such steps go over a connection of their own one after the other, so each takes as long as a replica takes to answer. Where
    /// too few replicas do within three quarters of the time limit, the step is an error, though the master has taken it:
    /// while they are away nobody signs in or out. It takes the command
    /// [`WAIT`](https://redis.io/docs/latest/commands/wait/), which says what it does not promise.
    pub fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Where the time comes from; the system's clock by default. It should be the one of the [builder](crate::Builder::clock).
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The store. Nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// A setting that can't work, by its name: a URL, nodes of a cluster that differ in user, password or TLS, certificates that can't
    /// be read, a prefix with braces or spaces, a time limit of nothing.
    pub fn build(self) -> Result<RedisStore, ConfigError> {
        let setting = if self.is_cluster { "cluster" } else { "url" };
        let servers: Vec<_> = self.urls.iter().map(|url| Server::parse(setting, url)).collect::<Result<_, _>>()?;
        let Some(first) = servers.first() else {
            return Err(ConfigError::new(setting, "it has no node", "give the URL of one node at least"));
        };
        if !servers.iter().all(|server| server.is_like(first)) {
            let problem = "its nodes differ in scheme, user or password";
            return Err(ConfigError::new(setting, problem, "give the same to all nodes of a cluster"));
        }
        if self.is_cluster && servers.iter().any(|server| server.database != 0) {
            return Err(ConfigError::new(setting, "it has a database", "leave it out: a cluster has only 0"));
        }
        self.check()?;
        let settings = Arc::new(Settings {
            handshake: first.handshake(),
            tls: if first.has_tls { Some(tls(self.root_certificates.as_deref())?) } else { None },
            time_limit: self.time_limit,
            replicas: self.replicas,
        });
        let addresses = servers.iter().map(|server| server.address.clone());
        let servers = if self.is_cluster {
            Servers::Cluster(Cluster::new(addresses.collect(), settings))
        } else {
            Servers::One(Box::new(Node::new(first.address.clone(), &settings)))
        };
        let Self { prefix, time_limit, replicas, clock, .. } = self;
        Ok(RedisStore { servers, prefix, time_limit, replicas, clock })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
        if self.prefix.is_empty() || self.prefix.len() > 100 || !self.prefix.bytes().all(is_plain) {
            let problem =
                format!("{:?} is empty, longer than 100, or has braces, spaces or other than ASCII", self.prefix);
            return Err(ConfigError::new("key_prefix", problem, "use a short name such as \"shop:\""));
        }
        if self.time_limit < Duration::from_millis(10) || self.time_limit > Duration::from_secs(60) {
            let problem = format!("{:?} is not between 10 milliseconds and a minute", self.time_limit);
            return Err(ConfigError::new("time_limit", problem, "use some seconds"));
        }
        Ok(())
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder").finish_non_exhaustive()
    }
}

/// The provider is named, so that it does not matter what else the process has installed or compiled in.
fn tls(roots: Option<&[u8]>) -> Result<TlsConnector, ConfigError> {
    let wrong = |problem: String| {
        ConfigError::new("root_certificates", problem, "give certificates as PEM, or leave them to the system")
    };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?;
    let config = match roots {
        None => {
            config.with_platform_verifier().map_err(|error| wrong(format!("the system's are missing ({error})")))?
        }
        Some(pem) => {
            let mut store = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| wrong(format!("they are no PEM ({error})")))?;
                store.add(certificate).map_err(|error| wrong(format!("one can't be read ({error})")))?;
            }
            if store.is_empty() {
                return Err(wrong("there is none in it".to_owned()));
            }
            config.with_root_certificates(store)
        }
    };
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_setting_is_named() {
        let one = || RedisStore::builder("redis://127.0.0.1");
        let rows = [
            ("url", "no URL", RedisStore::builder("localhost")),
            ("cluster", "no node", RedisStore::cluster([] as [&str; 0])),
            ("cluster", "no URL among them", RedisStore::cluster(["redis://a", "b"])),
            ("cluster", "one with TLS", RedisStore::cluster(["redis://a", "rediss://b"])),
            ("cluster", "another password", RedisStore::cluster(["redis://:hunter1@a", "redis://:hunter2@b"])),
            ("cluster", "a database", RedisStore::cluster(["redis://a/1"])),
            ("key_prefix", "nothing", one().key_prefix("")),
            ("key_prefix", "braces", one().key_prefix("{shop}:")),
            ("key_prefix", "a space", one().key_prefix("my shop:")),
            ("time_limit", "nothing", one().time_limit(Duration::ZERO)),
            ("time_limit", "too much", one().time_limit(Duration::MAX)),
            ("root_certificates", "none", RedisStore::builder("rediss://a").root_certificates("")),
            ("root_certificates", "no PEM", RedisStore::builder("rediss://a").root_certificates("hunter2")),
        ];
        for (setting, name, builder) in rows {
            let Err(error) = builder.build() else { panic!("{name} was taken") };
            assert_eq!(error.setting(), setting, "{name}: {error}");
            assert!(!error.to_string().contains("hunter"), "{name}: {error}");
        }
    }

    #[test]
    fn debug_shows_neither_user_nor_password() {
        let builder = RedisStore::builder("redis://alice:hunter2@db.example");
        let shown = format!("{builder:?}");
        let shown = format!("{shown} {:?}", builder.build().unwrap());
        assert!(!shown.contains("alice") && !shown.contains("hunter2"), "{shown}");
    }
}
