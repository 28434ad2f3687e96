//! A list that can't be read signs nobody out, and lets nobody in whom a node knows to have signed out.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{Method, Response};
use tokio::time::Instant;
use tower_signin::{Builder, WhenUnchecked};

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{Fault, KINDS, Kind, STEPS, Step};
use crate::log::Log;
use crate::site::{BOB, CODE, deleted, set_cookies};
use crate::support::{Browser, navigation, text};
use crate::{A_WHILE, BOUND, Fleet, SESSION, ask, fetch, open, said, settle, sign_out, told};

const FAULTS: [Fault; 5] = [Fault::Unreachable, Fault::Failed, Fault::Hangs, Fault::Panics, Fault::PanicsAtOnce];

fn pairs() -> impl Iterator<Item = (Kind, Fault)> {
    KINDS.into_iter().flat_map(|kind| FAULTS.map(|fault| (kind, fault)))
}

#[track_caller]
fn assert_unavailable(name: &str, response: &Response<bytes::Bytes>) {
    assert_eq!(told(response), said(503, "session_unavailable"), "{name}");
    assert_eq!(response.headers()["retry-after"], "5", "{name}");
    assert!(!response.headers().contains_key(SET_COOKIE), "{name}: {:?}", set_cookies(response));
}

fn forgiving(builder: Builder) -> Builder {
    builder.revocation_bound(Duration::from_millis(BOUND), WhenUnchecked::SignedIn)
}

/// Within the bound nobody notices; after it whoever needs to know is told that nobody can.
#[tokio::test(start_paused = true)]
async fn by_default_nobody_goes_on_beyond_the_bound() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        fleet.store.fail(&STEPS, fault);
        fleet.pass(A_WHILE).await;
        for _ in 0..3 {
            assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{name}");
        }
        fleet.pass(BOUND - A_WHILE - 100).await;
        assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{name}");
        fleet.pass(100).await;
        for path in ["/guarded", "/somebody", "/perhaps"] {
            let began = Instant::now();
            assert_unavailable(&name, &ask(&fleet.one, &browser, fetch(path)).await);
            assert!(began.elapsed() <= Duration::from_secs(5), "{name}");
        }
        let response = ask(&fleet.one, &browser, fetch("/open")).await;
        assert_eq!((text(&response), set_cookies(&response).len()), ("open", 0), "{name}");
        let nobody = ask(&fleet.one, &Browser::new(), fetch("/guarded")).await;
        assert_eq!(told(&nobody), said(401, "not_signed_in"), "{name}");

        fleet.store.recover();
        fleet.pass(5000).await;
        assert_eq!(text(&ask(&fleet.one, &browser, fetch("/somebody")).await), BOB, "{name}");
        assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{name}");
    }
}

/// Those who wait are not kept longer than a step may take, one after the other or all at once.
#[tokio::test(start_paused = true)]
async fn where_it_may_go_on_the_first_waits_and_the_others_do_not() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let fleet = Fleet::with(kind, forgiving);
        let (mut browser, mut gone) = (fleet.signed_in().await, fleet.signed_in().await);
        let copy = gone.clone();
        sign_out(&fleet.one, &mut gone).await;
        fleet.store.fail(&STEPS, fault);
        fleet.pass(10 * BOUND).await;
        let began = Instant::now();
        assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{name}");
        assert!(began.elapsed() <= Duration::from_secs(5), "{name}");
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(open(&fleet.one, &mut browser).await, Kept, "{name}");
            assert_eq!(open(&fleet.one, &mut copy.clone()).await, Ignored, "{name}: it is known here");
            settle().await;
        }
        assert!(began.elapsed().is_zero(), "{name}");
        let reads = fleet.reads();
        assert!(reads <= 2, "{name}: {reads}");
        fleet.store.recover();
        fleet.pass(2000).await;
        open(&fleet.other, &mut browser.clone()).await;
        settle().await;
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_crowd_waits_for_it_while_it_is_away() {
    let fleet = Fleet::new(Kind::Sealed);
    let browser = fleet.signed_in().await;
    fleet.store.fail(&STEPS, Fault::Hangs);
    fleet.pass(BOUND).await;
    assert_unavailable("the first", &ask(&fleet.one, &browser, fetch("/guarded")).await);
    let began = Instant::now();
    let mut crowd = tokio::task::JoinSet::new();
    let router = axum::Router::new().fallback(crate::support::who);
    for _ in 0..1500 {
        let answer = fleet.one.through(&router, &browser, fetch("/"));
        crowd.spawn(async move {
            assert_eq!(answer.await.status(), 503);
            began.elapsed().as_secs()
        });
    }
    let answers = crowd.join_all().await;
    assert_eq!(answers.iter().filter(|seconds| **seconds == 0).count(), 1500 - 1024);
}

/// A node that has just started knows nobody to have signed out, and nobody not to.
#[tokio::test(start_paused = true)]
async fn a_node_that_has_read_nothing_yet_keeps_to_the_same() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        fleet.store.fail(&STEPS, fault);
        let strict = fleet.node(|builder| builder);
        assert_unavailable(&name, &ask(&strict, &browser, fetch("/guarded")).await);
        let lenient = fleet.node(forgiving);
        assert_eq!(open(&lenient, &mut browser).await, Kept, "{name}");
        fleet.store.recover();
        assert_eq!(open(&strict, &mut browser).await, Kept, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn login_and_callback_wait_for_it_and_nothing_is_used_up() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let fleet = Fleet::new(kind);
        let mut browser = fleet.signed_in().await;
        let started = fleet.one.start(&mut browser, "/target").await;
        fleet.one.upstream.forget();
        fleet.store.fail(&STEPS, fault);
        fleet.pass(BOUND).await;
        let before = browser.jar.clone();
        for path in [fleet.one.login("/"), started.callback(CODE)] {
            assert_unavailable(&name, &fleet.one.get(&mut browser, &path).await);
        }
        let mut without_flow = browser.clone();
        without_flow.jar.remove(&started.flow_cookie());
        assert_unavailable(&name, &fleet.one.get(&mut without_flow, &started.callback(CODE)).await);
        assert_eq!((browser.jar.clone(), fleet.one.upstream.requests().len()), (before, 0), "{name}");
        fleet.store.recover();
        fleet.pass(5000).await;
        let response = fleet.one.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!((response.status().as_u16(), fleet.one.upstream.requests().len()), (303, 1), "{name}");
        settle().await;
    }
}

/// Its cookie opens, which is all that it takes.
#[tokio::test(start_paused = true)]
async fn who_signs_out_meanwhile_is_out_here_and_elsewhere_once_it_is_back() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let fleet = Fleet::new(kind);
        let (mut browser, another) = (fleet.signed_in().await, fleet.signed_in().await);
        let copy = browser.clone();
        fleet.store.fail(&STEPS, fault);
        fleet.pass(BOUND).await;
        Log::start();
        let response = sign_out(&fleet.one, &mut browser).await;
        assert_eq!(response.status(), 303, "{name}");
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{name}");
        assert!(Log::line("is not in the revocation list yet").contains("ERROR"), "{name}");
        assert_eq!(told(&ask(&fleet.one, &copy, fetch("/guarded")).await), said(401, "not_signed_in"), "{name}");

        fleet.store.recover();
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Kept, "{name}: nobody could tell it");
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.one, &mut another.clone()).await, Kept, "{name}");
        settle().await;
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{name}");
        let new = fleet.node(|builder| builder);
        assert_eq!(open(&new, &mut copy.clone()).await, Over, "{name}");
    }
}

/// People may be sent to another node from then on.
#[tokio::test(start_paused = true)]
async fn who_signs_out_meanwhile_is_out_elsewhere_though_nobody_asks_that_node_again() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let fleet = Fleet::new(kind);
        let (mut browser, mut another) = (fleet.signed_in().await, fleet.signed_in().await);
        let copies = [browser.clone(), another.clone()];
        fleet.store.fail(&STEPS, fault);
        sign_out(&fleet.one, &mut browser).await;
        fleet.pass(BOUND).await;
        sign_out(&fleet.one, &mut another).await;
        fleet.pass(BOUND).await;
        fleet.store.recover();
        for _ in 0..20 {
            fleet.pass(1000).await;
        }
        for copy in &copies {
            assert_eq!(open(&fleet.other, &mut copy.clone()).await, Over, "{name}");
        }
        settle().await;
        fleet.store.forget();
        fleet.pass(BOUND).await;
        assert!(fleet.store.asked_for().is_empty(), "{name}: it is written once");
    }
}

/// One of the two steps that it takes has failed.
#[tokio::test(start_paused = true)]
async fn what_is_half_written_is_written_later() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let (mut browser, another) = (fleet.signed_in().await, fleet.signed_in().await);
        let copy = browser.clone();
        let gates = fleet.store.hold(Step::Join);
        gates.before.add_permits(1);
        gates.after.add_permits(1);
        sign_out(&fleet.one, &mut browser).await;
        gates.before.add_permits(100);
        gates.after.add_permits(100);
        settle().await;
        for _ in 0..2 {
            fleet.pass(A_WHILE).await;
            open(&fleet.one, &mut another.clone()).await;
            settle().await;
        }
        let new = fleet.node(|builder| builder);
        assert_eq!(open(&new, &mut copy.clone()).await, Over, "{kind:?}");
    }
}

/// The page that asks before it signs somebody out knows who they are.
#[tokio::test(start_paused = true)]
async fn who_is_asked_first_is_asked_all_the_same() {
    let fleet = Fleet::new(Kind::Sealed);
    let mut browser = fleet.signed_in().await;
    fleet.store.fail(&STEPS, Fault::Unreachable);
    fleet.pass(BOUND).await;
    let request = http::Request::post(fleet.one.sign_in.logout_path()).header("accept", "text/html");
    let response = fleet.one.visit(&mut browser, request).await;
    assert_eq!(response.status(), 403);
    assert!(text(&response).contains(BOB), "{}", text(&response));
    let from_elsewhere = navigation(Method::POST, fleet.one.sign_in.logout_path(), "cross-site");
    assert_eq!(told(&fleet.one.visit(&mut browser, from_elsewhere).await), said(403, "logout_from_another_site"));
}
