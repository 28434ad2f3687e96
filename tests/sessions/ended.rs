//! Waiting for the end of a session, as a stream does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Response};
use http_body_util::Full;
use tokio::task::JoinHandle;
use tower_signin::{Identity, Keys, SessionEnd};

use crate::Visit::{Over, Renewed};
use crate::site::{CODE, Site, set_cookies};
use crate::support::{Browser, navigation, text};
use crate::{Inner, SESSION, Visit, at, inner, sign_out, through, visit};

const IDLE: Duration = Duration::from_secs(100);

/// Long enough on tokio's clock for every watcher to look at the site's.
const A_LOOK: Duration = Duration::from_secs(61);

fn site() -> Site {
    Site::with(|builder| builder.session_idle_timeout(IDLE).session_lifetime(Duration::from_secs(600)))
}

/// Who comes with this browser's cookies, as a handler sees them.
async fn identity(site: &Site, browser: &Browser) -> Identity {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let keep: Inner = inner(move |identity| {
        *kept.lock().unwrap() = identity;
        async { Response::new(Full::default()) }
    });
    through(&site.sign_in, &keep, browser, "/").await;
    let identity = seen.lock().unwrap().take();
    identity.expect("somebody is signed in")
}

fn watch(identity: &Identity) -> JoinHandle<SessionEnd> {
    tokio::spawn(identity.ended())
}

/// Fails where nobody is told: a watcher whose clock stands still would look at it for ever.
async fn heard(waiting: JoinHandle<SessionEnd>) -> SessionEnd {
    tokio::time::timeout(60 * A_LOOK, waiting).await.expect("it hears of the end").unwrap()
}

/// Both clocks go on, and whoever waits gets to look.
async fn pass(site: &Site, second: i64) {
    site.clock.set(at(second));
    settle().await;
}

async fn settle() {
    tokio::time::advance(A_LOOK).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_expires_at_the_earliest_of_its_ends() {
    let cases = [("idle", Some(IDLE), 600, 100), ("absolute", Some(IDLE), 60, 60), ("absolute alone", None, 600, 600)];
    for (name, idle, lifetime, end) in cases {
        let site = Site::with(|builder| {
            let builder = builder.session_lifetime(Duration::from_secs(lifetime));
            if let Some(idle) = idle { builder.session_idle_timeout(idle) } else { builder }
        });
        let who = identity(&site, &site.signed_in().await).await;
        assert_eq!(who.expires_at(), at(end), "{name}");
        let waiting = watch(&who);
        pass(&site, end - 1).await;
        assert!(!waiting.is_finished(), "{name}: a second before");
        pass(&site, end).await;
        assert_eq!(heard(waiting).await, SessionEnd::Expired, "{name}");
        assert_eq!(heard(watch(&who)).await, SessionEnd::Expired, "{name}: over already");
    }
}

/// With no look at the clock in between: the timer itself ends at the end.
#[tokio::test(start_paused = true)]
async fn the_end_is_heard_at_the_end_and_not_at_the_next_look() {
    let site = site();
    let who = identity(&site, &site.signed_in().await).await;
    site.clock.set(at(70));
    let waiting = watch(&who);
    tokio::task::yield_now().await;
    site.clock.set(at(100));
    let began = tokio::time::Instant::now();
    assert_eq!(heard(waiting).await, SessionEnd::Expired);
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn u35_everybody_who_waits_hears_of_a_sign_out_or_a_new_sign_in() {
    for (name, expected) in [("signed_out", SessionEnd::SignedOut), ("replaced", SessionEnd::Replaced)] {
        let site = site();
        let mut browser = site.signed_in().await;
        let other = site.signed_in().await;
        let tabs: Vec<_> = [identity(&site, &browser).await, identity(&site, &browser).await].into();
        let waiting: Vec<_> = tabs.iter().flat_map(|tab| [watch(tab), watch(tab), watch(&tab.clone())]).collect();
        let unconcerned = watch(&identity(&site, &other).await);
        settle().await;
        match expected {
            SessionEnd::SignedOut => sign_out(&site, &mut browser).await,
            _ => assert_eq!(site.complete(&mut browser, "/").await.status(), 303),
        }
        for waiting in waiting {
            assert_eq!(heard(waiting).await, expected, "{name}");
        }
        assert_eq!(expected.code(), name);
        for tab in &tabs {
            assert_eq!(heard(watch(tab)).await, expected, "{name}: over already");
        }
        settle().await;
        assert!(!unconcerned.is_finished(), "{name}: another browser goes on");
        if browser.jar.contains_key(SESSION) {
            let anew = watch(&identity(&site, &browser).await);
            settle().await;
            assert!(!anew.is_finished(), "{name}: so does the new session");
        }
    }
}

/// What is refused, or comes to nothing, ends nothing.
#[tokio::test(start_paused = true)]
async fn a_sign_in_that_fails_and_a_foreign_logout_end_nothing() {
    let site = site();
    let mut browser = site.signed_in().await;
    let waiting = watch(&identity(&site, &browser).await);
    let started = site.start(&mut browser, "/").await;
    site.upstream.answer(500, "");
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 502);
    let logout = navigation(Method::POST, site.sign_in.logout_path(), "cross-site");
    assert_eq!(site.visit(&mut browser, logout).await.status(), 403);
    settle().await;
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_by_another_request_puts_the_end_off() {
    let site = site();
    let mut browser = site.signed_in().await;
    let who = identity(&site, &browser).await;
    let waiting = watch(&who);
    settle().await;
    assert_eq!(visit(&site, &mut browser, 90).await, Renewed(100));
    pass(&site, 189).await;
    assert!(!waiting.is_finished(), "the first end has passed");
    let later = watch(&who);
    pass(&site, 189).await;
    assert!(!later.is_finished(), "who joins one that waits hears what that one has heard");
    assert_eq!(visit(&site, &mut browser, 189).await, Renewed(100));
    pass(&site, 288).await;
    assert!(!waiting.is_finished() && !later.is_finished());
    pass(&site, 289).await;
    assert_eq!((heard(waiting).await, heard(later).await), (SessionEnd::Expired, SessionEnd::Expired));
    assert_eq!(visit(&site, &mut browser, 289).await, Over);
}

/// The request of a stream may be the one that renews. Its handler calls `ended` before it answers.
#[tokio::test(start_paused = true)]
async fn a_renewal_by_the_request_itself_counts_from_the_call() {
    let site = site();
    let browser = site.signed_in().await;
    let ends = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&ends);
    let handler = inner(move |identity| {
        kept.lock().unwrap().push(tokio::spawn(identity.unwrap().ended()));
        async { Response::new(Full::default()) }
    });
    site.clock.set(at(50));
    let response = through(&site.sign_in, &handler, &browser, "/").await;
    assert_eq!(set_cookies(&response).len(), 1, "renewed");
    let waiting = ends.lock().unwrap().pop().unwrap();
    pass(&site, 149).await;
    assert!(!waiting.is_finished(), "its task had not run before the renewal");
    pass(&site, 150).await;
    assert_eq!(heard(waiting).await, SessionEnd::Expired);
}

/// A renewal that no response carried has not happened.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_waits_for_another_response_puts_nothing_off() {
    let site = site();
    let browser = site.signed_in().await;
    let waiting = watch(&identity(&site, &browser).await);
    settle().await;
    site.clock.set(at(50));
    let public =
        inner(|_| async { Response::builder().header("cache-control", "public").body(Full::default()).unwrap() });
    through(&site.sign_in, &public, &browser, "/").await;
    pass(&site, 100).await;
    assert_eq!(heard(waiting).await, SessionEnd::Expired);
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_disturbs_nobody_and_leaves_nothing() {
    let site = site();
    let mut browser = site.signed_in().await;
    let who = identity(&site, &browser).await;
    let stays = watch(&who);
    for polled in [false, true] {
        for _ in 0..100 {
            let mut ended = Box::pin(who.ended());
            if polled {
                let waited = tokio::time::timeout(Duration::ZERO, &mut ended).await;
                assert!(waited.is_err(), "it goes on");
            }
            drop(ended);
        }
    }
    settle().await;
    assert!(!stays.is_finished());
    assert_eq!(visit(&site, &mut browser, 90).await, Renewed(100));
    pass(&site, 150).await;
    assert!(!stays.is_finished(), "it still hears of renewals");
    sign_out(&site, &mut browser).await;
    assert_eq!(heard(stays).await, SessionEnd::SignedOut);
    // The registry would hold on to the clock if a watcher were left that holds the registry.
    let clock = Arc::clone(&site.clock);
    drop((who, site));
    assert_eq!(Arc::strong_count(&clock), 1);
}

/// Two nodes, or two `SignIn`s in one process: what one ends, the other does not hear of. Its cookie is deleted all the same.
#[tokio::test(start_paused = true)]
async fn two_sign_ins_do_not_hear_each_other() {
    let keys = Keys::generate().unwrap();
    let [one, other] = [(), ()].map(|()| Site::with(|builder| builder.keys(keys.clone())));
    let mut browser = one.signed_in().await;
    let (here, there) = (watch(&identity(&one, &browser).await), watch(&identity(&other, &browser).await));
    sign_out(&one, &mut browser).await;
    assert_eq!(heard(here).await, SessionEnd::SignedOut);
    settle().await;
    assert!(!there.is_finished());
    let day = 24 * 60 * 60;
    pass(&other, day).await;
    assert_eq!(heard(there).await, SessionEnd::Expired, "it ends there by its time");
}

/// What sealed cookies can't do: the cookie itself is good to its end, wherever it was copied to.
#[tokio::test(start_paused = true)]
async fn a_copied_cookie_outlives_the_sign_out_but_is_never_renewed() {
    let site = site();
    let mut browser = site.signed_in().await;
    let mut thief = browser.clone();
    sign_out(&site, &mut browser).await;
    assert_eq!(visit(&site, &mut thief, 99).await, Visit::Kept, "due, and not renewed");
    assert_eq!(heard(watch(&identity(&site, &thief).await)).await, SessionEnd::SignedOut, "whoever asks is told");
    assert_eq!(visit(&site, &mut thief, 100).await, Over);
    assert_eq!(text(&site.get(&mut thief, "/").await), "nobody");
}
