//! Refreshing tokens: once for each pair, however many requests ask, and in a task of its own, since a new pair must not be
//! lost with the request that asked for it.

mod fleet;
mod table;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tracing::Instrument as _;

pub(crate) use self::fleet::Left;
use self::fleet::{Place, Turn};
use self::table::{Entry, MOST_RUNNING, Table};
use super::calls::{is_refusal, pause, within_time};
use super::registry::SessionEnd;
use super::store::StoreError;
use super::stored::{self, StoredId};
use super::tokens::KeptTokens;
use super::{LogId, SessionId, revocations};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::ErrorKind;
use crate::providers::Mounted;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::telemetry::{Call, timed};

/// Whose tokens they are.
pub(crate) struct Owner {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    /// Where their session is in the store.
    pub(crate) stored: Option<StoredId>,
}

/// How a refresh ended, shared by every request that waits for it.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// The newest tokens.
    Fresh(Arc<KeptTokens>),
    /// The provider stands by the session no longer. It is over.
    Refused,
    /// The session was ended at another node.
    Gone,
    /// There are newer tokens, which only the browser has.
    Superseded,
    /// Nothing is known; later, perhaps.
    Unreachable,
}

/// The refreshes of one [`SignIn`](crate::SignIn) in this process. Bounded in every way.
pub(crate) struct Refreshes {
    table: Mutex<Table>,
    revoking: Semaphore,
}

impl Default for Refreshes {
    fn default() -> Self {
        Self { table: Mutex::default(), revoking: Semaphore::new(MOST_REVOKING) }
    }
}

/// At most this many pairs are being revoked at once; what is more is left to end by itself.
const MOST_REVOKING: usize = 256;

impl Refreshes {
    /// Refreshes these tokens of a session, or joins whoever does already, or has.
    pub(crate) async fn newest(inner: Arc<Inner>, held: Arc<KeptTokens>, of: Owner) -> Outcome {
        let mut waiter = match Self::start_or_join(&inner, &held, of) {
            Ok(outcome) => return outcome,
            Err(waiter) => waiter,
        };
        match waiter.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Unreachable),
            Err(_) => Outcome::Unreachable,
        }
    }

    /// An outcome that is known, or what to wait for.
    fn start_or_join(
        inner: &Arc<Inner>,
        held: &Arc<KeptTokens>,
        of: Owner,
    ) -> Result<Outcome, watch::Receiver<Option<Outcome>>> {
        let Ok(runtime) = Handle::try_current() else { return Ok(Outcome::Unreachable) };
        let now = unix_seconds(inner.clock.now());
        let mut table = inner.refreshes.lock();
        // Under the lock: who signs out ends the session first, and then looks here for what is left to revoke.
        if inner.registry.has_ended(&held.session) {
            return Ok(Outcome::Refused);
        }
        table.forget_old(now);
        let mut failures = 0;
        match table.entries.get(&held.session) {
            Some(Entry::Running { outcome, .. }) => return Err(outcome.clone()),
            Some(Entry::Fresh { tokens, .. }) if tokens.generation > held.generation => {
                return Ok(Outcome::Fresh(Arc::clone(tokens)));
            }
            // Sent once more, the provider could take it for stolen and end the newer ones too.
            Some(Entry::Refused { .. }) => return Ok(Outcome::Refused),
            Some(entry) if entry.generation() > held.generation => return Ok(Outcome::Superseded),
            // A clock that was set back must not prolong the pause.
            Some(Entry::Unreachable { failures, at, .. })
                if (*at..at.saturating_add(pause(*failures))).contains(&now) =>
            {
                return Ok(Outcome::Unreachable);
            }
            Some(Entry::Unreachable { failures: before, .. }) => failures = *before,
            Some(Entry::Fresh { .. } | Entry::Spent { .. }) | None => {}
        }
        if table.running >= MOST_RUNNING {
            return Ok(Outcome::Unreachable);
        }
        let (sender, receiver) = watch::channel(None);
        let running = Entry::Running { outcome: receiver.clone(), generation: held.generation, failures };
        table.entries.insert(held.session, running);
        table.running += 1;
        drop(table);

        let (inner, session, outcome) = (Arc::clone(inner), held.session, Outcome::Unreachable);
        let end = End { inner, session, stored: of.stored, sender, outcome };
        let span = tracing::info_span!("refresh", session = %LogId(&held.session));
        runtime.spawn(refresh(end, Arc::clone(held), of).instrument(span));
        Err(receiver)
    }

    /// The newest tokens of the same session; `None` where there are newer ones that only the browser has.
    pub(crate) fn newest_known(&self, held: Arc<KeptTokens>) -> Option<Arc<KeptTokens>> {
        match self.lock().entries.get(&held.session) {
            Some(Entry::Fresh { tokens, .. }) => Some(Arc::clone(tokens)),
            Some(entry) if entry.generation() > held.generation => None,
            _ => Some(held),
        }
    }

    /// Whether there are newer tokens of the same session, which only the browser has.
    pub(crate) fn is_superseded(&self, held: &KeptTokens) -> bool {
        match self.lock().entries.get(&held.session) {
            Some(Entry::Spent { generation, .. } | Entry::Unreachable { generation, .. }) => {
                *generation > held.generation
            }
            // What is fresh, or is being fetched, is for whoever comes with older ones.
            None | Some(Entry::Running { .. } | Entry::Fresh { .. } | Entry::Refused { .. }) => false,
        }
    }

    /// Whether these tokens are being replaced, or have been, here or at another node.
    pub(crate) async fn have_moved_on(
        inner: &Arc<Inner>,
        held: &KeptTokens,
        stored: Option<StoredId>,
    ) -> Result<bool, StoreError> {
        let is_known = match inner.refreshes.lock().entries.get(&held.session) {
            None => false,
            Some(Entry::Running { .. }) => true,
            Some(entry) => entry.generation() > held.generation,
        };
        match Place::of(inner, held.session, stored) {
            Some(place) if !is_known => place.has_moved_on(held).await,
            _ => Ok(is_known),
        }
    }

    /// Ends the authorization behind the newest tokens of a session that has ended, in a task of its own. A refresh that is
    /// under way revokes what it brings. Of a session in the store those that lay beside it are the newest.
    pub(crate) fn revoke(inner: &Arc<Inner>, issuer: &str, held: Arc<KeptTokens>, is_stored: bool) {
        let Ok(runtime) = Handle::try_current() else { return };
        let newest = {
            let mut table = inner.refreshes.lock();
            match table.entries.get(&held.session) {
                Some(Entry::Running { .. }) => return,
                Some(Entry::Fresh { tokens, .. }) if tokens.generation >= held.generation => {
                    let tokens = Arc::clone(tokens);
                    table.spend(&tokens);
                    tokens
                }
                // A thief's copy was refused; this newer pair was not.
                Some(Entry::Refused { generation, .. }) if *generation < held.generation => held,
                // Dead at the provider already.
                Some(entry) if entry.generation() > held.generation => return,
                _ => held,
            }
        };
        let (inner, issuer) = (Arc::clone(inner), issuer.to_owned());
        let span = tracing::info_span!("revoke", session = %LogId(&newest.session));
        let revoking = async move {
            let Some(mounted) = inner.providers.of_issuer(&issuer) else { return };
            let place = if is_stored { None } else { Place::of(&inner, newest.session, None) };
            // The browser may not have heard of those that another node has brought.
            let newer = match place {
                Some(place) => place.newer(&newest).await.inspect_err(|error| place.warn("newest tokens", error)),
                None => Ok(None),
            };
            revoke(&inner, mounted, &newer.ok().flatten().unwrap_or(newest)).await;
        };
        runtime.spawn(revoking.instrument(span));
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Records the end of a refresh when dropped, so that none runs for ever in the table, whatever becomes of its task.
struct End {
    inner: Arc<Inner>,
    session: SessionId,
    stored: Option<StoredId>,
    sender: watch::Sender<Option<Outcome>>,
    outcome: Outcome,
}

impl Drop for End {
    fn drop(&mut self) {
        // Before anybody is told of the refusal: the registry lets one of them delete the cookies.
        match self.outcome {
            Outcome::Refused => {
                self.inner.registry.end(self.session, SessionEnd::Revoked);
                match self.stored {
                    Some(stored) => stored::delete_soon(&self.inner, stored, None),
                    None => revocations::revoke_soon(&self.inner, self.session),
                }
            }
            Outcome::Gone => {
                self.inner.registry.end(self.session, SessionEnd::Elsewhere);
            }
            Outcome::Fresh(_) | Outcome::Superseded | Outcome::Unreachable => {}
        }
        let now = unix_seconds(self.inner.clock.now());
        self.inner.refreshes.lock().end(self.session, &self.outcome, now);
        self.sender.send_replace(Some(self.outcome.clone()));
    }
}

async fn refresh(mut end: End, held: Arc<KeptTokens>, of: Owner) {
    let inner = Arc::clone(&end.inner);
    let place = Place::of(&inner, held.session, of.stored);
    let lease = match &place {
        None => None,
        Some(place) => match place.turn(&held).await {
            Turn::Ours(lease) => lease,
            Turn::Newer(tokens) => {
                tracing::debug!(generation = tokens.generation, "another node has refreshed the tokens");
                end.outcome = Outcome::Fresh(tokens);
                return;
            }
            Turn::Gone => {
                end.outcome = Outcome::Gone;
                return;
            }
            Turn::Unknown => return,
        },
    };
    match lease {
        None => refresh_now(end, held, of, place).await,
        Some(mut lease) => {
            lease.during(refresh_now(end, held, of, place)).await;
            lease.release().await;
        }
    }
}

async fn refresh_now(mut end: End, held: Arc<KeptTokens>, of: Owner, place: Option<Place>) {
    let inner = Arc::clone(&end.inner);
    // Sessions of an issuer that is not configured here are nobody's, and never come this far.
    let Some(mounted) = inner.providers.of_issuer(&of.issuer) else { return };
    let context = mounted.context(&inner.http, &*inner.clock);
    let answer = within_time(mounted.provider.refresh(context, &of.subject, held.tokens()));
    match timed(Call::Refresh, answer).await {
        Ok(refreshed) => {
            let fresh = Arc::new(held.next(refreshed.tokens().clone(), unix_seconds(inner.clock.now())));
            tracing::debug!(generation = fresh.generation, "tokens refreshed");
            end.outcome = Outcome::Fresh(Arc::clone(&fresh));
            let left = match &place {
                None => Some(Left::Here),
                Some(place) => place.leave_soon(&fresh).await,
            };
            end.outcome = match &left {
                Some(Left::Later(tokens)) => Outcome::Fresh(Arc::clone(tokens)),
                Some(Left::Gone) => Outcome::Gone,
                Some(Left::Here) | None => Outcome::Fresh(Arc::clone(&fresh)),
            };
            drop(end);
            let is_gone = match (left, &place) {
                // Whoever waits here need not wait for that.
                (None, Some(place)) => place.leave_in_the_end(&fresh).await,
                (left, _) => matches!(left, Some(Left::Gone)),
            };
            if is_gone || is_signed_out(&inner, &fresh.session) && inner.refreshes.lock().spend(&fresh) {
                revoke(&inner, mounted, &fresh).await;
            }
        }
        Err(error) if is_refusal(&error) || error.kind() == ErrorKind::ExchangeRejected => {
            if let Some(place) = &place {
                match place.newer(&held).await {
                    // What was refused is what another node has used up.
                    Ok(Some(tokens)) => {
                        end.outcome = Outcome::Fresh(tokens);
                        return;
                    }
                    Ok(None) => {}
                    // Or may be.
                    Err(error) => return place.warn("refused tokens", &error),
                }
            }
            tracing::info!(code = error.kind().code(), reason = error.reason(), "refresh refused; the session is over");
            end.outcome = Outcome::Refused;
        }
        Err(error) => {
            tracing::warn!(code = error.kind().code(), reason = error.reason(), "tokens could not be refreshed");
            drop(end);
            if is_signed_out(&inner, &held.session) {
                revoke(&inner, mounted, &held).await;
            }
        }
    }
}

/// A provider may end more than these tokens when they are revoked, so that is for whoever asked for it.
fn is_signed_out(inner: &Inner, session: &SessionId) -> bool {
    inner.registry.end_of(session) == Some(SessionEnd::SignedOut)
}

/// As well as it can be had: nobody waits for it, and the session is over either way.
async fn revoke(inner: &Inner, mounted: &Mounted, tokens: &KeptTokens) {
    let Ok(_permit) = inner.refreshes.revoking.try_acquire() else {
        tracing::warn!("too many tokens are being revoked; these are left to end by themselves");
        return;
    };
    let context = mounted.context(&inner.http, &*inner.clock);
    match timed(Call::Revoke, within_time(mounted.provider.revoke(context, tokens.tokens()))).await {
        Ok(()) => tracing::debug!("tokens revoked"),
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        Err(error) => {
            tracing::warn!(code = error.kind().code(), reason = error.reason(), "tokens could not be revoked");
        }
    }
}
