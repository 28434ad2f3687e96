//! Checks of sessions that live in a store.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::Response;
use tower_signin::{Clock as _, Keys, ManualClock, MemoryStore};

use crate::double::{Double, Fault, Kind, STEPS};
use crate::site::set_cookies;
use crate::support::text;
use crate::{Club, EVERY, LIFE, SESSION, TOKENS, WHOLE, is_check, is_refresh, json, seconds, set, sets, settle};

/// A site whose sessions are in this store.
fn in_store(store: &Arc<MemoryStore>) -> Club {
    Club::with(|builder| builder.keys(keys()).session_store(Arc::clone(store)))
}

fn keys() -> Keys {
    Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap()
}

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new().clock(ManualClock::new(UNIX_EPOCH)))
}

#[tokio::test]
async fn a_session_in_a_store_is_checked_for_every_process() {
    let store = memory();
    let (one, other) = (in_store(&store), in_store(&store));
    let mut browser = one.due().await;
    other.advance(EVERY);
    let response = one.get(&mut browser, "/").await;
    assert_eq!((text(&response), set_cookies(&response).len()), ("bob", 0), "the record says it");
    assert_eq!(one.sent(), WHOLE);
    assert_eq!(other.who(&mut browser).await, "bob");
    assert_eq!(other.sent().len(), 0);

    one.advance(EVERY);
    set(&one.desk.claim, || Ok(Response::new(r#"{"successCount":0}"#.into())));
    let response = one.get(&mut browser.clone(), "/").await;
    assert_eq!((text(&response), sets(&response)), ("nobody", vec![SESSION, TOKENS]), "its cookies are deleted");
    settle().await;
    assert_eq!(other.who(&mut browser).await, "nobody", "its record is gone");
    assert_eq!(other.sent().len(), 0);
}

/// Whoever came with it is gone by the time of the answer, and no request may come any more.
#[tokio::test]
async fn a_no_that_nobody_waits_for_ends_the_session_at_every_process() {
    let store = memory();
    let (one, other) = (in_store(&store), in_store(&store));
    let mut browser = one.due().await;
    let gate = one.site.upstream.hold(is_check);
    set(&one.desk.status, || crate::json(r#"{"signedIn":false}"#));
    let gone = one.begin(&browser, "/").await;
    gone.abort();
    assert!(gone.await.is_err());
    gate.add_permits(1);
    settle().await;
    assert_eq!(other.who(&mut browser).await, "nobody", "where it was not due");
}

/// The same where a refresh was refused: the next request takes it out.
#[tokio::test]
async fn a_refused_refresh_that_nobody_waits_for_ends_the_session_at_every_process() {
    let store = memory();
    let (one, other) = (in_store(&store), in_store(&store));
    let mut browser = one.signed_in().await;
    one.advance(crate::LIFE - 60);
    let gate = one.site.upstream.hold(is_refresh);
    set(&one.desk.refresh, || crate::failure(400, r#"{"errorMessage":"Invalid refresh token."}"#));
    let gone = one.begin(&browser, "/").await;
    gone.abort();
    assert!(gone.await.is_err());
    gate.add_permits(1);
    settle().await;
    assert_eq!(one.who(&mut browser.clone()).await, "nobody");
    settle().await;
    assert_eq!(other.who(&mut browser).await, "nobody", "where it was not due");
}

/// A refresh at another process makes the old pair die there, and a check that still asks after it hears no.
#[tokio::test]
async fn a_pair_that_another_process_replaces_meanwhile_ends_nobody() {
    for is_refreshed in [true, false] {
        for is_stored in [true, false] {
            let name = format!("{is_refreshed}, {is_stored}");
            let nodes = Nodes::new(is_stored);
            let browser = nodes.one.signed_in().await;
            let status = nodes.one.site.upstream.hold(|request| crate::name(request) == "status");
            let refresh = nodes.other.site.upstream.hold(is_refresh);
            nodes.advance(LIFE - 100);
            let checks = nodes.one.begin(&browser, "/").await;
            nodes.advance(40);
            let refreshes = nodes.other.begin(&browser, "/").await;
            refresh.add_permits(usize::from(is_refreshed));
            settle().await;
            assert_eq!(nodes.one.sent(), ["status"], "{name}");

            set(&nodes.one.desk.status, || json(r#"{"signedIn":false}"#));
            status.add_permits(1);
            let response = checks.await.unwrap();
            assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]), "{name}");
            refresh.add_permits(1);
            let response = refreshes.await.unwrap();
            assert_eq!(text(&response), "bob", "{name}");
            assert_eq!(nodes.other.who(&mut browser.clone()).await, "bob", "{name}");
        }
    }
}

/// Where nothing was replaced, a no is a no; where the store can't tell, nothing is known.
#[tokio::test]
async fn a_no_counts_where_the_store_knows_of_no_other_pair() {
    for (is_away, expected) in [(false, "nobody"), (true, "bob")] {
        for is_stored in [true, false] {
            let nodes = Nodes::new(is_stored);
            let browser = nodes.one.signed_in().await;
            let status = nodes.one.site.upstream.hold(|request| crate::name(request) == "status");
            nodes.advance(LIFE - 100);
            let checks = nodes.one.begin(&browser, "/").await;
            set(&nodes.one.desk.status, || json(r#"{"signedIn":false}"#));
            if is_away {
                nodes.store.fail(&STEPS, Fault::Unreachable);
            }
            status.add_permits(1);
            assert_eq!(text(&checks.await.unwrap()), expected, "{is_away}, {is_stored}");
        }
    }
}

/// Two processes with a store that they share: of their sessions, or of those that were ended.
struct Nodes {
    one: Club,
    other: Club,
    store: Double,
    clock: Arc<ManualClock>,
}

impl Nodes {
    fn new(is_stored: bool) -> Self {
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH));
        let store = Double::new(Kind::Sealed, &clock);
        let node = || {
            Club::with(|builder| {
                let builder = builder.keys(keys()).recheck_every(seconds(LIFE - 100));
                if is_stored { builder.session_store(store.clone()) } else { builder.revocation_list(store.clone()) }
            })
        };
        let (one, other) = (node(), node());
        clock.set(one.site.clock.now());
        for node in [&one, &other] {
            let desk = Arc::clone(&node.desk);
            set(&node.desk.refresh, move || desk.pair());
        }
        Self { one, other, store, clock }
    }

    fn advance(&self, by: u64) {
        self.one.advance(by);
        self.other.advance(by);
        self.clock.advance(seconds(by));
    }
}
