//! tower-signin, as its README sets it up: the layer outside, `Identity` as the handler's argument.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::tower_signin::bytes::Bytes;
use ::tower_signin::{
    BoxFuture, Builder, HttpClient, HttpError, Identity, Keys, ManualClock, MemoryStore, SignIn, Siwbb,
};
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{COOKIE, LOCATION};
use http::{Request, Response};

use super::browser::cookies;
use crate::requests::send;
use crate::{Peer, SUBJECT, page};

/// The default: the session is in its cookie.
pub(super) async fn sealed() -> Peer {
    peer(|builder| builder).await
}

/// The session is in this process's memory.
pub(super) async fn stored() -> Peer {
    let store = Arc::new(MemoryStore::new());
    peer(move |builder| builder.session_store(Arc::clone(&store))).await
}

async fn peer(configure: impl Fn(Builder) -> Builder) -> Peer {
    let keys = Keys::generate().expect("there is randomness");
    let builder = || {
        let builder = SignIn::builder(Siwbb::new("client-id", "client-secret", "api-key"));
        configure(builder.redirect_uri("https://app.example.com/auth/callback").keys(keys.clone()))
    };
    let app = router(&builder().build().expect("the settings are right"));
    // People sign in at another one with the same keys and store, which no network is needed for. The measured one has
    // the HTTP client that it has in production.
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let entrance = builder().http_client(BitBadges).clock(Arc::clone(&clock)).build().expect("the settings are right");
    let entrance = router(&entrance);
    let mut peer = Peer::new(app, vec![(COOKIE, sign_in(entrance.clone()).await.parse().expect("cookies are text"))]);
    peer.login = Some("/auth/login?return_to=%2Fpage".to_owned());
    peer.sign_in_another = Some(Box::new(move || {
        let entrance = entrance.clone();
        // A spent sign-in is remembered for ten minutes, which is no part of a session: a minute goes by between two.
        clock.advance(Duration::from_secs(60));
        Box::pin(async move { drop(sign_in(entrance).await) })
    }));
    peer
}

fn router(sign_in: &SignIn) -> Router {
    Router::new()
        .route("/page", get(async |who: Option<Identity>| page(who.as_ref().map(|who| (who.issuer(), who.subject())))))
        .layer(sign_in.layer())
}

/// The whole way; gives back the session's cookie.
async fn sign_in(mut router: Router) -> String {
    let login = Request::get("/auth/login").header("sec-fetch-mode", "navigate");
    let response = send(&mut router, login.body(Body::empty()).expect("it is a request")).await;
    let flow = cookies(&response);
    let location = response.headers()[LOCATION].to_str().expect("it is text");
    let state = location.split(['?', '&']).find_map(|pair| pair.strip_prefix("state=")).expect("there is a state");
    let code = "9c1f4e2b7a6d5c4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e";
    let callback = Request::get(format!("/auth/callback?code={code}&state={state}")).header(COOKIE, flow);
    let response = send(&mut router, callback.body(Body::empty()).expect("it is a request")).await;
    assert_eq!(response.status(), 303, "nobody signed in: {response:?}");
    // The other one counts sign-ins in a row, and is gone after ten minutes.
    let session = cookies(&response).split("; ").find(|cookie| cookie.starts_with("__Host-signin=")).map(str::to_owned);
    session.expect("there is a session cookie")
}

/// Answers every exchange as BitBadges does.
struct BitBadges;

impl HttpClient for BitBadges {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let answer = format!(
            r#"{{"address":"0x0bc63cfe31d5218eb414b142c799e20964a54a1a","chain":"ETH","bitbadgesAddress":"{SUBJECT}",
            "access_token":"siwbb_at_1","token_type":"Bearer","access_token_expires_at":"4102444800000",
            "refresh_token":"siwbb_rt_1","refresh_token_expires_at":"4102444800000",
            "verificationResponse":{{"success":true}}}}"#
        );
        Box::pin(async { Ok(Response::new(answer.into())) })
    }
}
