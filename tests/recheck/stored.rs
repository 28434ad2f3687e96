//! Checks of sessions that live in a store.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use http::Response;
use tower_signin::{Keys, ManualClock, MemoryStore};

use crate::site::set_cookies;
use crate::support::text;
use crate::{Club, EVERY, WHOLE, set, settle};

#[tokio::test]
async fn a_session_in_a_store_is_checked_for_every_process() {
    let store = Arc::new(MemoryStore::new().clock(ManualClock::new(UNIX_EPOCH)));
    let keys = || Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap();
    let node = || {
        let store = Arc::clone(&store);
        Club::with(|builder| builder.keys(keys()).session_store(store))
    };
    let (one, other) = (node(), node());
    let mut browser = one.due().await;
    other.advance(EVERY);
    let response = one.get(&mut browser, "/").await;
    assert_eq!((text(&response), set_cookies(&response).len()), ("bob", 0), "the record says it");
    assert_eq!(one.sent(), WHOLE);
    assert_eq!(other.who(&mut browser).await, "bob");
    assert_eq!(other.sent().len(), 0);

    one.advance(EVERY);
    set(&one.desk.claim, || Ok(Response::new(r#"{"successCount":0}"#.into())));
    assert_eq!(one.who(&mut browser.clone()).await, "nobody");
    settle().await;
    assert_eq!(other.who(&mut browser).await, "nobody", "its record is gone");
    assert_eq!(other.sent().len(), 0);
}
