//! h2c, where a browser may split `Cookie` (RFC 9113 section 8.2.3) and no `Host` comes.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Layer as _;
use tower_signin::dev::Account;

use crate::app::{Site, page, serve_hyper, while_serving};
use crate::support::alice;

#[tokio::test]
async fn a_split_cookie_header_is_read_whole_by_hyper() {
    let site = Site::in_mode(false).await;
    let cookie = site.dev.signed_in_cookie(&site.sign_in, &Account::alice()).unwrap();
    let service = site.sign_in.layer().layer(routes());
    while_serving(serve_hyper(site.listener, service), over_http2(&site.origin, &cookie)).await;
}

#[tokio::test]
async fn a_split_cookie_header_is_read_whole_by_tonic() {
    let site = Site::in_mode(false).await;
    let cookie = site.dev.signed_in_cookie(&site.sign_in, &Account::alice()).unwrap();
    let server = Server::builder()
        .layer(site.sign_in.layer())
        .serve_with_incoming(Routes::from(routes()), TcpIncoming::from(site.listener));
    while_serving(server, over_http2(&site.origin, &cookie)).await;
}

async fn over_http2(origin: &str, cookie: &str) {
    let alice = alice();
    let cases: [(&str, &[&str], &str); 5] = [
        ("no cookie", &[], "nobody"),
        ("one header", &[cookie], &alice),
        ("split, ours in the middle", &["a=1", cookie, "b=2"], &alice),
        ("split, two of ours", &[cookie, "b=2", cookie], "nobody"),
        ("split inside a pair", &[&cookie[..20], &cookie[20..]], "nobody"),
    ];
    for (name, cookies, expected) in cases {
        let response = send(origin, "/", cookies).await;
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (200, expected.as_bytes()), "{name}");
    }
    assert_eq!(send(origin, "/auth/login", &[]).await.status(), 303);
}

async fn send(origin: &str, path: &str, cookies: &[&str]) -> Response<Bytes> {
    let mut request = Request::get(format!("{origin}{path}")).body(Body::empty()).unwrap();
    for cookie in cookies {
        request.headers_mut().append(COOKIE, cookie.parse().unwrap());
    }
    let port = request.uri().port_u16().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
    assert_eq!(parts.version, Version::HTTP_2);
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}

fn routes() -> Router {
    Router::new().route("/", get(page))
}
