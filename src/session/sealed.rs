//! Sessions that live in their cookie, sealed.

use http::{HeaderMap, HeaderValue};

use super::Session;
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::cookies::{self, Found};
use crate::error::{Error, ErrorKind};
use crate::seal::{Purpose, SealError};

/// What the request's session cookie says.
pub(crate) enum Presented {
    /// There is none.
    Nothing,
    /// A session that holds.
    Session(Current),
    /// One that does not count. It is deleted only where it is proven to be ours and over, or forged under a key of ours.
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

/// Browsers drop a cookie whose name and value take more (RFC 6265bis section 5).
pub(super) const COOKIE_LIMIT: usize = 4096;

/// Opens the session that the request's cookies hold.
pub(crate) fn present(inner: &Inner, headers: &HeaderMap) -> Presented {
    open(inner, &cookies::find(headers, inner.cookies.session_name()))
}

/// Opens the session cookie that was found.
pub(crate) fn open(inner: &Inner, found: &Found<'_>) -> Presented {
    let name = inner.cookies.session_name();
    let value = match found {
        Found::Nothing => return Presented::Nothing,
        Found::Several => return Presented::Refused { delete: false },
        Found::One(value) => value,
    };
    let (bytes, is_outdated) = match inner.seal.open_dated(Purpose::Session, name, value) {
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
        return Presented::Refused { delete: true };
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

/// The `Set-Cookie` header that carries `session` until its end.
pub(crate) fn set_cookie(inner: &Inner, session: &Session) -> Result<HeaderValue, Error> {
    let name = inner.cookies.session_name();
    let sealed = inner.seal.seal(Purpose::Session, name, session.encoded()).map_err(|_| ErrorKind::Internal)?;
    if name.len() + sealed.len() > COOKIE_LIMIT {
        return Err(ErrorKind::SessionTooLarge.into());
    }
    let max_age = session.ends_at().saturating_sub(unix_seconds(inner.clock.now()));
    inner.cookies.set(name, &sealed, max_age).ok_or_else(|| ErrorKind::Internal.into())
}
