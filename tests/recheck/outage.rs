//! The provider can't be asked: the session lives on for its grace, and then as the site has chosen.

use std::task::{Context, Poll, Waker};

use tower_signin::{Clock as _, HttpErrorKind, WhenUnchecked};

use crate::log::Log;
use crate::site::{Answer, set_cookies};
use crate::support::text;
use crate::{Club, EVERY, GRACE, LIFE, SESSION, failure, is_check, json, seconds, set, sets, told};

/// None of these is the provider's word on the person: much of it is on this site's own key, or of something in between.
fn outages() -> Vec<(&'static str, fn() -> Answer)> {
    vec![
        ("500", || failure(500, r#"{"errorMessage":""}"#)),
        ("502 with HTML", || failure(502, "<h1>Bad gateway</h1>")),
        ("503", || failure(503, "")),
        ("400", || failure(400, r#"{"errorMessage":"Invalid request payload. []"}"#)),
        ("403 of a firewall", || failure(403, "<h1>Blocked</h1>")),
        ("403 with JSON", || failure(403, r#"{"signedIn":false,"successCount":0,"success":false}"#)),
        ("404", || failure(404, r#"{"errorMessage":"Error in mustGetFromDB(): no claim"}"#)),
        ("402", || failure(402, r#"{"error":"Insufficient credits"}"#)),
        ("429", || failure(429, r#"{"errorMessage":"Exceeded rate limit."}"#)),
        ("401 about the key", || failure(401, r#"{"errorMessage":"Unauthorized request. Error validating API key."}"#)),
        ("401 unauthorized", || failure(401, r#"{"errorMessage":"","unauthorized":true}"#)),
        ("401 about something unknown", || {
            failure(401, r#"{"errorMessage":"Error in mustGetFromDB(): Could not find doc w/ id x in api-keys"}"#)
        }),
        ("401 with a text on codes", || failure(401, r#"{"errorMessage":"Expired."}"#)),
        ("401 with HTML", || failure(401, "<h1>Log in to the proxy</h1>")),
        ("HTML", || json("<!doctype html><p>Just a moment")),
        ("an empty object", || json("{}")),
        ("an array", || json("[false]")),
        ("other types", || json(r#"{"signedIn":"false","successCount":"none","success":0}"#)),
        ("null", || json(r#"{"signedIn":null,"successCount":null,"success":null}"#)),
        ("half an answer", || json(r#"{"signedIn":fal"#)),
        ("garbage", || json("\u{0}\u{1}")),
        ("a redirect", || failure(302, "")),
        ("no connection", || Err(HttpErrorKind::Unreachable)),
        ("timeout", || Err(HttpErrorKind::Timeout)),
        ("cut off", || Err(HttpErrorKind::Interrupted)),
        ("too large", || Err(HttpErrorKind::TooLarge)),
        ("a panic", || panic!("the provider panics")),
    ]
}

#[tokio::test(start_paused = true)]
async fn operators_are_told_what_kept_a_session_from_being_checked() {
    let cases: [(fn() -> Answer, &str, &str); 3] = [
        (|| Err(HttpErrorKind::Unreachable), "provider_unreachable", ""),
        (|| failure(500, "{}"), "provider_failed", "the status of the tokens could not be read"),
        (
            || failure(401, r#"{"errorMessage":"Invalid client secret"}"#),
            "credentials_rejected",
            "invalid client secret",
        ),
    ];
    for (outage, code, reason) in cases {
        let club = Club::new();
        let mut browser = club.due().await;
        set(&club.desk.status, outage);
        Log::start();
        club.get(&mut browser, "/").await;
        let line = Log::line("a session could not be checked again");
        assert!(line.contains(&format!("code=\"{code}\"")) && line.contains(reason), "{code}: {line}");
    }
}

async fn outlasts(name: &str, club: &Club, which: usize, outage: fn() -> Answer) {
    let mut browser = club.due().await;
    let before = browser.jar.clone();
    let good = club.desk.replies()[which].lock().unwrap().clone();
    set(club.desk.replies()[which], outage);
    for by in [0, GRACE - 1] {
        club.advance(by);
        for path in ["/", "/guarded"] {
            let response = club.get(&mut browser, path).await;
            assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]), "{name}");
        }
        assert_eq!(club.sent().len(), which + 1, "{name}: then it pauses");
    }
    club.advance(1);
    assert_eq!(club.who(&mut browser).await, "nobody", "{name}: without a guard");
    let response = club.get(&mut browser, "/guarded").await;
    assert_eq!(told(&response), (503, "session_unavailable".to_owned()), "{name}");
    assert_eq!(set_cookies(&response), [""; 0], "{name}");
    assert_eq!(browser.jar, before, "{name}");

    *club.desk.replies()[which].lock().unwrap() = good;
    club.advance(60);
    let response = club.get(&mut browser, "/guarded").await;
    assert_eq!((text(&response), sets(&response)), ("bob", vec![SESSION]), "{name}: by itself");
}

#[tokio::test]
async fn an_outage_signs_nobody_out_whatever_it_looks_like() {
    for (name, outage) in outages() {
        for which in 0..3 {
            outlasts(&format!("{name}, request {which}"), &Club::new(), which, outage).await;
        }
    }
}

#[tokio::test]
async fn a_status_beside_an_error_is_none() {
    let outage = || json(r#"{"signedIn":false,"errorMessage":"Something went wrong."}"#);
    outlasts("beside an error", &Club::new(), 0, outage).await;
}

#[tokio::test]
async fn a_site_can_choose_to_go_on() {
    let club = Club::with(|builder| builder.recheck_outage(seconds(10), WhenUnchecked::SignedIn));
    let mut browser = club.due().await;
    set(&club.desk.status, || Err(HttpErrorKind::Unreachable));
    for by in [0, 10, 100 * EVERY] {
        club.advance(by);
        for path in ["/", "/guarded"] {
            let response = club.get(&mut browser, path).await;
            assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]));
        }
    }
    set(&club.desk.status, || json(r#"{"signedIn":false}"#));
    club.advance(60);
    assert_eq!(club.who(&mut browser).await, "nobody", "still asked");
}

/// What a clock said that was ahead puts nothing off.
#[tokio::test]
async fn the_grace_of_a_check_that_lies_ahead_begins_now() {
    let club = Club::new();
    club.advance(10 * LIFE);
    let mut browser = club.signed_in().await;
    club.site.clock.set(club.site.clock.now() - seconds(10 * LIFE));
    set(&club.desk.status, || Err(HttpErrorKind::Unreachable));
    for (by, status) in [(0, 200), (GRACE - 1, 200), (1, 503), (EVERY, 503)] {
        club.advance(by);
        assert_eq!(club.get(&mut browser, "/guarded").await.status(), status, "after {by} more");
    }
    set(&club.desk.status, || json(r#"{"signedIn":true}"#));
    club.advance(60);
    let response = club.get(&mut browser, "/guarded").await;
    assert_eq!((text(&response), sets(&response)), ("bob", vec![SESSION]));
}

#[tokio::test]
async fn a_grace_of_ones_own_counts_from_when_it_was_due() {
    let club = Club::with(|builder| builder.recheck_outage(seconds(10), WhenUnchecked::Unavailable));
    set(&club.desk.status, || Err(HttpErrorKind::Unreachable));
    let mut browser = club.signed_in().await;
    club.advance(EVERY + 9);
    assert_eq!(club.get(&mut browser, "/guarded").await.status(), 200);
    club.advance(1);
    assert_eq!(club.get(&mut browser, "/guarded").await.status(), 503);

    let none = Club::with(|builder| builder.recheck_outage(seconds(0), WhenUnchecked::Unavailable));
    set(&none.desk.status, || Err(HttpErrorKind::Unreachable));
    let mut browser = none.signed_in().await;
    none.advance(EVERY - 1);
    assert_eq!(none.get(&mut browser, "/guarded").await.status(), 200);
    none.advance(1);
    assert_eq!(none.get(&mut browser, "/guarded").await.status(), 503);
}

/// Where no response could carry the time of the last check, the grace counts from it all the same.
#[tokio::test]
async fn the_grace_counts_from_the_last_check_that_is_remembered() {
    let club = Club::new();
    let mut browser = club.due().await;
    assert_eq!(text(&club.get(&mut browser, "/public").await), "bob");
    set(&club.desk.claim, || Err(HttpErrorKind::Unreachable));
    for by in [EVERY, GRACE - 1] {
        club.advance(by);
        assert_eq!(club.get(&mut browser, "/guarded").await.status(), 200);
    }
    club.advance(1);
    assert_eq!(club.get(&mut browser, "/guarded").await.status(), 503);
}

#[tokio::test]
async fn pauses_grow_and_end_with_success() {
    let club = Club::new();
    let mut browser = club.due().await;
    set(&club.desk.status, || Err(HttpErrorKind::Timeout));
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 1), "before {pause}");
        club.advance(pause - 1);
        assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 0), "within {pause}");
        club.advance(1);
    }
    set(&club.desk.status, || json(r#"{"signedIn":true}"#));
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 3));
    club.advance(EVERY);
    set(&club.desk.status, || Err(HttpErrorKind::Timeout));
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 1));
    club.advance(1);
    assert_eq!((club.who(&mut browser).await, club.sent().len()), ("bob".to_owned(), 1), "from one second again");
}

/// Tokio's clock jumps ahead where everybody waits.
#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_holds_nobody_for_ever() {
    let club = Club::new();
    let mut browser = club.due().await;
    let _never = club.site.upstream.hold(is_check);
    let before = tokio::time::Instant::now();
    let other = club.begin(&browser, "/").await;
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(text(&other.await.unwrap()), "bob");
    assert_eq!(before.elapsed().as_secs(), 2, "the session is good without it");
    club.advance(GRACE);
    assert_eq!(club.get(&mut browser, "/guarded").await.status(), 503);
    assert_eq!(before.elapsed().as_secs(), 20, "it is not, and one check takes so long");
    assert_eq!(club.get(&mut browser, "/guarded").await.status(), 503);
    assert_eq!(before.elapsed().as_secs(), 20, "at once while the next check pauses");
    assert_eq!(club.sent(), ["status"]);
}

/// Who goes on without an answer in any case need not wait for it longer.
#[tokio::test(start_paused = true)]
async fn a_site_that_goes_on_holds_people_for_two_seconds() {
    let club = Club::with(|builder| builder.recheck_outage(seconds(0), WhenUnchecked::SignedIn));
    let mut browser = club.due().await;
    let _never = club.site.upstream.hold(is_check);
    let before = tokio::time::Instant::now();
    assert_eq!(club.who(&mut browser).await, "bob");
    assert_eq!(before.elapsed().as_secs(), 2);
}

/// Nothing can be asked there, and nothing panics.
#[test]
fn outside_of_a_runtime_a_session_goes_on_for_its_grace() {
    let (club, mut browser) = crate::support::block_on(async {
        let club = Club::new();
        let browser = club.signed_in().await;
        (club, browser)
    });
    for (case, by, expected) in [("a check", EVERY, "bob"), ("a refresh as well", LIFE - 60 - EVERY, "nobody")] {
        club.advance(by);
        let mut answer = Box::pin(club.get(&mut browser, "/"));
        let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(response) = polled else { panic!("{case}: it waits") };
        assert_eq!((text(&response), set_cookies(&response)), (expected, vec![]), "{case}");
    }
}

/// What comes too late for one request is there for the next.
#[tokio::test(start_paused = true)]
async fn an_answer_after_two_seconds_serves_the_next_request() {
    let club = Club::new();
    let mut browser = club.due().await;
    let gate = club.site.upstream.hold(is_check);
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), set_cookies(&response)), ("bob", vec![]));
    gate.add_permits(3);
    crate::settle().await;
    club.sent();
    let response = club.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response), club.sent().len()), ("bob", vec![SESSION], 0));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    use crate::site::CALLBACK;
    use tower_signin::{Builder, Keys, SignIn};
    let day = 24 * 60 * 60;
    let build = |configure: &dyn Fn(Builder) -> Builder| {
        let builder = SignIn::builder(crate::site::siwbb()).redirect_uri(CALLBACK).keys(Keys::generate().unwrap());
        configure(builder).build().map(|_| ()).map_err(|error| error.setting().to_owned())
    };
    let every = |after: u64| build(&move |builder| builder.recheck_every(seconds(after)));
    assert_eq!((every(60), every(400 * day)), (Ok(()), Ok(())));
    for refused in [0, 59, 400 * day + 1] {
        assert_eq!(every(refused), Err("recheck_every".to_owned()), "{refused}");
    }
    let outage = |grace: u64| {
        build(&move |builder| {
            builder.recheck_every(seconds(60)).recheck_outage(seconds(grace), WhenUnchecked::SignedIn)
        })
    };
    assert_eq!((outage(0), outage(400 * day)), (Ok(()), Ok(())));
    assert_eq!(outage(400 * day + 1), Err("recheck_outage".to_owned()));
    let alone = build(&|builder| builder.recheck_outage(seconds(60), WhenUnchecked::Unavailable));
    assert_eq!(alone, Err("recheck_outage".to_owned()));
}
