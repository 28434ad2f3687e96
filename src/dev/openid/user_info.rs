use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::id_token::OTHER;
use super::state::{Authorization, State, TokenKind};
use super::{Misbehaviour, routes};
use crate::dev::RecordedRequest;
use crate::dev::body::DevBody;
use crate::dev::payload::Answer;

/// `/userinfo` (OpenID Connect Core 1.0 section 5.3), with the access token in the header (RFC 6750 section 2.1).
pub(super) fn answer(state: &State, request: &RecordedRequest) -> Response<DevBody> {
    let bearer = request
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(token) = bearer.and_then(|text| state.live_token(TokenKind::Access, text)) else {
        return refuse(bearer.is_some());
    };
    if state.misbehaves(Misbehaviour::UserInfoHtml) {
        return routes::html();
    }
    let mut claims = claims(&token.authorization, state.misbehaves(Misbehaviour::ScopeNarrowed));
    match state.misbehaviour {
        Some(Misbehaviour::UserInfoInvalidSubject) => _ = claims.insert("sub".to_owned(), json!(OTHER)),
        Some(Misbehaviour::UserInfoMissingSubject) => _ = claims.remove("sub"),
        Some(Misbehaviour::UserInfoEmailVerifiedText) => _ = claims.insert("email_verified".to_owned(), json!("true")),
        _ => {}
    }
    routes::unstored(Answer::ok(Value::Object(claims)))
}

/// The claims that each scope asks for (section 5.4).
fn claims(authorization: &Authorization, narrowed: bool) -> Map<String, Value> {
    let account = &authorization.account;
    let mut claims = Map::from_iter([("sub".to_owned(), json!(account.subject))]);
    if authorization.has_scope("profile") && !narrowed {
        claims.insert("name".to_owned(), json!(account.name));
    }
    if authorization.has_scope("email") && !narrowed && !account.email.is_empty() {
        claims.insert("email".to_owned(), json!(account.email));
        claims.insert("email_verified".to_owned(), json!(account.email_verified));
    }
    claims
}

/// RFC 6750 section 3: the error is named only where there was a token.
fn refuse(with_token: bool) -> Response<DevBody> {
    let challenge = if with_token { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    let mut response = routes::refusal(StatusCode::UNAUTHORIZED, "invalid_token", "No such access token.");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}
