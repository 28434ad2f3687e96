//! The protocol, pure: no I/O, no clock, no randomness of its own.

pub(crate) mod authorize;
pub(crate) mod callback;
pub(crate) mod end_session;
pub(crate) mod nonce;
pub(crate) mod pkce;
pub(crate) mod state;
pub(crate) mod token;
