//! A provider's API on a socket that answers as an attacker would have it, and notes who comes.

use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Identity, Keys, SignIn};

use crate::site::{CODE, Started, siwbb};
use crate::support::{Browser, location, text};

/// Dropping it stops it.
pub(crate) struct Trap {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Trap {
    /// One that answers everybody with these bytes.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (answer, heard) = (answer.into(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&heard);
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read(&mut stream).await;
                noted.lock().unwrap().push(request);
                // Whoever does not read to the end hangs up.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { url, heard, server }
    }

    /// The requests that came, in full.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn read(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut wanted = None;
    while wanted.is_none_or(|wanted| request.len() < wanted) {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(length) => request.extend_from_slice(&chunk[..length]),
        }
        // Nobody says more of TLS before it was answered.
        if request.first().is_some_and(|first| !first.is_ascii_uppercase()) {
            break;
        }
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            wanted = Some(end + 4 + length.unwrap_or(0));
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// An answer of the API as it stands on the wire.
pub(crate) fn on_the_wire(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A whole sign-in at the API at this address, with the crate's own HTTP client: the answer to the callback, and who a
/// page says it is afterwards.
pub(crate) async fn sign_in_at(api: &str) -> (Response<Bytes>, String) {
    let sign_in = SignIn::builder(siwbb().base_urls(api, api))
        .redirect_uri("http://localhost:3000/api/callback")
        .keys(Keys::generate().unwrap())
        .build()
        .unwrap();
    let mut browser = Browser::new();
    let login = visit(&sign_in, &mut browser, "/api/login").await;
    let started = Started::at(&location(&login));
    let callback = visit(&sign_in, &mut browser, &started.callback(CODE)).await;
    let who = text(&visit(&sign_in, &mut browser, "/").await).to_owned();
    (callback, who)
}

async fn visit(sign_in: &SignIn, browser: &mut Browser, path: &str) -> Response<Bytes> {
    let inner = service_fn(|request: Request<Bytes>| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(who))))
    });
    let mut request = Request::get(path).body(Bytes::new()).unwrap();
    if let Some(cookies) = browser.cookie_header() {
        request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
    }
    let (parts, body) = sign_in.layer().layer(inner).oneshot(request).await.unwrap().into_parts();
    let response = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
    browser.keep(&response);
    response
}
