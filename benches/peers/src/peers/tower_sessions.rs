//! tower-sessions with its memory store, with its defaults; what it holds is read as one strongly typed value.

use ::tower_sessions::{MemoryStore, Session, SessionManagerLayer};
use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use http::Request;
use http::header::COOKIE;

use super::browser::cookies;
use super::claims::Claims;
use crate::requests::send;
use crate::{Peer, page};

/// The cookie is the session's id.
pub(super) async fn plain() -> Peer {
    peer(router().layer(layer())).await
}

/// The cookie is signed.
#[cfg(feature = "tower-sessions-sealed")]
pub(super) async fn signed() -> Peer {
    peer(router().layer(layer().with_signed(::tower_sessions::cookie::Key::generate()))).await
}

/// The cookie is encrypted.
#[cfg(feature = "tower-sessions-sealed")]
pub(super) async fn private() -> Peer {
    peer(router().layer(layer().with_private(::tower_sessions::cookie::Key::generate()))).await
}

fn layer() -> SessionManagerLayer<MemoryStore> {
    SessionManagerLayer::new(MemoryStore::default())
}

fn router() -> Router {
    Router::new().route("/page", get(handler)).route("/sign-in", post(enter))
}

async fn peer(router: Router) -> Peer {
    let cookie = sign_in(router.clone()).await.parse().expect("cookies are text");
    let mut peer = Peer::new(router.clone(), vec![(COOKIE, cookie)]);
    peer.sign_in_another = Some(Box::new(move || {
        let router = router.clone();
        Box::pin(async move { drop(sign_in(router).await) })
    }));
    peer
}

const WHO: &str = "who";

async fn handler(session: Session) -> String {
    let who: Option<Claims> = session.get(WHO).await.expect("the store is there");
    page(who.as_ref().map(|who| (who.iss.as_str(), who.sub.as_str())))
}

async fn enter(session: Session) {
    session.insert(WHO, Claims::of_today()).await.expect("claims are JSON");
}

/// Gives back the session's cookie.
async fn sign_in(mut router: Router) -> String {
    let request = Request::post("/sign-in").body(Body::empty()).expect("it is a request");
    cookies(&send(&mut router, request).await)
}
