//! A session store as this crate asks it: no step without a time limit, no crowd that waits, no panic let through.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::store::{SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError, StoreErrorKind};
use super::throttle::Throttle;
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::ErrorKind;
use crate::http_client::BoxFuture;

/// A store, and what the log has been told of it.
pub(crate) struct Store {
    sessions: Box<dyn SessionStore>,
    waiting: Semaphore,
    warning: Throttle,
}

/// A store keeps its own time limit. This one is for a store that does not.
const STORE_TIME: Duration = Duration::from_secs(5);

/// At most this many steps wait at once; one more has failed, and is not begun. A store that answers is far from it: with a
/// thousandth of a second for each, it would be a million steps a second.
const MOST_WAITING: usize = 1024;

/// Seconds between two warnings that the store does not answer.
const BETWEEN_WARNINGS: u64 = 10;

impl Store {
    pub(crate) fn new(sessions: Box<dyn SessionStore>) -> Self {
        Self { sessions, waiting: Semaphore::new(MOST_WAITING), warning: Throttle::new(BETWEEN_WARNINGS) }
    }

    /// Whether this process is the only one that asks it, and its records are kept in clear.
    pub(crate) fn is_private(&self) -> bool {
        self.sessions.is_private()
    }

    pub(crate) async fn create(&self, key: SessionKey, record: SessionRecord) -> Result<bool, StoreError> {
        self.within_time(|| self.sessions.create(key, record)).await
    }

    pub(crate) async fn load(&self, key: SessionKey) -> Result<Option<SessionRecord>, StoreError> {
        self.within_time(|| self.sessions.load(key)).await
    }

    pub(crate) async fn update(&self, key: SessionKey, record: SessionRecord) -> Result<bool, StoreError> {
        self.within_time(|| self.sessions.update(key, record)).await
    }

    pub(crate) async fn touch(&self, key: SessionKey, expires_at: SystemTime) -> Result<bool, StoreError> {
        self.within_time(|| self.sessions.touch(key, expires_at)).await
    }

    pub(crate) async fn delete(&self, key: SessionKey) -> Result<(), StoreError> {
        self.within_time(|| self.sessions.delete(key)).await
    }

    pub(crate) async fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> Result<(), StoreError> {
        self.within_time(|| self.sessions.join(group, member, until)).await
    }

    pub(crate) async fn leave(&self, group: SessionGroup, member: SessionKey) -> Result<(), StoreError> {
        self.within_time(|| self.sessions.leave(group, member)).await
    }

    pub(crate) async fn members(&self, group: SessionGroup) -> Result<Vec<SessionKey>, StoreError> {
        self.within_time(|| self.sessions.members(group)).await
    }

    /// Logs that a step failed.
    pub(crate) fn warn(&self, inner: &Inner, step: &str, error: &StoreError) {
        let source = std::error::Error::source(error);
        if self.warning.is_due(unix_seconds(inner.clock.now())) {
            tracing::warn!(code = ErrorKind::SessionUnavailable.code(), step, %error, source, "session store");
        } else {
            tracing::debug!(code = ErrorKind::SessionUnavailable.code(), step, %error, source, "session store");
        }
    }

    /// The clock is only started for what is not there at once. A store that panics has not answered: it must take nobody else
    /// along, such as all who share a `Buffer` with this request.
    async fn within_time<'a, T>(
        &self,
        step: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let unreachable = |why: &'static str| Err(StoreError::new(StoreErrorKind::Unreachable).with_source(why));
        const TOO_MANY: &str = "too many requests wait for it already";
        if self.waiting.available_permits() == 0 {
            return unreachable(TOO_MANY);
        }
        let panicked = || Err(StoreError::new(StoreErrorKind::Failed).with_source("it panicked"));
        let Ok(mut answer) = catch_unwind(AssertUnwindSafe(step)) else { return panicked() };
        let mut answer = poll_fn(move |cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
            polled.unwrap_or_else(|_| Poll::Ready(panicked()))
        });
        let at_once = poll_fn(|cx| match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => Poll::Ready(None),
        });
        if let Some(answer) = at_once.await {
            return answer;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return unreachable(TOO_MANY) };
        if Handle::try_current().is_err() {
            return answer.await;
        }
        let late = |_| unreachable("it took more than five seconds");
        timeout(STORE_TIME, answer).await.unwrap_or_else(late)
    }
}
