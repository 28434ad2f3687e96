//! Records, many steps at once.

use std::sync::Arc;
use std::time::Duration;

use super::{Fixture, at_once, key, next};
use crate::session::store::SessionRecord;

/// Of many who create under one key at once one wins, and what it wrote is there.
pub async fn of_many_who_create_one_wins(fixture: Fixture) {
    for round in 0..20 {
        let created = at_once(16, |task| {
            let (store, record) = (Arc::clone(&fixture.store), fixture.record(&task.to_string()));
            async move { store.create(key(round), record).await.unwrap().then_some(task) }
        })
        .await;
        let winners: Vec<_> = created.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let loaded = fixture.load(key(round)).await.unwrap();
        assert_eq!(loaded.bytes(), winners[0].to_string().as_bytes(), "round {round}");
    }
}

/// Of many who update one record at once one wins, and what it wrote is there.
pub async fn of_many_who_update_one_wins(fixture: Fixture) {
    let mut current = fixture.record("first");
    assert!(fixture.create(key(1), &current).await);
    for round in 0..20 {
        let updated = at_once(16, |task| {
            let (store, next) = (Arc::clone(&fixture.store), next(&current, &format!("{round} {task}")));
            async move { store.update(key(1), next.clone()).await.unwrap().then_some(next) }
        })
        .await;
        let mut winners: Vec<_> = updated.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}");
        current = winners.remove(0);
        assert_eq!(fixture.load(key(1)).await.as_ref(), Some(&current), "round {round}");
    }
}

/// Whoever loses an update loads and tries again; then every step of every task counts.
pub async fn no_update_is_lost(fixture: Fixture) {
    assert!(fixture.create(key(1), &SessionRecord::new([0], 0, fixture.after(1000))).await);
    at_once(8, |_| {
        let store = Arc::clone(&fixture.store);
        async move {
            for _ in 0..10 {
                loop {
                    let record = store.load(key(1)).await.unwrap().unwrap();
                    let next = record.successor([record.bytes()[0] + 1], record.expires_at()).unwrap();
                    tokio::task::yield_now().await;
                    if store.update(key(1), next).await.unwrap() {
                        break;
                    }
                }
            }
        }
    })
    .await;
    let record = fixture.load(key(1)).await.unwrap();
    assert_eq!((record.bytes(), record.generation()), (&[80][..], 80));
}

/// What is deleted stays so, whatever is updated and touched at the same time.
pub async fn what_is_deleted_meanwhile_stays_so(fixture: Fixture) {
    for round in 0..50 {
        let first = fixture.record("first");
        assert!(fixture.create(key(round), &first).await);
        let (second, later) = (next(&first, "second"), fixture.after(2000));
        at_once(8, |task| {
            let (store, second) = (Arc::clone(&fixture.store), second.clone());
            async move {
                match task {
                    0 => store.delete(key(round)).await.unwrap(),
                    1 => drop(store.update(key(round), second).await.unwrap()),
                    2 => drop(store.load(key(round)).await.unwrap()),
                    _ => drop(store.touch(key(round), later).await.unwrap()),
                }
            }
        })
        .await;
        assert_eq!(fixture.load(key(round)).await, None, "round {round}");
    }
}

/// A touch undoes no update that runs at the same time.
pub async fn a_touch_meanwhile_undoes_no_update(fixture: Fixture) {
    // A touch that loads and saves the whole record would write an old one over a new one.
    for round in 0..50 {
        let first = fixture.record("first");
        assert!(fixture.create(key(round), &first).await);
        let second = next(&first, "second");
        let done = at_once(8, |task| {
            let (store, second) = (Arc::clone(&fixture.store), second.clone());
            let later = fixture.after(2000 + u32::from(task));
            async move {
                match task {
                    0 => store.update(key(round), second).await.unwrap(),
                    _ => store.touch(key(round), later).await.unwrap(),
                }
            }
        })
        .await;
        assert_eq!(done, [true; 8], "round {round}");
        let loaded = fixture.load(key(round)).await.unwrap();
        assert_eq!((loaded.bytes(), loaded.generation()), (second.bytes(), 1), "round {round}");
        assert!(loaded.expires_at() >= second.expires_at(), "round {round}");
    }
}

/// Of many touches at once the latest end holds.
pub async fn of_many_touches_the_latest_holds(fixture: Fixture) {
    for round in 0..20 {
        assert!(fixture.create(key(round), &fixture.record("alice")).await);
        let start = fixture.after(2000);
        at_once(16, |task| {
            let (store, end) = (Arc::clone(&fixture.store), start + Duration::from_secs(u64::from(task) * 7 % 16));
            async move { assert!(store.touch(key(round), end).await.unwrap()) }
        })
        .await;
        let end = fixture.load(key(round)).await.unwrap().expires_at();
        assert_eq!(end, start + Duration::from_secs(15), "round {round}");
    }
}
