//! The layer in axum, hyper and tonic, with other people's layers around and inside it.

#![allow(missing_docs, reason = "tests")]

mod app;
mod axum_routing;
mod cors;
mod effects;
mod extensions;
mod guard;
mod http2;
mod matrix;
mod matrix_grpc;
mod methods;
mod readiness;
mod stacks;
#[path = "../support/mod.rs"]
mod support;
mod who_am_i;

use axum::Router;
use axum::body::Body;
use http::Request;
use tower_signin::{
    BackChannelLogoutFuture, BackChannelLogoutLayer, BackChannelLogoutService, Builder, ConfigError, Error, ErrorKind,
    Identity, Keys, RequireFuture, RequireLayer, RequireService, ResponseBody, ResponseFuture, SignIn, SignInLayer,
    SignInService, SignedIn, Siwbb, Tokens,
};

/// Compiles or does not: what axum, hyper and tonic ask of services, layers, futures, bodies and extensions.
const _: () = {
    const fn is_send<T: Send + 'static>() {}
    const fn is_shared<T: Send + Sync + 'static>() {}
    const fn is_clone<T: Clone + Send + Sync + 'static>() {}

    is_clone::<SignIn>();
    is_clone::<SignInLayer>();
    is_clone::<SignInService<Router>>();
    is_clone::<BackChannelLogoutLayer>();
    is_clone::<BackChannelLogoutService<Router>>();
    is_clone::<RequireLayer>();
    is_clone::<RequireService<Router>>();
    is_clone::<Identity>();
    is_clone::<SignedIn>();
    is_clone::<ErrorKind>();
    is_shared::<Tokens>();
    is_shared::<Keys>();
    is_shared::<Siwbb>();
    is_shared::<Error>();
    is_shared::<ConfigError>();
    is_shared::<ResponseBody<String>>();
    is_send::<Builder>();
    is_send::<ResponseBody<Body>>();
    is_send::<ResponseFuture<Router, Body>>();
    is_send::<BackChannelLogoutFuture<<Router as tower::Service<Request<Body>>>::Future>>();
    is_send::<RequireFuture<<Router as tower::Service<Request<Body>>>::Future>>();
};
