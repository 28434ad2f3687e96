//! The provider can't be asked: the old pair serves to its end, then nobody is called nobody.

use std::time::Duration;

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Response};
use tower_signin::HttpErrorKind;

use crate::site::{Answer, set_cookies};
use crate::support::{location, navigation, text};
use crate::{LIFE, SESSION, Shop, TOKENS, failure, fetch, is_refresh, sets, settle, told};

fn outages() -> Vec<(&'static str, fn() -> Answer)> {
    let html = || Ok(Response::builder().body("<!doctype html><p>Just a moment".into()).unwrap());
    vec![
        ("500", || Ok(failure(500, ""))),
        ("500 with an unknown text", || Ok(failure(500, "Something went wrong."))),
        ("502 with HTML", || Ok(Response::builder().status(502).body("<h1>Bad gateway</h1>".into()).unwrap())),
        ("503", || Ok(Response::builder().status(503).body("".into()).unwrap())),
        ("402", || Ok(failure(402, "No credits left."))),
        ("429", || Ok(failure(429, "Too many requests."))),
        ("401 about the key", || Ok(failure(401, "Unauthorized request. Error validating API key."))),
        ("401 about the secret", || Ok(failure(401, "Invalid client secret."))),
        ("HTML", html),
        ("garbage", || Ok(Response::new("\u{0}\u{1}".into()))),
        ("half an answer", || Ok(Response::new(crate::site::BOB_ANSWER[..80].into()))),
        ("a redirect", || Ok(Response::builder().status(302).header("location", "/").body("".into()).unwrap())),
        ("no connection", || Err(HttpErrorKind::Unreachable)),
        ("timeout", || Err(HttpErrorKind::Timeout)),
        ("cut off", || Err(HttpErrorKind::Interrupted)),
        ("too large", || Err(HttpErrorKind::TooLarge)),
        ("a panic", || panic!("the provider panics")),
    ]
}

#[tokio::test]
async fn u25_an_outage_signs_nobody_out() {
    for (name, outage) in outages() {
        let shop = Shop::new();
        let mut browser = shop.due().await;
        let before = browser.jar.clone();
        shop.bank.fail(outage);
        for path in ["/", "/guarded"] {
            let response = shop.get(&mut browser, path).await;
            assert_eq!((text(&response), set_cookies(&response)), ("bob at-1", vec![]), "{name}");
        }
        shop.advance(59);
        assert_eq!(shop.who(&mut browser).await, "bob at-1", "{name}: to its last second");
        shop.advance(1);
        assert_eq!(shop.who(&mut browser).await, "nobody", "{name}: without a guard");
        let response = shop.get(&mut browser, "/guarded").await;
        assert_eq!(told(&response), (503, "session_unavailable".to_owned()), "{name}");
        assert_eq!(set_cookies(&response), [""; 0], "{name}");
        assert_eq!(browser.jar, before, "{name}");

        shop.bank.recover();
        shop.advance(60);
        let response = shop.get(&mut browser, "/guarded").await;
        assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![TOKENS]), "{name}: by itself");
    }
}

#[tokio::test]
async fn each_caller_is_told_in_its_own_language() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.advance(60);
    shop.bank.fail(|| Err(HttpErrorKind::Unreachable));

    let page = shop.get(&mut browser, "/guarded").await;
    assert_eq!(told(&page), (503, "session_unavailable".to_owned()));
    assert_eq!(page.headers()[RETRY_AFTER], "5");
    assert_eq!(page.headers()["cache-control"], "no-store");
    assert!(text(&page).contains("You have not been signed out"), "{}", text(&page));

    let problem = shop.visit(&mut browser, fetch("GET", "/guarded")).await;
    assert_eq!(told(&problem), (503, "session_unavailable".to_owned()));
    assert_eq!(
        (&problem.headers()[CONTENT_TYPE], &problem.headers()[RETRY_AFTER]),
        (&"application/problem+json".parse().unwrap(), &"5".parse().unwrap())
    );

    let grpc = http::Request::post("/guarded").header(CONTENT_TYPE, "application/grpc");
    let grpc = shop.visit(&mut browser, grpc).await;
    assert_eq!((grpc.status().as_u16(), &grpc.headers()["grpc-status"]), (200, &"14".parse().unwrap()));
    assert!(browser.jar.contains_key(SESSION) && browser.jar.contains_key(TOKENS));
}

/// Pages do as well, so going on to one is no circle.
#[tokio::test]
async fn login_recognises_whoever_waits_for_a_pair_to_be_refreshed() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| Err(HttpErrorKind::Unreachable));
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
    let login = navigation(Method::GET, "/api/login?return_to=/guarded", "cross-site");
    assert_eq!(location(&shop.visit(&mut browser, login).await), "/guarded");
}

#[tokio::test]
async fn tries_pause_longer_and_longer() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(503, "")));
    let mut tries = Vec::new();
    for second in 0..300 {
        let before = shop.sent().len();
        shop.get(&mut browser, "/").await;
        shop.get(&mut browser, "/").await;
        match shop.sent().len() - before {
            0 => {}
            1 => tries.push(second),
            more => panic!("{more} tries at once"),
        }
        shop.advance(1);
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    shop.bank.recover();
    shop.advance(60);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.bank.fail(|| Ok(failure(503, "")));
    shop.advance(LIFE - 60);
    let before = shop.sent().len();
    for _ in 0..2 {
        shop.get(&mut browser, "/").await;
        shop.advance(1);
    }
    assert_eq!(shop.sent().len(), before + 2, "pauses start at a second again");
}

#[tokio::test]
async fn a_clock_that_was_set_back_prolongs_no_pause() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(503, "")));
    shop.advance(59);
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
    shop.bank.recover();
    shop.site.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(crate::site::NOW + LIFE - 60));
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
}

#[tokio::test]
async fn sessions_that_outlive_tokens_go_on_without() {
    let shop = Shop::with(|builder| builder.sessions_outlive_tokens());
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(503, "")));
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
    shop.advance(60);
    for path in ["/", "/guarded"] {
        assert_eq!(text(&shop.get(&mut browser, path).await), "bob no tokens");
    }
    assert_eq!(text(&shop.get(&mut browser, "/maybe-tokens").await), "none");
    shop.bank.recover();
    shop.advance(60);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
}

/// Tokio's clock jumps ahead where everybody waits.
#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_holds_nobody_for_ever() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let _never = shop.site.upstream.hold(is_refresh);
    let before = tokio::time::Instant::now();
    let other = shop.begin(&browser, "/").await;
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
    assert_eq!(text(&other.await.unwrap()), "bob at-1");
    assert_eq!(before.elapsed().as_secs(), 2, "the pair is still good");
    shop.advance(LIFE);
    assert_eq!(shop.get(&mut browser, "/guarded").await.status(), 503);
    assert_eq!(before.elapsed().as_secs(), 20, "it is not, and one try takes so long");
    assert_eq!(shop.get(&mut browser, "/guarded").await.status(), 503);
    assert_eq!(before.elapsed().as_secs(), 20, "at once while the next try pauses");
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

#[tokio::test]
async fn a_try_that_is_held_up_keeps_nobody_else() {
    let shop = Shop::new();
    let (waits, mut other) = (shop.due().await, shop.signed_in().await);
    let gate = shop.site.upstream.hold(is_refresh);
    let waiting = shop.begin(&waits, "/").await;
    assert_eq!(shop.who(&mut other).await, "bob at-2");
    gate.add_permits(1);
    settle().await;
    assert_eq!(text(&waiting.await.unwrap()), "bob at-3");
}

/// Beyond what may run at once, people go on with what they have.
#[tokio::test]
async fn a_flood_of_refreshes_is_bounded() {
    let shop = Shop::new();
    let gate = shop.site.upstream.hold(is_refresh);
    let mut browsers = Vec::new();
    for _ in 0..257 {
        browsers.push(shop.signed_in().await);
    }
    shop.advance(LIFE - 60);
    let mut waiting = Vec::new();
    for browser in &browsers[..256] {
        waiting.push(tokio::spawn(shop.call(browser, navigation(Method::GET, "/", "none"))));
    }
    settle().await;
    assert_eq!(shop.sent().len(), 256);
    assert_eq!(shop.who(&mut browsers[256]).await, "bob at-257");
    gate.add_permits(257);
    for task in waiting {
        assert_eq!(sets(&task.await.unwrap()), [TOKENS]);
    }
    assert_eq!(shop.who(&mut browsers[256]).await, "bob at-514");
}
