//! PyPI's `oidc-provider-mock`.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tower_signin::{Builder, ClientAuthentication, Oidc};

use crate::provider::Mock;
use crate::site::{FRAMEWORKS, Site, listener, origin};
use crate::support::{Browser, code, location, send, text};

/// The provider with carol, and an app of it in each framework that has registered itself.
struct Stage {
    mock: Mock,
    sites: Vec<Site>,
}

impl Stage {
    async fn start(method: &str, authentication: ClientAuthentication, build: fn(Builder) -> Builder) -> Self {
        let carol = json!({
            "sub": "carol",
            "email": "carol@example.com",
            "email_verified": true,
            "name": "Carol Example",
            "phone_number": "+1 555 0100",
        });
        let mock = Mock::start(&carol).await;
        let mut sites = Vec::new();
        for framework in FRAMEWORKS {
            let listener = listener().await;
            let (id, secret) = register(&mock, &origin(&listener), method).await;
            let oidc = Oidc::discover(mock.issuer(), id, secret).client_authentication(authentication.clone());
            sites.push(Site::start_on(listener, framework, oidc.scope("email").scope("profile"), build));
        }
        Self { mock, sites }
    }
}

#[tokio::test]
#[ignore = "needs python"]
async fn a_person_signs_in_and_what_was_asked_for_is_known() {
    for (method, authentication) in
        [("client_secret_basic", ClientAuthentication::Basic), ("client_secret_post", ClientAuthentication::Post)]
    {
        let stage = Stage::start(method, authentication, |builder| builder).await;
        for site in &stage.sites {
            let mut browser = Browser::new();
            let (status, code) = signs_in(&mut browser, site, "sub=carol").await;
            assert_eq!((status, code.as_str()), (303, ""), "{method}, {:?}", site.framework);
            let who = site.who(&mut browser).await;
            assert_eq!(who["issuer"], stage.mock.issuer(), "{method}");
            assert_eq!(who["subject"], "carol", "{method}");
            let expected = [("email", json!("carol@example.com")), ("email_verified", json!(true))];
            for (claim, value) in expected.into_iter().chain([("name", json!("Carol Example"))]) {
                assert_eq!(who["claims"][claim], value, "{method}: {claim}");
            }
            assert_eq!(who["claims"]["phone_number"], Value::Null, "{method}: what was not asked for");
        }
    }
}

/// This one gives a refresh token once, and no ID token with it.
#[tokio::test]
#[ignore = "needs python"]
async fn tokens_are_refreshed_with_the_refresh_token_there_was() {
    let stage = Stage::start("client_secret_basic", ClientAuthentication::Basic, Builder::keep_tokens).await;
    for site in &stage.sites {
        let mut browser = Browser::new();
        assert_eq!(signs_in(&mut browser, site, "sub=carol").await.0, 303, "{:?}", site.framework);
        let mut before = site.who(&mut browser).await;
        for number in 1..=3 {
            site.clock.advance(3600 - 30);
            let who = site.who(&mut browser).await;
            assert_eq!(who["subject"], "carol", "{:?}, {number}", site.framework);
            assert_ne!(who["access_token"], before["access_token"], "{:?}, {number}", site.framework);
            assert_eq!(who["refresh_token"], before["refresh_token"], "{:?}, {number}", site.framework);
            before = who;
        }
        let url = format!("{}/users/carol/revoke-tokens", stage.mock.issuer());
        assert_eq!(send(Request::post(url).body(Bytes::new()).unwrap()).await.unwrap().status(), 204);
        site.clock.advance(3600 - 30);
        assert_eq!(site.who(&mut browser).await, Value::Null, "{:?}: what the provider took back", site.framework);
    }
}

/// This provider leaves out our state then, against RFC 6749 section 4.1.2.1, so whose answer it is can't be told.
#[tokio::test]
#[ignore = "needs python"]
async fn who_denies_is_not_signed_in_and_may_think_again() {
    let stage = Stage::start("client_secret_basic", ClientAuthentication::Basic, |builder| builder).await;
    for site in &stage.sites {
        let mut browser = Browser::new();
        let found = signs_in(&mut browser, site, "action=deny").await;
        assert_eq!(found, (400, "callback_malformed".to_owned()), "{:?}", site.framework);
        assert_eq!(site.who(&mut browser).await, Value::Null, "{:?}", site.framework);
        assert_eq!(signs_in(&mut browser, site, "sub=carol").await.0, 303, "{:?}", site.framework);
        assert_eq!(site.who(&mut browser).await["subject"], "carol", "{:?}", site.framework);
    }
}

#[tokio::test]
#[ignore = "needs python"]
async fn who_signs_out_comes_back_over_the_provider() {
    let stage = Stage::start("client_secret_basic", ClientAuthentication::Basic, |builder| builder).await;
    for site in &stage.sites {
        let mut browser = Browser::new();
        assert_eq!(signs_in(&mut browser, site, "sub=carol").await.0, 303, "{:?}", site.framework);
        let answer = browser.post(&site.url("/auth/logout?return_to=/deep"), "").await;
        let answer = browser.get(&location(&answer)).await;
        let page = text(&answer);
        let target = page.split("name=\"redirect_uri\" value=\"").nth(1).expect(page).split('"').next().unwrap();
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("redirect_uri", target).finish();
        let answer = browser.post(&format!("{}/oauth2/end_session/confirm", stage.mock.issuer()), &form).await;
        let answer = browser.get(&location(&answer)).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/deep"), "{:?}", site.framework);
        assert_eq!(site.who(&mut browser).await, Value::Null, "{:?}", site.framework);
    }
}

/// The whole way, with this said at the provider's page: the status of the answer to the callback, and its error if any.
async fn signs_in(browser: &mut Browser, site: &Site, form: &str) -> (u16, String) {
    let authorization_url = browser.start(&site.origin, "/").await;
    assert_eq!(browser.get(&authorization_url).await.status(), 200);
    let answer = browser.post(&authorization_url, form).await;
    let answer = browser.get(&location(&answer)).await;
    (answer.status().as_u16(), code(&answer))
}

/// The client id and secret of an app that registers itself.
async fn register(mock: &Mock, site: &str, method: &str) -> (String, String) {
    let client = json!({ "redirect_uris": [format!("{site}/auth/callback")], "token_endpoint_auth_method": method });
    let request = Request::post(format!("{}/oauth2/clients", mock.issuer())).header(CONTENT_TYPE, "application/json");
    let answer = send(request.body(Bytes::from(client.to_string())).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 201, "{}", text(&answer));
    let client: Value = serde_json::from_slice(answer.body()).unwrap();
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    (text("client_id"), text("client_secret"))
}
