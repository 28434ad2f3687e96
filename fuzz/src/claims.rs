//! Answers of the claim and ownership routes, a line each: the gates open only where both say so in plain words.

use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
use tower_signin::{BoxFuture, Context, ErrorKind, Grant, HttpClient, HttpError, HttpErrorKind, Provider as _};

use crate::site::{BOB, CALLBACK, siwbb};
use crate::{answer, block_on, member, members};

/// Gives the answers in turn, each to one request.
struct Answers(Mutex<Vec<(u16, Bytes)>>);

impl HttpClient for Answers {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let next = self.0.lock().unwrap().pop();
        Box::pin(async {
            let (status, body) = next.ok_or_else(|| HttpError::new(HttpErrorKind::Unreachable))?;
            Ok(Response::builder().status(status).body(body).unwrap())
        })
    }
}

/// What a successful answer says under a name.
fn told(answer: Option<&(u16, Bytes)>, name: &str) -> Option<Value> {
    let (_, body) = answer.filter(|(status, _)| (200..300).contains(status))?;
    Some(member(&members(body)?, name))
}

/// A whole number, as a number or in text.
fn whole(count: &Value) -> Option<f64> {
    let count = count.as_str().map_or_else(|| count.as_f64(), |text| text.parse().ok())?;
    (count >= 0.0 && count.fract() == 0.0).then_some(count)
}

pub fn run(data: &[u8]) -> bool {
    let mut answers: Vec<_> = data.splitn(2, |byte| *byte == b'\n').filter_map(answer).collect();
    let claim = told(answers.first(), "successCount").and_then(|count| whole(&count));
    let owns = told(answers.get(1), "success").and_then(|success| success.as_bool());
    answers.reverse();
    let given = answers.len();
    let http = Answers(Mutex::new(answers));
    let badges = OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]);
    let provider = siwbb().require_claim("claim_demo_01").require_ownership(badges);
    let who = Grant::new(BOB, &Value::Null).unwrap();
    let admitted = block_on(provider.admit(Context::new(&http, UNIX_EPOCH, CALLBACK), &who));
    let left = http.0.lock().unwrap().len();
    assert!(
        claim.is_some_and(|claim| claim >= 1.0) || given - left <= 1,
        "ownership was asked after a claim that failed"
    );
    match admitted.map_err(|error| error.kind()) {
        Ok(()) => {
            assert!(claim.is_some_and(|claim| claim >= 1.0) && owns == Some(true), "{claim:?} {owns:?}");
            true
        }
        // These two end a session, so nothing else may be taken for them.
        Err(ErrorKind::ClaimRequired) => {
            assert_eq!(claim, Some(0.0));
            false
        }
        Err(ErrorKind::OwnershipRequired) => {
            assert_eq!(owns, Some(false));
            false
        }
        Err(kind) => {
            assert!([502, 503].contains(&kind.status().as_u16()), "{kind:?}");
            false
        }
    }
}
