//! An app whose people come from the OpenID provider on loopback.

#![allow(unreachable_pub, reason = "shared by several programs")]

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use tower_signin::dev::openid::{Account, CLIENT_ID, CLIENT_SECRET, OpenIdProvider};
use tower_signin::{Builder, Clock as _, Oidc};

use crate::app::App;
use crate::support::{Browser, code, location};

/// An app, and the provider its people come from, on one clock.
pub struct Stage {
    pub openid: Arc<OpenIdProvider>,
    pub app: App,
}

impl Stage {
    pub async fn start() -> Self {
        Self::with(|oidc| oidc).await
    }

    pub async fn with(configure: impl FnOnce(Oidc) -> Oidc) -> Self {
        Self::with_both(configure, |builder| builder).await
    }

    pub async fn with_both(configure: impl FnOnce(Oidc) -> Oidc, build: impl FnOnce(Builder) -> Builder) -> Self {
        Self::at(&Arc::new(OpenIdProvider::start().await.unwrap()), configure, build).await
    }

    /// A new app, of which the provider has seen nothing yet.
    pub async fn at(
        openid: &Arc<OpenIdProvider>,
        configure: impl FnOnce(Oidc) -> Oidc,
        build: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let oidc = Oidc::discover(openid.issuer(), CLIENT_ID, CLIENT_SECRET);
        let app = App::start_with(configure(oidc), build).await;
        let clock = Arc::clone(&app.clock);
        openid.set_clock(Arc::new(move || clock.now()));
        openid.set_misbehaviour(None);
        openid.clear_requests();
        Self { openid: Arc::clone(openid), app }
    }

    /// The whole way as alice, as far as it goes: the answer to the callback, or to login where nobody is sent away.
    pub async fn sign_in(&self, browser: &mut Browser) -> Response<Bytes> {
        let answer = browser.get(&self.app.url("/auth/login")).await;
        if answer.status() != 303 {
            return answer;
        }
        let callback = self.openid.approve(&location(&answer), &Account::alice()).unwrap();
        browser.get(&callback).await
    }

    /// What a sign-in came to: status, the code of the error if any, and who is there then.
    pub async fn outcome(&self) -> (u16, String, String) {
        let mut browser = Browser::new();
        let answer = self.sign_in(&mut browser).await;
        (answer.status().as_u16(), code(&answer), self.app.says(&mut browser, "/").await)
    }

    /// The paths that the app has asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.openid.requests().into_iter().map(|request| request.path).collect()
    }

    pub fn count(&self, path: &str) -> usize {
        self.asked().iter().filter(|asked| *asked == path).count()
    }
}

pub const METADATA: &str = "/.well-known/openid-configuration";
pub const KEYS: &str = "/jwks";
pub const TOKEN: &str = "/token";
pub const USER_INFO: &str = "/userinfo";

pub fn alice() -> (u16, String, String) {
    (303, String::new(), Account::alice().subject)
}

pub fn refused(status: u16, code: &str) -> (u16, String, String) {
    (status, code.to_owned(), "nobody".to_owned())
}
