//! Who a person of an OpenID provider is, and what is claimed of them. The rows are those of `identity.rs` and `claims.rs`.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tower_signin::dev::openid::{Account, Misbehaviour, OpenIdProvider};
use tower_signin::predicate::{claim_equals, claim_includes};
use tower_signin::{Admission, Builder, Identity, SignedIn};

use crate::between::{Between, Key, TOKEN, USER_INFO, claims_in, with};
use crate::site::query;
use crate::support::{Browser, location};

async fn openid() -> Arc<OpenIdProvider> {
    Arc::new(OpenIdProvider::start().await.unwrap())
}

/// An account with an address.
fn account(subject: &str, email: &str, email_verified: bool) -> Account {
    let mut account = Account::new(subject);
    account.email = email.to_owned();
    account.email_verified = email_verified;
    account
}

/// Whoever the hook was asked about last.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Option<Identity>>>);

impl Seen {
    fn by(&self, builder: Builder) -> Builder {
        let seen = self.clone();
        builder.on_sign_in(move |who: SignedIn| {
            *seen.0.lock().unwrap() = Some(who.identity().clone());
            std::future::ready(Ok(Admission::new()))
        })
    }

    fn take(&self) -> Identity {
        self.0.lock().unwrap().take().expect("somebody")
    }
}

async fn watched(openid: &Arc<OpenIdProvider>) -> (Between, Seen) {
    let seen = Seen::default();
    let between = Between::of(openid, |oidc| oidc.scope("email").scope("profile"), |builder| seen.by(builder)).await;
    (between, seen)
}

#[tokio::test]
async fn h122_the_same_address_is_not_the_same_person() {
    let (one, another) = (openid().await, openid().await);
    let mut found = Vec::new();
    for (openid, subject) in [(&one, "1"), (&one, "2"), (&another, "1")] {
        let (between, seen) = watched(openid).await;
        let mut browser = Browser::new();
        let account = account(subject, "ada@corp.example", true);
        assert_eq!(between.sign_in(&mut browser, &account).await.status(), 303);
        assert!(claim_equals("/email", "ada@corp.example")(&seen.take()));
        let whose = between.app.says(&mut browser, "/whose").await;
        assert_eq!(whose, format!("{} {subject}", openid.issuer()));
        assert!(!found.contains(&whose), "{whose}");
        found.push(whose);
    }
}

#[tokio::test]
async fn h123_only_true_is_true_wherever_it_is_said() {
    let openid = openid().await;
    let key = Key::new("1");
    let values = [
        (json!(true), true),
        (json!(false), false),
        (json!("true"), false),
        (json!("false"), false),
        (json!("True"), false),
        (json!(1), false),
        (json!("1"), false),
        (json!("yes"), false),
        (json!([true]), false),
        (json!({ "email_verified": true }), false),
        (json!({}), false),
        (Value::Null, false),
    ];
    for (value, is_verified) in values {
        for place in ["UserInfo", "ID token", "UserInfo, of another address"] {
            let between = Between::signing(&openid, &key).await;
            let said = [("email", json!("ada@corp.example")), ("email_verified", value.clone())];
            let other = [("email", json!("eve@evil.example")), ("email_verified", value.clone())];
            let (in_token, in_user_info) = match place {
                "UserInfo" => (vec![], said.to_vec()),
                "ID token" => (said.to_vec(), vec![]),
                _ => (vec![said[0].clone()], other.to_vec()),
            };
            let signer = Arc::clone(&key);
            between.forge(move |claims| signer.token(&signer.header(), &with(claims, &in_token)));
            between.alter(USER_INFO, move |answer| *answer = with(answer, &in_user_info));
            let mut browser = Browser::new();
            assert_eq!(between.sign_in(&mut browser, &Account::alice()).await.status(), 303);
            let claims: Value = serde_json::from_str(&between.app.says(&mut browser, "/claims").await).unwrap();
            let is_verified = is_verified && !place.ends_with("address");
            assert_eq!(
                (&claims["email"], &claims["email_verified"]),
                (&json!("ada@corp.example"), &json!(is_verified)),
                "{value} by {place}"
            );
        }
    }
}

#[tokio::test]
async fn h124_whoever_claims_an_address_inherits_nothing_of_who_has_it() {
    let openid = openid().await;
    let build = |builder: Builder| {
        builder.keep_tokens().on_sign_in(|who: SignedIn| async move {
            let is_ada = who.identity().subject() == "ada";
            Ok(if is_ada { Admission::with_data(&"account 1")? } else { Admission::new() })
        })
    };
    let between = Between::of(&openid, |oidc| oidc.scope("email").scope("profile"), build).await;
    let mut browser = Browser::new();
    let mut tokens = Vec::new();
    for (subject, is_verified) in [("ada", true), ("eve", false), ("eve", true)] {
        let account = account(subject, "ada@corp.example", is_verified);
        assert_eq!(between.sign_in(&mut browser, &account).await.status(), 303);
        assert_eq!(between.app.says(&mut browser, "/").await, subject);
        let claims: Value = serde_json::from_str(&between.app.says(&mut browser, "/claims").await).unwrap();
        assert_eq!((&claims["name"], &claims["email_verified"]), (&json!(subject), &json!(is_verified)));
        let token = between.app.says(&mut browser, "/tokens").await;
        assert!(!tokens.contains(&token), "{subject} has a token of somebody else");
        tokens.push(token);
        let data = between.app.says(&mut browser, "/data").await;
        assert_eq!(data, if subject == "ada" { "Some(\"account 1\")" } else { "None" });
    }
}

#[tokio::test]
async fn h125_an_address_is_what_the_provider_said_byte_for_byte() {
    let openid = openid().await;
    let (between, seen) = watched(&openid).await;
    for one in [
        "ada@evil.example@corp.example",
        "ada@corp.example@evil.example",
        "ada\u{ff20}corp.example",
        "ad\u{430}@corp.example",
        "Ada@corp.example",
        "ada@corp.example.",
        "ada@corp.example\0",
        "ada@corp.example ",
        "\tada@corp.example",
        "ada@corp.example\n",
        "ada@corp.example,eve@evil.example",
        "eve@evil.example;ada@corp.example",
        "Ada <ada@corp.example>",
        "ada+x@corp.example",
        "ada@corp\u{3002}example",
        "ada@corp.example\u{200b}",
    ] {
        let mut browser = Browser::new();
        assert_eq!(between.sign_in(&mut browser, &account("eve", one, true)).await.status(), 303);
        let who = seen.take();
        assert_eq!(who.claims::<Value>().unwrap()["email"], one);
        let is_ada =
            claim_equals("/email", "ada@corp.example")(&who) || claim_includes("/email", "ada@corp.example")(&who);
        assert!(!is_ada, "{one:?}");
    }
    // What is no text is no address, and nobody has verified it.
    for address in [json!(["ada@corp.example"]), json!({ "email": "ada@corp.example" }), json!(1), json!("")] {
        let told = address.clone();
        between.alter(USER_INFO, move |answer| {
            answer["email"] = told.clone();
            answer["email_verified"] = json!(true);
        });
        let mut browser = Browser::new();
        assert_eq!(between.sign_in(&mut browser, &account("eve", "eve@evil.example", true)).await.status(), 303);
        let who = seen.take();
        assert!(!claim_equals("/email_verified", true)(&who), "{address}");
        assert!(!claim_equals("/email", "ada@corp.example")(&who), "{address}");
    }
}

#[tokio::test]
async fn h126_a_name_that_changes_hands_changes_nobody_there() {
    let openid = openid().await;
    let key = Key::new("1");
    let between = Between::signing(&openid, &key).await;
    for (subject, name) in [("17", "root"), ("17", "somebody"), ("18", "root"), ("18", "17")] {
        let signer = Arc::clone(&key);
        let names = ["preferred_username", "nickname", "name", "email", "upn", "unique_name", "oid", "user_id", "id"];
        let claims: Vec<_> = names.iter().map(|claim| (*claim, json!(name))).collect();
        let in_token = claims.clone();
        between.forge(move |given| signer.token(&signer.header(), &with(given, &in_token)));
        between.alter(USER_INFO, move |answer| *answer = with(answer, &claims));
        let mut browser = Browser::new();
        assert_eq!(between.sign_in(&mut browser, &Account::new(subject)).await.status(), 303);
        assert_eq!(between.app.says(&mut browser, "/").await, subject, "called {name}");
    }
}

#[tokio::test]
async fn h127_whoever_has_no_subject_is_nobody() {
    let openid = openid().await;
    let key = Key::new("1");
    let between = Between::signing(&openid, &key).await;
    let none = [
        json!(""),
        Value::Null,
        json!(0),
        json!(1001),
        json!(false),
        json!([]),
        json!(["1001"]),
        json!({ "sub": "1001" }),
    ];
    for subject in none.clone() {
        let (signer, name) = (Arc::clone(&key), format!("ID token: {subject}"));
        between.forge(move |claims| signer.token(&signer.header(), &with(claims, &[("sub", subject.clone())])));
        between.assert_rejected(&name).await;
    }
    let signer = Arc::clone(&key);
    between.forge(move |_| signer.token(&signer.header(), &json!({})));
    between.assert_rejected("no claims at all").await;
    let signer = Arc::clone(&key);
    between.forge(move |claims| signer.token(&signer.header(), claims));
    between.assert_taken("all of them").await;
    for subject in none {
        let name = format!("UserInfo: {subject}");
        between.alter(USER_INFO, move |answer| *answer = with(&json!({}), &[("sub", subject.clone())]));
        let unreadable = (502, "provider_answer_unreadable".to_owned(), "nobody".to_owned(), 1);
        assert_eq!(between.outcome().await, unreadable, "{name}");
    }
}

#[tokio::test]
async fn h129_a_scope_that_was_asked_for_is_told_by_nobody_as_granted() {
    let openid = openid().await;
    for (misbehaviour, scope, has_address) in [
        (None, "Some(\"openid email profile\")", true),
        (Some(Misbehaviour::ScopeNarrowed), "Some(\"openid\")", false),
        (Some(Misbehaviour::ScopeMissing), "None", true),
    ] {
        let build = |builder: Builder| builder.keep_tokens();
        let between = Between::of(&openid, |oidc| oidc.scope("email").scope("profile"), build).await;
        openid.set_misbehaviour(misbehaviour);
        let mut browser = Browser::new();
        assert_eq!(between.sign_in(&mut browser, &Account::alice()).await.status(), 303);
        assert_eq!(between.app.says(&mut browser, "/scope").await, scope, "{misbehaviour:?}");
        let claims: Value = serde_json::from_str(&between.app.says(&mut browser, "/claims").await).unwrap();
        assert_eq!(claims.get("email").is_some(), has_address, "{misbehaviour:?}");
        assert!(claims.get("scope").is_none(), "{claims}");
        openid.set_misbehaviour(None);
    }
}

#[tokio::test]
async fn h130_nothing_unsigned_beside_the_id_token_is_a_claim() {
    let openid = openid().await;
    let key = Key::new("1");
    let alien = Key::new("1");
    let between = Between::signing(&openid, &key).await;
    let user = json!({ "name": { "firstName": "Eve" }, "email": "eve@evil.example", "sub": "eve" });
    let claims = json!({ "iss": openid.issuer(), "sub": "eve", "email": "eve@evil.example", "email_verified": true });
    let token = alien.token(&alien.header(), &claims);
    // In the token endpoint's answer, beside the token.
    let (signer, beside) = (Arc::clone(&key), user.clone());
    between.alter(TOKEN, move |answer| {
        let payload = claims_in(answer);
        answer["id_token"] = json!(signer.token(&signer.header(), &payload));
        for (name, value) in
            [("user", &beside), ("sub", &beside["sub"]), ("email", &beside["email"]), ("claims", &beside)]
        {
            answer[name] = value.clone();
        }
        answer["email_verified"] = json!(true);
    });
    // In the browser's hands.
    for (name, value) in [
        ("user", user.to_string()),
        ("id_token", token.clone()),
        ("access_token", token),
        ("email", "eve@evil.example".to_owned()),
        ("sub", "eve".to_owned()),
        ("login_hint", "eve".to_owned()),
        ("claims", user.to_string()),
    ] {
        let mut browser = Browser::new();
        let login = format!("/auth/login?{}", query(&[(name, &value)]));
        let answer = browser.get(&between.app.url(&login)).await;
        let callback = openid.approve(&location(&answer), &Account::alice()).unwrap();
        let answer = browser.get(&format!("{callback}&{}", query(&[(name, &value)]))).await;
        assert_eq!(answer.status(), 303, "{name}");
        assert_eq!(between.app.says(&mut browser, "/").await, Account::alice().subject, "{name}");
        let claims = between.app.says(&mut browser, "/claims").await;
        assert!(!claims.contains("eve") && !claims.contains("Eve"), "{name}: {claims}");
    }
}
