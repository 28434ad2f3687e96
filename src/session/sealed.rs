//! Sessions that live in their cookies, sealed.

use http::{HeaderMap, HeaderValue};

use super::Session;
use super::chunks::{Layout, join, split};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::cookies::{Found, MOST_CHUNKS, SessionCookies};
use crate::error::{Error, ErrorKind};
use crate::seal::{Purpose, Seal, SealError};

/// What the request's session cookies say.
pub(crate) enum Presented {
    /// There is none.
    Nothing,
    /// A session that holds.
    Session(Current),
    /// One of ours whose time is up. It is deleted.
    Over,
    /// One that does not count. It is deleted only where it is proven to be forged under a key of ours.
    Refused { delete: bool },
}

/// A session that holds, as its cookie brought it.
pub(crate) struct Current {
    pub(crate) session: Session,
    /// Its own end, or an earlier one that the settings ask for by now.
    pub(crate) ends_at: u64,
    /// Whether a response should bring its cookie anew: it was used, or a newer key is there.
    pub(crate) is_renewal_due: bool,
}

/// Opens the session that the request's cookies hold.
pub(crate) fn present(inner: &Inner, headers: &HeaderMap) -> Presented {
    open(inner, &inner.cookies.scan(headers).session)
}

/// Opens the session cookies that were found.
pub(crate) fn open(inner: &Inner, cookies: &SessionCookies<'_>) -> Presented {
    if cookies.first == Found::Nothing {
        return Presented::Nothing;
    }
    let name = inner.cookies.session_name();
    let Some((sealed, count)) = join(name, cookies) else { return Presented::Refused { delete: false } };
    let (bytes, is_outdated) = match inner.seal.open_dated(Purpose::Session, name, count, &sealed) {
        Ok(opened) => opened,
        Err(error) => return Presented::Refused { delete: error == SealError::Forged },
    };
    let Some(session) = Session::decode(bytes) else { return Presented::Refused { delete: false } };
    if session.issuer() != inner.provider.issuer() {
        return Presented::Refused { delete: false };
    }
    let now = unix_seconds(inner.clock.now());
    let allowed = latest_end(inner, &session, session.renewed_at());
    let ends_at = session.ends_at().min(allowed);
    if ends_at <= now {
        return Presented::Over;
    }
    // Where the settings allow more than is sealed, they have been loosened since.
    let is_renewal_due = inner.lifetimes.is_renewal_due(now, session.renewed_at()) || is_outdated || ends_at < allowed;
    Presented::Session(Current { session, ends_at, is_renewal_due })
}

/// The session as it is once it has been used now. A clock that is behind takes no time away from it.
pub(crate) fn renew(inner: &Inner, session: &Session) -> Session {
    let now = unix_seconds(inner.clock.now()).max(session.renewed_at());
    session.renewed(now, latest_end(inner, session, now))
}

/// The end of a session that was used at `used_at`, by its own absolute end and the settings.
fn latest_end(inner: &Inner, session: &Session, used_at: u64) -> u64 {
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
