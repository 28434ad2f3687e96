//! Forward mode in front of an axum app: the callback, once it is checked, arrives at a handler of the app.
//! `cargo run --example axum_forward`, then open the address it prints.

mod common;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;
use axum::{Router, ServiceExt};
use common::{BoxError, home_page, listening, me_json, say, setup};
use tower::ServiceBuilder;
use tower_signin::{Identity, SignIn, SignedIn};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let setup = setup(tower_signin::Builder::forward_callback).await?;
    let sign_in = setup.sign_in.clone();
    let router = Router::new()
        .route("/", get(home))
        .route("/me", get(me).layer(sign_in.require()))
        .route(sign_in.callback_path(), get(callback))
        .with_state(sign_in.clone());
    // Around the whole Router rather than in Router::layer, so that no handler sees the query of the callback.
    let app = ServiceBuilder::new()
        .map_response(IntoResponse::into_response) // axum::serve wants axum's own body
        .layer(sign_in.layer())
        .service(router);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.port)).await?;
    listening(setup.port);
    Ok(axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).await?)
}

/// The sign-in is complete. An answer of 400 or above, or `signed_in.refuse(code)`, would make no session of it.
async fn callback(signed_in: SignedIn, identity: Identity) -> Redirect {
    say(&format!("{} has signed in.", identity.subject()));
    Redirect::to(signed_in.return_to()) // 303
}

async fn home(State(sign_in): State<SignIn>, identity: Option<Identity>) -> Html<String> {
    Html(home_page(&sign_in, identity.as_ref()))
}

async fn me(identity: Identity) -> Result<impl IntoResponse, StatusCode> {
    let json = me_json(&identity).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/json")], json))
}
