//! Sign in with BitBadges in front of an axum app: `cargo run --example axum`, then open the address it prints.

mod common;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use common::{BoxError, home_page, listening, me_json, setup};
use tower_signin::{Identity, SignIn};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let setup = setup(|builder| builder).await?;
    let sign_in = setup.sign_in.clone();
    let app = Router::new()
        .route("/", get(home))
        .route("/me", get(me).layer(sign_in.require()))
        .with_state(sign_in.clone())
        .layer(sign_in.layer());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.port)).await?;
    listening(setup.port);
    Ok(axum::serve(listener, app).await?)
}

async fn home(State(sign_in): State<SignIn>, identity: Option<Identity>) -> Html<String> {
    Html(home_page(&sign_in, identity.as_ref()))
}

async fn me(identity: Identity) -> Result<impl IntoResponse, StatusCode> {
    let json = me_json(&identity).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/json")], json))
}
