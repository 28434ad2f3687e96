//! The provider's tokens, where the application asked to keep them, bound to the session they came with: beside it in the
//! store, or else sealed in a cookie of their own.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use secrecy::zeroize::Zeroizing;

use super::SessionId;
use super::presented::Current;
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::cookies::{COOKIE_LIMIT, Found};
use crate::error::{Error, ErrorKind};
use crate::oauth::token::Tokens;
use crate::seal::Purpose;
use crate::secret::secret_text;
use crate::wire::{Reader, Writer};

/// A pair of tokens of one session. Each refresh makes the next generation.
pub(crate) struct KeptTokens {
    pub(crate) session: SessionId,
    pub(crate) generation: u64,
    received_at: u64,
    tokens: Tokens,
}

/// What the request brings of the tokens that belong to its session.
pub(crate) enum Presented {
    /// The session was made without any to keep.
    None,
    Tokens(Arc<KeptTokens>),
    /// The session was made with some, and they are not there. Without them nothing tells whether the provider still stands
    /// by it.
    Missing,
}

/// Refreshed this many seconds before their end, and up to half as many more, so that not all sessions of one moment come
/// back at one moment. Tokens that live for minutes only: in the last quarter of their life.
const MARGIN: u64 = 60;

/// Of the bytes inside the seal.
const LAYOUT: u8 = 1;

pub(crate) fn present(inner: &Inner, headers: &HeaderMap, current: &Current) -> Presented {
    if !inner.keep_tokens || !current.session().has_tokens() {
        return Presented::None;
    }
    held(inner, headers, current).map_or(Presented::Missing, Presented::Tokens)
}

/// The tokens of this session: in the store where it is there, else in their cookie.
pub(crate) fn held(inner: &Inner, headers: &HeaderMap, current: &Current) -> Option<Arc<KeptTokens>> {
    match current.stored {
        Some(_) => current.tokens.clone(),
        None => carried(inner, headers, current.session().id()).map(Arc::new),
    }
}

fn carried(inner: &Inner, headers: &HeaderMap, session: &SessionId) -> Option<KeptTokens> {
    let name = inner.cookies.tokens_name();
    let Found::One(sealed) = inner.cookies.find(headers, name) else { return None };
    let bytes = inner.seal.open(Purpose::Tokens, name, sealed).ok()?;
    KeptTokens::decode(&bytes).filter(|kept| &kept.session == session)
}

impl KeptTokens {
    /// Those that came with the session.
    pub(crate) fn first(session: SessionId, tokens: Tokens, now: u64) -> Self {
        Self { session, generation: 1, received_at: now, tokens }
    }

    /// Those that a refresh brought. A server may leave the refresh token and the scope as they are (RFC 6749 section 6), and
    /// send no new ID token (OpenID Connect Core section 12.2).
    pub(crate) fn next(&self, mut tokens: Tokens, now: u64) -> Self {
        if let (None, Some(refresh_token)) = (tokens.refresh_token(), self.tokens.refresh_token()) {
            let access_expires_at = tokens.access_expires_at();
            tokens = tokens
                .with_refresh_token(refresh_token)
                .with_expiries(access_expires_at, self.tokens.refresh_expires_at());
        }
        if let (None, Some(id_token)) = (tokens.id_token(), self.tokens.id_token()) {
            tokens = tokens.with_id_token(id_token);
        }
        if let (None, Some(scope)) = (tokens.scope(), self.tokens.scope()) {
            tokens = tokens.with_scope(scope);
        }
        Self { session: self.session, generation: self.generation.saturating_add(1), received_at: now, tokens }
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Whether it is time for new ones.
    pub(crate) fn is_refresh_due(&self, now: u64) -> bool {
        let Some(ends_at) = self.ends_at().filter(|_| self.tokens.refresh_token().is_some()) else { return false };
        let jitter = u64::from(self.session.first().copied().unwrap_or_default()) % (MARGIN / 2);
        let margin = (MARGIN + jitter).min(ends_at.saturating_sub(self.received_at) / 4);
        now.saturating_add(margin) >= ends_at
    }

    pub(crate) fn have_ended(&self, now: u64) -> bool {
        self.ends_at().is_some_and(|ends_at| ends_at <= now)
    }

    /// An end that had passed when they came is ignored, as it is for the session: a clock is wrong, and every request would
    /// ask for new ones.
    fn ends_at(&self) -> Option<u64> {
        self.tokens.access_expires_at().map(unix_seconds).filter(|ends_at| *ends_at > self.received_at)
    }

    /// The `Set-Cookie` header that keeps them until the session's end.
    pub(crate) fn set_cookie(&self, inner: &Inner, session_ends_at: u64) -> Result<HeaderValue, Error> {
        let name = inner.cookies.tokens_name();
        let seal =
            |id_token| inner.seal.seal(Purpose::Tokens, name, &self.encode(id_token)).map_err(|_| ErrorKind::Internal);
        let id_token = self.tokens.id_token();
        let mut sealed = seal(id_token)?;
        if id_token.is_some() && name.len() + sealed.len() > COOKIE_LIMIT {
            // It only serves as a hint when somebody signs out, which goes without.
            sealed = seal(None)?;
        }
        let size = name.len() + sealed.len();
        if size > COOKIE_LIMIT {
            let source = format!("the tokens would take a cookie of {size} bytes");
            return Err(Error::new(ErrorKind::SessionTooLarge).with_source(source));
        }
        let max_age = session_ends_at.saturating_sub(unix_seconds(inner.clock.now()));
        inner.cookies.set(name, &sealed, max_age).ok_or_else(|| ErrorKind::Internal.into())
    }

    pub(super) fn encode(&self, id_token: Option<&str>) -> Zeroizing<Vec<u8>> {
        let seconds = |time: Option<_>| time.map(unix_seconds).unwrap_or_default();
        let mut writer = Writer::default();
        writer
            .fixed(&[LAYOUT])
            .fixed(&self.session)
            .u64(self.generation)
            .u64(self.received_at)
            .u64(seconds(self.tokens.access_expires_at()))
            .u64(seconds(self.tokens.refresh_expires_at()))
            .prefixed(self.tokens.access_token())
            .prefixed(self.tokens.refresh_token().unwrap_or_default());
        // Left out where there is neither, so that a node which does not know them yet reads the rest.
        if id_token.or(self.tokens.scope()).is_some() {
            writer
                .prefixed(id_token.unwrap_or_default())
                // An empty scope is one: nothing was granted.
                .fixed(&[u8::from(self.tokens.scope().is_some())])
                .prefixed(self.tokens.scope().unwrap_or_default());
        }
        writer.into_secret()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.fixed()? != [LAYOUT] {
            return None;
        }
        let session = reader.fixed()?;
        let (generation, received_at) = (reader.u64()?, reader.u64()?);
        let mut time = || reader.u64().map(|seconds| Some(seconds).filter(|at| *at > 0).map(from_unix_seconds));
        let (access_expires_at, refresh_expires_at) = (time()?, time()?);
        let (access_token, refresh_token) = (reader.prefixed_str()?, reader.prefixed_str()?);
        let refresh_token = Some(refresh_token).filter(|token| !token.is_empty()).map(secret_text);
        let mut tokens =
            Tokens::of(secret_text(access_token), refresh_token).with_expiries(access_expires_at, refresh_expires_at);
        if !reader.is_at_end() {
            let (id_token, [has_scope], scope) = (reader.prefixed_str()?, reader.fixed()?, reader.prefixed_str()?);
            if !id_token.is_empty() {
                tokens = tokens.with_id_token(id_token);
            }
            if has_scope != 0 {
                tokens = tokens.with_scope(scope);
            }
        }
        reader.end()?;
        Some(Self { session, generation, received_at, tokens })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::assert_wiped;

    fn kept(session: u8, received_at: u64, ends_at: u64) -> KeptTokens {
        let tokens = Tokens::new("access").with_refresh_token("refresh");
        let tokens = tokens.with_expiries(Some(from_unix_seconds(ends_at)), Some(from_unix_seconds(9999)));
        KeptTokens::first([session; 16], tokens, received_at)
    }

    /// Without what may be left out.
    fn bare(tokens: &Tokens) -> Tokens {
        let bare = Tokens::new(tokens.access_token());
        match tokens.refresh_token() {
            Some(refresh_token) => bare.with_refresh_token(refresh_token),
            None => bare,
        }
    }

    #[test]
    fn come_back_as_they_went() {
        let of_openid = |tokens: Tokens| KeptTokens::first([1; 16], tokens, 3);
        for before in [
            kept(7, 10, 5000),
            KeptTokens::first([0; 16], Tokens::new("alone"), 3),
            of_openid(Tokens::new("a").with_id_token("id").with_scope("openid email")),
            of_openid(Tokens::new("a").with_id_token("id")),
            of_openid(Tokens::new("a").with_scope("openid")),
            of_openid(Tokens::new("a").with_scope("")),
        ] {
            let bytes = before.encode(before.tokens.id_token());
            assert_wiped(&bytes);
            let after = KeptTokens::decode(&bytes).unwrap();
            assert_eq!((after.session, after.generation, after.received_at), (before.session, 1, before.received_at));
            assert_eq!(after.tokens.access_token(), before.tokens.access_token());
            assert_eq!(after.tokens.refresh_token(), before.tokens.refresh_token());
            assert_eq!(after.tokens.access_expires_at(), before.tokens.access_expires_at());
            assert_eq!(after.tokens.refresh_expires_at(), before.tokens.refresh_expires_at());
            assert_eq!(after.tokens.id_token(), before.tokens.id_token());
            assert_eq!(after.tokens.scope(), before.tokens.scope());
            let without_trailer =
                KeptTokens::first(before.session, bare(&before.tokens), before.received_at).encode(None).len();
            for length in (0..bytes.len()).filter(|length| *length != without_trailer) {
                assert!(KeptTokens::decode(&bytes[..length]).is_none(), "length {length}");
            }
            assert!(KeptTokens::decode(&[&bytes[..], &[0]].concat()).is_none());
            assert!(KeptTokens::decode(&[&[LAYOUT + 1], &bytes[1..]].concat()).is_none());
        }
    }

    #[test]
    fn a_refresh_is_due_a_minute_or_more_before_the_end() {
        for (session, margin) in [(0, 60), (29, 89), (30, 60)] {
            let kept = kept(session, 0, 10_000);
            assert!(!kept.is_refresh_due(10_000 - margin - 1) && kept.is_refresh_due(10_000 - margin), "{session}");
            assert!(kept.is_refresh_due(20_000));
        }
        let short = kept(0, 1000, 1100);
        assert!(!short.is_refresh_due(1074) && short.is_refresh_due(1075), "a quarter of a hundred seconds");
        assert!(!short.have_ended(1099) && short.have_ended(1100));
        let over_at_once = kept(0, 1000, 1000);
        assert!(!over_at_once.have_ended(1000) && !over_at_once.is_refresh_due(1000), "a clock is wrong");
    }

    #[test]
    fn what_can_t_be_refreshed_or_has_no_end_is_never_due() {
        let no_refresh = Tokens::new("a").with_expiries(Some(from_unix_seconds(5)), None);
        let no_end = Tokens::new("a").with_refresh_token("b");
        for tokens in [no_refresh, no_end] {
            assert!(!KeptTokens::first([0; 16], tokens, 0).is_refresh_due(u64::MAX));
        }
    }

    #[test]
    fn a_refresh_may_leave_the_refresh_token_as_it_is() {
        let next = kept(1, 0, 100).next(Tokens::new("new").with_expiries(Some(from_unix_seconds(200)), None), 50);
        assert_eq!((next.generation, next.received_at, next.tokens.access_token()), (2, 50, "new"));
        assert_eq!(next.tokens.refresh_token(), Some("refresh"));
        assert_eq!(next.tokens.access_expires_at(), Some(from_unix_seconds(200)));
        assert_eq!(next.tokens.refresh_expires_at(), Some(from_unix_seconds(9999)));
        let of_openid = KeptTokens::first([1; 16], Tokens::new("a").with_id_token("id").with_scope("openid email"), 0);
        let same = of_openid.next(Tokens::new("new"), 50);
        assert_eq!((same.tokens.id_token(), same.tokens.scope()), (Some("id"), Some("openid email")));
        let less = of_openid.next(Tokens::new("new").with_id_token("id 2").with_scope("openid"), 50);
        assert_eq!((less.tokens.id_token(), less.tokens.scope()), (Some("id 2"), Some("openid")));
        let rotated = kept(1, 0, 100).next(Tokens::new("new").with_refresh_token("newer"), 50);
        assert_eq!((rotated.tokens.refresh_token(), rotated.tokens.refresh_expires_at()), (Some("newer"), None));
    }
}
