//! The providers beside BitBadges: the whole layer around each, against a server of the tests' own on a socket.

#![allow(missing_docs, reason = "tests")]

mod app;
#[path = "../support/log.rs"]
mod log;
mod oauth2;
mod oidc;
mod server;
mod several;
#[path = "../support/mod.rs"]
mod support;
