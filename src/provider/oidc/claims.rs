//! What is claimed of a person: by the ID token, and by the UserInfo endpoint (OpenID Connect Core section 5).

use serde_json::{Map, Value};

/// They serve the protocol alone.
const PROTOCOL: &[&str] =
    &["iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash", "sid"];

/// How and when the person signed in, which the signed token alone is asked about.
const AUTHENTICATION: &[&str] = &["auth_time", "acr", "amr"];

/// What is only as good as what is said of it, and what says so.
const VERIFIABLE: [(&str, &str); 2] = [("email", "email_verified"), ("phone_number", "phone_number_verified")];

/// The claims of the token, and from the UserInfo endpoint those that it lacks; of all, those that are picked.
pub(super) fn merged(
    mut claims: Map<String, Value>,
    user_info: Map<String, Value>,
    picked: Option<&[String]>,
) -> Map<String, Value> {
    let is_foreign = |name: &str| PROTOCOL.contains(&name) || AUTHENTICATION.contains(&name);
    let mut added = user_info;
    added.retain(|name, value| !is_foreign(name) && !value.is_null());
    claims.retain(|_, value| !value.is_null());
    for (name, verified) in VERIFIABLE {
        // What one source says of an address is not said of the other's.
        match claims.get(name) {
            None => drop(claims.remove(verified)),
            Some(known) if added.get(name) != Some(known) => drop(added.remove(verified)),
            Some(_) => {}
        }
    }
    for (name, value) in added {
        claims.entry(name).or_insert(value);
    }
    let is_picked = |name: &str| match picked {
        Some(picked) => picked.iter().any(|picked| picked == name),
        None => !PROTOCOL.contains(&name),
    };
    let verified = VERIFIABLE.map(|(_, verified)| claims.remove(verified) == Some(Value::Bool(true)));
    claims.retain(|name, _| is_picked(name));
    for ((name, verified), is_verified) in VERIFIABLE.into_iter().zip(verified) {
        if claims.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty()) {
            claims.insert(verified.to_owned(), Value::Bool(is_verified));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else { panic!("{value} is no object") };
        members
    }

    #[test]
    fn both_sources_each_for_what_it_may_say() {
        for (name, id_token, user_info, expected) in [
            ("nothing", json!({}), json!({}), json!({})),
            (
                "one adds to the other",
                json!({"sub": "a"}),
                json!({"sub": "a", "name": "A"}),
                json!({"sub": "a", "name": "A"}),
            ),
            ("the signed one stays", json!({"name": "A"}), json!({"name": "B"}), json!({"name": "A"})),
            ("null is nothing", json!({"name": null}), json!({"name": "B", "x": null}), json!({"name": "B"})),
            (
                "what serves the protocol",
                json!({"iss": "i", "aud": "c", "exp": 1, "iat": 1, "nonce": "n", "at_hash": "h", "sid": "s", "acr": "1"}),
                json!({"iss": "x", "aud": "x", "exp": 2, "azp": "x", "nonce": "x", "sub": "a"}),
                json!({"acr": "1", "sub": "a"}),
            ),
            (
                "how the person signed in",
                json!({"sub": "a"}),
                json!({"auth_time": 1, "acr": "gold", "amr": ["mfa"]}),
                json!({"sub": "a"}),
            ),
        ] {
            assert_eq!(merged(object(id_token), object(user_info), None), object(expected), "{name}");
        }
    }

    #[test]
    fn verified_is_what_somebody_said_of_this_very_address() {
        let verified = json!({"email": "a@x", "email_verified": true});
        let unverified = json!({"email": "a@x", "email_verified": false});
        for (name, id_token, user_info, expected) in [
            ("by the token", verified.clone(), json!({}), verified.clone()),
            ("by UserInfo", json!({}), verified.clone(), verified.clone()),
            ("of the same address by UserInfo", json!({"email": "a@x"}), verified.clone(), verified.clone()),
            (
                "of another by UserInfo",
                json!({"email": "a@x"}),
                json!({"email": "b@x", "email_verified": true}),
                unverified.clone(),
            ),
            ("of none by UserInfo", json!({"email": "a@x"}), json!({"email_verified": true}), unverified.clone()),
            ("of none by the token", json!({"email_verified": true}), json!({"email": "a@x"}), unverified.clone()),
            ("of none at all", json!({"email_verified": true}), json!({}), json!({})),
            ("denied by the token", unverified.clone(), verified.clone(), unverified.clone()),
            ("not said", json!({"email": "a@x"}), json!({}), unverified.clone()),
            ("as text", json!({"email": "a@x", "email_verified": "true"}), json!({}), unverified.clone()),
            ("as a number", json!({"email": "a@x", "email_verified": 1}), json!({}), unverified.clone()),
            ("null", json!({"email": "a@x", "email_verified": null}), json!({}), unverified.clone()),
            ("of an empty address", json!({"email": "", "email_verified": true}), json!({}), json!({"email": ""})),
            (
                "a telephone",
                json!({"phone_number": "+1", "phone_number_verified": true}),
                json!({}),
                json!({"phone_number": "+1", "phone_number_verified": true}),
            ),
        ] {
            assert_eq!(merged(object(id_token), object(user_info), None), object(expected), "{name}");
        }
    }

    #[test]
    fn those_that_are_picked() {
        let id_token =
            json!({"sub": "a", "sid": "s", "email": "a@x", "email_verified": true, "groups": ["x"], "acr": "1"});
        let pick = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Value::Object(merged(object(id_token.clone()), object(json!({"name": "A"})), Some(&names)))
        };
        assert_eq!(pick(&[]), json!({}));
        assert_eq!(pick(&["name", "missing"]), json!({"name": "A"}));
        assert_eq!(pick(&["email", "sid"]), json!({"email": "a@x", "email_verified": true, "sid": "s"}));
        assert_eq!(pick(&["email_verified", "acr"]), json!({"acr": "1"}));
        let by_user_info = merged(
            object(json!({"sub": "a"})),
            object(json!({"sid": "s", "amr": ["x"]})),
            Some(&["sid".to_owned(), "amr".to_owned()]),
        );
        assert_eq!(by_user_info, Map::new(), "what UserInfo has no say in");
    }
}
