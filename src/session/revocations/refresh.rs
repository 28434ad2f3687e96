//! Reading the list anew, once for all who ask, in a task that ends with it; and writing what the store does not have.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::copy::Item;
use super::groups::{Plan, RECENT, RECENT_KEPT, WHOLE};
use super::{Revocations, from_unix_seconds, unix_seconds};
use crate::error::ErrorKind;
use crate::flow::attempt::hash;
use crate::seal::random;
use crate::session::lifetime::LONGEST;
use crate::session::store::{SessionKey, SessionRecord, StoreError, StoreErrorKind};
use crate::session::throttle::Throttle;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// What is known of refreshes.
pub(super) struct Refreshing {
    /// The one that runs.
    running: Mutex<Option<watch::Receiver<Option<bool>>>>,
    known: Mutex<Known>,
    /// When the last one failed, by the steady clock; 0 where it did not.
    failed_at: AtomicU64,
    writing: Semaphore,
    /// Whether a task tries to write what could not be written.
    is_trying: AtomicBool,
    /// Places for those who wait although the last one failed.
    waiting: Semaphore,
    warning: Throttle,
}

/// What the last one has found.
#[derive(Clone, Copy, Default)]
struct Known {
    epoch: Option<Epoch>,
    since: Option<u64>,
}

/// Drawn when a store is used first, so that one which has lost everything is told from one where nothing was ever revoked.
type Epoch = [u8; 16];

/// A request waits this long for a refresh, as for a step of the store.
const PATIENCE: Duration = Duration::from_secs(5);
/// At most this many requests wait while the list can't be read; one more is told so at once.
const MOST_WAITING: usize = 1024;
/// Milliseconds after a refresh that failed before one is begun for which nobody waits.
const PAUSE: u64 = 1000;
/// Seconds between two warnings that the list can't be read.
const BETWEEN_WARNINGS: u64 = 10;
/// How long and how often what could not be written is tried again, whoever asks or not.
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
const TRIES: u32 = 5 * 60;
/// So many entries are written between two looks at what there is.
const AT_ONCE: usize = 256;

impl Default for Refreshing {
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            known: Mutex::default(),
            failed_at: AtomicU64::new(0),
            writing: Semaphore::new(1),
            is_trying: AtomicBool::new(false),
            waiting: Semaphore::new(MOST_WAITING),
            warning: Throttle::new(BETWEEN_WARNINGS),
        }
    }
}

impl Refreshing {
    pub(super) fn has_failed(&self) -> bool {
        self.failed_at.load(Ordering::Acquire) > 0
    }
}

impl Revocations {
    /// Has the copy read anew. Nobody waits.
    pub(super) fn refresh_soon(self: &Arc<Self>) {
        let failed_at = self.refreshing.failed_at.load(Ordering::Acquire);
        let now = self.freshness.now(&*self.clock).steady;
        if failed_at == 0 || now.saturating_sub(failed_at) >= PAUSE {
            let _ = self.start_or_join();
        }
    }

    /// Waits for a copy that was no older than the bound when this was called.
    pub(super) async fn refreshed(self: &Arc<Self>) -> bool {
        let came = self.freshness.now(&*self.clock);
        let refreshed = async {
            // What runs already may have begun too long ago.
            for _ in 0..2 {
                let Some(mut outcome) = self.start_or_join() else { return false };
                let is_read = outcome.wait_for(Option::is_some).await.is_ok_and(|outcome| *outcome == Some(true));
                if !is_read || self.freshness.is_within(self.rules.bound, came) {
                    return is_read;
                }
            }
            false
        };
        // Outside of a runtime there is no timer, and no task either.
        if Handle::try_current().is_err() {
            return false;
        }
        let place = self.refreshing.waiting.try_acquire();
        if place.is_err() && self.refreshing.has_failed() {
            return false;
        }
        timeout(PATIENCE, refreshed).await.unwrap_or(false)
    }

    fn start_or_join(self: &Arc<Self>) -> Option<watch::Receiver<Option<bool>>> {
        let runtime = Handle::try_current().ok()?;
        let mut running = lock(&self.refreshing.running);
        if let Some(outcome) = &*running {
            return Some(outcome.clone());
        }
        let (sender, receiver) = watch::channel(None);
        *running = Some(receiver.clone());
        drop(running);
        let end = End { revocations: Arc::clone(self), sender, is_read: false };
        runtime.spawn(refresh(end));
        Some(receiver)
    }

    pub(crate) async fn read(&self) -> Result<(), StoreError> {
        let began = self.freshness.now(&*self.clock);
        let now = unix_seconds(self.clock.now());
        let known = *lock(&self.refreshing.known);
        let epoch = Some(self.epoch(now).await?);
        let is_same = known.epoch == epoch;
        if !is_same {
            self.copy.forget_written();
        }
        let plan = Plan::new(known.since.filter(|_| is_same), now, self.kept_for);
        let is_whole = plan.is_whole;
        for group in plan.groups(&self.redirect_uri) {
            self.copy.absorb(&self.store.members(group).await?, is_whole);
        }
        self.copy.sweep(now, self.kept_for);
        *lock(&self.refreshing.known) = Known { epoch, since: Some(now) };
        self.freshness.set(began);
        Ok(())
    }

    /// That of the store, which has one from now on.
    async fn epoch(&self, now: u64) -> Result<Epoch, StoreError> {
        let key = SessionKey::new(hash(&[b"revocations epoch", self.redirect_uri.as_bytes()]));
        let end = from_unix_seconds(now.saturating_add(LONGEST.as_secs()));
        if let Some(record) = self.store.load(key).await? {
            if unix_seconds(record.expires_at()) < now.saturating_add(LONGEST.as_secs() / 2) {
                self.store.touch(key, end).await?;
            }
            return read_epoch(&record);
        }
        let mut drawn = Epoch::default();
        random(&mut drawn).map_err(|_| StoreError::new(StoreErrorKind::Failed).with_source("no randomness"))?;
        if self.store.create(key, SessionRecord::new(drawn, 0, end)).await? {
            return Ok(drawn);
        }
        // Another node was first.
        match self.store.load(key).await? {
            Some(record) => read_epoch(&record),
            None => Err(StoreError::new(StoreErrorKind::Failed).with_source("it forgets what it was given")),
        }
    }

    /// Has the store keep an entry, now or as soon as it can be had.
    pub(super) async fn write(self: &Arc<Self>, item: &Item) -> Result<(), StoreError> {
        let written = self.try_write(item).await;
        if written.is_err() {
            self.write_later();
        }
        written
    }

    /// Tries again for some minutes: nobody may ask this node any more, and then no refresh would see to it.
    fn write_later(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.refreshing.is_trying.swap(true, Ordering::AcqRel) {
            return;
        }
        let list = Arc::downgrade(self);
        runtime.spawn(async move {
            for _ in 0..TRIES {
                sleep(BETWEEN_TRIES).await;
                let Some(list) = list.upgrade() else { return };
                // Whoever fails from here on has another task see to it.
                list.refreshing.is_trying.store(false, Ordering::Release);
                if list.write_rest().await || list.refreshing.is_trying.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
            if let Some(list) = list.upgrade() {
                list.refreshing.is_trying.store(false, Ordering::Release);
            }
        });
    }

    /// A new node finds it, once those that are there do.
    async fn try_write(&self, item: &Item) -> Result<(), StoreError> {
        let now = unix_seconds(self.clock.now());
        let until = item.at.saturating_add(self.kept_for);
        let recent = until.min(now.saturating_add(RECENT_KEPT));
        for (length, until) in [(RECENT, recent), (WHOLE, until)] {
            let group = length.at(&self.redirect_uri, now);
            self.store.join(group, item.member(), from_unix_seconds(until)).await?;
        }
        self.copy.written(item);
        Ok(())
    }

    /// Writes what the store does not have. What fails is tried again after the next refresh. Whether nothing is left.
    async fn write_rest(&self) -> bool {
        let Ok(_turn) = self.refreshing.writing.try_acquire() else { return false };
        loop {
            let items = self.copy.unwritten(AT_ONCE);
            if items.is_empty() {
                return true;
            }
            for item in items {
                if let Err(error) = self.try_write(&item).await {
                    self.warn("write", &error);
                    return false;
                }
            }
        }
    }

    fn warn(&self, step: &str, error: &StoreError) {
        let source = std::error::Error::source(error);
        let code = ErrorKind::SessionUnavailable.code();
        if self.refreshing.warning.is_due(unix_seconds(self.clock.now())) {
            tracing::warn!(code, step, %error, source, "revocation list");
        } else {
            tracing::debug!(code, step, %error, source, "revocation list");
        }
    }
}

fn read_epoch(record: &SessionRecord) -> Result<Epoch, StoreError> {
    let epoch = record.bytes().first_chunk().copied();
    epoch.ok_or_else(|| StoreError::new(StoreErrorKind::Failed).with_source("a record of the list can't be read"))
}

/// Tells the end of a refresh when dropped, so that none runs for ever, whatever becomes of its task.
struct End {
    revocations: Arc<Revocations>,
    sender: watch::Sender<Option<bool>>,
    is_read: bool,
}

impl Drop for End {
    fn drop(&mut self) {
        let revocations = &self.revocations;
        let failed_at = if self.is_read { 0 } else { revocations.freshness.now(&*revocations.clock).steady };
        revocations.refreshing.failed_at.store(failed_at, Ordering::Release);
        *lock(&revocations.refreshing.running) = None;
        self.sender.send_replace(Some(self.is_read));
    }
}

async fn refresh(mut end: End) {
    let revocations = Arc::clone(&end.revocations);
    match revocations.read().await {
        Ok(()) => end.is_read = true,
        Err(error) => revocations.warn("read", &error),
    }
    let is_read = end.is_read;
    drop(end);
    if is_read {
        revocations.write_rest().await;
    }
}

/// No code of anyone else's runs under these locks, so what a poisoned one holds is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
