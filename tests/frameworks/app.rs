//! What every framework serves here, and a place to serve it at.

use std::future::Future;
use std::pin::pin;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{BoxError, Service};
use tower_signin::dev::DevProvider;
use tower_signin::{Builder, Identity, SignIn, SignedIn};

use crate::support::{Browser, alice, location, sign_in_at, text};

/// On every answer of the app, so that it is told from one of the layer's own.
pub(crate) const FROM_THE_APP: &str = "x-from-the-app";

/// Who is there; a callback that was handed on goes to its target.
pub(crate) fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
    let mut response = Response::new(Full::from(who));
    response.headers_mut().insert(FROM_THE_APP, HeaderValue::from_static("yes"));
    if request.method() == Method::OPTIONS {
        *response.status_mut() = StatusCode::NO_CONTENT;
    } else if let Some(signed_in) = request.extensions().get::<SignedIn>() {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(LOCATION, signed_in.return_to().parse().unwrap());
    }
    response
}

/// [`answer`] as a handler of axum.
pub(crate) async fn page(request: axum::extract::Request) -> axum::response::Response {
    answer(&request).map(axum::body::Body::new)
}

/// A socket, the `SignIn` for it, and the provider behind it.
pub(crate) struct Site {
    pub(crate) listener: TcpListener,
    pub(crate) origin: String,
    pub(crate) sign_in: SignIn,
    pub(crate) dev: DevProvider,
}

impl Site {
    pub(crate) async fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let dev = DevProvider::start().await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let sign_in = sign_in_at(&dev, &origin, configure);
        Self { listener, origin, sign_in, dev }
    }

    pub(crate) async fn in_mode(forward: bool) -> Self {
        Self::new(|builder| if forward { builder.forward_callback() } else { builder }).await
    }
}

/// Runs `server` for as long as `client` takes.
pub(crate) async fn while_serving<T>(
    server: impl Future<Output: std::fmt::Debug>,
    client: impl Future<Output = T>,
) -> T {
    let (mut server, mut client) = (pin!(server), pin!(client));
    tokio::select! {
        ended = &mut server => panic!("the server ended: {ended:?}"),
        result = &mut client => result,
    }
}

/// hyper over HTTP/1 and h2c, with nothing between it and the service.
pub(crate) async fn serve_hyper<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// A person signs in, is known, and signs out.
pub(crate) async fn a_person_signs_in_and_out(name: String, origin: &str, forward: bool) {
    let home = format!("{origin}/");
    let mut browser = Browser::new();
    let answer = browser.get(&home).await;
    assert_eq!((answer.status().as_u16(), text(&answer)), (200, "nobody"), "{name}");

    let answer = browser.sign_in(origin, "/deep?x=1").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/deep?x=1"), "{name}");
    assert_eq!(answer.headers().contains_key(FROM_THE_APP), forward, "{name}");
    let answer = browser.get(&home).await;
    assert_eq!((answer.status().as_u16(), text(&answer)), (200, alice().as_str()), "{name}");

    let answer = browser.post(&format!("{origin}/auth/logout"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"), "{name}");
    assert_eq!(text(&browser.get(&home).await), "nobody", "{name}");
}
