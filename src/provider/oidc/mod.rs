//! OpenID Connect.
#![allow(dead_code)]
mod algorithm;
mod cache;
mod expected;
mod id_token;
mod keys;
mod members;
mod metadata;
#[cfg(test)]
mod signing;

pub use self::algorithm::SigningAlgorithm;
