//! The Logout profiles: signing out at the provider, too, and coming back.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::SET_COOKIE;
use tower_signin::dev::openid::{CLIENT_ID, Misbehaviour as M};
use url::Url;

use crate::refresh::signed_in;
use crate::rows::Level::{FurtherModule, LogoutProfile};
use crate::rows::Verdict::{DoesNotApply, Held, Later};
use crate::rows::{Row, row};
use crate::stage::{Stage, alice};
use crate::support::{Browser, location, navigation};

const NO_BACK_CHANNEL: &str =
    "no logout token is read yet, so none is taken; sessions end by themselves or by a repeated check";
const NO_FRONT_CHANNEL: &str =
    "nothing can be asked for in a frame yet, and browsers that keep cookies of other sites out make it useless";

pub(crate) const ROWS: &[Row] = &[
    row(
        "RP45",
        LogoutProfile,
        "sign out over the provider with the ID token as a hint, and come back",
        Held(&["rp45_out_over_the_provider_and_back"]),
    ),
    row(
        "RP46",
        LogoutProfile,
        "come back with another state: signed out, and sent nowhere else",
        Held(&["rp46_back_with_another_state"]),
    ),
    row("RP47", LogoutProfile, "come back without a state: signed out", Held(&["rp47_back_without_a_state"])),
    row("RP48", LogoutProfile, "answer 200 to a logout token that is right", Later(NO_BACK_CHANNEL)),
    row("RP49", LogoutProfile, "answer 400 to a logout token whose algorithm is `none`", Later(NO_BACK_CHANNEL)),
    row("RP50", LogoutProfile, "answer 400 to a logout token without events", Later(NO_BACK_CHANNEL)),
    row("RP51", LogoutProfile, "answer 400 to a logout token with a nonce", Later(NO_BACK_CHANNEL)),
    row("RP52", LogoutProfile, "answer 400 to a logout token of another algorithm", Later(NO_BACK_CHANNEL)),
    row("RP53", LogoutProfile, "answer 400 to a logout token for another audience", Later(NO_BACK_CHANNEL)),
    row("RP54", LogoutProfile, "answer 400 to a logout token of another event", Later(NO_BACK_CHANNEL)),
    row("RP55", LogoutProfile, "answer 400 to a logout token of another issuer", Later(NO_BACK_CHANNEL)),
    row("RP56", LogoutProfile, "clear the session in a frame of the provider, and come back", Later(NO_FRONT_CHANNEL)),
    row("RP57", FurtherModule, "the same where the provider begins", Later(NO_FRONT_CHANNEL)),
    row(
        "RP58",
        FurtherModule,
        "watch the session in a frame of the provider",
        DoesNotApply("it needs cookies of another site in a frame, which browsers no longer send"),
    ),
];

/// Signs out on the way to `/claims`: the session here is over before the browser leaves for this address at the provider.
async fn leave(stage: &Stage, browser: &mut Browser) -> String {
    assert_eq!(stage.app.says(browser, "/").await, alice().2);
    let answer = browser.post(&stage.app.url("/auth/logout?return_to=/claims"), "").await;
    assert_eq!(answer.status(), 303);
    assert!(browser.jar.is_empty(), "{:?}", browser.jar);
    location(&answer)
}

/// Where the browser ends that comes back so from the provider; it gets and loses no cookie there.
async fn end_of(browser: &mut Browser, back: &str) -> String {
    let answer = browser.send(navigation(Method::GET, back, "cross-site").body(Bytes::new()).unwrap()).await;
    assert_eq!(answer.status(), 303, "{back}");
    assert!(!answer.headers().contains_key(SET_COOKIE), "{answer:?}");
    location(&answer)
}

/// A stage whose provider knows where to send people back to, and a browser that is on its way there.
async fn on_the_way_out(misbehaviour: Option<M>) -> (Stage, Browser, String) {
    let (stage, mut browser) = signed_in().await;
    stage.openid.register_post_logout_redirect_uri(CLIENT_ID, &stage.app.url("/auth/logout")).unwrap();
    stage.openid.set_misbehaviour(misbehaviour);
    let url = leave(&stage, &mut browser).await;
    let back = stage.openid.end_session(&url).unwrap().expect("a way back");
    (stage, browser, back)
}

#[tokio::test]
async fn rp45_out_over_the_provider_and_back() {
    let (stage, mut browser) = signed_in().await;
    let registered = stage.app.url("/auth/logout");
    stage.openid.register_post_logout_redirect_uri(CLIENT_ID, &registered).unwrap();
    let url = Url::parse(&leave(&stage, &mut browser).await).unwrap();
    let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"]);
    assert_eq!((sent[1].1.as_str(), &sent[2].1), (CLIENT_ID, &registered));
    // The provider knows its own ID token, or refuses.
    let back = stage.openid.end_session(url.as_str()).unwrap().expect("a way back");
    assert_eq!(back, format!("{registered}?state={}", sent[3].1));
    assert_eq!(end_of(&mut browser, &back).await, "/claims");
    assert_eq!(stage.app.says(&mut browser, "/").await, "nobody");
}

#[tokio::test]
async fn rp46_back_with_another_state() {
    let (stage, mut browser, back) = on_the_way_out(Some(M::LogoutInvalidState)).await;
    assert!(back.ends_with("?state=another-state"), "{back}");
    assert_eq!(end_of(&mut browser, &back).await, "/");
    assert_eq!(stage.app.says(&mut browser, "/").await, "nobody");

    let (stage, mut browser, back) = on_the_way_out(None).await;
    let (place, state) = back.split_once("?state=").unwrap();
    let (first, rest) = state.split_at(1);
    let changed = format!("{}{rest}", if first == "A" { "B" } else { "A" });
    for (name, query) in [
        ("another site", "?state=https%3A%2F%2Fevil.example"),
        ("another host", "?state=%2F%2Fevil.example"),
        ("an empty one", "?state="),
        ("one letter changed", &format!("?state={changed}")),
        ("cut short", &format!("?state={}", &state[..state.len() - 1])),
        ("twice", &format!("?state={state}&state={state}")),
        ("a target beside it", "?return_to=https%3A%2F%2Fevil.example"),
        ("very long", &format!("?state={}", "A".repeat(5000))),
    ] {
        assert_eq!(end_of(&mut browser, &format!("{place}{query}")).await, "/", "{name}");
    }
    assert_eq!(end_of(&mut browser, &back).await, "/claims", "its own");
    stage.app.clock.advance(Duration::from_secs(600));
    assert_eq!(end_of(&mut browser, &back).await, "/", "its own, too late");
}

#[tokio::test]
async fn rp47_back_without_a_state() {
    let (stage, mut browser, back) = on_the_way_out(Some(M::LogoutMissingState)).await;
    assert_eq!(back, stage.app.url("/auth/logout"));
    assert_eq!(end_of(&mut browser, &back).await, "/");
    assert_eq!(stage.app.says(&mut browser, "/").await, "nobody");
    // Who is signed in is not signed out by coming there.
    stage.openid.set_misbehaviour(None);
    assert_eq!(stage.sign_in(&mut browser).await.status(), 303);
    assert_eq!(end_of(&mut browser, &back).await, "/");
    assert_eq!(stage.app.says(&mut browser, "/").await, alice().2);
}
