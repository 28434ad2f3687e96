//! Who the person is, and what is claimed of them, from what the user info endpoint said.

use serde_json::{Map, Value};

use super::OAuth2;
use crate::error::Error;
use crate::oauth::answer::unreadable;

/// A text, or a whole number as decimal. One that is missing or empty could be the same for everybody, and a number that was
/// rounded the same for two.
pub(super) fn subject(said: &Value, pointer: &str) -> Result<String, Error> {
    let subject = match said.pointer(pointer) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    };
    subject.ok_or_else(|| unreadable("there is no subject: the text or whole number that subject_pointer points to"))
}

/// The members that are picked. An e-mail address comes with a strict boolean that says whether it is verified: what the
/// provider does not say is not true, and neither is `"true"`.
pub(super) fn claims(provider: &OAuth2, said: Value) -> Map<String, Value> {
    let Value::Object(mut said) = said else { return Map::new() };
    let is_verified = said.get(&provider.email_verified_member) == Some(&Value::Bool(true));
    if let Some(picked) = &provider.claims {
        said.retain(|member, _| picked.contains(member));
    }
    let has_email = said.get(EMAIL).is_some_and(|email| email.as_str().is_some_and(|email| !email.is_empty()));
    if has_email {
        said.insert(EMAIL_VERIFIED.to_owned(), Value::Bool(is_verified));
    } else {
        said.remove(EMAIL_VERIFIED);
    }
    said
}

const EMAIL: &str = "email";
const EMAIL_VERIFIED: &str = "email_verified";
