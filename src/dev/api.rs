use std::io;

use http::{Method, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use super::authorize::distinct_scopes;
use super::body::DevBody;
use super::fault::{self, BAD_API_KEY, NO_API_KEY};
use super::payload::{self, Answer};
use super::state::{Shared, State, hash};
use super::token::{self, no_document};
use super::{API_KEY, Account, Mode, RecordedRequest, Route};

/// Answers a request to `/api/…`. An error closes the connection without an answer.
pub(super) async fn answer(shared: &Shared, request: &RecordedRequest) -> io::Result<Response<DevBody>> {
    let Some(endpoint) = Endpoint::of(request) else {
        return Ok(Answer::not_found().into_response());
    };
    let work = || endpoint.answer(shared, request);
    let fault = shared.lock().faults.get(&endpoint.route()).cloned();
    match fault {
        Some(fault) => fault::apply(fault, request, work).await,
        None => Ok(work().into_response()),
    }
}

enum Endpoint {
    Token,
    Revoke,
    Status,
    ClaimSuccess { claim: String, address: String },
    Ownership,
}

impl Endpoint {
    fn of(request: &RecordedRequest) -> Option<Self> {
        let path = request.path.strip_prefix("/api/v0/")?;
        let post = request.method == Method::POST;
        match path {
            "siwbb/token" if post => Some(Self::Token),
            "siwbb/token/revoke" if post => Some(Self::Revoke),
            "auth/status" if post => Some(Self::Status),
            "verifyOwnershipRequirements" if post => Some(Self::Ownership),
            // Older SDKs post to this one.
            _ if post || request.method == Method::GET => {
                let (claim, address) = path.strip_prefix("claims/success/")?.split_once('/')?;
                let decoded = |part| Some(percent_decode_str(part).decode_utf8().ok()?.into_owned());
                Some(Self::ClaimSuccess { claim: decoded(claim)?, address: decoded(address)? })
            }
            _ => None,
        }
    }

    fn route(&self) -> Route {
        match self {
            Self::Token => Route::Token,
            Self::Revoke => Route::Revoke,
            Self::Status => Route::Status,
            Self::ClaimSuccess { .. } => Route::ClaimSuccess,
            Self::Ownership => Route::Ownership,
        }
    }

    fn answer(&self, shared: &Shared, request: &RecordedRequest) -> Answer {
        let state = &mut *shared.lock();
        if let Some(refusal) = refused_key(state.mode, request) {
            return refusal;
        }
        match self {
            Self::Token => token::answer(state, request),
            Self::Revoke => revoke(state, request),
            Self::Status => status(state, request, &shared.origin),
            Self::ClaimSuccess { claim, address } => claim_success(state, claim, address),
            Self::Ownership => ownership(state, request),
        }
    }
}

/// Every route asks for a key today; in 2024 a request without one was let through.
fn refused_key(mode: Mode, request: &RecordedRequest) -> Option<Answer> {
    let refusal = match request.headers.get("x-api-key") {
        Some(key) if key == API_KEY => return None,
        Some(_) => BAD_API_KEY,
        None if mode == Mode::Legacy2024 => return None,
        None => NO_API_KEY,
    };
    Some(Answer::error(StatusCode::UNAUTHORIZED, refusal))
}

/// Ends the whole authorization, by either of its tokens (in 2024 by the access token only).
/// Not RFC 7009: an unknown token is an error.
fn revoke(state: &mut State, request: &RecordedRequest) -> Answer {
    let token = match payload::fields(request).and_then(|fields| payload::text(&fields, "token")) {
        Ok(token) => token.unwrap_or_default(),
        Err(refusal) => return refusal,
    };
    let key = hash(&token);
    let revocable = state.grants.get(&key).is_some_and(|grant| state.mode == Mode::Strict || grant.access_hash == key);
    if !revocable {
        return no_document(&key, "access-tokens");
    }
    state.grants.remove(&key);
    Answer::ok(match state.mode {
        Mode::Strict => json!({}),
        Mode::Legacy2024 => json!({ "message": "Token revoked" }),
    })
}

/// Always a 200; a dead token is somebody who is not signed in.
fn status(state: &State, request: &RecordedRequest, origin: &str) -> Answer {
    let bearer = request
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| hash(token.trim()));
    let grant = bearer
        .as_ref()
        .and_then(|key| state.grants.get(key).filter(|grant| grant.access_hash == *key))
        .filter(|grant| state.now() < grant.access_expires_at);

    let strict = state.mode == Mode::Strict;
    let Some(grant) = grant else {
        return Answer::ok(if strict {
            json!({
                "signedIn": false, "scopes": [], "message": "",
                "address": "", "bitbadgesAddress": "", "chain": "Unknown",
            })
        } else {
            legacy_status(false, &[], "")
        });
    };
    let account = &grant.account;
    let network = match account.chain.as_str() {
        "ETH" => "Ethereum",
        chain => chain,
    };
    let message = format!("{origin} wants you to sign in with your {network} address {}", account.address);
    let scopes: Vec<Value> = distinct_scopes(&grant.scopes)
        .into_iter()
        .map(|(label, id)| match strict {
            true => json!({ "scopeName": label, "scopeId": id }),
            false => json!({ "scopeName": label }),
        })
        .collect();
    Answer::ok(if strict {
        json!({
            "signedIn": true,
            "address": account.address,
            "bitbadgesAddress": account.bitbadges_address,
            "chain": account.chain,
            "scopes": scopes,
            "message": message,
            "email": "",
        })
    } else {
        legacy_status(true, &scopes, &message)
    })
}

/// In 2024 the answer named no address, and every social account was there with empty strings.
fn legacy_status(signed_in: bool, scopes: &[Value], message: &str) -> Value {
    let social = json!({ "id": "", "username": "" });
    json!({
        "signedIn": signed_in,
        "scopes": scopes,
        "message": message,
        "discord": { "id": "", "username": "", "discriminator": "" },
        "twitter": social,
        "github": social,
        "google": social,
    })
}

fn claim_success(state: &State, claim: &str, address: &str) -> Answer {
    let Ok(account) = Account::from_address(address) else {
        return Answer::error(StatusCode::BAD_REQUEST, "Invalid address.");
    };
    let key = (claim.to_owned(), account.bitbadges_address);
    let count = state.claims.get(&key).copied().unwrap_or_default();
    let numbers: Vec<u64> = (0..count.min(MAX_CLAIM_NUMBERS)).collect();
    Answer::ok(json!({ "successCount": count, "claimNumbers": numbers }))
}

/// A 200 whether or not the requirements are met; only a malformed body is a 400.
fn ownership(state: &State, request: &RecordedRequest) -> Answer {
    let parse = |fields: Map<String, Value>| {
        let address = payload::text(&fields, "address")?.unwrap_or_default();
        let requirements = fields.get("assetOwnershipRequirements");
        let is_group =
            |group: &Value| ["$and", "$or", "assets"].iter().any(|name| group.get(name).is_some_and(Value::is_array));
        let found = requirements.cloned().unwrap_or_default();
        if !requirements.is_some_and(is_group) {
            let path = "$input.assetOwnershipRequirements";
            return Err(Answer::invalid_payload(path, "AssetConditionGroup", &found));
        }
        Account::from_address(&address)
            .map_err(|_| Answer::invalid_payload("$input.address", "string", &address.into()))
    };
    let account = match payload::fields(request).and_then(parse) {
        Ok(account) => account,
        Err(refusal) => return refusal,
    };
    if state.owners.contains(&account.bitbadges_address) {
        return Answer::ok(json!({ "success": true }));
    }
    // The trailing space is the real server's.
    let message = format!("Address {account} did not meet the ownership requirements. ");
    Answer::ok(json!({ "success": false, "errorMessage": message }))
}

const MAX_CLAIM_NUMBERS: u64 = 1_000;
