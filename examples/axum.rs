//! Sign in with BitBadges in front of an axum app: `cargo run --example axum`, then open the address it prints.
//!
//! `/` is for everybody and has a button to sign out, `/me` and `/tokens` only for people who are signed in.

mod common;

use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use common::{BoxError, home_page, listening, me_json, setup};
use tower_signin::{Identity, SignIn, Tokens};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let setup = setup(|builder| builder.keep_tokens()).await?;
    let sign_in = setup.sign_in.clone();
    let app = Router::new()
        .route("/", get(home))
        .route("/me", get(me).layer(sign_in.require()))
        .route("/tokens", get(tokens).layer(sign_in.require()))
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

/// The provider's tokens, refreshed before they end. To ask its API, send `tokens.access_token()` as a bearer token.
async fn tokens(tokens: Tokens) -> String {
    let left = tokens.access_expires_at().and_then(|end| end.duration_since(SystemTime::now()).ok());
    let left = left.map_or("an unknown time".to_owned(), |left| format!("{} s", left.as_secs()));
    let is_refreshed =
        if tokens.refresh_token().is_some() { "and is refreshed before" } else { "and can't be refreshed" };
    format!("The access token ends in {left} {is_refreshed}.")
}
