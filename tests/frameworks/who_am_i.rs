//! One RPC that answers who asks, and a client of it.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::transport::Endpoint;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;
use tower_signin::Identity;

#[derive(Clone)]
pub(crate) struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
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
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<String, ()>::default());
            Ok(grpc.unary(service_fn(who_am_i), request).await)
        })
    }
}

async fn who_am_i(request: Request<()>) -> Result<Response<String>, Status> {
    let identity = request.extensions().get::<Identity>();
    let identity = identity.ok_or_else(|| Status::unauthenticated("nobody is signed in"))?;
    Ok(Response::new(identity.subject().to_owned()))
}

pub(crate) async fn ask(origin: &str, cookie: Option<&str>) -> Result<String, Status> {
    let channel = Endpoint::from_shared(origin.to_owned()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.metadata_mut().insert("cookie", cookie.parse().unwrap());
    }
    let path = PathAndQuery::from_static("/test.WhoAmI/Ask");
    let answer = grpc.unary(request, path, ProstCodec::<(), String>::default()).await?;
    Ok(answer.into_inner())
}
