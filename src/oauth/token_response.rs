//! The answers of a token endpoint (RFC 6749 sections 5.1 and 5.2) and a revocation endpoint (RFC 7009 section 2.2), read with
//! distrust.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{busy, failed, json, unreadable, whole_number};
use super::token::Tokens;
use crate::error::{Error, ErrorKind};

/// What a token endpoint gave.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    /// With the scope that was granted, where it was told.
    pub(crate) tokens: Tokens,
    /// Unread, and so nothing to go by yet.
    #[cfg_attr(not(feature = "oidc"), allow(dead_code, reason = "OpenID Connect alone has one"))]
    pub(crate) id_token: Option<SecretString>,
}

impl TokenResponse {
    /// The answer to a code. `asked_at` is when the request was made, which the lifetime counts from.
    pub(crate) fn to_code(response: &Response<Bytes>, asked_at: SystemTime) -> Result<Self, Error> {
        Self::read(response, asked_at, Asked::Code)
    }

    /// The answer to a refresh token. What it leaves out stays as it was (RFC 6749 section 6), which is for the layer to see to.
    pub(crate) fn to_refresh(response: &Response<Bytes>, asked_at: SystemTime) -> Result<Self, Error> {
        Self::read(response, asked_at, Asked::Refresh)
    }

    fn read(response: &Response<Bytes>, asked_at: SystemTime, asked: Asked) -> Result<Self, Error> {
        check_status(response, asked)?;
        let answer: Answer = json(response)?;
        if !answer.token_type.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err(unreadable("the token type is not Bearer"));
        }
        if !is_token(answer.access_token.expose_secret()) {
            return Err(unreadable("there is no access token that could be sent"));
        }
        let refresh_token = answer.refresh_token.filter(|token| !token.expose_secret().is_empty());
        let expires_at = lifetime(&answer.expires_in).and_then(|lifetime| asked_at.checked_add(lifetime));
        let mut tokens = Tokens::of(answer.access_token, refresh_token).with_expiries(expires_at, None);
        if let Some(scope) = scope(answer.scope)? {
            tokens = tokens.with_scope(scope);
        }
        Ok(Self { tokens, id_token: answer.id_token.filter(|token| !token.expose_secret().is_empty()) })
    }
}

/// Whether a revocation endpoint did its part. It says so of tokens that it does not know, too.
pub(crate) fn check_revocation(response: &Response<Bytes>) -> Result<(), Error> {
    check_status(response, Asked::Revocation)
}

/// Unknown members are ignored.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: SecretString,
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Value,
    refresh_token: Option<SecretString>,
    #[serde(default)]
    scope: Value,
    id_token: Option<SecretString>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Code,
    Refresh,
    Revocation,
}

/// Sorts out every answer but success. A status that tells of an outage is believed before anything else, since a refusal of a
/// refresh ends the session.
fn check_status(response: &Response<Bytes>, asked: Asked) -> Result<(), Error> {
    let status = response.status();
    match status {
        StatusCode::TOO_MANY_REQUESTS => return Err(busy("rate limit", response)),
        StatusCode::SERVICE_UNAVAILABLE => return Err(busy("status 503", response)),
        _ if status.is_server_error() => return Err(ErrorKind::ProviderFailed.into()),
        _ if !status.is_client_error() && !status.is_success() => {
            return Err(unreadable("a redirect or another unexpected status"));
        }
        // The answer to a revocation has no body that means anything.
        _ if status.is_success() && asked == Asked::Revocation => return Ok(()),
        _ => {}
    }
    let failure = match json::<Failure>(response) {
        Ok(failure) => failure.error,
        // The status alone says it (RFC 6749 section 5.2).
        Err(_) if status == StatusCode::UNAUTHORIZED => Value::Null,
        Err(error) => return Err(error),
    };
    match failure {
        // GitHub tells of every error with status 200.
        Value::Null if status.is_success() => Ok(()),
        // Google's word for a token that is over already.
        Value::String(code) if asked == Asked::Revocation && code == "invalid_token" => Ok(()),
        Value::Null if status == StatusCode::UNAUTHORIZED => Err(ErrorKind::CredentialsRejected.into()),
        code => Err(refusal(code.as_str().unwrap_or_default(), asked)),
    }
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    error: Value,
}

/// What an error code means. The code itself is shown only where it is one of these: any other text may repeat what was sent.
/// Of a refresh, `invalid_grant` alone says that these tokens are over; GitHub has a word of its own for it.
fn refusal(code: &str, asked: Asked) -> Error {
    use ErrorKind::{CredentialsRejected, ExchangeRejected, ProviderBusy, ProviderFailed};
    const KNOWN: &[(&str, ErrorKind)] = &[
        ("invalid_grant", ExchangeRejected),
        ("invalid_request", ExchangeRejected),
        ("invalid_scope", ExchangeRejected),
        ("unsupported_grant_type", ExchangeRejected),
        ("invalid_client", CredentialsRejected),
        ("unauthorized_client", CredentialsRejected),
        ("server_error", ProviderFailed),
        ("temporarily_unavailable", ProviderBusy),
        ("unsupported_token_type", ProviderFailed),
        // GitHub's.
        ("bad_verification_code", ExchangeRejected),
        ("bad_refresh_token", ExchangeRejected),
        ("redirect_uri_mismatch", ExchangeRejected),
        ("unverified_user_email", ExchangeRejected),
        ("incorrect_client_credentials", CredentialsRejected),
    ];
    let known = KNOWN.iter().find(|(known, _)| *known == code);
    let (reason, kind) = known.copied().unwrap_or(("an error code that is not known", ExchangeRejected));
    match (asked, kind) {
        (_, ProviderBusy) => Error::new(kind).with_reason(reason).with_retry_after(30),
        (Asked::Refresh, ExchangeRejected) if !matches!(reason, "invalid_grant" | "bad_refresh_token") => {
            failed(reason)
        }
        (Asked::Revocation, ExchangeRejected) => failed(reason),
        _ => Error::new(kind).with_reason(reason),
    }
}

/// Visible ASCII and space (RFC 6749 appendix A.12), which a header carries.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// How long the token lives. None at all, a negative one or one that can't be read says nothing: whoever has just been given a
/// token is not to be sent away for it.
fn lifetime(expires_in: &Value) -> Option<Duration> {
    whole_number(expires_in).filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// Twitch has an array of them.
fn scope(value: Value) -> Result<Option<String>, Error> {
    let unexpected = || unreadable("the scope is not text");
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Array(scopes) => {
            let scopes: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
            Ok(Some(scopes.ok_or_else(unexpected)?.join(" ")))
        }
        _ => Err(unexpected()),
    }
}

#[cfg(test)]
mod tests;
