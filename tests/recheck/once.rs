//! One check for all requests of a session, a bounded number of checks, and none that is lost with its request.

use crate::site::set_cookies;
use crate::support::{Browser, text};
use crate::{Club, SESSION, WHOLE, is_check, sets, settle};

#[tokio::test]
async fn a_thousand_requests_make_one_check() {
    let club = Club::new();
    let browser = club.due().await;
    let gate = club.site.upstream.hold(is_check);
    let mut waiting = Vec::new();
    for _ in 0..1000 {
        waiting.push(tokio::spawn(club.call(&browser, "/")));
    }
    settle().await;
    assert!(waiting.iter().all(|task| !task.is_finished()));
    gate.add_permits(3);
    for task in waiting {
        let response = task.await.unwrap();
        assert_eq!((text(&response), sets(&response)), ("bob", vec![SESSION]));
    }
    assert_eq!(club.sent(), WHOLE);
}

#[tokio::test]
async fn a_check_goes_on_without_the_request_that_began_it() {
    let club = Club::new();
    let mut browser = club.due().await;
    let gate = club.site.upstream.hold(is_check);
    let gone = club.begin(&browser, "/").await;
    gone.abort();
    assert!(gone.await.is_err());
    gate.add_permits(3);
    settle().await;
    assert_eq!(club.sent(), WHOLE);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response), club.sent().len()), ("bob", vec![SESSION], 0));
}

/// Beyond what may run at once, people go on with what they have.
#[tokio::test]
async fn a_flood_of_checks_is_bounded() {
    let club = Club::new();
    let mut browsers: Vec<Browser> = Vec::new();
    for _ in 0..257 {
        browsers.push(club.signed_in().await);
    }
    club.advance(crate::EVERY);
    let gate = club.site.upstream.hold(is_check);
    let mut waiting = Vec::new();
    for browser in &browsers[..256] {
        waiting.push(tokio::spawn(club.call(browser, "/")));
    }
    settle().await;
    assert_eq!(club.sent().len(), 256);
    let response = club.get(&mut browsers[256], "/").await;
    assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]));
    gate.add_permits(257 * 3);
    for task in waiting {
        assert_eq!(sets(&task.await.unwrap()), [SESSION]);
    }
    assert_eq!(sets(&club.get(&mut browsers[256], "/").await), [SESSION]);
}

#[tokio::test]
async fn off_it_asks_nothing_and_holds_nobody() {
    let club = Club::of(|builder| builder.keep_tokens());
    let mut browser = club.signed_in().await;
    club.advance(crate::LIFE / 2);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), set_cookies(&response), club.sent().len()), ("bob", vec![], 0));
}
