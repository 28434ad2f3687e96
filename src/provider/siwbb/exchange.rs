//! The answers of the token route, read with distrust.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{Response, StatusCode};
use serde::{Deserialize, Deserializer};

use super::account::{Account, Mismatch};
use crate::error::{Error, ErrorKind};
use crate::oauth::token::Tokens;
use crate::provider::Grant;

/// The success body, and the body of a refusal. Unknown members are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    address: String,
    #[serde(default)]
    chain: String,
    #[serde(default)]
    bitbadges_address: String,
    verification_response: Option<Verification>,
    #[serde(default, rename = "access_token")]
    access_token: String,
    #[serde(rename = "token_type")]
    token_type: Option<String>,
    #[serde(default, rename = "access_token_expires_at", deserialize_with = "milliseconds")]
    access_expires_at: Option<SystemTime>,
    #[serde(rename = "refresh_token")]
    refresh_token: Option<String>,
    #[serde(default, rename = "refresh_token_expires_at", deserialize_with = "milliseconds")]
    refresh_expires_at: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Verification {
    success: bool,
}

/// What a token answer means. A first exchange must say that verification succeeded; a refresh says nothing of it.
pub(super) fn grant(response: &Response<Bytes>, is_refresh: bool) -> Result<Grant, Error> {
    if response.status() == StatusCode::UNAUTHORIZED
        && json::<Answer>(response).is_ok_and(|answer| answer.verification_response.is_some())
    {
        return Err(ErrorKind::NotVerified.into());
    }
    check_status(response)?;
    let answer: Answer = json(response)?;
    let verified = answer.verification_response.as_ref().map(|verification| verification.success);
    if verified == Some(false) || (verified.is_none() && !is_refresh) {
        return Err(ErrorKind::NotVerified.into());
    }
    if answer.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unreadable("the token type is not Bearer"));
    }
    if answer.access_token.is_empty() {
        return Err(unreadable("there is no access token"));
    }
    let mut tokens =
        Tokens::new(answer.access_token).with_expiries(answer.access_expires_at, answer.refresh_expires_at);
    if let Some(refresh_token) = answer.refresh_token.filter(|token| !token.is_empty()) {
        tokens = tokens.with_refresh_token(refresh_token);
    }
    let account = Account::checked(answer.address, answer.bitbadges_address, answer.chain).map_err(|mismatch| {
        unreadable(match mismatch {
            Mismatch::NotBitBadges => "there is no valid bitbadgesAddress",
            Mismatch::NotTheSame => "address and bitbadgesAddress are of different accounts",
        })
    })?;
    Ok(Grant::new(account.bitbadges_address.clone(), &account)?.with_tokens(tokens))
}

/// Sorts out every status but success. Much of what is the caller's mistake comes as 500 from this API.
pub(super) fn check_status(response: &Response<Bytes>) -> Result<(), Error> {
    let status = response.status();
    let kind = match status {
        _ if status.is_success() => return Ok(()),
        StatusCode::UNAUTHORIZED => ErrorKind::CredentialsRejected,
        StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS => {
            let reason = if status == StatusCode::PAYMENT_REQUIRED { "no API credits left" } else { "rate limit" };
            return Err(Error::new(ErrorKind::ProviderBusy)
                .with_reason(reason)
                .with_retry_after(retry_after(response)));
        }
        _ if status.is_client_error() || status.is_server_error() => ErrorKind::ExchangeRejected,
        _ => return Err(unreadable("a redirect or another unexpected status")),
    };
    let error = Error::new(kind);
    Err(match known_reason(response) {
        Some(reason) => error.with_reason(reason),
        None => error,
    })
}

/// Reads JSON. What is wrong with it is told by place only: the text may hold secrets.
pub(super) fn json<T: for<'a> Deserialize<'a>>(response: &Response<Bytes>) -> Result<T, Error> {
    serde_json::from_slice(response.body()).map_err(|error| {
        unreadable("it is not the JSON expected").with_source(format!(
            "{:?} at line {} column {} of {} bytes",
            error.classify(),
            error.line(),
            error.column(),
            response.body().len()
        ))
    })
}

fn unreadable(reason: &'static str) -> Error {
    Error::new(ErrorKind::ProviderAnswer).with_reason(reason)
}

/// The answer's `errorMessage` where it is one of the texts this route is known to give. Any other may repeat what was
/// sent, secrets included, and is never shown or logged.
fn known_reason(response: &Response<Bytes>) -> Option<&'static str> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        #[serde(default)]
        error_message: String,
    }
    const KNOWN: &[(&str, &str)] = &[
        ("Error in mustGetFromDB()", "unknown code or client id"),
        ("Invalid code", "invalid code"),
        ("Expired.", "the code has expired"),
        ("Not recent enough", "the code is too old"),
        ("Invalid client secret", "invalid client secret"),
        ("Invalid redirect URI", "the redirect URI is not registered"),
        ("Invalid client ID", "invalid client id or redirect URI"),
        ("Invalid request payload", "the request was not understood"),
        ("Invalid grant type", "invalid grant type"),
        ("Invalid refresh token", "invalid refresh token"),
        ("Refresh token expired", "the refresh token has expired"),
        ("Unauthorized request. Error validating API key", "invalid API key"),
        ("Unauthorized request. This route", "no API key"),
    ];
    let failure: Failure = serde_json::from_slice(response.body()).ok()?;
    KNOWN.iter().find(|(start, _)| failure.error_message.starts_with(start)).map(|(_, reason)| *reason)
}

/// Seconds from `Retry-After`, within reason; half a minute if there are none.
fn retry_after(response: &Response<Bytes>) -> u32 {
    response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok())
        .map_or(30, |seconds| seconds.clamp(1, 600))
}

/// Milliseconds since 1970, as a number or as a decimal string: the documentation has both.
fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrString {
        Number(u64),
        Float(f64),
        String(String),
    }
    let milliseconds = match Option::<NumberOrString>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(NumberOrString::Number(number)) => Some(number),
        // Some encoders write whole numbers as 1.7e12.
        Some(NumberOrString::Float(number)) if (0.0..9e15).contains(&number) => Some(number as u64),
        Some(NumberOrString::Float(_)) => None,
        Some(NumberOrString::String(text)) => text.parse().ok(),
    };
    milliseconds
        .and_then(|milliseconds| UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)))
        .map(Some)
        .ok_or_else(|| serde::de::Error::custom("not a time in milliseconds"))
}
