//! axum-oidc with sessions of tower-sessions in memory, as the example in its repository sets it up. It keeps the ID token
//! in the session and verifies the signature at every request.

use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use axum_oidc::error::MiddlewareError;
use axum_oidc::openidconnect::core::{CoreGenderClaim, CoreJwsSigningAlgorithm, CoreRsaPrivateSigningKey};
use axum_oidc::openidconnect::{ClientId, IssuerUrl, PrivateSigningKey as _, Scope};
use axum_oidc::{
    AdditionalClaims, EmptyAdditionalClaims, OidcAuthLayer, OidcClaims, OidcClient, OidcLoginLayer, OidcSession,
    handle_oidc_redirect,
};
use http::Uri;
use http::request::Parts;
use tower::ServiceBuilder;
use tower_sessions::cookie::SameSite;
use tower_sessions::cookie::time::Duration;
use tower_sessions::{Expiry, MemoryStore, SessionManagerLayer};

use super::provider::{CLIENT_ID, KEY, Provider};
use crate::{Peer, page};

/// `/page` behind `OidcAuthLayer` alone, which lets the anonymous through; `/login` behind `OidcLoginLayer` as well.
pub(super) async fn peer() -> Peer {
    let key = CoreRsaPrivateSigningKey::from_pem(KEY, None).unwrap();
    let sign = move |message: &[u8]| key.sign(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, message).unwrap();
    let provider = Provider::start(sign).await;
    let sessions = SessionManagerLayer::new(MemoryStore::default())
        .with_same_site(SameSite::Lax)
        // Two minutes in the example. A session that is only read is not prolonged, and a benchmark runs longer.
        .with_expiry(Expiry::OnInactivity(Duration::days(1)));
    let client = OidcClient::<EmptyAdditionalClaims>::builder()
        .with_default_http_client()
        .with_redirect_url(Uri::from_static("https://app.example.com/oidc"))
        .with_client_id(ClientId::new(CLIENT_ID.to_owned()))
        .add_scope(Scope::new("profile".to_owned()))
        .discover(IssuerUrl::new(provider.issuer().to_owned()).unwrap())
        .await
        .unwrap()
        .build();
    let login = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|error: MiddlewareError| async { error.into_response() }))
        .layer(OidcLoginLayer::<EmptyAdditionalClaims, Session>::new());
    let auth = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|error: MiddlewareError| async { error.into_response() }))
        .layer(OidcAuthLayer::<EmptyAdditionalClaims, Session>::new(client));
    let router = Router::new()
        .route("/login", get(handler))
        .layer(login)
        .route("/page", get(handler))
        .route("/oidc", any(handle_oidc_redirect::<EmptyAdditionalClaims, Session>))
        .layer(auth)
        .layer(sessions);
    provider.peer(router, "/login").await
}

async fn handler(who: Option<OidcClaims<EmptyAdditionalClaims>>) -> String {
    page(who.as_ref().map(|who| (who.issuer().as_str(), who.subject().as_str())))
}

/// Where axum-oidc keeps its sessions: in those of tower-sessions.
struct Session(tower_sessions::Session);

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = <tower_sessions::Session as FromRequestParts<S>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        tower_sessions::Session::from_request_parts(parts, state).await.map(Self)
    }
}

impl<C: AdditionalClaims> axum_oidc::Session<C> for Session {
    type Error = tower_sessions::session::Error;

    async fn get(&self) -> Result<OidcSession<C, CoreGenderClaim>, Self::Error> {
        Ok(self.0.get("axum-oidc").await?.unwrap_or_default())
    }

    async fn set(&mut self, session: OidcSession<C, CoreGenderClaim>) -> Result<(), Self::Error> {
        self.0.insert("axum-oidc", session).await
    }
}
