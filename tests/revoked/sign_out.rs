//! Who signs out is out at every node, and so is every copy of the cookie.

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{KINDS, Step};
use crate::site::{BOB, CODE, Site, deleted, set_cookies};
use crate::support::{Browser, text};
use crate::{A_WHILE, Fleet, SESSION, ask, fetch, navigation, open, said, settle, sign_out, told};

#[tokio::test(start_paused = true)]
async fn it_counts_at_the_other_node_within_the_bound() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let mut copy = browser.clone();
        let response = sign_out(&fleet.one, &mut browser).await;
        assert_eq!(response.status(), 303, "{kind:?}");
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{kind:?}");
        assert_eq!(open(&fleet.one, &mut copy.clone()).await, Ignored, "{kind:?}: this node knows at once");
        assert_eq!(open(&fleet.other, &mut copy).await, Kept, "{kind:?}: the other has not heard of it");
        fleet.pass(A_WHILE).await;
        assert_eq!(open(&fleet.other, &mut copy).await, Kept, "{kind:?}: nobody waits");
        settle().await;
        assert_eq!(told(&ask(&fleet.other, &copy, fetch("/guarded")).await).0, 401, "{kind:?}");
        let mut again = copy.clone();
        assert_eq!(open(&fleet.other, &mut again).await, Ignored, "{kind:?}: a guard's answer has deleted it once");
        assert_eq!(open(&fleet.one, &mut copy).await, Ignored, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cookie_is_deleted_once() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.pass(crate::BOUND).await;
        // Whoever lost it may have signed in anew before an old request comes.
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{kind:?}");
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Ignored, "{kind:?}");
        assert_eq!(told(&ask(&fleet.other, &copy, fetch("/guarded")).await), said(401, "not_signed_in"), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_browser_of_the_same_person_stays() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let (mut one, mut other) = (fleet.signed_in().await, fleet.signed_in().await);
        sign_out(&fleet.one, &mut one).await;
        fleet.pass(crate::BOUND).await;
        for node in [&fleet.one, &fleet.other] {
            assert_eq!(open(node, &mut other).await, Kept, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_for_the_list_and_the_list_for_nobody() {
    for kind in KINDS {
        for is_patient in [true, false] {
            let fleet = Fleet::new(kind);
            let browser = fleet.signed_in().await;
            let gates = fleet.store.hold(Step::Join);
            gates.after.add_permits(9);
            let mut leaving = browser.clone();
            {
                let mut answer = std::pin::pin!(sign_out(&fleet.one, &mut leaving));
                for _ in 0..20 {
                    assert!(futures_are_pending(answer.as_mut()).await, "{kind:?}: it waits");
                }
                if is_patient {
                    gates.before.add_permits(9);
                    assert_eq!(answer.await.status(), 303, "{kind:?}");
                    assert_eq!(fleet.store.count(Step::Join), 2, "{kind:?}: before the answer");
                }
            }
            gates.before.add_permits(9);
            settle().await;
            fleet.pass(crate::BOUND).await;
            assert_eq!(open(&fleet.other, &mut browser.clone()).await, Over, "{kind:?}, {is_patient}");
        }
    }
}

/// Polls once, and lets the others go on.
async fn futures_are_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    let is_pending = std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    tokio::task::yield_now().await;
    is_pending
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_anew_leaves_no_session_behind() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let copy = browser.clone();
        let started = fleet.one.start(&mut browser, "/").await;
        let response = fleet.one.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(response.status(), 303, "{kind:?}");
        assert_eq!(open(&fleet.one, &mut copy.clone()).await, Ignored, "{kind:?}: at once");
        settle().await;
        fleet.pass(crate::BOUND).await;
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{kind:?}");
        for node in [&fleet.one, &fleet.other] {
            assert_eq!(open(node, &mut browser).await, Kept, "{kind:?}");
        }
    }
}

/// Beside a store of sessions, as while sites move to one.
#[tokio::test(start_paused = true)]
async fn who_is_in_a_store_is_ended_there_and_whoever_is_not_by_the_list() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let sessions = crate::double::Double::new(kind, &fleet.clock);
        let moved = fleet.node(|builder| builder.session_store(sessions.clone()));
        let mut before = fleet.signed_in().await;
        let copy = before.clone();
        assert_eq!(open(&moved, &mut before).await, Kept, "{kind:?}");
        let mut stored = moved.signed_in().await;
        fleet.store.forget();
        sign_out(&moved, &mut stored).await;
        settle().await;
        assert_eq!((fleet.store.count(Step::Join), sessions.sessions().len()), (0, 0), "{kind:?}");
        sign_out(&moved, &mut before).await;
        assert_eq!(open(&moved, &mut copy.clone()).await, Ignored, "{kind:?}");
        fleet.pass(crate::BOUND).await;
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{kind:?}");
    }
}

/// Without JavaScript or from an old browser: the page that asks first knows whose session it is.
#[tokio::test(start_paused = true)]
async fn signing_in_and_being_signed_in_writes_nothing() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        fleet.store.forget();
        let mut another = Browser::new();
        fleet.one.complete(&mut another, "/").await;
        for _ in 0..5 {
            fleet.pass(A_WHILE).await;
            assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{kind:?}");
            let response = fleet.one.visit(&mut another, navigation(http::Method::GET, "/", "none")).await;
            assert_eq!(text(&response), BOB, "{kind:?}");
        }
        let writes = [Step::Create, Step::Update, Step::Touch, Step::Delete, Step::Join, Step::Leave];
        assert!(writes.iter().all(|step| fleet.store.count(*step) == 0), "{kind:?}");
    }
}

/// What a process keeps in its memory serves that process.
#[tokio::test(start_paused = true)]
async fn a_copy_is_dead_with_a_list_in_memory_too() {
    let site = Site::with(|builder| builder.revocation_list(tower_signin::MemoryStore::new()));
    let mut browser = site.signed_in().await;
    let mut copy = browser.clone();
    assert_eq!(open(&site, &mut copy).await, Kept);
    sign_out(&site, &mut browser).await;
    assert_eq!(open(&site, &mut copy).await, Ignored);
    assert_eq!(told(&ask(&site, &copy, fetch("/guarded")).await), said(401, "not_signed_in"));
}
