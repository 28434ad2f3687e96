//! What their stores say when something is wrong.

use tower_sessions_core::session_store::Error;

use crate::session::store::{StoreError, StoreErrorKind};

/// What is kept of a backend's words.
const MOST_CHARS: usize = 300;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Backend(text) => Self::new(StoreErrorKind::Unreachable).with_source(without_credentials(&text)),
            // These may quote what could not be read.
            Error::Encode(_) => failed("the store could not encode a record"),
            Error::Decode(_) => failed("the store could not decode a record"),
        }
    }
}

pub(super) fn failed(reason: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Failed).with_source(reason)
}

pub(super) fn out_of_time() -> StoreError {
    StoreError::new(StoreErrorKind::Unreachable).with_source("the time limit of five seconds has passed")
}

/// Leaves out the words of an address with a user, or of a connection string's password.
fn without_credentials(text: &str) -> String {
    let shown = |word: &str| {
        let lower = word.to_lowercase();
        let is_secret =
            word.contains('@') || ["password", "pwd", "secret", "token"].iter().any(|name| lower.contains(name));
        if is_secret && word.contains(['@', '=', ':']) { "[left out]".to_owned() } else { word.to_owned() }
    };
    let words: Vec<_> = text.split_whitespace().map(shown).collect();
    words.join(" ").chars().take(MOST_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn no_credentials_and_no_content_get_into_an_error() {
        for (name, error) in [
            ("url", Error::Backend("no route to postgres://app:hunter2@db.internal/app?x=1, giving up".to_owned())),
            ("words", Error::Backend("bad option: host=db Password=hunter2 user=app".to_owned())),
            ("json", Error::Backend(r#"{"password":"hunter2"}"#.to_owned())),
            ("encode", Error::Encode("invalid value: hunter2".to_owned())),
            ("decode", Error::Decode("invalid type: string \"hunter2\"".to_owned())),
        ] {
            let error = StoreError::from(error);
            let shown = format!("{error} {error:?} {:?}", error.source().map(ToString::to_string));
            assert!(!shown.contains("hunter2"), "{name}: {shown}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        let backend =
            StoreError::from(Error::Backend("pool timed out while waiting for an open connection".to_owned()));
        assert_eq!(backend.kind(), StoreErrorKind::Unreachable);
        assert!(backend.source().unwrap().to_string().contains("pool timed out"));
        for error in [Error::Encode(String::new()), Error::Decode(String::new())] {
            assert_eq!(StoreError::from(error).kind(), StoreErrorKind::Failed);
        }
        let long = StoreError::from(Error::Backend("word ".repeat(1000)));
        assert_eq!(long.source().unwrap().to_string().len(), MOST_CHARS);
    }
}
