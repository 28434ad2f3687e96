//! What the tests share: a browser without a screen, and an app behind the layer.

#![allow(dead_code, missing_docs, unreachable_pub, unused_imports, reason = "each test binary uses its own part")]

mod jar;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Builder, Identity, Keys, SignIn};

pub use self::jar::{Browser, code, location, navigation, text};

impl Browser {
    /// Opens a URL as a person would by typing it.
    pub async fn get(&mut self, url: &str) -> Response<Bytes> {
        self.send(navigation(Method::GET, url, "none").body(Bytes::new()).unwrap()).await
    }

    /// Sends a form from a page of the same origin.
    pub async fn post(&mut self, url: &str, form: &str) -> Response<Bytes> {
        let request = navigation(Method::POST, url, "same-origin")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    /// Sends any request, with the cookies added, and keeps the cookies that come back.
    pub async fn send(&mut self, mut request: Request<Bytes>) -> Response<Bytes> {
        if let Some(cookies) = self.cookie_header() {
            request.headers_mut().append(COOKIE, cookies.parse().unwrap());
        }
        let response = send(request).await.expect("the server answers");
        self.keep(&response);
        response
    }

    /// Goes to login and gives the authorization URL the layer sends the browser to.
    pub async fn start(&mut self, origin: &str, return_to: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", return_to).finish();
        let response = self.get(&format!("{origin}/auth/login?{query}")).await;
        assert_eq!(response.status(), 303, "{response:?}");
        location(&response)
    }

    /// Approves at the dev provider's page, by its form, and gives the callback URL.
    pub async fn approve(&mut self, authorization_url: &str, account: &str) -> String {
        let response = self.post(authorization_url, &format!("account={account}&address=&decision=approve")).await;
        assert_eq!(response.status(), 303, "{response:?}");
        location(&response)
    }

    /// The whole way, as alice; gives the answer to the callback.
    pub async fn sign_in(&mut self, origin: &str, return_to: &str) -> Response<Bytes> {
        let authorization_url = self.start(origin, return_to).await;
        let callback = self.approve(&authorization_url, "alice").await;
        self.get(&callback).await
    }
}

/// Sends one request over a connection of its own to 127.0.0.1, whatever loopback name the URL has.
pub async fn send(mut request: Request<Bytes>) -> Result<Response<Bytes>, hyper::Error> {
    let uri = request.uri().clone();
    let authority = uri.authority().expect("an absolute URL").clone();
    let address = SocketAddr::from(([127, 0, 0, 1], authority.port_u16().expect("a port")));
    let stream = TcpStream::connect(address).await.expect("a listening server");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    request.headers_mut().entry(HOST).or_insert(authority.as_str().parse().unwrap());
    *request.uri_mut() =
        uri.path_and_query().map_or_else(|| Uri::from_static("/"), |path| path.as_str().parse().unwrap());
    let (parts, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}

/// Sends bytes that no HTTP client would; gives what the other side says until it closes.
pub async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Where the server of this origin listens.
pub fn address_of(origin: &str) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], origin.rsplit(':').next().unwrap().parse().unwrap()))
}

/// An axum app behind the layer, on a socket, with a dev provider of its own. `GET /` answers the subject or `nobody`.
pub struct App {
    pub origin: String,
    pub sign_in: SignIn,
    pub dev: DevProvider,
    server: tokio::task::JoinHandle<()>,
}

impl App {
    pub async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    pub async fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let dev = DevProvider::start().await.unwrap();
        Self::start_on(dev, configure, |router| router).await
    }

    /// `routes` may add to the app inside the layer.
    pub async fn start_on(
        dev: DevProvider,
        configure: impl FnOnce(Builder) -> Builder,
        routes: impl FnOnce(Router) -> Router,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let sign_in = sign_in_at(&dev, &origin, configure);
        let router = routes(Router::new().route("/", axum::routing::get(who)));
        let router = router.fallback(|| async { (http::StatusCode::NOT_FOUND, "not here") }).layer(sign_in.layer());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, sign_in, dev, server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// How many requests reached the provider's API.
    pub fn provider_requests(&self) -> usize {
        self.dev.requests().len()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn sign_in_at(dev: &DevProvider, origin: &str, configure: impl FnOnce(Builder) -> Builder) -> SignIn {
    let builder =
        SignIn::builder(dev.siwbb()).redirect_uri(format!("{origin}/auth/callback")).keys(Keys::generate().unwrap());
    configure(builder).build().unwrap()
}

pub async fn who(identity: Option<Identity>) -> String {
    identity.map_or_else(|| "nobody".to_owned(), |identity| identity.subject().to_owned())
}

pub fn alice() -> String {
    Account::alice().bitbadges_address
}

/// Runs a test of several threads' worth of work on a runtime of its own.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}
