//! What a thief tries, and who can write to the store.

use std::collections::HashSet;

use http::header::COOKIE;
use tower_signin::{SessionGroup, SessionKey, SessionStore as _};

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{KINDS, Kind, Step};
use crate::site::{CODE, set_cookies};
use crate::support::{Browser, text};
use crate::{BOUND, Fleet, SESSION, ask, at, fetch, open, said, settle, sign_out, told};

/// A cookie that was copied before its owner signed out.
#[tokio::test(start_paused = true)]
async fn a_stolen_cookie_opens_nothing_once_its_owner_has_signed_out() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut owner = fleet.signed_in().await;
        let thief = owner.clone();
        sign_out(&fleet.one, &mut owner).await;
        fleet.pass(BOUND).await;
        for node in [&fleet.one, &fleet.other, &fleet.node(|builder| builder)] {
            for path in ["/guarded", "/somebody"] {
                assert_eq!(told(&ask(node, &thief, fetch(path)).await), said(401, "not_signed_in"), "{kind:?}");
            }
            // Nor does it start a sign-in as somebody who is there, nor sign anybody out.
            fleet.store.forget();
            assert_eq!(sign_out(node, &mut thief.clone()).await.status(), 303, "{kind:?}");
            assert_eq!(fleet.store.count(Step::Join), 0, "{kind:?}: it is in the list");
            // Beside the owner's new one neither counts, as ever.
            let mut again = Browser::new();
            node.complete(&mut again, "/").await;
            let both = format!("{SESSION}={}", thief.jar[SESSION]);
            let response = node.visit(&mut again.clone(), fetch("/").header(COOKIE, both)).await;
            assert_eq!((text(&response), set_cookies(&response).len()), ("nobody", 0), "{kind:?}");
            assert_eq!(open(node, &mut again).await, Kept, "{kind:?}");
        }
    }
}

/// The thief's refused request is no way to sign the owner out, who has signed in anew meanwhile.
#[tokio::test(start_paused = true)]
async fn an_old_request_takes_no_new_cookie_away() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let old = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.one.complete(&mut browser, "/").await;
        // The same browser's request, which took its time.
        assert_eq!(open(&fleet.one, &mut old.clone()).await, Ignored, "{kind:?}");
        assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{kind:?}");
    }
}

/// A double of the callback that made a session brings it back nowhere.
#[tokio::test(start_paused = true)]
async fn a_callback_that_comes_again_brings_no_session_back() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = Browser::new();
        let started = fleet.one.start(&mut browser, "/").await;
        let mut double = browser.clone();
        fleet.one.get(&mut browser, &started.callback(CODE)).await;
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        let response = fleet.one.get(&mut double, &started.callback(CODE)).await;
        assert!(
            set_cookies(&response).iter().all(|cookie| !cookie.starts_with(SESSION)
                || cookie.contains("Max-Age=0")
                || cookie.contains("-flow-")),
            "{kind:?}: {:?}",
            set_cookies(&response)
        );
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{kind:?}");
    }
}

/// Somebody signs in and out all day. A node that starts does not have to read all of it in one step, which has a time limit.
#[tokio::test(start_paused = true)]
async fn a_long_list_is_read_in_parts() {
    let fleet = Fleet::new(Kind::Sealed);
    let stays = fleet.signed_in().await;
    let mut copies = Vec::new();
    for _ in 0..100 {
        let mut browser = fleet.one.signed_in().await;
        copies.push(browser.clone());
        sign_out(&fleet.one, &mut browser).await;
    }
    settle().await;
    fleet.store.forget();
    let new = fleet.node(|builder| builder);
    assert_eq!(open(&new, &mut stays.clone()).await, Kept);
    for copy in &copies {
        assert_eq!(open(&new, &mut copy.clone()).await, Over);
    }
    let groups: HashSet<_> = fleet.store.asked_for().into_iter().map(|key| *key.as_bytes()).collect();
    let mut lengths = Vec::new();
    for group in groups.into_iter().map(SessionGroup::new) {
        lengths.push(fleet.store.members(group).await.unwrap().len());
    }
    assert_eq!(lengths.iter().sum::<usize>(), copies.len());
    assert!(lengths.iter().all(|length| *length < copies.len() / 2), "{lengths:?}");
}

/// Who reads the store learns nothing, and what somebody writes there makes nobody somebody else.
#[tokio::test(start_paused = true)]
async fn garbage_in_the_list_is_passed_over() {
    for kind in [Kind::Sealed, Kind::Later] {
        let fleet = Fleet::new(kind);
        let (mut browser, stays) = (fleet.signed_in().await, fleet.signed_in().await);
        sign_out(&fleet.one, &mut browser).await;
        fleet.pass(BOUND).await;
        open(&fleet.one, &mut stays.clone()).await;
        settle().await;
        let groups: HashSet<_> = fleet.store.asked_for().into_iter().map(|key| *key.as_bytes()).collect();
        let mut found = HashSet::new();
        for group in groups.into_iter().map(SessionGroup::new) {
            let members = fleet.store.members(group).await.unwrap();
            for member in members.into_iter().filter(|member| found.insert(*member)) {
                // Changed at its time, at its sort, and at its name.
                for place in [0, 23, 24, 25, 31] {
                    let mut changed = *member.as_bytes();
                    changed[place] ^= 0xff;
                    fleet.store.join(group, SessionKey::new(changed), at(100_000)).await.unwrap();
                }
            }
            for garbage in [[0; 32], [0xff; 32], [7; 32], [1; 32]] {
                fleet.store.join(group, SessionKey::new(garbage), at(100_000)).await.unwrap();
            }
        }
        assert_eq!(found.len(), 1, "{kind:?}");
        let new = fleet.node(|builder| builder);
        for node in [&fleet.one, &fleet.other, &new] {
            fleet.pass(BOUND).await;
            assert_eq!(open(node, &mut stays.clone()).await, Kept, "{kind:?}");
        }
    }
}
