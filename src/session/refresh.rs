//! Refreshing tokens: once for each pair, however many requests ask, and in a task of its own, since a new pair must not be
//! lost with the request that asked for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::registry::SessionEnd;
use super::tokens::KeptTokens;
use super::{LogId, SessionId};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::http_client::BoxFuture;
use crate::provider::Context;
use crate::telemetry::{Call, timed};

/// How a refresh ended, shared by every request that waits for it.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// The newest tokens.
    Fresh(Arc<KeptTokens>),
    /// The provider stands by the session no longer, or its newest tokens are lost. It is over.
    Refused,
    /// Nothing is known; later, perhaps.
    Unreachable,
}

/// The refreshes of one [`SignIn`](crate::SignIn) in this process. Bounded in every way.
#[derive(Default)]
pub(crate) struct Refreshes(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: HashMap<SessionId, Entry>,
    /// What has ended, oldest first, with the time. An entry may have been replaced since.
    order: VecDeque<(SessionId, u64)>,
    /// What still holds tokens, likewise.
    fresh: VecDeque<(SessionId, u64)>,
    running: usize,
}

enum Entry {
    Running {
        outcome: watch::Receiver<Option<Outcome>>,
        failures: u32,
    },
    /// Refreshed: the tokens are kept for whoever still comes with older ones.
    Fresh {
        tokens: Arc<KeptTokens>,
        at: u64,
    },
    /// Refreshed, and the tokens are forgotten here: only the browser has them.
    Spent {
        generation: u64,
        at: u64,
    },
    Refused {
        at: u64,
    },
    Unreachable {
        failures: u32,
        at: u64,
    },
}

/// At most this many run at once; whoever comes then goes on with what they have.
const MOST_RUNNING: usize = 256;
/// At most this many sessions are remembered.
const MOST_ENTRIES: usize = 65_536;
/// Whoever comes with older tokens gets the newest for this many seconds.
const FRESH_KEPT: u64 = 60;
/// That a refresh token was spent is known for this many seconds, so that it is not sent again.
const REMEMBERED: u64 = 60 * 60;
/// The longest pause between two tries, in seconds; the first is one.
const LONGEST_PAUSE: u64 = 60;
const PROVIDER_TIME: Duration = Duration::from_secs(20);

impl Refreshes {
    /// Refreshes these tokens of `subject`, or joins whoever does already, or has.
    pub(crate) async fn newest(inner: Arc<Inner>, held: Arc<KeptTokens>, subject: String) -> Outcome {
        let mut waiter = match Self::start_or_join(&inner, &held, subject) {
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
        subject: String,
    ) -> Result<Outcome, watch::Receiver<Option<Outcome>>> {
        let Ok(runtime) = Handle::try_current() else { return Ok(Outcome::Unreachable) };
        if inner.registry.has_ended(&held.session) {
            return Ok(Outcome::Refused);
        }
        let now = unix_seconds(inner.clock.now());
        let mut table = inner.refreshes.lock();
        table.forget_old(now);
        let mut failures = 0;
        match table.entries.get(&held.session) {
            Some(Entry::Running { outcome, .. }) => return Err(outcome.clone()),
            Some(Entry::Fresh { tokens, .. }) if tokens.generation > held.generation => {
                return Ok(Outcome::Fresh(Arc::clone(tokens)));
            }
            // Sent once more, the provider could take it for stolen and end the newer ones too.
            Some(Entry::Spent { generation, .. }) if *generation > held.generation => return Ok(Outcome::Refused),
            Some(Entry::Refused { .. }) => return Ok(Outcome::Refused),
            Some(Entry::Unreachable { failures, at }) if now < at.saturating_add(pause(*failures)) => {
                return Ok(Outcome::Unreachable);
            }
            Some(Entry::Unreachable { failures: before, .. }) => failures = *before,
            Some(Entry::Fresh { .. } | Entry::Spent { .. }) | None => {}
        }
        if table.running >= MOST_RUNNING {
            return Ok(Outcome::Unreachable);
        }
        let (sender, receiver) = watch::channel(None);
        table.entries.insert(held.session, Entry::Running { outcome: receiver.clone(), failures });
        table.running += 1;
        drop(table);

        let end = End { inner: Arc::clone(inner), session: held.session, sender, outcome: Outcome::Unreachable };
        let span = tracing::info_span!("refresh", session = %LogId(&held.session));
        runtime.spawn(refresh(end, Arc::clone(held), subject).instrument(span));
        Err(receiver)
    }

    /// Newer tokens of this session than those of this generation, while they are remembered.
    pub(crate) fn newer(&self, session: &SessionId, generation: u64) -> Option<Arc<KeptTokens>> {
        match self.lock().entries.get(session) {
            Some(Entry::Fresh { tokens, .. }) if tokens.generation > generation => Some(Arc::clone(tokens)),
            _ => None,
        }
    }

    /// Ends the authorization behind the newest tokens of a session that has ended, in a task of its own. A refresh that is
    /// under way revokes what it brings.
    pub(crate) fn revoke(inner: &Arc<Inner>, held: KeptTokens) {
        let Ok(runtime) = Handle::try_current() else { return };
        let newest = {
            let mut table = inner.refreshes.lock();
            match table.entries.get(&held.session) {
                Some(Entry::Running { .. }) => return,
                Some(Entry::Fresh { tokens, .. }) if tokens.generation > held.generation => {
                    let tokens = Arc::clone(tokens);
                    table.spend(held.session, tokens.generation);
                    tokens
                }
                _ => Arc::new(held),
            }
        };
        let inner = Arc::clone(inner);
        let span = tracing::info_span!("revoke", session = %LogId(&newest.session));
        runtime.spawn(async move { revoke(&inner, &newest).await }.instrument(span));
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds to wait after this many failures in a row.
fn pause(failures: u32) -> u64 {
    1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

impl Table {
    fn forget_old(&mut self, now: u64) {
        while let Some(&(session, at)) = self.fresh.front() {
            if self.fresh.len() <= MOST_ENTRIES && now < at.saturating_add(FRESH_KEPT) {
                break;
            }
            self.fresh.pop_front();
            if let Some(entry) = self.entries.get_mut(&session)
                && let Entry::Fresh { tokens, at: fresh_at } = entry
                && *fresh_at == at
            {
                *entry = Entry::Spent { generation: tokens.generation, at };
            }
        }
        while let Some(&(session, at)) = self.order.front() {
            if self.order.len() <= MOST_ENTRIES && now < at.saturating_add(REMEMBERED) {
                break;
            }
            self.order.pop_front();
            if self.entries.get(&session).is_some_and(|entry| entry.ended_at() == Some(at)) {
                self.entries.remove(&session);
            }
        }
    }

    fn spend(&mut self, session: SessionId, spent: u64) {
        if let Some(entry) = self.entries.get_mut(&session)
            && let Some(at) = entry.ended_at()
        {
            *entry = Entry::Spent { generation: spent, at };
        }
    }

    fn end(&mut self, session: SessionId, outcome: &Outcome, now: u64) {
        self.running = self.running.saturating_sub(1);
        let failures = match self.entries.get(&session) {
            Some(Entry::Running { failures, .. }) => failures.saturating_add(1),
            _ => 1,
        };
        let entry = match outcome {
            Outcome::Fresh(tokens) => {
                self.fresh.push_back((session, now));
                Entry::Fresh { tokens: Arc::clone(tokens), at: now }
            }
            Outcome::Refused => Entry::Refused { at: now },
            Outcome::Unreachable => Entry::Unreachable { failures, at: now },
        };
        self.entries.insert(session, entry);
        self.order.push_back((session, now));
    }
}

impl Entry {
    fn ended_at(&self) -> Option<u64> {
        match self {
            Self::Running { .. } => None,
            Self::Fresh { at, .. } | Self::Spent { at, .. } | Self::Refused { at } | Self::Unreachable { at, .. } => {
                Some(*at)
            }
        }
    }
}

/// Records the end of a refresh when dropped, so that none runs for ever in the table, whatever becomes of its task.
struct End {
    inner: Arc<Inner>,
    session: SessionId,
    sender: watch::Sender<Option<Outcome>>,
    outcome: Outcome,
}

impl Drop for End {
    fn drop(&mut self) {
        let now = unix_seconds(self.inner.clock.now());
        self.inner.refreshes.lock().end(self.session, &self.outcome, now);
        if let Outcome::Refused = self.outcome {
            self.inner.registry.end(self.session, SessionEnd::Revoked);
        }
        self.sender.send_replace(Some(self.outcome.clone()));
    }
}

async fn refresh(mut end: End, held: Arc<KeptTokens>, subject: String) {
    let inner = Arc::clone(&end.inner);
    let context = Context::new(&*inner.http, inner.clock.now(), &inner.redirect.text);
    let answer = within_time(inner.provider.refresh(context, &subject, held.tokens()));
    match timed(Call::Refresh, answer).await {
        Ok(refreshed) => {
            let fresh = Arc::new(held.next(refreshed.tokens().clone(), unix_seconds(inner.clock.now())));
            tracing::debug!(generation = fresh.generation, "tokens refreshed");
            end.outcome = Outcome::Fresh(Arc::clone(&fresh));
            drop(end);
            if inner.registry.has_ended(&fresh.session) {
                revoke(&inner, &fresh).await;
            }
        }
        Err(error) if is_refusal(&error) => {
            tracing::info!(code = error.kind().code(), reason = error.reason(), "refresh refused; the session is over");
            end.outcome = Outcome::Refused;
        }
        Err(error) => {
            tracing::warn!(code = error.kind().code(), reason = error.reason(), "tokens could not be refreshed");
            drop(end);
            if inner.registry.has_ended(&held.session) {
                revoke(&inner, &held).await;
            }
        }
    }
}

/// Whether an error is the provider's word on these tokens, rather than on this site's own credentials or on the weather.
fn is_refusal(error: &Error) -> bool {
    use ErrorKind::{ClaimRequired, ExchangeRejected, NotVerified, OwnershipRequired};
    matches!(error.kind(), ExchangeRejected | NotVerified | ClaimRequired | OwnershipRequired)
}

/// As well as it can be had: nobody waits for it, and the session is over either way.
async fn revoke(inner: &Inner, tokens: &KeptTokens) {
    let context = Context::new(&*inner.http, inner.clock.now(), &inner.redirect.text);
    match timed(Call::Revoke, within_time(inner.provider.revoke(context, tokens.tokens()))).await {
        Ok(()) => tracing::debug!("tokens revoked"),
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        Err(error) => {
            tracing::warn!(code = error.kind().code(), reason = error.reason(), "tokens could not be revoked");
        }
    }
}

async fn within_time<T>(answer: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
    timeout(PROVIDER_TIME, answer).await.unwrap_or_else(|_| Err(ErrorKind::ProviderTimeout.into()))
}
