//! Sign in with BitBadges in front of plain hyper: `cargo run --example hyper`, then open the address it prints.

mod common;

use std::convert::Infallible;

use common::{BoxError, home_page, listening, me_json, setup};
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::Identity;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let setup = setup(|builder| builder).await?;
    let sign_in = setup.sign_in.clone();

    let guarded_me = sign_in.require().layer(service_fn(me));
    let pages = service_fn(move |request: Request<Incoming>| {
        let (sign_in, guarded_me) = (setup.sign_in.clone(), guarded_me.clone());
        async move {
            match (request.method(), request.uri().path()) {
                (&Method::GET, "/") => {
                    let page = home_page(&sign_in, request.extensions().get());
                    Ok(answer(StatusCode::OK, "text/html; charset=utf-8", page).map(BoxBody::new))
                }
                (&Method::GET, "/me") => Ok::<_, Infallible>(guarded_me.oneshot(request).await?.map(BoxBody::new)),
                _ => Ok(answer(StatusCode::NOT_FOUND, "text/plain", "Not found".to_owned()).map(BoxBody::new)),
            }
        }
    });
    let app = sign_in.layer().layer(pages);

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", setup.port)).await?;
    listening(setup.port);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
}

/// Behind the guard, so that there always is somebody.
async fn me(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let json = request.extensions().get::<Identity>().and_then(|identity| me_json(identity).ok());
    Ok(answer(StatusCode::OK, "application/json", json.unwrap_or_default()))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
