use std::time::{Duration, UNIX_EPOCH};

use super::*;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(number: u8) -> SessionKey {
    SessionKey::new([number; 32])
}

fn record(end: u64) -> SessionRecord {
    SessionRecord::new([], 0, at(end))
}

/// The keys of 0 to 9 that are there, without using them.
fn held(table: &Table) -> Vec<u8> {
    (0..10).filter(|number| table.place(&key(*number)).is_some()).collect()
}

#[test]
fn when_full_who_came_longest_ago_goes() {
    let mut table = Table::new(3);
    for number in 0..3 {
        assert_eq!(table.create(key(number), record(100), at(0)), Created::Free);
    }
    assert!(table.load(&key(0), at(1)).is_some());
    assert_eq!(table.create(key(3), record(50), at(2)), Created::Evicting);
    assert_eq!(held(&table), [0, 2, 3]);
    assert!(table.touch(&key(2), at(10), at(3)), "moves nothing, but is a use");
    assert_eq!(table.create(key(4), record(100), at(3)), Created::Evicting);
    assert_eq!(held(&table), [2, 3, 4]);
    assert!(table.update(&key(2), SessionRecord::new([], 1, at(100)), at(4)));
    assert_eq!(table.create(key(5), record(100), at(5)), Created::Evicting);
    assert_eq!(held(&table), [2, 4, 5]);
    assert_eq!(table.create(key(4), record(100), at(6)), Created::Taken);
    assert_eq!(held(&table), [2, 4, 5], "a key that is taken moves nobody out");
}

#[test]
fn when_full_what_is_over_goes_first() {
    let mut table = Table::new(3);
    for (number, end) in [(0, 100), (1, 10), (2, 100)] {
        table.create(key(number), record(end), at(0));
    }
    assert_eq!(table.create(key(3), record(100), at(10)), Created::Free);
    assert_eq!(held(&table), [0, 2, 3]);
}

#[test]
fn what_is_over_goes_a_few_at_a_time() {
    let mut table = Table::new(10);
    for number in 0..5 {
        table.create(key(number), record(10 + u64::from(number)), at(0));
    }
    table.create(key(5), record(100), at(20));
    assert_eq!(held(&table), [2, 3, 4, 5]);
    assert!(table.load(&key(4), at(20)).is_none());
    assert_eq!(held(&table), [2, 3, 5], "asked for");
    assert_eq!(table.create(key(3), record(100), at(20)), Created::Free, "its own place");
    assert_eq!(held(&table), [3, 5]);
}

#[test]
fn what_was_found_over_stays_so_when_the_clock_steps_back() {
    let mut table = Table::new(10);
    table.create(key(0), record(10), at(0));
    assert!(table.load(&key(0), at(10)).is_none());
    assert!(table.load(&key(0), at(5)).is_none());
    assert!(!table.touch(&key(0), at(100), at(5)));
}

#[test]
fn it_grows_beyond_what_was_reserved() {
    let mut table = Table::new(1000);
    table.buckets.truncate(4);
    let key = |number: u16| SessionKey::new([number.to_be_bytes(); 16].concat().try_into().unwrap());
    for number in 0..1000 {
        assert_eq!(table.create(key(number), record(100), at(0)), Created::Free);
    }
    assert_eq!(table.buckets.len(), 1024);
    for number in 0..1000 {
        assert!(table.load(&key(number), at(1)).is_some(), "{number}");
        table.delete(&key(number));
        assert!(table.load(&key(number), at(1)).is_none(), "{number}");
    }
    assert!(table.buckets.iter().all(|first| *first == NOWHERE) && table.vacant.len() == 1000);
}

/// Thousands of random steps, on this table and on a list that is searched from end to end.
#[test]
fn is_the_same_as_a_simple_list() {
    struct Entry {
        key: u8,
        record: SessionRecord,
        used: u64,
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = move |limit: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    for capacity in [1, 2, 7, 20] {
        let mut table = Table::new(capacity);
        let mut list: Vec<Entry> = Vec::new();
        for step in 0..20_000 {
            let now = at(step / 4);
            let number = u8::try_from(below(30)).unwrap();
            let end = now + Duration::from_secs(below(20));
            let choice = below(5);
            let found = list.iter().position(|entry| entry.key == number);
            if let Some(over) = found.filter(|found| choice != 4 && list[*found].record.is_over(now)) {
                list.remove(over);
            }
            let found = list.iter_mut().find(|entry| entry.key == number);
            match choice {
                0 => {
                    let record = SessionRecord::new([number], below(3), end);
                    let created = table.create(key(number), record.clone(), now);
                    assert_eq!(created == Created::Taken, found.is_some(), "step {step}");
                    if created == Created::Taken {
                        continue;
                    }
                    // Of two that end at once either may go, so it is taken from the table.
                    for _ in 0..DROPPED_AT_CREATE {
                        let over = list.iter().filter(|entry| entry.record.is_over(now));
                        let Some(end) = over.map(|entry| entry.record.expires_at()).min() else { break };
                        let gone = list.iter().position(|entry| {
                            entry.record.expires_at() == end && table.place(&key(entry.key)).is_none()
                        });
                        list.remove(gone.expect("the soonest end went"));
                    }
                    assert_eq!(created == Created::Evicting, list.len() == capacity, "step {step}");
                    if list.len() == capacity {
                        let oldest = (0..list.len()).min_by_key(|index| list[*index].used).unwrap();
                        list.remove(oldest);
                    }
                    list.push(Entry { key: number, record, used: step });
                }
                1 => {
                    let loaded = table.load(&key(number), now);
                    assert_eq!(loaded.as_ref(), found.as_ref().map(|entry| &entry.record), "step {step}");
                    if let Some(entry) = found {
                        entry.used = step;
                    }
                }
                2 => {
                    let record = SessionRecord::new([1], below(4), end);
                    let updated = table.update(&key(number), record.clone(), now);
                    let Some(entry) = found else {
                        assert!(!updated, "step {step}");
                        continue;
                    };
                    entry.used = step;
                    assert_eq!(updated, entry.record.generation() + 1 == record.generation(), "step {step}");
                    if updated {
                        entry.record = record;
                    }
                }
                3 => {
                    let touched = table.touch(&key(number), end, now);
                    assert_eq!(touched, found.is_some(), "step {step}");
                    if let Some(entry) = found {
                        entry.used = step;
                        entry.record.extend(end);
                    }
                }
                _ => {
                    table.delete(&key(number));
                    list.retain(|entry| entry.key != number);
                }
            }
            list.sort_by_key(|entry| entry.used);
            let by_use: Vec<u8> = list.iter().map(|entry| entry.key).collect();
            check(&table, &by_use, step);
        }
    }
}

/// The three orders hold the same sessions, each in order.
fn check(table: &Table, by_use: &[u8], step: u64) {
    let mut keys = Vec::new();
    let mut place = table.oldest;
    while let Some(slot) = table.slot(place) {
        keys.push(slot.key.as_bytes()[0]);
        assert_eq!(table.place(&slot.key), Some(place), "step {step}");
        assert_eq!(table.ends[slot.end as usize], place, "step {step}");
        place = slot.newer;
    }
    assert_eq!(keys, by_use, "step {step}");
    assert_eq!(table.ends.len(), keys.len(), "step {step}");
    assert_eq!(table.slots.len(), keys.len() + table.vacant.len(), "step {step}");
    let chained = table.buckets.iter().map(|first| {
        let slots = std::iter::successors(table.slot(*first), |slot| table.slot(slot.next_in_bucket));
        slots.count()
    });
    assert_eq!(chained.sum::<usize>(), keys.len(), "step {step}");
    for at in 1..table.ends.len() {
        assert!(!table.ends_sooner(at, (at - 1) / 2), "step {step}");
    }
}
