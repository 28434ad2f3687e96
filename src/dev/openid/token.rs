use std::collections::HashMap;
use std::sync::Arc;

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::state::{Authorization, State, TokenKind};
use super::{Misbehaviour, client, id_token, parameters, routes};
use crate::dev::body::DevBody;
use crate::dev::payload::Answer;
use crate::dev::state::hash;
use crate::dev::{DevError, RecordedRequest};

/// `POST /token` (OpenID Connect Core 1.0 sections 3.1.3 and 12).
pub(super) fn answer(state: &mut State, request: &RecordedRequest) -> Response<DevBody> {
    let form = match parameters::of_form(request) {
        Ok(form) => form,
        Err(reason) => return routes::refusal(StatusCode::BAD_REQUEST, "invalid_request", &reason),
    };
    let client_id = match client::authenticate(state, request, &form) {
        Ok(client_id) => client_id,
        Err(unauthenticated) => return unauthenticated.into_response(),
    };
    let answer = match form.get("grant_type").map(String::as_str) {
        Some("authorization_code") => exchange(state, &client_id, &form),
        Some("refresh_token") => refresh(state, &client_id, &form),
        _ => Err(Refusal::of("unsupported_grant_type", "There are authorization_code and refresh_token.")),
    };
    match answer {
        Ok(body) => routes::unstored(Answer::ok(Value::Object(body))),
        Err(Refusal::Request { error, reason }) => routes::refusal(StatusCode::BAD_REQUEST, error, reason),
        Err(Refusal::Failure) => routes::server_error(),
    }
}

enum Refusal {
    Request { error: &'static str, reason: &'static str },
    Failure,
}

impl Refusal {
    fn of(error: &'static str, reason: &'static str) -> Self {
        Self::Request { error, reason }
    }

    fn grant(reason: &'static str) -> Self {
        Self::of("invalid_grant", reason)
    }
}

impl From<DevError> for Refusal {
    fn from(_: DevError) -> Self {
        Self::Failure
    }
}

/// One exchange per code, by the client it was made for, with its redirect URI and its code verifier.
fn exchange(state: &mut State, client_id: &str, form: &HashMap<String, String>) -> Result<Map<String, Value>, Refusal> {
    let now = state.now();
    let key = form.get("code").map(|code| hash(code)).unwrap_or_default();
    let code = state.codes.get_mut(&key).ok_or_else(|| Refusal::grant("No such code."))?;
    if code.authorization.client_id != client_id {
        return Err(Refusal::grant("The code is another client's."));
    }
    // RFC 6749 section 4.1.2: what came of a code that is shown again ends.
    if code.spent {
        code.authorization.end();
        return Err(Refusal::grant("The code was used before."));
    }
    code.spent = true;
    if now >= code.expires_at {
        return Err(Refusal::grant("The code is too old."));
    }
    if form.get("redirect_uri") != Some(&code.redirect_uri) {
        return Err(Refusal::grant("The redirect_uri is not that of the authorization request."));
    }
    if !form.get("code_verifier").is_some_and(|verifier| code.challenge.admits(verifier)) {
        return Err(Refusal::grant("The code_verifier is not that of the code_challenge."));
    }
    let authorization = Arc::clone(&code.authorization);
    tokens(state, &authorization, false)
}

/// Each refresh token works once, for its client; one that is shown again ends what was approved (RFC 9700 section 4.14.2).
fn refresh(state: &mut State, client_id: &str, form: &HashMap<String, String>) -> Result<Map<String, Value>, Refusal> {
    let text = form.get("refresh_token").map_or("", String::as_str);
    let key = hash(text);
    let known = state.tokens.get(&key).filter(|token| token.kind == TokenKind::Refresh);
    if known.is_some_and(|token| token.authorization.client_id == client_id && token.spent) {
        known.inspect(|token| token.authorization.end());
        return Err(Refusal::grant("The refresh token was used before."));
    }
    let authorization = state
        .live_token(TokenKind::Refresh, text)
        .map(|token| Arc::clone(&token.authorization))
        .filter(|authorization| authorization.client_id == client_id)
        .ok_or_else(|| Refusal::grant("No such refresh token."))?;
    if !state.misbehaves(Misbehaviour::RefreshWithoutRefreshToken)
        && let Some(token) = state.tokens.get_mut(&key)
    {
        token.spent = true;
    }
    tokens(state, &authorization, true)
}

/// The answer (RFC 6749 section 5.1 with `id_token`), or what the misbehaviour makes of it.
fn tokens(
    state: &mut State,
    authorization: &Arc<Authorization>,
    refreshed: bool,
) -> Result<Map<String, Value>, Refusal> {
    let access_token = state.issue_token(TokenKind::Access, authorization, ACCESS_LIFETIME)?;
    let mut body = Map::new();
    let mut set = |name: &str, value: Value| body.insert(name.to_owned(), value);
    set("access_token", json!(access_token));
    set("token_type", json!("Bearer"));
    set("expires_in", json!(ACCESS_LIFETIME));
    set("scope", json!(authorization.scopes.join(" ")));
    if !(refreshed && state.misbehaves(Misbehaviour::RefreshWithoutRefreshToken)) {
        set("refresh_token", json!(state.issue_token(TokenKind::Refresh, authorization, REFRESH_LIFETIME)?));
    }
    set("id_token", json!(id_token::issue(state, authorization, &access_token, refreshed)?));
    alter(state.misbehaviour, refreshed, &mut body);
    Ok(body)
}

fn alter(misbehaviour: Option<Misbehaviour>, refreshed: bool, body: &mut Map<String, Value>) {
    use Misbehaviour as M;
    let (name, value) = match misbehaviour {
        Some(M::MissingIdToken) => ("id_token", Value::Null),
        Some(M::RefreshWithoutIdToken) if refreshed => ("id_token", Value::Null),
        Some(M::TokenTypeMac) => ("token_type", json!("mac")),
        Some(M::TokenTypeMixedCase) => ("token_type", json!("bEaReR")),
        Some(M::ExpiresInMissing) => ("expires_in", Value::Null),
        Some(M::ExpiresInText) => ("expires_in", json!(ACCESS_LIFETIME.to_string())),
        Some(M::ExpiresInZero) => ("expires_in", json!(0)),
        Some(M::ExpiresInNegative) => ("expires_in", json!(-1)),
        Some(M::ExpiresInHuge) => ("expires_in", json!(1e30)),
        Some(M::ScopeMissing) => ("scope", Value::Null),
        Some(M::ScopeNarrowed) => ("scope", json!("openid")),
        _ => return,
    };
    match value {
        Value::Null => body.remove(name),
        value => body.insert(name.to_owned(), value),
    };
}

const ACCESS_LIFETIME: u64 = 60 * 60;
const REFRESH_LIFETIME: u64 = 60 * 24 * 60 * 60;
