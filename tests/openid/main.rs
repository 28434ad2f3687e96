//! The layer against OpenID providers that others have written: npm's `oidc-provider` and PyPI's `oidc-provider-mock`, as
//! processes. A person goes through their own pages.

#![allow(missing_docs, reason = "tests")]

mod certified;
mod mock;
mod person;
mod provider;
mod restart;
#[path = "../support/redis_server.rs"]
mod server;
mod site;
#[path = "../support/mod.rs"]
mod support;
mod told;
#[path = "../frameworks/who_am_i.rs"]
mod who_am_i;
