//! What went wrong in sign-in software elsewhere, row by row, and that it doesn't happen here.
//!
//! Each file is a section: its rows first, then its tests, each named by its row. `docs/hostile.md` is the index of them.

#![allow(missing_docs, reason = "tests")]

#[path = "../support/double.rs"]
mod double;
#[path = "../support/gzip.rs"]
mod gzip;
#[path = "../support/log.rs"]
mod log;
#[path = "../support/named.rs"]
mod named;
#[allow(dead_code, reason = "the tests of the providers use the rest")]
#[path = "../providers/app.rs"]
mod openid_app;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/strict.rs"]
mod strict;
#[path = "../support/mod.rs"]
mod support;

mod anybody;
mod between;
mod guarded;
mod index;
mod landing;
mod pairs;
mod people;
mod rows;
mod stored;
mod targets;
mod trap;

mod addresses;
mod browser;
mod bypass;
mod claims;
mod cookies;
mod denial;
mod ends;
mod floods;
mod gates;
mod hardening;
mod headers;
mod id_tokens;
mod identity;
mod keys;
mod leaks;
mod machines;
mod paths;
mod peer_exchanges;
mod peers;
mod persons;
mod redirects;
mod sessions;
mod set_cookies;
mod signing_keys;
mod state;
mod tokens;
