//! Sign-in in both modes through other layers, around and inside ours, in every place a layer can be mounted.

use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use axum::routing::get;
use axum::{Router, ServiceExt};
use http::StatusCode;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{BoxError, ServiceBuilder, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tower_signin::dev::Account;

use crate::app::{Site, a_person_signs_in_and_out, answer, page, serve_hyper, while_serving};
use crate::support::alice;
use crate::who_am_i::{WhoAmI, ask};

/// `$layer` around ours, or inside. It is an expression, since what it is a layer of differs from place to place.
macro_rules! stack {
    (around, $layer:expr, $sign_in:expr) => {
        ServiceBuilder::new().map_err(Into::<BoxError>::into).layer($layer).layer($sign_in.layer())
    };
    (inside, $layer:expr, $sign_in:expr) => {
        ServiceBuilder::new().map_err(Into::<BoxError>::into).layer($sign_in.layer()).layer($layer)
    };
}

macro_rules! places {
    ($order:ident, $layer:expr) => {
        for forward in [false, true] {
            let name = |place: &str| format!("{} ours, {place}, forward: {forward}", stringify!($order));
            // axum's services don't fail; a layer may.
            let handle = HandleErrorLayer::new(failed);

            let site = Site::in_mode(forward).await;
            let stack = ServiceBuilder::new().layer(handle.clone()).layer(stack!($order, $layer, site.sign_in));
            let router = routes().layer(stack);
            let client = a_person_signs_in_and_out(name("Router::layer"), &site.origin, forward);
            while_serving(axum::serve(site.listener, router).into_future(), client).await;

            let site = Site::in_mode(forward).await;
            let stack = ServiceBuilder::new().layer(handle.clone()).layer(stack!($order, $layer, site.sign_in));
            let router =
                Router::new().route("/", get(page).layer(stack.clone())).route("/{*path}", get(page).layer(stack));
            let client = a_person_signs_in_and_out(name("MethodRouter::layer"), &site.origin, forward);
            while_serving(axum::serve(site.listener, router).into_future(), client).await;

            let site = Site::in_mode(forward).await;
            let stack = ServiceBuilder::new().layer(handle).layer(stack!($order, $layer, site.sign_in));
            let service = ServiceExt::<Request>::into_make_service(stack.service(routes()));
            let client = a_person_signs_in_and_out(name("around the Router"), &site.origin, forward);
            while_serving(axum::serve(site.listener, service).into_future(), client).await;

            let site = Site::in_mode(forward).await;
            let service = stack!($order, $layer, site.sign_in)
                .service(service_fn(async |request| Ok::<_, std::convert::Infallible>(answer(&request))));
            let client = a_person_signs_in_and_out(name("hyper"), &site.origin, forward);
            while_serving(serve_hyper(site.listener, service), client).await;

            let site = Site::in_mode(forward).await;
            let cookie = site.dev.signed_in_cookie(&site.sign_in, &Account::alice()).unwrap();
            let app = routes().merge(Routes::new(WhoAmI).into_axum_router().reset_fallback());
            let server = Server::builder()
                .accept_http1(true)
                .layer(stack!($order, $layer, site.sign_in))
                .serve_with_incoming(Routes::from(app), TcpIncoming::from(site.listener));
            let client = async {
                a_person_signs_in_and_out(name("tonic"), &site.origin, forward).await;
                assert_eq!(ask(&site.origin, Some(&cookie)).await.unwrap(), alice(), "{}", name("tonic"));
                let status = ask(&site.origin, None).await.unwrap_err();
                assert_eq!(status.code(), tonic::Code::Unauthenticated, "{}: {status:?}", name("tonic"));
            };
            while_serving(server, client).await;
        }
    };
}

macro_rules! test_with {
    ($name:ident, $layer:expr) => {
        #[tokio::test]
        async fn $name() {
            places!(around, $layer);
            places!(inside, $layer);
        }
    };
}

test_with!(concurrency_limit, ConcurrencyLimitLayer::new(1));
test_with!(buffer, BufferLayer::new(1));
test_with!(cors, CorsLayer::permissive());
test_with!(trace, TraceLayer::new_for_http());
test_with!(compression, CompressionLayer::new());
test_with!(timeout, TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(20)));

fn routes() -> Router {
    Router::new().route("/", get(page)).route("/auth/callback", get(page))
}

async fn failed(error: BoxError) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
