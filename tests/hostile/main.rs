//! What went wrong in sign-in software elsewhere, row by row, and that it doesn't happen here.
//!
//! Each file is a section: its rows first, then its tests, each named by its row. `docs/hostile.md` is the index of them.

#![allow(missing_docs, reason = "tests")]

#[path = "../support/log.rs"]
mod log;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/strict.rs"]
mod strict;
#[path = "../support/mod.rs"]
mod support;

mod anybody;
mod guarded;
mod index;
mod landing;
mod people;
mod rows;
mod stored;
mod targets;
mod trap;

mod browser;
mod bypass;
mod cookies;
mod denial;
mod gates;
mod hardening;
mod headers;
mod identity;
mod leaks;
mod paths;
mod peers;
mod redirects;
mod sessions;
mod state;
mod tokens;
