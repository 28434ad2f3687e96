//! Refreshing: when, how often, and that no new pair is lost.

use std::sync::atomic::Ordering;

use http::Method;

use crate::site::set_cookies;
use crate::support::{Browser, location, navigation, text};
use crate::{LIFE, SESSION, Shop, TOKENS, sets, settle};

#[tokio::test]
async fn u28_is_due_a_minute_or_up_to_a_minute_and_a_half_before_the_end() {
    let shop = Shop::new();
    let mut first = Vec::new();
    for _ in 0..20 {
        let mut browser = shop.signed_in().await;
        shop.advance(LIFE - 90);
        let mut margin = 90;
        let before = shop.who(&mut browser).await;
        assert_eq!(shop.sent(), [""; 0]);
        while shop.who(&mut browser).await == before {
            shop.advance(1);
            margin -= 1;
            assert!(margin >= 60, "it is not refreshed");
        }
        assert!(margin < 90, "{margin}");
        first.push(margin);
    }
    first.sort_unstable();
    first.dedup();
    assert!(first.len() > 3, "all come at once: {first:?}");
}

#[tokio::test]
async fn a_short_life_is_refreshed_in_its_last_quarter() {
    let shop = Shop::new();
    shop.bank.life.store(40, Ordering::SeqCst);
    let mut browser = shop.signed_in().await;
    shop.advance(29);
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
    shop.advance(1);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn u06_a_thousand_requests_at_once_refresh_once() {
    for after_the_end in [false, true] {
        let shop = Shop::new();
        let mut browser = shop.due().await;
        if after_the_end {
            shop.advance(60);
        }
        let tasks: Vec<_> = (0..1000)
            .map(|number| {
                let path = if number % 2 == 0 { "/" } else { "/guarded" };
                tokio::spawn(shop.call(&browser, navigation(Method::GET, path, "none")))
            })
            .collect();
        for task in tasks {
            let response = task.await.unwrap();
            assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![TOKENS]));
            browser.keep(&response);
        }
        assert_eq!(shop.sent(), ["refresh rt-1"]);
        for _ in 0..10 {
            shop.advance(60);
            let response = shop.get(&mut browser, "/").await;
            assert_eq!((text(&response), set_cookies(&response)), ("bob at-2", vec![]));
        }
        assert_eq!(shop.sent(), ["refresh rt-1"], "after the end: {after_the_end}");
    }
}

#[tokio::test]
async fn two_sessions_of_one_person_are_refreshed_each() {
    let shop = Shop::new();
    let (mut one, mut other) = (shop.signed_in().await, shop.signed_in().await);
    shop.advance(LIFE - 60);
    assert_eq!(shop.who(&mut one).await, "bob at-3");
    assert_eq!(shop.who(&mut other).await, "bob at-4");
    assert_eq!(shop.sent(), ["refresh rt-1", "refresh rt-2"]);
}

#[tokio::test]
async fn u06_a_client_that_goes_away_loses_no_pair() {
    for polls in 1..6 {
        for is_answered_first in [false, true] {
            let shop = Shop::new();
            let gate = shop.site.upstream.hold(crate::is_refresh);
            let mut browser = shop.due().await;
            let mut gone = Box::pin(shop.call(&browser, navigation(Method::GET, "/", "none")));
            if is_answered_first {
                gate.add_permits(1);
            }
            for _ in 0..polls {
                let poll = gone.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
                if poll.is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(gone);
            gate.add_permits(1 + usize::from(!is_answered_first));
            settle().await;
            shop.advance(59);
            let response = shop.get(&mut browser, "/").await;
            assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![TOKENS]), "{polls}");
            assert_eq!(shop.sent(), ["refresh rt-1"], "{polls}");
            shop.advance(LIFE - 60);
            assert_eq!(shop.who(&mut browser).await, "bob at-3", "the pair was a good one");
        }
    }
}

#[tokio::test]
async fn a_spent_refresh_token_is_not_sent_again() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.life.store(10 * LIFE, Ordering::SeqCst);
    let mut old = browser.clone();
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.advance(60 * 60 - 1);
    assert_eq!(shop.who(&mut old.clone()).await, "bob at-2", "for an hour the pair is known here");
    shop.advance(1);
    for _ in 0..2 {
        let response = shop.get(&mut old, "/").await;
        assert_eq!((text(&response), sets(&response)), ("nobody", vec![]), "the cookies may be newer ones by now");
    }
    let login = navigation(Method::GET, "/api/login?return_to=/guarded", "cross-site");
    let to = location(&shop.call(&old, login).await);
    assert!(to.starts_with("https://bitbadges.io/"), "no page recognises them, so neither does login: {to}");
    assert_eq!(shop.sent(), ["refresh rt-1"]);
    assert_eq!(shop.who(&mut browser).await, "bob at-2", "the browser that has the new pair goes on");
}

/// Neither a refresh of the newer pair that runs nor one that came to nothing makes a spent one good again.
#[tokio::test]
async fn not_even_while_the_provider_can_t_be_reached() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let mut old = browser.clone();
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.advance(LIFE - 60);
    shop.bank.fail(|| Ok(crate::failure(500, "")));
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.bank.recover();
    shop.advance(1);
    assert_eq!(shop.who(&mut old).await, "nobody");
    assert_eq!(shop.sent(), ["refresh rt-1", "refresh rt-2"]);
    assert_eq!(shop.who(&mut browser).await, "bob at-3");
}

#[tokio::test]
async fn a_refresh_may_leave_the_refresh_token_as_it_is() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.gives_refresh_tokens.store(false, Ordering::SeqCst);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.bank.gives_refresh_tokens.store(true, Ordering::SeqCst);
    shop.bank.live.lock().unwrap().insert("rt-1".to_owned());
    shop.advance(LIFE - 60);
    assert_eq!(shop.who(&mut browser).await, "bob at-3");
    assert_eq!(shop.sent(), ["refresh rt-1"; 2]);
}

#[tokio::test]
async fn programs_and_frames_wait_for_the_same_pair() {
    let shop = Shop::new();
    let browser = shop.due().await;
    let requests =
        [crate::fetch("GET", "/"), navigation(Method::GET, "/", "cross-site"), navigation(Method::HEAD, "/", "none")];
    for request in requests {
        let response = shop.call(&browser, request).await;
        assert_eq!(sets(&response), [TOKENS]);
    }
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

#[tokio::test]
async fn a_session_cookie_alone_starts_no_refresh() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let tokens = browser.jar.remove(TOKENS).unwrap();
    assert_eq!(shop.who(&mut browser).await, "nobody");
    let mut alone = Browser::new();
    alone.jar.insert(TOKENS.to_owned(), tokens);
    assert_eq!(shop.who(&mut alone).await, "nobody");
    assert!(browser.jar.contains_key(SESSION) && alone.jar.contains_key(TOKENS));
    assert_eq!(shop.sent(), [""; 0]);
}
