//! Signing in and out from elsewhere: by the provider's wish, and over the provider.

use std::sync::Arc;

use tower_signin::dev::openid::{CLIENT_ID, Misbehaviour as M};
use tower_signin::{Oidc, Provider};
use url::Url;

use crate::app::App;
use crate::refresh::signed_in;
use crate::rows::Level::{Must, Should};
use crate::rows::Verdict::{Held, Later};
use crate::rows::{Row, row};
use crate::stage::{METADATA, Stage, alice};
use crate::support::{Browser, location};

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
        Later("back-channel logout is not built: no logout token is read"),
    ),
    row(
        "C61",
        Must,
        "clear a session in a frame only where issuer and session id match",
        Later("front-channel logout is not built: signing out is a POST of this site"),
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
