//! The requests to the API, and the answers of its smaller routes.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exchange::{Route, check_status, error_message};
use super::{OwnershipRequirements, Siwbb};
use crate::error::{Error, ErrorKind};
use crate::oauth::answer::{json as read, whole_number};
use crate::oauth::callback::ValidatedCode;
use crate::oauth::token::Tokens;
use crate::secret::{SecretBytes, secret_header};

/// The route that codes and refresh tokens are exchanged at.
pub(super) const TOKEN: &str = "/api/v0/siwbb/token";

/// Most bodies take less.
const ROOM: usize = 512;

/// What a code is exchanged with.
#[derive(Serialize)]
struct Exchange<'a> {
    grant_type: &'static str,
    code: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    redirect_uri: &'a str,
    code_verifier: &'a str,
    options: Options,
}

/// What a refresh token is exchanged with.
#[derive(Serialize)]
struct Refresh<'a> {
    grant_type: &'static str,
    refresh_token: &'a str,
    client_id: &'a str,
    client_secret: &'a str,
    redirect_uri: &'a str,
}

#[derive(Serialize)]
struct Revocation<'a> {
    token: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    issued_at_time_window_ms: u64,
}

impl Siwbb {
    pub(super) fn post(
        &self,
        path: &str,
        body: &impl Serialize,
        bearer: Option<&Tokens>,
    ) -> Result<Request<Bytes>, Error> {
        let mut bytes = SecretBytes::with_capacity(ROOM);
        serde_json::to_writer(&mut bytes, body).map_err(|_| ErrorKind::Internal)?;
        let mut request = Request::post(format!("{}{path}", self.api))
            .header(CONTENT_TYPE, "application/json")
            .body(bytes.into_bytes())
            .map_err(|_| ErrorKind::Internal)?;
        if let Some(tokens) = bearer {
            let value = secret_header(["Bearer ", tokens.access_token()])?;
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.with_api_key(request)
    }

    pub(super) fn exchange_request(
        &self,
        code: &ValidatedCode,
        client_secret: &SecretString,
    ) -> Result<Request<Bytes>, Error> {
        let body = Exchange {
            grant_type: "authorization_code",
            code: code.code(),
            client_id: &self.client_id,
            client_secret: client_secret.expose_secret(),
            redirect_uri: code.redirect_uri(),
            code_verifier: code.code_verifier(),
            options: Options {
                issued_at_time_window_ms: u64::try_from(self.code_max_age.as_millis()).unwrap_or(u64::MAX),
            },
        };
        self.post(TOKEN, &body, None)
    }

    pub(super) fn refresh_request(&self, refresh_token: &str, redirect_uri: &str) -> Result<Request<Bytes>, Error> {
        let body = Refresh {
            grant_type: "refresh_token",
            refresh_token,
            client_id: &self.client_id,
            client_secret: self.client_secret.expose_secret(),
            redirect_uri,
        };
        self.post(TOKEN, &body, None)
    }

    pub(super) fn revoke_request(&self, tokens: &Tokens) -> Result<Request<Bytes>, Error> {
        self.post("/api/v0/siwbb/token/revoke", &Revocation { token: tokens.access_token() }, None)
    }

    pub(super) fn claim_success_request(&self, claim_id: &str, address: &str) -> Result<Request<Bytes>, Error> {
        let claim_id = utf8_percent_encode(claim_id, SEGMENT);
        let address = utf8_percent_encode(address, SEGMENT);
        let url = format!("{}/api/v0/claims/success/{claim_id}/{address}", self.api);
        self.with_api_key(Request::get(url).body(Bytes::new()).map_err(|_| ErrorKind::Internal)?)
    }

    pub(super) fn ownership_request(
        &self,
        requirements: &OwnershipRequirements,
        address: &str,
    ) -> Result<Request<Bytes>, Error> {
        let body = json!({ "address": address, "assetOwnershipRequirements": requirements });
        self.post("/api/v0/verifyOwnershipRequirements", &body, None)
    }

    fn with_api_key(&self, mut request: Request<Bytes>) -> Result<Request<Bytes>, Error> {
        let headers = request.headers_mut();
        headers.insert("x-api-key", secret_header(["", self.api_key.expose_secret()])?);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        Ok(request)
    }
}

/// How often the address has completed the claim.
pub(super) fn claim_success_count(response: &Response<Bytes>) -> Result<u64, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        success_count: Value,
    }
    check_status(response, Route::ClaimSuccess)?;
    let not_a_number = || Error::new(ErrorKind::ProviderAnswer).with_reason("successCount is not a number");
    whole_number(&read::<Answer>(response)?.success_count).ok_or_else(not_a_number)
}

/// Whether the ownership requirements are met. Both answers come with status 200.
pub(super) fn owns(response: &Response<Bytes>) -> Result<bool, Error> {
    #[derive(Deserialize)]
    struct Answer {
        success: bool,
    }
    check_status(response, Route::Ownership)?;
    Ok(read::<Answer>(response)?.success)
}

/// Whether the access token is still good. A dead one is told with status 200, and ends a session; so an answer that tells of
/// a failure besides does not count.
pub(super) fn signed_in(response: &Response<Bytes>) -> Result<bool, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        signed_in: bool,
    }
    check_status(response, Route::Status)?;
    let is_signed_in = read::<Answer>(response)?.signed_in;
    if !is_signed_in && error_message(response).is_some_and(|text| !text.expose_secret().is_empty()) {
        return Err(Error::new(ErrorKind::ProviderAnswer).with_reason("signedIn is false beside an errorMessage"));
    }
    Ok(is_signed_in)
}

/// All but the unreserved characters (RFC 3986 section 2.3), and the dot, which could make a segment of dots.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
