use std::collections::HashMap;

use http::{HeaderValue, Response, StatusCode, header};
use percent_encoding::percent_decode_str;

use super::routes;
use super::state::State;
use crate::dev::RecordedRequest;
use crate::dev::body::DevBody;
use crate::dev::token::basic_credentials;

/// Which client sent this, proven in exactly one way (RFC 6749 section 2.3): `client_secret_basic`, `client_secret_post`, or
/// `none` for one without a secret.
pub(super) fn authenticate(
    state: &State,
    request: &RecordedRequest,
    form: &HashMap<String, String>,
) -> Result<String, Response<DevBody>> {
    let by_header = request.headers.contains_key(header::AUTHORIZATION);
    let (in_form, secret_in_form) = (form.get("client_id"), form.get("client_secret"));
    if by_header && secret_in_form.is_some() {
        return Err(routes::refusal(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The client authenticates in two ways.",
        ));
    }
    let (client_id, secret) = match (by_header, in_form) {
        (true, _) => {
            let (id, secret) = basic_credentials(request).ok_or_else(|| refuse(by_header))?;
            let (id, secret) = form_decoded(&id).zip(form_decoded(&secret)).ok_or_else(|| refuse(by_header))?;
            if in_form.is_some_and(|other| *other != id) {
                return Err(routes::refusal(StatusCode::BAD_REQUEST, "invalid_request", "There are two client ids."));
            }
            (id, Some(secret))
        }
        (false, Some(id)) => (id.clone(), secret_in_form.cloned()),
        (false, None) => return Err(refuse(by_header)),
    };
    match state.clients.get(&client_id) {
        Some(client) if client.secret == secret => Ok(client_id),
        _ => Err(refuse(by_header)),
    }
}

/// Section 5.2: 401, with the scheme where the client used one.
fn refuse(by_header: bool) -> Response<DevBody> {
    let mut response =
        routes::refusal(StatusCode::UNAUTHORIZED, "invalid_client", "No such client, or another secret.");
    if by_header {
        let scheme = HeaderValue::from_static("Basic realm=\"openid stand-in\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

/// Id and secret are form-encoded before they are joined (section 2.3.1 and appendix B).
fn form_decoded(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
