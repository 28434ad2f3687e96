//! Asking who an access token is of (OpenID Connect Core section 5.3, and what plain OAuth 2.0 providers have in its place).

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value};

use super::answer::{busy, failed, json, unreadable};
use super::token::Tokens;
use crate::error::{Error, ErrorKind};
use crate::secret::secret_header;

/// GitHub refuses whoever does not say what it is, and an [`HttpClient`](crate::HttpClient) need not.
const US: &str = concat!("tower-signin/", env!("CARGO_PKG_VERSION"));

/// The access token goes into the header alone (RFC 6750 section 2.1), never into a URL.
pub(crate) fn user_info_request(endpoint: &str, tokens: &Tokens) -> Result<Request<Bytes>, Error> {
    Request::get(endpoint)
        .header(AUTHORIZATION, secret_header(["Bearer ", tokens.access_token()])?)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, US)
        .body(Bytes::new())
        .map_err(|_| ErrorKind::Internal.into())
}

/// What is said of the person.
pub(crate) fn read_user_info(response: &Response<Bytes>) -> Result<Map<String, Value>, Error> {
    let status = response.status();
    match status {
        StatusCode::TOO_MANY_REQUESTS => Err(busy("rate limit", response)),
        StatusCode::SERVICE_UNAVAILABLE => Err(busy("status 503", response)),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(failed("the access token was refused where it should tell who it is of"))
        }
        _ if status.is_client_error() || status.is_server_error() => Err(ErrorKind::ProviderFailed.into()),
        _ if !status.is_success() => Err(unreadable("a redirect or another unexpected status")),
        _ => json(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_in_the_header_alone() {
        let request = user_info_request("https://api.example.com/me?fields=id", &Tokens::new("a+b/c=")).unwrap();
        assert_eq!((request.method().as_str(), request.body().len()), ("GET", 0));
        assert_eq!(request.uri().to_string(), "https://api.example.com/me?fields=id");
        let headers = request.headers();
        assert_eq!(headers[AUTHORIZATION], "Bearer a+b/c=");
        assert_eq!(headers[ACCEPT], "application/json");
        assert!(headers[AUTHORIZATION].is_sensitive() && headers[USER_AGENT].to_str().unwrap().starts_with("tower-"));
    }

    #[test]
    fn an_object_with_status_200_is_read_and_nothing_else() {
        use ErrorKind::{ProviderAnswer, ProviderBusy, ProviderFailed};
        for (name, status, body, kind) in [
            ("an object", 200, r#"{"id":1}"#, None),
            ("nobody", 200, "{}", None),
            ("a page", 200, "<html>", Some(ProviderAnswer)),
            ("a text", 200, r#""alice""#, Some(ProviderAnswer)),
            ("an array", 200, r#"[{"id":1}]"#, Some(ProviderAnswer)),
            ("nothing", 204, "", Some(ProviderAnswer)),
            ("elsewhere", 302, r#"{"id":1}"#, Some(ProviderAnswer)),
            ("refused", 401, r#"{"id":1}"#, Some(ProviderFailed)),
            ("forbidden", 403, r#"{"id":1}"#, Some(ProviderFailed)),
            ("not there", 404, r#"{"id":1}"#, Some(ProviderFailed)),
            ("out of order", 500, r#"{"id":1}"#, Some(ProviderFailed)),
            ("too often", 429, r#"{"id":1}"#, Some(ProviderBusy)),
            ("busy", 503, r#"{"id":1}"#, Some(ProviderBusy)),
        ] {
            let response = Response::builder().status(status).body(Bytes::from(body)).unwrap();
            assert_eq!(read_user_info(&response).err().map(|error| error.kind()), kind, "{name}");
        }
    }
}
