//! What is kept where, and for how long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use http::header::COOKIE;

use crate::site::{CODE, deleted, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::{LIFE, SESSION, Shop, TOKENS, sets, shared_keys, told};

#[tokio::test]
async fn nothing_is_kept_unless_asked_for() {
    let shop = Shop::of(|builder| builder);
    let mut browser = Browser::new();
    let response = shop.site.complete(&mut browser, "/").await;
    assert_eq!(sets(&response), [SESSION]);
    assert!(!browser.jar.contains_key(TOKENS));
    assert_eq!(shop.who(&mut browser).await, "bob no tokens");
}

#[tokio::test]
async fn a_sign_in_keeps_them_sealed_in_a_cookie_of_their_own() {
    let shop = Shop::new();
    let mut browser = Browser::new();
    let response = shop.site.complete(&mut browser, "/").await;
    assert_eq!(sets(&response), [SESSION, TOKENS]);
    let attributes = |name: &str| {
        let cookies = set_cookies(&response);
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(&format!("{name}="))).unwrap();
        cookie.split_once(';').unwrap().1.to_owned()
    };
    assert_eq!(attributes(TOKENS), " HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=86400");
    assert_eq!(attributes(TOKENS), attributes(SESSION));
    let again = shop.signed_in().await;
    assert_ne!(browser.jar[TOKENS].len(), 0);
    assert_ne!(browser.jar[TOKENS], again.jar[TOKENS]);
    for path in ["/", "/guarded", "/public", "/tokens"] {
        assert_eq!(text(&shop.get(&mut browser, path).await).replace("bob ", ""), "at-1", "{path}");
    }
    assert_eq!(shop.sent(), [""; 0]);
}

#[tokio::test]
async fn tokens_that_fit_into_no_cookie_end_the_sign_in() {
    let shop = Shop::new();
    for (length, fits) in [(2800, true), (4000, false)] {
        let token = "x".repeat(length);
        let answer = serde_json::from_str::<serde_json::Value>(crate::site::BOB_ANSWER).unwrap();
        shop.site.upstream.answer_by(move |_| {
            let mut answer = answer.clone();
            answer["access_token"] = token.clone().into();
            Ok(http::Response::new(answer.to_string().into()))
        });
        let mut browser = Browser::new();
        let response = shop.site.complete(&mut browser, "/").await;
        if fits {
            assert_eq!((response.status().as_u16(), sets(&response)), (303, vec![SESSION, TOKENS]));
            assert!(TOKENS.len() + browser.jar[TOKENS].len() <= 4096);
        } else {
            assert_eq!(told(&response), (500, "session_too_large".to_owned()));
            assert_eq!(sets(&response), [""; 0]);
        }
    }
}

#[tokio::test]
async fn whose_tokens_are_not_there_is_nobody_and_nothing_is_deleted() {
    let shop = Shop::new();
    let (mine, other) = (shop.signed_in().await, shop.signed_in().await);
    let (session, tokens) = (&mine.jar[SESSION], &mine.jar[TOKENS]);
    let damaged = format!("{}{}", &tokens[..20], tokens[20..].replacen(|letter| letter != 'A', "A", 1));
    assert_ne!(&damaged, tokens);
    let cases = [
        ("missing", String::new()),
        ("empty", format!("; {TOKENS}=")),
        ("of another session", format!("; {TOKENS}={}", other.jar[TOKENS])),
        ("twice", format!("; {TOKENS}={tokens}; {TOKENS}={tokens}")),
        ("damaged", format!("; {TOKENS}={damaged}")),
        ("cut off", format!("; {TOKENS}={}", &tokens[..tokens.len() - 4])),
        ("the session's own value", format!("; {TOKENS}={session}")),
        ("not sealed", format!("; {TOKENS}=at-1")),
    ];
    for (name, rest) in cases {
        for (path, status) in [("/", 200), ("/guarded", 303), ("/who", 401), ("/tokens", 401)] {
            let request = navigation(Method::GET, path, "none").header(COOKIE, format!("{SESSION}={session}{rest}"));
            let response = shop.visit(&mut Browser::new(), request).await;
            assert_eq!((response.status().as_u16(), set_cookies(&response)), (status, vec![]), "{name}, {path}");
            if path == "/" {
                assert_eq!(text(&response), "nobody", "{name}");
            }
        }
    }
    assert_eq!(shop.sent(), [""; 0]);
}

/// Whoever comes from another site and is signed in goes straight to the page; that page would send them back.
#[tokio::test]
async fn login_takes_whose_tokens_are_lost_for_nobody_as_well() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    let login = || navigation(Method::GET, "/api/login?return_to=/guarded", "cross-site");
    assert_eq!(location(&shop.visit(&mut browser, login()).await), "/guarded");
    browser.jar.remove(TOKENS);
    let response = shop.visit(&mut browser, login()).await;
    assert!(location(&response).starts_with("https://bitbadges.io/"), "{response:?}");
}

#[tokio::test]
async fn sessions_from_before_go_on_without() {
    let before = Shop::of(|builder| builder.keys(shared_keys()));
    let after = Shop::with(|builder| builder.keys(shared_keys()));
    let mut browser = before.signed_in().await;
    assert_eq!(after.who(&mut browser).await, "bob no tokens");
    assert_eq!(after.get(&mut browser, "/guarded").await.status(), 200);
    assert_eq!(text(&after.get(&mut browser, "/maybe-tokens").await), "none");
    assert_eq!(told(&after.get(&mut browser, "/tokens").await), (500, "tokens_missing".to_owned()));
    let planted = after.signed_in().await.jar[TOKENS].clone();
    browser.jar.insert(TOKENS.to_owned(), planted);
    assert_eq!(after.who(&mut browser).await, "bob no tokens", "another session's");
}

#[tokio::test]
async fn turned_off_again_sessions_go_on_as_plain_ones() {
    let on = Shop::with(|builder| builder.keys(shared_keys()));
    let off = Shop::of(|builder| builder.keys(shared_keys()));
    let mut browser = on.signed_in().await;
    assert_eq!(off.who(&mut browser).await, "bob no tokens");
    off.advance(LIFE + 1);
    assert_eq!(off.who(&mut browser).await, "bob no tokens", "past the end of the tokens");
    let mut lost = browser.clone();
    lost.jar.remove(TOKENS);
    assert_eq!(off.who(&mut lost).await, "bob no tokens");

    let mut signs_out = browser.clone();
    let response = off.sign_out(&mut signs_out).await;
    assert!(set_cookies(&response).contains(&deleted(TOKENS)), "{response:?}");

    let response = off.site.complete(&mut browser, "/").await;
    assert_eq!(sets(&response), [SESSION, TOKENS]);
    assert!(set_cookies(&response).contains(&deleted(TOKENS)), "{response:?}");
    assert!(!browser.jar.contains_key(TOKENS));
}

#[tokio::test]
async fn without_a_refresh_token_the_session_ends_with_the_access_token() {
    for outlives in [false, true] {
        let shop = Shop::with(|builder| if outlives { builder.sessions_outlive_tokens() } else { builder });
        shop.bank.gives_refresh_tokens.store(false, Ordering::SeqCst);
        let mut browser = shop.signed_in().await;
        shop.advance(LIFE - 1);
        assert_eq!(shop.who(&mut browser).await, "bob at-1");
        shop.advance(1);
        let expected = if outlives { "bob no tokens" } else { "nobody" };
        assert_eq!(shop.who(&mut browser).await, expected, "outlives: {outlives}");
        assert_eq!(browser.jar.contains_key(TOKENS), outlives, "outlives: {outlives}");
        assert_eq!(shop.sent(), [""; 0]);
    }
}

#[tokio::test]
async fn with_one_the_session_lives_on_to_its_own_end() {
    let shop = Shop::with(|builder| builder.session_lifetime(Duration::from_secs(10 * LIFE)));
    let mut browser = shop.signed_in().await;
    for hour in 1..10 {
        shop.advance(LIFE - 1);
        assert_eq!(shop.who(&mut browser).await, format!("bob at-{}", hour + 1));
    }
    shop.advance(LIFE + 9);
    assert_eq!(shop.who(&mut browser).await, "nobody");
    assert_eq!(browser.jar.keys().filter(|name| [SESSION, TOKENS].contains(&name.as_str())).count(), 0);
}

#[tokio::test]
async fn an_end_that_is_not_told_never_comes() {
    let shop = Shop::new();
    shop.bank.life.store(0, Ordering::SeqCst);
    let mut browser = shop.signed_in().await;
    shop.advance(24 * 60 * 60 - 1);
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
    assert_eq!(shop.sent(), [""; 0]);
}

#[tokio::test]
async fn an_end_that_had_passed_when_they_came_is_ignored() {
    let shop = Shop::new();
    let answer = || {
        let mut answer: serde_json::Value = serde_json::from_str(crate::site::BOB_ANSWER).unwrap();
        answer["access_token_expires_at"] = ((crate::site::NOW - 10) * 1000).to_string().into();
        answer["refresh_token"] = "rt".into();
        Ok(http::Response::new(answer.to_string().into()))
    };
    shop.site.upstream.answer_by(move |_| answer());
    let mut browser = shop.signed_in().await;
    for _ in 0..3 {
        assert!(shop.who(&mut browser).await.starts_with("bob siwbb_at_"));
        shop.advance(100);
    }
    assert_eq!(shop.sent(), [""; 0], "every request would refresh");
}

/// A page that asked for the callback twice gets its second answer late.
#[tokio::test]
async fn a_double_of_a_callback_brings_nothing_back_once_somebody_has_signed_out() {
    let shop = Shop::new();
    let mut browser = Browser::new();
    let started = shop.site.start(&mut browser, "/").await;
    let double = browser.clone();
    assert_eq!(sets(&shop.site.get(&mut browser, &started.callback(CODE)).await), [SESSION, TOKENS]);
    shop.sign_out(&mut browser).await;
    let late = shop.call(&double, navigation(Method::GET, &started.callback(CODE), "none")).await;
    assert_eq!((late.status().as_u16(), sets(&late)), (303, vec![]));
}
