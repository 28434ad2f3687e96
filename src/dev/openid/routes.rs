use std::io;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::signature::{FOREIGN_CERTIFICATE, FOREIGN_KEYS};
use super::state::{Shared, State};
use super::{Misbehaviour, authorize, end_session, metadata, pages, revoke, signature, token, user_info};
use crate::dev::body::DevBody;
use crate::dev::payload::{Answer, HTML, TEXT, respond};
use crate::dev::server::Site;
use crate::dev::{DevError, RecordedRequest, page};

impl Site for Shared {
    async fn answer(&self, request: RecordedRequest, refused: Option<StatusCode>) -> io::Result<Response<DevBody>> {
        let is_page = matches!(request.path.as_str(), "/" | AUTHORIZE | end_session::PATH);
        if !is_page {
            self.lock().requests.record(request.clone());
        }
        match refused {
            Some(status) => Ok(refusal(status, "invalid_request", "The request body was refused.")),
            None if is_page => Ok(show(self, &request)),
            None => back_channel(&mut self.lock(), &request),
        }
    }
}

/// What a browser sees.
fn show(shared: &Shared, request: &RecordedRequest) -> Response<DevBody> {
    let query = request.query.as_deref().unwrap_or_default();
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let writes = request.method == Method::POST;
    match request.path.as_str() {
        AUTHORIZE if reads => authorize::show(&shared.lock(), query),
        AUTHORIZE if writes => authorize::decide(&mut shared.lock(), query, &request.body),
        end_session::PATH if reads => end_session::show(&mut shared.lock(), query),
        end_session::PATH if writes => end_session::confirm(&mut shared.lock(), query, &request.body),
        "/" if reads => pages::home(&shared.issuer),
        "/" => page::not_allowed("GET, HEAD"),
        _ => page::not_allowed("GET, HEAD, POST"),
    }
}

/// What an app asks by itself.
fn back_channel(state: &mut State, request: &RecordedRequest) -> io::Result<Response<DevBody>> {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let writes = request.method == Method::POST;
    match request.path.as_str() {
        DISCOVERY if reads => match state.misbehaviour {
            Some(Misbehaviour::DiscoveryDown) => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(Answer::ok(metadata::document(state)).into_response()),
        },
        KEYS if reads => keys(state),
        TOKEN if writes => Ok(token::answer(state, request)),
        REVOKE if writes => Ok(revoke::answer(state, request)),
        USER_INFO if reads || writes => Ok(user_info::answer(state, request)),
        FOREIGN_KEYS if reads => Ok(json_or_failure(signature::foreign_key_set(state))),
        FOREIGN_CERTIFICATE if reads => Ok(respond(StatusCode::OK, TEXT, Bytes::from_static(b"no certificate\n"))),
        _ => Ok(refusal(StatusCode::NOT_FOUND, "not_found", "Nothing is here for this method.")),
    }
}

fn keys(state: &mut State) -> io::Result<Response<DevBody>> {
    match state.misbehaviour {
        Some(Misbehaviour::KeysDown) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Misbehaviour::KeysServerError) => Ok(server_error()),
        Some(Misbehaviour::KeysHtml) => Ok(html()),
        _ => Ok(json_or_failure(signature::key_set(state))),
    }
}

fn json_or_failure(body: Result<Value, DevError>) -> Response<DevBody> {
    body.map_or_else(|_| server_error(), |body| Answer::ok(body).into_response())
}

/// `error` and `error_description` (RFC 6749 section 5.2), never to be stored.
pub(super) fn refusal(status: StatusCode, error: &str, description: &str) -> Response<DevBody> {
    unstored(Answer { status, body: json!({ "error": error, "error_description": description }) })
}

/// An answer that nobody may store (RFC 6749 section 5.1).
pub(super) fn unstored(answer: Answer) -> Response<DevBody> {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

pub(super) fn server_error() -> Response<DevBody> {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Something went wrong here.")
}

/// A page where none is expected, as a proxy in front of the provider answers.
pub(super) fn html() -> Response<DevBody> {
    respond(StatusCode::OK, HTML, Bytes::from_static(b"<!doctype html><html><body>Just a moment</body></html>"))
}

pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(super) const KEYS: &str = "/jwks";
pub(super) const AUTHORIZE: &str = "/authorize";
pub(super) const TOKEN: &str = "/token";
pub(super) const USER_INFO: &str = "/userinfo";
pub(super) const REVOKE: &str = "/revoke";
