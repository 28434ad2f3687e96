//! The way of a person, and which requests it takes.

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use serde_json::json;
use tower_signin::ClientAuthentication;

use super::{ID, SECRET, outcome, provider, provider_at, refused, server, sign_in, signed_in};
use crate::app::App;
use crate::server::{Server, form};
use crate::support::{Browser, code, location};

#[tokio::test]
async fn a_person_signs_in_by_each_client_authentication() {
    for (id, secret) in [(ID, SECRET), ("a:b c%+", "p:w +%&=ä€\"")] {
        for (method, authentication, secret) in [
            ("basic", ClientAuthentication::Basic, secret),
            ("post", ClientAuthentication::Post, secret),
            ("none", ClientAuthentication::None, ""),
        ] {
            let server = Server::start(method, id, secret).await;
            server.add("ada", json!({ "id": 1 }));
            let app = App::start(provider(&server, id, secret).client_authentication(authentication)).await;
            assert_eq!(outcome(&app, &server, "ada").await, signed_in("1"), "{method} {id}");
        }
    }
}

#[tokio::test]
async fn another_secret_or_method_is_refused() {
    let server = server().await;
    for (name, provider) in [
        ("secret", provider(&server, ID, "another")),
        ("method", provider_at(&server).client_authentication(ClientAuthentication::Post)),
    ] {
        let app = App::start(provider).await;
        assert_eq!(outcome(&app, &server, "ada").await, refused(502, "credentials_rejected"), "{name}");
    }
    assert_eq!(server.asked(), ["/token", "/token"], "nobody was asked after");
}

#[tokio::test]
async fn two_requests_are_sent_and_the_token_is_in_a_header_alone() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    let mut browser = Browser::new();
    let answer = sign_in(&app, &server, &mut browser, "ada").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"));

    let requests = server.requests();
    assert_eq!(server.asked(), ["/token", "/me"]);
    let sent = form(&requests[0]);
    assert_eq!((&sent["grant_type"][..], &sent["code"][..]), ("authorization_code", "code/1+"));
    assert_eq!(sent["redirect_uri"], app.url("/auth/callback"));
    assert_eq!(sent.len(), 4, "{sent:?}");
    assert_eq!(requests[0].headers()[ACCEPT], "application/json");

    let headers = requests[1].headers();
    assert_eq!((requests[1].uri().to_string().as_str(), requests[1].body().len()), ("/me", 0));
    assert_eq!(headers[AUTHORIZATION], "Bearer at-2");
    assert_eq!(headers[ACCEPT], "application/json");
    assert!(headers[USER_AGENT].to_str().unwrap().starts_with("tower-signin/"));
}

#[tokio::test]
async fn a_code_and_its_verifier_belong_together() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    let (mut victim, mut attacker) = (Browser::new(), Browser::new());
    let own = victim.start(&app.origin, "/").await;
    let other = attacker.start(&app.origin, "/").await;
    let stolen = server.approve(&own, "ada");
    let stolen =
        url::Url::parse(&stolen).unwrap().query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let mut callback = url::Url::parse(&server.approve(&other, "ada")).unwrap();
    let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    callback.query_pairs_mut().clear().append_pair("code", &stolen).append_pair("state", &state);
    let answer = attacker.get(callback.as_str()).await;
    assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (502, "exchange_rejected"));
    assert_eq!(app.says(&mut attacker, "/").await, "nobody");
}

#[tokio::test]
async fn an_answer_that_names_another_issuer_goes_nowhere() {
    let server = server().await;
    let app = App::start(provider_at(&server)).await;
    for (issuer, is_signed_in) in [(server.origin.as_str(), true), ("https://evil.example", false)] {
        server.forget();
        let mut browser = Browser::new();
        let authorization_url = browser.start(&app.origin, "/").await;
        let callback = format!("{}&iss={issuer}", server.approve(&authorization_url, "ada"));
        let answer = browser.get(&callback).await;
        assert_eq!(answer.status() == 303, is_signed_in, "{issuer}");
        assert_eq!(server.asked().is_empty(), !is_signed_in, "{issuer}");
    }
}
