//! Sessions in Redis or Valkey.

mod address;
mod builder;
mod cluster;
mod line;
mod node;
mod scripts;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64_simd::URL_SAFE_NO_PAD;
use redis::{Cmd, Value};
use tokio::time::Instant;

pub use self::builder::RedisStoreBuilder;
use self::cluster::Servers;
use self::node::Lasting;
use self::scripts::{CREATE, JOIN, KEPT_ON, Script, TOUCH, UPDATE, decode, encode, goes_at, milliseconds};
use self::trouble::Cause;
use crate::clock::Clock;
use crate::config_error::ConfigError;
use crate::http_client::BoxFuture;
use crate::session::store::{SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError, StoreErrorKind};

/// Keeps sessions in Redis (6.2 or newer) or Valkey, for many nodes: one server, or a cluster.
///
/// ```no_run
/// use tower_signin::{Keys, RedisStore, SignIn, Siwbb};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::new("rediss://signin:password@redis.example.com:6379")?;
/// let sign_in = SignIn::builder(Siwbb::from_env()?)
///     .redirect_uri("https://app.example.com/auth/callback")
///     .keys(Keys::from_env("SIGNIN_KEYS")?)
///     .session_store(store)
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// Every node has the same keys ([`Builder::keys`](crate::Builder::keys)) and the same store. Records are sealed before they come
/// here. Dropping the store closes its connections.
///
/// # Settings
///
/// | setting | default | |
/// |---|---|---|
/// | URL | none | `redis://user:password@host:6379/0`; `rediss://` with TLS. `valkey://` and `valkeys://` are the same |
/// | [`cluster`](Self::cluster) | one server | URLs of some nodes of a cluster; the others are found |
/// | [`root_certificates`](RedisStoreBuilder::root_certificates) | those of the system | whom to believe with `rediss://` |
/// | [`key_prefix`](RedisStoreBuilder::key_prefix) | `signin:` | what all keys begin with |
/// | [`time_limit`](RedisStoreBuilder::time_limit) | 2 seconds | for each step, connecting included |
/// | [`replicas`](RedisStoreBuilder::replicas) | 0 | on how many replicas a change must be before it counts |
/// | [`clock`](RedisStoreBuilder::clock) | the system's | decides what is over |
///
/// TLS runs on rustls with aws-lc-rs, as the HTTP client does; no provider is installed for the process, and none is asked for.
///
/// # When it connects
///
/// When it is used first, so that a store that is down keeps no process from starting. One connection to each server is shared by
/// all, and a second one where replicas are waited for. When it breaks, steps that wait for an answer fail, and the next one connects
/// anew. While the server is away there is one attempt at a time, and after a failure none for up to 400 milliseconds, in which
/// steps fail at once. Names are looked up each time. A connection that was idle for 15 seconds is asked whether it is still there.
///
/// A connection is also given up when an answer did not come in time, or when the server says that it is a replica. The URL must lead to
/// the master, also after a replica was promoted; sentinels are not asked.
///
/// # What it promises
///
/// * **Each step is atomic**: one command, or one script on one key. In a cluster it touches one slot.
/// * **No step is sent twice** but where the server said that it did nothing (it did not know the script, or another node has the
///   key). A step that got no answer is an error and may have been taken: the record may be there after a failed `create`, and a
///   failed `update` may have won. To create, update, delete, join or leave again is safe in that nothing is done twice, but the
///   answer of a second `create` or `update` is then `false`.
/// * **Ends are decided by the clock of who asks**, so the clocks of the nodes should agree to a few seconds, as for the sessions
///   themselves. The server's clock removes keys, a minute after they are over; where it runs ahead by more than that, sessions
///   end too soon by as much as it does.
/// * **Every key goes by itself** ([`PEXPIREAT`](https://redis.io/docs/latest/commands/pexpireat/)): that of a record a minute after
///   its end, that of a group a minute after its latest member's.
///
/// # What may be lost
///
/// What the server loses. A session that is lost is one that has to sign in again; an end that is lost is a session that lives on
/// until its own end, which weighs more.
///
/// * **At a restart** everything goes that the server has not saved: all of it without persistence, up to a second of it with
///   `appendonly yes` (`appendfsync everysec`).
/// * **When a replica is promoted** all goes that had not reached it: replication is asynchronous. A session that was deleted
///   a moment before may be there again, a lease held twice, a state spent twice. [`RedisStoreBuilder::replicas`] waits for so many
///   replicas to have each change but those of ends that move. It makes such a loss unlikely, and does not exclude it: a replica
///   without the change may still be promoted.
/// * **When memory is full** the server's `maxmemory-policy` decides. With `noeviction`, which is advised, nothing is written: people
///   see the page of a store that is out of order when they sign in, and ends do not move. Sessions are found, and can be deleted. With
///   `volatile-ttl` the keys go that go soonest in any case, which are those that say for some minutes what is spent already. Any
///   policy that evicts may evict a group, and who ends all sessions of a person then does not find them.
///
/// # What it needs to be allowed
///
/// On keys with its prefix the commands `EVALSHA`, `EVAL`, `GET`, `GETRANGE`, `SETRANGE`, `SET`, `DEL`, `PEXPIREAT`, `ZADD`, `ZREM`, `ZRANGE`
/// and `ZREMRANGEBYSCORE`, and `PING`; `SELECT` where the URL has a database, `WAIT` with replicas, `CLUSTER SLOTS` and `ASKING` in a
/// cluster:
///
/// ```text
/// ACL SETUSER signin on >password ~signin:* -@all +evalsha +eval +get +getrange +setrange +set +del +pexpireat
///     +zadd +zrem +zrange +zremrangebyscore +ping
/// ```
///
/// Who may write there can end sessions, lengthen them up to the end that is sealed in them, and bring back one that was ended; they
/// can make nobody somebody else.
pub struct RedisStore {
    servers: Servers,
    prefix: String,
    time_limit: Duration,
    replicas: u32,
    clock: Arc<dyn Clock>,
}

impl RedisStore {
    /// A store on the server of this URL, with defaults for the rest. It is not connected to yet.
    ///
    /// ```
    /// use tower_signin::RedisStore;
    ///
    /// let store = RedisStore::new("redis://127.0.0.1:6379")?;
    /// # Ok::<(), tower_signin::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A URL that is none, or of no server of this kind. The error does not show it.
    pub fn new(url: &str) -> Result<Self, ConfigError> {
        Self::builder(url).build()
    }

    /// A store on the server of this URL, with settings.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_signin::RedisStore;
    ///
    /// let store = RedisStore::builder("redis://127.0.0.1:6379")
    ///     .key_prefix("shop:")
    ///     .time_limit(Duration::from_secs(1))
    ///     .build()?;
    /// # Ok::<(), tower_signin::ConfigError>(())
    /// ```
    pub fn builder(url: impl Into<String>) -> RedisStoreBuilder {
        RedisStoreBuilder::one(url.into())
    }

    /// A store on a cluster: the URLs of some of its nodes, of which one must answer. User, password and TLS are the same for all
    /// nodes, of which the cluster names the addresses; with TLS, their certificates must be for what it names.
    ///
    /// ```
    /// use tower_signin::RedisStore;
    ///
    /// let store = RedisStore::cluster(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"]).replicas(1).build()?;
    /// # Ok::<(), tower_signin::ConfigError>(())
    /// ```
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> RedisStoreBuilder {
        RedisStoreBuilder::cluster(urls.into_iter().map(Into::into).collect())
    }

    fn record_key(&self, key: SessionKey) -> Vec<u8> {
        self.key("s:", key.as_bytes())
    }

    fn group_key(&self, group: SessionGroup) -> Vec<u8> {
        self.key("g:", group.as_bytes())
    }

    /// Text, so that people can read and write it.
    fn key(&self, kind: &str, name: &[u8; 32]) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.prefix.len() + kind.len() + URL_SAFE_NO_PAD.encoded_length(name.len()));
        key.extend_from_slice(self.prefix.as_bytes());
        key.extend_from_slice(kind.as_bytes());
        URL_SAFE_NO_PAD.encode_append(name, &mut key);
        key
    }

    fn now(&self) -> u64 {
        milliseconds(self.clock.now())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.time_limit
    }

    async fn ask(&self, key: &[u8], command: &Cmd, lasting: Lasting) -> Result<Value, StoreError> {
        Ok(self.servers.ask(key, command, lasting, self.deadline()).await?)
    }

    /// Whether the script did something. A server that was restarted has forgotten it.
    async fn run(
        &self,
        script: &Script,
        key: &[u8],
        arguments: &[&[u8]],
        lasting: Lasting,
    ) -> Result<bool, StoreError> {
        let deadline = self.deadline();
        let answer = match self.servers.ask(key, &script.by_hash(key, arguments), lasting, deadline).await {
            Err(trouble) if *trouble.cause() == Cause::UnknownScript => {
                self.servers.ask(key, &script.in_full(key, arguments), lasting, deadline).await
            }
            answer => answer,
        };
        match answer? {
            Value::Int(done) => Ok(done == 1),
            _ => Err(unreadable()),
        }
    }

    /// Now, the value, when its key goes, whether it is over already.
    async fn write(
        &self,
        script: &Script,
        key: SessionKey,
        record: &SessionRecord,
        before: &[u8],
    ) -> Result<bool, StoreError> {
        let (now, end) = (self.now(), milliseconds(record.expires_at()));
        let is_over: &[u8] = if end <= now { b"1" } else { b"0" };
        let (now, goes_at, value) = (now.to_string(), goes_at(end).to_string(), encode(record));
        let arguments = [now.as_bytes(), &value, goes_at.as_bytes(), is_over, before];
        self.run(script, &self.record_key(key), &arguments, Lasting::Yes).await
    }
}

impl SessionStore for RedisStore {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { self.write(&CREATE, key, &record, b"").await })
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let key = self.record_key(key);
            match self.ask(&key, &one("GET", &key), Lasting::No).await? {
                Value::Nil => Ok(None),
                Value::BulkString(value) => {
                    let record = decode(&value).ok_or_else(unreadable)?;
                    Ok(Some(record).filter(|record| !record.is_over(self.clock.now())))
                }
                _ => Err(unreadable()),
            }
        })
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let Some(before) = record.generation().checked_sub(1) else { return Ok(false) };
            self.write(&UPDATE, key, &record, &before.to_be_bytes()).await
        })
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let (now, end) = (self.now().to_string(), milliseconds(expires_at));
            let goes_at = goes_at(end).to_string();
            let arguments = [now.as_bytes(), &end.to_be_bytes(), goes_at.as_bytes()];
            self.run(&TOUCH, &self.record_key(key), &arguments, Lasting::No).await
        })
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let key = self.record_key(key);
            self.ask(&key, &one("DEL", &key), Lasting::Yes).await.map(drop)
        })
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (now, until) = (self.now(), milliseconds(until));
            if until <= now {
                return Ok(());
            }
            // Not before another node's clock says so as well.
            let kept_on = u64::try_from(KEPT_ON.as_millis()).unwrap_or(0);
            let over = now.saturating_sub(kept_on).to_string();
            let (until, kept_on) = (until.to_string(), kept_on.to_string());
            let arguments = [over.as_bytes(), member.as_bytes(), until.as_bytes(), kept_on.as_bytes()];
            self.run(&JOIN, &self.group_key(group), &arguments, Lasting::Yes).await.map(drop)
        })
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let key = self.group_key(group);
            let mut command = one("ZREM", &key);
            command.arg(member.as_bytes());
            self.ask(&key, &command, Lasting::Yes).await.map(drop)
        })
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        Box::pin(async move {
            let key = self.group_key(group);
            let mut command = one("ZRANGE", &key);
            command.arg(format!("({}", self.now())).arg("+inf").arg("BYSCORE");
            let Value::Array(members) = self.ask(&key, &command, Lasting::No).await? else { return Err(unreadable()) };
            members.into_iter().map(member).collect()
        })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("key_prefix", &self.prefix)
            .field("time_limit", &self.time_limit)
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

/// A command on a key, with room for what may follow.
fn one(name: &str, key: &[u8]) -> Cmd {
    const MORE: usize = 48;
    let mut command = Cmd::with_capacity(5, name.len() + key.len() + MORE);
    command.arg(name).arg(key);
    command
}

fn member(value: Value) -> Result<SessionKey, StoreError> {
    let Value::BulkString(bytes) = value else { return Err(unreadable()) };
    Ok(SessionKey::new(bytes.try_into().map_err(|_| unreadable())?))
}

fn unreadable() -> StoreError {
    StoreError::new(StoreErrorKind::Failed).with_source("there is something else where the session should be")
}
