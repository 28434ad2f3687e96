//! The way of a person through login, callback and logout, over sockets.

#![allow(missing_docs, reason = "tests")]

mod support;

use http::header::SET_COOKIE;
use support::{App, Browser, alice, location, text};
use tower_signin::Identity;
use tower_signin::dev::{Account, DevError, DevProvider};

#[tokio::test]
async fn a_person_signs_in_lands_where_they_wanted_and_signs_out() {
    let app = App::start().await;
    let mut browser = Browser::new();
    assert_eq!(text(&browser.get(&app.url("/")).await), "nobody");

    let answer = browser.sign_in(&app.origin, "/?x=1").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/?x=1"));
    let names: Vec<_> = browser.jar.keys().map(|name| name.trim_start_matches(|c| c != '-')).collect();
    let port = app.origin.rsplit(':').next().unwrap();
    assert_eq!(names, [format!("-{port}"), format!("-{port}-rounds")], "the flow cookie is gone");
    assert_eq!(text(&browser.get(&app.url("/")).await), alice());

    let answer = browser.post(&app.url("/auth/logout?return_to=/bye"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/bye"));
    assert!(browser.jar.is_empty());
    assert_eq!(text(&browser.get(&app.url("/")).await), "nobody");
}

#[tokio::test]
async fn two_tabs_both_finish_at_their_own_targets() {
    let app = App::start().await;
    let mut browser = Browser::new();
    let first = browser.start(&app.origin, "/first").await;
    let second = browser.start(&app.origin, "/second").await;
    let second = browser.approve(&second, "alice").await;
    assert_eq!(location(&browser.get(&second).await), "/second");
    let first = browser.approve(&first, "bob").await;
    assert_eq!(location(&browser.get(&first).await), "/first");
}

#[tokio::test]
async fn an_ordinary_answer_gets_no_header_of_ours() {
    let app = App::start().await;
    let mut browser = Browser::new();
    browser.sign_in(&app.origin, "/").await;
    let answer = browser.get(&app.url("/")).await;
    assert!(!answer.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn u31_a_test_signs_somebody_in_with_what_the_hook_would_attach() {
    let dev = DevProvider::start().await.unwrap();
    let me = |identity: Identity| async move { format!("{} {:?}", identity.subject(), identity.data::<u32>()) };
    let app = App::start_on(dev, |builder| builder, |router| router.route("/data", axum::routing::get(me))).await;
    let plain = app.dev.signed_in_cookie(&app.sign_in, &Account::alice()).unwrap();
    let with_data = app.dev.signed_in_cookie_with(&app.sign_in, &Account::alice(), &7).unwrap();
    for (cookie, expected) in [(plain, "None"), (with_data, "Some(7)")] {
        let request = http::Request::get(app.url("/data")).header("cookie", cookie).body(bytes::Bytes::new()).unwrap();
        assert_eq!(text(&support::send(request).await.unwrap()), format!("{} {expected}", alice()));
    }
    let too_large = app.dev.signed_in_cookie_with(&app.sign_in, &Account::alice(), &"x".repeat(4000));
    assert_eq!(too_large, Err(DevError::Data));
    let other = DevProvider::start().await.unwrap();
    assert_eq!(other.signed_in_cookie(&app.sign_in, &Account::alice()), Err(DevError::ForeignSignIn));
}

#[tokio::test]
async fn a_login_url_carries_its_target_whole() {
    let app = App::start().await;
    for (target, expected) in [
        ("/me?a=1&b=2", "/auth/login?return_to=%2Fme%3Fa%3D1%26b%3D2"),
        ("/", "/auth/login"),
        ("https://elsewhere.example", "/auth/login"),
        ("/auth/login", "/auth/login"),
    ] {
        assert_eq!(app.sign_in.login_url(target), expected, "{target}");
        let query = expected.split_once('?').map_or(String::new(), |(_, query)| format!("&{query}"));
        let switch = format!("/auth/login?prompt=select_account{query}");
        assert_eq!(app.sign_in.switch_account_url(target), switch, "{target}");
    }
    let mut browser = Browser::new();
    let login = browser.get(&app.url(&app.sign_in.login_url("/me?a=1&b=2"))).await;
    let callback = browser.approve(&location(&login), "alice").await;
    assert_eq!(location(&browser.get(&callback).await), "/me?a=1&b=2");
}
