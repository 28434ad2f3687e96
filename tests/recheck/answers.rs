//! The provider is asked, and answers.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use tower_signin::{Builder, Identity, Keys, ManualClock, MemoryStore, SessionEnd, WhenUnchecked};

use crate::site::{deleted, set_cookies};
use crate::support::{navigation, text};
use crate::{Club, EVERY, HOUR, brings_session, settle};

const ALL: [&str; 3] = ["status", "claim", "ownership"];

#[tokio::test]
async fn a_session_is_checked_once_it_is_due_and_not_before() {
    let club = Club::new();
    let mut browser = club.signed_in().await;
    club.advance(EVERY - 1);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), brings_session(&response), club.asked().len()), ("bob", false, 0));
    club.advance(1);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), brings_session(&response)), ("bob", true));
    assert_eq!(club.asked(), ALL);

    // The cookie says so, to any process.
    club.advance(EVERY - 1);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), brings_session(&response), club.asked().len()), ("bob", false, 0));
    club.advance(1);
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(club.asked(), ALL);
}

#[tokio::test]
async fn a_no_of_any_of_them_ends_the_session() {
    type Change = fn(&mut crate::BitBadges);
    let cases: [(&str, Change, usize); 3] = [
        ("the authorization was taken back", |it| it.signed_in = false, 1),
        ("the claim was undone", |it| it.claims = 0, 2),
        ("the asset was sold", |it| it.owns = false, 3),
    ];
    for (name, change, asked) in cases {
        let club = Club::new();
        let mut browser = club.due().await;
        let old = browser.clone();
        club.set(change);
        let response = club.get(&mut browser, "/").await;
        assert_eq!(text(&response), "nobody", "{name}");
        assert_eq!(set_cookies(&response), [deleted("__Host-signin"), deleted("__Host-signin-tokens")], "{name}");
        assert_eq!(club.asked(), ALL[..asked], "{name}");
        assert_eq!(club.guarded(&old).await, (401, "not_signed_in".to_owned()), "{name}: a copy of the cookies");
        assert_eq!(club.asked().len(), 0, "{name}: it is known");
    }
}

#[tokio::test]
async fn who_waits_for_the_end_is_told() {
    let club = Club::new();
    let browser = club.signed_in().await;
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let waits = axum::routing::get(async move |identity: Identity| {
        *keep.lock().unwrap() = Some(identity.ended());
    });
    let club = Club { router: club.router.clone().route("/waits", waits), ..club };
    club.call(&browser, navigation(Method::GET, "/waits", "none")).await;
    let ended = tokio::spawn(seen.lock().unwrap().take().expect("somebody"));
    club.advance(EVERY);
    club.set(|it| it.claims = 0);
    settle().await;
    assert!(!ended.is_finished());
    club.call(&browser, navigation(Method::GET, "/", "none")).await;
    assert_eq!(ended.await.unwrap(), SessionEnd::Revoked);
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_one_check() {
    let club = Club::new();
    let browser = club.due().await;
    let gate = club.site.upstream.hold(|_| true);
    let requests: Vec<_> =
        (0..1000).map(|_| tokio::spawn(club.call(&browser, navigation(Method::GET, "/", "none")))).collect();
    settle().await;
    assert_eq!(club.site.upstream.requests().len(), 1);
    gate.add_permits(3);
    for request in requests {
        let response = request.await.unwrap();
        assert_eq!((text(&response), brings_session(&response)), ("bob", true));
    }
    assert_eq!(club.asked(), ALL);
}

#[tokio::test]
async fn without_tokens_only_the_gates_are_asked() {
    let club = Club::with(|builder| builder);
    let mut browser = club.signed_in().await;
    // The session ends with its access token, in ten days.
    club.advance(EVERY);
    club.set(|it| it.signed_in = false);
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(club.asked(), ["claim", "ownership"]);
    club.advance(EVERY);
    club.set(|it| it.owns = false);
    assert_eq!(club.who(&mut browser).await, "nobody");
}

#[tokio::test]
async fn a_response_for_shared_caches_carries_nothing_and_the_check_counts() {
    let club = Club::new();
    let mut browser = club.due().await;
    let response = club.get(&mut browser, "/public").await;
    assert_eq!((text(&response), set_cookies(&response).len()), ("bob", 0));
    assert_eq!(club.asked(), ALL);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), brings_session(&response), club.asked().len()), ("bob", true, 0));
}

#[tokio::test]
async fn the_idle_end_moves_with_the_cookie_and_the_absolute_one_stays() {
    let club = Club::with(|builder| builder.session_idle_timeout(Duration::from_secs(20 * 24 * HOUR)));
    let mut browser = club.signed_in().await;
    for _ in 0..9 {
        club.advance(24 * HOUR);
        assert_eq!(club.who(&mut browser).await, "bob");
    }
    club.advance(24 * HOUR);
    assert_eq!(club.who(&mut browser).await, "nobody", "the access token has ended");
}

#[tokio::test]
async fn a_clock_that_was_set_back_neither_floods_nor_puts_off() {
    let club = Club::new();
    let mut browser = club.signed_in().await;
    club.site.clock.set(UNIX_EPOCH + Duration::from_secs(crate::NOW - 30));
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(club.asked().len(), 0, "half a minute may be another node's clock");
    club.site.clock.set(UNIX_EPOCH + Duration::from_secs(crate::NOW - 10 * HOUR));
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(club.asked(), ALL, "a check that lies in the future is none");
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(club.asked().len(), 0);
}

#[tokio::test]
async fn tokens_that_a_refresh_replaces_meanwhile_end_nothing() {
    let club = Club::new();
    let mut browser = club.signed_in().await;
    // A minute before the pair ends, so a refresh is due as well, and comes first.
    club.advance(240 * HOUR - 60);
    let gate = club.site.upstream.hold(|request| crate::name(request) == "status");
    club.set(|it| it.signed_in = false);
    let waiting = tokio::spawn(club.call(&browser, navigation(Method::GET, "/", "none")));
    settle().await;
    assert_eq!(club.asked(), ["token", "status"]);
    gate.add_permits(1);
    assert_eq!(text(&waiting.await.unwrap()), "nobody", "the newest pair, and it is not good");

    let goes_on = |builder: Builder| builder.recheck_outage(Duration::ZERO, WhenUnchecked::SignedIn);
    let club = Club::with(|builder| goes_on(builder.keep_tokens()));
    let stale = club.due().await;
    let gate = club.site.upstream.hold(|request| crate::name(request) == "status");
    club.set(|it| it.signed_in = false);
    let waiting = tokio::spawn(club.call(&stale, navigation(Method::GET, "/", "none")));
    settle().await;
    club.advance(240 * HOUR - 60 - EVERY);
    let refreshing = tokio::spawn(club.call(&stale, navigation(Method::GET, "/", "none")));
    settle().await;
    assert_eq!(club.asked(), ["status", "token"], "one check for both");
    gate.add_permits(1);
    assert_eq!(text(&waiting.await.unwrap()), "bob");
    assert_eq!(text(&refreshing.await.unwrap()), "bob");
    browser = stale;
    club.advance(5);
    club.set(|it| it.signed_in = true);
    gate.add_permits(1);
    assert_eq!(club.who(&mut browser).await, "bob");
}

#[tokio::test]
async fn a_session_in_a_store_is_checked_for_every_process() {
    let store = Arc::new(MemoryStore::new().clock(ManualClock::new(UNIX_EPOCH)));
    let keys = || Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap();
    let node = || {
        let store = Arc::clone(&store);
        Club::with(|builder| builder.keys(keys()).session_store(store).keep_tokens())
    };
    let (one, other) = (node(), node());
    let mut browser = one.due().await;
    other.advance(EVERY);
    let response = one.get(&mut browser, "/").await;
    assert_eq!((text(&response), set_cookies(&response).len()), ("bob", 0), "the record says it");
    assert_eq!(one.asked(), ALL);
    assert_eq!(other.who(&mut browser).await, "bob");
    assert_eq!(other.asked().len(), 0);

    one.advance(EVERY);
    one.set(|it| it.claims = 0);
    assert_eq!(one.who(&mut browser.clone()).await, "nobody");
    settle().await;
    assert_eq!(other.who(&mut browser).await, "nobody", "its record is gone");
    assert_eq!(other.asked().len(), 0);
}
