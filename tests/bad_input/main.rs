//! Bad input of every kind, through the public layer: the right status, no request to the provider, the flow spent or
//! untouched, the inner service never called.

#![allow(missing_docs, reason = "tests")]

#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod callback;
mod config;
mod login;
mod logout;
mod methods;
mod sessions;
