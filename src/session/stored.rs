//! Sessions that live in a store: their cookie holds an id, sealed.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::entrance::Deletion;
use super::presented::{Current, Presented};
use super::sealed::latest_end;
use super::store::{SessionKey, SessionRecord, SessionStore, StoreError, StoreErrorKind};
use super::throttle::Throttle;
use super::{LogId, Session, SessionId};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::http_client::BoxFuture;
use crate::identity::Identity;
use crate::seal::{Purpose, SealError, random};
use crate::telemetry;
use crate::wire::Reader;

/// The store, and what the log has been told of it.
pub(crate) struct Store {
    pub(crate) sessions: Box<dyn SessionStore>,
    warning: Throttle,
}

/// What the cookie of a stored session holds: what the store knows it by, 256 random bits, new at each sign-in. Who reads them
/// in the store has no cookie yet: that is sealed.
#[derive(Clone, Copy)]
pub(crate) struct StoredId(SessionKey);

/// Of the bytes inside the cookie's seal, where those of a whole session begin with 1.
const LAYOUT: u8 = 2;

/// A store keeps its own time limit. This one is for a store that does not.
const STORE_TIME: Duration = Duration::from_secs(5);

/// What a session may take in the store, so that many of them can be told by number.
const MOST_BYTES: usize = 64 * 1024;

/// Seconds between two warnings that the store does not answer.
const BETWEEN_WARNINGS: u64 = 10;

impl Store {
    pub(crate) fn new(sessions: Box<dyn SessionStore>) -> Self {
        Self { sessions, warning: Throttle::new(BETWEEN_WARNINGS) }
    }

    /// Asks for what can't be there, to see whether it answers.
    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        let Ok(id) = StoredId::draw() else { return Ok(()) };
        within_time(|| self.sessions.load(id.key())).await.map(drop)
    }

    /// When a session ends, or `None` where there is none.
    pub(crate) async fn end_of(&self, key: SessionKey) -> Result<Option<u64>, StoreError> {
        let record = within_time(|| self.sessions.load(key)).await?;
        Ok(record.map(|record| unix_seconds(record.expires_at())))
    }

    fn warn(&self, inner: &Inner, step: &str, error: &StoreError) {
        let source = std::error::Error::source(error);
        if self.warning.is_due(unix_seconds(inner.clock.now())) {
            tracing::warn!(code = ErrorKind::SessionUnavailable.code(), step, %error, source, "session store");
        } else {
            tracing::debug!(code = ErrorKind::SessionUnavailable.code(), step, %error, source, "session store");
        }
    }
}

impl StoredId {
    pub(crate) fn draw() -> Result<Self, ErrorKind> {
        let mut key = [0; 32];
        random(&mut key).map_err(|_| ErrorKind::Internal)?;
        Ok(Self(SessionKey::new(key)))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.fixed()? != [LAYOUT] {
            return None;
        }
        let key = SessionKey::new(reader.fixed()?);
        reader.end()?;
        Some(Self(key))
    }

    pub(crate) fn key(&self) -> SessionKey {
        self.0
    }

    /// What this process knows the session by, and its record holds.
    pub(crate) fn session_id(&self) -> SessionId {
        self.0.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// The cookie that carries it. How long the session lasts unused is the store's to say.
    pub(crate) fn set_cookie(&self, inner: &Inner, session: &Session) -> Result<HeaderValue, Error> {
        let name = inner.cookies.session_name();
        let sealed = inner.seal.seal(Purpose::Session, name, &[&[LAYOUT], &self.0.as_bytes()[..]].concat());
        let sealed = sealed.map_err(|_| ErrorKind::Internal)?;
        let max_age = session.absolute_end().saturating_sub(unix_seconds(inner.clock.now()));
        inner.cookies.set(name, &sealed, max_age).ok_or_else(|| ErrorKind::Internal.into())
    }
}

/// Puts a new session into the store.
pub(crate) async fn create(inner: &Inner, store: &Store, id: StoredId, session: &Session) -> Result<(), Error> {
    let size = session.encoded().len();
    if size > MOST_BYTES {
        let source = format!("it takes {size} bytes, and a session in a store may take {MOST_BYTES}");
        return Err(Error::new(ErrorKind::SessionTooLarge).with_source(source));
    }
    let bytes = to_bytes(inner, store, &id.key(), session)?;
    let record = SessionRecord::new(bytes, 0, from_unix_seconds(session.ends_at()));
    match within_time(|| store.sessions.create(id.key(), record)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::Internal).with_reason("the session store says that a new id is taken")),
        Err(error) => Err(Error::new(ErrorKind::StoreFailed).with_retry_after(RETRY_AFTER).with_source(error)),
    }
}

/// Finds the session of a cookie that has opened, and has it live on because it is used.
pub(crate) async fn load(inner: Arc<Inner>, id: StoredId, is_outdated: bool) -> Presented {
    let ignored = Presented::Refused { delete: None, stored: Some(id) };
    let Some(store) = &inner.store else { return ignored };
    // Whoever signs in while the store is asked has another cookie by the time of the answer.
    let sign_ins = inner.registry.sign_ins();
    let over = Presented::Refused { delete: Some(Deletion::begin(&inner, true)), stored: Some(id) };
    let loaded = within_time(|| store.sessions.load(id.key())).await;
    // Whoever ended it could not reach the store, or came in between. The cookies have been seen to.
    let is_left = || inner.registry.has_ended(&id.session_id());
    let record = match loaded {
        Ok(_) if is_left() => return ignored,
        Ok(Some(record)) => record,
        Ok(None) => return over,
        Err(error) => {
            store.warn(&inner, "load", &error);
            return Presented::Unavailable(id);
        }
    };
    // Another version's, or not the record that was asked for: nothing says that the session is over.
    let Some(found) = Loaded::read(&inner, store, id, &record) else { return ignored };
    let ends_at = found.ends_at();
    let now = unix_seconds(inner.clock.now());
    let latest = latest_end(&inner, &found.session, now);
    if ends_at <= now || latest <= now {
        return over;
    }
    let renewed = renew(&inner, store, id.key(), &found, latest).await;
    let ends_at = match renewed {
        _ if is_left() => return ignored,
        Ok(Some(ends_at)) => ends_at,
        Ok(None) => return over,
        Err(error) => {
            store.warn(&inner, "renewal", &error);
            ends_at.min(latest)
        }
    };
    let identity = Identity::new(found.session.ending_at(ends_at), ends_at, &inner.registry, Some(id.key()));
    Presented::Session(Current { identity, is_renewal_due: is_outdated, stored: Some(id), sign_ins })
}

/// Moves the end to `latest` where that is due, and gives the end that counts. `None` where the session is gone.
async fn renew(
    inner: &Inner,
    store: &Store,
    key: SessionKey,
    found: &Loaded<'_>,
    latest: u64,
) -> Result<Option<u64>, StoreError> {
    let (session, ends_at) = (&found.session, found.ends_at());
    // By the times it was written with, whatever this node's clock says now.
    let are_settings_stricter = latest_end(inner, session, session.renewed_at()) < session.ends_at();
    if found.is_outdated || are_settings_stricter {
        let end = if are_settings_stricter { latest } else { latest.max(ends_at) };
        let now = unix_seconds(inner.clock.now()).max(session.renewed_at());
        let bytes = to_bytes(inner, store, &key, &session.renewed(now, end)).ok();
        let record = bytes.and_then(|bytes| found.record.successor(bytes, from_unix_seconds(end)));
        let Some(record) = record else { return Ok(Some(ends_at.min(latest))) };
        if !within_time(|| store.sessions.update(key, record)).await? {
            // Somebody else was first, and has seen to it.
            return Ok(Some(ends_at.min(latest)));
        }
    } else {
        // The last renewal of all may gain less.
        let step = if latest == latest_end(inner, session, u64::MAX) { 1 } else { inner.lifetimes.renewal_step() };
        if latest < ends_at.saturating_add(step) {
            return Ok(Some(ends_at.min(latest)));
        }
        if !within_time(|| store.sessions.touch(key, from_unix_seconds(latest))).await? {
            return Ok(None);
        }
    }
    inner.registry.renewed(session.id(), latest);
    telemetry::session_renewed();
    Ok(Some(latest))
}

/// Notes in the store when the provider last stood by a session. Where that fails it is asked again too early, and no more.
pub(crate) async fn set_checked(inner: &Inner, id: StoredId, at: u64) {
    let Some(store) = &inner.store else { return };
    let noted = async {
        let Some(record) = within_time(|| store.sessions.load(id.key())).await? else { return Ok(true) };
        let Some(mut found) = Loaded::read(inner, store, id, &record) else { return Ok(true) };
        found.session.set_checked(at);
        let bytes = to_bytes(inner, store, &id.key(), &found.session).ok();
        // Another request may have moved the end since the record was loaded, as far as this, and an update can move it back.
        let latest = latest_end(inner, &found.session, unix_seconds(inner.clock.now()));
        let end = from_unix_seconds(latest.max(found.ends_at()));
        match bytes.and_then(|bytes| record.successor(bytes, end)) {
            Some(next) => within_time(|| store.sessions.update(id.key(), next)).await,
            None => Ok(true),
        }
    };
    if let Err(error) = noted.await {
        store.warn(inner, "note of a check", &error);
    }
}

/// Has the store forget a session. Nothing more can be done where it fails than to say so.
pub(crate) async fn delete(inner: Arc<Inner>, id: StoredId) {
    let Some(store) = &inner.store else { return };
    if let Err(error) = within_time(|| store.sessions.delete(id.key())).await {
        let source = std::error::Error::source(&error);
        tracing::error!(
            session = %LogId(&id.session_id()), %error, source,
            "a session that is over is still in the session store; until its end, a copy of its cookie opens it elsewhere"
        );
    }
}

/// The same, in a task of its own.
pub(crate) fn delete_soon(inner: &Arc<Inner>, id: StoredId) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(delete(Arc::clone(inner), id));
    }
}

/// Seconds after which a session that could not be told is worth another try.
pub(crate) const RETRY_AFTER: u32 = 5;

fn to_bytes(inner: &Inner, store: &Store, key: &SessionKey, session: &Session) -> Result<Vec<u8>, Error> {
    if store.sessions.is_private() {
        return Ok(session.encoded().to_vec());
    }
    let sealed = inner.seal.seal_bytes(Purpose::Record, &key.to_hex(), 1, session.encoded());
    sealed.map_err(|_| ErrorKind::Internal.into())
}

/// The session in a record, with the times it was written with.
struct Loaded<'a> {
    record: &'a SessionRecord,
    session: Session,
    /// Sealed under a key that is not the newest.
    is_outdated: bool,
}

impl<'a> Loaded<'a> {
    fn read(inner: &Inner, store: &Store, id: StoredId, record: &'a SessionRecord) -> Option<Self> {
        let (bytes, is_outdated) = if store.sessions.is_private() {
            (record.bytes().to_vec(), false)
        } else {
            let opened = inner.seal.open_bytes(Purpose::Record, &id.key().to_hex(), 1, record.bytes().to_vec());
            let opened = opened.inspect_err(|error| {
                if *error == SealError::Forged {
                    tracing::error!("a record of the session store was changed, or is another session's");
                }
            });
            opened.ok()?
        };
        let session = Session::decode(bytes)?;
        let is_it = session.id() == &id.session_id() && inner.providers.of_issuer(session.issuer()).is_some();
        is_it.then_some(Self { record, session, is_outdated })
    }

    /// As late as the store has been told, and no later than the session may last.
    fn ends_at(&self) -> u64 {
        unix_seconds(self.record.expires_at()).min(self.session.absolute_end())
    }
}

/// The clock is only started for what is not there at once. A store that panics has not answered: it must take nobody else
/// along, such as all who share a `Buffer` with this request.
async fn within_time<'a, T>(step: impl FnOnce() -> BoxFuture<'a, Result<T, StoreError>>) -> Result<T, StoreError> {
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
    if Handle::try_current().is_err() {
        return answer.await;
    }
    let late = |_| Err(StoreError::new(StoreErrorKind::Unreachable).with_source("it took more than five seconds"));
    timeout(STORE_TIME, answer).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shorter_longer_or_of_another_layout_is_an_id() {
        let whole = [&[LAYOUT][..], &[7; 32]].concat();
        assert_eq!(StoredId::decode(&whole).unwrap().session_id(), [7; 16]);
        for length in 0..whole.len() {
            assert!(StoredId::decode(&whole[..length]).is_none(), "length {length}");
        }
        assert!(StoredId::decode(&[&whole[..], &[0]].concat()).is_none());
        assert!(StoredId::decode(&[&[1], &whole[1..]].concat()).is_none());
    }
}
