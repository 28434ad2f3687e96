//! The server over a real socket, by a client that hides nothing.

mod authorize;
mod faults;
mod routes;
mod token;

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

pub(super) const REDIRECT_URI: &str = "http://localhost:3000/auth/callback";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ")?;
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let body = bytes[end + 4..].to_vec();
        Some(Self { status, headers, body })
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn error(&self) -> String {
        self.json()["errorMessage"].as_str().unwrap().to_owned()
    }
}

async fn connect(origin: &str) -> TcpStream {
    let port = origin.rsplit(':').next().unwrap();
    let port: u16 = port.parse().unwrap();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends bytes and reads until the server closes.
async fn send(provider: &DevProvider, request: &[u8]) -> io::Result<Vec<u8>> {
    send_to(provider.origin(), request).await
}

pub(super) async fn send_to(origin: &str, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect(origin).await;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

pub(super) fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text.push_str("host: localhost\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

async fn call(provider: &DevProvider, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let bytes = send(provider, &request(method, target, headers, body)).await;
    Reply::parse(&bytes.unwrap()).unwrap()
}

async fn get(provider: &DevProvider, target: &str) -> Reply {
    call(provider, "GET", target, &[], "").await
}

/// A JSON request with the API key.
async fn post(provider: &DevProvider, path: &str, body: Value) -> Reply {
    let headers = [("content-type", JSON), ("x-api-key", API_KEY)];
    call(provider, "POST", path, &headers, &body.to_string()).await
}

async fn token(provider: &DevProvider, body: Value) -> Reply {
    post(provider, "/api/v0/siwbb/token", body).await
}

/// The exchange of the BitBadges docs, all in a JSON body.
fn exchange(code: &str) -> Value {
    json!({
        "grant_type": "authorization_code",
        "code": code,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": REDIRECT_URI,
        "code_verifier": VERIFIER,
        "options": { "issuedAtTimeWindowMs": 600_000 },
    })
}

fn refresh(refresh_token: &Value) -> Value {
    json!({
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "redirect_uri": REDIRECT_URI,
    })
}

/// A body with some fields replaced, or removed by a null.
fn with(mut body: Value, changes: Value) -> Value {
    let (Value::Object(fields), Value::Object(changes)) = (&mut body, changes) else {
        panic!("not objects");
    };
    for (name, value) in changes {
        match value {
            Value::Null => fields.remove(&name),
            value => fields.insert(name, value),
        };
    }
    body
}

fn code(provider: &DevProvider) -> String {
    provider.issue_code(CLIENT_ID, REDIRECT_URI, &Account::bob(), Some(CHALLENGE)).unwrap()
}

fn authorization_url(provider: &DevProvider, more: &str) -> String {
    format!("{}{}", provider.origin(), authorization_target(more))
}

fn authorization_target(more: &str) -> String {
    format!(
        "/siwbb/authorize?client_id={CLIENT_ID}\
         &redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fauth%2Fcallback&state=f3a9c2e1b7d4a6c8{more}"
    )
}

/// Stops the provider's clock at a time.
fn freeze(provider: &DevProvider, unix_ms: u64) {
    let now = UNIX_EPOCH + Duration::from_millis(unix_ms);
    provider.set_clock(Arc::new(move || -> SystemTime { now }));
}

/// What the query of a URL says under a name.
pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    let mut pairs = url.query_pairs().filter(|(key, _)| key == name);
    let found = pairs.next().map(|(_, value)| value.into_owned());
    assert!(pairs.next().is_none(), "{name} twice in {url}");
    found
}
