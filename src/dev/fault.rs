use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::body::DevBody;
use super::payload::{self, Answer, HTML, JSON, TEXT, respond};
use super::{Account, RecordedRequest};

/// A route of the API that a [`Fault`] can be set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `POST /api/v0/siwbb/token`.
    Token,
    /// `POST /api/v0/siwbb/token/revoke`.
    Revoke,
    /// `POST /api/v0/auth/status`.
    Status,
    /// `GET /api/v0/claims/success/{id}/{address}`.
    ClaimSuccess,
    /// `POST /api/v0/verifyOwnershipRequirements`.
    Ownership,
}

/// A way in which an answer of the API goes wrong.
///
/// Faults up to [`NoBitbadgesAddress`](Self::NoBitbadgesAddress) alter the fields of a successful
/// answer, so the request is worked off first (a code is spent) and an answer that is an error, or
/// has no such field, stays as it is. [`Truncated`](Self::Truncated), [`CutOff`](Self::CutOff),
/// [`Drip`](Self::Drip), [`Oversized`](Self::Oversized) and
/// [`WrongContentType`](Self::WrongContentType) spoil how any answer arrives. All others answer in
/// place of the route, which then changes nothing: no code is spent, no token dies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// 200, but `verificationResponse.success` is false and the access token is empty.
    NotVerified,
    /// The same as a 401 with an `errorMessage` of its own, as the public 2024 server answers.
    NotVerified401,
    /// 200 without `verificationResponse`.
    NoVerificationResponse,
    /// `bitbadgesAddress` is that of another person than `address`.
    AddressMismatch,
    /// `cosmosAddress` in place of `bitbadgesAddress`, as before October 2024.
    NoBitbadgesAddress,
    /// 500 with an empty `errorMessage`.
    ServerError,
    /// 500 with this `errorMessage`. The public 2024 server answers most refusals so, for example
    /// `Expired.`, `Invalid client secret.` or `Invalid redirect URI.`
    ServerErrorText(String),
    /// 400 with a dump of the values that were sent, the secret and the code among them.
    BadRequest,
    /// 401: the API key is not a good one.
    BadApiKey,
    /// 401: there is no API key.
    NoApiKey,
    /// 402: the credits of the app are used up.
    Refused,
    /// 429, with a `Retry-After` of so many seconds where one is given; BitBadges promises none.
    RateLimited(Option<u32>),
    /// 502 with a page of HTML, as a proxy in front of the API answers.
    BadGateway,
    /// 200 with a page of HTML.
    Html,
    /// Half of the JSON, as a complete HTTP message.
    Truncated,
    /// Half of the announced bytes, then the connection breaks.
    CutOff,
    /// 50 MB of white space before the JSON, so that nothing but a cap on the size refuses it;
    /// with a `Content-Length` where `declared`, else chunked.
    Oversized {
        /// Whether the length is announced.
        declared: bool,
    },
    /// The connection is closed after the request was read, without an answer.
    Reset,
    /// The request is read and never answered.
    Hang,
    /// The right answer, one byte per this interval.
    Drip(Duration),
    /// 307 to another path of the API, with the method and the body kept.
    Redirect,
    /// The right JSON as `text/plain`.
    WrongContentType,
}

/// Answers `request` with the fault; `work` is what the route itself would have answered.
pub(super) async fn apply(
    fault: Fault,
    request: &RecordedRequest,
    work: impl FnOnce() -> Answer,
) -> io::Result<Response<DevBody>> {
    let plain = |status, text: &str| Ok(Answer::error(status, text).into_response());
    match fault {
        Fault::NotVerified
        | Fault::NotVerified401
        | Fault::NoVerificationResponse
        | Fault::AddressMismatch
        | Fault::NoBitbadgesAddress => {
            let mut answer = work();
            if answer.status == StatusCode::OK {
                alter(&fault, &mut answer);
            }
            Ok(answer.into_response())
        }
        Fault::ServerError => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
        Fault::ServerErrorText(text) => plain(StatusCode::INTERNAL_SERVER_ERROR, &text),
        Fault::BadRequest => Ok(dump(request).into_response()),
        Fault::BadApiKey => plain(StatusCode::UNAUTHORIZED, BAD_API_KEY),
        Fault::NoApiKey => plain(StatusCode::UNAUTHORIZED, NO_API_KEY),
        Fault::Refused => Ok(Answer {
            status: StatusCode::PAYMENT_REQUIRED,
            body: json!({
                "error": "Insufficient credits",
                "errorMessage": "Insufficient API credits. Top up at /developer?tab=apiKeys.",
                "topUpUrl": "/developer?tab=apiKeys",
                "onChainTotal": 100,
                "used": 100,
                "remaining": 0,
                "decimals": 6,
            }),
        }
        .into_response()),
        Fault::RateLimited(seconds) => {
            let text = "Exceeded rate limit. Too many requests.";
            let mut response = Answer::error(StatusCode::TOO_MANY_REQUESTS, text).into_response();
            if let Some(seconds) = seconds {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            Ok(response)
        }
        Fault::BadGateway => {
            let page = Bytes::from_static(b"<html>Bad gateway</html>");
            Ok(respond(StatusCode::BAD_GATEWAY, HTML, page))
        }
        Fault::Html => {
            let page = Bytes::from_static(b"<!doctype html><html><body>Just a moment</body></html>");
            Ok(respond(StatusCode::OK, HTML, page))
        }
        Fault::Truncated => {
            let answer = work();
            let mut bytes = answer.to_bytes();
            bytes.truncate(bytes.len() / 2);
            Ok(respond(answer.status, JSON, bytes))
        }
        Fault::CutOff => Ok(spoil(&work(), DevBody::cut_off)),
        Fault::Oversized { declared } => Ok(spoil(&work(), |tail| DevBody::Flood { left: OVERSIZED, tail, declared })),
        Fault::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        Fault::Hang => pending().await,
        Fault::Drip(interval) => Ok(spoil(&work(), |bytes| DevBody::drip(bytes, interval))),
        Fault::Redirect => {
            let mut response = respond(StatusCode::TEMPORARY_REDIRECT, TEXT, Bytes::new());
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/api/v0/elsewhere"));
            Ok(response)
        }
        Fault::WrongContentType => {
            let answer = work();
            Ok(respond(answer.status, TEXT, answer.to_bytes()))
        }
    }
}

fn alter(fault: &Fault, answer: &mut Answer) {
    let Value::Object(body) = &mut answer.body else {
        return;
    };
    match fault {
        Fault::NoVerificationResponse => {
            body.remove("verificationResponse");
        }
        Fault::AddressMismatch => {
            if let Some(Value::String(address)) = body.get_mut("bitbadgesAddress") {
                let alice = Account::alice().bitbadges_address;
                *address = if *address == alice { Account::bob().bitbadges_address } else { alice };
            }
        }
        Fault::NoBitbadgesAddress => {
            if let Some(Value::String(address)) = body.remove("bitbadgesAddress") {
                let cosmos = Account::from_address(&address).ok().and_then(|account| account.cosmos_address());
                body.insert("cosmosAddress".to_owned(), Value::from(cosmos));
            }
        }
        _ if !body.contains_key("verificationResponse") => {}
        _ => {
            body.retain(|name, _| !name.contains("expires_at") && name != "refresh_token");
            body.insert("access_token".to_owned(), Value::from(""));
            let why = if *fault == Fault::NotVerified401 {
                body.insert("errorMessage".to_owned(), Value::from(NOT_VERIFIED));
                answer.status = StatusCode::UNAUTHORIZED;
                "message"
            } else {
                "errorMessage"
            };
            let response = json!({ "success": false, why: NOT_VERIFIED });
            body.insert("verificationResponse".to_owned(), response);
        }
    }
}

fn spoil(answer: &Answer, body: impl FnOnce(Bytes) -> DevBody) -> Response<DevBody> {
    respond(answer.status, JSON, Bytes::new()).map(|_| body(answer.to_bytes()))
}

/// The type check of the public 2024 server puts each value it dislikes into its text.
fn dump(request: &RecordedRequest) -> Answer {
    let values: Vec<Value> = payload::fields(request)
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| json!({ "path": format!("$input.{name}"), "expected": "undefined", "value": value }))
        .collect();
    Answer::error(StatusCode::BAD_REQUEST, &format!("Invalid request payload. {}", Value::Array(values)))
}

pub(super) const NO_API_KEY: &str = "Unauthorized request. This route is only accessible with an \
     API key. To get an API key, visit https://bitbadges.io/developer and go to API Keys.";
pub(super) const BAD_API_KEY: &str = "Unauthorized request. Error validating API key.";
const NOT_VERIFIED: &str = "Address did not meet the asset ownership requirements.";
const OVERSIZED: u64 = 50_000_000;
