//! JSON objects whose members decide something.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The members of a JSON object, none of which is there twice: of two, another reader might have believed the other one. RFC
/// 7519 section 4 lets readers refuse that.
pub(super) struct Members(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique;
        impl<'de> Visitor<'de> for Unique {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Unique)
    }
}

impl Members {
    pub(super) fn read(json: &[u8]) -> Option<Map<String, Value>> {
        serde_json::from_slice(json).ok().map(|Self(members)| members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_doubles_and_nothing_else() {
        for (name, json, is_read) in [
            ("empty", "{}", true),
            ("two members", r#"{"a":1,"b":2}"#, true),
            ("twice within a member", r#"{"a":{"b":1,"b":2}}"#, true),
            ("twice", r#"{"a":1,"a":1}"#, false),
            ("twice, written differently", r#"{"a":1,"\u0061":2}"#, false),
            ("array", "[]", false),
            ("array of pairs", r#"[["a",1]]"#, false),
            ("null", "null", false),
            ("text behind it", "{} {}", false),
            ("not JSON", "{a:1}", false),
            ("nothing", "", false),
        ] {
            assert_eq!(Members::read(json.as_bytes()).is_some(), is_read, "{name}");
        }
    }
}
