//! Several tabs, doubles and the way back.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::header::COOKIE;
use http::{Method, Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::ErrorKind;

use crate::site::{BOB, CODE, Site, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::told;

#[tokio::test]
async fn u01_a_second_tab_does_not_break_the_first() {
    let site = Site::new();
    let mut browser = Browser::new();
    let mut started = Vec::new();
    for number in 0..4 {
        started.push(site.start(&mut browser, &format!("/tab{number}")).await);
    }
    for (number, started) in started.iter().enumerate().rev() {
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!((response.status().as_u16(), location(&response)), (303, format!("/tab{number}")));
    }
}

#[tokio::test]
async fn u01_the_fifth_tab_leaves_the_first_a_way_on() {
    let site = Site::new();
    let mut browser = Browser::new();
    let mut started = Vec::new();
    for number in 0..5 {
        started.push(site.start(&mut browser, &format!("/tab{number}")).await);
        site.clock.advance(std::time::Duration::from_secs(1));
    }
    let response = site.get(&mut browser, &started[0].callback(CODE)).await;
    assert_eq!(told(&response), (400, "flow_cookie_missing".to_owned()));
    assert!(text(&response).contains("href=\"/api/login\">Sign in</a>"), "{}", text(&response));
    for (number, started) in started.iter().enumerate().skip(1) {
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(location(&response), format!("/tab{number}"));
    }
    let response = site.get(&mut browser, &started[0].callback(CODE)).await;
    assert!(text(&response).contains(&format!("You are signed in as {BOB}.")), "{}", text(&response));
    assert!(text(&response).contains(">Continue</a>"), "{}", text(&response));
}

#[tokio::test]
async fn u02_abandoned_sign_ins_do_not_pile_up() {
    let site = Site::new();
    let mut browser = Browser::new();
    for _ in 0..9 {
        site.start(&mut browser, &format!("/{}", "x".repeat(2000))).await;
        site.clock.advance(std::time::Duration::from_secs(1));
    }
    let header = browser.cookie_header().unwrap();
    assert!(header.len() < 4096, "{} bytes", header.len());
    assert_eq!(site.complete(&mut browser, "/tenth").await.status(), 303);
}

/// What a login leaves is in the browser: a server that never saw it, with the same keys, finishes the sign-in.
#[tokio::test]
async fn u03_a_pending_sign_in_takes_no_place_on_the_server() {
    let keys = tower_signin::Keys::generate().unwrap();
    let (one, other) = (Site::with(|b| b.keys(keys.clone())), Site::with(|b| b.keys(keys.clone())));
    let mut browser = Browser::new();
    let started = one.start(&mut browser, "/target").await;
    assert_eq!(location(&other.get(&mut browser, &started.callback(CODE)).await), "/target");
}

#[tokio::test]
async fn u05_the_cookies_are_marked_as_secrets_for_whoever_logs_requests() {
    let site = Site::new();
    let browser = site.signed_in().await;
    let logged = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&logged);
    let inner = service_fn(move |request: Request<()>| {
        *log.lock().unwrap() = format!("{:?}", request.headers());
        std::future::ready(Ok::<_, Infallible>(Response::new(())))
    });
    let request = Request::get("/").header(COOKIE, browser.cookie_header().unwrap()).body(()).unwrap();
    site.sign_in.layer().layer(inner).oneshot(request).await.unwrap();
    assert_eq!(*logged.lock().unwrap(), r#"{"cookie": Sensitive}"#);
}

#[tokio::test]
async fn u16_a_browser_that_asks_twice_is_signed_in_once() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    let callback = started.callback(CODE);
    let (mut one, mut other) = (browser.clone(), browser.clone());
    let (first, second) = tokio::join!(site.get(&mut one, &callback), site.get(&mut other, &callback));
    for response in [&first, &second] {
        assert_eq!((response.status().as_u16(), location(response).as_str()), (303, "/target"));
    }
    let session = |response| set_cookies(response).into_iter().find(|cookie| cookie.starts_with("__Host-signin="));
    assert_eq!(session(&first), session(&second));
    assert_eq!(site.upstream.requests().len(), 1, "the code was sent once");
}

#[tokio::test]
async fn u18_back_and_reload_end_where_the_person_wanted_to_go() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    for time in ["first", "reload", "back"] {
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/target"), "{time}");
    }
    assert_eq!(site.upstream.requests().len(), 1);

    let request = navigation(Method::POST, "/api/logout", "same-origin");
    site.visit(&mut browser, request).await;
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(told(&response), (400, "cookies_refused".to_owned()));
    assert!(text(&response).contains("has been finished already"), "{}", text(&response));
    assert!(text(&response).contains(">Sign in</a>"), "{}", text(&response));
}

#[tokio::test]
async fn u18_a_flow_that_is_too_old_offers_the_page_that_was_wanted() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target?x=1").await;
    site.clock.advance(std::time::Duration::from_secs(600));
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(told(&response), (400, "flow_expired".to_owned()));
    let link = "href=\"/api/login?return_to=%2Ftarget%3Fx%3D1\">Sign in</a>";
    assert!(text(&response).contains(link), "{}", text(&response));
    assert_eq!(set_cookies(&response), [started.flow_deleted()]);
}

#[tokio::test]
async fn u19_a_prefetch_starts_and_ends_nothing() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/target").await;
    let callback = started.callback(CODE);
    let cases = [
        (Method::GET, "/api/login", "sec-purpose", "prefetch"),
        (Method::GET, "/api/login", "sec-purpose", "prefetch;prerender"),
        (Method::GET, callback.as_str(), "purpose", "prefetch"),
        (Method::GET, callback.as_str(), "x-moz", "prefetch"),
        (Method::POST, "/api/logout", "sec-purpose", "prefetch"),
        (Method::GET, "/api/login", "next-router-prefetch", "1"),
    ];
    for (method, path, name, value) in cases {
        let before = browser.jar.clone();
        let request = navigation(method, path, "same-origin").header(name, value);
        let response = site.visit(&mut browser, request).await;
        site.assert_refused(path, &response, 503, ErrorKind::Prefetch);
        assert_eq!((set_cookies(&response), &browser.jar), (Vec::new(), &before), "{path}");
    }
    assert_eq!(location(&site.get(&mut browser, &callback).await), "/target", "the click still works");
}
