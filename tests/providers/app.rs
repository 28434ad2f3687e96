//! An app behind the layer, on a socket, for people of any provider.

#![allow(unreachable_pub, reason = "shared within this program")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::get;
use serde_json::Value;
use tower_signin::{Builder, Identity, Keys, ManualClock, Provider, SignIn, Tokens};

use crate::support::{Browser, text, who};

/// 2026-09-06T00:00Z.
pub const NOW: Duration = Duration::from_secs(1_788_739_200);

/// `/` answers the subject or `nobody`, `/whose` issuer and subject, `/claims` the claims, `/tokens` the access token and the
/// seconds it has left, `/scope` what was granted, and `/data` what the app's hook said. Where sessions are in a store, a provider
/// may tell of logouts.
pub struct App {
    pub origin: String,
    pub clock: Arc<ManualClock>,
    pub keys: Keys,
    server: tokio::task::JoinHandle<()>,
}

impl App {
    pub async fn start(provider: impl Provider) -> Self {
        Self::start_with(provider, |builder| builder).await
    }

    pub async fn start_with(provider: impl Provider, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let keys = Keys::generate().unwrap();
        Self::start_on(listener, &origin, keys, provider, configure)
    }

    /// Another deployment of `app`, which shares its address in cookies, and its keys.
    pub async fn start_at(app: &Self, provider: impl Provider) -> Self {
        Self::start_at_with(app, provider, |builder| builder).await
    }

    pub async fn start_at_with(
        app: &Self,
        provider: impl Provider,
        configure: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self::start_on(listener, &app.origin, app.keys.clone(), provider, configure)
    }

    fn start_on(
        listener: tokio::net::TcpListener,
        origin: &str,
        keys: Keys,
        provider: impl Provider,
        configure: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + NOW));
        let builder = SignIn::builder(provider)
            .redirect_uri(format!("{origin}/auth/callback"))
            .keys(keys.clone())
            .clock(Arc::clone(&clock));
        let sign_in = configure(builder).build().unwrap();
        let router = Router::new()
            .route("/", get(who))
            .route("/whose", get(whose))
            .route("/claims", get(claims))
            .route("/tokens", get(tokens))
            .route("/scope", get(|tokens: Tokens| async move { format!("{:?}", tokens.scope()) }))
            .route("/data", get(|who: Identity| async move { format!("{:?}", who.data::<String>()) }));
        let router = router.layer(sign_in.layer());
        let router = match sign_in.back_channel_logout() {
            Ok(layer) => router.layer(layer),
            Err(_) => router,
        };
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin: format!("http://localhost:{port}"), clock, keys, server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// What a page of the app says to this browser.
    pub async fn says(&self, browser: &mut Browser, path: &str) -> String {
        text(&browser.get(&self.url(path)).await).to_owned()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn whose(identity: Identity) -> String {
    format!("{} {}", identity.issuer(), identity.subject())
}

async fn claims(identity: Identity) -> String {
    identity.claims::<Value>().unwrap().to_string()
}

async fn tokens(tokens: Tokens) -> String {
    let left = tokens.access_expires_at().map(|end| end.duration_since(SystemTime::UNIX_EPOCH).unwrap() - NOW);
    format!("{} {:?}", tokens.access_token(), left.map(|left| left.as_secs()))
}
