//! Case by case. A row's members are merged into the claims of a good token; `null` takes one away.

use std::slice::from_ref;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::provider::oidc::SigningAlgorithm;
use crate::provider::oidc::expected::Occasion;
use crate::provider::oidc::keys::Keys;
use crate::provider::oidc::signing::{Signer, jwk_set};

const NOW: u64 = 1_800_000_000;
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const WRONG_TYPE: &str = "a claim has another type than it must";

fn good() -> Value {
    json!({
        "iss": "https://id.example.com",
        "sub": "alice",
        "sid": "08a5019c",
        "aud": "app",
        "iat": NOW,
        "exp": NOW + 120,
        "jti": "bWJq",
        "events": {EVENT: {}},
    })
}

fn by() -> Expected<'static> {
    Expected {
        issuer: "https://id.example.com",
        client_id: "app",
        trusted_audiences: &[],
        clock_skew: 60,
        now: UNIX_EPOCH + Duration::from_secs(NOW),
    }
}

fn token_of(members: &Value) -> Signed {
    let Value::Object(mut claims) = good() else { unreachable!() };
    claims.extend(members.as_object().unwrap().clone());
    claims.retain(|_, value| !value.is_null());
    Signed { claims, algorithm: SigningAlgorithm::Rs256 }
}

/// Why it is refused; empty where it is taken.
fn refusal(members: &Value) -> String {
    match read(&by(), &token_of(members)).map_err(of_logout) {
        Ok(_) => String::new(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::LogoutTokenRejected);
            error.reason().unwrap_or_default().to_owned()
        }
    }
}

#[test]
fn everything_is_checked() {
    const NO_EVENT: &str = "events does not say that it is a logout token";
    const A_NONCE: &str = "it has a nonce, like an ID token";
    let (longest, too_long) = ("i".repeat(255), "i".repeat(256));
    for (name, members, reason) in [
        ("good", json!({}), ""),
        ("sub alone", json!({"sid": null}), ""),
        ("sid alone", json!({"sub": null}), ""),
        ("unknown claims", json!({"x": {"y": [1]}, "toe": 1}), ""),
        ("another iss", json!({"iss": "https://evil.example"}), "iss is not the issuer"),
        ("no iss", json!({"iss": null}), "iss is not the issuer"),
        ("another aud", json!({"aud": "other"}), "aud is not this client"),
        ("no aud", json!({"aud": null}), "aud is missing, or neither a string nor strings"),
        ("a stranger in aud", json!({"aud": ["app", "x"], "azp": "app"}), "aud has an audience that is not trusted"),
        ("no exp", json!({"exp": null}), "exp is missing"),
        ("exp within the skew", json!({"exp": NOW - 59}), ""),
        ("exp has passed", json!({"exp": NOW - 60}), "exp has passed"),
        ("exp as text", json!({"exp": "1800000120"}), WRONG_TYPE),
        ("exp in a day", json!({"exp": NOW + 86_400}), ""),
        ("exp later than that", json!({"exp": NOW + 86_401}), "exp is more than a day ahead"),
        ("exp at the end of days", json!({"exp": i64::MAX}), "exp is more than a day ahead"),
        ("exp beyond", json!({"exp": u64::MAX}), WRONG_TYPE),
        ("no iat", json!({"iat": null}), "iat is missing"),
        ("iat ahead", json!({"iat": NOW + 61}), "iat is yet to come"),
        ("nbf ahead", json!({"nbf": NOW + 61}), "nbf is yet to come"),
        ("neither sub nor sid", json!({"sub": null, "sid": null}), "there is neither sub nor sid"),
        ("empty sub", json!({"sub": ""}), "sub is empty or too long"),
        ("the longest sub", json!({"sub": longest}), ""),
        ("sub too long", json!({"sub": too_long}), "sub is empty or too long"),
        ("sub as a number", json!({"sub": 1}), WRONG_TYPE),
        ("empty sid", json!({"sid": ""}), "sid is empty or too long"),
        ("the longest sid", json!({"sid": longest}), ""),
        ("sid too long", json!({"sid": too_long}), "sid is empty or too long"),
        ("sid as an array", json!({"sid": ["08a5019c"]}), WRONG_TYPE),
        ("no jti", json!({"jti": null}), "jti is missing"),
        ("empty jti", json!({"jti": ""}), "jti is empty or too long"),
        ("the longest jti", json!({"jti": longest}), ""),
        ("jti too long", json!({"jti": too_long}), "jti is empty or too long"),
        ("jti as a number", json!({"jti": 1}), WRONG_TYPE),
        ("no events", json!({"events": null}), NO_EVENT),
        ("events empty", json!({"events": {}}), NO_EVENT),
        ("events as text", json!({"events": EVENT}), NO_EVENT),
        ("events as an array", json!({"events": [EVENT]}), NO_EVENT),
        ("another event", json!({"events": {"http://schemas.openid.net/event/other": {}}}), NO_EVENT),
        ("the event by https", json!({"events": {EVENT.replace("http", "https"): {}}}), NO_EVENT),
        ("the event with a slash more", json!({"events": {format!("{EVENT}/"): {}}}), NO_EVENT),
        ("the event as true", json!({"events": {EVENT: true}}), NO_EVENT),
        ("the event as null", json!({"events": {EVENT: null}}), NO_EVENT),
        ("the event with members", json!({"events": {EVENT: {"x": 1}}}), ""),
        ("another event beside it", json!({"events": {EVENT: {}, "x": {}}}), ""),
        ("a nonce", json!({"nonce": "n"}), A_NONCE),
        ("an empty nonce", json!({"nonce": ""}), A_NONCE),
    ] {
        assert_eq!(refusal(&members), reason, "{name}");
    }
    let mut with_null = token_of(&json!({}));
    with_null.claims.insert("nonce".to_owned(), Value::Null);
    assert_eq!(read(&by(), &with_null).unwrap_err().reason(), Some(A_NONCE), "a nonce that is null");
}

#[test]
fn what_it_says_is_told_on() {
    let notice = read(&by(), &token_of(&json!({}))).unwrap();
    assert_eq!((notice.subject(), notice.session_id(), notice.token_id()), (Some("alice"), Some("08a5019c"), "bWJq"));
    assert_eq!(notice.acceptable_until(), UNIX_EPOCH + Duration::from_secs(NOW + 120 + 60), "with the skew");
    let shown = format!("{notice:?}");
    assert!(shown.contains("alice") && !shown.contains("08a5019c") && !shown.contains("bWJq"), "{shown}");
    let notice = read(&by(), &token_of(&json!({"sub": null}))).unwrap();
    assert_eq!((notice.subject(), notice.session_id()), (None, Some("08a5019c")));
}

#[test]
fn neither_passes_for_the_other() {
    let signer = Signer::new(SigningAlgorithm::EdDsa, "1");
    let keys = Keys::read(&jwk_set(from_ref(&signer.jwk))).unwrap();
    let algorithms = [SigningAlgorithm::EdDsa];
    let token = |typ: Value, claims: &Value| {
        let mut header = signer.header();
        header["typ"] = typ;
        header.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        signer.sign(&header.to_string(), &claims.to_string())
    };
    let as_logout = |token: &str| {
        let signed = Unverified::parse_as(Some(TYPE), token, &algorithms).and_then(|token| token.verify(&keys));
        signed.and_then(|token| read(&by(), &token)).err().and_then(|error| error.reason()).unwrap_or_default()
    };
    let as_id_token = |token: &str| {
        let signed = Unverified::parse(token, &algorithms).and_then(|token| token.verify(&keys));
        let occasion = Occasion::Refresh { subject: "alice", first: None };
        let subject = signed.and_then(|token| by().subject(&token, "", occasion).map(str::to_owned));
        subject.err().and_then(|error| error.reason()).unwrap_or_default()
    };
    let id_token = json!({"iss": "https://id.example.com", "sub": "alice", "sid": "08a5019c", "aud": "app",
        "iat": NOW, "exp": NOW + 120, "jti": "bWJq"});
    const OTHER_SORT: &str = "typ is that of another sort of token";
    const A_LOGOUT: &str = "it is a logout token";
    for (typ, logout_as_logout, logout_as_id_token) in [
        (json!("logout+jwt"), "", OTHER_SORT),
        (json!("application/logout+jwt"), "", OTHER_SORT),
        (json!("LOGOUT+JWT"), "", OTHER_SORT),
        (json!("JWT"), "", A_LOGOUT),
        (json!(null), "", A_LOGOUT),
        (json!("at+jwt"), OTHER_SORT, OTHER_SORT),
        (json!("secevent+jwt"), OTHER_SORT, OTHER_SORT),
        (json!("xlogout+jwt"), OTHER_SORT, OTHER_SORT),
        (json!("application/x/logout+jwt"), OTHER_SORT, OTHER_SORT),
        (json!(1), OTHER_SORT, OTHER_SORT),
    ] {
        let logout = token(typ.clone(), &good());
        assert_eq!((as_logout(&logout), as_id_token(&logout)), (logout_as_logout, logout_as_id_token), "{typ}");
    }
    assert_eq!(as_id_token(&token(json!("JWT"), &id_token)), "", "an ID token is one");
    for (name, members, reason) in [
        ("an ID token", json!({}), "events does not say that it is a logout token"),
        ("with a nonce", json!({"nonce": "n"}), "events does not say that it is a logout token"),
        (
            "with a nonce and the event",
            json!({"nonce": "n", "events": {EVENT: {}}}),
            "it has a nonce, like an ID token",
        ),
    ] {
        let mut claims = id_token.clone();
        claims.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        assert_eq!(as_logout(&token(json!("JWT"), &claims)), reason, "{name}");
    }
}
