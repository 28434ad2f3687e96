//! A browser on one connection that is kept, in HTTP/1 or HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, HOST};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::origin;
use crate::support::{Browser, location, navigation};

/// Nothing takes so long, an exchange that nobody answers included.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

enum Connection {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

pub(crate) struct Visitor {
    address: SocketAddr,
    http: Http,
    connection: Option<Connection>,
    pub(crate) browser: Browser,
}

impl Visitor {
    pub(crate) fn new(address: SocketAddr, http: Http, browser: &Browser) -> Self {
        Self { address, http, connection: None, browser: browser.clone() }
    }

    /// Another one, over the same connection in HTTP/2.
    pub(crate) async fn beside(&mut self) -> Self {
        let mut other = Self::new(self.address, self.http, &self.browser);
        if self.http == Http::Two {
            self.connection = self.connect().await;
            if let Some(Connection::Two(sender)) = &self.connection {
                other.connection = Some(Connection::Two(sender.clone()));
            }
        }
        other
    }

    /// Goes to a page of the site, and keeps the cookies that come.
    pub(crate) async fn ask(&mut self, method: Method, path: &str, site: &str) -> Option<Response<Bytes>> {
        let mut request = navigation(method, path, site).body(Bytes::new()).unwrap();
        if let Some(cookies) = self.browser.cookie_header() {
            request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
        }
        let response = self.send(request).await?;
        self.browser.keep(&response);
        Some(response)
    }

    /// Goes to login, and gives where that leads.
    pub(crate) async fn begin(&mut self) -> Option<String> {
        let response = self.ask(Method::GET, "/auth/login?return_to=%2Fguarded", "same-origin").await?;
        (response.status() == 303).then(|| location(&response))
    }

    /// Sends a request as it is. `None` where the site ends the connection without an answer.
    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
        }
        let answer = match self.connection.as_mut()? {
            Connection::One(sender) => {
                // What waited too long is closed.
                if sender.ready().await.is_err() {
                    self.connection = None;
                    return Box::pin(self.send(request)).await;
                }
                let request = of_http1(request, self.address);
                timeout(PATIENCE, async { whole(sender.send_request(request).await.ok()?).await }).await
            }
            Connection::Two(sender) => {
                if sender.ready().await.is_err() {
                    self.connection = None;
                    return Box::pin(self.send(request)).await;
                }
                let request = of_http2(request, self.address);
                timeout(PATIENCE, async { whole(sender.send_request(request).await.ok()?).await }).await
            }
        };
        let answer = answer.ok().flatten();
        if answer.is_none() {
            self.connection = None;
        }
        answer
    }

    async fn connect(&self) -> Option<Connection> {
        let stream = TcpStream::connect(self.address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let stream = TokioIo::new(stream);
        Some(match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(stream).await.ok()?;
                tokio::spawn(connection);
                Connection::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.ok()?;
                tokio::spawn(connection);
                Connection::Two(sender)
            }
        })
    }
}

async fn whole(response: Response<hyper::body::Incoming>) -> Option<Response<Bytes>> {
    let (parts, body) = response.into_parts();
    Some(Response::from_parts(parts, body.collect().await.ok()?.to_bytes()))
}

fn of_http1(mut request: Request<Bytes>, address: SocketAddr) -> Request<Full<Bytes>> {
    let host = format!("localhost:{}", address.port());
    request.headers_mut().insert(HOST, host.parse().unwrap());
    request.map(Full::new)
}

fn of_http2(mut request: Request<Bytes>, address: SocketAddr) -> Request<Full<Bytes>> {
    let uri = format!("{}{}", origin(address), request.uri());
    *request.uri_mut() = uri.parse::<Uri>().unwrap();
    request.map(Full::new)
}
