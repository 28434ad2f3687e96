//! A state is spent once in the whole fleet, and whoever comes with the same again, at another node, gets the same session.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::table::{OUTCOME_KEPT, REMEMBERED};
use super::{Completed, Ticket, hash};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::flow::signed_in::SignedIn;
use crate::identity::Identity;
use crate::seal::Purpose;
use crate::session::bounded::Store;
use crate::session::presented::Presented;
use crate::session::store::{SessionKey, SessionRecord, StoreError};
use crate::session::stored::{self, RETRY_AFTER, StoredId};

/// A state that this node has spent for the fleet.
pub(super) struct Spent {
    store: Arc<Store>,
    state: SessionKey,
    outcome: SessionKey,
    running: u64,
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

/// No session begins with this generation, so that nobody takes an outcome for one.
const GENERATION: u64 = 1;

/// Spends the state of a ticket before anything goes to the network.
pub(super) async fn spend(inner: &Arc<Inner>, ticket: &Ticket) -> Result<Spending, Error> {
    let Some(store) = inner.fleet() else { return Ok(Spending::First(None)) };
    let state = SessionKey::new(hash(&[b"spent state", &ticket.state]));
    let outcome = SessionKey::new(hash(&[b"outcome of a state", &ticket.state, &ticket.presented.0]));
    let ours = inner.attempts.running_here()?;
    let running = SessionRecord::new([], ours, after(inner, REMEMBERED));
    let first = || Ok(Spending::First(Some(Spent { store: Arc::clone(store), state, outcome, running: ours })));
    if store.create(state, running).await.map_err(away)? {
        return first();
    }
    let deadline = Instant::now() + PATIENCE;
    while let Some(generation) = still_running(store, state).await? {
        if generation == ours {
            // One attempt at a time works on a state here, so the answer to an earlier one was lost, which went no further.
            return first();
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    // Another code, or another browser, has another key and finds nothing.
    let completed = match store.load(outcome).await.map_err(away)? {
        Some(record) => completed(inner, &outcome, &record, ticket).await,
        None => None,
    };
    completed.map(Spending::Done).ok_or_else(|| Error::new(ErrorKind::StateSpent).leaving_flow())
}

/// The generation of a state's mark, while its attempt runs.
async fn still_running(store: &Store, state: SessionKey) -> Result<Option<u64>, Error> {
    let generation = store.load(state).await.map_err(away)?.map(|record| record.generation());
    Ok(generation.filter(|generation| generation % 2 == 0))
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
            let over = SessionRecord::new([], self.running.saturating_add(1), after(inner, REMEMBERED));
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
