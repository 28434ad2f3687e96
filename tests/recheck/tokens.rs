//! What is asked of the tokens: nothing without them, the newest ones with them.

use http::Request;
use tower_signin::HttpErrorKind;

use crate::site::set_cookies;
use crate::support::text;
use crate::{Club, EVERY, GRACE, LIFE, SESSION, TOKENS, WHOLE, is_refresh, json, seconds, set, sets, settle};

#[tokio::test]
async fn without_tokens_only_the_gates_are_asked() {
    let club = Club::of(|builder| builder.sessions_outlive_tokens().recheck_every(seconds(EVERY)));
    let mut browser = club.due().await;
    set(&club.desk.status, || json(r#"{"signedIn":false}"#));
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response), club.sent()), ("bob", vec![SESSION], vec!["claim", "ownership"]));
    club.advance(EVERY);
    set(&club.desk.claim, || json(r#"{"successCount":0}"#));
    assert_eq!((club.who(&mut browser).await, club.sent()), ("nobody".to_owned(), vec!["claim"]));
}

fn bearer(request: &Request<bytes::Bytes>) -> &str {
    request.headers()["authorization"].to_str().unwrap()
}

#[tokio::test]
async fn the_newest_pair_is_asked_after() {
    let club = Club::new();
    let mut browser = club.signed_in().await;
    let desk = std::sync::Arc::clone(&club.desk);
    set(&club.desk.refresh, move || desk.pair());
    club.advance(LIFE - 60);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response)), ("bob", vec![SESSION, TOKENS]));
    let requests = club.site.upstream.requests();
    assert_eq!(bearer(&requests[1]), "Bearer at-2");
    assert_eq!(club.sent(), ["refresh", "status", "claim", "ownership"]);
}

/// A refresh makes the old pair die, and a check that still asks after it hears no.
#[tokio::test]
async fn a_pair_that_is_replaced_meanwhile_ends_nobody() {
    for is_refreshed in [true, false] {
        let club = Club::with(|builder| builder.recheck_every(seconds(LIFE - 100)));
        let mut browser = club.signed_in().await;
        let desk = std::sync::Arc::clone(&club.desk);
        set(&club.desk.refresh, move || desk.pair());
        let status = club.site.upstream.hold(|request| crate::name(request) == "status");
        let refresh = club.site.upstream.hold(is_refresh);
        club.advance(LIFE - 100);
        let checks = club.begin(&browser, "/").await;
        club.advance(40);
        let refreshes = club.begin(&browser, "/").await;
        refresh.add_permits(usize::from(is_refreshed));
        settle().await;
        assert_eq!(club.sent(), ["status", "refresh"]);

        set(&club.desk.status, || json(r#"{"signedIn":false}"#));
        status.add_permits(1);
        let response = checks.await.unwrap();
        assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]), "{is_refreshed}");
        refresh.add_permits(1);
        let response = refreshes.await.unwrap();
        assert_eq!((text(&response), sets(&response)), ("bob", vec![TOKENS]), "{is_refreshed}");
        browser.keep(&response);

        set(&club.desk.status, || json(r#"{"signedIn":true}"#));
        status.add_permits(1);
        club.advance(1);
        let response = club.get(&mut browser, "/").await;
        assert_eq!((text(&response), sets(&response), club.sent()), ("bob", vec![SESSION], WHOLE.to_vec()));
    }
}

/// Newer tokens reach the browser though nobody is let in: the old ones are dead.
#[tokio::test]
async fn a_refresh_is_not_lost_where_the_check_fails() {
    let club = Club::new();
    let mut browser = club.signed_in().await;
    let desk = std::sync::Arc::clone(&club.desk);
    set(&club.desk.refresh, move || desk.pair());
    set(&club.desk.claim, || Err(HttpErrorKind::Unreachable));
    club.advance(LIFE - 60);
    let response = club.get(&mut browser, "/guarded").await;
    assert_eq!((response.status().as_u16(), sets(&response)), (503, vec![TOKENS]));
    assert_eq!(club.sent(), ["refresh", "status", "claim"]);
    club.advance(2 * GRACE);
    set(&club.desk.claim, || json(r#"{"successCount":1}"#));
    let response = club.get(&mut browser, "/guarded").await;
    assert_eq!((text(&response), sets(&response), club.sent()), ("bob", vec![SESSION], WHOLE.to_vec()));
}

/// Another clock may have ended them already, which is no word on the person. Nor is it one that they could not be
/// refreshed, so the gates are not asked either.
#[tokio::test]
async fn tokens_in_their_last_minute_are_not_asked_after() {
    let club = Club::with(|builder| builder.sessions_outlive_tokens());
    let mut browser = club.signed_in().await;
    club.advance(LIFE - 2 * EVERY);
    assert_eq!((club.who(&mut browser).await, club.sent()), ("bob".to_owned(), WHOLE.to_vec()));
    set(&club.desk.status, || json(r#"{"signedIn":false}"#));
    club.advance(2 * EVERY - 60);
    assert_eq!((club.who(&mut browser).await, club.sent()), ("bob".to_owned(), vec!["refresh"]));
    club.advance(GRACE);
    assert_eq!(club.get(&mut browser, "/guarded").await.status(), 503);
}
