//! What counts as a round of a circle, and what does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use bytes::Bytes;
use http::header::HOST;
use http::{Method, Response};
use tower_signin::SignedIn;

use crate::site::{CODE, SESSION, Site, Started, set_cookies, siwbb};
use crate::support::{Browser, location, navigation, text};
use crate::{fetch, told, visit};

const ROUNDS: &str = "__Host-signin-rounds";

/// Signs in, loses the session as a broken browser or proxy does, and asks for login again.
async fn round(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    assert_eq!(site.complete(browser, "/page").await.status(), 303);
    browser.jar.remove(SESSION).expect("a session");
    site.get(browser, &site.login("/page")).await
}

/// A browser that has gone round twice; once more is once too often.
async fn dizzy(site: &Site) -> Browser {
    let mut browser = Browser::new();
    for number in 1..=2 {
        assert_eq!(round(site, &mut browser).await.status(), 303, "round {number}");
    }
    browser
}

#[tokio::test]
async fn u13_tabs_that_finish_one_after_another_are_no_rounds() {
    let site = Site::new();
    let mut browser = Browser::new();
    let mut tabs = Vec::new();
    for number in 0..4 {
        tabs.push(site.start(&mut browser, &format!("/tab{number}")).await);
    }
    for tab in tabs {
        assert_eq!(site.get(&mut browser, &tab.callback(CODE)).await.status(), 303);
        browser.jar.remove(SESSION).expect("a session");
    }
    for number in 1..=2 {
        assert_eq!(site.get(&mut browser, &site.login("/")).await.status(), 303, "login {number}: one round at most");
    }
    assert_eq!(round(&site, &mut browser).await.status(), 303, "the second");
    assert_eq!(told(&round(&site, &mut browser).await), (400, "sign_in_loop".to_owned()), "the third");
}

#[tokio::test]
async fn u13_tabs_that_only_start_are_no_rounds() {
    let site = Site::new();
    let mut browser = dizzy(&site).await;
    for number in 0..9 {
        assert_eq!(site.get(&mut browser, &site.login("/tab")).await.status(), 303, "tab {number}");
    }
    let other = site.signed_in().await;
    browser.jar.insert(SESSION.to_owned(), other.jar[SESSION].clone());
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    let by_a_link = navigation(Method::GET, &site.login("/"), "same-origin");
    assert_eq!(site.visit(&mut browser, by_a_link).await.status(), 303, "from here with a session it is no round");
}

#[tokio::test]
async fn u13_a_sign_in_that_lasted_a_minute_ends_the_count() {
    let site = Site::new();
    let mut browser = dizzy(&site).await;
    let done = site.complete(&mut browser, "/page").await;
    let count = set_cookies(&done).into_iter().find(|cookie| cookie.starts_with(ROUNDS)).expect("a count");
    assert!(count.ends_with("; Max-Age=60"), "{count}");
    site.clock.advance(Duration::from_secs(60));
    // A browser has dropped the count by now; the jar of these tests keeps it.
    browser.jar.remove(SESSION).expect("a session");
    for number in 1..=2 {
        assert_eq!(round(&site, &mut browser).await.status(), 303, "round {number} of another circle");
    }
    assert_eq!(told(&round(&site, &mut browser).await), (400, "sign_in_loop".to_owned()));
}

#[tokio::test]
async fn u13_tabs_that_run_in_circles_side_by_side_stop_too() {
    let site = Site::new();
    let mut browser = Browser::new();
    for number in 1..=3 {
        let (one, other) = (site.start(&mut browser, "/one").await, site.start(&mut browser, "/other").await);
        for tab in [one, other] {
            assert_eq!(site.get(&mut browser, &tab.callback(CODE)).await.status(), 303, "round {number}");
            browser.jar.remove(SESSION).expect("a session");
        }
        if number < 3 {
            assert_eq!(site.get(&mut browser, "/api/login").await.status(), 303, "round {number}");
        }
    }
    assert_eq!(told(&site.get(&mut browser, "/api/login").await), (400, "sign_in_loop".to_owned()));
}

#[tokio::test]
async fn u13_signing_out_ends_the_count() {
    let site = Site::new();
    let mut browser = dizzy(&site).await;
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    let response = site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
    assert_eq!((response.status().as_u16(), browser.jar.get(ROUNDS)), (303, None));
    for number in 1..=2 {
        assert_eq!(round(&site, &mut browser).await.status(), 303, "round {number}");
    }
    let refused = site.visit(&mut browser, navigation(Method::POST, "/api/logout", "cross-site")).await;
    assert_eq!((refused.status().as_u16(), set_cookies(&refused)), (403, vec![]), "another site's does not");
    assert_eq!(told(&round(&site, &mut browser).await), (400, "sign_in_loop".to_owned()));
}

#[tokio::test]
async fn u13_a_sign_in_that_was_not_completed_is_no_round() {
    let site = Site::new();
    for (name, status, body) in [("failed", 500, "{}"), ("was refused", 400, "{\"error\":\"invalid_grant\"}")] {
        let mut browser = Browser::new();
        site.upstream.answer(status, body);
        for number in 1..=5 {
            let started = site.start(&mut browser, "/").await;
            let response = site.get(&mut browser, &started.callback(CODE)).await;
            assert_eq!((response.status().as_u16(), browser.jar.get(ROUNDS)), (502, None), "{name}, time {number}");
        }
    }
    let hook = |_| async { Err(tower_signin::Rejection::refuse("not_a_member")) };
    let site = Site::with(|builder| builder.on_sign_in(hook));
    let mut browser = Browser::new();
    for number in 1..=5 {
        assert_eq!(site.complete(&mut browser, "/").await.status(), 403, "time {number}");
        assert_eq!(browser.jar.get(ROUNDS), None, "time {number}");
    }
}

#[tokio::test]
async fn u13_in_forward_mode_the_handler_decides_whether_it_was_completed() {
    let site = Site::with(tower_signin::Builder::forward_callback);
    let refuses = Arc::new(AtomicBool::new(true));
    let decides = Arc::clone(&refuses);
    let handler = get(async move |done: SignedIn| {
        if decides.load(Ordering::SeqCst) {
            done.refuse("not_today");
        }
        Redirect::to(done.return_to())
    });
    let router = Router::new().route("/api/callback", handler);
    let mut browser = Browser::new();
    let sign_in = async |browser: &mut Browser| {
        let login = visit(&site, &router, browser, navigation(Method::GET, "/api/login", "same-origin")).await;
        if login.status() == 303 {
            let callback = Started::at(&location(&login)).callback(CODE);
            visit(&site, &router, browser, navigation(Method::GET, &callback, "cross-site")).await;
        }
        browser.jar.remove(SESSION);
        told(&login)
    };
    for number in 1..=5 {
        assert_eq!(sign_in(&mut browser).await, (303, String::new()), "refused, time {number}");
        assert_eq!(browser.jar.get(ROUNDS), None, "refused, time {number}");
    }
    refuses.store(false, Ordering::SeqCst);
    for number in 1..=3 {
        assert_eq!(sign_in(&mut browser).await, (303, String::new()), "login {number}");
    }
    assert_eq!(sign_in(&mut browser).await, (400, "sign_in_loop".to_owned()));
}

#[tokio::test]
async fn u13_where_it_stops_nothing_starts_and_a_page_of_the_application_says_so() {
    let site = Site::with(|builder| builder.pages(|page| format!("ours: {}", page.paragraphs()[1])));
    let mut browser = dizzy(&site).await;
    site.complete(&mut browser, "/").await;
    browser.jar.remove(SESSION);
    site.upstream.forget();
    let before: Vec<_> = browser.jar.keys().filter(|name| *name != ROUNDS).cloned().collect();
    let mut program = browser.clone();
    let response = site.get(&mut browser, "/api/login?prompt=select_account&return_to=/page").await;
    site.assert_refused("a person", &response, 400, tower_signin::ErrorKind::SignInLoop);
    assert!(text(&response).starts_with("ours: The browser did not send the session cookie"), "{}", text(&response));
    assert_eq!(browser.jar.keys().cloned().collect::<Vec<_>>(), before, "no flow came, none went");

    let request = http::Request::get("/api/login?prompt=select_account&return_to=/page");
    let response = site.visit(&mut program, request).await;
    site.assert_refused("a program", &response, 400, tower_signin::ErrorKind::SignInLoop);
    let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(
        problem["login_url"], "https://example.com/api/login?prompt=select_account&return_to=%2Fpage",
        "what was asked for"
    );
}

#[tokio::test]
async fn u13_what_does_not_start_does_not_count() {
    let site = Site::new();
    let mut browser = dizzy(&site).await;
    site.complete(&mut browser, "/").await;
    browser.jar.remove(SESSION);
    let before = browser.jar.clone();
    let cases = [
        ("a fetch", fetch("GET", "/api/login"), 403),
        ("a prefetch", navigation(Method::GET, "/api/login", "none").header("sec-purpose", "prefetch"), 503),
        ("HEAD", navigation(Method::HEAD, "/api/login", "none"), 405),
        ("a form", navigation(Method::POST, "/api/login", "same-origin"), 405),
    ];
    for (name, request, status) in cases {
        let response = site.visit(&mut browser, request).await;
        assert_eq!((response.status().as_u16(), set_cookies(&response)), (status, vec![]), "{name}");
    }
    assert_eq!(browser.jar, before);
    assert_eq!(told(&site.get(&mut browser, "/api/login").await), (400, "sign_in_loop".to_owned()));
}

#[tokio::test]
async fn the_count_is_kept_like_every_cookie_of_ours() {
    let site = Site::new();
    let mut browser = Browser::new();
    let rounds = |response: &Response<Bytes>| {
        let cookies = set_cookies(response).into_iter().filter(|cookie| cookie.contains("-rounds="));
        let split =
            cookies.map(|cookie| cookie.split_once("; ").map(|(pair, rest)| (pair.to_owned(), rest.to_owned())));
        split.collect::<Option<Vec<_>>>().unwrap()
    };
    let completed = rounds(&site.complete(&mut browser, "/").await);
    assert_eq!(completed[0].1, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60");
    browser.jar.remove(SESSION);
    let counted = rounds(&site.get(&mut browser, "/api/login").await);
    assert_eq!(counted[0].1, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600", "for as long as a flow may take");
    assert!(counted[0].0.len() < 120, "{} bytes", counted[0].0.len());

    let local = Site::of(siwbb(), "http://localhost:3000/api/callback", |builder| builder);
    let mut browser = Browser::new();
    let request = |path: &str| navigation(Method::GET, path, "none").header(HOST, "localhost:3000");
    for number in 1..=3 {
        let started = Started::at(&location(&local.visit(&mut browser, request("/api/login")).await));
        let done = rounds(&local.visit(&mut browser, request(&started.callback(CODE))).await);
        assert!(done[0].0.starts_with("signin-3000-rounds="), "{number}: {done:?}");
        assert_eq!(done[0].1, "HttpOnly; SameSite=Lax; Path=/; Max-Age=60", "{number}");
        browser.jar.remove("signin-3000").expect("a session");
    }
    assert_eq!(told(&local.visit(&mut browser, request("/api/login")).await), (400, "sign_in_loop".to_owned()));
}
