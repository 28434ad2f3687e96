//! What an answer to a failure wants to know of the request.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, HeaderName};

/// A request by name, which a person can quote and an operator find in the log, and the languages it wants.
#[derive(Clone, Debug)]
pub(crate) struct Requester {
    id: String,
    accept_language: Option<String>,
}

/// What proxies and tower-http's `SetRequestIdLayer` name a request by.
static HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longer ones are not taken over: a UUID has 36 characters.
const LONGEST: usize = 64;

/// Browsers send a few dozen bytes.
const LONGEST_LANGUAGES: usize = 256;

impl Requester {
    /// Its name is the request's own `x-request-id` if it looks like one, else a fresh one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_id = |text: &&str| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        };
        let given = headers.get(&HEADER).and_then(|value| value.to_str().ok()).filter(is_id);
        let language = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self {
            id: given.map_or_else(random_id, str::to_owned),
            accept_language: language.filter(|value| value.len() <= LONGEST_LANGUAGES).map(str::to_owned),
        }
    }

    /// Where the request is not at hand.
    pub(crate) fn unknown() -> Self {
        Self { id: random_id(), accept_language: None }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn accept_language(&self) -> Option<&str> {
        self.accept_language.as_deref()
    }
}

/// No two should be the same; it is no secret, so a hash with keys of its own is enough.
fn random_id() -> String {
    format!("{:016x}", RandomState::new().hash_one(()))
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
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
            let headers = HeaderMap::from_iter([(HEADER.clone(), value)]);
            let id = Requester::of(&headers);
            assert_eq!(id.id() == given, is_taken, "{given:?} became {id}");
            assert!(is_taken || id.id().len() == 16, "{id}");
        }
        assert_ne!(Requester::unknown().id(), Requester::unknown().id());
    }
}
