//! The provider can't be asked.

use std::time::Duration;

use http::{Method, Response};
use tower_signin::{Builder, HttpErrorKind, Keys, SignIn, Siwbb, WhenUnchecked};

use crate::site::{Answer, set_cookies};
use crate::support::{navigation, text};
use crate::{Club, EVERY, HOUR, settle};

fn answer(status: u16, body: &'static str) -> Answer {
    Ok(Response::builder().status(status).body(body.into()).unwrap())
}

/// What says nothing of a person: the weather, this site's own key, or somebody in between.
fn faults() -> Vec<(&'static str, fn() -> Answer)> {
    vec![
        ("no connection", || Err(HttpErrorKind::Unreachable)),
        ("no answer in time", || Err(HttpErrorKind::Timeout)),
        ("500", || answer(500, "{}")),
        ("503", || answer(503, "")),
        ("400", || answer(400, r#"{"errorMessage":"Bad request"}"#)),
        ("404 in HTML", || answer(404, "<html>not here</html>")),
        ("403 of a firewall", || answer(403, "<html>blocked</html>")),
        ("401, our own key", || answer(401, r#"{"errorMessage":"Unauthorized request."}"#)),
        ("402", || answer(402, "{}")),
        ("429", || answer(429, "{}")),
        ("200 in HTML", || answer(200, "<html>sign in to the wifi</html>")),
        ("200 with something else", || answer(200, r#"{"ok":false}"#)),
        ("a redirect", || answer(302, "")),
    ]
}

#[tokio::test]
async fn nobody_is_signed_out_and_after_the_grace_nobody_is_told_from_nobody() {
    for keeps_tokens in [true, false] {
        for (name, fault) in faults() {
            let name = format!("{name}, keeps tokens: {keeps_tokens}");
            let club = Club::with(|builder| if keeps_tokens { builder.keep_tokens() } else { builder });
            let mut browser = club.due().await;
            club.fail(fault);
            let response = club.get(&mut browser, "/").await;
            assert_eq!((text(&response), set_cookies(&response).len()), ("bob", 0), "{name}");
            club.advance(HOUR - 1);
            assert_eq!(club.guarded(&browser).await.0, 200, "{name}: an hour is the grace");
            club.advance(1);
            let unavailable = (503, "session_unavailable".to_owned());
            assert_eq!(club.guarded(&browser).await, unavailable, "{name}");
            let open = club.get(&mut browser, "/").await;
            assert_eq!((text(&open), set_cookies(&open).len()), ("nobody", 0), "{name}: nothing is deleted");
            club.advance(24 * HOUR);
            assert_eq!(club.guarded(&browser).await, unavailable, "{name}");
            club.recover();
            club.advance(60);
            assert_eq!(club.who(&mut browser).await, "bob", "{name}: back at once");
        }
    }
}

#[tokio::test]
async fn as_chosen_they_go_on_to_their_end() {
    let club = Club::with(|builder| builder.recheck_outage(Duration::ZERO, WhenUnchecked::SignedIn));
    let mut browser = club.due().await;
    club.fail(|| Err(HttpErrorKind::Unreachable));
    for _ in 0..9 {
        assert_eq!(club.guarded(&browser).await.0, 200);
        club.advance(24 * HOUR);
    }
    club.recover();
    club.set(|it| it.claims = 0);
    assert_eq!(club.who(&mut browser).await, "nobody", "it is still asked");
}

#[tokio::test]
async fn with_no_grace_nobody_goes_on_unchecked() {
    let club = Club::with(|builder| builder.recheck_outage(Duration::ZERO, WhenUnchecked::Unavailable));
    let browser = club.due().await;
    club.fail(|| Err(HttpErrorKind::Unreachable));
    assert_eq!(club.guarded(&browser).await, (503, "session_unavailable".to_owned()));
}

#[tokio::test]
async fn after_a_failure_there_is_a_pause_that_grows_to_a_minute() {
    let club = Club::with(|builder| builder);
    let mut browser = club.due().await;
    club.fail(|| Err(HttpErrorKind::Unreachable));
    assert_eq!((club.who(&mut browser).await.as_str(), club.asked().len()), ("bob", 1));
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        club.advance(pause - 1);
        assert_eq!((club.who(&mut browser).await.as_str(), club.asked().len()), ("bob", 0), "{pause}");
        club.advance(1);
        assert_eq!((club.who(&mut browser).await.as_str(), club.asked().len()), ("bob", 1), "{pause}");
    }
    club.recover();
    club.advance(60);
    assert_eq!((club.who(&mut browser).await.as_str(), club.asked().len()), ("bob", 2));
    club.fail(|| Err(HttpErrorKind::Unreachable));
    club.advance(EVERY);
    for (pause, asked) in [(0, 1), (1, 1), (1, 0), (1, 1)] {
        club.advance(pause);
        assert_eq!((club.who(&mut browser).await.as_str(), club.asked().len()), ("bob", asked), "the first pause anew");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_two_seconds_in_the_grace_and_for_an_answer_afterwards() {
    let club = Club::with(|builder| builder);
    let browser = club.due().await;
    let gate = club.site.upstream.hold(|_| true);
    let started = tokio::time::Instant::now();
    let response = club.call(&browser, navigation(Method::GET, "/", "none")).await;
    assert_eq!((text(&response), started.elapsed().as_secs()), ("bob", 2));
    // The check went on, and its answer is for the next one.
    gate.add_permits(2);
    settle().await;
    let response = club.call(&browser, navigation(Method::GET, "/", "none")).await;
    assert_eq!((text(&response), club.asked().len()), ("bob", 2));

    club.advance(EVERY + HOUR);
    let started = tokio::time::Instant::now();
    assert_eq!(club.guarded(&browser).await.0, 503);
    assert_eq!(started.elapsed().as_secs(), 20, "as long as the provider may take");
}

#[test]
fn settings_that_can_t_be_meant_are_refused() {
    let build = |configure: fn(Builder) -> Builder| {
        let builder = SignIn::builder(Siwbb::new("id", "secret", "key"))
            .redirect_uri("https://app.example.com/auth/callback")
            .keys(Keys::generate().unwrap());
        configure(builder).build().err().map(|error| error.setting().to_owned())
    };
    assert_eq!(build(|it| it.recheck_every(Duration::from_secs(59))).as_deref(), Some("recheck_every"));
    assert_eq!(build(|it| it.recheck_every(Duration::from_secs(401 * 86_400))).as_deref(), Some("recheck_every"));
    assert_eq!(build(|it| it.recheck_every(Duration::from_secs(60))), None);
    let outage = |it: Builder| it.recheck_outage(Duration::ZERO, WhenUnchecked::SignedIn);
    assert_eq!(build(outage).as_deref(), Some("recheck_outage"), "nothing is checked again");
    let long = |it: Builder| {
        it.recheck_every(Duration::from_secs(60))
            .recheck_outage(Duration::from_secs(401 * 86_400), WhenUnchecked::SignedIn)
    };
    assert_eq!(build(long).as_deref(), Some("recheck_outage"));
}
