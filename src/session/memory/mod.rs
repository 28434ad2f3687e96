//! The store in this process's memory.

mod groups;
mod table;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use self::groups::Groups;
use self::table::{Created, Table};
use super::store::{SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError};
use super::throttle::Throttle;
use crate::clock::{Clock, SystemClock, unix_seconds};
use crate::http_client::BoxFuture;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps sessions in this process: no other one sees them, and all of them end with it. For one node, for tests and while
/// developing; several nodes share a database instead.
///
/// Bounded. It holds 100,000 sessions at most, or as many as [`with_capacity`](Self::with_capacity) says, each with some 150
/// bytes beside its record; half a mebibyte is taken at the start. When it is full, a new session takes the place of one
/// that is over; if none is, of the one whose last request is longest ago, and the log warns of it. So nobody is ever kept
/// from signing in. To sign out somebody who is around, as many other sessions as it holds must be made or used before
/// their next request; each that is made takes an exchange with the provider, of which 64 run at once.
///
/// There is no background task: what is over is dropped when it is asked for, and a few at each sign-in.
///
/// ```
/// use tower_signin::MemoryStore;
///
/// let store = MemoryStore::with_capacity(10_000);
/// ```
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    capacity: usize,
    /// One lock for all: it is held for some hundred instructions at a time.
    table: Mutex<Table>,
    groups: Mutex<Groups>,
    warning: Throttle,
}

const DEFAULT_CAPACITY: usize = 100_000;

/// How many places in groups there are for each session: those of its person and of the provider's session, and as many for
/// sessions that were ended elsewhere.
const GROUPS_PER_SESSION: usize = 4;

/// Seconds between two warnings that the store is full.
const BETWEEN_WARNINGS: u64 = 60;

impl MemoryStore {
    /// An empty store for 100,000 sessions, on the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// An empty store for this many sessions; 0 counts as 1, and more than 4,294,967,294 as that.
    #[must_use]
    pub fn with_capacity(sessions: usize) -> Self {
        let capacity = sessions.clamp(1, table::MOST);
        let table = Mutex::new(Table::new(capacity));
        Self {
            clock: Arc::new(SystemClock),
            capacity,
            table,
            groups: Mutex::default(),
            warning: Throttle::new(BETWEEN_WARNINGS),
        }
    }

    /// Where the time comes from; the system's clock by default. It should be the one of the
    /// [builder](crate::Builder::clock).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::SystemTime;
    /// use tower_signin::{ManualClock, MemoryStore};
    ///
    /// let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
    /// let store = MemoryStore::new().clock(Arc::clone(&clock));
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn warn_of_eviction(&self, now: u64) {
        if !self.warning.is_due(now) {
            return;
        }
        tracing::warn!(
            capacity = self.capacity,
            "the memory store of sessions is full, and whose last request is longest ago is signed out; \
             raise MemoryStore::with_capacity, shorten the sessions, or use a store outside this process"
        );
    }

    fn warn_of_full_groups(&self, now: u64) {
        if self.warning.is_due(now) {
            tracing::warn!(
                capacity = self.capacity,
                "the memory store holds no more groups of sessions: one that ends soonest can't be found by its person any more; \
                 raise MemoryStore::with_capacity, shorten the sessions, or use a store outside this process"
            );
        }
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nor under this one.
    fn lock_groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for MemoryStore {
    fn is_private(&self) -> bool {
        true
    }

    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let created = self.lock().create(key, record, now);
            if created == Created::Evicting {
                self.warn_of_eviction(unix_seconds(now));
            }
            Ok(created != Created::Taken)
        })
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move {
            let now = self.clock.now();
            Ok(self.lock().load(&key, now))
        })
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let now = self.clock.now();
            Ok(self.lock().update(&key, record, now))
        })
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let now = self.clock.now();
            Ok(self.lock().touch(&key, expires_at, now))
        })
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.lock().delete(&key);
            Ok(())
        })
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (now, most) = (self.clock.now(), self.capacity.saturating_mul(GROUPS_PER_SESSION));
            let is_full = self.lock_groups().join(group, member, until, now, most);
            if is_full {
                self.warn_of_full_groups(unix_seconds(now));
            }
            Ok(())
        })
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.lock_groups().leave(group, member);
            Ok(())
        })
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        Box::pin(async move { Ok(self.lock_groups().members(group, self.clock.now())) })
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn it_is_bounded_and_never_refuses() {
        let store = MemoryStore::with_capacity(0).clock(ManualClock::new(UNIX_EPOCH));
        assert_eq!(store.capacity, 1);
        let record = SessionRecord::new([], 0, UNIX_EPOCH + Duration::from_secs(1));
        assert!(store.create(SessionKey::new([1; 32]), record.clone()).await.unwrap());
        assert!(store.create(SessionKey::new([2; 32]), record).await.unwrap());
        assert!(store.load(SessionKey::new([1; 32])).await.unwrap().is_none());
        assert!(store.load(SessionKey::new([2; 32])).await.unwrap().is_some());
    }

    #[test]
    fn a_store_as_large_as_can_be_reserves_little() {
        assert_eq!(MemoryStore::with_capacity(usize::MAX).capacity, table::MOST);
    }

    #[tokio::test]
    async fn a_step_is_taken_when_it_is_awaited_and_not_before() {
        let store = MemoryStore::new();
        let key = SessionKey::new([1; 32]);
        let hour = SystemTime::now() + Duration::from_secs(3600);
        drop(store.create(key, SessionRecord::new([], 0, hour)));
        assert!(store.load(key).await.unwrap().is_none());
    }
}
