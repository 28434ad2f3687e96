//! A store that has lost the list is told again by those who know it.

use crate::Visit::{Kept, Over};
use crate::double::{KINDS, Kind, Step};
use crate::{A_WHILE, BOUND, Fleet, at, open, settle, sign_out};

#[tokio::test(start_paused = true)]
async fn a_node_that_knew_writes_it_anew() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let (mut browser, mut another) = (fleet.signed_in().await, fleet.signed_in().await);
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.pass(A_WHILE).await;
        // The other node has read it, and the first one stops.
        open(&fleet.other, &mut another).await;
        settle().await;
        fleet.store.lose_everything();
        fleet.pass(A_WHILE).await;
        assert_eq!(open(&fleet.other, &mut another).await, Kept, "{kind:?}");
        settle().await;
        let new = fleet.node(|builder| builder);
        assert_eq!(open(&new, &mut copy.clone()).await, Over, "{kind:?}");
        assert_eq!(open(&new, &mut another).await, Kept, "{kind:?}");
    }
}

/// Else each node would take a store that runs for years for one that has lost everything.
#[tokio::test(start_paused = true)]
async fn what_tells_an_empty_store_does_not_run_out() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        for (days, touches) in [(0, 0), (199, 0), (201, 1), (202, 0)] {
            fleet.clock.set(at(days * 24 * 60 * 60));
            let mut browser = fleet.one.signed_in().await;
            fleet.store.forget();
            fleet.pass(BOUND).await;
            assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{kind:?}, {days}");
            settle().await;
            assert_eq!(fleet.store.count(Step::Touch), touches, "{kind:?}, {days}");
        }
    }
}

/// The new node was first to find the store empty.
#[tokio::test(start_paused = true)]
async fn nodes_find_each_other_whoever_comes_first() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let (mut browser, mut another) = (fleet.signed_in().await, fleet.signed_in().await);
        let copy = browser.clone();
        sign_out(&fleet.one, &mut browser).await;
        fleet.store.lose_everything();
        let new = fleet.node(|builder| builder);
        assert_eq!(open(&new, &mut copy.clone()).await, Kept, "{kind:?}: nobody has told it yet");
        fleet.pass(A_WHILE).await;
        assert_eq!(open(&fleet.one, &mut another).await, Kept, "{kind:?}");
        settle().await;
        fleet.pass(BOUND).await;
        assert_eq!(open(&new, &mut copy.clone()).await, Over, "{kind:?}");
    }
}

/// Also what was written before the node had read anything.
#[tokio::test(start_paused = true)]
async fn what_a_new_node_wrote_first_is_not_lost_either() {
    let fleet = Fleet::new(Kind::Sealed);
    let mut browser = fleet.signed_in().await;
    let copy = browser.clone();
    let new = fleet.node(|builder| builder);
    fleet.store.fail(&[Step::Load], crate::double::Fault::Failed);
    sign_out(&new, &mut browser).await;
    fleet.store.recover();
    fleet.store.lose_everything();
    fleet.pass(BOUND).await;
    open(&new, &mut copy.clone()).await;
    let mut another = fleet.one.signed_in().await;
    open(&new, &mut another).await;
    settle().await;
    fleet.pass(BOUND).await;
    assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over);
}

#[tokio::test(start_paused = true)]
async fn it_is_written_once() {
    let fleet = Fleet::new(Kind::Sealed);
    let mut another = fleet.signed_in().await;
    for _ in 0..5 {
        let mut browser = fleet.signed_in().await;
        sign_out(&fleet.one, &mut browser).await;
    }
    fleet.store.lose_everything();
    fleet.store.forget();
    for _ in 0..10 {
        fleet.pass(A_WHILE).await;
        open(&fleet.one, &mut another).await;
        settle().await;
    }
    assert_eq!((fleet.store.count(Step::Join), fleet.store.count(Step::Create)), (10, 1));
}
