//! Whom to let pass: predicates for [`SignIn::require_where`](crate::SignIn::require_where).
//!
//! [`siwbb`](crate::siwbb) has those for people who signed in with BitBadges.

use serde_json::Value;

use crate::identity::Identity;

/// Lets pass whom this issuer vouches for. Worth adding to another predicate as soon as there are several providers: a
/// subject or a claim of one means nothing at another.
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) -> tower_signin::RequireLayer {
/// use tower_signin::predicate::{claim_equals, issuer};
///
/// let (ours, staff) = (issuer("https://id.example.com"), claim_equals("/role", "staff"));
/// sign_in.require_where(move |who| ours(who) && staff(who))
/// # }
/// ```
pub fn issuer(issuer: impl Into<String>) -> impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static {
    let issuer = issuer.into();
    move |identity| identity.issuer() == issuer
}

/// Lets pass whose claim equals this value, types and all: `"1"` is not `1`, and `"true"` is not `true`. The claim is
/// found by a JSON pointer (RFC 6901); one that is missing equals nothing, `null` included.
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) -> tower_signin::RequireLayer {
/// sign_in.require_where(tower_signin::predicate::claim_equals("/address/country", "NZ"))
/// # }
/// ```
pub fn claim_equals(
    pointer: impl Into<String>,
    value: impl Into<Value>,
) -> impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static {
    claim(pointer.into(), value.into(), |claim, value| claim == value)
}

/// Lets pass whose claim is a list that holds this value, types and all. A text is no list: `"staff,admin"` includes
/// neither.
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) -> tower_signin::RequireLayer {
/// sign_in.require_where(tower_signin::predicate::claim_includes("/groups", "staff"))
/// # }
/// ```
pub fn claim_includes(
    pointer: impl Into<String>,
    value: impl Into<Value>,
) -> impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static {
    claim(pointer.into(), value.into(), |claim, value| claim.as_array().is_some_and(|list| list.contains(value)))
}

/// `null` is what is left where a claim was never made, so nobody passes for having none.
fn claim(
    pointer: String,
    value: Value,
    holds: fn(&Value, &Value) -> bool,
) -> impl Fn(&Identity) -> bool + Clone + Send + Sync + 'static {
    move |identity| {
        let claims = identity.claims::<Value>().unwrap_or_default();
        !value.is_null() && claims.pointer(&pointer).is_some_and(|claim| holds(claim, &value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{NewSession, Session};

    fn with_claims(claims: &str) -> Identity {
        let session = Session::new(&NewSession {
            id: [0; 16],
            issuer: "https://id.example",
            subject: "ada",
            claims,
            data: "",
            authenticated_at: 0,
            idle_end: 1,
            absolute_end: 1,
            generation: 0,
            fingerprint: crate::session::Fingerprint([0; 16]),
            provider_session: None,
        });
        Identity::for_test(session.unwrap())
    }

    #[test]
    fn a_claim_is_compared_types_and_all() {
        let who =
            with_claims(r#"{"role":"staff","verified":"true","n":1,"none":null,"groups":["a","b"],"deep":{"x":[2]}}"#);
        let equals: &[(&str, Value, bool)] = &[
            ("/role", "staff".into(), true),
            ("/role", "Staff".into(), false),
            ("role", "staff".into(), false),
            ("/verified", true.into(), false),
            ("/n", 1.into(), true),
            ("/n", "1".into(), false),
            ("/none", Value::Null, false),
            ("/missing", Value::Null, false),
            ("/missing", "".into(), false),
            ("/groups", vec!["a", "b"].into(), true),
            ("/deep/x/0", 2.into(), true),
        ];
        for (pointer, value, expected) in equals {
            assert_eq!(claim_equals(*pointer, value.clone())(&who), *expected, "{pointer} = {value}");
        }
        let includes: &[(&str, Value, bool)] = &[
            ("/groups", "a".into(), true),
            ("/groups", "c".into(), false),
            ("/role", "staff".into(), false),
            ("/role", "s".into(), false),
            ("/deep", "x".into(), false),
            ("/deep/x", 2.into(), true),
            ("/missing", "a".into(), false),
        ];
        for (pointer, value, expected) in includes {
            assert_eq!(claim_includes(*pointer, value.clone())(&who), *expected, "{value} in {pointer}");
        }
        assert!(!claim_equals("/role", "staff")(&with_claims("not JSON")));
        assert!(issuer("https://id.example")(&who) && !issuer("https://id.example/")(&who));
    }
}
