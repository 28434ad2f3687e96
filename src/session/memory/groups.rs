//! The groups of a memory store, in two orders: by group, and by end.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use super::super::store::{SessionGroup, SessionKey};

/// Each member of each group stands in both.
#[derive(Default)]
pub(super) struct Groups {
    members: HashMap<SessionGroup, HashMap<SessionKey, SystemTime>>,
    ends: BTreeSet<(SystemTime, [u8; 32], [u8; 32])>,
}

impl Groups {
    /// Whether somebody else, whose time has not come, had to go so that there are no more than `most`.
    pub(super) fn join(
        &mut self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
        now: SystemTime,
        most: usize,
    ) -> bool {
        self.drop_over(now);
        let before = self.members.get(&group).and_then(|members| members.get(&member)).copied();
        if until <= now || before.is_some_and(|before| until <= before) {
            return false;
        }
        self.leave(group, member);
        let is_full = self.ends.len() >= most;
        if is_full {
            self.drop_soonest();
        }
        self.members.entry(group).or_default().insert(member, until);
        self.ends.insert((until, *group.as_bytes(), *member.as_bytes()));
        is_full
    }

    pub(super) fn leave(&mut self, group: SessionGroup, member: SessionKey) {
        let Some(members) = self.members.get_mut(&group) else { return };
        if let Some(until) = members.remove(&member) {
            self.ends.remove(&(until, *group.as_bytes(), *member.as_bytes()));
        }
        if members.is_empty() {
            self.members.remove(&group);
        }
    }

    pub(super) fn members(&self, group: SessionGroup, now: SystemTime) -> Vec<SessionKey> {
        let members = self.members.get(&group).into_iter().flatten();
        members.filter(|(_, until)| now < **until).map(|(member, _)| *member).collect()
    }

    fn drop_over(&mut self, now: SystemTime) {
        while self.ends.first().is_some_and(|(until, ..)| *until <= now) {
            self.drop_soonest();
        }
    }

    fn drop_soonest(&mut self) {
        if let Some((_, group, member)) = self.ends.first().copied() {
            self.leave(SessionGroup::new(group), SessionKey::new(member));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn they_are_bounded_and_nothing_is_left_of_whom_they_lost() {
        let (mut groups, most) = (Groups::default(), 3);
        let (one, other) = (SessionGroup::new([1; 32]), SessionGroup::new([2; 32]));
        let key = |number| SessionKey::new([number; 32]);
        for (group, number, until) in [(one, 1, 100), (one, 2, 50), (other, 3, 200)] {
            assert!(!groups.join(group, key(number), at(until), at(0), most));
        }
        assert!(!groups.join(one, key(1), at(300), at(0), most), "it is there already");
        assert!(groups.join(other, key(4), at(400), at(0), most), "who ends soonest goes");
        assert_eq!((groups.members(one, at(0)), groups.members(other, at(0)).len()), (vec![key(1)], 2));
        assert!(!groups.join(other, key(5), at(500), at(250), most), "one of them is over");
        groups.leave(other, key(4));
        groups.leave(other, key(5));
        groups.leave(one, key(1));
        assert!(groups.members.is_empty() && groups.ends.is_empty());
    }
}
