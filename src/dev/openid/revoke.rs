use http::{Response, StatusCode};
use serde_json::json;

use super::state::State;
use super::{client, parameters, routes};
use crate::dev::RecordedRequest;
use crate::dev::body::DevBody;
use crate::dev::payload::Answer;
use crate::dev::state::hash;

/// `POST /revoke` (RFC 7009): either token ends all that was approved with it, and an unknown one is no error.
pub(super) fn answer(state: &State, request: &RecordedRequest) -> Response<DevBody> {
    let form = match parameters::of_form(request) {
        Ok(form) => form,
        Err(reason) => return routes::refusal(StatusCode::BAD_REQUEST, "invalid_request", &reason),
    };
    let client_id = match client::authenticate(state, request, &form) {
        Ok(client_id) => client_id,
        Err(unauthenticated) => return unauthenticated.into_response(),
    };
    let Some(token) = form.get("token") else {
        return routes::refusal(StatusCode::BAD_REQUEST, "invalid_request", "The parameter token is missing.");
    };
    match state.tokens.get(&hash(token)) {
        Some(token) if token.authorization.client_id != client_id => {
            routes::refusal(StatusCode::BAD_REQUEST, "unauthorized_client", "The token is another client's.")
        }
        Some(token) => {
            token.authorization.end();
            routes::unstored(Answer::ok(json!({})))
        }
        None => routes::unstored(Answer::ok(json!({}))),
    }
}
