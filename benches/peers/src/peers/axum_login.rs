//! axum-login, as its crate documentation sets it up: users in a `HashMap`, sessions in the memory store, the user read
//! through `AuthSession`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use ::axum_login::tower_sessions::SessionManagerLayer;
use ::axum_login::{AuthManagerLayerBuilder, AuthUser, AuthnBackend, UserId};
use axum::Router;
use axum::body::Body;
use axum::extract::Form;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, COOKIE};
use http::{Request, StatusCode};
use serde::Deserialize;
use tower_sessions_of_axum_login::MemoryStore;

use super::browser::cookies;
use crate::requests::send;
use crate::{ISSUER, Peer, SUBJECT, page};

type AuthSession = ::axum_login::AuthSession<Backend>;

#[derive(Clone, Debug)]
struct User {
    issuer: String,
    subject: String,
    session_secret: Vec<u8>,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.subject.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.session_secret
    }
}

#[derive(Clone)]
struct Backend {
    users: Arc<HashMap<String, User>>,
}

#[derive(Clone, Deserialize)]
struct Credentials {
    subject: String,
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, Credentials { subject }: Credentials) -> Result<Option<User>, Infallible> {
        Ok(self.users.get(&subject).cloned())
    }

    async fn get_user(&self, subject: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(self.users.get(subject).cloned())
    }
}

pub(super) async fn peer() -> Peer {
    let user = User { issuer: ISSUER.to_owned(), subject: SUBJECT.to_owned(), session_secret: vec![7; 32] };
    let backend = Backend { users: Arc::new(HashMap::from([(SUBJECT.to_owned(), user)])) };
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let router = Router::new()
        .route("/page", get(handler))
        .route("/login", post(login))
        .layer(AuthManagerLayerBuilder::new(backend, sessions).build());
    let cookie = sign_in(router.clone()).await.parse().expect("cookies are text");
    let mut peer = Peer::new(router.clone(), vec![(COOKIE, cookie)]);
    peer.sign_in_another = Some(Box::new(move || {
        let router = router.clone();
        Box::pin(async move { drop(sign_in(router).await) })
    }));
    peer
}

async fn handler(session: AuthSession) -> String {
    page(session.user.as_ref().map(|user| (user.issuer.as_str(), user.subject.as_str())))
}

async fn login(mut session: AuthSession, Form(credentials): Form<Credentials>) -> Response {
    let user = match session.authenticate(credentials).await {
        Ok(Some(user)) => user,
        Ok(None) => return StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    if session.login(&user).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    Redirect::to("/page").into_response()
}

/// Gives back the session's cookie.
async fn sign_in(mut router: Router) -> String {
    let login = Request::post("/login").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let login = login.body(Body::from(format!("subject={SUBJECT}"))).expect("it is a request");
    let response = send(&mut router, login).await;
    assert_eq!(response.status(), 303, "nobody signed in: {response:?}");
    cookies(&response)
}
