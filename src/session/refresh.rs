//! Refreshing tokens: once for each pair, however many requests ask, and in a task of its own, since a new pair must not be
//! lost with the request that asked for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tracing::Instrument as _;

use super::calls::{is_refusal, pause, within_time};
use super::registry::SessionEnd;
use super::tokens::KeptTokens;
use super::{LogId, SessionId};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::ErrorKind;
use crate::provider::Context;
use crate::telemetry::{Call, timed};

/// How a refresh ended, shared by every request that waits for it.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// The newest tokens.
    Fresh(Arc<KeptTokens>),
    /// The provider stands by the session no longer. It is over.
    Refused,
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
        generation: u64,
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
        generation: u64,
        at: u64,
    },
    Unreachable {
        generation: u64,
        failures: u32,
        at: u64,
    },
}

/// At most this many run at once; whoever comes then goes on with what they have.
const MOST_RUNNING: usize = 256;
/// At most this many sessions are remembered.
const MOST_ENTRIES: usize = 65_536;
/// Whoever comes with older tokens gets the newest for this many seconds: a response may have been lost on its way.
const FRESH_KEPT: u64 = 60 * 60;
/// That a refresh token was spent is known for this many seconds, so that it is not sent again.
const REMEMBERED: u64 = 24 * 60 * 60;
/// At most this many pairs are being revoked at once; what is more is left to end by itself.
const MOST_REVOKING: usize = 256;

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

        let end = End { inner: Arc::clone(inner), session: held.session, sender, outcome: Outcome::Unreachable };
        let span = tracing::info_span!("refresh", session = %LogId(&held.session));
        runtime.spawn(refresh(end, Arc::clone(held), subject).instrument(span));
        Err(receiver)
    }

    /// The newest tokens of the same session; `None` where there are newer ones that only the browser has.
    pub(crate) fn newest_known(&self, held: Arc<KeptTokens>) -> Option<Arc<KeptTokens>> {
        match self.lock().entries.get(&held.session) {
            Some(Entry::Fresh { tokens, .. }) if tokens.generation > held.generation => Some(Arc::clone(tokens)),
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

    /// Whether these tokens are being replaced, or have been.
    pub(crate) fn has_moved_on(&self, held: &KeptTokens) -> bool {
        match self.lock().entries.get(&held.session) {
            None => false,
            Some(Entry::Running { .. }) => true,
            Some(entry) => entry.generation() > held.generation,
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
                Some(Entry::Fresh { tokens, .. }) if tokens.generation >= held.generation => {
                    let tokens = Arc::clone(tokens);
                    table.spend(&tokens);
                    tokens
                }
                // A thief's copy was refused; this newer pair was not.
                Some(Entry::Refused { generation, .. }) if *generation < held.generation => Arc::new(held),
                // Dead at the provider already.
                Some(entry) if entry.generation() > held.generation => return,
                _ => Arc::new(held),
            }
        };
        let inner = Arc::clone(inner);
        let span = tracing::info_span!("revoke", session = %LogId(&newest.session));
        runtime.spawn(async move { revoke(&inner, &newest).await }.instrument(span));
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Forgets these tokens, and tells whether they were there: each pair is revoked once.
    fn spend(&mut self, spent: &KeptTokens) -> bool {
        match self.entries.get_mut(&spent.session) {
            Some(entry @ Entry::Fresh { .. }) if entry.generation() == spent.generation => {
                *entry = Entry::Spent { generation: spent.generation, at: entry.ended_at().unwrap_or_default() };
                true
            }
            _ => false,
        }
    }

    fn end(&mut self, session: SessionId, outcome: &Outcome, now: u64) {
        self.running = self.running.saturating_sub(1);
        let (generation, failures) = match self.entries.get(&session) {
            Some(Entry::Running { generation, failures, .. }) => (*generation, failures.saturating_add(1)),
            _ => (0, 1),
        };
        let entry = match outcome {
            Outcome::Fresh(tokens) => {
                self.fresh.push_back((session, now));
                Entry::Fresh { tokens: Arc::clone(tokens), at: now }
            }
            Outcome::Refused => Entry::Refused { generation, at: now },
            Outcome::Unreachable | Outcome::Superseded => Entry::Unreachable { generation, failures, at: now },
        };
        self.entries.insert(session, entry);
        self.order.push_back((session, now));
    }
}

impl Entry {
    /// The newest that is known to have been issued; after a refusal none counts any more.
    fn generation(&self) -> u64 {
        match self {
            Self::Fresh { tokens, .. } => tokens.generation,
            Self::Running { generation, .. }
            | Self::Spent { generation, .. }
            | Self::Unreachable { generation, .. } => *generation,
            Self::Refused { .. } => u64::MAX,
        }
    }

    fn ended_at(&self) -> Option<u64> {
        match self {
            Self::Running { .. } => None,
            Self::Fresh { at, .. }
            | Self::Spent { at, .. }
            | Self::Refused { at, .. }
            | Self::Unreachable { at, .. } => Some(*at),
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
            if is_signed_out(&inner, &fresh.session) && inner.refreshes.lock().spend(&fresh) {
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
            if is_signed_out(&inner, &held.session) {
                revoke(&inner, &held).await;
            }
        }
    }
}

/// A provider may end more than these tokens when they are revoked, so that is for whoever asked for it.
fn is_signed_out(inner: &Inner, session: &SessionId) -> bool {
    inner.registry.end_of(session) == Some(SessionEnd::SignedOut)
}

/// As well as it can be had: nobody waits for it, and the session is over either way.
async fn revoke(inner: &Inner, tokens: &KeptTokens) {
    let Ok(_permit) = inner.refreshes.revoking.try_acquire() else {
        tracing::warn!("too many tokens are being revoked; these are left to end by themselves");
        return;
    };
    let context = Context::new(&*inner.http, inner.clock.now(), &inner.redirect.text);
    match timed(Call::Revoke, within_time(inner.provider.revoke(context, tokens.tokens()))).await {
        Ok(()) => tracing::debug!("tokens revoked"),
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        Err(error) => {
            tracing::warn!(code = error.kind().code(), reason = error.reason(), "tokens could not be revoked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::token::Tokens;

    fn session(number: usize) -> SessionId {
        u128::try_from(number).unwrap().to_be_bytes()
    }

    /// The pair of this generation.
    fn pair(session: SessionId, generation: u64) -> Arc<KeptTokens> {
        let first = KeptTokens::first(session, Tokens::new("access").with_refresh_token("refresh"), 0);
        Arc::new((1..generation).fold(first, |pair, _| pair.next(Tokens::new("newer"), 0)))
    }

    fn fresh(session: SessionId, generation: u64) -> Outcome {
        Outcome::Fresh(pair(session, generation))
    }

    fn run(table: &mut Table, session: SessionId, generation: u64, failures: u32) {
        let outcome = watch::channel(None).1;
        table.entries.insert(session, Entry::Running { outcome, generation, failures });
        table.running += 1;
    }

    fn is_fresh(table: &Table, session: &SessionId) -> bool {
        matches!(table.entries.get(session), Some(Entry::Fresh { .. }))
    }

    #[test]
    fn a_fresh_pair_is_kept_for_a_minute_and_known_to_be_spent_for_an_hour() {
        let mut table = Table::default();
        let id = session(1);
        run(&mut table, id, 1, 0);
        table.end(id, &fresh(id, 2), 1000);
        table.forget_old(1000 + FRESH_KEPT - 1);
        assert!(is_fresh(&table, &id));
        table.forget_old(1000 + FRESH_KEPT);
        assert!(matches!(table.entries.get(&id), Some(Entry::Spent { generation: 2, at: 1000 })));
        assert!(table.fresh.is_empty());
        table.forget_old(1000 + REMEMBERED - 1);
        assert!(table.entries.contains_key(&id));
        table.forget_old(1000 + REMEMBERED);
        assert!(table.entries.is_empty() && table.order.is_empty());
    }

    #[test]
    fn a_newer_pair_has_a_minute_of_its_own() {
        let mut table = Table::default();
        let id = session(1);
        table.end(id, &fresh(id, 2), 1000);
        run(&mut table, id, 2, 0);
        table.end(id, &fresh(id, 3), 1030);
        table.forget_old(1030 + FRESH_KEPT - 1);
        assert!(is_fresh(&table, &id));
        table.forget_old(1030 + FRESH_KEPT);
        assert!(matches!(table.entries.get(&id), Some(Entry::Spent { generation: 3, .. })));
        table.forget_old(1000 + REMEMBERED);
        assert!(table.entries.contains_key(&id), "the older record is not its own");
    }

    #[test]
    fn a_pair_is_spent_once() {
        let mut table = Table::default();
        let id = session(1);
        table.end(id, &fresh(id, 2), 1000);
        assert!(!table.spend(&pair(id, 1)) && !table.spend(&pair(id, 3)) && !table.spend(&pair(session(2), 2)));
        assert!(is_fresh(&table, &id));
        assert!(table.spend(&pair(id, 2)));
        assert!(!table.spend(&pair(id, 2)));
        assert!(matches!(table.entries.get(&id), Some(Entry::Spent { generation: 2, at: 1000 })));
    }

    #[test]
    fn what_runs_is_never_dropped() {
        let mut table = Table::default();
        let id = session(0);
        table.end(id, &Outcome::Unreachable, 1000);
        run(&mut table, id, 1, 1);
        table.forget_old(1000 + REMEMBERED);
        for number in 1..=MOST_ENTRIES + 1 {
            table.end(session(number), &Outcome::Refused, 1000 + REMEMBERED);
        }
        table.forget_old(1000 + 2 * REMEMBERED);
        assert!(matches!(table.entries.get(&id), Some(Entry::Running { .. })));
        assert_eq!((table.entries.len(), table.order.len()), (1, 0));
        table.end(id, &Outcome::Unreachable, 9000);
        assert!(matches!(table.entries.get(&id), Some(Entry::Unreachable { generation: 1, failures: 2, at: 9000 })));
        assert_eq!(table.running, 0);
    }

    #[test]
    fn is_bounded_and_the_newest_stay() {
        let mut table = Table::default();
        for number in 0..MOST_ENTRIES + 1000 {
            table.forget_old(1000);
            let id = session(number);
            match number % 3 {
                0 => table.end(id, &fresh(id, 2), 1000),
                1 => table.end(id, &Outcome::Unreachable, 1000),
                _ => table.end(id, &Outcome::Refused, 1000),
            }
        }
        table.forget_old(1000);
        assert_eq!((table.entries.len(), table.order.len()), (MOST_ENTRIES, MOST_ENTRIES));
        assert!(!table.entries.contains_key(&session(999)) && table.entries.contains_key(&session(1000)));
        for number in 0..2 * MOST_ENTRIES {
            table.forget_old(1000);
            let id = session(number);
            table.end(id, &fresh(id, 2), 1000);
        }
        table.forget_old(1000);
        assert_eq!(
            (table.fresh.len(), table.entries.len(), table.order.len()),
            (MOST_ENTRIES, MOST_ENTRIES, MOST_ENTRIES)
        );
    }

    /// A pair that were dropped then would be lost.
    #[test]
    fn a_clock_that_steps_back_drops_nothing() {
        let mut table = Table::default();
        let id = session(1);
        table.end(id, &fresh(id, 2), 10_000);
        table.forget_old(10);
        assert!(is_fresh(&table, &id));
        table.end(session(2), &Outcome::Refused, 20);
        table.forget_old(20 + REMEMBERED);
        assert!(table.entries.contains_key(&session(2)), "it stands behind what came before");
        table.forget_old(10_000 + REMEMBERED);
        assert!(table.entries.is_empty());
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<_> = (0..10).map(pause).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!([64, 65, u32::MAX].map(pause), [60; 3]);
    }
}
