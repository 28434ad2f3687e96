//! What is known of a signed-in user where the peer leaves that to the application.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{ISSUER, SUBJECT};

/// The same as in a session of tower-signin: who, the provider's claims, since when and until when.
#[derive(Deserialize, Serialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) address: String,
    pub(super) chain: String,
    pub(super) iat: u64,
    pub(super) exp: u64,
}

impl Claims {
    /// Those of the signed-in user, for a day from now.
    pub(super) fn of_today() -> Self {
        let now = now();
        Self {
            iss: ISSUER.to_owned(),
            sub: SUBJECT.to_owned(),
            address: "0x0bc63cfe31d5218eb414b142c799e20964a54a1a".to_owned(),
            chain: "ETH".to_owned(),
            iat: now,
            exp: now + 24 * 60 * 60,
        }
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is past 1970").as_secs()
}
