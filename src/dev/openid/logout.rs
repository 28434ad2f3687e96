use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::form_urlencoded;

use super::id_token::{OTHER, alter};
use super::state::State;
use super::{Misbehaviour, signature};
use crate::dev::DevError;
use crate::dev::state::random_hex;

/// Somebody's session here, in one browser, and the app it was begun for.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) client_id: String,
    pub(super) subject: String,
    pub(super) session_id: String,
}

/// What became of a logout token: the status of the answer, if one came.
pub(super) type Told = JoinHandle<Option<StatusCode>>;

/// A logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4), or what the misbehaviour makes of it.
pub(super) fn token(
    state: &mut State,
    client_id: &str,
    subject: Option<&str>,
    session_id: Option<&str>,
) -> Result<String, DevError> {
    use Misbehaviour as M;
    let now = state.now();
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", json!(state.issuer));
    set("aud", json!(client_id));
    set("iat", json!(now));
    set("exp", json!(now.saturating_add(TOKEN_LIFETIME)));
    set("jti", json!(random_hex()?));
    set("events", json!({ EVENT: {} }));
    if let Some(subject) = subject {
        set("sub", json!(subject));
    }
    if let Some(session_id) = session_id {
        set("sid", json!(session_id));
    }
    alter(state, &mut claims);
    match state.misbehaviour {
        Some(M::LogoutTokenWithoutEvents) => _ = claims.remove("events"),
        Some(M::LogoutTokenOfAnotherEvent) => _ = claims.insert("events".to_owned(), json!({ ANOTHER_EVENT: {} })),
        Some(M::LogoutTokenWithNonce) => _ = claims.insert("nonce".to_owned(), json!(OTHER)),
        Some(M::LogoutTokenWithoutId) => _ = claims.remove("jti"),
        Some(M::LogoutTokenOfNobody) => claims.retain(|name, _| name != "sub" && name != "sid"),
        _ => {}
    }
    let typ = match state.misbehaviour {
        Some(M::LogoutTokenUntyped) => None,
        Some(M::LogoutTokenOfAnotherType) => Some("at+jwt"),
        _ => Some("logout+jwt"),
    };
    let client = state.clients.get(client_id);
    let secret = client.and_then(|client| client.secret.clone()).unwrap_or_default();
    signature::sign(state, typ, &Value::Object(claims).to_string(), secret.as_bytes())
}

/// Ends these sessions here, and tells their apps that have registered for it. Nobody waits.
pub(super) fn end(state: &mut State, is_over: impl Fn(&Session) -> bool) {
    let Ok(runtime) = Handle::try_current() else { return };
    let over: Vec<Session> = state.sessions.iter().filter(|session| is_over(session)).cloned().collect();
    state.sessions.retain(|session| !is_over(session));
    for Session { client_id, subject, session_id } in over {
        let uri = state.clients.get(&client_id).and_then(|client| client.back_channel_logout_uri.clone());
        let Some(uri) = uri else { continue };
        let Ok(token) = token(state, &client_id, Some(&subject), Some(&session_id)) else { continue };
        state.told.push(runtime.spawn(async move { timeout(ANSWER_TIME, send(&uri, &token)).await.ok()?.ok() }));
    }
}

/// `POST` of the token as a form (section 2.5).
async fn send(uri: &str, token: &str) -> io::Result<StatusCode> {
    let uri: Uri = uri.parse().map_err(io::Error::other)?;
    let authority = uri.authority().ok_or(io::ErrorKind::InvalidInput)?;
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    let request = Request::post(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::from(form)))
        .map_err(io::Error::other)?;
    let answer = sender.send_request(request).await.map_err(io::Error::other);
    connection.abort();
    Ok(answer?.status())
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const ANOTHER_EVENT: &str = "http://schemas.openid.net/event/another";
/// Section 4 speaks of two minutes.
const TOKEN_LIFETIME: u64 = 120;
const ANSWER_TIME: Duration = Duration::from_secs(15);
