//! The private cookies of axum-extra, as its documentation sets them up, around a JSON object. Its end is in it, since a
//! browser keeps cookies as long as it likes.

use axum::Router;
use axum::body::Body;
use axum::extract::FromRef;
use axum::routing::{get, post};
use axum_extra::extract::cookie::{Cookie, Key, PrivateCookieJar};
use http::Request;
use http::header::COOKIE;

use super::browser::cookies;
use super::claims::{Claims, now};
use crate::requests::send;
use crate::{Peer, page};

#[derive(Clone)]
struct AppState {
    key: Key,
}

impl FromRef<AppState> for Key {
    fn from_ref(state: &AppState) -> Self {
        state.key.clone()
    }
}

pub(super) async fn peer() -> Peer {
    let mut router = Router::new()
        .route("/page", get(handler))
        .route("/sign-in", post(sign_in))
        .with_state(AppState { key: Key::generate() });
    let request = Request::post("/sign-in").body(Body::empty()).expect("it is a request");
    let cookie = cookies(&send(&mut router, request).await).parse().expect("cookies are text");
    Peer::new(router, vec![(COOKIE, cookie)])
}

async fn handler(jar: PrivateCookieJar) -> String {
    let who: Option<Claims> = jar.get("session").and_then(|cookie| serde_json::from_str(cookie.value()).ok());
    page(who.as_ref().filter(|who| now() < who.exp).map(|who| (who.iss.as_str(), who.sub.as_str())))
}

async fn sign_in(jar: PrivateCookieJar) -> PrivateCookieJar {
    let session = serde_json::to_string(&Claims::of_today()).expect("claims are JSON");
    jar.add(Cookie::build(("session", session)).http_only(true).secure(true))
}
