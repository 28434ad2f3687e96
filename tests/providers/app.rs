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

/// `/` answers the subject or `nobody`, `/claims` the claims, `/tokens` the access token and the seconds it has left,
/// and `/scope` what was granted.
pub struct App {
    pub origin: String,
    pub clock: Arc<ManualClock>,
    server: tokio::task::JoinHandle<()>,
}

impl App {
    pub async fn start(provider: impl Provider) -> Self {
        Self::start_with(provider, |builder| builder).await
    }

    pub async fn start_with(provider: impl Provider, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + NOW));
        let builder = SignIn::builder(provider)
            .redirect_uri(format!("{origin}/auth/callback"))
            .keys(Keys::generate().unwrap())
            .clock(Arc::clone(&clock));
        let sign_in = configure(builder).build().unwrap();
        let router = Router::new().route("/", get(who)).route("/claims", get(claims)).route("/tokens", get(tokens));
        let router = router.route("/scope", get(|tokens: Tokens| async move { format!("{:?}", tokens.scope()) }));
        let router = router.layer(sign_in.layer());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, clock, server }
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

async fn claims(identity: Identity) -> String {
    identity.claims::<Value>().unwrap().to_string()
}

async fn tokens(tokens: Tokens) -> String {
    let left = tokens.access_expires_at().map(|end| end.duration_since(SystemTime::UNIX_EPOCH).unwrap() - NOW);
    format!("{} {:?}", tokens.access_token(), left.map(|left| left.as_secs()))
}
