//! Several providers in one layer.

mod chooser;
mod hanging;
mod hints;
mod leading;
mod mix_up;
mod settings;
mod whose;

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::json;
use tower_signin::{Builder, ClientAuthentication, Keys, OAuth2};

use crate::app::App;
use crate::server::Server;
use crate::support::{Browser, location};

/// A site with two providers, each a server of its own with an account for ada, who has the same number at both.
struct Two {
    app: App,
    north: Server,
    south: Server,
}

fn provider(server: &Server, name: &str) -> OAuth2 {
    let origin = &server.origin;
    OAuth2::new(origin.as_str(), format!("{name}-app"), format!("{name}-secret"))
        .name(name)
        .label(format!("The {name}"))
        .authorization_endpoint(format!("{origin}/authorize"))
        .token_endpoint(format!("{origin}/token"))
        .user_info_endpoint(format!("{origin}/me"))
        .revocation_endpoint(format!("{origin}/revoke"))
        .client_authentication(ClientAuthentication::Basic)
        .subject_pointer("/id")
}

async fn server(name: &str) -> Server {
    let server = Server::start("basic", &format!("{name}-app"), &format!("{name}-secret")).await;
    server.add("ada", json!({ "id": 1, "login": format!("ada of {name}") }));
    server
}

impl Two {
    async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    async fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let (north, south) = (server("north").await, server("south").await);
        let of_south = provider(&south, "south");
        let app = App::start_with(provider(&north, "north"), |builder| configure(builder.and(of_south))).await;
        Self { app, north, south }
    }

    /// The authorization URL that a sign-in with this provider leads to.
    async fn begin(&self, browser: &mut Browser, name: &str) -> String {
        let response = browser.get(&self.app.url(&format!("/auth/login/{name}"))).await;
        assert_eq!(response.status(), 303, "{name}: {response:?}");
        location(&response)
    }

    /// The whole way with this provider, as ada.
    async fn sign_in(&self, browser: &mut Browser, name: &str) -> Response<Bytes> {
        let authorization_url = self.begin(browser, name).await;
        browser.get(&self.server(name).approve(&authorization_url, "ada")).await
    }

    fn server(&self, name: &str) -> &Server {
        if name == "north" { &self.north } else { &self.south }
    }

    fn asked(&self) -> (Vec<String>, Vec<String>) {
        (self.north.asked(), self.south.asked())
    }
}

/// The same, to be built only.
fn builder(providers: impl IntoIterator<Item = OAuth2>) -> Builder {
    let mut providers = providers.into_iter();
    let builder = tower_signin::SignIn::builder(providers.next().unwrap());
    providers
        .fold(builder, Builder::and)
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap())
        .http_client(Arc::new(Nothing))
}

/// There is no network.
struct Nothing;

impl tower_signin::HttpClient for Nothing {
    fn send(
        &self,
        _: http::Request<Bytes>,
    ) -> tower_signin::BoxFuture<'_, Result<Response<Bytes>, tower_signin::HttpError>> {
        Box::pin(async { Err(tower_signin::HttpError::new(tower_signin::HttpErrorKind::Unreachable)) })
    }
}
