//! The protocol, pure: no I/O, no clock, no randomness of its own.

pub(crate) mod answer;
pub(crate) mod authorize;
pub(crate) mod callback;
pub(crate) mod client_authentication;
pub(crate) mod end_session;
pub(crate) mod nonce;
pub(crate) mod pkce;
pub(crate) mod query;
pub(crate) mod state;
pub(crate) mod token;
pub(crate) mod token_request;
pub(crate) mod token_response;
pub(crate) mod user_info;
