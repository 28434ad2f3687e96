//! In which groups of the store the list is: each entry is in one of two sorts.
//!
//! * Groups of some minutes, by the time of writing: each node reads those of its last refresh and since. They are short lived.
//! * Groups of twelve days: a node that starts, or has not looked for long, reads all that may hold an entry that counts.
//!
//! Their lengths are fixed, whatever a node's settings, and their names say nothing of anybody, so that all nodes of a site use
//! the same, also while its keys are changed.

use std::ops::RangeInclusive;

use super::MARGIN;
use crate::flow::attempt::hash;
use crate::session::store::SessionGroup;

/// A sort of groups: so many seconds each.
#[derive(Clone, Copy)]
pub(super) struct Length(u64);

pub(super) const RECENT: Length = Length(1 << 9);
pub(super) const WHOLE: Length = Length(1 << 20);

/// Whoever has looked within this many seconds reads the recent groups alone.
const RECENT_READ: u64 = 4 * RECENT.0;
/// So entries stay there for this long.
pub(super) const RECENT_KEPT: u64 = 2 * RECENT_READ;

impl Length {
    /// The one to write to now.
    pub(super) fn at(self, site: &str, now: u64) -> SessionGroup {
        self.group(site, now / self.0)
    }

    fn group(self, site: &str, index: u64) -> SessionGroup {
        let (length, index) = (self.0.to_be_bytes(), index.to_be_bytes());
        SessionGroup::new(hash(&[b"revocations", site.as_bytes(), &length, &index]))
    }

    fn within(self, from: u64, to: u64) -> RangeInclusive<u64> {
        from / self.0..=to / self.0
    }
}

/// What to read.
pub(super) struct Plan {
    /// Whether that is all there is.
    pub(super) is_whole: bool,
    length: Length,
    indices: RangeInclusive<u64>,
}

impl Plan {
    /// For a copy that was read last at `since`, if ever.
    pub(super) fn new(since: Option<u64>, now: u64, kept_for: u64) -> Self {
        let to = now.saturating_add(MARGIN);
        match since {
            Some(since) if since <= now && now - since < RECENT_READ => {
                Self { is_whole: false, length: RECENT, indices: RECENT.within(since.saturating_sub(MARGIN), to) }
            }
            _ => {
                let from = now.saturating_sub(kept_for).saturating_sub(MARGIN);
                Self { is_whole: true, length: WHOLE, indices: WHOLE.within(from, to) }
            }
        }
    }

    pub(super) fn groups(self, site: &str) -> impl Iterator<Item = SessionGroup> {
        self.indices.map(move |index| self.length.group(site, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn a_node_reads_what_another_writes_whatever_their_clocks() {
        for reader in (0..5000).map(|step| 1_788_739_200 + step) {
            for (behind, written) in [(0, reader), (60, reader - 60), (0, reader + 60), (5, reader - 5 - 60)] {
                let recent = Plan::new(Some(reader - behind), reader, DAY);
                assert!(!recent.is_whole && recent.indices.contains(&(written / RECENT.0)), "{reader} {written}");
                let whole = Plan::new(None, reader, DAY);
                assert!(whole.is_whole && whole.indices.contains(&(written / WHOLE.0)), "{reader} {written}");
            }
        }
    }

    #[test]
    fn few_groups_are_read() {
        let now = 1_788_739_200;
        let count = |since, kept_for| Plan::new(since, now, kept_for).groups("site").count();
        assert!((1..=2).contains(&count(Some(now - 4), DAY)));
        assert!((1..=3).contains(&count(Some(now - 600), DAY)));
        assert!((1..=2).contains(&count(None, DAY)));
        assert!((33..=35).contains(&count(None, 400 * DAY)));
    }

    #[test]
    fn who_has_not_looked_for_long_or_whose_clock_was_set_back_reads_all() {
        let now = 1_788_739_200;
        for (since, is_whole) in [
            (None, true),
            (Some(now), false),
            (Some(now + 1), true),
            (Some(now + 1 - RECENT_READ), false),
            (Some(now - RECENT_READ), true),
        ] {
            assert_eq!(Plan::new(since, now, DAY).is_whole, is_whole, "{since:?}");
        }
        const { assert!(RECENT_KEPT > RECENT_READ + 2 * MARGIN, "or it is gone before it was read") };
    }

    #[test]
    fn sites_and_sorts_do_not_meet() {
        let groups = [RECENT.group("a", 1), WHOLE.group("a", 1), RECENT.group("b", 1), RECENT.group("a", 2)];
        for (place, group) in groups.iter().enumerate() {
            assert!(!groups[..place].contains(group), "{place}");
        }
    }
}
