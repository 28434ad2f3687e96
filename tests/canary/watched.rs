//! A store and a recorder of metrics that show what they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tower_signin::{
    BoxFuture, ManualClock, MemoryStore, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError,
    StoreErrorKind,
};

use crate::{Secrets, Seen, as_shown};

/// Records come to it sealed. What it knows sessions by is a secret.
#[derive(Clone)]
pub(crate) struct Store {
    memory: Arc<MemoryStore>,
    is_away: Arc<AtomicBool>,
    seen: Seen,
    secrets: Secrets,
}

impl Store {
    pub(crate) fn new(seen: &Seen, secrets: &Secrets, clock: &Arc<ManualClock>) -> Self {
        let memory = Arc::new(MemoryStore::new().clock(Arc::clone(clock)));
        Self { memory, is_away: Arc::default(), seen: seen.clone(), secrets: secrets.clone() }
    }

    pub(crate) fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn asked<'a, T: Send + 'a>(
        &'a self,
        key: SessionKey,
        step: impl FnOnce(&'a MemoryStore) -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.secrets.add("key of a session", &key.to_hex());
        self.secrets.add("bytes of the key of a session", &as_shown(&key.as_bytes()[..8]));
        self.seen.add("key", &key);
        if self.is_away.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new(StoreErrorKind::Unreachable).with_source("canary store")) });
        }
        step(&self.memory)
    }
}

impl SessionStore for Store {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.seen.add("record", &record);
        self.asked(key, |memory| memory.create(key, record))
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.asked(key, |memory| memory.load(key))
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.seen.add("record", &record);
        self.asked(key, |memory| memory.update(key, record))
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.asked(key, |memory| memory.touch(key, expires_at))
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.asked(key, |memory| memory.delete(key))
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.asked(member, |memory| memory.join(group, member, until))
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.asked(member, |memory| memory.leave(group, member))
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        self.asked(SessionKey::new(*group.as_bytes()), |memory| memory.members(group))
    }
}

/// Shows every name and label.
pub(crate) struct Metrics(pub(crate) Seen);

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.add("metric", key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.add("metric", key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.add("metric", key);
        Histogram::noop()
    }
}
