//! A state is spent once in the whole fleet, and whoever comes with the same again, at another node, gets the same session.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::table::{OUTCOME_KEPT, REMEMBERED};
use super::{Completed, Ticket, hash};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::flow::signed_in::SignedIn;
use crate::identity::Identity;
use crate::seal::{Purpose, random};
use crate::session::bounded::Store;
use crate::session::presented::Presented;
use crate::session::store::{SessionKey, SessionRecord, StoreError};
use crate::session::stored::{self, RETRY_AFTER, StoredId};

/// A state that this node has spent for the fleet.
pub(super) struct Spent {
    store: Arc<Store>,
    state: SessionKey,
    running: u64,
    outcome: SessionKey,
}

/// What a node finds that comes with a state.
pub(super) enum Spending {
    /// It is the first, or there is no other.
    First(Option<Spent>),
    /// Another node has made a session of it.
    Done(Completed),
}

/// As long as an attempt may take.
const PATIENCE: Duration = Duration::from_secs(35);
const PAUSE: Duration = Duration::from_millis(200);

/// At most so many see to a mark at once; what is more stays until its end.
pub(super) const MOST_TAKING_BACK: usize = 256;
/// So often does each look, every second.
const TAKING_BACK_FOR: u32 = 5 * 60;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// After so many looks in a row at which it is not there, it was not made.
const LOOKS: u32 = 3;

/// No session begins with this generation, so that nobody takes an outcome for one.
const GENERATION: u64 = 1;

/// Spends the state of a ticket before anything goes to the network.
pub(super) async fn spend(inner: &Arc<Inner>, ticket: &Ticket) -> Result<Spending, Error> {
    let Some(store) = inner.fleet() else { return Ok(Spending::First(None)) };
    let state = SessionKey::new(hash(&[b"spent state", &ticket.state]));
    let outcome = SessionKey::new(hash(&[b"outcome of a state", &ticket.state, &ticket.presented.0]));
    let running = running()?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match store.create(state, SessionRecord::new([], running, after(inner, REMEMBERED))).await {
            Ok(true) => return Ok(Spending::First(Some(Spent { store: Arc::clone(store), state, running, outcome }))),
            Ok(false) => {}
            Err(error) => {
                take_back_soon(inner, store, state, running);
                return Err(away(error));
            }
        }
        // Where it is not there any more, it has been taken back.
        if over(store, state, deadline).await.map_err(away)?.is_some() {
            break;
        }
    }
    // Another code, or another browser, has another key and finds nothing.
    let completed = match store.load(outcome).await.map_err(away)? {
        Some(record) => completed(inner, &outcome, &record, ticket).await,
        None => None,
    };
    completed.map(Spending::Done).ok_or_else(|| Error::new(ErrorKind::StateSpent).leaving_flow())
}

/// The generation of a mark while its attempt runs: even, and drawn, so that it tells one attempt from another. The next one tells
/// that it is over.
fn running() -> Result<u64, ErrorKind> {
    let mut drawn = [0; 8];
    random(&mut drawn).map_err(|_| ErrorKind::Internal)?;
    Ok(u64::from_be_bytes(drawn) & !1)
}

fn is_running(generation: u64) -> bool {
    generation & 1 == 0
}

/// The mark of a state when its attempt is over, or when nobody waits any more.
async fn over(store: &Store, state: SessionKey, deadline: Instant) -> Result<Option<SessionRecord>, StoreError> {
    loop {
        let record = store.load(state).await?;
        let is_running = record.as_ref().is_some_and(|record| is_running(record.generation()));
        if !is_running || Instant::now() >= deadline {
            return Ok(record);
        }
        sleep(PAUSE).await;
    }
}

/// A mark whose making had no answer may be there all the same. Nothing was sent because of it, so whoever comes again may go on:
/// it is removed, in a task of its own.
fn take_back_soon(inner: &Inner, store: &Arc<Store>, state: SessionKey, running: u64) {
    let Ok(place) = Arc::clone(&inner.attempts.taking_back).try_acquire_owned() else { return };
    let Ok(runtime) = Handle::try_current() else { return };
    let store = Arc::clone(store);
    runtime.spawn(async move {
        let mut looks = 0;
        for _ in 0..TAKING_BACK_FOR {
            sleep(BETWEEN_LOOKS).await;
            match store.load(state).await {
                Ok(Some(mark)) if mark.generation() == running => {
                    if store.delete(state).await.is_ok() {
                        break;
                    }
                }
                Ok(Some(_)) => break,
                // What was sent before may still come after this question.
                Ok(None) if looks == LOOKS => break,
                Ok(None) => looks += 1,
                Err(_) => looks = 0,
            }
        }
        drop(place);
    });
}

impl Spent {
    /// Tells the other nodes how it ended. Where that fails, who comes again is told that the state is spent.
    pub(super) async fn tell(self, inner: &Inner, stored: Option<StoredId>) {
        let told = async {
            if let Some(stored) = stored
                && let Ok(bytes) = inner.seal.seal_bytes(Purpose::Record, &self.outcome.to_hex(), 1, stored.as_bytes())
            {
                let record = SessionRecord::new(bytes, GENERATION, after(inner, OUTCOME_KEPT));
                self.store.create(self.outcome, record).await?;
            }
            let over = SessionRecord::new([], self.running + 1, after(inner, REMEMBERED));
            self.store.update(self.state, over).await
        };
        if let Err(error) = told.await {
            self.store.warn(inner, "outcome of a sign-in", &error);
        }
    }
}

/// The session that another node has made, if it has made one that is in the store.
async fn completed(inner: &Arc<Inner>, key: &SessionKey, record: &SessionRecord, ticket: &Ticket) -> Option<Completed> {
    let (id, _) = inner.seal.open_bytes(Purpose::Record, &key.to_hex(), 1, record.bytes().to_vec()).ok()?;
    let stored = StoredId::new(id.try_into().ok()?);
    let Presented::Session(current) = stored::load(Arc::clone(inner), stored, false).await else { return None };
    let session_cookies = vec![stored.set_cookie(inner, current.session()).ok()?];
    let identity: Identity = current.identity.clone();
    let tokens = current.tokens.map(|kept| kept.tokens().clone());
    let signed_in = SignedIn::new(identity, tokens, ticket.return_to.clone());
    // Its record is the other node's: a handler that refuses here does not know whom one has let in there.
    Some(Completed { signed_in, session_cookies, tokens_cookie: None, stored: None, handlers: Arc::default() })
}

fn after(inner: &Inner, seconds: u64) -> std::time::SystemTime {
    from_unix_seconds(unix_seconds(inner.clock.now()).saturating_add(seconds))
}

/// Nothing has been sent, and the flow is as it was.
fn away(error: StoreError) -> Error {
    Error::new(ErrorKind::SessionUnavailable).with_retry_after(RETRY_AFTER).with_source(error).leaving_flow()
}
