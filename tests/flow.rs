//! The way of a person through login, callback and logout, over sockets.

#![allow(missing_docs, reason = "tests")]

mod support;

use http::header::SET_COOKIE;
use support::{App, Browser, alice, location, text};

#[tokio::test]
async fn a_person_signs_in_lands_where_they_wanted_and_signs_out() {
    let app = App::start().await;
    let mut browser = Browser::new();
    assert_eq!(text(&browser.get(&app.url("/")).await), "nobody");

    let answer = browser.sign_in(&app.origin, "/?x=1").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/?x=1"));
    assert_eq!(browser.jar.len(), 1, "the flow cookie is gone: {:?}", browser.jar.keys());
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
