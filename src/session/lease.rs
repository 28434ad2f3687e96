//! A turn that one node of many has, for as long as it lives and a little longer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::bounded::Store;
use super::store::{SessionKey, SessionRecord, StoreError};
use crate::clock::Clock;
use crate::seal::random;

/// A record of the store that nobody else can make while it lasts. Its generation begins at a random number, so whoever had the
/// turn before, and comes late, updates nothing.
pub(super) struct Lease {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    key: SessionKey,
    held: SessionRecord,
}

/// How long it lasts without being renewed: so long do others wait for a node that died.
const LASTS: Duration = Duration::from_secs(10);

/// How often it is renewed; two renewals may fail.
const RENEWED_EVERY: Duration = Duration::from_secs(3);
const RENEWAL_TIME: Duration = Duration::from_secs(1);

impl Lease {
    /// `None` where somebody else has the turn.
    pub(super) async fn take(
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        key: SessionKey,
    ) -> Result<Option<Self>, StoreError> {
        let mut first = [0; 8];
        if random(&mut first).is_err() {
            return Ok(None);
        }
        // Half of all numbers are left to count with.
        let held = SessionRecord::new([], u64::from_be_bytes(first) >> 1, clock.now() + LASTS);
        let is_ours = store.create(key, held.clone()).await?;
        Ok(is_ours.then(|| Self { store: Arc::clone(store), clock: Arc::clone(clock), key, held }))
    }

    /// Does something and keeps the turn meanwhile. Where it is lost all the same, since the store was away, the work goes on:
    /// what it brings has to be put where a later turn's is not overwritten.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(RENEWED_EVERY, work.as_mut()).await {
                return done;
            }
            // Work waits no longer than this for a store that hangs.
            let _ = timeout(RENEWAL_TIME, self.update(LASTS)).await;
        }
    }

    /// Gives the turn back.
    pub(super) async fn release(mut self) {
        self.update(Duration::ZERO).await;
    }

    /// Where this fails the lease ends by itself.
    async fn update(&mut self, lasts: Duration) {
        while let Some(next) = self.held.successor([], self.clock.now() + lasts) {
            match self.store.update(self.key, next.clone()).await {
                Ok(true) => {
                    self.held = next;
                    return;
                }
                Ok(false) => match self.store.load(self.key).await {
                    // Ours: the answer to an earlier one was lost.
                    Ok(Some(there)) if there.generation() == next.generation() => self.held = there,
                    _ => return,
                },
                Err(_) => return,
            }
        }
    }
}
