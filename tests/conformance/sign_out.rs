//! Signing in and out from elsewhere: by the provider's wish, and over the provider.

use std::sync::Arc;

use bytes::Bytes;
use tower_signin::dev::openid::{Account, CLIENT_ID, Misbehaviour as M};
use tower_signin::{Oidc, Provider};
use url::Url;

use crate::app::App;
use crate::refresh::signed_in;
use crate::rows::Level::{Must, Should};
use crate::rows::Verdict::{Held, Later};
use crate::rows::{Row, row};
use crate::stage::{METADATA, Stage, alice};
use crate::support::{Browser, location};
use crate::told::Told;

pub(crate) const ROWS: &[Row] = &[
    row(
        "C59",
        Must,
        "begin a sign-in that a provider asks for only with a provider that is configured, towards a target of this site",
        Later("no such address is offered: what `iss` and `target_link_uri` say is ignored by login"),
    ),
    row(
        "C60",
        Must,
        "take a logout token for what it is only after every check, each once",
        Held(&[
            "c60_a_token_counts_once",
            "c60_everything_that_a_token_must_claim",
            "c60_one_session_or_all_of_a_person",
            "c60_a_token_is_of_one_sort",
            "src/provider/oidc/logout_token/tests.rs::everything_is_checked",
            "tests/conformance/logout.rs::rp48_a_token_that_is_right",
        ]),
    ),
    row(
        "C61",
        Must,
        "clear a session in a frame only where issuer and session id match",
        Held(&[
            "c61_only_who_names_issuer_and_session",
            "tests/conformance/logout.rs::rp57_in_a_frame_of_the_provider",
        ]),
    ),
    row(
        "C62",
        Should,
        "sign out over the provider with a hint, the client id, a registered way back and a state; here in any case",
        Held(&[
            "c62_without_kept_tokens_the_client_id_tells_who_asks",
            "c62_a_provider_that_is_down_keeps_nobody_signed_in",
            "tests/conformance/logout.rs::rp45_out_over_the_provider_and_back",
        ]),
    ),
    row(
        "C63",
        Should,
        "revoke the refresh token, then the access token; a failure keeps nobody signed in",
        Held(&[
            "tests/providers/oauth2/tokens.rs::who_signs_out_has_both_tokens_revoked",
            "src/provider/oidc/tests.rs::both_tokens_are_revoked_where_there_is_an_endpoint_for_it",
            "tests/tokens/sign_out.rs::a_revocation_that_fails_changes_nothing",
        ]),
    ),
];

#[tokio::test]
async fn c62_without_kept_tokens_the_client_id_tells_who_asks() {
    let stage = Stage::start().await;
    let mut browser = Browser::new();
    assert_eq!(stage.sign_in(&mut browser).await.status(), 303);
    let answer = browser.post(&stage.app.url("/auth/logout"), "").await;
    let url = Url::parse(&location(&answer)).unwrap();
    let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["client_id", "post_logout_redirect_uri", "state"]);
    assert_eq!(sent[0].1, CLIENT_ID);
    assert_eq!(stage.app.says(&mut browser, "/").await, "nobody");
    let back = stage.openid.end_session(url.as_str()).unwrap().expect("a way back");
    assert_eq!(location(&browser.get(&back).await), "/");
}

#[tokio::test]
async fn c62_a_provider_that_is_down_keeps_nobody_signed_in() {
    // A process that was started anew knows nothing of the provider yet: it can't tell the way there.
    let (stage, mut browser) = signed_in().await;
    let oidc: Oidc = stage.openid.oidc();
    let anew = App::start_at(&stage.app, oidc.clone()).await;
    assert!(oidc.ends_sessions());
    assert_eq!(anew.says(&mut browser, "/").await, alice().2);
    stage.openid.set_misbehaviour(Some(M::DiscoveryDown));
    let answer = browser.post(&anew.url("/auth/logout?return_to=/claims"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/claims"));
    assert_eq!(stage.count(METADATA), 1, "it was tried");
    assert!(browser.jar.is_empty(), "{:?}", browser.jar);
    assert_eq!(anew.says(&mut browser, "/").await, "nobody");

    // One that knows the way leads there, and is done with the session before.
    let (stage, mut browser) = signed_in().await;
    let Stage { openid, app } = stage;
    drop(Arc::into_inner(openid).expect("the only one"));
    let answer = browser.post(&app.url("/auth/logout"), "").await;
    assert_eq!(answer.status(), 303);
    assert!(location(&answer).contains("/end_session?id_token_hint="), "{}", location(&answer));
    assert!(browser.jar.is_empty(), "{:?}", browser.jar);
    assert_eq!(app.says(&mut browser, "/").await, "nobody");
}

#[tokio::test]
async fn c60_a_token_counts_once() {
    let mut told = Told::start().await;
    let alice = Account::alice().subject;
    // Of all her sessions, so that the one she begins next would end, too.
    let token = told.stage.openid.logout_token(CLIENT_ID, Some(&alice), None).unwrap();
    assert_eq!(told.tell(&token).await.status(), 200);
    assert_eq!(told.who().await, "nobody");
    assert_eq!(told.stage.sign_in(&mut told.browser).await.status(), 303);
    told.refuses("again", &token, "it came before: its jti was seen").await;
    let of_the_first_session = told.token();
    assert_eq!(told.tell(&of_the_first_session).await.status(), 200, "by another token");
    assert_eq!(told.who().await, alice);
    let token = told.stage.openid.logout_token(CLIENT_ID, Some(&alice), None).unwrap();
    assert_eq!(told.tell(&token).await.status(), 200);
    assert_eq!(told.who().await, "nobody", "another token for the same");
}

#[tokio::test]
async fn c60_everything_that_a_token_must_claim() {
    for (misbehaviour, reason) in [
        (M::MissingIssuer, "it is no JWT, or its iss is none of the providers'"),
        (M::MissingAudience, "aud is missing, or neither a string nor strings"),
        (M::UntrustedAudience, "aud has an audience that is not trusted"),
        (M::MissingIssuedAt, "iat is missing"),
        (M::IssuedInAWeek, "iat is yet to come"),
        (M::MissingExpiry, "exp is missing"),
        (M::Expired, "exp has passed"),
        (M::LogoutTokenWithoutId, "jti is missing"),
        (M::LogoutTokenOfNobody, "there is neither sub nor sid"),
        (M::LogoutTokenOfAnotherType, "typ is that of another sort of token"),
        (M::KeyInHeader, "the signature is wrong"),
        (M::KeyAddressInHeader, "the signature is wrong"),
        (M::UnknownCriticalHeader, "its header has crit"),
        (M::Encrypted, "it is no JWT, or its iss is none of the providers'"),
    ] {
        Told::refuses_what_is_wrong(misbehaviour, reason).await;
    }
    let mut told = Told::start().await;
    for misbehaviour in [M::LogoutTokenUntyped, M::AudienceAsArray] {
        told.stage.openid.set_misbehaviour(Some(misbehaviour));
        told.ends().await;
        told.stage.openid.set_misbehaviour(None);
        assert_eq!(told.stage.sign_in(&mut told.browser).await.status(), 303);
        told.session_id = told.stage.openid.session_ids(&Account::alice()).pop().unwrap();
    }
    // Keys that are new are fetched.
    told.stage.openid.rotate_keys().unwrap();
    told.ends().await;
}

#[tokio::test]
async fn c60_one_session_or_all_of_a_person() {
    let told = Told::start().await;
    let mut elsewhere = Browser::new();
    assert_eq!(told.stage.sign_in(&mut elsewhere).await.status(), 303);
    let mut bob = Browser::new();
    let answer = bob.get(&told.stage.app.url("/auth/login")).await;
    let callback = told.stage.openid.approve(&location(&answer), &Account::bob()).unwrap();
    assert_eq!(bob.get(&callback).await.status(), 303);
    let alice = Account::alice().subject;
    let token = |subject: Option<&str>, session_id: Option<&str>| {
        told.stage.openid.logout_token(CLIENT_ID, subject, session_id).unwrap()
    };
    let there = async |browser: &mut Browser| told.stage.app.says(browser, "/").await;
    let mut browser = told.browser.clone();

    for (name, token) in [
        ("an unknown session", token(None, Some("another"))),
        ("an unknown person", token(Some("another"), None)),
        ("an unknown session of hers", token(Some(&alice), Some("another"))),
    ] {
        assert_eq!(told.tell(&token).await.status(), 200, "{name}");
        assert_eq!(there(&mut browser).await, alice, "{name}");
        assert_eq!(there(&mut elsewhere).await, alice, "{name}");
    }
    assert_eq!(told.tell(&token(None, Some(&told.session_id))).await.status(), 200);
    assert_eq!((there(&mut browser).await, there(&mut elsewhere).await), ("nobody".to_owned(), alice.clone()));
    assert_eq!(told.stage.sign_in(&mut browser).await.status(), 303);
    assert_eq!(told.tell(&token(Some(&alice), None)).await.status(), 200);
    for (name, browser, who) in [
        ("one", &mut browser, "nobody"),
        ("the other", &mut elsewhere, "nobody"),
        ("somebody else's", &mut bob, Account::bob().subject.as_str()),
    ] {
        assert_eq!(there(browser).await, who, "{name}");
    }
}

#[tokio::test]
async fn c60_a_token_is_of_one_sort() {
    let mut told = Told::with(|builder| builder.keep_tokens()).await;
    let out = told.browser.clone().post(&told.stage.app.url("/auth/logout"), "").await;
    let url = Url::parse(&location(&out)).unwrap();
    let (_, id_token) = url.query_pairs().find(|(name, _)| name == "id_token_hint").expect("an ID token");
    assert_eq!(told.stage.sign_in(&mut told.browser).await.status(), 303);
    told.refuses("an ID token", &id_token, "events does not say that it is a logout token").await;
    told.refuses("no token", "token", "it is no JWT, or its iss is none of the providers'").await;
}

#[tokio::test]
async fn c61_only_who_names_issuer_and_session() {
    let mut told = Told::with(|builder| builder.front_channel_logout()).await;
    let (issuer, session_id) = (told.stage.openid.issuer().to_owned(), told.session_id.clone());
    let query =
        |pairs: &[(&str, &str)]| url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let url = |query: &str| told.stage.app.url(&format!("/auth/frontchannel-logout?{query}"));
    let both = query(&[("iss", &issuer), ("sid", &session_id)]);
    let mut answers = Vec::new();
    let mut browser = told.browser.clone();
    for (name, query) in [
        ("nothing", String::new()),
        ("iss alone", query(&[("iss", &issuer)])),
        ("sid alone", query(&[("sid", &session_id)])),
        ("another iss", query(&[("iss", "https://evil.example"), ("sid", &session_id)])),
        ("iss with a slash more", query(&[("iss", &format!("{issuer}/")), ("sid", &session_id)])),
        ("another sid", query(&[("iss", &issuer), ("sid", "another")])),
        ("an empty sid", query(&[("iss", &issuer), ("sid", "")])),
        ("sid in another case", query(&[("iss", &issuer), ("sid", &session_id.to_uppercase())])),
        ("sid twice", query(&[("iss", &issuer), ("sid", &session_id), ("sid", &session_id)])),
        ("iss twice", query(&[("iss", &issuer), ("iss", &issuer), ("sid", &session_id)])),
    ] {
        let answer = browser.get(&url(&query)).await;
        assert!(!answer.headers().contains_key("set-cookie"), "{name}");
        let mut headers = answer.headers().clone();
        headers.remove("date");
        answers.push((answer.status(), headers, answer.into_body()));
        assert_eq!(told.stage.app.says(&mut browser, "/").await, alice().2, "{name}");
    }
    for (name, method, mark, status) in [
        ("a form", "POST", "x-none", 405),
        ("HEAD", "HEAD", "x-none", 405),
        ("ahead of a click", "GET", "sec-purpose", 503),
    ] {
        let request = http::Request::builder().method(method).uri(url(&both)).header(mark, "prefetch");
        assert_eq!(browser.send(request.body(Bytes::new()).unwrap()).await.status(), status, "{name}");
        assert_eq!(told.stage.app.says(&mut browser, "/").await, alice().2, "{name}");
    }
    // Who has no session learns nothing of who has.
    let stranger = Browser::new().get(&url(&both)).await;
    let mut headers = stranger.headers().clone();
    headers.remove("date");
    answers.push((stranger.status(), headers, stranger.into_body()));
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, 200);

    assert_eq!(browser.get(&url(&both)).await.status(), 200);
    assert_eq!(told.stage.app.says(&mut browser, "/").await, "nobody", "both");
    told.browser = browser;
    assert!(told.browser.jar.is_empty(), "{:?}", told.browser.jar);

    // Where it was not turned on there is nothing.
    let mut told = Told::start().await;
    let url = told.stage.app.url(&format!("/auth/frontchannel-logout?{}", query(&[("iss", &issuer)])));
    assert_eq!(told.browser.get(&url).await.status(), 404);
}
