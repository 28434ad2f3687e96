//! What is remembered of refreshes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::Outcome;
use crate::session::SessionId;
use crate::session::tokens::KeptTokens;

#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: HashMap<SessionId, Entry>,
    /// What has ended, oldest first, with the time. An entry may have been replaced since.
    pub(super) order: VecDeque<(SessionId, u64)>,
    /// What still holds tokens, likewise.
    pub(super) fresh: VecDeque<(SessionId, u64)>,
    pub(super) running: usize,
}

pub(super) enum Entry {
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
pub(super) const MOST_RUNNING: usize = 256;
/// At most this many sessions are remembered.
pub(super) const MOST_ENTRIES: usize = 65_536;
/// Whoever comes with older tokens gets the newest for this many seconds: a response may have been lost on its way.
pub(super) const FRESH_KEPT: u64 = 60 * 60;
/// That a refresh token was spent is known for this many seconds, so that it is not sent again.
pub(super) const REMEMBERED: u64 = 24 * 60 * 60;

impl Table {
    pub(super) fn forget_old(&mut self, now: u64) {
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
    pub(super) fn spend(&mut self, spent: &KeptTokens) -> bool {
        match self.entries.get_mut(&spent.session) {
            Some(entry @ Entry::Fresh { .. }) if entry.generation() == spent.generation => {
                *entry = Entry::Spent { generation: spent.generation, at: entry.ended_at().unwrap_or_default() };
                true
            }
            _ => false,
        }
    }

    pub(super) fn end(&mut self, session: SessionId, outcome: &Outcome, now: u64) {
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
            // What is there no longer is not asked after again.
            Outcome::Refused | Outcome::Gone => Entry::Refused { generation, at: now },
            Outcome::Unreachable | Outcome::Superseded => Entry::Unreachable { generation, failures, at: now },
        };
        self.entries.insert(session, entry);
        self.order.push_back((session, now));
    }
}

impl Entry {
    /// The newest that is known to have been issued; after a refusal none counts any more.
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Fresh { tokens, .. } => tokens.generation,
            Self::Running { generation, .. }
            | Self::Spent { generation, .. }
            | Self::Unreachable { generation, .. } => *generation,
            Self::Refused { .. } => u64::MAX,
        }
    }

    pub(super) fn ended_at(&self) -> Option<u64> {
        match self {
            Self::Running { .. } => None,
            Self::Fresh { at, .. }
            | Self::Spent { at, .. }
            | Self::Refused { at, .. }
            | Self::Unreachable { at, .. } => Some(*at),
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
    fn a_fresh_pair_is_kept_for_an_hour_and_known_to_be_spent_for_a_day() {
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
    fn a_newer_pair_has_an_hour_of_its_own() {
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
}
