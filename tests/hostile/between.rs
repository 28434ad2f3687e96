//! An app whose people come from the OpenID provider on loopback, and somebody between the two who alters its answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_signin::dev::openid::{Account, OpenIdProvider};
use tower_signin::oidc::SigningAlgorithm;
use tower_signin::{BoxFuture, Builder, Clock as _, HttpClient, HttpError, HttpErrorKind, Oidc};

use crate::openid_app::App;
use crate::support::{self, Browser, code, location};

pub(crate) struct Between {
    pub(crate) openid: Arc<OpenIdProvider>,
    pub(crate) app: App,
    middleman: Middleman,
}

impl Between {
    /// One that alters nothing but who signs: ID tokens are signed anew with this key, which takes the place of the provider's.
    pub(crate) async fn signing(openid: &Arc<OpenIdProvider>, key: &Arc<Key>) -> Self {
        let between =
            Self::of(openid, |oidc| oidc.signing_algorithms([SigningAlgorithm::Es256]), |builder| builder).await;
        between.publish(std::slice::from_ref(&key.jwk));
        let key = Arc::clone(key);
        between.forge(move |claims| key.token(&key.header(), claims));
        between
    }

    /// One that alters nothing. The app is new, and knows nothing of the provider yet.
    pub(crate) async fn of(
        openid: &Arc<OpenIdProvider>,
        configure: impl FnOnce(Oidc) -> Oidc,
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let middleman = Middleman::default();
        let client = middleman.clone();
        let app = App::start_with(configure(openid.oidc()), |builder| build(builder.http_client(client))).await;
        let clock = Arc::clone(&app.clock);
        openid.set_clock(Arc::new(move || clock.now()));
        openid.clear_requests();
        Self { openid: Arc::clone(openid), app, middleman }
    }

    /// Alters the JSON that this path answers with success.
    pub(crate) fn alter(&self, path: &'static str, alter: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.middleman.0.lock().unwrap().insert(path, Arc::new(alter));
    }

    /// These keys are the provider's.
    pub(crate) fn publish(&self, keys: &[Value]) {
        let set = json!({ "keys": keys });
        self.alter(KEYS, move |answer| *answer = set.clone());
    }

    /// Each ID token becomes what is made of its claims.
    pub(crate) fn forge(&self, forge: impl Fn(&Value) -> String + Send + Sync + 'static) {
        self.alter(TOKEN, move |answer| {
            answer["id_token"] = json!(forge(&claims_in(answer)));
        });
    }

    pub(crate) async fn sign_in(&self, browser: &mut Browser, account: &Account) -> Response<Bytes> {
        let answer = browser.get(&self.app.url("/auth/login")).await;
        let callback = self.openid.approve(&location(&answer), account).unwrap();
        browser.get(&callback).await
    }

    /// Alice signs in, and the token is used.
    pub(crate) async fn assert_taken(&self, name: &str) {
        assert_eq!(self.outcome().await, (303, String::new(), Account::alice().subject, 1), "{name}");
    }

    /// The ID token makes nobody of anybody, and nothing is done with what came beside it.
    pub(crate) async fn assert_rejected(&self, name: &str) {
        let rejected = (502, "id_token_rejected".to_owned(), "nobody".to_owned(), 0);
        assert_eq!(self.outcome().await, rejected, "{name}");
    }

    /// What becomes of a sign-in of alice: status, code of the error, who is there then, and how often UserInfo was asked.
    pub(crate) async fn outcome(&self) -> (u16, String, String, usize) {
        let mut browser = Browser::new();
        self.openid.clear_requests();
        let answer = self.sign_in(&mut browser, &Account::alice()).await;
        let who = self.app.says(&mut browser, "/").await;
        let asked = self.openid.requests();
        assert!(
            !asked.iter().any(|request| request.path.starts_with("/foreign")),
            "a key of the token's own was fetched"
        );
        let user_info = asked.iter().filter(|request| request.path == USER_INFO).count();
        (answer.status().as_u16(), code(&answer), who, user_info)
    }
}

pub(crate) const KEYS: &str = "/jwks";
pub(crate) const TOKEN: &str = "/token";
pub(crate) const USER_INFO: &str = "/userinfo";

type Alter = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// Passes requests on over sockets, and alters answers by path.
#[derive(Clone, Default)]
struct Middleman(Arc<Mutex<HashMap<&'static str, Alter>>>);

impl HttpClient for Middleman {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let alter = self.0.lock().unwrap().get(request.uri().path()).cloned();
        Box::pin(async move {
            let answer = support::send(request).await.map_err(|_| HttpError::new(HttpErrorKind::Interrupted))?;
            Ok(match alter {
                Some(alter) if answer.status().is_success() => answer.map(|body| {
                    let mut json = serde_json::from_slice(&body).unwrap();
                    alter(&mut json);
                    Bytes::from(json.to_string())
                }),
                _ => answer,
            })
        })
    }
}

/// A pair of keys for ES256, and the key id.
pub(crate) struct Key {
    pub(crate) jwk: Value,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(id: &str) -> Arc<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": encoded(x), "y": encoded(y) });
        Arc::new(Self { jwk, pair })
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "ES256", "kid": self.jwk["kid"] })
    }

    /// Signed well, whatever the header says.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = self.sign(&message);
        format!("{message}.{signature}")
    }

    pub(crate) fn sign(&self, message: &str) -> String {
        encoded(self.pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap())
    }
}

/// The claims of the ID token in an answer.
pub(crate) fn claims_in(answer: &Value) -> Value {
    let claims = answer["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Header and claims, as they are signed.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()))
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An object with these members set, or removed by a null.
pub(crate) fn with(object: &Value, members: &[(&str, Value)]) -> Value {
    let mut object = object.clone();
    for (name, value) in members {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(*name)),
            value => object[*name] = value.clone(),
        }
    }
    object
}
