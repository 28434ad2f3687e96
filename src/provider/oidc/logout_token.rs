//! Logout tokens (OpenID Connect Back-Channel Logout section 2.4): what they must claim. Their signature is verified as that of
//! an ID token is.

use std::time::SystemTime;

use super::Oidc;
use super::expected::{Claims, Expected, LONGEST_SUBJECT};
use super::id_token::{Signed, Unverified, rejected};
use super::tokens::{expected, signed};
use crate::clock::{from_unix_seconds, unix_seconds};
use crate::error::{Error, ErrorKind};
use crate::provider::Context;
use crate::provider::logout_notice::LogoutNotice;

/// What `typ` says of a logout token, if it says anything.
const TYPE: &str = "logout+jwt";

/// The provider chooses how long its ids are; longer ones name nothing here.
pub(super) const LONGEST_SESSION_ID: usize = 255;
const LONGEST_TOKEN_ID: usize = 255;

/// Seconds for which a token may be good, since its id is remembered for as long. Section 4 speaks of two minutes.
const LONGEST_LIFE: u64 = 24 * 60 * 60;

pub(super) async fn notice(provider: &Oidc, context: Context<'_>, token: &str) -> Result<LogoutNotice, Error> {
    let token = Unverified::parse_as(Some(TYPE), token, &provider.signing_algorithms).map_err(of_logout)?;
    let metadata = provider.metadata(context).await?;
    let token = signed(provider, context, &metadata, token).await.map_err(of_logout)?;
    read(&expected(provider, context), &token).map_err(of_logout)
}

/// The checks are those of an ID token; what is refused here is none.
fn of_logout(error: Error) -> Error {
    match error.kind() {
        ErrorKind::IdTokenRejected => error.of_kind(ErrorKind::LogoutTokenRejected),
        _ => error,
    }
}

/// Section 2.6, in its order.
fn read(expected: &Expected<'_>, token: &Signed) -> Result<LogoutNotice, Error> {
    let claims = Claims(&token.claims);
    expected.check_issuer(claims)?;
    expected.check_audience(claims)?;
    expected.check_times(claims)?;
    let subject = named(claims, "sub", LONGEST_SUBJECT, "sub is empty or too long")?;
    let session_id = named(claims, "sid", LONGEST_SESSION_ID, "sid is empty or too long")?;
    if subject.is_none() && session_id.is_none() {
        return Err(rejected("there is neither sub nor sid"));
    }
    if !claims.is_of_logout() {
        return Err(rejected("events does not say that it is a logout token"));
    }
    // Whatever it is: an ID token has one, and must not pass for this.
    if token.claims.contains_key("nonce") {
        return Err(rejected("it has a nonce, like an ID token"));
    }
    let token_id = named(claims, "jti", LONGEST_TOKEN_ID, "jti is empty or too long")?;
    let token_id = token_id.ok_or_else(|| rejected("jti is missing"))?;
    let mut notice = LogoutNotice::new(token_id, acceptable_until(expected, claims)?);
    if let Some(subject) = subject {
        notice = notice.with_subject(subject);
    }
    if let Some(session_id) = session_id {
        notice = notice.with_session_id(session_id);
    }
    Ok(notice)
}

fn acceptable_until(expected: &Expected<'_>, claims: Claims<'_>) -> Result<SystemTime, Error> {
    let expires = claims.time("exp")?.and_then(|expires| u64::try_from(expires).ok()).unwrap_or_default();
    if expires > unix_seconds(expected.now).saturating_add(LONGEST_LIFE) {
        return Err(rejected("exp is more than a day ahead"));
    }
    Ok(from_unix_seconds(expires.saturating_add(expected.clock_skew)))
}

fn named<'a>(
    claims: Claims<'a>,
    name: &'static str,
    longest: usize,
    wrong: &'static str,
) -> Result<Option<&'a str>, Error> {
    match claims.text(name)? {
        Some(text) if !(1..=longest).contains(&text.len()) => Err(rejected(wrong)),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests;
