//! Records, one step after the other.

use std::time::{Duration, UNIX_EPOCH};

use super::{Fixture, key, next};
use crate::session::store::{SessionKey, SessionRecord};

/// What is created is loaded as it was, as often as one likes, and what was not created is none.
pub async fn what_is_created_is_loaded_as_it_was(fixture: Fixture) {
    assert_eq!(fixture.load(key(1)).await, None);
    let record = fixture.record("alice");
    assert!(fixture.create(key(1), &record).await);
    assert_eq!(fixture.load(key(1)).await, Some(record.clone()));
    assert_eq!(fixture.load(key(1)).await, Some(record), "a load takes nothing away");
}

/// A key that is taken is refused, and what is there stays. After a delete it is free.
pub async fn an_id_that_is_taken_is_refused(fixture: Fixture) {
    let (first, second) = (fixture.record("first"), fixture.record("second"));
    assert!(fixture.create(key(1), &first).await);
    assert!(!fixture.create(key(1), &second).await);
    assert!(!fixture.create(key(1), &next(&first, "another generation")).await);
    assert_eq!(fixture.load(key(1)).await, Some(first));
    fixture.delete(key(1)).await;
    assert!(fixture.create(key(1), &second).await, "free again");
    assert_eq!(fixture.load(key(1)).await, Some(second));
}

/// A session that is over takes no key, and nothing of it shows in the next one.
pub async fn an_id_whose_session_is_over_is_free(fixture: Fixture) {
    let first = SessionRecord::new(*b"first", 7, fixture.after(1));
    assert!(fixture.create(key(1), &first).await);
    fixture.pass(2).await;
    let second = fixture.record("second");
    assert!(fixture.create(key(1), &second).await);
    assert_eq!(fixture.load(key(1)).await, Some(second), "nothing is left of the first");
}

/// A session is over from its end on, and at the very end already.
pub async fn a_session_is_over_from_its_end_on(fixture: Fixture) {
    assert!(fixture.create(key(1), &SessionRecord::new(*b"short", 0, fixture.after(2))).await);
    let long = fixture.record("long");
    assert!(fixture.create(key(2), &long).await);
    fixture.pass(1).await;
    assert!(fixture.load(key(1)).await.is_some());
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None, "at the very end");
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None);
    assert_eq!(fixture.load(key(2)).await, Some(long));
}

/// A record whose end has been is taken and is no session in any method.
pub async fn what_is_over_from_the_start_is_taken_and_is_none(fixture: Fixture) {
    for (number, end) in [(1, UNIX_EPOCH), (2, UNIX_EPOCH + Duration::from_secs(1)), (3, fixture.after(0))] {
        let over = SessionRecord::new(*b"over", 0, end);
        assert!(fixture.create(key(number), &over).await, "{number}");
        assert_eq!(fixture.load(key(number)).await, None, "{number}");
        assert!(!fixture.update(key(number), &next(&fixture.record(""), "next")).await, "{number}");
        assert!(!fixture.touch(key(number), fixture.after(5)).await, "{number}");
        assert!(fixture.create(key(number), &fixture.record("new")).await, "{number}");
        assert!(fixture.load(key(number)).await.is_some(), "{number}");
    }
}

/// An update needs the generation before it, and puts bytes, generation and end in the place of what was.
pub async fn an_update_needs_the_generation_before(fixture: Fixture) {
    let first = fixture.record("first");
    assert!(!fixture.update(key(1), &next(&first, "nobody")).await);
    assert_eq!(fixture.load(key(1)).await, None, "an update creates nothing");
    assert!(fixture.create(key(1), &first).await);
    let second = first.successor(*b"second", fixture.after(20)).unwrap();
    assert!(fixture.update(key(1), &second).await);
    assert_eq!(fixture.load(key(1)).await, Some(second.clone()), "bytes, generation and end, which may be earlier");

    let end = fixture.after(2000);
    for generation in [0, 1, 3, 4, u64::MAX] {
        assert!(!fixture.update(key(1), &SessionRecord::new(*b"other", generation, end)).await, "{generation}");
    }
    assert_eq!(fixture.load(key(1)).await, Some(second.clone()));
    let third = next(&second, "third");
    assert!(fixture.update(key(1), &third).await);
    assert_eq!(fixture.load(key(1)).await, Some(third));
}

/// An update brings back nothing that was deleted or is over.
pub async fn an_update_brings_nothing_back(fixture: Fixture) {
    let first = SessionRecord::new(*b"first", 0, fixture.after(1));
    let second = first.successor(*b"second", fixture.after(100)).unwrap();
    for number in [1, 2] {
        assert!(fixture.create(key(number), &first).await);
    }
    fixture.delete(key(1)).await;
    fixture.pass(1).await;
    for (number, gone) in [(1, "deleted"), (2, "over")] {
        assert!(!fixture.update(key(number), &second).await, "{gone}");
        assert_eq!(fixture.load(key(number)).await, None, "{gone}");
    }
}

/// An update to an end that has been ends the session.
pub async fn an_update_to_an_end_that_has_been_ends_the_session(fixture: Fixture) {
    let first = fixture.record("first");
    assert!(fixture.create(key(1), &first).await);
    assert!(fixture.update(key(1), &first.successor(*b"over", fixture.after(0)).unwrap()).await);
    assert_eq!(fixture.load(key(1)).await, None);
}

/// Generations are exact to the last, 2⁶⁴ − 1.
pub async fn generations_are_exact_to_the_last(fixture: Fixture) {
    // Floating-point numbers, as scripts of databases compute with, tell no neighbours apart beyond 2^53; signed ones end at
    // 2^63.
    let end = fixture.after(1000);
    let bounds = [1_u64 << 32, 1 << 53, 1 << 63, u64::MAX - 1];
    for (number, first) in (1..).zip(bounds) {
        let record = |generation: u64| SessionRecord::new(generation.to_be_bytes(), generation, end);
        assert!(fixture.create(key(number), &record(first)).await, "{first}");
        assert!(!fixture.update(key(number), &record(first)).await, "{first}: the same");
        assert!(fixture.update(key(number), &record(first + 1)).await, "{first}: the next");
        assert_eq!(fixture.load(key(number)).await, Some(record(first + 1)), "{first}");
        for other in [0, first - 1, first, first + 1] {
            assert!(!fixture.update(key(number), &record(other)).await, "{first}: {other}");
        }
        assert_eq!(fixture.load(key(number)).await, Some(record(first + 1)), "{first}");
    }
    let last = fixture.load(key(4)).await.unwrap();
    assert_eq!(last.generation(), u64::MAX);
    assert_eq!(last.successor(*b"", end), None, "there is no generation behind the last, and it does not begin anew");
}

/// A touch moves the end later, never earlier, and changes nothing else.
pub async fn a_touch_moves_the_end_later_and_nothing_else(fixture: Fixture) {
    let first = SessionRecord::new(*b"alice", 5, fixture.after(2));
    assert!(fixture.create(key(1), &first).await);
    let later = fixture.after(4);
    assert!(fixture.touch(key(1), later).await);
    assert_eq!(fixture.load(key(1)).await, Some(SessionRecord::new(*b"alice", 5, later)));
    for (name, earlier) in [("earlier", fixture.after(3)), ("the same", later), ("long ago", UNIX_EPOCH)] {
        assert!(fixture.touch(key(1), earlier).await, "{name}");
        assert_eq!(fixture.load(key(1)).await.map(|record| record.expires_at()), Some(later), "{name}");
    }
    fixture.pass(3).await;
    assert!(fixture.load(key(1)).await.is_some(), "beyond the end it had at first");
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None);
}

/// A touch brings back nothing that was deleted or is over.
pub async fn a_touch_brings_nothing_back(fixture: Fixture) {
    let record = SessionRecord::new(*b"alice", 0, fixture.after(1));
    for number in [1, 2] {
        assert!(fixture.create(key(number), &record).await);
    }
    fixture.delete(key(1)).await;
    fixture.pass(1).await;
    for (number, gone) in [(1, "deleted"), (2, "over"), (3, "never there")] {
        assert!(!fixture.touch(key(number), fixture.after(100)).await, "{gone}");
        assert_eq!(fixture.load(key(number)).await, None, "{gone}");
    }
}

/// A touch is no new generation, and an update no new end unless it names one.
pub async fn a_touch_and_an_update_both_hold(fixture: Fixture) {
    let first = fixture.record("first");
    assert!(fixture.create(key(1), &first).await);
    let later = fixture.after(2000);
    assert!(fixture.touch(key(1), later).await);
    let second = next(&first, "second");
    assert!(fixture.update(key(1), &second).await, "a touch is no new generation");
    assert!(fixture.touch(key(1), later).await);
    let expected = SessionRecord::new(second.bytes(), 1, later);
    assert_eq!(fixture.load(key(1)).await, Some(expected));
}

/// A delete of what is not there is no error, and others stay.
pub async fn a_delete_may_come_twice(fixture: Fixture) {
    let (one, other) = (fixture.record("one"), fixture.record("other"));
    assert!(fixture.create(key(1), &one).await);
    assert!(fixture.create(key(2), &other).await);
    for _ in 0..2 {
        fixture.delete(key(1)).await;
        assert_eq!(fixture.load(key(1)).await, None);
    }
    fixture.delete(key(3)).await;
    assert_eq!(fixture.load(key(2)).await, Some(other));
}

/// Every bit of a key counts.
pub async fn keys_differ_in_every_bit(fixture: Fixture) {
    let zero = SessionKey::new([0; 32]);
    assert!(fixture.create(zero, &fixture.record("zero")).await);
    let keys: Vec<_> = (0..256_usize)
        .map(|bit| {
            let mut bytes = [0; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            SessionKey::new(bytes)
        })
        .collect();
    for (bit, key) in keys.iter().enumerate() {
        assert!(fixture.create(*key, &fixture.record(&bit.to_string())).await, "bit {bit}");
    }
    fixture.delete(zero).await;
    for (bit, key) in keys.iter().enumerate() {
        let loaded = fixture.load(*key).await.map(|record| record.bytes().to_vec());
        assert_eq!(loaded, Some(bit.to_string().into_bytes()), "bit {bit}");
    }
}

/// Any bytes are kept as they are: none, 256 KiB, zeros, what is no UTF-8.
pub async fn any_bytes_are_kept_as_they_are(fixture: Fixture) {
    let every: Vec<u8> = (0..=255).collect();
    let cases = [
        ("none", vec![]),
        ("every byte", every.clone()),
        ("no UTF-8", vec![0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
        ("zeros", vec![0; 300]),
        ("line ends and quotes", b"\r\n\"'\\\n\0\r\n".to_vec()),
        ("256 KiB", every.repeat(1024)),
    ];
    for (number, (name, bytes)) in (1..).zip(cases) {
        let record = SessionRecord::new(bytes.clone(), 0, fixture.after(1000));
        assert!(fixture.create(key(number), &record).await, "{name}");
        assert!(fixture.load(key(number)).await.as_ref() == Some(&record), "{name}");
        let turned: Vec<u8> = bytes.into_iter().rev().collect();
        let turned = record.successor(turned, record.expires_at()).unwrap();
        assert!(fixture.update(key(number), &turned).await, "{name}");
        assert!(fixture.touch(key(number), fixture.after(1)).await, "{name}");
        assert!(fixture.load(key(number)).await == Some(turned), "{name}");
    }
}

/// An end in 100 years is kept to the second.
pub async fn a_far_end_is_an_end(fixture: Fixture) {
    // The longest session lasts 400 days; a store may count in 32 bits nowhere.
    for (number, days) in [(1, 400), (2, 36_500)] {
        let end = fixture.after(0) + Duration::from_secs(days * 24 * 60 * 60);
        assert!(fixture.create(key(number), &SessionRecord::new(*b"long", 0, end)).await, "{days} days");
        assert_eq!(fixture.load(key(number)).await.map(|record| record.expires_at()), Some(end), "{days} days");
        let later = end + Duration::from_secs(1);
        assert!(fixture.touch(key(number), later).await, "{days} days");
        assert_eq!(fixture.load(key(number)).await.map(|record| record.expires_at()), Some(later), "{days} days");
    }
}

/// A clock that steps back ends nothing and shortens nothing. Left out where the clock can't be set.
pub async fn a_clock_that_steps_back_ends_nothing(fixture: Fixture) {
    let Some(step_back) = &fixture.step_back else { return };
    let first = SessionRecord::new(*b"first", 0, fixture.after(10));
    assert!(fixture.create(key(1), &first).await);
    fixture.pass(5).await;
    step_back(fixture.tick * 20);
    assert_eq!(fixture.load(key(1)).await, Some(first.clone()), "before it was made");
    assert!(!fixture.create(key(1), &fixture.record("other")).await);
    assert!(fixture.touch(key(1), fixture.after(20)).await);
    assert_eq!(fixture.load(key(1)).await, Some(first.clone()), "an end reckoned by such a clock is earlier");
    let second = next(&first, "second");
    assert!(fixture.update(key(1), &second).await);
    fixture.pass(24).await;
    assert_eq!(fixture.load(key(1)).await, Some(second));
    fixture.pass(1).await;
    assert_eq!(fixture.load(key(1)).await, None);
}
