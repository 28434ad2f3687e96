//! The Logout profiles: signing out at the provider, too, and coming back.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, SET_COOKIE, X_FRAME_OPTIONS};
use http::{Method, Response};
use tower_signin::dev::openid::{Account, CLIENT_ID, Misbehaviour as M};
use url::Url;

use crate::refresh::signed_in;
use crate::rows::Level::{FurtherModule, LogoutProfile};
use crate::rows::Verdict::{DoesNotApply, Held};
use crate::rows::{Row, row};
use crate::stage::{Stage, alice};
use crate::support::{Browser, location, navigation, text};
use crate::told::Told;

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
    row("RP48", LogoutProfile, "answer 200 to a logout token that is right", Held(&["rp48_a_token_that_is_right"])),
    row(
        "RP49",
        LogoutProfile,
        "answer 400 to a logout token whose algorithm is `none`",
        Held(&["rp49_algorithm_none"]),
    ),
    row("RP50", LogoutProfile, "answer 400 to a logout token without events", Held(&["rp50_no_events"])),
    row("RP51", LogoutProfile, "answer 400 to a logout token with a nonce", Held(&["rp51_with_a_nonce"])),
    row("RP52", LogoutProfile, "answer 400 to a logout token of another algorithm", Held(&["rp52_another_algorithm"])),
    row("RP53", LogoutProfile, "answer 400 to a logout token for another audience", Held(&["rp53_another_audience"])),
    row("RP54", LogoutProfile, "answer 400 to a logout token of another event", Held(&["rp54_another_event"])),
    row("RP55", LogoutProfile, "answer 400 to a logout token of another issuer", Held(&["rp55_another_issuer"])),
    row(
        "RP56",
        LogoutProfile,
        "clear the session in a frame of the provider, and come back",
        Held(&["rp56_in_a_frame_on_the_way_out_and_back"]),
    ),
    row("RP57", FurtherModule, "the same where the provider begins", Held(&["rp57_in_a_frame_of_the_provider"])),
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

#[tokio::test]
async fn rp48_a_token_that_is_right() {
    // The provider's administrator signs her out.
    let mut told = Told::start().await;
    assert_eq!(told.who().await, alice().2);
    told.stage.openid.sign_out(&Account::alice());
    assert_eq!(told.stage.openid.told().await, [Some(http::StatusCode::OK)]);
    assert_eq!(told.who().await, "nobody");
    assert!(told.browser.jar.keys().all(|name| name.ends_with("-rounds")), "{:?}", told.browser.jar);

    // She signs out here, and over the provider, which then tells what is known already.
    let mut told = Told::with(|builder| builder.keep_tokens()).await;
    let registered = told.stage.app.url("/auth/logout");
    told.stage.openid.register_post_logout_redirect_uri(CLIENT_ID, &registered).unwrap();
    let mut copy = told.browser.clone();
    let url = leave(&told.stage, &mut told.browser).await;
    let back = told.stage.openid.end_session(&url).unwrap().expect("a way back");
    assert_eq!(told.stage.openid.told().await, [Some(http::StatusCode::OK)]);
    assert_eq!(end_of(&mut told.browser, &back).await, "/claims");
    assert_eq!(told.stage.app.says(&mut copy, "/").await, "nobody");

    Told::start().await.ends().await;
}

#[tokio::test]
async fn rp49_algorithm_none() {
    const NOT_SET: &str = "alg is not among the signing_algorithms of the settings";
    for misbehaviour in [M::AlgorithmNone, M::AlgorithmNoneCapitalized, M::AlgorithmNoneMixed, M::AlgorithmEmpty] {
        Told::refuses_what_is_wrong(misbehaviour, NOT_SET).await;
    }
    Told::refuses_what_is_wrong(M::EmptySignature, "the signature is wrong").await;
    Told::refuses_what_is_wrong(M::InvalidSignature, "the signature is wrong").await;
}

#[tokio::test]
async fn rp50_no_events() {
    Told::refuses_what_is_wrong(M::LogoutTokenWithoutEvents, "events does not say that it is a logout token").await;
}

#[tokio::test]
async fn rp51_with_a_nonce() {
    Told::refuses_what_is_wrong(M::LogoutTokenWithNonce, "it has a nonce, like an ID token").await;
}

#[tokio::test]
async fn rp52_another_algorithm() {
    const NOT_SET: &str = "alg is not among the signing_algorithms of the settings";
    Told::refuses_what_is_wrong(M::AnotherAlgorithm, NOT_SET).await;
    Told::refuses_what_is_wrong(M::HmacWithClientSecret, NOT_SET).await;
    Told::refuses_what_is_wrong(M::HmacWithPublicKey, NOT_SET).await;
}

#[tokio::test]
async fn rp53_another_audience() {
    Told::refuses_what_is_wrong(M::InvalidAudience, "aud is not this client").await;
}

#[tokio::test]
async fn rp54_another_event() {
    Told::refuses_what_is_wrong(M::LogoutTokenOfAnotherEvent, "events does not say that it is a logout token").await;
}

#[tokio::test]
async fn rp55_another_issuer() {
    // It is by the issuer that the provider is found, whose keys must have signed it.
    Told::refuses_what_is_wrong(M::InvalidIssuer, "it is no JWT, or its iss is none of the providers'").await;
}

/// What a frame of the provider's page gets, of the same site as the app. Nothing but the provider may show it.
async fn frame(stage: &Stage, browser: &mut Browser, query: &str) -> Response<Bytes> {
    let url = stage.app.url(&format!("/auth/frontchannel-logout{query}"));
    let request = http::Request::get(url)
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "iframe")
        .header("sec-fetch-site", "same-site");
    let answer = browser.send(request.body(Bytes::new()).unwrap()).await;
    assert_eq!((answer.status().as_u16(), text(&answer)), (200, ""));
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    let policy = format!("default-src 'none'; frame-ancestors {}", stage.openid.issuer());
    assert_eq!(answer.headers()[CONTENT_SECURITY_POLICY], policy);
    assert!(!answer.headers().contains_key(X_FRAME_OPTIONS));
    answer
}

fn named(stage: &Stage, session_id: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("iss", stage.openid.issuer())
        .append_pair("sid", session_id)
        .finish();
    format!("?{query}")
}

#[tokio::test]
async fn rp56_in_a_frame_on_the_way_out_and_back() {
    let mut told = Told::with(|builder| builder.keep_tokens().front_channel_logout()).await;
    let registered = told.stage.app.url("/auth/logout");
    told.stage.openid.register_post_logout_redirect_uri(CLIENT_ID, &registered).unwrap();
    // By what the session here was, which the provider's page shows in a frame before it sends her back.
    let url = leave(&told.stage, &mut told.browser).await;
    let back = told.stage.openid.end_session(&url).unwrap().expect("a way back");
    let answer = frame(&told.stage, &mut told.browser, &named(&told.stage, &told.session_id)).await;
    assert!(!answer.headers().contains_key(SET_COOKIE), "it had ended before");
    assert_eq!(end_of(&mut told.browser, &back).await, "/claims");
    assert_eq!(told.who().await, "nobody");
}

#[tokio::test]
async fn rp57_in_a_frame_of_the_provider() {
    let mut told = Told::with(|builder| builder.keep_tokens().front_channel_logout()).await;
    let mut copy = told.browser.clone();
    assert_eq!(told.who().await, alice().2);
    frame(&told.stage, &mut told.browser, &named(&told.stage, &told.session_id)).await;
    assert!(told.browser.jar.is_empty(), "{:?}", told.browser.jar);
    assert_eq!(told.who().await, "nobody");
    assert_eq!(told.stage.app.says(&mut copy, "/").await, "nobody", "nor is a copy of the cookie good");
}
