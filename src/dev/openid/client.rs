use std::collections::HashMap;

use http::{HeaderValue, Response, StatusCode, header};
use percent_encoding::percent_decode_str;

use super::routes;
use super::state::State;
use crate::dev::RecordedRequest;
use crate::dev::body::DevBody;
use crate::dev::token::basic_credentials;

/// Why nobody knows which client sent a request (RFC 6749 section 5.2).
pub(super) enum Unauthenticated {
    /// In more than one way.
    TwoWays,
    /// Not as a client that is registered; whether by the header.
    Unknown { by_header: bool },
}

impl Unauthenticated {
    pub(super) fn into_response(self) -> Response<DevBody> {
        let Self::Unknown { by_header } = self else {
            let text = "The client names itself in two ways.";
            return routes::refusal(StatusCode::BAD_REQUEST, "invalid_request", text);
        };
        let text = "No such client, or another secret.";
        let mut response = routes::refusal(StatusCode::UNAUTHORIZED, "invalid_client", text);
        if by_header {
            let scheme = HeaderValue::from_static("Basic realm=\"openid stand-in\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// Which client sent this, proven in exactly one way (RFC 6749 section 2.3): `client_secret_basic`, `client_secret_post`, or
/// `none` for one without a secret.
pub(super) fn authenticate(
    state: &State,
    request: &RecordedRequest,
    form: &HashMap<String, String>,
) -> Result<String, Unauthenticated> {
    let by_header = request.headers.contains_key(header::AUTHORIZATION);
    let unknown = || Unauthenticated::Unknown { by_header };
    let (in_form, secret_in_form) = (form.get("client_id"), form.get("client_secret"));
    let (client_id, secret) = if by_header {
        let (id, secret) = basic_credentials(request).ok_or_else(unknown)?;
        let (id, secret) = form_decoded(&id).zip(form_decoded(&secret)).ok_or_else(unknown)?;
        if secret_in_form.is_some() || in_form.is_some_and(|other| *other != id) {
            return Err(Unauthenticated::TwoWays);
        }
        (id, Some(secret))
    } else {
        (in_form.ok_or_else(unknown)?.clone(), secret_in_form.cloned())
    };
    match state.clients.get(&client_id) {
        Some(client) if client.secret == secret => Ok(client_id),
        _ => Err(unknown()),
    }
}

/// Id and secret are form-encoded before they are joined (section 2.3.1 and appendix B).
fn form_decoded(text: &str) -> Option<String> {
    percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}
