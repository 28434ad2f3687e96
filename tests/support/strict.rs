//! A service that minds whether it was polled ready.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::convert::Infallible;
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_signin::BoxFuture;

pub fn is_ready<S: Service<Request<Bytes>>>(service: &mut S) -> bool {
    service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Answers what it reads in a request. It panics when called without having been polled ready; a clone starts over, as that
/// of `ConcurrencyLimit` does.
#[derive(Debug)]
pub struct Strict {
    is_ready: bool,
    read: fn(&Request<Bytes>) -> String,
}

impl Strict {
    pub fn new(read: fn(&Request<Bytes>) -> String) -> Self {
        Self { is_ready: false, read }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { is_ready: false, ..*self }
    }
}

impl Service<Request<Bytes>> for Strict {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "called without being ready");
        let read = (self.read)(&request);
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(Response::new(Full::from(read)))
        })
    }
}
