//! What is gone from the store, or is not what was asked for, is nobody.

use std::sync::Arc;

use tower_signin::{SessionRecord, Siwbb};

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{Double, KINDS, Kind, Step};
use crate::site::{ID, KEY, SECRET, deleted, set_cookies};
use crate::support::{Browser, location};
use crate::{SESSION, Stored, ask, at, fetch, open, page, said, settle, sign_out, told};

#[tokio::test]
async fn a_session_that_was_taken_out_of_the_store_is_over() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        stored.store.clear();
        let response = ask(&stored.site, &browser, fetch("/guarded")).await;
        assert_eq!(told(&response), said(401, "not_signed_in"), "{kind:?}");
        assert_eq!(set_cookies(&response), [deleted(SESSION)], "{kind:?}");
        let response = ask(&stored.site, &browser, page("/guarded")).await;
        assert_eq!((response.status().as_u16(), location(&response)), (303, stored.site.login("/guarded")), "{kind:?}");
        assert_eq!(set_cookies(&response), [deleted(SESSION)], "{kind:?}");
        // Nobody, and free to sign in.
        let mut browser = browser.clone();
        assert_eq!(open(&stored.site, &mut browser.clone()).await, Over, "{kind:?}");
        assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{kind:?}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

#[tokio::test]
async fn signing_out_counts_at_every_node_and_in_every_copy_of_the_cookie() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let other = stored.node(|builder| builder);
        let mut browser = stored.signed_in().await;
        let mut copy = browser.clone();
        assert_eq!(open(&other, &mut copy).await, Kept, "{kind:?}");
        stored.store.forget();
        let response = sign_out(&stored.site, &mut browser).await;
        assert_eq!(response.status(), 303, "{kind:?}");
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{kind:?}");
        assert_eq!(stored.store.asked(), [Step::Load, Step::Delete], "{kind:?}: before the answer");
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
        assert_eq!(told(&ask(&other, &copy, fetch("/guarded")).await), said(401, "not_signed_in"), "{kind:?}");
        assert_eq!(open(&other, &mut copy).await, Over, "{kind:?}");
        assert!(!copy.jar.contains_key(SESSION), "{kind:?}");
    }
}

#[tokio::test]
async fn signing_out_leaves_other_browsers_of_the_same_person_alone() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let (mut one, mut other) = (stored.signed_in().await, stored.signed_in().await);
        sign_out(&stored.site, &mut one).await;
        assert_eq!(open(&stored.site, &mut other).await, Kept, "{kind:?}");
        assert_eq!(stored.store.sessions().len(), 1, "{kind:?}");
    }
}

/// Somebody can write to the store, or it mixes things up.
#[tokio::test]
async fn a_record_that_is_not_this_session_s_is_nobody_and_the_cookie_stays() {
    for kind in KINDS {
        for (name, falsify) in forgeries() {
            let stored = Stored::new(kind);
            stored.signed_in().await;
            let (_, of_another) = stored.store.session();
            let mut browser = stored.signed_in().await;
            let forged = falsify(&of_another);
            let is_whole = forged.is_none();
            let forged = forged.unwrap_or(of_another);
            stored.store.falsify(move |_| forged.clone());
            assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}, {name}, {is_whole}");
            let response = ask(&stored.site, &browser, fetch("/guarded")).await;
            assert_eq!(told(&response), said(401, "not_signed_in"), "{kind:?}, {name}");
            assert!(set_cookies(&response).is_empty(), "{kind:?}, {name}");
            let asked = stored.store.asked();
            assert!(asked.iter().all(|step| *step == Step::Load), "{kind:?}, {name}: {asked:?}");
            stored.store.falsify(|record| record);
            assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}, {name}");
        }
    }
}

type Forge = Box<dyn Fn(&SessionRecord) -> Option<SessionRecord>>;

/// Other bytes than those of another session's record; `None` for these themselves.
fn forgeries() -> Vec<(String, Forge)> {
    let with = |change: fn(Vec<u8>) -> Vec<u8>| -> Forge {
        Box::new(move |record| {
            let changed = change(record.bytes().to_vec());
            Some(SessionRecord::new(changed, record.generation(), record.expires_at()))
        })
    };
    let mut all: Vec<(String, Forge)> = vec![
        ("another session's".to_owned(), Box::new(|_| None)),
        ("empty".to_owned(), with(|_| Vec::new())),
        ("zeros".to_owned(), with(|bytes| vec![0; bytes.len()])),
        ("ones".to_owned(), with(|bytes| vec![0xff; bytes.len()])),
        ("a byte more".to_owned(), with(|bytes| [bytes, vec![0]].concat())),
        ("twice".to_owned(), with(|bytes| bytes.repeat(2))),
        ("a megabyte".to_owned(), with(|_| vec![1; 1 << 20])),
    ];
    for length in [1, 8, 20, 21, 36, 37, 60] {
        let cut = move |record: &SessionRecord| {
            let bytes = &record.bytes()[..length];
            Some(SessionRecord::new(bytes, record.generation(), record.expires_at()))
        };
        all.push((format!("cut to {length}"), Box::new(cut)));
    }
    all
}

/// A newer version wrote it, say, or this node lacks its key: who signs out is out at every node all the same.
#[tokio::test]
async fn signing_out_deletes_a_record_that_can_t_be_read_here() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        stored.store.falsify(|record| SessionRecord::new([9; 200], record.generation(), record.expires_at()));
        assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}");
        let response = sign_out(&stored.site, &mut browser).await;
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{kind:?}");
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
    }
}

/// Of its own session, and cut or changed by one byte, at each place.
#[tokio::test]
async fn a_sealed_record_that_was_touched_anywhere_is_nobody() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let length = stored.store.session().1.bytes().len();
        for place in 0..length {
            stored.store.falsify(move |record| {
                let mut bytes = record.bytes().to_vec();
                bytes[place] ^= 1;
                SessionRecord::new(bytes, record.generation(), record.expires_at())
            });
            assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}: byte {place}");
            stored.store.falsify(move |record| {
                SessionRecord::new(&record.bytes()[..place], record.generation(), record.expires_at())
            });
            assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}: cut to {place}");
        }
    }
}

/// The store keeps bytes in clear, and a truncated one is no session either.
#[tokio::test]
async fn a_record_in_clear_that_was_cut_is_nobody() {
    let stored = Stored::new(Kind::Private);
    let mut browser = stored.signed_in().await;
    let length = stored.store.session().1.bytes().len();
    for place in 0..length {
        stored.store.falsify(move |record| {
            SessionRecord::new(&record.bytes()[..place], record.generation(), record.expires_at())
        });
        assert_eq!(open(&stored.site, &mut browser).await, Ignored, "cut to {place}");
    }
}

/// Who can write to the store can't make somebody by writing what a private store would hold.
#[tokio::test]
async fn a_record_in_clear_is_nobody_where_records_are_sealed() {
    for (kind, writer) in [(Kind::Sealed, Kind::Private), (Kind::Later, Kind::Private), (Kind::Private, Kind::Sealed)] {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let elsewhere = Stored::new(writer);
        elsewhere.signed_in().await;
        let (_, written) = elsewhere.store.session();
        stored.store.falsify(move |_| written.clone());
        assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}");
    }
}

/// The same client at another environment of the provider, whose people are others.
#[tokio::test]
async fn a_record_of_another_issuer_is_nobody_and_the_cookie_stays() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let elsewhere =
            Siwbb::new(ID, SECRET, KEY).base_urls("https://testnet.example.com", "https://api.testnet.example.com");
        let store: Double = stored.store.clone();
        let clock = Arc::clone(&stored.clock);
        let other = crate::site::Site::of(elsewhere, crate::site::CALLBACK, |builder| {
            builder.keys(crate::ring(&[1])).session_store(store).clock(clock)
        });
        stored.store.forget();
        assert_eq!(open(&other, &mut browser).await, Ignored, "{kind:?}");
        assert_eq!(told(&ask(&other, &browser, fetch("/guarded")).await), said(401, "not_signed_in"), "{kind:?}");
        assert_eq!(stored.store.asked(), [Step::Load, Step::Load], "{kind:?}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

/// A store that does not look at ends gives what is over.
#[tokio::test]
async fn a_record_whose_end_has_passed_is_over_whatever_the_store_says() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        stored.clock.set(at(1000));
        for (end, expected) in [(1001, Kept), (1000, Over), (999, Over), (-5000, Over)] {
            stored.store.falsify(move |record| SessionRecord::new(record.bytes(), record.generation(), at(end)));
            assert_eq!(open(&stored.site, &mut browser.clone()).await, expected, "{kind:?}, {end}");
        }
        // And one that keeps what it was never told to keep so long.
        stored.clock.set(at(24 * 60 * 60));
        stored.store.falsify(move |record| SessionRecord::new(record.bytes(), record.generation(), at(1 << 40)));
        assert_eq!(open(&stored.site, &mut browser.clone()).await, Over, "{kind:?}");
        settle().await;
    }
}

/// Both of two cookies of one name, as ever.
#[tokio::test]
async fn two_ids_are_none() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let (one, other) = (stored.signed_in().await, stored.signed_in().await);
        let also = format!("{SESSION}={}", other.jar[SESSION]);
        let mut none = Browser::new();
        none.jar.insert(SESSION.to_owned(), one.jar[SESSION].clone());
        let response = stored.site.visit(&mut none, page("/").header(http::header::COOKIE, also)).await;
        assert_eq!((crate::text(&response), set_cookies(&response).len()), ("nobody", 0), "{kind:?}");
        assert!(stored.store.asked().is_empty(), "{kind:?}");
    }
}
