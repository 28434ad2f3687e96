//! Signing out ends the authorization at the provider.

use std::sync::atomic::Ordering;

use http::Method;

use crate::site::{deleted, set_cookies};
use crate::support::{navigation, text};
use crate::{LIFE, SESSION, Shop, TOKENS, failure, is_refresh, is_revoke, sets, settle, shared_keys};

#[tokio::test]
async fn revokes_the_pair_and_waits_for_nothing() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    let gate = shop.site.upstream.hold(is_revoke);
    let response = shop.sign_out(&mut browser).await;
    assert_eq!(response.status(), 303);
    for name in [SESSION, TOKENS] {
        assert!(set_cookies(&response).contains(&deleted(name)), "{name}");
    }
    assert_eq!(shop.who(&mut browser).await, "nobody");
    settle().await;
    assert_eq!(shop.sent(), ["revoke at-1"]);
    gate.add_permits(1);
    settle().await;
    assert_eq!(shop.sent(), ["revoke at-1"]);
}

#[tokio::test]
async fn revokes_once_however_often_somebody_clicks() {
    let shop = Shop::new();
    let browser = shop.signed_in().await;
    for _ in 0..3 {
        assert_eq!(shop.sign_out(&mut browser.clone()).await.status(), 303);
    }
    settle().await;
    assert_eq!(shop.sent(), ["revoke at-1"]);
}

#[tokio::test]
async fn revokes_the_newest_pair_though_the_browser_has_an_older_one() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.call(&browser, navigation(Method::GET, "/", "none")).await;
    shop.sign_out(&mut browser).await;
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1", "revoke at-2"]);
}

/// Here the second pair is known, and the third one came from another node.
#[tokio::test]
async fn revokes_a_pair_that_another_node_has_refreshed_since() {
    let [here, there] = [(); 2].map(|()| Shop::with(|builder| builder.keys(shared_keys())));
    let mut browser = here.due().await;
    assert_eq!(here.who(&mut browser).await, "bob at-2");
    here.advance(LIFE - 60);
    there.advance(2 * (LIFE - 60));
    there.bank.live.lock().unwrap().insert("rt-2".to_owned());
    assert_eq!(there.who(&mut browser).await, "bob at-1", "the first that this one gives");
    here.sign_out(&mut browser).await;
    settle().await;
    assert_eq!(here.sent(), ["refresh rt-1", "revoke at-1"]);
}

#[tokio::test]
async fn revokes_the_pair_the_browser_has_where_it_is_the_newest() {
    for pause in [0, LIFE + 1] {
        let shop = Shop::new();
        let mut browser = shop.due().await;
        assert_eq!(shop.who(&mut browser).await, "bob at-2");
        shop.advance(pause);
        shop.sign_out(&mut browser).await;
        settle().await;
        assert_eq!(shop.sent(), ["refresh rt-1", "revoke at-2"]);
    }
}

#[tokio::test]
async fn a_refresh_under_way_revokes_what_it_brings_and_sets_nothing() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let gate = shop.site.upstream.hold(is_refresh);
    let waiting = shop.begin(&browser, "/").await;
    let slow = shop.begin(&browser, "/slow").await;
    shop.sign_out(&mut browser).await;
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1"]);
    gate.add_permits(1);
    shop.slow.add_permits(1);
    for task in [waiting, slow] {
        let response = task.await.unwrap();
        assert_eq!((text(&response), sets(&response)), ("nobody", vec![]));
    }
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1", "revoke at-2"]);
}

#[tokio::test]
async fn a_refresh_under_way_that_fails_revokes_what_there_was() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let gate = shop.site.upstream.hold(is_refresh);
    shop.bank.fail(|| Ok(failure(503, "")));
    let waiting = shop.begin(&browser, "/").await;
    shop.sign_out(&mut browser).await;
    gate.add_permits(1);
    assert_eq!(sets(&waiting.await.unwrap()), [""; 0]);
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1", "revoke at-1"]);
}

#[tokio::test]
async fn another_sign_in_during_a_refresh_revokes_nothing_and_leaves_what_that_brings() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    let gate = shop.site.upstream.hold(is_refresh);
    let waiting = shop.begin(&browser, "/").await;
    assert_eq!(shop.site.complete(&mut browser, "/").await.status(), 303);
    gate.add_permits(1);
    assert_eq!(sets(&waiting.await.unwrap()), [""; 0]);
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1", "exchange"]);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
}

#[tokio::test]
async fn a_revocation_that_fails_changes_nothing() {
    for status in [400, 401, 402, 404, 429, 500, 503] {
        let shop = Shop::new();
        shop.bank.revoke_status.store(status, Ordering::SeqCst);
        let mut browser = shop.signed_in().await;
        assert_eq!(shop.sign_out(&mut browser).await.status(), 303);
        settle().await;
        assert_eq!(shop.sent(), ["revoke at-1"], "{status}");
        assert_eq!(shop.who(&mut browser).await, "nobody");
        assert_eq!(shop.site.complete(&mut browser, "/").await.status(), 303);
        assert_eq!(shop.who(&mut browser).await, "bob at-2");
    }
}

#[tokio::test]
async fn what_signs_nobody_out_revokes_nothing() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    let requests = [
        navigation(Method::POST, "/api/logout", "cross-site"),
        navigation(Method::POST, "/api/logout", "same-site"),
        navigation(Method::GET, "/api/logout", "same-origin"),
        navigation(Method::POST, "/api/logout", "same-origin").header("sec-purpose", "prefetch"),
        http::Request::post("/api/logout"),
    ];
    for request in requests {
        assert_eq!(sets(&shop.visit(&mut browser, request).await), [""; 0]);
    }
    settle().await;
    assert_eq!(shop.sent(), [""; 0]);
    assert_eq!(shop.who(&mut browser).await, "bob at-1");
}

#[tokio::test]
async fn what_is_not_this_session_s_is_not_revoked() {
    let shop = Shop::new();
    let (mine, other) = (shop.signed_in().await, shop.signed_in().await);
    let mut planted = mine.clone();
    planted.jar.insert(TOKENS.to_owned(), other.jar[TOKENS].clone());
    shop.sign_out(&mut planted).await;
    let mut tokens_alone = other.clone();
    tokens_alone.jar.remove(SESSION);
    shop.sign_out(&mut tokens_alone).await;
    settle().await;
    assert_eq!(shop.sent(), [""; 0]);
}

#[tokio::test]
async fn what_the_provider_refused_is_not_revoked() {
    let shop = Shop::new();
    let mut browser = shop.due().await;
    shop.bank.fail(|| Ok(failure(400, "")));
    shop.call(&browser, navigation(Method::GET, "/", "none")).await;
    shop.sign_out(&mut browser).await;
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1"]);
}

#[tokio::test]
async fn whose_tokens_are_past_their_end_signs_out_as_well() {
    let shop = Shop::new();
    let mut browser = shop.signed_in().await;
    shop.advance(LIFE + 1);
    assert_eq!(sets(&shop.sign_out(&mut browser).await), [SESSION, TOKENS]);
    settle().await;
    assert_eq!(shop.sent(), ["revoke at-1"]);
}

/// A thief's copy, sent once the newer pair is forgotten here, is refused; the person's own pair is still good.
#[tokio::test]
async fn revokes_the_newest_pair_though_an_older_one_was_refused() {
    let days = |days: u64| days * 24 * LIFE;
    let shop = Shop::with(|builder| builder.session_lifetime(std::time::Duration::from_secs(days(9))));
    let mut browser = shop.due().await;
    let stolen = browser.clone();
    shop.bank.life.store(days(8), Ordering::SeqCst);
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.advance(days(1));
    shop.bank.fail(|| Ok(failure(400, "Invalid refresh token.")));
    assert_eq!(text(&shop.call(&stolen, navigation(Method::GET, "/", "none")).await), "nobody");
    assert_eq!(shop.who(&mut browser).await, "bob at-2");
    shop.sign_out(&mut browser).await;
    settle().await;
    assert_eq!(shop.sent(), ["refresh rt-1", "refresh rt-1", "revoke at-2"]);
}

#[tokio::test]
async fn a_flood_of_revocations_is_bounded() {
    let shop = Shop::new();
    let gate = shop.site.upstream.hold(is_revoke);
    let mut browsers = Vec::new();
    for _ in 0..258 {
        browsers.push(shop.signed_in().await);
    }
    for browser in &mut browsers {
        assert_eq!(shop.sign_out(browser).await.status(), 303);
        settle().await;
    }
    assert_eq!(shop.sent().iter().filter(|sent| sent.starts_with("revoke")).count(), 256);
    gate.add_permits(256);
    settle().await;
    let mut browser = shop.signed_in().await;
    shop.sign_out(&mut browser).await;
    settle().await;
    assert_eq!(shop.sent().iter().filter(|sent| sent.starts_with("revoke")).count(), 1, "it goes on afterwards");
}
