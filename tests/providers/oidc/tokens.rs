//! Tokens that are kept: refreshed, revoked, and shown to the provider at the end.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::dev::openid::{Misbehaviour, OpenIdProvider};
use url::Url;

use super::{Stage, TOKEN};
use crate::support::{Browser, location};

/// A stage whose app keeps tokens, and a browser in which alice is signed in.
async fn signed_in(openid: &Arc<OpenIdProvider>) -> (Stage, Browser) {
    let stage = Stage::at(openid, |oidc| oidc.scope("offline_access"), |builder| builder.keep_tokens()).await;
    let mut browser = Browser::new();
    assert_eq!(stage.sign_in(&mut browser).await.status(), 303);
    stage.openid.clear_requests();
    (stage, browser)
}

/// Refreshes when the token is about to end: who is there then, and whether the access token is another one.
async fn refreshed(stage: &Stage, browser: &mut Browser) -> (String, bool) {
    let token = |says: String| says.split(' ').next().unwrap().to_owned();
    let before = token(stage.app.says(browser, "/tokens").await);
    stage.app.clock.advance(Duration::from_secs(3600 - 30));
    let who = stage.app.says(browser, "/").await;
    (who, token(stage.app.says(browser, "/tokens").await) != before)
}

#[tokio::test]
async fn c42_a_refreshed_id_token_is_of_the_same_person_and_sign_in() {
    use Misbehaviour as M;
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for (misbehaviour, is_taken) in [
        (None, true),
        (Some(M::RefreshWithoutIdToken), true),
        (Some(M::RefreshWithoutRefreshToken), true),
        (Some(M::RotatesKeys), true),
        (Some(M::RefreshInvalidIssuer), false),
        (Some(M::RefreshInvalidSubject), false),
        (Some(M::RefreshInvalidAudience), false),
        (Some(M::RefreshInvalidAuthTime), false),
        (Some(M::RefreshInvalidNonce), false),
        (Some(M::InvalidSignature), false),
        (Some(M::Expired), false),
        (Some(M::InvalidAccessTokenHash), false),
    ] {
        let (stage, mut browser) = signed_in(&openid).await;
        stage.openid.set_misbehaviour(misbehaviour);
        let (who, is_new) = refreshed(&stage, &mut browser).await;
        assert_eq!((who.as_str(), is_new), ("1001", is_taken), "{misbehaviour:?}");
        assert_eq!(stage.count(TOKEN), 1, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn c40_a_refresh_token_lasts_until_a_new_one_comes() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for misbehaviour in [None, Some(Misbehaviour::RefreshWithoutRefreshToken)] {
        let (stage, mut browser) = signed_in(&openid).await;
        stage.openid.set_misbehaviour(misbehaviour);
        for number in 1..4 {
            assert_eq!(refreshed(&stage, &mut browser).await, ("1001".to_owned(), true), "{misbehaviour:?} {number}");
        }
    }
}

#[tokio::test]
async fn who_signs_out_goes_to_the_provider_with_the_id_token() {
    let (stage, mut browser) = signed_in(&Arc::new(OpenIdProvider::start().await.unwrap())).await;
    let answer = browser.post(&stage.app.url("/auth/logout"), "").await;
    assert_eq!(answer.status(), 303);
    let url = Url::parse(&location(&answer)).unwrap();
    assert!(url.as_str().starts_with(&format!("{}/end_session?id_token_hint=", stage.openid.issuer())), "{url}");
    assert!(url.query_pairs().any(|pair| pair == ("client_id".into(), "openid-demo".into())), "{url}");
    assert_eq!(stage.app.says(&mut browser, "/").await, "nobody");
}

#[tokio::test]
async fn who_signs_out_stays_here_where_that_is_set() {
    let stage = Stage::with(|oidc| oidc.end_session(false)).await;
    let mut browser = Browser::new();
    assert_eq!(stage.sign_in(&mut browser).await.status(), 303);
    let answer = browser.post(&stage.app.url("/auth/logout"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"));
}
