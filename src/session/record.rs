//! What a record of the store holds: a session, and the tokens that are kept with it.

use std::sync::Arc;

use secrecy::zeroize::Zeroizing;

use super::Session;
use super::bounded::Store;
use super::store::{SessionKey, SessionRecord};
use super::tokens::KeptTokens;
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::seal::{Purpose, SealError};
use crate::wire::{Reader, Writer};

/// Of the bytes inside the seal, where tokens are kept; those of a session alone begin with 1.
const WITH_TOKENS: u8 = 2;

/// Before the seal, in a store that keeps what is no secret in clear.
const SEALED: u8 = 3;

/// A record that was read, with the times it was written with.
pub(super) struct Loaded<'a> {
    pub(super) record: &'a SessionRecord,
    pub(super) session: Session,
    pub(super) tokens: Option<Arc<KeptTokens>>,
    /// Sealed under a key that is not the newest.
    pub(super) is_outdated: bool,
}

/// How many bytes a session and its tokens take, before they are sealed.
pub(super) fn size(session: &Session, tokens: Option<&KeptTokens>) -> usize {
    plain(session, tokens).len()
}

/// The bytes of a record. Tokens are sealed in any case, so that none are left behind in memory.
pub(super) fn to_bytes(
    inner: &Inner,
    store: &Store,
    key: &SessionKey,
    session: &Session,
    tokens: Option<&KeptTokens>,
) -> Result<Vec<u8>, Error> {
    if store.is_private() && tokens.is_none() {
        return Ok(session.encoded().to_vec());
    }
    let sealed = inner.seal.seal_bytes(Purpose::Record, &key.to_hex(), 1, &plain(session, tokens));
    let sealed = sealed.map_err(|_| ErrorKind::Internal)?;
    Ok(if store.is_private() { [&[SEALED], &sealed[..]].concat() } else { sealed })
}

impl<'a> Loaded<'a> {
    /// `None` where it is another version's, or not the record that was asked for.
    pub(super) fn read(inner: &Inner, store: &Store, key: SessionKey, record: &'a SessionRecord) -> Option<Self> {
        let sealed = match record.bytes() {
            [SEALED, sealed @ ..] if store.is_private() => sealed,
            bytes if store.is_private() => {
                return Self::of(inner, record, Session::decode(bytes.to_vec())?, None, false);
            }
            sealed => sealed,
        };
        let opened = inner.seal.open_bytes(Purpose::Record, &key.to_hex(), 1, sealed.to_vec());
        let opened = opened.inspect_err(|error| {
            if *error == SealError::Forged {
                tracing::error!("a record of the session store was changed, or is another session's");
            }
        });
        let (bytes, is_outdated) = opened.ok()?;
        if bytes.first() != Some(&WITH_TOKENS) {
            return Self::of(inner, record, Session::decode(bytes)?, None, is_outdated);
        }
        let bytes = Zeroizing::new(bytes);
        let mut reader = Reader::new(bytes.get(1..)?);
        let (session, tokens) = (reader.prefixed()?, reader.prefixed()?);
        reader.end()?;
        let (session, tokens) = (Session::decode(session.to_vec())?, KeptTokens::decode(tokens)?);
        let tokens = (&tokens.session == session.id()).then_some(tokens)?;
        Self::of(inner, record, session, Some(Arc::new(tokens)), is_outdated)
    }

    fn of(
        inner: &Inner,
        record: &'a SessionRecord,
        session: Session,
        tokens: Option<Arc<KeptTokens>>,
        is_outdated: bool,
    ) -> Option<Self> {
        let is_known = inner.providers.of_issuer(session.issuer()).is_some();
        is_known.then_some(Self { record, session, tokens, is_outdated })
    }

    /// As late as the store has been told, and no later than the session may last.
    pub(super) fn ends_at(&self) -> u64 {
        unix_seconds(self.record.expires_at()).min(self.session.absolute_end())
    }
}

fn plain(session: &Session, tokens: Option<&KeptTokens>) -> Zeroizing<Vec<u8>> {
    let Some(tokens) = tokens else { return Zeroizing::new(session.encoded().to_vec()) };
    let tokens = tokens.encode(tokens.tokens().id_token());
    let length = 1 + 2 * Writer::PREFIX + session.encoded().len() + tokens.len();
    let mut writer = Writer::with_capacity(length);
    writer.fixed(&[WITH_TOKENS]).prefixed(session.encoded()).prefixed(&*tokens);
    writer.into_secret()
}
