//! Where sessions are kept that do not travel in their cookies.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::error::BoxError;
use crate::http_client::BoxFuture;

/// Keeps sessions on the server: in this process ([`MemoryStore`](crate::MemoryStore)), or in a database that many share.
///
/// [`Builder::session_store`](crate::Builder::session_store) takes one. Without, sessions live in their cookies.
///
/// The layer decides what a record holds, when a session is renewed and when it ends; a store keeps bytes. What it must
/// keep to besides:
///
/// * **A session is over from its end on**, that is, where the time is not before [`SessionRecord::expires_at`]. One that
///   is over counts as none in every method, whether or not the store still holds it.
/// * **Each method is one atomic step**, also between processes: of what runs at once, the outcome is as if one had run
///   after the other.
/// * **A store that can't be asked is an error**, never "no session": people would be signed out by a network that fails.
///   Where the answer got lost, it is an error too, even if the step was taken.
/// * **Nothing is retried** and nothing waits without an end. Where an answer may never come, the store sets the time limit.
/// * **The bytes are kept as they are**: any byte may be among them, and they are not looked into. Ends are kept to the
///   second at least; the layer writes whole seconds.
/// * **Nothing outlives its end for long**: the store removes what is over by itself, or bounds what it holds.
///
/// A future may be dropped before it is ready, when a browser goes away. Then the step was taken whole or not at all.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_signin::{MemoryStore, SessionKey, SessionRecord, SessionStore};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), tower_signin::StoreError> {
/// let store = MemoryStore::new();
/// let key = SessionKey::new([7; 32]);
/// let hour = SystemTime::now() + Duration::from_secs(3600);
///
/// let first = SessionRecord::new(*b"alice", 0, hour);
/// assert!(store.create(key, first.clone()).await?);
/// assert!(!store.create(key, first.clone()).await?, "the id is taken");
///
/// let second = first.successor(*b"alice, admin", hour).expect("generations are left");
/// assert!(store.update(key, second.clone()).await?);
/// assert!(!store.update(key, second).await?, "somebody else was first");
///
/// store.delete(key).await?;
/// assert!(store.load(key).await?.is_none());
/// # Ok(())
/// # }
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Keeps a new session. `false` where the key is taken, and what is there stays; a session that is over takes none.
    ///
    /// A record that is over already is taken as well, and is no session.
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The session as it was last written, or `None` where there is none. Its end is where the last
    /// [`touch`](Self::touch) has moved it.
    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;

    /// Puts `record` in the place of the one before it: where the generation in the store is one below that of `record`.
    /// Bytes, generation and end become those of `record`; the end may be earlier than it was.
    ///
    /// `false` where there is no session or one of another generation, and nothing has changed. Of many updates made from
    /// the same record one is `true`. Generation 0 has none before it and updates nothing.
    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Moves the end of a session to `expires_at` if that is later, and changes nothing else; never earlier. So a slow
    /// request can neither undo an update nor shorten what a faster one gave.
    ///
    /// `false` where there is no session: what was deleted or is over does not come back. `true` where there is one, moved
    /// or not.
    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Forgets a session. Where there is none, nothing is to do and that is no error. Groups are left as they are.
    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Adds `member` to a group until `until`: the sessions of a person, say, so that all of them can be found and ended. Where
    /// it is a member already, `until` moves if that is later; never earlier.
    ///
    /// A group is made by its first member. A member need not be the key of a session that is there, or of any; the store does
    /// not look. Where `until` has come, nothing is to do.
    fn join(&self, group: SessionGroup, member: SessionKey, until: SystemTime)
    -> BoxFuture<'_, Result<(), StoreError>>;

    /// Takes a member out of a group. Where it is none, nothing is to do and that is no error.
    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All members of a group whose time has not come, each once, in any order. None where there is no such group.
    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>>;

    /// Whether records never leave this process's memory. They are then kept in clear, which saves opening them at each
    /// request. Otherwise they come sealed under the [`Keys`](crate::Keys) of the `SignIn` and for their own key: who can read
    /// the store learns nothing of anybody, and who can write to it makes nobody somebody else.
    ///
    /// `false` by default.
    fn is_private(&self) -> bool {
        false
    }
}

impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).create(key, record)
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        (**self).load(key)
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).update(key, record)
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        (**self).touch(key, expires_at)
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).delete(key)
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).join(group, member, until)
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        (**self).leave(group, member)
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        (**self).members(group)
    }

    fn is_private(&self) -> bool {
        (**self).is_private()
    }
}

/// Names a record in a [`SessionStore`]: the SHA-256 of 32 random bytes that the layer draws at sign-in.
///
/// The browser's cookie holds those bytes, sealed: who reads a store can open no session with what is there. The layer keeps
/// other things under such keys as well, for a short time: that a state has been spent, or who refreshes a session's tokens.
/// `Debug` shows none of it, so that logs do not tell sessions apart.
///
/// ```
/// use tower_signin::SessionKey;
///
/// let key = SessionKey::new([0xab; 32]);
/// assert_eq!(key.to_hex(), "ab".repeat(32));
/// assert_eq!(format!("{key:?}"), "SessionKey(..)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// A key of these bytes. The layer makes keys; this is for tests of a store.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store with binary keys.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, for a store with text keys.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

/// Names a group of sessions in a [`SessionStore`]: a hash of what they have in common, under a key of the layer's, so that who
/// reads a store does not learn of whom they are. `Debug` shows none of it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_signin::{MemoryStore, SessionGroup, SessionKey, SessionStore};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), tower_signin::StoreError> {
/// let store = MemoryStore::new();
/// let (alice, browser) = (SessionGroup::new([0xa1; 32]), SessionKey::new([7; 32]));
///
/// store.join(alice, browser, SystemTime::now() + Duration::from_secs(3600)).await?;
/// assert_eq!(store.members(alice).await?, [browser]);
/// store.leave(alice, browser).await?;
/// assert!(store.members(alice).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionGroup([u8; 32]);

impl SessionGroup {
    /// A group of these bytes. The layer makes groups; this is for tests of a store.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store with binary keys.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, for a store with text keys.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for SessionGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionGroup(..)")
    }
}

/// One session as a [`SessionStore`] keeps it. Cheap to clone: the bytes are shared.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_signin::SessionRecord;
///
/// let noon = UNIX_EPOCH + Duration::from_secs(43_200);
/// let record = SessionRecord::new(*b"\x01\x02", 0, noon);
/// assert_eq!((record.bytes(), record.generation(), record.expires_at()), (&[1, 2][..], 0, noon));
/// assert!(record.is_over(noon) && !record.is_over(noon - Duration::from_secs(1)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionRecord {
    bytes: Arc<[u8]>,
    generation: u64,
    expires_at: SystemTime,
}

impl SessionRecord {
    /// A record as it was read from a store, or the first of a session, with generation 0.
    #[must_use]
    pub fn new(bytes: impl Into<Arc<[u8]>>, generation: u64, expires_at: SystemTime) -> Self {
        Self { bytes: bytes.into(), generation, expires_at }
    }

    /// What [`SessionStore::update`] may put in the place of this one: other bytes, another end, the next generation.
    /// `None` where there is no next one.
    #[must_use]
    pub fn successor(&self, bytes: impl Into<Arc<[u8]>>, expires_at: SystemTime) -> Option<Self> {
        Some(Self::new(bytes, self.generation.checked_add(1)?, expires_at))
    }

    /// What the layer wrote. It may hold secrets, so it belongs in no log.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How often the session has been updated.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The first moment at which the session is over.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Whether the session is over at this time.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        now >= self.expires_at
    }

    /// Moves the end later.
    pub(crate) fn extend(&mut self, expires_at: SystemTime) {
        self.expires_at = self.expires_at.max(expires_at);
    }
}

/// Shows how many bytes there are, and none of them.
impl fmt::Debug for SessionRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRecord")
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .field("generation", &self.generation)
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// Why a [`SessionStore`] could not be asked, or did not do as asked.
///
/// ```
/// use tower_signin::{StoreError, StoreErrorKind};
///
/// let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = StoreError::new(StoreErrorKind::Unreachable).with_source(refused);
/// assert_eq!(error.kind(), StoreErrorKind::Unreachable);
/// ```
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<BoxError>,
}

/// The sort of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// No answer came: no connection, or none in time. Whether the step was taken is not known.
    Unreachable,
    /// It answered that it could not, or with what can't be read.
    Failed,
}

impl StoreError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Adds what was underneath. It is logged, so it must hold no secret: no password of a connection string, no bytes of
    /// a record.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The sort of error.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unreachable => {
                "the session store gave no answer: it is down or overloaded, or its address or the network is wrong"
            }
            StoreErrorKind::Failed => {
                "the session store did not do as asked: it is full or read-only, denies access, or holds what this version can't read"
            }
        })
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// A store of somebody's own, which says nothing of where its records are.
    struct Plain;

    impl SessionStore for Plain {
        fn create(&self, _: SessionKey, _: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
            Box::pin(async { Ok(true) })
        }

        fn load(&self, _: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
            Box::pin(async { Ok(None) })
        }

        fn update(&self, _: SessionKey, _: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
            Box::pin(async { Ok(false) })
        }

        fn touch(&self, _: SessionKey, _: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
            Box::pin(async { Ok(false) })
        }

        fn delete(&self, _: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn join(&self, _: SessionGroup, _: SessionKey, _: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn leave(&self, _: SessionGroup, _: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }

        fn members(&self, _: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }
    }

    #[test]
    fn records_are_sealed_but_for_a_store_that_says_it_is_memory() {
        let memory = crate::MemoryStore::new();
        assert!(!Plain.is_private() && memory.is_private());
        assert!(!Arc::new(Plain).is_private() && Arc::new(memory).is_private());
    }

    #[test]
    fn debug_shows_neither_key_nor_bytes() {
        let key = SessionKey::new(*b"0123456789abcdef0123456789abcdef");
        let record = SessionRecord::new(*b"token", 3, UNIX_EPOCH);
        let shown = format!("{key:?} {record:?} {:#?}", (key, &record));
        for secret in ["012", "48, 49", "30313", "token", "116", "746f6b656e"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(shown.contains("5 bytes") && shown.contains("generation: 3"), "{shown}");
    }

    #[test]
    fn a_clone_shares_its_bytes() {
        let record = SessionRecord::new(vec![1; 300], 0, UNIX_EPOCH);
        assert_eq!(record.bytes().as_ptr(), record.clone().bytes().as_ptr());
    }

    #[test]
    fn generations_go_up_by_one_and_come_to_an_end() {
        let later = UNIX_EPOCH + Duration::from_secs(1);
        let next = SessionRecord::new([1], 41, UNIX_EPOCH).successor([2], later).unwrap();
        assert_eq!(next, SessionRecord::new([2], 42, later));
        let last = SessionRecord::new([1], u64::MAX - 1, UNIX_EPOCH).successor([2], later).unwrap();
        assert_eq!((last.generation(), last.successor([3], later)), (u64::MAX, None));
    }

    #[test]
    fn an_error_says_what_may_be_wrong_and_keeps_its_source() {
        let error = StoreError::new(StoreErrorKind::Unreachable).with_source("connection refused");
        assert!(error.to_string().contains("its address or the network is wrong"));
        assert_eq!(error.source().unwrap().to_string(), "connection refused");
        assert!(StoreError::new(StoreErrorKind::Failed).source().is_none());
    }

    #[test]
    fn a_store_is_an_object() {
        fn assert_store<S: SessionStore + ?Sized>() {}
        assert_store::<dyn SessionStore>();
        assert_store::<Arc<dyn SessionStore>>();
    }
}
