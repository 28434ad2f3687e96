//! An app that its provider tells of logouts.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, SET_COOKIE};
use http::{Request, Response};
use serde_json::Value;
use tower_signin::dev::openid::{Account, CLIENT_ID, Misbehaviour};
use tower_signin::{Builder, ErrorKind, ManualClock, MemoryStore};

use crate::app::NOW;
use crate::log::Log;
use crate::stage::{Stage, alice};
use crate::support::{Browser, send, text};

/// A stage, and a browser in which alice is signed in.
pub(crate) struct Told {
    pub(crate) stage: Stage,
    pub(crate) browser: Browser,
    /// What the provider calls her session.
    pub(crate) session_id: String,
}

impl Told {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + NOW));
        let store = MemoryStore::new().clock(clock);
        let stage = Stage::with_both(|oidc| oidc, |builder| configure(builder.session_store(store))).await;
        let uri = stage.app.url("/auth/backchannel-logout");
        stage.openid.register_back_channel_logout_uri(CLIENT_ID, &uri).unwrap();
        let mut browser = Browser::new();
        assert_eq!(stage.sign_in(&mut browser).await.status(), 303);
        let session_id = stage.openid.session_ids(&Account::alice()).pop().expect("a session");
        Self { stage, browser, session_id }
    }

    /// A token that names alice and her session, or what the provider makes of it now.
    pub(crate) fn token(&self) -> String {
        let alice = Account::alice().subject;
        self.stage.openid.logout_token(CLIENT_ID, Some(&alice), Some(&self.session_id)).unwrap()
    }

    /// Sends a token as the provider does. No answer may be kept, and none sets a cookie.
    pub(crate) async fn tell(&self, token: &str) -> Response<Bytes> {
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
        let request = Request::post(self.stage.app.url("/auth/backchannel-logout"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.into())
            .unwrap();
        let answer = send(request).await.unwrap();
        assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers()[PRAGMA], "no-cache");
        assert!(!answer.headers().contains_key(SET_COOKIE));
        answer
    }

    /// Who the app says is there.
    pub(crate) async fn who(&mut self) -> String {
        self.stage.app.says(&mut self.browser, "/").await
    }

    /// The token is refused for this reason, and alice stays signed in.
    pub(crate) async fn refuses(&mut self, when: &str, token: &str, reason: &str) {
        Log::start();
        let answer = self.tell(token).await;
        assert_eq!(answer.status(), 400, "{when}");
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json", "{when}");
        let said: Value = serde_json::from_str(text(&answer)).unwrap();
        assert_eq!(said, serde_json::json!({"error": "invalid_request", "error_description": reason}), "{when}");
        let logged = Log::line(ErrorKind::LogoutTokenRejected.code());
        assert!(logged.contains(reason), "{when}: {reason:?} is not in {logged:?}");
        assert!(!Log::text().contains(&self.session_id), "{when}: the log tells the provider's session");
        assert_eq!(self.who().await, alice().2, "{when}");
    }

    /// The same of a token that the provider gets wrong in this way; a right one then ends the session.
    pub(crate) async fn refuses_what_is_wrong(misbehaviour: Misbehaviour, reason: &str) {
        let mut told = Self::start().await;
        told.stage.openid.set_misbehaviour(Some(misbehaviour));
        let wrong = told.token();
        told.refuses(&format!("{misbehaviour:?}"), &wrong, reason).await;
        told.stage.openid.set_misbehaviour(None);
        told.ends().await;
    }

    /// A token that is right ends the session.
    pub(crate) async fn ends(&mut self) {
        assert_eq!(self.who().await, alice().2);
        let answer = self.tell(&self.token()).await;
        assert_eq!((answer.status().as_u16(), text(&answer)), (200, ""));
        assert_eq!(self.who().await, "nobody");
    }
}
