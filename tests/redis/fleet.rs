//! Several stores as one: each step is taken by the next of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use tower_signin::{BoxFuture, RedisStore, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError};

pub struct Fleet {
    nodes: [RedisStore; 3],
    steps: AtomicUsize,
}

impl Fleet {
    pub fn of(nodes: [RedisStore; 3]) -> Self {
        Self { nodes, steps: AtomicUsize::new(0) }
    }

    fn next(&self) -> &RedisStore {
        &self.nodes[self.steps.fetch_add(1, Ordering::Relaxed) % self.nodes.len()]
    }
}

impl SessionStore for Fleet {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.next().create(key, record)
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.next().load(key)
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.next().update(key, record)
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.next().touch(key, expires_at)
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().delete(key)
    }

    fn join(&self, group: SessionGroup, key: SessionKey, until: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().join(group, key, until)
    }

    fn leave(&self, group: SessionGroup, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().leave(group, key)
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        self.next().members(group)
    }
}
