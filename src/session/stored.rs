//! Sessions that live in a store: their cookie holds an id, sealed.

use std::sync::Arc;

use aws_lc_rs::digest;
use http::HeaderValue;
use tokio::runtime::Handle;

use super::bounded::Store;
use super::ending;
use super::entrance::Deletion;
use super::presented::{Current, Presented, Untold};
use super::record::{self, Loaded};
use super::refresh::Left;
use super::registry::SessionEnd;
use super::sealed::latest_end;
use super::store::{SessionKey, SessionRecord, StoreError};
use super::tokens::KeptTokens;
use super::{LogId, Session, SessionId};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::seal::{Purpose, random};
use crate::telemetry;
use crate::wire::Reader;

/// What the cookie of a stored session holds: 256 random bits, new at each sign-in. The store knows it by their hash, and the
/// cookie is sealed besides: who reads the store can make none.
#[derive(Clone, Copy)]
pub(crate) struct StoredId {
    id: [u8; 32],
    key: SessionKey,
}

/// Of the bytes inside the cookie's seal, where those of a whole session begin with 1.
const LAYOUT: u8 = 2;

/// What stands before an id that is hashed; with it, it fits into one block of SHA-256.
const HASHED_AS: &[u8; 23] = b"tower-signin session id";

/// What a session may take in the store, so that many of them can be told by number.
const MOST_BYTES: usize = 64 * 1024;

impl StoredId {
    pub(crate) fn draw() -> Result<Self, ErrorKind> {
        let mut id = [0; 32];
        random(&mut id).map_err(|_| ErrorKind::Internal)?;
        Ok(Self::new(id))
    }

    pub(crate) fn new(id: [u8; 32]) -> Self {
        let mut named = [0; HASHED_AS.len() + 32];
        let (name, rest) = named.split_at_mut(HASHED_AS.len());
        name.copy_from_slice(HASHED_AS);
        rest.copy_from_slice(&id);
        let hash = digest::digest(&digest::SHA256, &named);
        Self { id, key: SessionKey::new(hash.as_ref().first_chunk().copied().unwrap_or_default()) }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.fixed()? != [LAYOUT] {
            return None;
        }
        let id = reader.fixed()?;
        reader.end()?;
        Some(Self::new(id))
    }

    /// What the store knows it by.
    pub(crate) fn key(&self) -> SessionKey {
        self.key
    }

    /// What the cookie holds.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.id
    }

    /// What this process knows the session by, and its record holds.
    pub(crate) fn session_id(&self) -> SessionId {
        self.id.first_chunk().copied().unwrap_or_default()
    }

    /// The cookie that carries it. How long the session lasts unused is the store's to say.
    pub(crate) fn set_cookie(&self, inner: &Inner, session: &Session) -> Result<HeaderValue, Error> {
        let name = inner.cookies.session_name();
        let sealed = inner.seal.seal(Purpose::Session, name, &[&[LAYOUT], &self.id[..]].concat());
        let sealed = sealed.map_err(|_| ErrorKind::Internal)?;
        let max_age = session.absolute_end().saturating_sub(unix_seconds(inner.clock.now()));
        inner.cookies.set(name, &sealed, max_age).ok_or_else(|| ErrorKind::Internal.into())
    }
}

/// Puts a new session into the store.
pub(crate) async fn create(
    inner: &Arc<Inner>,
    store: &Store,
    id: StoredId,
    session: &Session,
    tokens: Option<&KeptTokens>,
) -> Result<(), Error> {
    let size = record::size(session, tokens);
    if size > MOST_BYTES {
        let source = format!("it takes {size} bytes with its tokens, and a session in a store may take {MOST_BYTES}");
        return Err(Error::new(ErrorKind::SessionTooLarge).with_source(source));
    }
    let bytes = record::to_bytes(inner, store, &id.key(), session, tokens)?;
    let record = SessionRecord::new(bytes, 0, from_unix_seconds(session.ends_at()));
    let created = async {
        ending::join(inner, store, id.key(), session).await?;
        store.create(id.key(), record).await
    };
    match created.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(ErrorKind::Internal).with_reason("the session store says that a new id is taken")),
        Err(error) => {
            // It may be there all the same, though nobody has its cookie.
            let nobody = Identity::new(session.clone(), session.ends_at(), &inner.registry, Some(id.key()));
            delete_soon(inner, id, Some(nobody));
            Err(Error::new(ErrorKind::StoreFailed).with_retry_after(RETRY_AFTER).with_source(error))
        }
    }
}

/// Finds the session of a cookie that has opened, and has it live on because it is used.
pub(crate) async fn load(inner: Arc<Inner>, id: StoredId, is_outdated: bool) -> Presented {
    let ignored = Presented::Refused { delete: None, stored: Some(id) };
    let Some(store) = &inner.store else { return ignored };
    // Whoever signs in while the store is asked has another cookie by the time of the answer.
    let sign_ins = inner.registry.sign_ins();
    let over = Presented::Refused { delete: Some(Deletion::begin(&inner, true)), stored: Some(id) };
    let loaded = store.load(id.key()).await;
    let record = match loaded {
        Ok(record) => record,
        Err(error) => {
            store.warn(&inner, "load", &error);
            return Presented::Unavailable(Untold::Stored(id));
        }
    };
    if let Some(ended) = ended_here(&inner, id, sign_ins) {
        return ended;
    }
    let Some(record) = record else { return over };
    // Another version's, or not the record that was asked for: nothing says that the session is over.
    let found = Loaded::read(&inner, store, id.key(), &record);
    let Some(found) = found.filter(|found| found.session.id() == &id.session_id()) else { return ignored };
    let ends_at = found.ends_at();
    let now = unix_seconds(inner.clock.now());
    let latest = latest_end(&inner, &found.session, now);
    if ends_at <= now || latest <= now {
        return over;
    }
    let renewed = renew(&inner, store, id.key(), &found, latest).await;
    if let Some(ended) = ended_here(&inner, id, sign_ins) {
        return ended;
    }
    let ends_at = match renewed {
        Ok(Some(ends_at)) => ends_at,
        Ok(None) => return over,
        Err(error) => {
            store.warn(&inner, "renewal", &error);
            ends_at.min(latest)
        }
    };
    let identity = Identity::new(found.session.ending_at(ends_at), ends_at, &inner.registry, Some(id.key()));
    let tokens = found.tokens;
    Presented::Session(Current { identity, is_renewal_due: is_outdated, stored: Some(id), tokens, sign_ins })
}

/// What is known here to be over, though it may still be in the store: whoever ended it could not reach that, or came in between.
/// Who signed out, or in anew, has had the cookies seen to; of another end the browser may not know yet.
fn ended_here(inner: &Inner, id: StoredId, sign_ins: u64) -> Option<Presented> {
    let delete = match inner.registry.end_of(&id.session_id())? {
        SessionEnd::SignedOut | SessionEnd::Replaced => None,
        SessionEnd::Revoked | SessionEnd::Elsewhere | SessionEnd::Expired => {
            Some(Deletion::of_ended(id.session_id(), sign_ins))
        }
    };
    Some(Presented::Refused { delete, stored: Some(id) })
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
        let bytes = record::to_bytes(inner, store, &key, &session.renewed(now, end), found.tokens.as_deref()).ok();
        let record = bytes.and_then(|bytes| found.record.successor(bytes, from_unix_seconds(end)));
        let Some(record) = record else { return Ok(Some(ends_at.min(latest))) };
        if !store.update(key, record).await? {
            // Somebody else was first, and has seen to it.
            return Ok(Some(ends_at.min(latest)));
        }
    } else {
        // The last renewal of all may gain less.
        let step = if latest == latest_end(inner, session, u64::MAX) { 1 } else { inner.lifetimes.renewal_step() };
        if latest < ends_at.saturating_add(step) {
            return Ok(Some(ends_at.min(latest)));
        }
        if !store.touch(key, from_unix_seconds(latest)).await? {
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
        let Some(record) = store.load(id.key()).await? else { return Ok(true) };
        let Some(mut found) = Loaded::read(inner, store, id.key(), &record) else { return Ok(true) };
        found.session.set_checked(at);
        match amended(inner, store, id, &found) {
            Some(next) => store.update(id.key(), next).await,
            None => Ok(true),
        }
    };
    if let Err(error) = noted.await {
        store.warn(inner, "note of a check", &error);
    }
}

/// The tokens that are kept with a session, if any. `None` where the session is not there.
pub(crate) async fn look_for_tokens(
    inner: &Inner,
    store: &Store,
    id: StoredId,
) -> Result<Option<Option<Arc<KeptTokens>>>, StoreError> {
    let Some(record) = store.load(id.key()).await? else { return Ok(None) };
    Ok(Some(Loaded::read(inner, store, id.key(), &record).and_then(|found| found.tokens)))
}

/// Keeps tokens with a session in the place of older ones. `None` where the record was changed in between.
pub(crate) async fn leave_tokens(
    inner: &Inner,
    store: &Store,
    id: StoredId,
    fresh: &Arc<KeptTokens>,
) -> Result<Option<Left>, StoreError> {
    let Some(record) = store.load(id.key()).await? else { return Ok(Some(Left::Gone)) };
    let Some(mut found) = Loaded::read(inner, store, id.key(), &record) else { return Ok(Some(Left::Here)) };
    if let Some(there) = found.tokens.take_if(|there| there.generation >= fresh.generation) {
        return Ok(Some(Left::Later(there)));
    }
    found.tokens = Some(Arc::clone(fresh));
    let Some(next) = amended(inner, store, id, &found) else { return Ok(Some(Left::Here)) };
    Ok(store.update(id.key(), next).await?.then_some(Left::Here))
}

/// What is to be written in the place of a record. Another request may have moved the end since that was loaded, as far as now,
/// and an update can move it back.
fn amended(inner: &Inner, store: &Store, id: StoredId, found: &Loaded<'_>) -> Option<SessionRecord> {
    let bytes = record::to_bytes(inner, store, &id.key(), &found.session, found.tokens.as_deref()).ok()?;
    let latest = latest_end(inner, &found.session, unix_seconds(inner.clock.now()));
    found.record.successor(bytes, from_unix_seconds(latest.max(found.ends_at())))
}

/// Has the store forget a session, and whose it was where that is known. Nothing more can be done where it fails than to say so.
pub(crate) async fn delete(inner: Arc<Inner>, id: StoredId, whose: Option<Identity>) {
    let Some(store) = &inner.store else { return };
    if let Err(error) = store.delete(id.key()).await {
        let source = std::error::Error::source(&error);
        tracing::error!(
            session = %LogId(&id.session_id()), %error, source,
            "a session that is over is still in the session store; until its end, a copy of its cookie opens it elsewhere"
        );
        return;
    }
    if let Some(identity) = whose
        && let Err(error) = ending::leave(&inner, store, id.key(), identity.session()).await
    {
        store.warn(&inner, "leaving its groups", &error);
    }
}

/// The same, in a task of its own.
pub(crate) fn delete_soon(inner: &Arc<Inner>, id: StoredId, whose: Option<Identity>) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(delete(Arc::clone(inner), id, whose));
    }
}

/// Seconds after which a session that could not be told is worth another try.
pub(crate) const RETRY_AFTER: u32 = 5;

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
