//! The sessions of a memory store, in three orders: by key, by end, and by last use. Nothing here takes longer than
//! logarithmic time, but for growing beyond what was reserved.

use std::hash::{BuildHasher as _, RandomState};
use std::time::SystemTime;

use super::super::store::{SessionKey, SessionRecord};

pub(super) struct Table {
    capacity: usize,
    hasher: RandomState,
    /// Where the chain of each bucket begins; a power of two of them.
    buckets: Vec<Place>,
    slots: Vec<Option<Slot>>,
    vacant: Vec<Place>,
    /// A binary heap, the soonest end first. Every session stands in it once.
    ends: Vec<Place>,
    /// The ends of the list by last use.
    newest: Place,
    oldest: Place,
}

/// Where a session stands in `slots`.
type Place = u32;

/// Where a list ends; no slot has this place.
const NOWHERE: Place = Place::MAX;

pub(super) const MOST: usize = NOWHERE as usize - 1;

/// Room for so many sessions is reserved at the start, so that with the default capacity no request waits until a table has
/// grown. It takes address space, and memory once it is used.
const RESERVED: usize = 100_000;

/// How many sessions that are over a new one drops. It is more than one, so that they become fewer.
const DROPPED_AT_CREATE: usize = 2;

struct Slot {
    key: SessionKey,
    record: SessionRecord,
    newer: Place,
    older: Place,
    next_in_bucket: Place,
    /// Where it stands in `ends`.
    end: Place,
}

/// What became of a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Created {
    /// There is one with this key.
    Taken,
    Free,
    /// The table was full, and a session that was not over went.
    Evicting,
}

impl Table {
    pub(super) fn new(capacity: usize) -> Self {
        let reserved = capacity.min(RESERVED);
        Self {
            capacity,
            hasher: RandomState::new(),
            buckets: vec![NOWHERE; reserved.next_power_of_two()],
            slots: Vec::with_capacity(reserved),
            vacant: Vec::new(),
            ends: Vec::with_capacity(reserved),
            newest: NOWHERE,
            oldest: NOWHERE,
        }
    }

    pub(super) fn create(&mut self, key: SessionKey, record: SessionRecord, now: SystemTime) -> Created {
        if self.find(&key, now).is_some() {
            return Created::Taken;
        }
        for _ in 0..DROPPED_AT_CREATE {
            match self.soonest_end() {
                Some((place, end)) if now >= end => self.remove(place),
                _ => break,
            }
        }
        let is_full = self.ends.len() >= self.capacity;
        if is_full {
            self.remove(self.oldest);
        }
        self.insert(key, record);
        if is_full { Created::Evicting } else { Created::Free }
    }

    pub(super) fn load(&mut self, key: &SessionKey, now: SystemTime) -> Option<SessionRecord> {
        let place = self.find(key, now)?;
        self.mark_used(place);
        self.slot(place).map(|slot| slot.record.clone())
    }

    pub(super) fn update(&mut self, key: &SessionKey, record: SessionRecord, now: SystemTime) -> bool {
        let before = record.generation().checked_sub(1);
        self.change(key, now, |slot| {
            let is_next = before == Some(slot.record.generation());
            if is_next {
                slot.record = record;
            }
            is_next
        })
    }

    pub(super) fn touch(&mut self, key: &SessionKey, expires_at: SystemTime, now: SystemTime) -> bool {
        self.change(key, now, |slot| {
            slot.record.extend(expires_at);
            true
        })
    }

    pub(super) fn delete(&mut self, key: &SessionKey) {
        if let Some(place) = self.place(key) {
            self.remove(place);
        }
    }

    /// Where a session is that is not over; one that is over is dropped.
    fn find(&mut self, key: &SessionKey, now: SystemTime) -> Option<Place> {
        let place = self.place(key)?;
        if self.slot(place)?.record.is_over(now) {
            self.remove(place);
            return None;
        }
        Some(place)
    }

    /// Changes a session, and puts it where it belongs now.
    fn change(&mut self, key: &SessionKey, now: SystemTime, change: impl FnOnce(&mut Slot) -> bool) -> bool {
        let Some(place) = self.find(key, now) else { return false };
        let Some(slot) = self.slot_mut(place) else { return false };
        let is_changed = change(slot);
        let end = slot.end;
        self.settle(end as usize);
        self.mark_used(place);
        is_changed
    }

    fn insert(&mut self, key: SessionKey, record: SessionRecord) {
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            as_place(self.slots.len() - 1)
        });
        if let Some(vacant) = self.slots.get_mut(place as usize) {
            let (newer, older, next_in_bucket) = (NOWHERE, NOWHERE, NOWHERE);
            *vacant = Some(Slot { key, record, newer, older, next_in_bucket, end: as_place(self.ends.len()) });
        }
        self.ends.push(place);
        self.settle(self.ends.len() - 1);
        self.link_newest(place);
        self.chain(place);
    }

    fn remove(&mut self, place: Place) {
        let Some(end) = self.slot(place).map(|slot| slot.end as usize) else { return };
        self.unchain(place);
        self.unlink(place);
        self.swap_ends(end, self.ends.len() - 1);
        self.ends.pop();
        self.settle(end);
        if let Some(slot) = self.slots.get_mut(place as usize) {
            *slot = None;
        }
        self.vacant.push(place);
    }

    fn slot(&self, place: Place) -> Option<&Slot> {
        self.slots.get(place as usize)?.as_ref()
    }

    fn slot_mut(&mut self, place: Place) -> Option<&mut Slot> {
        self.slots.get_mut(place as usize)?.as_mut()
    }
}

/// The order by key: a hash table whose buckets are lists through the slots. Unlike the standard one it never has to be
/// built anew because much was removed, which would hold up a request now and then.
impl Table {
    fn place(&self, key: &SessionKey) -> Option<Place> {
        let mut place = *self.buckets.get(self.bucket(key))?;
        loop {
            let slot = self.slot(place)?;
            if slot.key == *key {
                return Some(place);
            }
            place = slot.next_in_bucket;
        }
    }

    fn chain(&mut self, place: Place) {
        if self.ends.len() > self.buckets.len() {
            self.buckets = vec![NOWHERE; self.buckets.len() * 2];
            for at in 0..self.slots.len() {
                self.chain_first(as_place(at));
            }
        } else {
            self.chain_first(place);
        }
    }

    fn chain_first(&mut self, place: Place) {
        let Some(bucket) = self.slot(place).map(|slot| self.bucket(&slot.key)) else { return };
        let Some(first) = self.buckets.get_mut(bucket) else { return };
        let next = std::mem::replace(first, place);
        if let Some(slot) = self.slot_mut(place) {
            slot.next_in_bucket = next;
        }
    }

    fn unchain(&mut self, place: Place) {
        let Some((bucket, next)) = self.slot(place).map(|slot| (self.bucket(&slot.key), slot.next_in_bucket)) else {
            return;
        };
        let Some(first) = self.buckets.get_mut(bucket) else { return };
        if *first == place {
            *first = next;
            return;
        }
        let mut before = *first;
        while let Some(slot) = self.slot_mut(before) {
            if slot.next_in_bucket == place {
                slot.next_in_bucket = next;
                return;
            }
            before = slot.next_in_bucket;
        }
    }

    fn bucket(&self, key: &SessionKey) -> usize {
        // The buckets are a power of two, so the lowest bits of the hash choose one.
        self.hasher.hash_one(key) as usize & (self.buckets.len() - 1)
    }
}

/// The order by last use: a list through the slots.
impl Table {
    fn mark_used(&mut self, place: Place) {
        if place != self.newest {
            self.unlink(place);
            self.link_newest(place);
        }
    }

    fn unlink(&mut self, place: Place) {
        let Some((newer, older)) = self.slot(place).map(|slot| (slot.newer, slot.older)) else { return };
        match self.slot_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slot_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, place: Place) {
        let older = self.newest;
        match self.slot_mut(older) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
        if let Some(slot) = self.slot_mut(place) {
            (slot.newer, slot.older) = (NOWHERE, older);
        }
        self.newest = place;
    }
}

/// The order by end: a binary heap whose slots know where they stand in it.
impl Table {
    fn soonest_end(&self) -> Option<(Place, SystemTime)> {
        Some((*self.ends.first()?, self.end_at(0)?))
    }

    /// Moves what stands here up or down to where it belongs.
    fn settle(&mut self, mut at: usize) {
        while let Some(parent) = at.checked_sub(1).map(|before| before / 2)
            && self.ends_sooner(at, parent)
        {
            self.swap_ends(at, parent);
            at = parent;
        }
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let child = if self.ends_sooner(right, left) { right } else { left };
            if !self.ends_sooner(child, at) {
                return;
            }
            self.swap_ends(at, child);
            at = child;
        }
    }

    /// Beyond the heap nothing ends sooner.
    fn ends_sooner(&self, one: usize, other: usize) -> bool {
        self.end_at(one).zip(self.end_at(other)).is_some_and(|(one, other)| one < other)
    }

    fn end_at(&self, at: usize) -> Option<SystemTime> {
        self.slot(*self.ends.get(at)?).map(|slot| slot.record.expires_at())
    }

    fn swap_ends(&mut self, one: usize, other: usize) {
        if one.max(other) < self.ends.len() {
            self.ends.swap(one, other);
        }
        for at in [one, other] {
            if let Some(&place) = self.ends.get(at)
                && let Some(slot) = self.slot_mut(place)
            {
                slot.end = as_place(at);
            }
        }
    }
}

/// The table never holds more than [`MOST`].
fn as_place(index: usize) -> Place {
    Place::try_from(index).unwrap_or(NOWHERE)
}

#[cfg(test)]
mod tests;
