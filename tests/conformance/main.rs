//! What the conformance suite of the OpenID Foundation and the specifications demand of a client, row by row.
//!
//! Each file is a section: its rows first, then its tests, each named by its row. `docs/conformance.md` is the matrix of them.

#![allow(missing_docs, reason = "tests")]

#[path = "../providers/app.rs"]
mod app;
#[path = "../support/log.rs"]
mod log;
#[path = "../support/named.rs"]
mod named;
#[path = "../providers/stage.rs"]
mod stage;
#[path = "../support/mod.rs"]
mod support;

mod elsewhere;
mod index;
mod rows;
mod told;
mod trial;

mod answers;
mod basic;
mod configuration;
mod cookies;
mod extensions;
mod further;
mod id_token;
mod logout;
mod refresh;
mod requests;
mod sign_out;
mod tokens;
