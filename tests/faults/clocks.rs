//! The site's clock is wrong for a while; the provider's and the browser's go right.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_signin::{Builder, Clock as _};

use crate::place::{LIFE, Place, sees, signs_in};
use crate::support::Browser;
use crate::table::Seen;

/// What the clock shows instead of the time.
const MOVES: [(&str, fn(SystemTime) -> SystemTime); 6] = [
    ("an hour ahead", |now| now + Duration::from_secs(3600)),
    ("an hour behind", |now| now - Duration::from_secs(3600)),
    ("a day ahead", |now| now + Duration::from_secs(LIFE)),
    ("a day behind", |now| now - Duration::from_secs(LIFE)),
    ("2038-01-19", |_| UNIX_EPOCH + Duration::from_secs(1 << 31)),
    ("1970-01-01", |_| UNIX_EPOCH),
];

type Configure = fn(Builder) -> Builder;

/// Sessions of each kind.
const SESSIONS: [(&str, Configure); 3] = [
    ("a page", |builder| builder),
    ("a page, tokens kept", |builder| builder.keep_tokens().session_lifetime(MONTH)),
    ("a page, checked every hour", |builder| builder.recheck_every(HOUR).session_lifetime(MONTH)),
];
const HOUR: Duration = Duration::from_secs(3600);
const MONTH: Duration = Duration::from_secs(30 * LIFE);

#[tokio::test]
async fn a_clock_that_is_wrong_for_a_while() {
    let mut seen = Seen::of("The site's clock");
    for (name, moved) in MOVES {
        let (sees, next) = between_login_and_callback(moved).await;
        seen.row(name, "from login to callback on", sees, next);
        let (sees, next) = during_a_sign_in(moved).await;
        seen.row(name, "a whole sign-in", sees, next);
        for (place, configure) in SESSIONS {
            let (sees, next) = while_signed_in(moved, configure).await;
            seen.row(name, place, sees, next);
        }
    }
    seen.check();
}

/// The callback, then the same once the clock is right, and a new sign-in where that is needed.
async fn between_login_and_callback(moved: fn(SystemTime) -> SystemTime) -> (String, String) {
    let place = Place::start(|builder| builder).await;
    let mut browser = Browser::new();
    let authorization_url = browser.start(&place.origin, "/target").await;
    let callback = browser.approve(&authorization_url, "alice").await;
    let right = place.clock.now();
    place.clock.set(moved(right));
    let wrong = sees(&browser.get(&callback).await);
    assert_eq!(sees(&browser.get(&place.url("/")).await), "nobody");
    assert!(place.wire.requests().is_empty(), "nothing was sent");
    place.clock.set(right);
    let mut next = format!("the same callback: {}", sees(&browser.get(&callback).await));
    if !next.ends_with("303 to /target") {
        next = format!("{next}; {}", signs_in(&mut browser, &place.origin).await);
    }
    assert_eq!(place.guarded(&mut browser).await, "alice");
    (wrong, next)
}

async fn during_a_sign_in(moved: fn(SystemTime) -> SystemTime) -> (String, String) {
    let place = Place::start(|builder| builder).await;
    let right = place.clock.now();
    place.clock.set(moved(right));
    let mut browser = Browser::new();
    let wrong = signs_in(&mut browser, &place.origin).await;
    place.clock.set(right);
    let next = place.guarded(&mut browser).await;
    if next != "alice" {
        assert_eq!(signs_in(&mut browser, &place.origin).await, "signed in");
    }
    (wrong, next)
}

async fn while_signed_in(moved: fn(SystemTime) -> SystemTime, configure: Configure) -> (String, String) {
    let place = Place::start(configure).await;
    let mut browser = place.signed_in().await;
    let right = place.clock.now();
    place.clock.set(moved(right));
    let wrong = place.guarded(&mut browser).await;
    place.clock.set(right);
    let next = place.guarded(&mut browser).await;
    if next != "alice" {
        assert_eq!(signs_in(&mut browser, &place.origin).await, "signed in");
    }
    (wrong, next)
}
