//! Answers of the token route that are no success, behind a line with their `Retry-After`: nobody is signed in, and nothing of
//! them is shown but how long to wait, within reason.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, Response};
use tower_signin::ErrorKind;

use crate::site::{Site, set_cookies};
use crate::{answer, assert_private, block_on, exchange, members, site};

/// Headers and body.
type Look = (String, Bytes);

const PERSON: &[(&str, &str)] = &[("sec-fetch-mode", "navigate")];

/// How each kind looks to a person and to a program, whatever the provider's words were.
static LOOKS: LazyLock<HashMap<ErrorKind, [Look; 2]>> = LazyLock::new(|| {
    let plain = [(500, "{}"), (400, "{}"), (401, "{}"), (401, r#"{"verificationResponse":{}}"#), (402, ""), (302, "")];
    let plain = plain.iter().map(|(status, body)| answer_of(*status, Bytes::from_static(body.as_bytes())));
    plain.map(|answer| looks(&site(), &answer)).collect()
});

fn answer_of(status: u16, body: Bytes) -> Response<Bytes> {
    Response::builder().status(status).body(body).unwrap()
}

/// How long to wait, in seconds, where the provider says so in whole ones.
fn wait(answer: &Response<Bytes>) -> u64 {
    let text = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A sign is no part of it by the standard, and does no harm.
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let told = digits.parse::<u64>().ok().filter(|seconds| is_number && *seconds <= u64::from(u32::MAX));
    told.map_or(30, |seconds| seconds.clamp(1, 600))
}

fn looks(site: &Site, answer: &Response<Bytes>) -> (ErrorKind, [Look; 2]) {
    let mut kinds = Vec::new();
    let status = answer.status().as_u16();
    let bodies = [PERSON, &[]].map(|asks| {
        let response = block_on(exchange(site, answer.clone(), asks));
        assert_private(&response);
        let kind = *response.extensions().get::<ErrorKind>().expect("a failure");
        let expected = match status {
            402 | 429 => 503,
            _ if kind == ErrorKind::NotVerified => 403,
            _ => 502,
        };
        assert_eq!((response.status().as_u16(), kind.status().as_u16()), (expected, expected), "{kind:?}");
        assert!(!response.headers().contains_key("location"));
        let set = set_cookies(&response);
        assert!(set.len() == 1 && set[0].ends_with("; Max-Age=0"), "{set:?}");
        let seconds = response.headers().get(RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap());
        let is_busy = kind == ErrorKind::ProviderBusy;
        assert_eq!(seconds, is_busy.then(|| wait(answer)), "{kind:?} after {:?}", answer.headers());
        kinds.push(kind);
        // Of the headers, these two differ by themselves: a flow's name is drawn, and a wait may be the provider's own.
        let mut shown = response.headers().clone();
        shown.remove(SET_COOKIE);
        shown.remove(RETRY_AFTER);
        (format!("{shown:?}"), response.into_body())
    });
    assert_eq!(kinds[0], kinds[1]);
    (kinds[0], bodies)
}

pub fn run(data: &[u8]) -> bool {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return false };
    let (line, rest) = (&data[..at], &data[at + 1..]);
    let Some((status, body)) = answer(rest).filter(|(status, _)| !(200..300).contains(status)) else { return false };
    let mut answer = answer_of(status, body);
    if !line.is_empty() {
        let Ok(value) = HeaderValue::from_bytes(line) else { return false };
        answer.headers_mut().append(RETRY_AFTER, value);
    }
    let (kind, bodies) = looks(&site(), &answer);
    assert_eq!(LOOKS.get(&kind), Some(&bodies), "{kind:?} shows what the provider said");
    if kind == ErrorKind::NotVerified {
        assert_eq!(status, 401);
        let answer = members(answer.body()).expect("an object");
        assert!(answer.contains_key("verificationResponse"), "{answer:?}");
    }
    // Something was understood of it.
    matches!(kind, ErrorKind::NotVerified | ErrorKind::ProviderBusy | ErrorKind::ExchangeRejected)
}
