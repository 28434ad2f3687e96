//! The wire of Sign In With BitBadges, vector by vector: what the documentation, the published SDK and the public 2024
//! server say goes over it, and what becomes of each answer. Constants are those of the documentation's examples.

#![allow(missing_docs, reason = "tests")]

#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod dev_provider;
mod exchange;
mod faults;
mod refusals;
mod requests;
mod tokens;
