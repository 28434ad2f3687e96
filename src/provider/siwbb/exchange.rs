//! The answers of the token route, read with distrust.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::account::{Account, Mismatch};
use crate::error::{Error, ErrorKind};
use crate::oauth::answer::{busy, failed, is_object, json, object, unreadable, whole_number};
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
    verification_response: Option<Box<RawValue>>,
    #[serde(default, rename = "access_token")]
    access_token: SecretString,
    #[serde(rename = "token_type")]
    token_type: Option<String>,
    #[serde(default, rename = "access_token_expires_at")]
    access_expires_at: Value,
    #[serde(rename = "refresh_token")]
    refresh_token: Option<SecretString>,
    #[serde(default, rename = "refresh_token_expires_at")]
    refresh_expires_at: Value,
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
    check_status(response, Route::Token)
        .map_err(|error| if is_refresh { refresh_error(response, error) } else { error })?;
    let answer: Answer = json(response)?;
    let verified = match &answer.verification_response {
        Some(verification) => object::<Verification>(verification.get().as_bytes())?.success,
        None => is_refresh,
    };
    if !verified {
        return Err(ErrorKind::NotVerified.into());
    }
    if answer.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unreadable("the token type is not Bearer"));
    }
    if answer.access_token.expose_secret().is_empty() {
        return Err(unreadable("there is no access token"));
    }
    let refresh_token = answer.refresh_token.filter(|token| !token.expose_secret().is_empty());
    let tokens = Tokens::of(answer.access_token, refresh_token)
        .with_expiries(milliseconds(&answer.access_expires_at), milliseconds(&answer.refresh_expires_at));
    let account = Account::checked(answer.address, answer.bitbadges_address, answer.chain).map_err(|mismatch| {
        unreadable(match mismatch {
            Mismatch::NotBitBadges => "there is no valid bitbadgesAddress",
            Mismatch::NotTheSame => "address and bitbadgesAddress are of different accounts",
        })
    })?;
    Ok(Grant::new(account.bitbadges_address.clone(), &account)?.with_tokens(tokens))
}

/// A refusal of a refresh ends the session, so it must be the API's own word on these tokens: one of its texts on them, or
/// a 400 of its making. A page of some firewall, or a wrong client id since the last deployment, must end nobody's.
fn refresh_error(response: &Response<Bytes>, error: Error) -> Error {
    if error.kind() != ErrorKind::ExchangeRejected {
        return error;
    }
    match error.reason() {
        Some("invalid refresh token" | "the refresh token has expired") => error,
        Some(reason) if response.status() != StatusCode::BAD_REQUEST || reason.contains("redirect URI") => {
            Error::new(ErrorKind::CredentialsRejected).with_reason(reason)
        }
        _ if response.status() == StatusCode::BAD_REQUEST && is_object(response) => error,
        _ => failed("the tokens could not be refreshed"),
    }
}

/// The routes of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Token,
    ClaimSuccess,
    Ownership,
    Status,
    Revoke,
}

/// Sorts out every status but success. Much of what is the caller's mistake comes as 500 from this API, so on the token
/// route a known text tells a refusal from an outage.
pub(super) fn check_status(response: &Response<Bytes>, route: Route) -> Result<(), Error> {
    let status = response.status();
    let kind = match status {
        _ if status.is_success() => return Ok(()),
        StatusCode::UNAUTHORIZED => ErrorKind::CredentialsRejected,
        StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS => {
            let reason = if status == StatusCode::PAYMENT_REQUIRED { "no API credits left" } else { "rate limit" };
            return Err(busy(reason, response));
        }
        _ if !status.is_client_error() && !status.is_server_error() => {
            return Err(unreadable("a redirect or another unexpected status"));
        }
        _ => match route {
            Route::Token if status.is_client_error() => ErrorKind::ExchangeRejected,
            Route::Token => ErrorKind::ProviderFailed,
            Route::ClaimSuccess => return Err(failed("the claim could not be checked")),
            Route::Ownership => return Err(failed("the ownership could not be checked")),
            Route::Status => return Err(failed("the status of the tokens could not be read")),
            Route::Revoke => return Err(failed("the tokens could not be revoked")),
        },
    };
    Err(match known_text(response) {
        // What is told of codes and refresh tokens is no word on a person elsewhere, where it would end their session.
        Some((known, reason)) if route == Route::Token || known == kind => Error::new(known).with_reason(reason),
        _ => Error::new(kind),
    })
}

/// The answer's `errorMessage` where it is one of the texts this route is known to give. Any other may repeat what was
/// sent, secrets included, and is never shown or logged.
fn known_text(response: &Response<Bytes>) -> Option<(ErrorKind, &'static str)> {
    use ErrorKind::{CredentialsRejected, ExchangeRejected};
    const KNOWN: &[(&str, ErrorKind, &str)] = &[
        ("Error in mustGetFromDB()", ExchangeRejected, "unknown code or client id"),
        ("Invalid code", ExchangeRejected, "invalid code"),
        ("Expired.", ExchangeRejected, "the code has expired"),
        ("Not recent enough", ExchangeRejected, "the code is too old"),
        ("Invalid client secret", CredentialsRejected, "invalid client secret"),
        ("Invalid redirect URI", ExchangeRejected, "the redirect URI is not registered"),
        ("Invalid client ID", ExchangeRejected, "invalid client id or redirect URI"),
        ("Invalid request payload", ExchangeRejected, "the request was not understood"),
        ("Invalid grant type", ExchangeRejected, "invalid grant type"),
        ("Invalid refresh token", ExchangeRejected, "invalid refresh token"),
        ("Refresh token expired", ExchangeRejected, "the refresh token has expired"),
        ("Unauthorized request. Error validating API key", CredentialsRejected, "invalid API key"),
        ("Unauthorized request. This route", CredentialsRejected, "no API key"),
    ];
    let text = error_message(response)?;
    let (_, kind, reason) = KNOWN.iter().find(|(start, ..)| text.expose_secret().starts_with(start))?;
    Some((*kind, *reason))
}

/// The `errorMessage` of a JSON object, empty where it has none. It may hold secrets.
pub(super) fn error_message(response: &Response<Bytes>) -> Option<SecretString> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        #[serde(default)]
        error_message: SecretString,
    }
    Some(serde_json::from_slice::<Failure>(response.body()).ok()?.error_message)
}

/// A time in milliseconds since 1970; an unreadable one is an unknown one.
fn milliseconds(value: &Value) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(whole_number(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_is_refused_by_a_word_on_its_tokens_alone() {
        use ErrorKind::{CredentialsRejected, ExchangeRejected, ProviderFailed};
        for (status, body, kind) in [
            (400, r#"{"errorMessage":"Invalid refresh token"}"#, ExchangeRejected),
            (500, r#"{"errorMessage":"Refresh token expired"}"#, ExchangeRejected),
            (400, r#"{"errorMessage":"Invalid code"}"#, ExchangeRejected),
            (404, r#"{"errorMessage":"Invalid code"}"#, CredentialsRejected),
            (400, r#"{"errorMessage":"Invalid redirect URI"}"#, CredentialsRejected),
            (400, "{}", ExchangeRejected),
            (400, "<html>", ProviderFailed),
            (404, "{}", ProviderFailed),
        ] {
            let response = Response::builder().status(status).body(Bytes::from(body)).unwrap();
            assert_eq!(grant(&response, true).unwrap_err().kind(), kind, "{status} {body}");
        }
    }
}
