//! What responses bring, and what a late one must not bring back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::CACHE_CONTROL;

use crate::site::set_cookies;
use crate::support::text;
use crate::{LIFE, SESSION, Shop, TOKENS, failure, sets};

#[tokio::test]
async fn a_new_pair_lives_as_long_as_the_session_may() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let response = shop.get(&mut browser, "/").await;
    let cookies = set_cookies(&response);
    let ending = format!("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age={}", 24 * 3600 - (LIFE - 60));
    assert!(cookies.len() == 1 && cookies[0].ends_with(&ending), "{cookies:?}");
    assert_eq!(response.headers()[CACHE_CONTROL], "private");
}

#[tokio::test]
async fn a_public_response_carries_none_and_the_next_one_does() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let response = shop.get(&mut browser, "/public").await;
    assert_eq!((text(&response), set_cookies(&response)), ("bob at-2", vec![]));
    assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=60");
    let response = shop.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![TOKENS]));
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

#[tokio::test]
async fn a_public_response_deletes_nothing_and_the_next_one_does() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(400, "")));
    assert_eq!(set_cookies(&shop.get(&mut browser, "/public").await), [""; 0]);
    crate::assert_both_deleted(&shop.get(&mut browser, "/").await);
}

#[tokio::test]
async fn nothing_comes_after_signing_out() {
    for renews in [false, true] {
        let shop =
            Shop::with(
                |builder| {
                    if renews { builder.session_idle_timeout(Duration::from_secs(2 * LIFE)) } else { builder }
                },
            );
        let mut browser = shop.due().await;
        let slow = shop.begin(&browser, "/slow").await;
        shop.sign_out(&mut browser).await;
        shop.slow.add_permits(1);
        let response = slow.await.unwrap();
        assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![]), "renews: {renews}");
    }
}

#[tokio::test]
async fn nothing_comes_after_another_sign_in() {
    let shop = Shop::with(|builder| builder.session_idle_timeout(Duration::from_secs(2 * LIFE)));
    let mut browser = shop.due().await;
    let slow = shop.begin(&browser, "/slow").await;
    assert_eq!(shop.site.complete(&mut browser, "/").await.status(), 303);
    shop.slow.add_permits(1);
    let response = slow.await.unwrap();
    assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![]));
    browser.keep(&response);
    assert_eq!(shop.who(&mut browser).await, "bob at-3");
}

#[tokio::test]
async fn nothing_comes_after_a_refusal() {
    let shop = Shop::with(|builder| builder.session_idle_timeout(Duration::from_secs(2 * LIFE)));
    let mut browser = shop.due().await;
    let slow = shop.begin(&browser, "/slow").await;
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.advance(LIFE - 60);
    shop.bank.fail(|| Ok(failure(400, "")));
    assert_eq!(shop.who(&mut browser).await, "nobody");
    shop.slow.add_permits(1);
    assert_eq!(sets(&slow.await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn u07_a_slow_response_brings_the_newest_pair() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let mut slow_browser = browser.clone();
    let slow = shop.begin(&slow_browser, "/slow").await;
    shop.bank.life.store(60, Ordering::SeqCst);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.advance(LIFE - 60);
    assert_eq!(shop.who(&mut browser).await, "bob at-3");
    shop.slow.add_permits(1);
    let response = slow.await.unwrap();
    assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![TOKENS]));
    slow_browser.keep(&response);
    assert_eq!(shop.who(&mut slow_browser).await, "bob at-3");
    assert_eq!(shop.sent(), ["refresh rt-1", "refresh rt-2"]);
}

#[tokio::test]
async fn or_none_where_the_newest_is_forgotten_here() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let slow = shop.begin(&browser, "/slow").await;
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.bank.life.store(10 * LIFE, Ordering::SeqCst);
    shop.advance(LIFE - 60);
    assert_eq!(shop.who(&mut browser).await, "bob at-3");
    shop.advance(60 * 60);
    // What is old is forgotten when somebody else comes.
    shop.bank.life.store(10, Ordering::SeqCst);
    let mut other = shop.signed_in().await;
    shop.advance(10);
    shop.who(&mut other).await;
    shop.slow.add_permits(1);
    let response = slow.await.unwrap();
    assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![]));
    browser.keep(&response);
    assert_eq!(shop.who(&mut browser).await, "bob at-3");
}

#[tokio::test]
async fn a_renewal_brings_no_tokens_back() {
    let shop = Shop::with(|builder| builder.session_idle_timeout(Duration::from_secs(2 * LIFE)));
    let mut browser = shop.signed_in().await;
    shop.advance(LIFE / 2);
    let response = shop.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response)), ("bob at-1", vec![SESSION]));
    shop.advance(LIFE / 2 - 60);
    // Renewed slowly with the old pair in hand, while another request gets the new one.
    let slow = shop.begin(&browser, "/slow").await;
    let response = shop.get(&mut browser, "/").await;
    assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![SESSION, TOKENS]));
    shop.slow.add_permits(1);
    browser.keep(&slow.await.unwrap());
    assert_eq!(shop.who(&mut browser).await, "bob at-2");

    let cookies = set_cookies(&response);
    let max_age = |cookie: &String| cookie.rsplit_once("Max-Age=").unwrap().1.parse::<u64>().unwrap();
    assert_eq!(max_age(&cookies[0]), 2 * LIFE, "the session's idle end");
    assert_eq!(max_age(&cookies[1]), 24 * 3600 - (LIFE - 60), "the latest end of all");
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

#[tokio::test]
async fn an_idle_session_that_is_over_takes_its_tokens_along() {
    let shop = Shop::with(|builder| builder.session_idle_timeout(Duration::from_secs(LIFE / 2)));
    let mut browser = shop.signed_in().await;
    shop.advance(LIFE / 2);
    let response = shop.get(&mut browser, "/").await;
    assert_eq!(text(&response), "nobody");
    crate::assert_both_deleted(&response);
    assert_eq!(shop.sent(), [""; 0]);
}
