//! What users of sign-in software beg for, each with a number, and what happens here.
//!
//! | id | what must not happen, or must |
//! |---|---|
//! | u01 | a second tab breaks the first |
//! | u02 | abandoned sign-ins pile up as cookies until the server refuses the header |
//! | u03 | pending sign-ins fill the server's memory |
//! | u05 | cookies of the layer show up in logs on the way to the application, or at servers behind a proxy |
//! | u08 | a script is redirected to another origin instead of being told |
//! | u09 | the 401 of a script can't be read for want of CORS headers |
//! | u10 | a CORS preflight is redirected, or reaches the handler |
//! | u11 | the fragment of a page is lost by signing in |
//! | u12 | a form that somebody filled in is thrown away by a redirect |
//! | u13 | signing in runs in circles |
//! | u14 | an error at the callback leads straight back to the provider |
//! | u15 | a failure says nothing one can act on |
//! | u16 | a browser that asks twice breaks its own sign-in |
//! | u18 | the back button or a reload of the callback ends in an error without a way out |
//! | u19 | a prefetch starts or ends a session |
//! | u20 | headers of a proxy change where the browser is sent |
//! | u33 | declining at the provider is treated as a breakdown |
//! | u34 | who came with the wrong account can't change it |
//! | u22 | a provider that is down keeps the application from starting |
//! | u35 | a WebSocket is answered with a redirect that nobody can follow |
//!
//! Others stand where their subject is: u04 (large sessions) in `tests/chunks.rs`, and with a store in
//! `tests/stored/`; u06, u07, u25, u28 (refresh) in `tests/tokens/`; u25 (a store that is away) in `tests/stored/`; u21, u24, u35, u37 (clocks, keys, streams, staleness) in
//! `tests/sessions/`, u21 in `tests/check.rs` too; u31 (a stand-in for development) in `tests/flow.rs`; u36 (cost) in
//! `tests/allocations.rs`.
//!
//! What can't apply: u17 (answers by POST) and u23 (signing keys of the provider) ask for OpenID Connect, which no provider
//! here speaks; BitBadges knows neither a sign-out that applications can start (u26) nor one that it tells them of (u27), and
//! compares redirect URIs byte for byte, so each preview deployment (u32) registers its own.

#![allow(missing_docs, reason = "tests")]

mod accounts;
mod arguments;
mod between;
mod detours;
mod extractors;
mod fragments;
mod guards;
#[path = "../support/log.rs"]
mod log;
mod logged;
mod looks;
mod loops;
mod nested;
mod pages;
mod predicates;
mod proxies;
mod rounds;
mod shown;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;
mod tabs;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::{Request, Response};
use support::{Browser, code};
use tower_signin::{Identity, siwbb};

use crate::site::Site;

/// A page for who is signed in, one that nobody may see, and a handler that takes who it is.
fn routes(site: &Site) -> Router {
    Router::new()
        .route("/guarded", any(async || "secret").layer(site.sign_in.require()))
        .route("/owners", any(async || "secret").layer(site.sign_in.require_where(siwbb::chain("none"))))
        .route("/argument", any(async |who: Identity| who.subject().to_owned()))
}

/// Sends a request with this browser's cookies through the layer around `router`, and keeps what comes back.
async fn visit(
    site: &Site,
    router: &Router,
    browser: &mut Browser,
    request: http::request::Builder,
) -> Response<Bytes> {
    let response = site.through(router, browser, request).await;
    browser.keep(&response);
    response
}

/// A request of a script.
fn fetch(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty")
}

fn told(response: &Response<Bytes>) -> (u16, String) {
    (response.status().as_u16(), code(response))
}
