//! The layer that a provider tells of logouts: what it reads, what it answers, where it is mounted, and when it can't do as told.

#![allow(missing_docs, reason = "tests")]

mod away;
mod body;
mod crowd;
#[path = "../support/double.rs"]
mod double;
mod listed;
mod mounted;
mod settings;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/strict.rs"]
mod strict;
#[path = "../support/mod.rs"]
mod support;
mod teller;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{BackChannelLogoutLayer, Builder, ErrorKind, ManualClock};

use crate::double::{Double, Kind};
use crate::site::{CALLBACK, Site, query};
use crate::support::Browser;
use crate::teller::{SESSION_ID, Teller, Token};

const PATH: &str = "/api/backchannel-logout";
const FORM: &str = "application/x-www-form-urlencoded";

/// A site whose sessions are in a store, and the layer beside it.
struct Told {
    site: Site,
    store: Double,
    teller: Teller,
    clock: Arc<ManualClock>,
    layer: BackChannelLogoutLayer,
}

impl Told {
    fn new(kind: Kind) -> Self {
        Self::with(kind, |builder| builder)
    }

    fn with(kind: Kind, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(teller::now()));
        let store = Double::new(kind, &clock);
        let teller = Teller::default();
        let site = Site::of(teller.clone(), CALLBACK, |builder| {
            configure(builder.session_store(store.clone()).clock(Arc::clone(&clock)))
        });
        let layer = site.sign_in.back_channel_logout().unwrap();
        Self { site, store, teller, clock, layer }
    }

    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        answer_of(&self.layer, request).await
    }

    async fn tell(&self, token: &Token) -> Response<Bytes> {
        self.answer(post(&token.to_string())).await
    }

    /// Whether this browser is signed in still.
    async fn knows(&self, browser: &Browser) -> bool {
        let answer = self.site.get(&mut browser.clone(), "/").await;
        answer.body() != "nobody"
    }
}

/// What the layer says to a request, with nothing behind it but a service that must not be called.
async fn answer_of(layer: &BackChannelLogoutLayer, request: Request<Bytes>) -> Response<Bytes> {
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        panic!("the inner service was called");
        #[allow(unreachable_code, reason = "it has a type")]
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let answer = layer.layer(inner).oneshot(request.map(Full::new)).await.unwrap();
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

/// The token as the provider sends it.
fn post(token: &str) -> Request<Bytes> {
    let form = query(&[("logout_token", token)]);
    Request::post(PATH).header(CONTENT_TYPE, FORM).body(form.into()).unwrap()
}

/// A token for the session of [`Site::signed_in`].
fn token() -> Token {
    Token::of(None, Some(SESSION_ID))
}

/// Status and code. No answer may be kept, and none sets a cookie.
#[track_caller]
fn told(answer: &Response<Bytes>) -> (u16, &'static str) {
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(answer.headers()[PRAGMA], "no-cache");
    assert!(!answer.headers().contains_key(SET_COOKIE), "{answer:?}");
    let code = answer.extensions().get::<ErrorKind>().map_or("", |kind| kind.code());
    if answer.status() == 400 {
        let said: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(said["error"], "invalid_request");
        let description = said["error_description"].as_str().unwrap();
        // RFC 6749 section 5.2.
        let is_plain = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(!description.is_empty() && description.bytes().all(is_plain), "{description}");
        assert_eq!(said.as_object().unwrap().len(), 2);
    }
    (answer.status().as_u16(), code)
}

const DONE: (u16, &str) = (200, "");
const MISSING: (u16, &str) = (400, "logout_token_missing");
const REJECTED: (u16, &str) = (400, "logout_token_rejected");
const NOT_DONE: (u16, &str) = (400, "logout_not_done");
