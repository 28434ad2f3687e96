//! When a check is due, and how the session learns that it passed.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Semaphore;
use tower_signin::{Clock as _, Keys};

use crate::site::{NOW, set_cookies};
use crate::support::text;
use crate::{Club, EVERY, SESSION, WHOLE, seconds, sets};

#[tokio::test]
async fn due_to_the_second_and_again_after_as_long() {
    let club = Club::new();
    let mut browser = club.signed_in().await;
    club.advance(EVERY - 1);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), set_cookies(&response), club.sent()), ("bob", vec![], vec![]));
    club.advance(1);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response), club.sent()), ("bob", vec![SESSION], WHOLE.to_vec()));
    for _ in 0..2 {
        club.advance(EVERY - 1);
        let response = club.get(&mut browser, "/guarded").await;
        assert_eq!((text(&response), sets(&response), club.sent()), ("bob", vec![], vec![]));
        club.advance(1);
        let response = club.get(&mut browser, "/guarded").await;
        assert_eq!((text(&response), sets(&response), club.sent()), ("bob", vec![SESSION], WHOLE.to_vec()));
    }
}

/// The time of the check is in the cookie, so that a process that knows nothing of it does not ask again.
#[tokio::test]
async fn the_cookie_tells_another_process() {
    let keys = || Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap();
    let club = Club::with(|builder| builder.keys(keys()));
    let other = Club::with(|builder| builder.keys(keys()));
    let mut browser = club.due().await;
    other.advance(EVERY);
    let before = browser.clone();
    assert_eq!(sets(&club.get(&mut browser, "/").await), [SESSION]);
    club.sent();
    other.advance(EVERY - 1);
    assert_eq!((other.who(&mut browser).await, other.sent().len()), ("bob".to_owned(), 0));
    other.advance(1);
    assert_eq!((other.who(&mut browser).await, other.sent().len()), ("bob".to_owned(), 3));

    let third = Club::with(|builder| builder.keys(keys()));
    third.advance(EVERY);
    assert_eq!((third.who(&mut before.clone()).await, third.sent().len()), ("bob".to_owned(), 3), "the older cookie");
}

#[tokio::test]
async fn sessions_that_are_there_count_from_their_sign_in() {
    let keys = || Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap();
    let before = Club::of(|builder| builder.keep_tokens().keys(keys()));
    let mut browser = before.signed_in().await;
    before.advance(9 * EVERY);
    assert_eq!((before.who(&mut browser).await, before.sent().len()), ("bob".to_owned(), 0), "off");
    let club = Club::with(|builder| builder.keys(keys()));
    club.advance(EVERY - 1);
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 0));
    club.advance(1);
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 3));
}

/// The cookie that tells of the check is as good as any: whoever is checked is there.
#[tokio::test]
async fn a_check_is_a_use_and_a_use_is_no_check() {
    let club = Club::with(|builder| builder.session_idle_timeout(seconds(100 * EVERY)));
    let mut browser = club.due().await;
    for _ in 0..3 {
        let response = club.get(&mut browser, "/").await;
        let max_age = format!("Max-Age={}", 100 * EVERY);
        assert!(set_cookies(&response)[0].ends_with(&max_age), "{:?}", set_cookies(&response));
        assert_eq!(club.sent(), WHOLE);
        club.advance(EVERY - 1);
        assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 0));
        club.advance(1);
    }
}

/// A response that took long does not bring an idle end back that others have put off meanwhile.
#[tokio::test]
async fn a_slow_response_takes_no_time_away() {
    let slow = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&slow);
    let mut club = Club::with(|builder| builder.session_idle_timeout(seconds(10_000)));
    let wait = move || async move { gate.acquire().await.unwrap().forget() };
    club.router = club.router.route("/slow", axum::routing::get(wait));
    let mut browser = club.due().await;
    let waiting = club.begin(&browser, "/slow").await;
    assert_eq!(club.sent(), WHOLE);
    club.advance(500);
    assert!(set_cookies(&club.get(&mut browser, "/").await)[0].ends_with("Max-Age=10000"));
    club.advance(4000);
    slow.add_permits(1);
    let response = waiting.await.unwrap();
    assert!(set_cookies(&response)[0].ends_with("Max-Age=10000"), "{:?}", set_cookies(&response));
}

#[tokio::test]
async fn a_renewal_alone_checks_nothing() {
    let club = Club::with(|builder| builder.session_idle_timeout(seconds(EVERY)));
    let mut browser = club.signed_in().await;
    club.advance(EVERY - 1);
    assert_eq!(sets(&club.get(&mut browser, "/").await), [SESSION]);
    assert!(club.sent().is_empty());
    club.advance(1);
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(club.sent(), WHOLE, "the renewal did not put it off");
}

#[tokio::test]
async fn shared_caches_get_no_cookie_and_cause_no_second_check() {
    let club = Club::new();
    let mut browser = club.due().await;
    for _ in 0..3 {
        let response = club.get(&mut browser, "/public").await;
        assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]));
        assert_eq!(response.headers()["cache-control"], "public, max-age=60");
    }
    assert_eq!(club.sent(), WHOLE);
    club.advance(EVERY - 1);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((sets(&response), club.sent().len()), (vec![SESSION], 0), "from memory");
    assert_eq!(sets(&club.get(&mut browser, "/").await), [""; 0]);
    club.advance(1);
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 3), "with the time of the check");
}

/// The old cookie still says that it was checked at a time that lies ahead, which no longer counts.
#[tokio::test]
async fn a_clock_that_steps_back_has_each_session_checked_once() {
    let club = Club::new();
    let mut browser = club.due().await;
    assert_eq!(club.who(&mut browser).await, "bob");
    club.sent();
    club.site.clock.set(SystemTime::UNIX_EPOCH + seconds(NOW - 100 * EVERY));
    for sent in [WHOLE.len(), 0, 0] {
        let response = club.get(&mut browser, "/public").await;
        assert_eq!((text(&response), club.sent().len()), ("bob", sent));
    }
    club.advance(EVERY);
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), WHOLE.len()), "and is due again");
}

#[tokio::test]
async fn a_clock_that_steps_back_harms_nobody() {
    let club = Club::new();
    let mut browser = club.due().await;
    assert_eq!(club.who(&mut browser).await, "bob");
    club.sent();
    // By a little: clocks of several nodes differ as much.
    club.site.clock.set(club.site.clock.now() - seconds(60));
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 0));
    // By far: nothing is known of any check, and the provider says.
    club.site.clock.set(SystemTime::UNIX_EPOCH + seconds(NOW - 100 * EVERY));
    for reply in club.desk.replies() {
        crate::set(reply, || crate::failure(503, ""));
    }
    assert_eq!((club.who(&mut browser).await, club.sent()), ("bob".to_owned(), vec!["status"]));
    for reply in club.desk.replies() {
        crate::set(reply, || crate::json(r#"{"signedIn":true,"successCount":1,"success":true}"#));
    }
    club.advance(60);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response), club.sent().len()), ("bob", vec![SESSION], 3));
    for (by, sent) in [(EVERY - 1, 0), (1, 3)] {
        club.advance(by);
        assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), sent));
    }
}
