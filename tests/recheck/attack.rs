//! Who stands between this site and the provider, or keeps old cookies, gains nothing by it.

use std::time::Duration;

use tower_signin::{Clock as _, HttpErrorKind};

use crate::support::text;
use crate::{Club, EVERY, GRACE, LIFE, seconds, set, told};

/// An outage that outlasts the tokens: of what can't be asked after nothing is known, and the gates alone are no answer.
#[tokio::test]
async fn tokens_that_end_in_an_outage_let_nobody_in_again() {
    for refresh_is_away in [true, false] {
        let club = Club::with(|builder| builder.sessions_outlive_tokens());
        let mut browser = club.signed_in().await;
        // Only what would tell that the authorization is over is kept from this site.
        set(&club.desk.status, || Err(HttpErrorKind::Unreachable));
        if !refresh_is_away {
            let desk = std::sync::Arc::clone(&club.desk);
            set(&club.desk.refresh, move || desk.pair());
        }
        for passed in [EVERY + GRACE, LIFE - 100, LIFE - 61, LIFE - 1, LIFE, 2 * LIFE, 3 * LIFE] {
            club.site.clock.set(std::time::UNIX_EPOCH + seconds(crate::site::NOW + passed));
            for _ in 0..2 {
                let response = club.get(&mut browser, "/guarded").await;
                assert_eq!(told(&response), (503, "session_unavailable".to_owned()), "{refresh_is_away}, {passed}");
            }
        }
    }
}

/// A cookie of the time when the clock ran ahead can be kept, and sent again and again.
#[tokio::test]
async fn an_old_cookie_from_a_clock_ahead_makes_no_check_for_each_request() {
    let club = Club::new();
    let now = club.site.clock.now();
    club.site.clock.set(now + seconds(LIFE / 2));
    let browser = club.signed_in().await;
    club.site.clock.set(now);
    for request in 0..20 {
        let response = club.get(&mut browser.clone(), "/").await;
        assert_eq!((text(&response), club.sent().len()), ("bob", if request == 0 { 3 } else { 0 }), "{request}");
        club.advance(1);
    }
}

/// At any of its awaits; the check goes on by itself, and its verdict is for the next.
#[tokio::test]
async fn requests_that_go_away_leave_a_check_that_ends() {
    use std::task::{Context, Waker};
    for polls in 0..8 {
        let club = Club::new();
        let mut browser = club.due().await;
        let mut dropped = Box::pin(club.call(&browser, "/"));
        for _ in 0..polls {
            if dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
        }
        drop(dropped);
        crate::settle().await;
        assert_eq!(club.who(&mut browser).await, "bob", "{polls}");
        assert_eq!(club.sent(), crate::WHOLE, "{polls}: once");
    }
}

/// A claim that was taken away, and a network that is then cut: the copy of the cookie is no way back.
#[tokio::test]
async fn an_outage_after_the_end_brings_nobody_back() {
    let club = Club::new();
    let copy = club.due().await;
    set(&club.desk.claim, || crate::json(r#"{"successCount":0}"#));
    assert_eq!(club.who(&mut copy.clone()).await, "nobody");
    for reply in club.desk.replies() {
        set(reply, || Err(HttpErrorKind::Unreachable));
    }
    for by in [0, 1, 60, GRACE - 62, 1, GRACE] {
        club.advance(by);
        assert_ne!(club.who(&mut copy.clone()).await, "bob", "{by}");
    }
}

/// However many of a person's old cookies come in whatever order, what was learnt last counts.
#[tokio::test(start_paused = true)]
async fn old_cookies_move_no_time_back() {
    let club = Club::new();
    let oldest = club.signed_in().await;
    let mut browser = oldest.clone();
    for _ in 0..3 {
        club.advance(EVERY);
        assert_eq!(club.who(&mut browser).await, "bob");
    }
    club.sent();
    club.advance(EVERY - 1);
    for _ in 0..3 {
        assert_eq!(text(&club.get(&mut oldest.clone(), "/").await), "bob");
    }
    assert_eq!(club.sent().len(), 0);
    club.advance(1);
    let gate = club.site.upstream.hold(crate::is_check);
    set(&club.desk.claim, || crate::json(r#"{"successCount":0}"#));
    let held = club.begin(&browser, "/").await;
    gate.add_permits(3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(text(&held.await.unwrap()), "nobody");
    assert_eq!(club.who(&mut oldest.clone()).await, "nobody");
}
