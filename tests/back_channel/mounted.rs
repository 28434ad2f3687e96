//! In axum, hyper and tonic, inside and outside the other layer, over sockets; and what goes by.

use std::convert::Infallible;
use std::task::{Context, Waker};

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::limit::ConcurrencyLimitLayer;
use tower::util::MapRequest;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};

use crate::double::Kind;
use crate::strict::Strict;
use crate::support::{address_of, raw, send};
use crate::{PATH, Told, post, token};

/// Answers the length of what it reads.
async fn echo(body: Bytes) -> String {
    format!("the app read {}", body.len())
}

fn router() -> Router {
    Router::new().route("/echo", any(echo)).fallback(|| async { (http::StatusCode::NOT_FOUND, "not here") })
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    (listener, origin)
}

async fn over_hyper<S, B>(service: S) -> (JoinHandle<()>, String)
where
    S: Service<Request<hyper::body::Incoming>, Response = Response<B>, Error: Into<tower::BoxError>>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data: Send, Error: Into<tower::BoxError>> + Send + 'static,
{
    let (listener, origin) = listener().await;
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (server, origin)
}

/// A token ends a session, and every other request goes to the app with its body.
async fn works(name: &str, told_of: &Told, (server, origin): (JoinHandle<()>, String)) {
    let browser = told_of.site.signed_in().await;
    let request = |token: &str| {
        let (mut parts, body) = post(token).into_parts();
        parts.uri = format!("{origin}{PATH}").parse().unwrap();
        Request::from_parts(parts, body)
    };
    let once = token().to_string();
    for (token, status) in [("token", 400), (&once, 200), (&once, 400)] {
        assert!(status != 200 || told_of.knows(&browser).await, "{name}");
        let answer = send(request(token)).await.unwrap();
        assert_eq!(answer.status(), status, "{name}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{name}");
    }
    assert!(!told_of.knows(&browser).await, "{name}");

    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n"
    );
    let chunk = format!("{:x}\r\n{}\r\n", 32 * 1024, "x".repeat(32 * 1024));
    for (said, rest) in [
        ("more than is read", "content-length: 65537\r\n\r\n".to_owned()),
        ("more than there could be", "content-length: 999999999999999\r\n\r\n".to_owned()),
        ("too much in chunks", format!("transfer-encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}0\r\n\r\n")),
    ] {
        let answer = raw(address_of(&origin), &format!("{head}{rest}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}, {said}: {answer}");
    }
    for (path, expected) in [("/echo", "the app read 3"), ("/api/backchannel-logout/", "not here")] {
        let echo = Request::post(format!("{origin}{path}")).body(Bytes::from_static(b"abc")).unwrap();
        let answer = send(echo).await.unwrap();
        assert_eq!(answer.body(), expected, "{name}, {path}");
        assert!(!answer.headers().contains_key("pragma"), "{name}, {path}");
    }
    server.abort();
}

#[tokio::test]
async fn in_axum_inside_and_outside_the_other_layer() {
    for is_outside in [true, false] {
        let told_of = Told::new(Kind::Sealed);
        let (listener, origin) = listener().await;
        let (layer, sign_in) = (told_of.layer.clone(), told_of.site.sign_in.layer());
        let router =
            if is_outside { router().layer(sign_in).layer(layer) } else { router().layer(layer).layer(sign_in) };
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        works(&format!("axum, outside: {is_outside}"), &told_of, (server, origin)).await;
    }
}

#[tokio::test]
async fn around_hyper() {
    let told_of = Told::new(Kind::Later);
    let inner = service_fn(|request: Request<hyper::body::Incoming>| async move {
        let path = request.uri().path().to_owned();
        let length = request.into_body().collect().await.unwrap().to_bytes().len();
        let body = if path == "/echo" { format!("the app read {length}") } else { "not here".to_owned() };
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(body)))
    });
    let outside = told_of.layer.layer(told_of.site.sign_in.layer().layer(inner));
    works("hyper, outside", &told_of, over_hyper(outside).await).await;
    let told_of = Told::new(Kind::Later);
    let inside = told_of.site.sign_in.layer().layer(told_of.layer.layer(inner));
    works("hyper, inside", &told_of, over_hyper(inside).await).await;
}

#[tokio::test]
async fn around_tonic() {
    let told_of = Told::new(Kind::Private);
    let (listener, origin) = listener().await;
    let server = tonic::transport::Server::builder()
        .accept_http1(true)
        .layer(told_of.layer.clone())
        .layer(told_of.site.sign_in.layer())
        .add_routes(tonic::service::Routes::from(router()));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tokio::spawn(async move { server.serve_with_incoming(incoming).await.unwrap() });
    works("tonic", &told_of, (server, origin)).await;
}

#[tokio::test]
async fn readiness_is_kept_for_what_goes_by_and_given_back_for_what_does_not() {
    let told_of = Told::new(Kind::Later);
    let inner = Strict::new(|request| request.uri().path().to_owned());
    let inner = MapRequest::new(inner, |request: Request<Full<Bytes>>| request.map(|_| Bytes::new()));
    let mut service = told_of.layer.layer(ConcurrencyLimitLayer::new(1).layer(inner));
    let mut other = service.clone();
    let waiting = service.ready().await.unwrap().call(Request::get("/page").body(Full::default()).unwrap());
    assert!(!is_ready(&mut other), "its turn is kept");
    let page = waiting.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(page, "/page");
    other = service.clone();
    let answering = service.ready().await.unwrap().call(post(&token().to_string()).map(Full::new));
    assert!(is_ready(&mut other), "it is given back at once");
    assert_eq!(answering.await.unwrap().status(), 200);
}

fn is_ready<S: Service<Request<Full<Bytes>>>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}
