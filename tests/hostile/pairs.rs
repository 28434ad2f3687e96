//! Pairs of tokens that the provider gives bob, and an app that says which it was handed.

use std::fmt::Display;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use serde_json::Value;
use tower_signin::{Identity, Tokens};

use crate::site::BOB_ANSWER;

/// The answer that brings the pair of this name, whose access token ends at this second.
pub(crate) fn pair(name: impl Display, ends_at: u64) -> Value {
    let mut pair: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    pair["access_token"] = format!("at-{name}").into();
    pair["refresh_token"] = format!("rt-{name}").into();
    pair["access_token_expires_at"] = (ends_at * 1000).into();
    pair
}

/// Says who is there, and with which access token.
pub(crate) fn holder() -> Router {
    Router::new().fallback(any(async |request: Request| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
        format!("{who} {}", request.extensions().get::<Tokens>().map_or("none", Tokens::access_token))
    }))
}
