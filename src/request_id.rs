//! What a person can quote, and an operator find in the log.

use std::fmt;

use http::HeaderMap;

use crate::seal::random;

/// Names one request, on its page and in the log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(String);

/// What proxies and tower-http's `SetRequestIdLayer` name a request by.
const HEADER: &str = "x-request-id";

/// Longer ones are not taken over: a UUID has 36 characters.
const LONGEST: usize = 64;

impl RequestId {
    /// The request's own `x-request-id` if it looks like one, else a fresh one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_id = |text: &&str| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok()).filter(is_id);
        given.map_or_else(Self::generate, |id| Self(id.to_owned()))
    }

    /// Without randomness it is all zeros: a page without an id would help less.
    pub(crate) fn generate() -> Self {
        let mut bytes = [0; 8];
        let _ = random(&mut bytes);
        Self(hex::encode(bytes))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn takes_over_what_looks_like_an_id() {
        let long = "a".repeat(LONGEST + 1);
        let cases = [
            ("7d444840-9dc0-11d1-b245-5ffdce74fad2", true),
            ("01J.a_b", true),
            ("", false),
            ("two words", false),
            ("<b>", false),
            ("caf\u{e9}", false),
            (long.as_str(), false),
        ];
        for (given, is_taken) in cases {
            let value = HeaderValue::from_bytes(given.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), value)]);
            let id = RequestId::of(&headers);
            assert_eq!(id.as_str() == given, is_taken, "{given:?} became {id}");
            assert!(is_taken || id.as_str().len() == 16, "{id}");
        }
        assert_ne!(RequestId::generate().as_str(), RequestId::generate().as_str());
    }
}
