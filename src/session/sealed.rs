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
    Session(Session),
    /// One that does not count. It is deleted only where it is proven to be ours and over, or forged under a key of ours.
    Refused { delete: bool },
}

/// Browsers drop a cookie whose name and value take more (RFC 6265bis section 5).
const COOKIE_LIMIT: usize = 4096;

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
    let bytes = match inner.seal.open(Purpose::Session, name, value) {
        Ok(bytes) => bytes,
        Err(error) => return Presented::Refused { delete: error == SealError::Forged },
    };
    match Session::decode(bytes) {
        Some(session) if session.issuer() != inner.provider.issuer() => Presented::Refused { delete: false },
        Some(session) if session.ends_at() <= unix_seconds(inner.clock.now()) => Presented::Refused { delete: true },
        Some(session) => Presented::Session(session),
        None => Presented::Refused { delete: false },
    }
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
