//! huskarl-axum and huskarl-login with sealed cookies.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use axum::Router;
use axum::routing::{MethodRouter, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use huskarl::core::client_auth::NoAuth;
use huskarl::core::crypto::seal::AeadV1Sealer;
use huskarl::core::jwk::{JwksSource, OctBytes};
use huskarl::core::secrets::{ProvidedSecret, Secret as _, SecretBytes};
use huskarl::core::server_metadata::AuthorizationServerMetadata;
use huskarl::grant::authorization_code::AuthorizationCodeGrant;
use huskarl_axum::login::{
    CompletedLogin, CookieSession, CookieSessionStore, LoginConfig, LoginLayer, LoginSession, LogoutConfig, Session,
    SessionLifetime, SessionState,
};
use huskarl_crypto_native::aead::AesGcmKey;
use huskarl_login::CookiePayload;
use huskarl_reqwest::ReqwestClient;
use huskarl_reqwest::mtls::NoMtls;
use serde::{Deserialize, Serialize};

use super::provider::{CLIENT_ID, KEY, Provider};
use crate::{ISSUER, Peer, page};

/// As the login tutorial sets it up, with the default session: it holds the subject and the times, neither the issuer nor
/// any claims.
pub(super) async fn peer() -> Peer {
    let store = |sealer, _| {
        CookieSessionStore::<CookieSession>::builder().sealer(sealer).cookie_name("session".parse().unwrap()).build()
    };
    set_up(get(subject), store).await
}

/// With a session of the application's own, as the guide to them builds it, that holds what ours holds: the issuer, the
/// subject and some 150 bytes of claims.
pub(super) async fn peer_with_claims() -> Peer {
    let store = |sealer, issuer: String| {
        CookieSessionStore::builder()
            .sealer(sealer)
            .cookie_name("session".parse().unwrap())
            .build_with_claims(move |state, completed| Ok(ClaimsSession::new(state, &issuer, completed)))
    };
    set_up(get(issuer_and_subject), store).await
}

async fn set_up<S: CookiePayload>(
    handler: MethodRouter,
    store: impl FnOnce(AeadV1Sealer<AesGcmKey>, String) -> CookieSessionStore<S>,
) -> Peer {
    let provider = Provider::start(signer()).await;
    let http_client = ReqwestClient::builder().mtls(NoMtls).build().await.unwrap();
    let metadata = AuthorizationServerMetadata::oidc_fetch()
        .http_client(&http_client)
        .issuer(provider.issuer())
        .call()
        .await
        .unwrap();
    let grant = AuthorizationCodeGrant::builder_from_metadata(&metadata)
        .unwrap()
        .client_id(CLIENT_ID)
        .client_auth(NoAuth)
        .http_client(http_client.clone())
        .redirect_uri("https://app.example.com/callback")
        .jws_verifier_factory(JwksSource::builder().http_client(http_client).build())
        .build()
        .await
        .unwrap();
    let key = ProvidedSecret::new(SecretBytes::new((0..32).collect())).mapped(OctBytes::new("A256GCM"));
    let sealer = AeadV1Sealer::new(AesGcmKey::from_secret(key).await.unwrap());
    let config = LoginConfig::builder()
        .callback_path("/callback")
        .scope(vec!["openid".to_owned(), "profile".to_owned()])
        .session_lifetime(SessionLifetime::DelegatedToAuthorizationServer)
        .logout(LogoutConfig::builder().path("/logout").build().unwrap())
        .build()
        .unwrap();
    let login = LoginLayer::builder()
        .config(config)
        .grant(grant)
        .session_store(store(sealer, provider.issuer().to_owned()))
        .build()
        .unwrap();
    // Of the layers that the documentation composes for mixed routes, each stands only before the routes that need it: the
    // signed-in request costs what it does behind `LoginLayer`, which is all of them in one, and the anonymous one least.
    let login_routes =
        Router::new().route("/callback", get(nobody)).route("/logout", post(nobody)).layer(login.login_routes());
    let router = Router::new()
        .route("/login", get(nobody))
        .layer(login.require_session())
        .route("/page", handler)
        .layer(login.load_session())
        .merge(login_routes);
    let peer = provider.peer(router, "/login").await;
    // The server keeps nothing for a session.
    Peer { sign_in_another: None, ..peer }
}

/// The claims are one string, which costs least to open.
#[derive(Clone, Serialize, Deserialize)]
struct ClaimsSession {
    state: SessionState,
    issuer: String,
    claims: String,
}

impl ClaimsSession {
    fn new(state: SessionState, issuer: &str, completed: &CompletedLogin) -> Self {
        let claims = serde_json::to_string(&completed.id_token_claims().unwrap().profile).unwrap();
        Self { state, issuer: issuer.to_owned(), claims }
    }
}

impl Session for ClaimsSession {
    fn state(&self) -> &SessionState {
        &self.state
    }

    fn set_state(&mut self, state: SessionState) {
        self.state = state;
    }
}

/// The issuer is the one that is configured.
async fn subject(who: Option<LoginSession<CookieSession>>) -> String {
    page(who.as_ref().and_then(|who| who.sub()).map(|subject| (ISSUER, subject)))
}

async fn issuer_and_subject(who: Option<LoginSession<ClaimsSession>>) -> String {
    page(who.as_ref().and_then(|who| Some((who.issuer.as_str(), who.sub()?))))
}

async fn nobody() -> &'static str {
    "nobody"
}

fn signer() -> impl Fn(&[u8]) -> Vec<u8> {
    let base64: String = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = KeyPair::from_der(&STANDARD.decode(base64).unwrap()).unwrap();
    move |message| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }
}
