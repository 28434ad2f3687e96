//! The same below JSON: a provider that breaks HTTP itself, seen through the HTTP client that is built by default. It
//! gets one request, whatever it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{COOKIE, SET_COOKIE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower_signin::{Keys, SignIn, Siwbb};

use crate::inner::{echo, through};
use crate::site::{BOB_ANSWER, parameter, set_cookies};
use crate::support::{block_on, code, location, navigation, text};

#[test]
fn hostile_bytes_on_the_wire() {
    let good = sized("200 OK", BOB_ANSWER.as_bytes());
    let padded = |length: usize| {
        let mut body = BOB_ANSWER.as_bytes().to_vec();
        body.resize(length, b' ');
        sized("200 OK", &body)
    };
    let redirect =
        |status: &str| format!("HTTP/1.1 {status} x\r\nLocation: /api/v0/siwbb/token\r\n{EMPTY}").into_bytes();
    let chunks = format!("{:x}\r\n{BOB_ANSWER}\r\n0\r\n", BOB_ANSWER.len());
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    let many_headers = format!("200 OK\r\n{}X: y", "X: y\r\n".repeat(90));
    let gzip = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0";
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("good", good.clone(), 303),
        ("trailers", format!("{chunked}Trailer: x\r\n\r\n{chunks}Location: https://evil\r\nX: y\r\n\r\n").into(), 303),
        ("length and chunks", format!("{chunked}Content-Length: 5\r\n\r\n{chunks}\r\n").into(), 303),
        ("interim answers first", [&early[..], &good].concat(), 303),
        ("nothing but interim answers", b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(50_000), 502),
        ("short by a byte", good[..good.len() - 1].to_vec(), 502),
        ("gzip that nobody asked for", gzip.to_vec(), 502),
        ("a hundred headers", sized(&many_headers, BOB_ANSWER.as_bytes()), 303),
        ("a header of a megabyte", sized(&format!("200 OK\r\nX: {}", "x".repeat(1 << 20)), b"{}"), 502),
        ("exactly 256 KiB", padded(256 * 1024), 303),
        ("256 KiB and a byte", padded(256 * 1024 + 1), 502),
        ("empty", sized("200 OK", b""), 502),
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(), 502),
        ("301", redirect("301"), 502),
        ("302", redirect("302"), 502),
        ("303", redirect("303"), 502),
        ("307", redirect("307"), 502),
        ("308", redirect("308"), 502),
        ("a huge Retry-After", format!("HTTP/1.1 429 x\r\nRetry-After: 99999999999999\r\n{EMPTY}").into(), 503),
        ("a Retry-After of markup", format!("HTTP/1.1 429 x\r\nRetry-After: <script>\r\n{EMPTY}").into(), 503),
        ("status 999", format!("HTTP/1.1 999 x\r\n{EMPTY}").into(), 502),
        ("not HTTP", b"SSH-2.0-x\r\n".to_vec(), 502),
        ("nothing", Vec::new(), 502),
    ];
    block_on(async {
        for (name, bytes, status) in cases {
            ends(name, bytes, status).await;
        }
    });
}

/// Runs a sign-in to its end against a provider that answers with these bytes.
async fn ends(name: &str, bytes: Vec<u8>, status: u16) {
    let provider = Raw::start(bytes).await;
    let sign_in = SignIn::builder(Siwbb::new("id", "secret", "key").base_urls(&provider.origin, &provider.origin))
        .redirect_uri("http://localhost:3000/auth/callback")
        .keys(Keys::generate().unwrap())
        .build()
        .unwrap();
    let send = async |path: &str, cookie: &str| {
        let request = navigation(Method::GET, path, "none").header(COOKIE, cookie);
        through(&sign_in, echo(), request.body(Bytes::new()).unwrap()).await
    };
    let login = send("/auth/login", "").await;
    let flow = login.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let state = parameter(&location(&login), "state");
    let response = send(&format!("/auth/callback?code=c&state={state}"), flow).await;

    assert_eq!(response.status(), status, "{name}: {}", code(&response));
    let cookies = set_cookies(&response);
    assert_eq!(cookies.iter().any(|cookie| cookie.starts_with("signin-3000=")), status == 303, "{name}: {cookies:?}");
    assert!(!text(&response).contains("<script"), "{name}");
    assert_eq!(provider.connections.load(Ordering::SeqCst), 1, "{name}");
}

struct Raw {
    origin: String,
    connections: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Raw {
    /// Answers each connection's first request with these bytes, then closes it.
    async fn start(bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let mut seen = Vec::new();
                while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
                    if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                // Closed with a request half read, the connection would be reset and the answer lost.
                let _ = tokio::time::timeout(Duration::from_millis(200), stream.read_to_end(&mut seen)).await;
            }
        });
        Self { origin, connections, server }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A response with this status, and headers if it has some, and this body.
fn sized(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

const EMPTY: &str = "Content-Length: 0\r\n\r\n";
