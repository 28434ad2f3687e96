//! Who a person is, and what is claimed of them.

use serde_json::{Value, json};
use tower_signin::OAuth2;

use super::{outcome, provider_at, refused, server, sign_in, signed_in};
use crate::app::App;
use crate::support::Browser;

#[tokio::test]
async fn h128_two_people_are_two_identities() {
    let server = server().await;
    server.add("bob", json!({ "id": 2, "login": "ada" }));
    let app = App::start(provider_at(&server)).await;
    let (mut ada, mut bob) = (Browser::new(), Browser::new());
    sign_in(&app, &server, &mut ada, "ada").await;
    sign_in(&app, &server, &mut bob, "bob").await;
    assert_eq!((app.says(&mut ada, "/").await, app.says(&mut bob, "/").await), ("1".to_owned(), "2".to_owned()));
}

#[tokio::test]
async fn h127_a_subject_is_a_text_or_a_whole_number_or_nobody_is_signed_in() {
    let server = server().await;
    let app = App::start(provider_at(&server).subject_pointer("/data/0/id")).await;
    for (name, id, expected) in [
        ("a text", json!("u-1"), Some("u-1")),
        ("a number", json!(583_231), Some("583231")),
        ("the largest number", json!(u64::MAX), Some("18446744073709551615")),
        ("a text of a number", json!("9007199254740993"), Some("9007199254740993")),
        ("a number no reader rounds", json!(9_007_199_254_740_993_u64), Some("9007199254740993")),
        ("an empty text", json!(""), None),
        ("a blank text", json!("  "), None),
        ("null", Value::Null, None),
        ("a boolean", json!(true), None),
        ("a fraction", json!(1.5), None),
        ("a rounded number", json!(1e20), None),
        ("a negative number", json!(-1), None),
        ("an array", json!(["u-1"]), None),
        ("an object", json!({ "id": "u-1" }), None),
    ] {
        server.add("ada", json!({ "data": [{ "id": id }] }));
        let expected = expected.map_or_else(|| refused(502, "provider_answer_unreadable"), signed_in);
        assert_eq!(outcome(&app, &server, "ada").await, expected, "{name}");
    }
    for (name, said) in [("nothing", json!({})), ("elsewhere", json!({ "id": 1 })), ("a text", json!({ "data": "id" }))]
    {
        server.add("ada", said);
        let expected = refused(502, "provider_answer_unreadable");
        assert_eq!(outcome(&app, &server, "ada").await, expected, "{name}");
    }
}

async fn claims_of(said: Value, configure: impl FnOnce(OAuth2) -> OAuth2) -> Value {
    let server = server().await;
    server.add("ada", said);
    let app = App::start(configure(provider_at(&server))).await;
    let mut browser = Browser::new();
    assert_eq!(sign_in(&app, &server, &mut browser, "ada").await.status(), 303);
    serde_json::from_str(&app.says(&mut browser, "/claims").await).unwrap()
}

#[tokio::test]
async fn the_claims_are_those_that_were_picked() {
    let said = || json!({ "id": 1, "login": "ada", "plan": { "name": "free" }, "bio": null });
    assert_eq!(claims_of(said(), |provider| provider).await, said());
    let picked = claims_of(said(), |provider| provider.claims(["login", "plan", "missing"])).await;
    assert_eq!(picked, json!({ "login": "ada", "plan": { "name": "free" } }));
    assert_eq!(claims_of(said(), |provider| provider.claims([""; 0])).await, json!({}));
}

#[tokio::test]
async fn h123_an_address_is_verified_where_the_provider_said_so_in_a_boolean() {
    let email = "ada@example.com";
    for (name, verified, is_verified) in [
        ("true", json!(true), true),
        ("false", json!(false), false),
        ("a text", json!("true"), false),
        ("another text", json!("false"), false),
        ("a number", json!(1), false),
        ("null", Value::Null, false),
        ("an array", json!([true]), false),
    ] {
        let expected = json!({ "email": email, "email_verified": is_verified });
        let said = json!({ "id": 1, "email": email, "email_verified": verified });
        assert_eq!(claims_of(said, |provider| provider.claims(["email"])).await, expected, "{name}");
        // Another member's name for it.
        let said = json!({ "id": 1, "email": email, "verified": verified });
        let other = |provider: OAuth2| provider.claims(["email"]).email_verified_member("verified");
        assert_eq!(claims_of(said, other).await, expected, "{name}");
    }
    let missing = claims_of(json!({ "id": 1, "email": email }), |provider| provider).await;
    assert_eq!(missing, json!({ "id": 1, "email": email, "email_verified": false }));
    let wrong_member = json!({ "id": 1, "email": email, "email_verified": true });
    let wrong_member = claims_of(wrong_member, |provider| provider.email_verified_member("verified")).await;
    assert_eq!(wrong_member, json!({ "id": 1, "email": email, "email_verified": false }));
}

#[tokio::test]
async fn h123_nothing_is_verified_where_there_is_no_address() {
    for (name, said) in [
        ("none", json!({ "id": 1, "email_verified": true })),
        ("null", json!({ "id": 1, "email": null, "email_verified": true })),
        ("empty", json!({ "id": 1, "email": "", "email_verified": true })),
        ("a list", json!({ "id": 1, "email": ["a@example.com", "b@example.com"], "email_verified": true })),
    ] {
        let claims = claims_of(said, |provider| provider).await;
        assert_eq!(claims.get("email_verified"), None, "{name}: {claims}");
    }
}
