//! The Refresh profile: tokens that are kept, and what a refresh says of whose they are.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::AUTHORIZATION;
use tower_signin::dev::openid::Misbehaviour as M;

use crate::log::Log;
use crate::rows::Level::RefreshProfile;
use crate::rows::Verdict::Held;
use crate::rows::{Row, row};
use crate::stage::{Stage, TOKEN, USER_INFO, alice};
use crate::support::{Browser, send, text};

pub(crate) const ROWS: &[Row] = &[
    row(
        "RP21",
        RefreshProfile,
        "refresh, and ask UserInfo with the new access token",
        Held(&["rp21_the_new_access_token_is_good_for_user_info"]),
    ),
    row(
        "RP22",
        RefreshProfile,
        "notice that the refreshed ID token is of another issuer",
        Held(&["rp22_a_refresh_by_another_issuer"]),
    ),
    row(
        "RP23",
        RefreshProfile,
        "notice that the refreshed ID token is of another subject",
        Held(&["rp23_a_refresh_for_another_subject"]),
    ),
];

/// How long an access token is left alone.
const FRESH: Duration = Duration::from_secs(3600 - 30);

/// A stage that keeps tokens, and a browser in which alice is signed in.
pub(crate) async fn signed_in() -> (Stage, Browser) {
    let stage = Stage::with_both(|oidc| oidc.scope("offline_access"), |builder| builder.keep_tokens()).await;
    let mut browser = Browser::new();
    assert_eq!(stage.sign_in(&mut browser).await.status(), 303);
    stage.openid.clear_requests();
    (stage, browser)
}

/// The access token that the app is handed.
async fn access_token(stage: &Stage, browser: &mut Browser) -> String {
    stage.app.says(browser, "/tokens").await.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn rp21_the_new_access_token_is_good_for_user_info() {
    let (stage, mut browser) = signed_in().await;
    let before = access_token(&stage, &mut browser).await;
    assert_eq!(stage.asked(), [""; 0], "a token that is fresh is not refreshed");
    stage.app.clock.advance(FRESH);
    let token = access_token(&stage, &mut browser).await;
    assert_ne!(token, before);
    assert_eq!(stage.asked(), [TOKEN]);
    let url = format!("{}{USER_INFO}", stage.openid.issuer());
    let request = Request::get(url).header(AUTHORIZATION, format!("Bearer {token}")).body(Bytes::new()).unwrap();
    let answer = send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let said: serde_json::Value = serde_json::from_str(text(&answer)).unwrap();
    assert_eq!(said["sub"], alice().2);
    assert_eq!(stage.app.says(&mut browser, "/").await, alice().2);
}

/// The answer is used for nothing. The person stays who they are while the old access token is good; then its refresh token,
/// which the provider has taken for spent, ends the session.
async fn is_not_taken(misbehaviour: M, reason: &str) {
    let (stage, mut browser) = signed_in().await;
    let before = access_token(&stage, &mut browser).await;
    stage.openid.set_misbehaviour(Some(misbehaviour));
    stage.app.clock.advance(FRESH);
    Log::start();
    assert_eq!(stage.app.says(&mut browser, "/").await, alice().2);
    assert!(Log::text().contains(reason), "{}", Log::text());
    assert_eq!(access_token(&stage, &mut browser).await, before);
    assert_eq!(stage.asked(), [TOKEN], "once, and no UserInfo");
    stage.openid.set_misbehaviour(None);
    stage.app.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.app.says(&mut browser, "/").await, "nobody");
}

#[tokio::test]
async fn rp22_a_refresh_by_another_issuer() {
    is_not_taken(M::RefreshInvalidIssuer, "iss is not the issuer").await;
}

#[tokio::test]
async fn rp23_a_refresh_for_another_subject() {
    is_not_taken(M::RefreshInvalidSubject, "sub is another one than before").await;
}
