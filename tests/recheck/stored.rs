//! Checks of sessions that live in a store.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::Response;
use tower_signin::{Keys, ManualClock, MemoryStore};

use crate::site::set_cookies;
use crate::support::text;
use crate::{Club, EVERY, SESSION, TOKENS, WHOLE, is_check, is_refresh, set, sets, settle};

/// A site whose sessions are in this store.
fn in_store(store: &Arc<MemoryStore>) -> Club {
    let keys = Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap();
    Club::with(|builder| builder.keys(keys).session_store(Arc::clone(store)))
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
