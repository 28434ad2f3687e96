//! Tokens that are kept: refreshed, revoked, and shown to the provider at the end.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::dev::openid::{Misbehaviour, OpenIdProvider};
use url::Url;

use super::{Stage, TOKEN};
use crate::app::App;
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

/// A process that was started anew has no keys, and a refresh token is spent once it is sent.
#[tokio::test]
async fn c43_an_outage_of_the_keys_ends_no_session() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    let (stage, mut browser) = signed_in(&openid).await;
    let oidc = openid.oidc().scope("offline_access");
    let app = App::start_at_with(&stage.app, oidc, |builder| builder.keep_tokens()).await;
    let advance = |seconds| [&stage.app, &app].map(|app| app.clock.advance(Duration::from_secs(seconds)));
    advance(3600 - 30);
    openid.set_misbehaviour(Some(Misbehaviour::KeysDown));
    assert_eq!(app.says(&mut browser, "/").await, "1001");
    assert_eq!(stage.count(TOKEN), 0, "it was not sent");
    advance(6);
    openid.set_misbehaviour(None);
    assert_eq!(app.says(&mut browser, "/").await, "1001");
    assert_eq!(stage.count(TOKEN), 1);
}

/// A script can't follow to another site, so the session ends here alone.
#[tokio::test]
async fn only_a_window_is_led_over_the_provider() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for (mode, dest, accept, is_led) in [
        ("navigate", "document", "text/html", true),
        ("cors", "empty", "*/*", false),
        ("cors", "empty", "application/json", false),
    ] {
        let (stage, mut browser) = signed_in(&openid).await;
        let request = http::Request::post(stage.app.url("/auth/logout?return_to=/claims"))
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-mode", mode)
            .header("sec-fetch-dest", dest)
            .header("accept", accept);
        let answer = browser.send(request.body(Default::default()).unwrap()).await;
        let expected = if is_led { format!("{}/end_session?", openid.issuer()) } else { "/claims".to_owned() };
        assert!(location(&answer).starts_with(&expected), "{mode} {accept}: {}", location(&answer));
        assert_eq!(stage.app.says(&mut browser, "/").await, "nobody", "{mode} {accept}");
    }
}

/// A browser applies it to the redirect behind the form, too.
#[tokio::test]
async fn forms_on_pages_may_lead_over_the_provider() {
    let openid = Arc::new(OpenIdProvider::start().await.unwrap());
    for (ends_sessions, policy) in [(true, "form-action 'self' https: http:;"), (false, "form-action 'self';")] {
        let stage = Stage::at(&openid, |oidc| oidc.end_session(ends_sessions), |builder| builder).await;
        let mut browser = Browser::new();
        stage.sign_in(&mut browser).await;
        // A browser that tells nothing of where the form was.
        let request = http::Request::post(stage.app.url("/auth/logout")).header("accept", "text/html");
        let page = browser.send(request.body(Default::default()).unwrap()).await;
        assert!(crate::support::text(&page).contains("<form method=\"post\""), "{}", crate::support::text(&page));
        let found = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(found.contains(policy), "{found}");
    }
}
