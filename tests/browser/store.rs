//! A store of sessions that can be taken away, or be full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tower_signin::{
    BoxFuture, MemoryStore, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError, StoreErrorKind,
};

pub struct MayBeAway {
    is_away: Arc<AtomicBool>,
    is_full: Arc<AtomicBool>,
    sessions: MemoryStore,
}

impl MayBeAway {
    pub fn new(is_away: &Arc<AtomicBool>, is_full: &Arc<AtomicBool>) -> Self {
        Self { is_away: Arc::clone(is_away), is_full: Arc::clone(is_full), sessions: MemoryStore::new() }
    }

    fn unless_away<'a, T: Send + 'a>(
        &self,
        answer: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        if self.is_away.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new(StoreErrorKind::Unreachable)) });
        }
        answer
    }
}

impl SessionStore for MayBeAway {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        // The mark of a state has no bytes, and finds room.
        if self.is_full.load(Ordering::SeqCst) && !record.bytes().is_empty() {
            return Box::pin(async { Err(StoreError::new(StoreErrorKind::Failed)) });
        }
        self.unless_away(self.sessions.create(key, record))
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.unless_away(self.sessions.load(key))
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.unless_away(self.sessions.update(key, record))
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.unless_away(self.sessions.touch(key, expires_at))
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.unless_away(self.sessions.delete(key))
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.unless_away(self.sessions.join(group, member, until))
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.unless_away(self.sessions.leave(group, member))
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        self.unless_away(self.sessions.members(group))
    }
}
