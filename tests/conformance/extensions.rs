//! Extensions of OAuth 2.0 that FAPI builds on. None of them is built yet, and nothing pretends to be one.

use crate::rows::Level::Must;
use crate::rows::Verdict::Later;
use crate::rows::{Row, row};

pub(crate) const ROWS: &[Row] = &[
    row(
        "C64",
        Must,
        "push an authorization request once, use its `request_uri` once, and push again where it has ended",
        Later("requests are not pushed: what they hold is bound by state, nonce and PKCE"),
    ),
    row(
        "C65",
        Must,
        "prove possession of a key with each token (DPoP)",
        Later("tokens are bearer tokens, which leave this process for the provider alone or where the app sends them"),
    ),
    row(
        "C66",
        Must,
        "prefer the aliases of endpoints where mutual TLS is used",
        Later("there is no client authentication by mutual TLS yet, see C28"),
    ),
    row(
        "C67",
        Must,
        "sign authorization requests with issuer, audience and end, and hide no request in a request",
        Later("requests are not signed; `request` and `request_uri` can't be set as further parameters"),
    ),
];
