//! What is remembered of attempts.

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;

use super::{Outcome, StateHash};
use crate::clock::CLOCK_SKEW;
use crate::flow::FLOW_LIFETIME;
use crate::return_to::ReturnTo;
use crate::session::Fingerprint;

#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: HashMap<StateHash, Entry>,
    /// Every entry, oldest first, with the time it came.
    pub(super) order: VecDeque<(StateHash, u64)>,
    /// The entries that still hold an outcome, oldest first, with the time they ended.
    pub(super) outcomes: VecDeque<(StateHash, u64)>,
    /// How many run, by the place of their provider: one that hangs takes no other's along.
    running: Vec<usize>,
}

pub(super) struct Entry {
    pub(super) presented: Fingerprint,
    pub(super) return_to: ReturnTo,
    pub(super) progress: Progress,
}

pub(super) enum Progress {
    Running(watch::Receiver<Option<Outcome>>),
    Ended(Outcome),
    Spent,
}

/// At most this many attempts run at once at one provider.
pub(super) const MOST_RUNNING: usize = 64;
/// At most this many states are remembered.
pub(super) const MOST_ENTRIES: usize = 65_536;
/// A double of a callback gets the same outcome for this many seconds after the end.
pub(super) const OUTCOME_KEPT: u64 = 30;
/// A state is remembered until its flow is over on the clock of any node.
pub(super) const REMEMBERED: u64 = FLOW_LIFETIME + CLOCK_SKEW;

impl Table {
    pub(super) fn is_full(&self, provider: usize) -> bool {
        self.running.get(provider).is_some_and(|running| *running >= MOST_RUNNING)
    }

    pub(super) fn begun(&mut self, provider: usize) {
        if self.running.len() <= provider {
            self.running.resize(provider + 1, 0);
        }
        if let Some(running) = self.running.get_mut(provider) {
            *running += 1;
        }
    }

    pub(super) fn ended(&mut self, provider: usize) {
        if let Some(running) = self.running.get_mut(provider) {
            *running = running.saturating_sub(1);
        }
    }

    /// Drops outcomes that have been kept long enough, and states whose flows are over.
    pub(super) fn forget_old(&mut self, now: u64) {
        while let Some(&(state, ended)) = self.outcomes.front() {
            let is_kept = ended <= now && now < ended.saturating_add(OUTCOME_KEPT);
            if is_kept && self.outcomes.len() < MOST_ENTRIES {
                break;
            }
            self.outcomes.pop_front();
            if let Some(entry) =
                self.entries.get_mut(&state).filter(|entry| matches!(entry.progress, Progress::Ended(_)))
            {
                entry.progress = Progress::Spent;
            }
        }
        while let Some(&(state, came)) = self.order.front() {
            if now < came.saturating_add(REMEMBERED) || self.is_running(&state) {
                break;
            }
            self.order.pop_front();
            self.entries.remove(&state);
        }
    }

    /// Drops the oldest ended state when the table is full; only running ones stand before it.
    pub(super) fn make_room(&mut self) {
        if self.entries.len() < MOST_ENTRIES {
            return;
        }
        for _ in 0..=self.running.iter().sum() {
            let Some((state, came)) = self.order.pop_front() else { return };
            if self.is_running(&state) {
                self.order.push_back((state, came));
            } else {
                self.entries.remove(&state);
                return;
            }
        }
    }

    pub(super) fn is_running(&self, state: &StateHash) -> bool {
        self.entries.get(state).is_some_and(|entry| matches!(entry.progress, Progress::Running(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{hash, interrupted};
    use super::*;

    fn state(number: u64) -> StateHash {
        hash(&[&number.to_be_bytes()])
    }

    fn insert(table: &mut Table, number: u64, now: u64, progress: Progress) {
        let entry = Entry { presented: Fingerprint([0; 16]), return_to: ReturnTo::root(), progress };
        table.entries.insert(state(number), entry);
        table.order.push_back((state(number), now));
    }

    fn running() -> Progress {
        Progress::Running(watch::channel(None).1)
    }

    #[test]
    fn a_full_table_drops_the_oldest_that_ended_and_never_a_running_one() {
        let mut table = Table::default();
        insert(&mut table, 0, 0, running());
        table.begun(0);
        for number in 1..MOST_ENTRIES as u64 {
            insert(&mut table, number, 0, Progress::Spent);
        }
        table.make_room();
        assert_eq!(table.entries.len(), MOST_ENTRIES - 1);
        assert!(table.entries.contains_key(&state(0)), "it runs");
        assert!(!table.entries.contains_key(&state(1)), "the oldest that ended");
        assert!(table.entries.contains_key(&state(2)));
    }

    #[test]
    fn each_provider_has_room_of_its_own() {
        let mut table = Table::default();
        for _ in 0..MOST_RUNNING {
            assert!(!table.is_full(1));
            table.begun(1);
        }
        assert!(table.is_full(1) && !table.is_full(0));
        table.ended(1);
        table.ended(0);
        assert!(!table.is_full(1) && !table.is_full(0));
    }

    #[test]
    fn a_state_is_forgotten_once_its_flow_is_over_but_not_while_it_runs() {
        let mut table = Table::default();
        insert(&mut table, 0, 100, Progress::Spent);
        insert(&mut table, 1, 101, running());
        table.forget_old(100 + REMEMBERED - 1);
        assert_eq!(table.entries.len(), 2);
        table.forget_old(100 + REMEMBERED);
        assert!(!table.entries.contains_key(&state(0)));
        assert!(table.entries.contains_key(&state(1)), "it runs");
    }

    #[test]
    fn an_outcome_is_dropped_after_half_a_minute() {
        let mut table = Table::default();
        insert(&mut table, 0, 100, Progress::Ended(interrupted()));
        table.outcomes.push_back((state(0), 100));
        table.forget_old(100 + OUTCOME_KEPT - 1);
        assert!(matches!(table.entries[&state(0)].progress, Progress::Ended(_)));
        table.forget_old(100 + OUTCOME_KEPT);
        assert!(matches!(table.entries[&state(0)].progress, Progress::Spent));
    }

    #[test]
    fn fewer_outcomes_are_kept_than_states() {
        let mut table = Table::default();
        table.outcomes.extend((0..MOST_ENTRIES as u64).map(|number| (state(number), 100)));
        table.forget_old(100);
        assert_eq!(table.outcomes.len(), MOST_ENTRIES - 1);
    }

    #[test]
    fn an_outcome_is_dropped_when_the_clock_steps_back() {
        let mut table = Table::default();
        insert(&mut table, 0, 100, Progress::Ended(interrupted()));
        table.outcomes.push_back((state(0), 100));
        table.forget_old(99);
        assert!(matches!(table.entries[&state(0)].progress, Progress::Spent));
    }
}
