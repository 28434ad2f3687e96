//! What the builder takes.

use std::time::Duration;

use tower_signin::{ConfigError, Keys, MemoryStore, SignIn, Siwbb, WhenUnchecked};

fn build(has_list: bool, bound: Option<Duration>) -> Result<SignIn, ConfigError> {
    let builder = SignIn::builder(Siwbb::new("id", "secret", "key"))
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap());
    let builder = if has_list { builder.revocation_list(MemoryStore::new()) } else { builder };
    match bound {
        Some(bound) => builder.revocation_bound(bound, WhenUnchecked::SignedIn).build(),
        None => builder.build(),
    }
}

#[test]
fn a_bound_is_between_a_second_and_ten_minutes_and_needs_a_list() {
    let cases = [
        (true, None, None),
        (false, None, None),
        (true, Some(1000), None),
        (true, Some(600_000), None),
        (true, Some(999), Some("999ms is not between a second and ten minutes")),
        (true, Some(600_001), Some("is not between a second and ten minutes")),
        (true, Some(0), Some("0ns is not between a second and ten minutes")),
        (false, Some(10_000), Some("there is no revocation list")),
    ];
    for (has_list, bound, problem) in cases {
        let error = build(has_list, bound.map(Duration::from_millis)).err();
        let told = error.as_ref().map(ToString::to_string);
        match problem {
            None => assert_eq!(told, None, "{bound:?}"),
            Some(problem) => assert!(told.is_some_and(|told| told.contains(problem)), "{bound:?}"),
        }
        assert!(error.is_none_or(|error| error.setting() == "revocation_bound"), "{bound:?}");
    }
}
