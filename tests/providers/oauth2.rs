//! Plain OAuth 2.0.

mod authorize;
mod outages;
mod people;
mod settings;
mod sign_in;
mod tokens;

use bytes::Bytes;
use http::Response;
use serde_json::json;
use tower_signin::{ClientAuthentication, OAuth2};

use crate::app::App;
use crate::server::Server;
use crate::support::{Browser, code};

const ID: &str = "app";
const SECRET: &str = "s3cr3t-demo";

/// A provider that is spoken to at this server.
fn provider_at(server: &Server) -> OAuth2 {
    provider(server, ID, SECRET)
}

fn provider(server: &Server, id: &str, secret: &str) -> OAuth2 {
    let origin = &server.origin;
    without_revocation(origin, id, secret).revocation_endpoint(format!("{origin}/revoke"))
}

fn provider_without_revocation(server: &Server) -> OAuth2 {
    without_revocation(&server.origin, ID, SECRET)
}

fn without_revocation(origin: &str, id: &str, secret: &str) -> OAuth2 {
    OAuth2::new(origin, id, secret)
        .authorization_endpoint(format!("{origin}/authorize"))
        .token_endpoint(format!("{origin}/token"))
        .user_info_endpoint(format!("{origin}/me"))
        .client_authentication(ClientAuthentication::Basic)
        .subject_pointer("/id")
}

/// A server that has an account for ada.
async fn server() -> Server {
    let server = Server::start("basic", ID, SECRET).await;
    server.add("ada", json!({ "id": 1, "login": "ada" }));
    server
}

/// The whole way, as one of the accounts; gives the answer to the callback.
async fn sign_in(app: &App, server: &Server, browser: &mut Browser, account: &str) -> Response<Bytes> {
    let authorization_url = browser.start(&app.origin, "/").await;
    browser.get(&server.approve(&authorization_url, account)).await
}

/// What a sign-in came to: status, the code of the error if any, and who is there then.
async fn outcome(app: &App, server: &Server, account: &str) -> (u16, String, String) {
    let mut browser = Browser::new();
    let answer = sign_in(app, server, &mut browser, account).await;
    (answer.status().as_u16(), code(&answer), app.says(&mut browser, "/").await)
}

fn signed_in(subject: &str) -> (u16, String, String) {
    (303, String::new(), subject.to_owned())
}

fn refused(status: u16, code: &str) -> (u16, String, String) {
    (status, code.to_owned(), "nobody".to_owned())
}
