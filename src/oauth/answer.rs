//! How a provider's answers are read: with distrust, and without repeating any of their text, which may hold secrets.

use bytes::Bytes;
use http::Response;
use http::header::RETRY_AFTER;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// Reads a JSON object.
pub(crate) fn json<T: for<'a> Deserialize<'a>>(response: &Response<Bytes>) -> Result<T, Error> {
    object(response.body())
}

pub(crate) fn is_object(response: &Response<Bytes>) -> bool {
    object::<IgnoredAny>(response.body()).is_ok()
}

/// What is wrong with it is told by place only: the text may hold secrets.
pub(crate) fn object<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, Error> {
    // Derived readers would take an array for an object.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(unreadable("it is not a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("{:?} at line {} column {}", error.classify(), error.line(), error.column());
        unreadable("it is not the JSON expected").with_source(format!("{place} of {} bytes", bytes.len()))
    })
}

pub(crate) fn unreadable(reason: &'static str) -> Error {
    Error::new(ErrorKind::ProviderAnswer).with_reason(reason)
}

pub(crate) fn failed(reason: &'static str) -> Error {
    Error::new(ErrorKind::ProviderFailed).with_reason(reason)
}

pub(crate) fn busy(reason: &'static str, response: &Response<Bytes>) -> Error {
    Error::new(ErrorKind::ProviderBusy).with_reason(reason).with_retry_after(retry_after(response))
}

/// Seconds from `Retry-After`, within reason; half a minute if there are none.
fn retry_after(response: &Response<Bytes>) -> u32 {
    response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse::<u32>().ok())
        .map_or(30, |seconds| seconds.clamp(1, 600))
}

/// A whole number, as a number or as a decimal string: providers send both, and some encoders write 1.7e12.
pub(crate) fn whole_number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64().or_else(|| {
            let number = number.as_f64().filter(|number| (0.0..9e15).contains(number) && number.fract() == 0.0)?;
            Some(number as u64)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_whole_or_unknown() {
        for (value, whole) in [
            ("17", Some(17)),
            ("\"17\"", Some(17)),
            ("1.7e12", Some(1_700_000_000_000)),
            ("1.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"1.5\"", None),
            ("null", None),
        ] {
            assert_eq!(whole_number(&serde_json::from_str(value).unwrap()), whole, "{value}");
        }
    }
}
