//! What this node knows of the list.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use super::MARGIN;
use crate::session::store::SessionKey;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Names what is revoked: 192 bits under one of the keys.
pub(super) type Name = [u8; 24];

/// The sort of what is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Session = 1,
    Person = 2,
    ProviderSession = 4,
}

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: Name,
    pub(super) kind: Kind,
    /// When it was revoked.
    pub(super) at: u64,
}

/// Which sorts there are, so that nothing is named for a sort that is not there.
#[derive(Clone, Copy)]
pub(super) struct Kinds(u8);

/// Grows with what is revoked and has not run out: some 50 bytes for each, so 5 MiB for 100,000.
#[derive(Default)]
pub(super) struct LocalCopy {
    kinds: AtomicU8,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Name, Entry>,
    swept_at: u64,
    unwritten: usize,
}

struct Entry {
    at: u64,
    kind: Kind,
    /// Whether the store has it, as far as is known.
    is_written: bool,
}

/// What is over goes after this many seconds at the latest.
const BETWEEN_SWEEPS: u64 = 60;

impl Item {
    /// As it stands in a group of the store: the name, a byte for the sort, and the time in seven.
    pub(super) fn member(&self) -> SessionKey {
        let mut member = [0; 32];
        let (name, rest) = member.split_at_mut(size_of::<Name>());
        name.copy_from_slice(&self.name);
        let [_, time @ ..] = self.at.to_be_bytes();
        rest.copy_from_slice(&[&[self.kind as u8], &time[..]].concat());
        SessionKey::new(member)
    }

    /// `None` for another version's.
    pub(super) fn of(member: &SessionKey) -> Option<Self> {
        let (name, rest) = member.as_bytes().split_first_chunk()?;
        let (kind, time) = rest.split_first()?;
        let kind = [Kind::Session, Kind::Person, Kind::ProviderSession].into_iter().find(|it| *it as u8 == *kind)?;
        let mut at = [0; 8];
        at.get_mut(1..)?.copy_from_slice(time);
        Some(Self { name: *name, kind, at: u64::from_be_bytes(at) })
    }
}

impl Kinds {
    pub(super) const ALL: Self = Self(u8::MAX);

    pub(super) fn are_none(self) -> bool {
        self.0 == 0
    }

    pub(super) fn contain(self, kind: Kind) -> bool {
        self.0 & kind as u8 != 0
    }
}

impl LocalCopy {
    pub(super) fn kinds(&self) -> Kinds {
        Kinds(self.kinds.load(Ordering::Acquire))
    }

    /// Whether this is there. What ends a person's sessions leaves those that began afterwards.
    pub(super) fn has(&self, kind: Kind, name: &Name, authenticated_at: u64) -> bool {
        if !self.kinds().contain(kind) {
            return false;
        }
        let table = self.lock();
        table.entries.get(name).is_some_and(|entry| kind != Kind::Person || authenticated_at <= entry.at)
    }

    /// The latest time of these.
    pub(super) fn latest(&self, names: &[(Kind, Name)]) -> Option<u64> {
        let table = self.lock();
        names.iter().filter_map(|(_, name)| table.entries.get(name)).map(|entry| entry.at).max()
    }

    /// Adds what the store does not have. `false` where there is nothing to add.
    pub(super) fn add(&self, item: &Item) -> bool {
        let mut table = self.lock();
        let is_new = table.add(item, false);
        self.kinds.fetch_or(item.kind as u8, Ordering::Release);
        is_new
    }

    /// Adds what the store has: in a group that a new node will read, or in one that is read by those that are there.
    pub(super) fn absorb(&self, members: &[SessionKey], is_whole: bool) {
        let mut table = self.lock();
        for item in members.iter().filter_map(Item::of) {
            table.add(&item, true);
            if is_whole {
                table.written(&item);
            }
            self.kinds.fetch_or(item.kind as u8, Ordering::Release);
        }
    }

    /// Drops what is over.
    pub(super) fn sweep(&self, now: u64, kept_for: u64) {
        let mut table = self.lock();
        if now.abs_diff(table.swept_at) < BETWEEN_SWEEPS {
            return;
        }
        table.swept_at = now;
        // As long again as clocks may differ: the store may still have it.
        table.entries.retain(|_, entry| now < entry.at.saturating_add(kept_for).saturating_add(MARGIN));
        let left = table.entries.len();
        table.entries.shrink_to(2 * left);
        table.unwritten = table.entries.values().filter(|entry| !entry.is_written).count();
        let kinds = table.entries.values().fold(0, |kinds, entry| kinds | entry.kind as u8);
        self.kinds.store(kinds, Ordering::Release);
    }

    /// The store has lost it all.
    pub(super) fn forget_written(&self) {
        let mut table = self.lock();
        for entry in table.entries.values_mut() {
            entry.is_written = false;
        }
        table.unwritten = table.entries.len();
    }

    /// Some of what the store does not have.
    pub(super) fn unwritten(&self, most: usize) -> Vec<Item> {
        let table = self.lock();
        if table.unwritten == 0 {
            return Vec::new();
        }
        let unwritten = table.entries.iter().filter(|(_, entry)| !entry.is_written);
        unwritten.map(|(name, entry)| Item { name: *name, kind: entry.kind, at: entry.at }).take(most).collect()
    }

    /// The store has it.
    pub(super) fn written(&self, item: &Item) {
        self.lock().written(item);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whether it was not there, or only with an earlier time that matters.
    fn add(&mut self, item: &Item, is_written: bool) -> bool {
        match self.entries.entry(item.name) {
            Place::Vacant(place) => {
                place.insert(Entry { at: item.at, kind: item.kind, is_written });
            }
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                // A session that is over can't end again.
                let is_over = item.kind != Kind::Person || item.at <= entry.at;
                if is_over && (is_written || entry.is_written) {
                    return false;
                }
                self.unwritten -= usize::from(!entry.is_written);
                *entry = Entry { at: item.at.max(entry.at), kind: item.kind, is_written };
            }
        }
        self.unwritten += usize::from(!is_written);
        true
    }

    fn written(&mut self, item: &Item) {
        if let Some(entry) = self.entries.get_mut(&item.name)
            && entry.at == item.at
            && !entry.is_written
        {
            entry.is_written = true;
            self.unwritten -= 1;
        }
    }
}
