//! Case by case. A row's members are merged into the claims of a good token; `null` takes one away.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::error::ErrorKind;
use crate::provider::oidc::SigningAlgorithm;

const NOW: i64 = 1_800_000_000;
const NO_AUDIENCE: &str = "aud is missing, or neither a string nor strings";
const NO_SUBJECT: &str = "sub is missing, empty or too long";
const WRONG_TYPE: &str = "a claim has another type than it must";

fn good() -> Value {
    json!({
        "iss": "https://id.example.com",
        "sub": "alice",
        "aud": "app",
        "exp": NOW + 300,
        "iat": NOW,
        "nonce": "the nonce",
    })
}

fn sign_in() -> Expected<'static> {
    Expected {
        issuer: "https://id.example.com",
        client_id: "app",
        trusted_audiences: &[],
        clock_skew: 60,
        now: UNIX_EPOCH + Duration::from_secs(NOW as u64),
    }
}

const ACCESS_TOKEN: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
const SIGN_IN: Occasion<'static> = Occasion::SignIn { nonce: "the nonce", max_age: None, acr: &[] };

/// Why the token is refused, and what was measured; both empty where it is taken.
fn refusal(expected: &Expected<'_>, members: &Value) -> (String, String) {
    refusal_at(SIGN_IN, expected, members)
}

fn refusal_at(occasion: Occasion<'_>, expected: &Expected<'_>, members: &Value) -> (String, String) {
    let Value::Object(mut claims) = good() else { unreachable!() };
    claims.extend(members.as_object().unwrap().clone());
    claims.retain(|_, value| !value.is_null());
    let token = Signed { claims, algorithm: SigningAlgorithm::Rs256 };
    match expected.subject(&token, ACCESS_TOKEN, occasion) {
        Ok(subject) => {
            assert_eq!(Some(subject), token.claims["sub"].as_str());
            (String::new(), String::new())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::IdTokenRejected);
            let source = std::error::Error::source(&error).map(ToString::to_string);
            (error.reason().unwrap_or_default().to_owned(), source.unwrap_or_default())
        }
    }
}

#[track_caller]
fn check_at(occasion: Occasion<'_>, rows: &[(&str, Value, &str)]) {
    for (name, members, reason) in rows {
        assert_eq!(refusal_at(occasion, &sign_in(), members).0, *reason, "{name}");
    }
}

#[track_caller]
fn check(expected: &Expected<'_>, rows: &[(&str, Value, &str)]) {
    for (name, members, reason) in rows {
        assert_eq!(refusal(expected, members).0, *reason, "{name}");
    }
}

#[test]
fn who_says_it_of_whom() {
    const NOT_THE_ISSUER: &str = "iss is not the issuer";
    let longest = "s".repeat(LONGEST_SUBJECT);
    let too_long = "s".repeat(LONGEST_SUBJECT + 1);
    check(
        &sign_in(),
        &[
            ("good", json!({}), ""),
            ("unknown claims", json!({"x": {"y": [1]}}), ""),
            ("no iss", json!({"iss": null}), NOT_THE_ISSUER),
            ("another iss", json!({"iss": "https://evil.example"}), NOT_THE_ISSUER),
            ("iss with a slash more", json!({"iss": "https://id.example.com/"}), NOT_THE_ISSUER),
            ("iss in another case", json!({"iss": "https://ID.example.com"}), NOT_THE_ISSUER),
            ("iss among others", json!({"iss": ["https://id.example.com"]}), WRONG_TYPE),
            ("no sub", json!({"sub": null}), NO_SUBJECT),
            ("empty sub", json!({"sub": ""}), NO_SUBJECT),
            ("sub as a number", json!({"sub": 1}), WRONG_TYPE),
            ("the longest sub", json!({"sub": longest}), ""),
            ("a sub that is too long", json!({"sub": too_long}), NO_SUBJECT),
        ],
    );
}

#[test]
fn for_whom_it_is() {
    const OTHERS: &str = "aud has an audience that is not trusted";
    const NOT_US: &str = "aud is not this client";
    let rows = [
        ("alone in an array", json!({"aud": ["app"]}), ""),
        ("twice", json!({"aud": ["app", "app"]}), ""),
        ("alone, with azp", json!({"azp": "app"}), ""),
        ("none", json!({"aud": null}), NO_AUDIENCE),
        ("empty", json!({"aud": ""}), NOT_US),
        ("empty array", json!({"aud": []}), NOT_US),
        ("another", json!({"aud": "other"}), NOT_US),
        ("others", json!({"aud": ["other", "another"]}), NOT_US),
        ("ours in another case", json!({"aud": "APP"}), NOT_US),
        ("ours as the beginning", json!({"aud": "app2"}), NOT_US),
        ("a number", json!({"aud": 1}), NO_AUDIENCE),
        ("ours and a number", json!({"aud": ["app", 1]}), NO_AUDIENCE),
        ("azp of another", json!({"azp": "other"}), "azp is not this client"),
        ("azp of another type", json!({"azp": ["app"]}), WRONG_TYPE),
        ("several without azp", json!({"aud": ["app", "friend"]}), "azp is missing beside several audiences"),
        ("several with another's azp", json!({"aud": ["app", "friend"], "azp": "friend"}), "azp is not this client"),
        ("ours and a stranger", json!({"aud": ["app", "stranger"], "azp": "app"}), OTHERS),
        ("ours, a friend and a stranger", json!({"aud": ["app", "friend", "stranger"], "azp": "app"}), OTHERS),
    ];
    check(&sign_in(), &rows);
    check(&sign_in(), &[("ours and a friend", json!({"aud": ["app", "friend"], "azp": "app"}), OTHERS)]);
    let trusted_audiences = ["friend".to_owned()];
    let trusting = Expected { trusted_audiences: &trusted_audiences, ..sign_in() };
    check(&trusting, &rows);
    check(&trusting, &[("ours and a friend", json!({"aud": ["app", "friend"], "azp": "app"}), "")]);
}

#[test]
fn when_it_is_good() {
    check(
        &sign_in(),
        &[
            ("ends within the skew", json!({"exp": NOW - 59}), ""),
            ("ended", json!({"exp": NOW - 60}), "exp has passed"),
            ("ended long ago", json!({"exp": 0}), "exp has passed"),
            ("ends before 1970", json!({"exp": -1}), "exp has passed"),
            ("ends never, nearly", json!({"exp": i64::MAX}), ""),
            ("ends at no time", json!({"exp": u64::MAX}), WRONG_TYPE),
            ("ends with a fraction", json!({"exp": NOW as f64 + 0.5}), ""),
            ("no exp", json!({"exp": null}), "exp is missing"),
            ("exp as text", json!({"exp": (NOW + 300).to_string()}), WRONG_TYPE),
            ("no iat", json!({"iat": null}), "iat is missing"),
            ("iat as text", json!({"iat": NOW.to_string()}), WRONG_TYPE),
            ("made within the skew", json!({"iat": NOW + 60}), ""),
            ("made ahead", json!({"iat": NOW + 61}), "iat is yet to come"),
            ("made a week ahead", json!({"iat": NOW + 604_800}), "iat is yet to come"),
            ("made a week ago", json!({"iat": NOW - 604_800}), ""),
            ("begins within the skew", json!({"nbf": NOW + 60}), ""),
            ("begins ahead", json!({"nbf": NOW + 61}), "nbf is yet to come"),
            ("nbf as text", json!({"nbf": "0"}), WRONG_TYPE),
        ],
    );
    let lenient = Expected { clock_skew: 300, ..sign_in() };
    check(
        &lenient,
        &[
            ("ends within five minutes", json!({"exp": NOW - 299}), ""),
            ("ended five minutes ago", json!({"exp": NOW - 300}), "exp has passed"),
            ("made within five minutes", json!({"iat": NOW + 300}), ""),
        ],
    );
    let before_1970 = Expected { now: UNIX_EPOCH - Duration::from_secs(1), ..sign_in() };
    check(&before_1970, &[("a clock before 1970", json!({}), "iat is yet to come")]);
}

#[test]
fn how_far_off_a_clock_is_told() {
    let exp = refusal(&sign_in(), &json!({"exp": NOW - 312}));
    assert_eq!(exp.1, "exp is 312 seconds in the past by this machine's clock; clock_skew is 60");
    let iat = refusal(&sign_in(), &json!({"iat": NOW + 90}));
    assert_eq!(iat.1, "iat is 90 seconds in the future by this machine's clock; clock_skew is 60");
    assert_eq!(refusal(&sign_in(), &json!({"exp": "soon"})).1, "exp");
}

#[test]
fn which_sign_in_it_is_of() {
    const NOT_OURS: &str = "nonce is not the one of this sign-in";
    check(
        &sign_in(),
        &[
            ("no nonce", json!({"nonce": null}), NOT_OURS),
            ("empty nonce", json!({"nonce": ""}), NOT_OURS),
            ("another nonce", json!({"nonce": "another"}), NOT_OURS),
            ("nonce among others", json!({"nonce": ["the nonce"]}), WRONG_TYPE),
        ],
    );
}

#[test]
fn which_access_token_it_goes_with() {
    const ANOTHER: &str = "at_hash is not that of the access token";
    check(
        &sign_in(),
        &[
            ("the right one", json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}), ""),
            ("with padding", json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ=="}), ANOTHER),
            ("another", json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RA"}), ANOTHER),
            ("half of it", json!({"at_hash": "77QmUPtjPfw"}), ANOTHER),
            ("the whole hash", json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQvfGpKLHIXNIAVz9KdhMhg"}), ANOTHER),
            ("empty", json!({"at_hash": ""}), ANOTHER),
            ("another type", json!({"at_hash": 1}), WRONG_TYPE),
        ],
    );
}

#[test]
fn how_long_ago_and_how_the_person_signed_in() {
    const NO_AUTH_TIME: &str = "auth_time is missing, and max_age was asked for";
    const TOO_LONG_AGO: &str = "auth_time is longer ago than max_age";
    check_at(
        Occasion::SignIn { nonce: "the nonce", max_age: Some(600), acr: &[] },
        &[
            ("just now", json!({"auth_time": NOW}), ""),
            ("within the skew", json!({"auth_time": NOW - 660}), ""),
            ("too long ago", json!({"auth_time": NOW - 661}), TOO_LONG_AGO),
            ("ahead", json!({"auth_time": NOW + 61}), "auth_time is yet to come"),
            ("no auth_time", json!({}), NO_AUTH_TIME),
            ("another type", json!({"auth_time": NOW.to_string()}), WRONG_TYPE),
        ],
    );
    let forever = Occasion::SignIn { nonce: "the nonce", max_age: Some(u64::MAX), acr: &[] };
    check_at(forever, &[("whenever", json!({"auth_time": 1}), "")]);
    check(&sign_in(), &[("not asked for", json!({"auth_time": 1}), "")]);

    const NOT_REQUIRED: &str = "acr is not among those that are required";
    let acr = ["gold".to_owned(), "silver".to_owned()];
    check_at(
        Occasion::SignIn { nonce: "the nonce", max_age: None, acr: &acr },
        &[
            ("the first", json!({"acr": "gold"}), ""),
            ("the second", json!({"acr": "silver"}), ""),
            ("another", json!({"acr": "bronze"}), NOT_REQUIRED),
            ("in another case", json!({"acr": "Gold"}), NOT_REQUIRED),
            ("both in one", json!({"acr": "gold silver"}), NOT_REQUIRED),
            ("none", json!({}), NOT_REQUIRED),
            ("another type", json!({"acr": ["gold"]}), WRONG_TYPE),
        ],
    );
}

#[test]
fn a_refreshed_one_is_of_the_same_person_and_sign_in() {
    let Value::Object(first) = json!({"sub": "alice", "nonce": "the nonce", "auth_time": NOW - 9000}) else {
        unreachable!()
    };
    let rows = |another_nonce, another_time| {
        [
            ("the same", json!({"auth_time": NOW - 9000}), ""),
            ("no nonce", json!({"nonce": null}), ""),
            ("no auth_time", json!({}), ""),
            ("another iss", json!({"iss": "https://evil.example"}), "iss is not the issuer"),
            ("another sub", json!({"sub": "bob"}), "sub is another one than before"),
            ("no sub", json!({"sub": null}), NO_SUBJECT),
            ("another aud", json!({"aud": "other"}), "aud is not this client"),
            ("ended", json!({"exp": NOW - 60}), "exp has passed"),
            ("another at_hash", json!({"at_hash": "x"}), "at_hash is not that of the access token"),
            ("another nonce", json!({"nonce": "another"}), another_nonce),
            ("another auth_time", json!({"auth_time": NOW - 8999}), another_time),
        ]
    };
    let refresh = Occasion::Refresh { subject: "alice", first: Some(&first) };
    let (nonce, time) = ("nonce is another one than before", "auth_time is another one than before");
    check_at(refresh, &rows(nonce, time));
    let alone = Occasion::Refresh { subject: "alice", first: None };
    check_at(alone, &rows("", ""));
    // A logout token has no nonce, which a refresh does not ask for either.
    let logout = json!({"nonce": null, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    check_at(alone, &[("a logout token", logout.clone(), "it is a logout token")]);
    check_at(refresh, &[("a logout token", logout, "it is a logout token")]);
    let events = json!({"events": ["party"]});
    check_at(alone, &[("events of another sort", events, "")]);
}
