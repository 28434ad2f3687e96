//! Groups, one step after the other and many at once.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::{Fixture, at_once, group, key};
use crate::session::store::{SessionGroup, SessionKey, SessionRecord};

/// Who joins is a member until the time has come, and at that very time no longer.
pub async fn who_joins_is_a_member_until_the_time_has_come(fixture: Fixture) {
    assert_eq!(fixture.members(group(1)).await, [], "a group that nobody has joined");
    fixture.join(group(1), key(1), fixture.after(2)).await;
    fixture.join(group(1), key(2), fixture.after(1000)).await;
    assert_eq!(fixture.members(group(1)).await, [key(1), key(2)]);
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, [key(1), key(2)]);
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, [key(2)], "at the very time");
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, [key(2)]);
}

/// Who joins until a time that has been is no member, and no less a member than before.
pub async fn a_time_that_has_been_changes_nothing(fixture: Fixture) {
    fixture.join(group(1), key(9), fixture.after(1000)).await;
    for (number, until) in [(1, UNIX_EPOCH), (2, UNIX_EPOCH + Duration::from_secs(1)), (3, fixture.after(0))] {
        fixture.join(group(1), key(number), until).await;
        fixture.join(group(1), key(9), until).await;
        fixture.join(group(2), key(number), until).await;
        assert_eq!(fixture.members(group(1)).await, [key(9)], "{number}");
        assert_eq!(fixture.members(group(2)).await, [], "{number}");
    }
}

/// Who joins again stays for longer, never for shorter, and is given once.
pub async fn joining_again_moves_the_time_later_and_never_earlier(fixture: Fixture) {
    fixture.join(group(1), key(1), fixture.after(2)).await;
    fixture.join(group(1), key(1), fixture.after(4)).await;
    for (name, until) in [("earlier", fixture.after(3)), ("the same", fixture.after(4)), ("at once", fixture.after(0))]
    {
        fixture.join(group(1), key(1), until).await;
        assert_eq!(fixture.members(group(1)).await, [key(1)], "{name}");
    }
    fixture.pass(3).await;
    assert_eq!(fixture.members(group(1)).await, [key(1)], "beyond the time it had at first");
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, [], "no later than it was said");
}

/// Who leaves is no member of this group, and of others still. To leave as nobody is no error.
pub async fn who_leaves_is_no_member(fixture: Fixture) {
    let until = fixture.after(1000);
    fixture.leave(group(1), key(1)).await;
    for number in [1, 2] {
        fixture.join(group(number), key(1), until).await;
        fixture.join(group(number), key(2), until).await;
    }
    for _ in 0..2 {
        fixture.leave(group(1), key(1)).await;
        assert_eq!(fixture.members(group(1)).await, [key(2)]);
    }
    fixture.leave(group(1), key(3)).await;
    fixture.leave(group(3), key(2)).await;
    assert_eq!(fixture.members(group(1)).await, [key(2)]);
    assert_eq!(fixture.members(group(2)).await, [key(1), key(2)]);
    fixture.leave(group(1), key(2)).await;
    assert_eq!(fixture.members(group(1)).await, []);
}

/// Who has left may join again, and for a shorter time than before.
pub async fn who_has_left_may_join_again(fixture: Fixture) {
    fixture.join(group(1), key(1), fixture.after(1000)).await;
    fixture.leave(group(1), key(1)).await;
    fixture.join(group(1), key(1), fixture.after(1)).await;
    assert_eq!(fixture.members(group(1)).await, [key(1)]);
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, [], "nothing is left of the longer time");
}

/// A group whose members are all over is as one that nobody has joined.
pub async fn a_group_whose_members_are_all_over_is_as_none(fixture: Fixture) {
    for number in [1, 2, 4] {
        fixture.join(group(1), key(number), fixture.after(1)).await;
    }
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, []);
    fixture.leave(group(1), key(1)).await;
    fixture.join(group(1), key(2), fixture.after(1000)).await;
    fixture.join(group(1), key(3), fixture.after(1000)).await;
    assert_eq!(fixture.members(group(1)).await, [key(2), key(3)]);
}

/// A group needs no session and makes none: what becomes of records does nothing to it, nor it to them, not even where key and
/// group have the same bytes.
pub async fn groups_and_sessions_leave_each_other_alone(fixture: Fixture) {
    let (named_alike, until) = (SessionGroup::new(*key(1).as_bytes()), fixture.after(1000));
    fixture.join(named_alike, key(1), until).await;
    fixture.join(named_alike, key(2), until).await;
    assert_eq!(fixture.load(key(1)).await, None, "to join makes no session");
    let record = fixture.record("alice");
    assert!(fixture.create(key(1), &record).await, "to join takes no key");
    assert_eq!(fixture.members(named_alike).await, [key(1), key(2)]);

    fixture.leave(named_alike, key(1)).await;
    assert_eq!(fixture.load(key(1)).await, Some(record), "to leave ends no session");
    fixture.join(named_alike, key(1), until).await;
    for number in [1, 2] {
        fixture.delete(key(number)).await;
    }
    assert_eq!(fixture.members(named_alike).await, [key(1), key(2)], "a delete takes nobody out");

    let short = SessionRecord::new(*b"short", 0, fixture.after(1));
    assert!(fixture.create(key(2), &short).await);
    fixture.pass(1).await;
    assert_eq!(fixture.members(named_alike).await, [key(1), key(2)], "the end of a session takes nobody out");
}

/// Every bit of a group and of a member counts.
pub async fn groups_and_members_differ_in_every_bit(fixture: Fixture) {
    let (zero, until) = ([0; 32], fixture.after(1000));
    let bits = || {
        (0..256_usize).map(|bit| {
            let mut bytes = zero;
            bytes[bit / 8] = 1 << (bit % 8);
            bytes
        })
    };
    fixture.join(SessionGroup::new(zero), SessionKey::new(zero), until).await;
    for bytes in bits() {
        fixture.join(SessionGroup::new(zero), SessionKey::new(bytes), until).await;
        fixture.join(SessionGroup::new(bytes), SessionKey::new(bytes), until).await;
    }
    fixture.leave(SessionGroup::new(zero), SessionKey::new(zero)).await;
    let mut keys: Vec<_> = bits().map(SessionKey::new).collect();
    keys.sort_unstable_by_key(|key| *key.as_bytes());
    assert!(fixture.members(SessionGroup::new(zero)).await == keys, "members");
    for (bit, bytes) in bits().enumerate() {
        assert!(fixture.members(SessionGroup::new(bytes)).await == [SessionKey::new(bytes)], "group, bit {bit}");
    }
}

/// A group of a thousand is given whole.
pub async fn a_large_group_is_given_whole(fixture: Fixture) {
    let until = fixture.after(1000);
    let mut members: Vec<_> = (0..1000_u32)
        .map(|number| {
            let mut bytes = [0xc4; 32];
            // Bytes in no order, so that none comes of how they are made.
            bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
            SessionKey::new(bytes)
        })
        .collect();
    for member in &members {
        fixture.join(group(1), *member, until).await;
    }
    members.sort_unstable_by_key(|member| *member.as_bytes());
    assert!(fixture.members(group(1)).await == members);
}

/// A time in 100 years is a time.
pub async fn a_far_time_is_a_time(fixture: Fixture) {
    for (number, days) in [(1, 400), (2, 36_500)] {
        fixture.join(group(1), key(number), fixture.after(0) + Duration::from_secs(days * 24 * 60 * 60)).await;
    }
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, [key(1), key(2)]);
}

/// A clock that steps back takes nobody out and shortens nothing. Left out where the clock can't be set.
pub async fn a_clock_that_steps_back_takes_nobody_out(fixture: Fixture) {
    let Some(step_back) = &fixture.step_back else { return };
    fixture.join(group(1), key(1), fixture.after(10)).await;
    fixture.pass(5).await;
    step_back(fixture.tick * 20);
    assert_eq!(fixture.members(group(1)).await, [key(1)], "before it joined");
    fixture.join(group(1), key(1), fixture.after(20)).await;
    fixture.pass(24).await;
    assert_eq!(fixture.members(group(1)).await, [key(1)], "a time reckoned by such a clock is earlier");
    fixture.pass(1).await;
    assert_eq!(fixture.members(group(1)).await, []);
}

/// Many who join at once are all there.
pub async fn of_many_who_join_all_are_there(fixture: Fixture) {
    let until = fixture.after(1000);
    for round in 0..20 {
        at_once(16, |task| {
            let store = Arc::clone(&fixture.store);
            async move { store.join(group(round), key(task), until).await.expect("join") }
        })
        .await;
        let everybody: Vec<_> = (0..16).map(key).collect();
        assert_eq!(fixture.members(group(round)).await, everybody, "round {round}");
    }
}

/// Who joins and who leaves at once do not undo each other, and who asks meanwhile is given whom nobody moved.
pub async fn joins_and_leaves_at_once_all_hold(fixture: Fixture) {
    let until = fixture.after(1000);
    for round in 0..20 {
        for number in (0..16).step_by(2).chain([100]) {
            fixture.join(group(round), key(number), until).await;
        }
        at_once(18, |task| {
            let store = Arc::clone(&fixture.store);
            async move {
                match task {
                    16.. => assert!(store.members(group(round)).await.expect("members").contains(&key(100))),
                    task if task % 2 == 0 => store.leave(group(round), key(task)).await.expect("leave"),
                    task => store.join(group(round), key(task), until).await.expect("join"),
                }
            }
        })
        .await;
        let left: Vec<_> = (0..16).skip(1).step_by(2).chain([100]).map(key).collect();
        assert_eq!(fixture.members(group(round)).await, left, "round {round}");
    }
}

/// Of many who join as one member at once the latest time holds, and the member is given once.
pub async fn of_many_times_the_latest_holds(fixture: Fixture) {
    // Far enough from each other that a store which is slow, and on the system's clock, is done before either.
    let (first, last) = (fixture.after(5), fixture.after(8));
    for round in 0..20 {
        at_once(16, |task| {
            let store = Arc::clone(&fixture.store);
            let until = if task == round % 16 { last } else { first };
            async move { store.join(group(round), key(1), until).await.expect("join") }
        })
        .await;
        assert_eq!(fixture.members(group(round)).await, [key(1)], "round {round}");
    }
    fixture.pass(6).await;
    for round in 0..20 {
        assert_eq!(fixture.members(group(round)).await, [key(1)], "round {round}");
    }
    fixture.pass(2).await;
    for round in 0..20 {
        assert_eq!(fixture.members(group(round)).await, [], "round {round}");
    }
}
