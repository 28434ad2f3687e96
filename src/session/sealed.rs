//! Sessions that live in their cookies, sealed.

use http::HeaderValue;

use super::Session;
use super::chunks::{Layout, join, split};
use super::entrance::Deletion;
use super::presented::{Current, Presented};
use super::stored::StoredId;
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::cookies::{Found, MOST_CHUNKS, SessionCookies};
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::seal::{Purpose, Seal, SealError};

/// What the session cookies hold.
pub(crate) enum Opened {
    /// A session, or none.
    Here(Presented),
    /// The id of one that is in the store.
    Stored {
        id: StoredId,
        /// Sealed under a key that is not the newest.
        is_outdated: bool,
    },
}

/// Opens the session cookies that were found.
pub(crate) fn open(inner: &Inner, cookies: &SessionCookies<'_>) -> Opened {
    if cookies.first == Found::Nothing {
        return Opened::Here(Presented::Nothing);
    }
    let name = inner.cookies.session_name();
    let refused = |delete: bool| {
        let delete = delete.then(|| Deletion::begin(inner, false));
        Opened::Here(Presented::Refused { delete, stored: None })
    };
    let Some((sealed, count)) = join(name, cookies) else { return refused(false) };
    let (bytes, is_outdated) = match inner.seal.open_dated(Purpose::Session, name, count, &sealed) {
        Ok(opened) => opened,
        Err(error) => return refused(error == SealError::Forged),
    };
    if inner.store.is_some()
        && let Some(id) = StoredId::decode(&bytes)
    {
        return Opened::Stored { id, is_outdated };
    }
    let Some(session) = Session::decode(bytes) else { return refused(false) };
    if inner.providers.of_issuer(session.issuer()).is_none() {
        return refused(false);
    }
    let now = unix_seconds(inner.clock.now());
    let allowed = latest_end(inner, &session, session.renewed_at());
    let ends_at = session.ends_at().min(allowed);
    if ends_at <= now {
        return Opened::Here(Presented::Refused { delete: Some(Deletion::begin(inner, true)), stored: None });
    }
    // Where the settings allow more than is sealed, they have been loosened since.
    let is_renewal_due = inner.lifetimes.is_renewal_due(now, session.renewed_at()) || is_outdated || ends_at < allowed;
    let identity = Identity::new(session, ends_at, &inner.registry, None);
    let sign_ins = inner.registry.sign_ins();
    Opened::Here(Presented::Session(Current { identity, is_renewal_due, stored: None, tokens: None, sign_ins }))
}

/// The session as it is once it has been used now. A clock that is behind takes no time away from it.
pub(crate) fn renew(inner: &Inner, session: &Session) -> Session {
    let now = unix_seconds(inner.clock.now()).max(session.renewed_at());
    session.renewed(now, latest_end(inner, session, now))
}

/// The end of a session that was used at `used_at`, by its own absolute end and the settings.
pub(super) fn latest_end(inner: &Inner, session: &Session, used_at: u64) -> u64 {
    session.absolute_end().min(inner.lifetimes.latest_end(session.authenticated_at(), used_at))
}

/// The `Set-Cookie` headers that carry a new session, which must keep to the limit of the settings.
pub(crate) fn new_cookies(inner: &Inner, session: &Session) -> Result<Vec<HeaderValue>, Error> {
    let Layout { count, size } = layout(inner, session);
    let limit = inner.session_cookie_limit;
    if size > limit {
        let source = format!("it takes {size} bytes in {count} cookies, and session_cookie_limit is {limit}");
        return Err(Error::new(ErrorKind::SessionTooLarge).with_source(source));
    }
    set_cookies(inner, session)
}

/// Those that carry `session` until its end. One that there is already keeps its size, whatever another node's limit was.
pub(crate) fn set_cookies(inner: &Inner, session: &Session) -> Result<Vec<HeaderValue>, Error> {
    let name = inner.cookies.session_name();
    let count = layout(inner, session).count;
    if count > MOST_CHUNKS {
        return Err(ErrorKind::SessionTooLarge.into());
    }
    let sealed = inner.seal.seal_for(Purpose::Session, name, count, session.encoded());
    let values = split(name, sealed.map_err(|_| ErrorKind::Internal)?, count);
    let max_age = session.ends_at().saturating_sub(unix_seconds(inner.clock.now()));
    let set = |(number, value): (usize, &String)| inner.cookies.set(&inner.cookies.chunk_name(number), value, max_age);
    values.iter().enumerate().map(set).collect::<Option<_>>().ok_or_else(|| ErrorKind::Internal.into())
}

fn layout(inner: &Inner, session: &Session) -> Layout {
    Layout::new(inner.cookies.session_name(), Seal::sealed_length(session.encoded().len()))
}
