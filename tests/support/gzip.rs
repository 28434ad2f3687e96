//! A body in gzip, as tower-http makes it.

#![allow(unreachable_pub, reason = "tests")]

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};

pub async fn gzip(body: Bytes) -> Bytes {
    let service = service_fn(move |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::new(body.clone())))));
    let request = Request::builder().header("accept-encoding", "gzip").body(()).unwrap();
    let answer = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(0))
        .layer(service)
        .oneshot(request)
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    answer.into_body().collect().await.unwrap().to_bytes()
}
