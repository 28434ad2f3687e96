//! The way of a person, and which requests it takes.

use std::collections::HashMap;
use std::time::Duration;

use http::header::AUTHORIZATION;
use serde_json::json;
use tower_signin::dev::openid::{Account, CLIENT_ID, CLIENT_SECRET};
use tower_signin::{ClientAuthentication, Oidc};
use url::{Url, form_urlencoded};

use super::{KEYS, METADATA, Stage, TOKEN, USER_INFO, alice, refused};
use crate::app::App;
use crate::support::Browser;

#[tokio::test]
async fn four_requests_are_sent_and_the_second_time_two() {
    let stage = Stage::start().await;
    assert_eq!(stage.outcome().await, alice());
    assert_eq!(stage.asked(), [METADATA, KEYS, TOKEN, USER_INFO], "the code is sent once its answer can be judged");

    let requests = stage.openid.requests();
    let sent: HashMap<String, String> = form_urlencoded::parse(&requests[2].body).into_owned().collect();
    assert_eq!(sent["redirect_uri"], stage.app.url("/auth/callback"));
    assert!(!sent.contains_key("client_secret") && requests[2].headers.contains_key(AUTHORIZATION), "Basic by default");
    for request in &requests {
        assert_eq!(request.query, None, "{}", request.path);
    }

    stage.openid.clear_requests();
    assert_eq!(stage.outcome().await, alice());
    assert_eq!(stage.asked(), [TOKEN, USER_INFO]);
}

#[tokio::test]
async fn each_client_authentication_works_and_another_secret_does_not() {
    for (name, secret, registered, authentication) in [
        ("basic", "a:b c%+ä", Some("a:b c%+ä"), ClientAuthentication::Basic),
        ("post", "a:b c%+ä", Some("a:b c%+ä"), ClientAuthentication::Post),
        ("none", "", None, ClientAuthentication::None),
    ] {
        let stage = Stage::start().await;
        stage.openid.add_client("client:1 +", registered);
        let app_of = |secret: &str| {
            let oidc = Oidc::discover(stage.openid.issuer(), "client:1 +", secret);
            App::start(oidc.client_authentication(authentication.clone()))
        };
        let stage = Stage { app: app_of(secret).await, ..stage };
        assert_eq!(stage.outcome().await, alice(), "{name}");
    }
    let stage = Stage::start().await;
    let app = App::start(Oidc::discover(stage.openid.issuer(), CLIENT_ID, "another")).await;
    let stage = Stage { app, ..stage };
    assert_eq!(stage.outcome().await, refused(502, "credentials_rejected"));
}

/// The query of the authorization URL.
async fn asked_for(stage: &Stage, path: &str) -> HashMap<String, String> {
    let answer = Browser::new().get(&stage.app.url(path)).await;
    let url = Url::parse(&crate::support::location(&answer)).unwrap();
    assert_eq!(url.path(), "/authorize");
    let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(query.len(), url.query_pairs().count(), "a parameter twice: {url}");
    query
}

#[tokio::test]
async fn what_the_browser_asks_for() {
    let stage = Stage::start().await;
    let query = asked_for(&stage, "/auth/login").await;
    let mut names: Vec<_> = query.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "nonce",
            "redirect_uri",
            "response_type",
            "scope",
            "state"
        ]
    );
    assert_eq!((query["scope"].as_str(), query["response_type"].as_str()), ("openid", "code"));
    assert_eq!((query["code_challenge_method"].as_str(), query["nonce"].len()), ("S256", 43));
    let another = asked_for(&stage, "/auth/login").await;
    for fresh in ["state", "nonce", "code_challenge"] {
        assert_ne!(query[fresh], another[fresh], "{fresh}");
    }

    let stage = Stage::with(|oidc| {
        oidc.scope("email")
            .scope("openid")
            .scope("profile")
            .max_age(Duration::from_secs(60))
            .require_acr(["gold", "silver"])
            .prompt("login")
            .extra_parameter("hd", "example.com")
    })
    .await;
    let query = asked_for(&stage, "/auth/login?prompt=select_account").await;
    for (name, value) in [
        ("scope", "openid email profile"),
        ("max_age", "60"),
        ("acr_values", "gold silver"),
        ("prompt", "login select_account"),
        ("hd", "example.com"),
    ] {
        assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[tokio::test]
async fn what_is_claimed_of_a_person() {
    let scopes = |oidc: Oidc| oidc.scope("email").scope("profile");
    for (name, stage, expected) in [
        (
            "all",
            Stage::with(scopes).await,
            json!({"name": "Alice Example", "email": "alice@example.com", "email_verified": true}),
        ),
        (
            "picked",
            Stage::with(|oidc| scopes(oidc).claims(["email"])).await,
            json!({"email": "alice@example.com", "email_verified": true}),
        ),
        ("none", Stage::with(|oidc| scopes(oidc).claims([""; 0])).await, json!({})),
    ] {
        let mut browser = Browser::new();
        assert_eq!(stage.sign_in(&mut browser).await.status(), 303, "{name}");
        let claims: serde_json::Value = serde_json::from_str(&stage.app.says(&mut browser, "/claims").await).unwrap();
        for member in ["iss", "aud", "azp", "exp", "iat", "nonce", "at_hash", "sid"] {
            assert!(claims.get(member).is_none(), "{name}: {member}");
        }
        let of_person: serde_json::Map<_, _> = claims
            .as_object()
            .unwrap()
            .iter()
            .filter(|(member, _)| !matches!(member.as_str(), "sub" | "auth_time" | "acr"))
            .map(|(member, value)| (member.clone(), value.clone()))
            .collect();
        assert_eq!(serde_json::Value::Object(of_person), expected, "{name}");
    }
}

#[tokio::test]
async fn two_people_are_two_people() {
    let stage = Stage::start().await;
    for account in [Account::alice(), Account::bob()] {
        let mut browser = Browser::new();
        let authorization_url = browser.start(&stage.app.origin, "/").await;
        let callback = stage.openid.approve(&authorization_url, &account).unwrap();
        assert_eq!(browser.get(&callback).await.status(), 303);
        assert_eq!(stage.app.says(&mut browser, "/").await, account.subject);
    }
    let mut browser = Browser::new();
    let authorization_url = browser.start(&stage.app.origin, "/").await;
    let callback = stage.openid.deny(&authorization_url).unwrap();
    let answer = browser.get(&callback).await;
    assert_eq!((answer.status().as_u16(), crate::support::code(&answer).as_str()), (403, "access_denied"));
}

#[tokio::test]
async fn a_check_tells_what_is_wrong() {
    use tower_signin::dev::openid::Misbehaviour as M;
    type Configure = fn(Oidc) -> Oidc;
    let cases: [(&str, Option<M>, Configure, &[(&str, &str)]); 7] = [
        ("all well", None, |oidc| oidc, &[]),
        ("another issuer", Some(M::MetadataInvalidIssuer), |oidc| oidc, &[("metadata", "failed")]),
        ("down", Some(M::DiscoveryDown), |oidc| oidc, &[("connection", "failed"), ("metadata", "failed")]),
        ("keys down", Some(M::KeysServerError), |oidc| oidc, &[("signing_keys", "failed")]),
        ("no keys", Some(M::KeysEmpty), |oidc| oidc, &[("signing_keys", "failed")]),
        ("plain alone", Some(M::MetadataPlainChallenges), |oidc| oidc, &[("pkce", "warning")]),
        (
            "another algorithm",
            None,
            |oidc| oidc.signing_algorithms([tower_signin::oidc::SigningAlgorithm::Hs256]),
            &[("algorithms", "warning")],
        ),
    ];
    for (name, misbehaviour, configure, expected) in cases {
        let openid = tower_signin::dev::openid::OpenIdProvider::start().await.unwrap();
        openid.set_misbehaviour(misbehaviour);
        let sign_in =
            tower_signin::SignIn::builder(configure(Oidc::discover(openid.issuer(), CLIENT_ID, CLIENT_SECRET)))
                .redirect_uri("http://localhost:3000/auth/callback")
                .keys(tower_signin::Keys::generate().unwrap())
                .build()
                .unwrap();
        let report = sign_in.check().await;
        let found: Vec<_> = report
            .findings()
            .iter()
            .map(|finding| (finding.name(), finding.verdict().as_str()))
            .filter(|(_, verdict)| matches!(*verdict, "failed" | "warning"))
            .collect();
        assert_eq!(found, expected, "{name}:\n{report}");
        assert!(!report.to_string().contains(CLIENT_SECRET));
        let asks_for_keys = openid.requests().iter().any(|request| request.path == KEYS);
        let needs_none = name == "another algorithm" || misbehaviour == Some(M::DiscoveryDown);
        assert!(!needs_none || !asks_for_keys, "{name}: HS256 is by the client secret");
    }
}
