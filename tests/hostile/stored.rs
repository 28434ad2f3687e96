//! A site whose sessions are in a store, and what the store is asked.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_signin::{BoxFuture, Builder, ManualClock, MemoryStore, SessionKey, SessionRecord, SessionStore, StoreError};

use crate::site::{NOW, Site};

/// A store that notes what it is asked.
pub(crate) struct Noting {
    store: MemoryStore,
    asked: Mutex<Vec<(&'static str, SessionKey)>>,
}

impl Noting {
    fn note(&self, what: &'static str, key: SessionKey) {
        self.asked.lock().unwrap().push((what, key));
    }

    /// What it was asked for, and under which key.
    pub(crate) fn asked(&self) -> Vec<(&'static str, SessionKey)> {
        self.asked.lock().unwrap().clone()
    }
}

impl SessionStore for Noting {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.note("create", key);
        self.store.create(key, record)
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.note("load", key);
        self.store.load(key)
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.note("update", key);
        self.store.update(key, record)
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.note("touch", key);
        self.store.touch(key, expires_at)
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note("delete", key);
        self.store.delete(key)
    }
}

pub(crate) fn stored(configure: impl FnOnce(Builder) -> Builder) -> (Site, Arc<Noting>) {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
    let store = MemoryStore::new().clock(Arc::clone(&clock));
    let store = Arc::new(Noting { store, asked: Mutex::default() });
    let mut site = Site::with(|builder| configure(builder.session_store(Arc::clone(&store))).clock(Arc::clone(&clock)));
    site.clock = clock;
    (site, store)
}
