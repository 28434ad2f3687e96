//! Sign in with BitBadges in front of a gRPC service and its pages, on one port.
//!
//! `cargo run --example tonic`, then open the address it prints and sign in.
//! `cargo run --example tonic -- client http://localhost:3000 'COOKIE'` asks the service who has that cookie.

mod common;

use std::convert::Infallible;
use std::env;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use common::{BoxError, home_page, listening, me_json, say, setup};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::NamedService;
use tonic::service::{LayerExt as _, Routes};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;
use tower_signin::{Identity, SignIn};

const ASK: &str = "/signin.example.WhoAmI/Ask";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let mut arguments = env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next(), arguments.next()) {
        (None, ..) => serve().await,
        (Some("client"), Some(origin), cookie) => ask(origin, cookie).await,
        _ => Err("usage: tonic [client ORIGIN [COOKIE]]".into()),
    }
}

async fn serve() -> Result<(), BoxError> {
    let setup = setup(|builder| builder).await?;
    let sign_in = setup.sign_in.clone();
    let app = Router::new()
        .route("/", get(home))
        .route("/me", get(me).layer(sign_in.require()))
        .with_state(sign_in.clone())
        .merge(Routes::new(sign_in.require().named_layer(WhoAmI)).into_axum_router().reset_fallback());
    let address = ([127, 0, 0, 1], setup.port).into();
    let incoming = tonic::transport::server::TcpIncoming::bind(address)?;
    listening(setup.port);
    // Browsers speak HTTP/1 to an http origin.
    let server = Server::builder().accept_http1(true).layer(sign_in.layer());
    Ok(server.serve_with_incoming(Routes::from(app), incoming).await?)
}

async fn home(State(sign_in): State<SignIn>, identity: Option<Identity>) -> Html<String> {
    Html(home_page(&sign_in, identity.as_ref()))
}

async fn me(identity: Identity) -> Result<impl IntoResponse, StatusCode> {
    let json = me_json(&identity).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, "application/json")], json))
}

/// The RPC: the subject of who asks. Whoever is not signed in gets status 16 from the guard.
async fn who_am_i(request: Request<()>) -> Result<Response<String>, Status> {
    let identity = request.extensions().get::<Identity>();
    let identity = identity.ok_or_else(|| Status::unauthenticated("nobody is signed in"))?;
    Ok(Response::new(identity.subject().to_owned()))
}

/// What tonic-build would generate from `rpc Ask(google.protobuf.Empty) returns (google.protobuf.StringValue)`.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "signin.example.WhoAmI";
}

impl Service<http::Request<Body>> for WhoAmI {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != ASK {
                return Ok(Status::unimplemented("there is only Ask").into_http());
            }
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, ()>::default());
            Ok(grpc.unary(service_fn(who_am_i), request).await)
        })
    }
}

/// The client mode: prints the subject, or the status.
async fn ask(origin: String, cookie: Option<String>) -> Result<(), BoxError> {
    let mut grpc = tonic::client::Grpc::new(Endpoint::from_shared(origin)?.connect().await?);
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.metadata_mut().insert("cookie", cookie.parse()?);
    }
    grpc.ready().await?;
    match grpc.unary(request, http::uri::PathAndQuery::from_static(ASK), ProstCodec::<(), String>::default()).await {
        Ok(answer) => say(answer.get_ref()),
        Err(status) => say(&format!("status {}: {}", status.code() as i32, status.message())),
    }
    Ok(())
}
