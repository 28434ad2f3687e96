//! The provider stands by the session no longer.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request as Incoming;
use axum::routing::get;
use http::Method;
use http::header::{CONTENT_TYPE, COOKIE};
use tower::{Layer as _, ServiceExt as _};
use tower_signin::{Identity, SessionEnd};

use crate::site::{Answer, CODE, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::{LIFE, SESSION, Shop, TOKENS, assert_both_deleted, failure, fetch, is_refresh, sets, settle, told};

fn refusals() -> Vec<(&'static str, fn() -> Answer)> {
    vec![
        ("400", || Ok(failure(400, ""))),
        ("400 with a text", || Ok(failure(400, "Invalid refresh token."))),
        ("500 with a text", || Ok(failure(500, "Invalid refresh token"))),
        ("500, expired", || Ok(failure(500, "Refresh token expired."))),
        ("not verified", || {
            let body = crate::site::BOB_ANSWER.replace("\"success\":true", "\"success\":false");
            Ok(http::Response::new(body.into()))
        }),
        ("401, not verified", || {
            let body = r#"{"verificationResponse":{"success":false},"errorMessage":"no"}"#;
            Ok(http::Response::builder().status(401).body(body.into()).unwrap())
        }),
    ]
}

#[tokio::test]
async fn a_refusal_ends_the_session() {
    for (name, refusal) in refusals() {
        let shop = Shop::new();
        let mut browser = shop.due().await;
        let old = browser.clone();
        shop.bank.fail(refusal);
        let response = shop.get(&mut browser, "/").await;
        assert_eq!(text(&response), "nobody", "{name}");
        assert_both_deleted(&response);
        assert_eq!(shop.sent(), ["refresh rt-1"], "{name}");

        // A copy of the cookies, which nothing deletes.
        let again = shop.call(&old, navigation(Method::GET, "/", "none")).await;
        assert_eq!((text(&again), sets(&again)), ("nobody", vec![]), "{name}");
        shop.advance(59 * 60);
        assert_eq!(text(&shop.call(&old, navigation(Method::GET, "/", "none")).await), "nobody", "{name}");
        assert_eq!(shop.sent(), ["refresh rt-1"], "{name}");
    }
}

#[tokio::test]
async fn guards_and_arguments_answer_as_to_nobody() {
    let cases = [
        ("/guarded", navigation(Method::GET, "/guarded", "none"), 303, ""),
        ("/guarded", fetch("GET", "/guarded"), 401, "not_signed_in"),
        ("/who", navigation(Method::GET, "/who", "none"), 401, "not_signed_in"),
        ("/tokens", fetch("GET", "/tokens"), 401, "not_signed_in"),
    ];
    for (path, request, status, expected) in cases {
        let shop = Shop::new();
        let browser = shop.due().await;
        shop.bank.fail(|| Ok(failure(400, "")));
        let response = shop.call(&browser, request).await;
        assert_eq!(told(&response), (status, expected.to_owned()), "{path}");
        assert_both_deleted(&response);
        if status == 303 {
            assert_eq!(location(&response), "/api/login?return_to=%2Fguarded");
        }
    }
    let shop = Shop::new();
    let browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(400, "")));
    let grpc = http::Request::post("/guarded").header(CONTENT_TYPE, "application/grpc");
    let response = shop.call(&browser, grpc).await;
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"16".parse().unwrap()));
    assert_both_deleted(&response);
}

/// The identity of a request that went in before.
async fn identity(shop: &Shop, browser: &Browser) -> Identity {
    let seen = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&seen);
    let router = Router::new().route(
        "/",
        get(move |request: Incoming| {
            *keep.lock().unwrap() = request.extensions().get::<Identity>().cloned();
            std::future::ready("")
        }),
    );
    let request = navigation(Method::GET, "/", "none").header(COOKIE, browser.cookie_header().unwrap());
    let request = request.body(axum::body::Body::empty()).unwrap();
    shop.site.sign_in.layer().layer(router).oneshot(request).await.unwrap();
    let identity = seen.lock().unwrap().take();
    identity.expect("somebody")
}

#[tokio::test]
async fn who_waits_for_the_end_is_told_why() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    let waiting = tokio::spawn(identity(&shop, &browser).await.ended());
    shop.advance(LIFE - 60);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    settle().await;
    assert!(!waiting.is_finished(), "a refresh is no end");
    shop.advance(LIFE - 60);
    shop.bank.fail(|| Ok(failure(400, "")));
    assert_eq!(shop.who(&mut browser).await, "nobody");
    assert_eq!(waiting.await.unwrap(), SessionEnd::Revoked);
}

#[tokio::test]
async fn everybody_who_waits_hears_the_same() {
    let shop = Shop::new();
    let browser = shop.due().await;
    let gate = shop.site.upstream.hold(is_refresh);
    shop.bank.fail(|| Ok(failure(400, "")));
    let tasks =
        [shop.begin(&browser, "/").await, shop.begin(&browser, "/guarded").await, shop.begin(&browser, "/").await];
    gate.add_permits(1);
    let mut deletions = 0;
    for task in tasks {
        let response = task.await.unwrap();
        assert_ne!(text(&response), "bob at-1");
        deletions += set_cookies(&response).len();
    }
    assert_eq!(deletions, 2, "each cookie is deleted once");
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

/// A slow page of the session that was refused comes after the person has signed in again.
#[tokio::test]
async fn a_slow_response_leaves_the_next_sign_in_alone() {
    for deleted_before in [false, true] {
        let shop = Shop::new();
        let mut browser = shop.due().await;
        shop.bank.fail(|| Ok(failure(400, "")));
        let slow = shop.begin(&browser, "/slow").await;
        if deleted_before {
            assert_both_deleted(&shop.get(&mut browser, "/").await);
            assert!(!browser.jar.contains_key(SESSION));
        }
        shop.bank.recover();
        assert_eq!(sets(&shop.site.complete(&mut browser, "/").await), [SESSION, TOKENS]);
        shop.slow.add_permits(1);
        let response = slow.await.unwrap();
        assert_eq!((text(&response), sets(&response)), ("nobody", vec![]), "deleted before: {deleted_before}");
        browser.keep(&response);
        assert_eq!(shop.who(&mut browser).await, "bob at-2");
    }
}

/// The refusal itself comes after the person has signed in again.
#[tokio::test]
async fn a_late_refusal_leaves_the_next_sign_in_alone() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    let waits_for_the_end = tokio::spawn(identity(&shop, &browser).await.ended());
    shop.advance(LIFE - 60);
    let gate = shop.site.upstream.hold(is_refresh);
    let waiting = shop.begin(&browser, "/").await;
    assert_eq!(sets(&shop.site.complete(&mut browser, "/").await), [SESSION, TOKENS]);
    shop.bank.fail(|| Ok(failure(400, "")));
    gate.add_permits(1);
    let response = waiting.await.unwrap();
    assert_eq!(sets(&response), [""; 0]);
    browser.keep(&response);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    assert_eq!(waits_for_the_end.await.unwrap(), SessionEnd::Replaced);
}

/// Whoever follows a link from another site to login is sent to the page where somebody is signed in; here every page says
/// nobody is.
#[tokio::test]
async fn login_takes_whom_the_provider_refused_for_nobody() {
    let shop = Shop::new();
    let browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(400, "")));
    shop.call(&browser, navigation(Method::GET, "/", "none")).await;
    let login = navigation(Method::GET, "/api/login?return_to=/guarded", "cross-site");
    assert!(location(&shop.call(&browser, login).await).starts_with("https://bitbadges.io/"));
}

#[tokio::test]
async fn a_refusal_of_one_session_leaves_others_alone() {
    let shop = Shop::new();
    let (mut one, mut other) = (shop.signed_in().await, shop.signed_in().await);
    shop.advance(LIFE - 60);
    shop.bank.live.lock().unwrap().remove("rt-1");
    assert_eq!(shop.who(&mut one).await, "nobody");
    assert_eq!(shop.who(&mut other).await, "bob at-3");
    assert!(!one.jar.contains_key(TOKENS) && other.jar.contains_key(TOKENS));
    assert_eq!(shop.site.complete(&mut one, "/").await.status(), 303);
    assert_eq!(shop.who(&mut one).await, "bob at-4");
}

#[tokio::test]
async fn another_account_s_tokens_are_never_handed_on() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| {
        let body = crate::site::BOB_ANSWER
            .replace(crate::site::BOB, &crate::support::alice())
            .replace("0x092bb4851ae26850588243e7bef22a56287f4739", "0x0bc63cfe31d5218eb414b142c799e20964a54a1a");
        Ok(http::Response::new(body.into()))
    });
    let response = shop.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response)), ("bob at-1", vec![]), "nothing is known of bob's");
    // The answer had spent the pair, so the next try ends the session.
    shop.bank.recover();
    shop.bank.live.lock().unwrap().remove("rt-1");
    shop.advance(1);
    assert_eq!(shop.who(&mut browser).await, "nobody");
}

#[tokio::test]
async fn with_sessions_that_outlive_tokens_a_refusal_is_an_end_as_well() {
    let shop = Shop::with(|builder| builder.sessions_outlive_tokens());
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(400, "")));
    assert_both_deleted(&shop.get(&mut browser, "/").await);
    let started = shop.site.start(&mut browser, "/").await;
    assert_eq!(shop.site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
}

/// A firewall's page, or a wrong client id since the last deployment, is no word on anybody's tokens.
#[tokio::test]
async fn only_the_api_s_own_word_on_the_tokens_is_a_refusal() {
    let mut answers: Vec<(u16, String)> = Vec::new();
    for status in [400, 401, 403, 404, 405, 408, 413, 421, 425, 451, 500, 503] {
        answers.push((status, "<html>WAF</html>".to_owned()));
    }
    for (status, words) in [
        (403, "Forbidden"),
        (404, "Not found"),
        (500, "Invalid client ID or redirect URI."),
        (500, "Invalid redirect URI."),
        (400, "Invalid redirect URI."),
        (500, "Invalid client secret."),
        (500, "Error in mustGetFromDB(): Could not find doc w/ id app in auth-apps"),
        (500, "Invalid grant type."),
        (500, ""),
    ] {
        answers.push((status, serde_json::json!({ "errorMessage": words }).to_string()));
    }
    for (status, body) in answers {
        let name = format!("{status} {body}");
        let shop = Shop::new();
        let mut browser = shop.due().await;
        shop.bank.fail(move || Ok(http::Response::builder().status(status).body(body.clone().into()).unwrap()));
        let response = shop.get(&mut browser, "/").await;
        assert_eq!((text(&response), sets(&response)), ("bob at-1", vec![]), "{name}");
        shop.bank.recover();
        shop.advance(2);
        assert_eq!(shop.who(&mut browser).await, "bob at-2", "{name}");
    }
}
