//! One refresh in the whole fleet: who has the turn refreshes and leaves the new tokens in the store, everybody else waits and
//! finds them there.

use std::sync::Arc;
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use tokio::time::{Instant, sleep};

use super::table::FRESH_KEPT;
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::flow::attempt::hash;
use crate::seal::Purpose;
use crate::session::bounded::Store;
use crate::session::lease::Lease;
use crate::session::registry::SessionEnd;
use crate::session::store::{SessionKey, SessionRecord, StoreError};
use crate::session::stored::{self, StoredId};
use crate::session::tokens::KeptTokens;
use crate::session::{LogId, SessionId};

/// Where the nodes of a fleet find the newest tokens of a session.
pub(super) struct Place {
    inner: Arc<Inner>,
    store: Arc<Store>,
    session: SessionId,
    /// Beside their session, where that is in the store.
    stored: Option<StoredId>,
}

/// What a node that wants to refresh is told.
pub(super) enum Turn {
    /// It is its turn.
    Ours(Option<Lease>),
    /// Another node was first.
    Newer(Arc<KeptTokens>),
    /// Another node has ended the session.
    Gone,
    /// The store does not answer, or nobody came to an end.
    Unknown,
}

/// What became of tokens that were to be left.
pub(crate) enum Left {
    /// They are there for everybody.
    Here,
    /// A later turn's are there, which count.
    Later(Arc<KeptTokens>),
    /// The session has been ended meanwhile.
    Gone,
}

/// How long a node waits for its turn or for what another one brings: as long as the provider may take, and a lease lasts of
/// one that died.
const PATIENCE: Duration = Duration::from_secs(35);

/// Between two looks; each is longer than the one before, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(30);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long and how often a store that is away is tried again.
const LEAVING_FOR: Duration = Duration::from_secs(5 * 60);
const LEAVING_EVERY: Duration = Duration::from_secs(1);

impl Place {
    /// `None` where tokens live in cookies and no store is shared.
    pub(super) fn of(inner: &Arc<Inner>, session: SessionId, stored: Option<StoredId>) -> Option<Self> {
        let store = match stored {
            Some(_) => inner.store.as_ref()?,
            None => inner.fleet()?,
        };
        Some(Self { inner: Arc::clone(inner), store: Arc::clone(store), session, stored })
    }

    /// Waits until it is our turn to refresh these tokens, or another node has done so.
    pub(super) async fn turn(&self, held: &KeptTokens) -> Turn {
        let (deadline, mut pause) = (Instant::now() + PATIENCE, FIRST_PAUSE);
        while Instant::now() < deadline {
            let turn = match self.try_turn(held).await {
                Ok(turn) => turn,
                Err(error) => {
                    self.warn("turn to refresh", &error);
                    return Turn::Unknown;
                }
            };
            if let Some(turn) = turn {
                return turn;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Turn::Unknown
    }

    async fn try_turn(&self, held: &KeptTokens) -> Result<Option<Turn>, StoreError> {
        if let Some(turn) = self.settled(held).await? {
            return Ok(Some(turn));
        }
        if self.store.is_private() {
            return Ok(Some(Turn::Ours(None)));
        }
        let lease = Lease::take(&self.store, &self.inner.clock, self.key_of_turn()).await?;
        let Some(lease) = lease else { return Ok(None) };
        // Whoever had it before may have left them in between.
        match self.settled(held).await {
            Ok(None) => Ok(Some(Turn::Ours(Some(lease)))),
            settled => {
                lease.release().await;
                settled
            }
        }
    }

    /// Whether there is nothing to refresh any more.
    async fn settled(&self, held: &KeptTokens) -> Result<Option<Turn>, StoreError> {
        Ok(match self.look().await? {
            Found::Tokens(tokens) if tokens.generation > held.generation => Some(Turn::Newer(tokens)),
            Found::Tokens(_) | Found::Nothing => None,
            Found::Gone => Some(Turn::Gone),
        })
    }

    /// Newer tokens than these, if another node has left some.
    pub(super) async fn newer(&self, held: &KeptTokens) -> Result<Option<Arc<KeptTokens>>, StoreError> {
        Ok(match self.look().await? {
            Found::Tokens(tokens) if tokens.generation > held.generation => Some(tokens),
            Found::Tokens(_) | Found::Nothing | Found::Gone => None,
        })
    }

    /// Whether another node is replacing these tokens, or has.
    pub(super) async fn has_moved_on(&self, held: &KeptTokens) -> Result<bool, StoreError> {
        // In this order: a turn is over once they are there.
        let is_taken = !self.store.is_private() && self.store.load(self.key_of_turn()).await?.is_some();
        Ok(is_taken || self.newer(held).await?.is_some())
    }

    /// Logs that the store did not answer.
    pub(super) fn warn(&self, step: &str, error: &StoreError) {
        self.store.warn(&self.inner, step, error);
    }

    /// Leaves new tokens for everybody. `None` where the store does not answer.
    pub(super) async fn leave_soon(&self, fresh: &Arc<KeptTokens>) -> Option<Left> {
        loop {
            match self.try_leave(fresh).await {
                Ok(Some(left)) => return Some(left),
                // Somebody changed the record in between.
                Ok(None) => {}
                Err(error) => {
                    self.warn("refreshed tokens", &error);
                    return None;
                }
            }
        }
    }

    /// The same, and tries again while the store is away: the old ones are dead. Whether the session has been ended.
    pub(super) async fn leave_in_the_end(&self, fresh: &Arc<KeptTokens>) -> bool {
        let deadline = Instant::now() + LEAVING_FOR;
        while Instant::now() < deadline {
            sleep(LEAVING_EVERY).await;
            match self.leave_soon(fresh).await {
                Some(Left::Gone) => {
                    self.inner.registry.end(self.session, SessionEnd::Elsewhere);
                    return true;
                }
                Some(Left::Here | Left::Later(_)) => return false,
                None => {}
            }
        }
        tracing::error!(
            session = %LogId(&self.session),
            "refreshed tokens could not be left in the session store; other nodes have dead ones, and the session will end"
        );
        false
    }

    async fn try_leave(&self, fresh: &Arc<KeptTokens>) -> Result<Option<Left>, StoreError> {
        if let Some(stored) = self.stored {
            return stored::leave_tokens(&self.inner, &self.store, stored, fresh).await;
        }
        let key = self.key_beside();
        let until = from_unix_seconds(unix_seconds(self.inner.clock.now()).saturating_add(FRESH_KEPT));
        let Some(bytes) = self.seal(&key, fresh) else { return Ok(Some(Left::Here)) };
        let is_left = match self.store.load(key).await? {
            None => self.store.create(key, SessionRecord::new(bytes, 0, until)).await?,
            Some(record) => match self.open(&key, &record) {
                Some(there) if there.generation >= fresh.generation => return Ok(Some(Left::Later(Arc::new(there)))),
                _ => match record.successor(bytes, until) {
                    Some(next) => self.store.update(key, next).await?,
                    None => true,
                },
            },
        };
        Ok(is_left.then_some(Left::Here))
    }

    async fn look(&self) -> Result<Found, StoreError> {
        if let Some(stored) = self.stored {
            return Ok(match stored::look_for_tokens(&self.inner, &self.store, stored).await? {
                None => Found::Gone,
                Some(tokens) => tokens.map_or(Found::Nothing, Found::Tokens),
            });
        }
        let key = self.key_beside();
        let record = self.store.load(key).await?;
        let tokens = record.and_then(|record| self.open(&key, &record));
        Ok(tokens.map_or(Found::Nothing, |tokens| Found::Tokens(Arc::new(tokens))))
    }

    fn key_of_turn(&self) -> SessionKey {
        SessionKey::new(hash(&[b"turn to refresh", &self.session]))
    }

    /// Where they are while their session is in its cookie.
    fn key_beside(&self) -> SessionKey {
        SessionKey::new(hash(&[b"refreshed tokens", &self.session]))
    }

    fn seal(&self, key: &SessionKey, tokens: &KeptTokens) -> Option<Vec<u8>> {
        let bytes = tokens.encode(tokens.tokens().id_token());
        self.inner.seal.seal_bytes(Purpose::Tokens, &key.to_hex(), 1, &bytes).ok()
    }

    fn open(&self, key: &SessionKey, record: &SessionRecord) -> Option<KeptTokens> {
        let bytes = record.bytes().to_vec();
        let (bytes, _) = self.inner.seal.open_bytes(Purpose::Tokens, &key.to_hex(), 1, bytes).ok()?;
        KeptTokens::decode(&Zeroizing::new(bytes)).filter(|tokens| tokens.session == self.session)
    }
}

enum Found {
    Tokens(Arc<KeptTokens>),
    Nothing,
    /// Their session is not there.
    Gone,
}
