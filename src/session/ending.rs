//! Sessions found by whose they are, and ended from elsewhere.

use std::sync::Arc;
use std::time::SystemTime;

use super::bounded::Store;
use super::record::Loaded;
use super::refresh::Refreshes;
use super::registry::SessionEnd;
use super::revocations::Revoked;
use super::store::{SessionGroup, SessionKey, SessionRecord, StoreError, StoreErrorKind};
use super::stored::RETRY_AFTER;
use super::{ProviderSession, Session};
use crate::clock::from_unix_seconds;
use crate::config::{Inner, SignIn};
use crate::error::{Error, ErrorKind};
use crate::flow::attempt::hash;
use crate::identity::Identity;

/// Whose sessions.
pub(crate) enum Whom<'a> {
    Person {
        issuer: &'a str,
        subject: &'a str,
    },
    /// All that were begun within it.
    ProviderSession(&'a ProviderSession),
}

impl SignIn {
    /// Ends every session that a person has by now, at every node: sign out everywhere, or a person whom the application has
    /// shut out. Who signs in afterwards is signed in.
    ///
    /// Needs a [`session_store`](crate::Builder::session_store), whose sessions end at once, or a
    /// [`revocation_list`](crate::Builder::revocation_list), by which they end within its
    /// [bound](crate::Builder::revocation_bound). With a store alone, sessions that still live in their cookies since before it
    /// came are not found; a list beside it ends those, too. Tokens that are kept with a stored session are revoked at the
    /// provider.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SessionUnavailable`] where the store did not answer: call it again, since some sessions may be left.
    /// [`ErrorKind::Unsupported`] where there is neither a store nor a list.
    ///
    /// ```
    /// use tower_signin::{Error, Identity, SignIn};
    ///
    /// async fn sign_out_everywhere(sign_in: &SignIn, who: &Identity) -> Result<(), Error> {
    ///     sign_in.end_sessions_of(who.issuer(), who.subject()).await
    /// }
    /// ```
    pub async fn end_sessions_of(&self, issuer: &str, subject: &str) -> Result<(), Error> {
        if self.0.any_store().is_none() {
            return Err(nobody_can_end());
        }
        tracing::info!(issuer, subject, "the application ends the sessions of a person");
        end_sessions(&self.0, &Whom::Person { issuer, subject }, SessionEnd::Elsewhere).await.map_err(unavailable)
    }

    /// Ends this one session, at every node: that of a device in a [list](Self::list_sessions_of), say, or the one that a
    /// request came with, whose cookies then go with its next one.
    ///
    /// # Errors
    ///
    /// The same as of [`end_sessions_of`](Self::end_sessions_of), and [`ErrorKind::Unsupported`] also for a session that lives in its
    /// cookie where there is a store alone: nobody could end it.
    pub async fn end_session(&self, identity: &Identity) -> Result<(), Error> {
        let (inner, session) = (&self.0, identity.session());
        let stored = inner.store.as_ref().zip(identity.key());
        if stored.is_none() && inner.revocations.is_none() {
            return Err(nobody_can_end());
        }
        tracing::info!(session = %session.log_id(), "the application ends a session");
        inner.registry.end(*session.id(), SessionEnd::Elsewhere);
        if let Some((store, key)) = stored {
            end_stored(inner, store, *key, SessionEnd::Elsewhere, |_| true).await.map_err(unavailable)?;
            leave(inner, store, *key, session).await.map_err(unavailable)?;
        } else if let Some(list) = &inner.revocations {
            list.revoke(&Revoked::Session(session.id())).await.map_err(unavailable)?;
        }
        Ok(())
    }

    /// The sessions that a person has by now at all nodes, in any order: when each began and may end, and what the application's
    /// hook attached, such as the name of a device. [`end_session`](Self::end_session) ends one of them.
    ///
    /// Only what is in a [`session_store`](crate::Builder::session_store) can be listed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SessionUnavailable`] where the store did not answer. [`ErrorKind::Unsupported`] where there is none.
    ///
    /// ```
    /// use tower_signin::{Error, Identity, SignIn};
    ///
    /// async fn devices(sign_in: &SignIn, who: &Identity) -> Result<Vec<String>, Error> {
    ///     let sessions = sign_in.list_sessions_of(who.issuer(), who.subject()).await?;
    ///     Ok(sessions.iter().filter_map(Identity::data).collect())
    /// }
    /// ```
    pub async fn list_sessions_of(&self, issuer: &str, subject: &str) -> Result<Vec<Identity>, Error> {
        let inner = &self.0;
        let unsupported = || Error::new(ErrorKind::Unsupported).with_reason("sessions are listed from a session_store");
        let store = inner.store.as_ref().ok_or_else(unsupported)?;
        let mut listed = Vec::new();
        for key in (Whom::Person { issuer, subject }).members(inner, store).await.map_err(unavailable)? {
            let Some(record) = store.load(key).await.map_err(unavailable)? else { continue };
            let Some(found) = Loaded::read(inner, store, key, &record) else { continue };
            if found.session.issuer() == issuer && found.session.subject() == subject {
                let ends_at = found.ends_at();
                listed.push(Identity::new(found.session.ending_at(ends_at), ends_at, &inner.registry, Some(key)));
            }
        }
        Ok(listed)
    }
}

/// Ends all of them, here and at every node.
pub(crate) async fn end_sessions(inner: &Arc<Inner>, whom: &Whom<'_>, end: SessionEnd) -> Result<(), StoreError> {
    // Whatever becomes of it, those in the store end as well.
    let listed = match &inner.revocations {
        Some(list) => list.revoke(&whom.revoked()).await,
        None => Ok(()),
    };
    let Some(store) = &inner.store else { return listed };
    let mut ended = listed;
    for key in whom.members(inner, store).await? {
        let one = async {
            match end_stored(inner, store, key, end, |session| whom.is_of(session)).await? {
                Some(session) => leave(inner, store, key, &session).await,
                None => Ok(()),
            }
        };
        match one.await {
            Ok(()) => {}
            // One that can't be read, say. It keeps no other alive.
            Err(error) if error.kind() == StoreErrorKind::Failed => ended = Err(error),
            Err(error) => return Err(error),
        }
    }
    ended
}

/// Ends one session of the store, if it is the one that is meant. A member of a group that is not there may be about to be
/// created, so it stays a member.
async fn end_stored(
    inner: &Arc<Inner>,
    store: &Store,
    key: SessionKey,
    end: SessionEnd,
    is_meant: impl FnOnce(&Session) -> bool,
) -> Result<Option<Session>, StoreError> {
    let Some(record) = store.load(key).await? else { return Ok(None) };
    let Some(found) = Loaded::read(inner, store, key, &record).filter(|found| is_meant(&found.session)) else {
        return Ok(None);
    };
    inner.registry.end(*found.session.id(), end);
    store.delete(key).await?;
    if let Some(tokens) = found.tokens.filter(|_| end == SessionEnd::Elsewhere) {
        Refreshes::revoke(inner, found.session.issuer(), tokens, true);
    }
    Ok(Some(found.session))
}

/// Makes a session one that is found by whose it is. It comes before the session is there, so that none is missed.
pub(super) async fn join(inner: &Inner, store: &Store, key: SessionKey, session: &Session) -> Result<(), StoreError> {
    for whom in Whom::all_of(session) {
        store.join(whom.newest_group(inner), key, from_unix_seconds(session.absolute_end())).await?;
    }
    Ok(())
}

/// The opposite, for a session that is gone.
pub(super) async fn leave(inner: &Inner, store: &Store, key: SessionKey, session: &Session) -> Result<(), StoreError> {
    for whom in Whom::all_of(session) {
        for group in whom.groups(inner) {
            store.leave(group, key).await?;
        }
    }
    Ok(())
}

/// Notes that something has happened, until it can't happen again for another reason. `false` where it had happened before, at
/// any node.
pub(crate) async fn mark_once(inner: &Inner, what: &[&[u8]], until: SystemTime) -> Result<bool, StoreError> {
    let Some(store) = inner.any_store() else { return Ok(true) };
    store.create(key_of_mark(inner, what), SessionRecord::new([], 0, until)).await
}

/// Whether [`mark_once`] has noted it, at any node.
pub(crate) async fn is_marked(inner: &Inner, what: &[&[u8]]) -> Result<bool, StoreError> {
    let Some(store) = inner.any_store() else { return Ok(false) };
    Ok(store.load(key_of_mark(inner, what)).await?.is_some())
}

/// Another deployment may keep its marks in the same store.
fn key_of_mark(inner: &Inner, what: &[&[u8]]) -> SessionKey {
    SessionKey::new(hash(&[&[b"mark", inner.redirect.text.as_bytes()], what].concat()))
}

fn nobody_can_end() -> Error {
    Error::new(ErrorKind::Unsupported).with_reason("sessions are ended in a session_store, or by a revocation_list")
}

fn unavailable(error: StoreError) -> Error {
    Error::new(ErrorKind::SessionUnavailable).with_retry_after(RETRY_AFTER).with_source(error)
}

impl<'a> Whom<'a> {
    /// Everything that a session is found by.
    fn all_of(session: &'a Session) -> impl Iterator<Item = Self> {
        let person = Self::Person { issuer: session.issuer(), subject: session.subject() };
        std::iter::once(person).chain(session.provider_session().map(Self::ProviderSession))
    }

    fn revoked(&self) -> Revoked<'a> {
        match self {
            Self::Person { issuer, subject } => Revoked::Person { issuer, subject },
            Self::ProviderSession(id) => Revoked::ProviderSession(id),
        }
    }

    fn is_of(&self, session: &Session) -> bool {
        match self {
            Self::Person { issuer, subject } => session.issuer() == *issuer && session.subject() == *subject,
            Self::ProviderSession(id) => session.provider_session() == Some(*id),
        }
    }

    async fn members(&self, inner: &Inner, store: &Store) -> Result<Vec<SessionKey>, StoreError> {
        let mut members = Vec::new();
        for group in self.groups(inner) {
            members.extend(store.members(group).await?);
        }
        Ok(members)
    }

    /// Under each key of the ring: sessions stay where they joined.
    fn groups(&self, inner: &Inner) -> Vec<SessionGroup> {
        match self {
            Self::Person { issuer, subject } => {
                let parts: [&[u8]; 3] = [b"person", issuer.as_bytes(), subject.as_bytes()];
                inner.seal.names(parts).map(SessionGroup::new).collect()
            }
            Self::ProviderSession(id) => {
                let parts: [&[u8]; 2] = [b"provider session", *id];
                inner.seal.names(parts).map(SessionGroup::new).collect()
            }
        }
    }

    fn newest_group(&self, inner: &Inner) -> SessionGroup {
        self.groups(inner).first().copied().unwrap_or(SessionGroup::new([0; 32]))
    }
}
