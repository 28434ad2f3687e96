//! Every cookie of ours is marked sensitive, on its way to the browser and on its way to the inner service: kept out of `Debug`
//! output and of HTTP/2's header compression.

#![allow(missing_docs, reason = "tests")]

#[path = "support/site.rs"]
mod site;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Method, Response};
use site::{BOB, CODE, NOW, SESSION, Site, Started};
use support::{Browser, location, navigation};
use tower_signin::{Admission, Builder, ManualClock, MemoryStore};

const HOUR: Duration = Duration::from_secs(3600);

/// All are marked; which are set and which deleted, by what follows the session's name. Flows go by `-flow` alone.
#[track_caller]
fn assert_marked(name: &str, expected: &[&str], response: &Response<Bytes>) {
    let mut found = Vec::new();
    for header in response.headers().get_all(SET_COOKIE) {
        let text = header.to_str().unwrap();
        assert!(header.is_sensitive(), "{name}: {text}");
        let kind = text.split_once('=').unwrap().0.strip_prefix(SESSION).expect("one of ours");
        let kind = if kind.starts_with("-flow-") { "-flow" } else { kind };
        found.push(format!("{}{kind}", if text.contains("Max-Age=0") { "no " } else { "" }));
    }
    found.sort();
    assert_eq!(found, expected, "{name}");
}

/// The only answer of a provider whose access token lives for so many seconds.
fn answer(site: &Site, number: u32, lives: u64) {
    let ends_at = (NOW + lives) * 1000;
    let tokens =
        format!(r#""access_token":"at_{number}","access_token_expires_at":{ends_at},"refresh_token":"rt_{number}""#);
    let who = format!(r#""address":"{BOB}","chain":"Cosmos","bitbadgesAddress":"{BOB}""#);
    site.upstream.answer(200, format!(r#"{{{who},"verificationResponse":{{"success":true}},{tokens}}}"#));
}

async fn sign_out(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    site.visit(browser, navigation(Method::POST, site.sign_in.logout_path(), "same-origin")).await
}

#[tokio::test]
async fn from_login_to_sign_out_with_tokens() {
    let site = Site::with(|builder| builder.keep_tokens().session_lifetime(100 * HOUR).session_idle_timeout(HOUR));
    answer(&site, 1, 7200);
    let mut browser = Browser::new();
    for _ in 0..4 {
        site.start(&mut browser, "/").await;
        site.clock.advance(Duration::from_secs(1));
    }
    let login = site.get(&mut browser, &site.login("/")).await;
    assert_marked("login, and the oldest flow goes", &["-flow", "no -flow"], &login);
    let callback = site.get(&mut browser, &Started::at(&location(&login)).callback(CODE)).await;
    assert_marked("callback", &["", "-rounds", "-tokens", "no -flow"], &callback);
    site.clock.advance(HOUR / 2);
    assert_marked("renewal", &[""], &site.get(&mut browser, "/").await);
    answer(&site, 2, 7200 + 86_400);
    site.clock.advance(HOUR / 2);
    site.get(&mut browser, "/").await;
    site.clock.advance(HOUR - Duration::from_secs(30));
    assert_marked("renewal with newer tokens", &["", "-tokens"], &site.get(&mut browser, "/").await);
    let out = sign_out(&site, &mut browser).await;
    assert_marked("sign-out", &["no ", "no -flow", "no -flow", "no -flow", "no -rounds", "no -tokens"], &out);
}

fn large(builder: Builder) -> Builder {
    let builder = builder.session_cookie_limit(16_384).session_idle_timeout(HOUR);
    builder.on_sign_in(|_| async { Admission::with_data(&"x".repeat(9000)) })
}

#[tokio::test]
async fn of_a_session_in_several_cookies() {
    let site = Site::with(large);
    let mut browser = Browser::new();
    let all = ["", "-rounds", ".1", ".2", ".3", "no -flow"];
    assert_marked("callback", &all, &site.complete(&mut browser, "/").await);
    site.clock.advance(HOUR / 2);
    assert_marked("renewal", &["", ".1", ".2", ".3"], &site.get(&mut browser, "/").await);
    site.clock.advance(2 * HOUR);
    let over = ["no ", "no .1", "no .2", "no .3"];
    assert_marked("over", &over, &site.get(&mut browser.clone(), "/").await);
    browser.jar.get_mut(SESSION).unwrap().replace_range(30..31, "~");
    let out = ["no ", "no -rounds", "no .1", "no .2", "no .3"];
    assert_marked("sign-out of what does not open", &out, &sign_out(&site, &mut browser).await);
}

#[tokio::test]
async fn of_a_session_in_a_store() {
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW));
    let site = Site::with(|builder| builder.session_store(MemoryStore::new().clock(clock)));
    let mut browser = Browser::new();
    assert_marked("callback", &["", "-rounds", "no -flow"], &site.complete(&mut browser, "/").await);
    let mut copy = browser.clone();
    assert_marked("sign-out", &["no ", "no -rounds"], &sign_out(&site, &mut browser).await);
    assert_marked("gone, and seen to", &[], &site.get(&mut copy, "/").await);
}

#[tokio::test]
async fn of_loops() {
    let site = Site::new();
    let mut browser = Browser::new();
    let login = site.login("/");
    for round in 1..3 {
        site.complete(&mut browser, "/").await;
        browser.jar.remove(SESSION);
        let last = round == 2;
        let counted = site.get(&mut browser, &login).await;
        assert_marked("a round", &["-flow", "-rounds"], &counted);
        if last {
            site.get(&mut browser, &Started::at(&location(&counted)).callback(CODE)).await;
            browser.jar.remove(SESSION);
        }
    }
    let stopped = site.get(&mut browser, &login).await;
    assert_marked("the round too many", &["no -rounds"], &stopped);
}

/// What the inner service gets is marked, whatever is left of it.
#[tokio::test]
async fn on_the_way_to_the_inner_service() {
    for (hides, forwards) in [(false, false), (true, false), (false, true), (true, true)] {
        let site = Site::with(|builder| {
            let builder = if hides { builder.hide_cookies() } else { builder };
            if forwards { builder.forward_callback() } else { builder }
        });
        let (headers, unmarked) = (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<String>>>::default());
        let (seen, bad) = (Arc::clone(&headers), Arc::clone(&unmarked));
        let router = Router::new().fallback(move |request: Request| async move {
            for cookie in request.headers().get_all(COOKIE) {
                seen.fetch_add(1, Ordering::SeqCst);
                if !cookie.is_sensitive() {
                    bad.lock().unwrap().push(cookie.to_str().unwrap().to_owned());
                }
            }
        });
        let mut browser = Browser::new();
        browser.jar.insert("theirs".to_owned(), "1".to_owned());
        let started = site.start(&mut browser, "/").await;
        let page = |path: &str| navigation(Method::GET, path, "none");
        let callback = site.through(&router, &browser, page(&started.callback(CODE))).await;
        assert_eq!(headers.load(Ordering::SeqCst), usize::from(forwards), "{hides} {forwards}");
        let session = ["", "-rounds", "no -flow"];
        assert_marked("callback", &session, &callback);
        browser.keep(&callback);
        site.through(&router, &browser, page("/")).await;
        browser.jar.remove(SESSION);
        site.through(&router, &browser, page("/")).await;
        assert_eq!(headers.load(Ordering::SeqCst), 2 + usize::from(forwards), "{hides} {forwards}");
        assert_eq!(*unmarked.lock().unwrap(), [""; 0], "{hides} {forwards}");
    }
}
