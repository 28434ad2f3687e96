//! npm's `oidc-provider`: who comes, what is known of them, and how they leave.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use serde_json::{Value, json};
use tower_signin::{Builder, ClientAuthentication, Oidc};

use crate::person::{Does, answers, leaves, signs_in};
use crate::provider::{Certified, Socket};
use crate::site::{FRAMEWORKS, Site};
use crate::support::{Browser, code, location, send};

const ALICE: Does = Does::Agrees("alice");
/// Access tokens last for ten minutes there; refreshed is a minute before.
pub(crate) const ABOUT_TO_END: u64 = 600 - 30;

/// The provider, and an app of it in each framework.
pub(crate) struct Stage {
    pub(crate) openid: Certified,
    pub(crate) sites: Vec<Site>,
}

impl Stage {
    pub(crate) async fn start(configure: fn(Oidc) -> Oidc, build: fn(Builder) -> Builder) -> Self {
        Self::of(|issuer| configure(Oidc::discover(issuer, "plain", "s3cr3t-demo")), build).await
    }

    async fn of(oidc: impl Fn(&str) -> Oidc, build: fn(Builder) -> Builder) -> Self {
        let socket = Socket::bind();
        let mut sites = Vec::new();
        for framework in FRAMEWORKS {
            sites.push(Site::start(framework, oidc(&socket.issuer), build).await);
        }
        let origins: Vec<_> = sites.iter().map(|site| site.origin.as_str()).collect();
        Self { openid: Certified::start(socket, &origins).await, sites }
    }

    /// Apps that keep tokens. This provider gives a refresh token only to whom it has asked for consent (Core section 11).
    pub(crate) async fn that_keeps_tokens() -> Self {
        Self::start(|oidc| oidc.scope("offline_access").prompt("consent"), Builder::keep_tokens).await
    }
}

#[track_caller]
pub(crate) fn assert_signed_in(site: &Site, answer: &Response<Bytes>) {
    assert_eq!((answer.status().as_u16(), code(answer).as_str()), (303, ""), "{:?}", site.framework);
}

#[tokio::test]
#[ignore = "needs node"]
async fn each_client_signs_in_through_each_framework() {
    use ClientAuthentication::{Basic, None, Post};
    const ODD: &str = "p:q r%+&=/~\"";
    for (name, secret, authentication) in
        [("plain", "s3cr3t-demo", Basic), ("a:b c%+&=/", ODD, Basic), ("post", ODD, Post), ("public", "", None)]
    {
        let oidc = |issuer: &str| {
            let oidc = Oidc::discover(issuer, name, secret).client_authentication(authentication.clone());
            oidc.scope("email").scope("profile")
        };
        let stage = Stage::of(oidc, |builder| builder).await;
        for site in &stage.sites {
            for (person, is_verified) in [("alice", true), ("bob", false)] {
                let mut browser = Browser::new();
                let (answer, _) = signs_in(&mut browser, &site.origin, Does::Agrees(person)).await;
                assert_signed_in(site, &answer);
                let who = site.who(&mut browser).await;
                assert_eq!(who["issuer"], stage.openid.issuer(), "{name}");
                assert_eq!(who["subject"], person, "{name}");
                assert_eq!(who["claims"]["email"], format!("{person}@example.com"), "{name}");
                assert_eq!(who["claims"]["email_verified"], is_verified, "{name}");
                assert!(who["claims"]["name"].as_str().unwrap().ends_with(" Example"), "{name}: {who}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs node"]
async fn a_wrong_secret_is_told_from_everything_else() {
    let oidc = |issuer: &str| Oidc::discover(issuer, "a:b c%+&=/", "another");
    let stage = Stage::of(oidc, |builder| builder).await;
    let site = &stage.sites[0];
    let mut browser = Browser::new();
    let (answer, _) = signs_in(&mut browser, &site.origin, ALICE).await;
    assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (502, "credentials_rejected"));
    assert_eq!(site.who(&mut browser).await, Value::Null);
}

#[tokio::test]
#[ignore = "needs node"]
async fn tokens_are_refreshed_and_each_refresh_token_works_once() {
    let stage = Stage::that_keeps_tokens().await;
    for site in &stage.sites {
        let mut browser = Browser::new();
        let (answer, _) = signs_in(&mut browser, &site.origin, ALICE).await;
        assert_signed_in(site, &answer);
        let mut seen = vec![site.who(&mut browser).await];
        for _ in 0..3 {
            site.clock.advance(ABOUT_TO_END);
            let who = site.who(&mut browser).await;
            assert_eq!(who["subject"], "alice", "{:?}", site.framework);
            for token in ["access_token", "refresh_token"] {
                let value = who[token].as_str().expect(token);
                assert!(seen.iter().all(|before| before[token] != value), "{:?}: a new {token}", site.framework);
            }
            assert_eq!(site.who(&mut browser).await, who, "{:?}: not again at once", site.framework);
            seen.push(who);
        }

        // Somebody else has one of the old ones: the provider takes back all of them.
        assert_eq!(refreshed_by_another(stage.openid.issuer(), &seen[1]).await, "invalid_grant");
        site.clock.advance(ABOUT_TO_END);
        assert_eq!(site.who(&mut browser).await, Value::Null, "{:?}", site.framework);
    }
}

async fn refreshed_by_another(issuer: &str, who: &Value) -> String {
    let credentials = base64::engine::general_purpose::STANDARD.encode("plain:s3cr3t-demo");
    let request = Request::post(format!("{issuer}/token"))
        .header(AUTHORIZATION, format!("Basic {credentials}"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Bytes::from(format!(
            "grant_type=refresh_token&refresh_token={}",
            who["refresh_token"].as_str().unwrap()
        )));
    let answer = send(request.unwrap()).await.unwrap();
    let answer: Value = serde_json::from_slice(answer.body()).unwrap();
    answer["error"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
#[ignore = "needs node"]
async fn who_signs_out_comes_back_over_the_provider() {
    for (keeps_tokens, stage) in
        [(true, Stage::that_keeps_tokens().await), (false, Stage::start(|oidc| oidc, |builder| builder).await)]
    {
        for (site, leaves_provider) in stage.sites.iter().zip([true, false, true]) {
            let name = format!("{:?}, tokens: {keeps_tokens}", site.framework);
            let mut browser = Browser::new();
            let (answer, _) = signs_in(&mut browser, &site.origin, ALICE).await;
            assert_signed_in(site, &answer);
            let tokens = site.who(&mut browser).await;

            let answer = browser.post(&site.url("/auth/logout?return_to=/deep?x=1"), "").await;
            assert_eq!(answer.status(), 303, "{name}");
            let way_out = location(&answer);
            assert_eq!(way_out.contains("id_token_hint="), keeps_tokens, "{name}");
            assert_eq!(site.who(&mut browser).await, Value::Null, "{name}: over before the provider is asked");
            if keeps_tokens {
                revoked(stage.openid.issuer(), &tokens).await;
            }
            let way_back = leaves(&mut browser, &way_out, leaves_provider).await;
            assert!(way_back.starts_with(&site.url("/auth/logout?state=")), "{name}: {way_back}");
            let answer = browser.get(&way_back).await;
            assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/deep?x=1"), "{name}");
            assert_eq!(site.who(&mut browser).await, Value::Null, "{name}");

            let (answer, was_asked_who) = signs_in(&mut browser, &site.origin, ALICE).await;
            assert_signed_in(site, &answer);
            assert_eq!(
                was_asked_who, leaves_provider,
                "{name}: who has left the provider has to say again who they are"
            );
        }
    }
}

/// Waits until the provider takes the access token no more, which the app sees to while the person goes on.
async fn revoked(issuer: &str, who: &Value) {
    let is_revoked = async || {
        let authorization = format!("Bearer {}", who["access_token"].as_str().unwrap());
        let request = Request::get(format!("{issuer}/me")).header(AUTHORIZATION, authorization);
        send(request.body(Bytes::new()).unwrap()).await.unwrap().status() == 401
    };
    let waiting = async { while !is_revoked().await {} };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the access token is revoked");
}

#[tokio::test]
#[ignore = "needs node"]
async fn who_does_not_agree_is_not_signed_in_and_may_think_again() {
    let stage = Stage::start(|oidc| oidc, |builder| builder).await;
    for site in &stage.sites {
        let mut browser = Browser::new();
        let (answer, _) = signs_in(&mut browser, &site.origin, Does::Cancels("alice")).await;
        let found = (answer.status().as_u16(), code(&answer));
        assert_eq!(found, (403, "access_denied".to_owned()), "{:?}", site.framework);
        assert_eq!(site.who(&mut browser).await, Value::Null, "{:?}", site.framework);
        let (answer, _) = signs_in(&mut browser, &site.origin, ALICE).await;
        assert_signed_in(site, &answer);
    }
}

#[tokio::test]
#[ignore = "needs node"]
async fn who_takes_too_long_begins_again_and_need_not_say_who_they_are() {
    let stage = Stage::start(|oidc| oidc, |builder| builder).await;
    for site in &stage.sites {
        let mut browser = Browser::new();
        let authorization_url = browser.start(&site.origin, "/").await;
        let answered = answers(&mut browser, &authorization_url, ALICE).await;
        site.clock.advance(601);
        let answer = browser.get(&answered.callback).await;
        let found = (answer.status().as_u16(), code(&answer));
        assert_eq!(found, (400, "flow_expired".to_owned()), "{:?}", site.framework);
        assert_eq!(site.who(&mut browser).await, Value::Null, "{:?}", site.framework);
        let (answer, was_asked_who) = signs_in(&mut browser, &site.origin, ALICE).await;
        assert_signed_in(site, &answer);
        assert!(!was_asked_who, "{:?}", site.framework);
    }
}

/// An answer of the provider from which its name was cut, and one under another name.
#[tokio::test]
#[ignore = "needs node"]
async fn an_answer_without_the_name_that_was_announced_is_refused() {
    let stage = Stage::start(|oidc| oidc, |builder| builder).await;
    let site = &stage.sites[0];
    for (name, other) in [("none", None), ("another", Some("https://other.example"))] {
        let mut browser = Browser::new();
        let authorization_url = browser.start(&site.origin, "/").await;
        let answered = answers(&mut browser, &authorization_url, ALICE).await;
        let mut url = url::Url::parse(&answered.callback).unwrap();
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        assert!(pairs.contains(&("iss".to_owned(), stage.openid.issuer().to_owned())), "{url}");
        let others = pairs.iter().filter(|(parameter, _)| parameter != "iss");
        url.query_pairs_mut().clear().extend_pairs(others).extend_pairs(other.map(|issuer| ("iss", issuer)));
        let answer = browser.get(url.as_str()).await;
        assert_eq!(code(&answer), "issuer_mismatch", "{name}");
        assert_eq!(site.who(&mut browser).await, json!(null), "{name}");
    }
}
