//! Identity: by what a person is known, and who passes for whom.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request as Incoming;
use axum::routing::any;
use http::{Method, Request};
use serde_json::{Value, json};
use tower_signin::predicate::{claim_equals, claim_includes, issuer};
use tower_signin::{Admission, Grant, Identity, Keys, SignedIn, Tokens, siwbb};

use crate::anybody::Anybody;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, Site};
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H122",
        what: "people were known by their e-mail address, which another one can have",
        verdict: Held(&[
            "h122_a_person_is_issuer_and_subject_and_no_claim",
            "h122_one_person_has_one_subject_however_the_address_is_written",
            "tests/hostile/persons.rs::h122_the_same_address_is_not_the_same_person",
        ]),
    },
    Row {
        id: "H123",
        what: "`email_verified` counted as true where it was the text \"false\", or missing",
        verdict: Held(&[
            "h123_only_true_is_true",
            "tests/hostile/persons.rs::h123_only_true_is_true_wherever_it_is_said",
            "tests/providers/oauth2/people.rs::h123_an_address_is_verified_where_the_provider_said_so_in_a_boolean",
        ]),
    },
    Row {
        id: "H124",
        what: "a sign-in was joined to an account that was there already and not proven to be the same person's",
        verdict: Held(&[
            "h124_a_second_sign_in_inherits_nothing",
            "tests/hostile/persons.rs::h124_whoever_claims_an_address_inherits_nothing_of_who_has_it",
        ]),
    },
    Row {
        id: "H125",
        what: "an address with two `@`, a look-alike or a comma passed the list of who may come in",
        verdict: Held(&[
            "h125_nobody_passes_a_list_by_looking_like_who_is_on_it",
            "tests/hostile/persons.rs::h125_an_address_is_what_the_provider_said_byte_for_byte",
        ]),
    },
];

/// Issuer, subject and claims of who is there.
fn mirror() -> Router {
    Router::new().fallback(any(async |request: Incoming| {
        let who = request.extensions().get::<Identity>();
        axum::Json(who.map(|who| json!([who.issuer(), who.subject(), who.claims::<Value>().unwrap()])))
    }))
}

pub(crate) async fn seen(site: &Site, browser: &Browser) -> Value {
    let answer = site.through(&mirror(), browser, navigation(Method::GET, "/", "none")).await;
    serde_json::from_slice(answer.body()).unwrap()
}

#[tokio::test]
async fn h122_a_person_is_issuer_and_subject_and_no_claim() {
    let keys = Keys::generate().unwrap();
    let claims =
        json!({ "email": "ada@corp.example", "email_verified": true, "sub": "ada", "iss": "https://id.example" });
    let called = |subject| {
        let keys = keys.clone();
        Site::of(Anybody::called(subject, claims.clone()), CALLBACK, |builder| builder.keys(keys))
    };
    let (ada, eve) = (called("ada"), called("eve"));
    let (as_ada, as_eve) = (ada.signed_in().await, eve.signed_in().await);
    assert_eq!(seen(&ada, &as_ada).await, json!(["https://id.example", "ada", claims]));
    assert_eq!(
        seen(&ada, &as_eve).await,
        json!(["https://id.example", "eve", claims]),
        "the same address, not the same person"
    );

    // The same subject at another issuer, under the same keys, cookies and origin.
    let elsewhere = Site::of(crate::site::siwbb(), CALLBACK, |builder| builder.keys(keys.clone()));
    assert_eq!(seen(&elsewhere, &as_ada).await, Value::Null, "a person of another issuer");
    let ours = issuer("https://id.example");
    let guard = ada.sign_in.require_where(move |who| ours(who) && claim_equals("/email", "ada@corp.example")(who));
    let theirs = ada.sign_in.require_where(issuer("https://bitbadges.io"));
    for (guard, status) in [(guard, 200), (theirs, 403)] {
        let router = Router::new().fallback(any(async || "let in")).layer(guard);
        assert_eq!(ada.through(&router, &as_ada, Request::get("/")).await.status(), status);
    }
}

#[tokio::test]
async fn h122_one_person_has_one_subject_however_the_address_is_written() {
    const HEX: &str = "0x092bb4851ae26850588243e7bef22a56287f4739";
    let shouted = format!("0x{}", HEX[2..].to_uppercase());
    for address in [HEX, shouted.as_str(), &HEX.replacen("0x", "0X", 1), BOB, &BOB.to_uppercase()] {
        for chain in ["ETH", "Ethereum", "Cosmos", "", "bitbadges"] {
            let site = Site::new();
            let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
            answer["address"] = json!(address);
            answer["chain"] = json!(chain);
            site.upstream.answer(200, answer.to_string());
            let who = seen(&site, &site.signed_in().await).await;
            assert_eq!((&who[0], &who[1]), (&json!("https://bitbadges.io"), &json!(BOB)), "{address} on {chain}");
        }
    }
}

#[tokio::test]
async fn h123_only_true_is_true() {
    let cases = [
        (json!({ "email_verified": true }), true),
        (json!({ "email_verified": false }), false),
        (json!({ "email_verified": "true" }), false),
        (json!({ "email_verified": "false" }), false),
        (json!({ "email_verified": "True" }), false),
        (json!({ "email_verified": 1 }), false),
        (json!({ "email_verified": "1" }), false),
        (json!({ "email_verified": "yes" }), false),
        (json!({ "email_verified": [true] }), false),
        (json!({ "email_verified": { "email_verified": true } }), false),
        (json!({ "email_verified": null }), false),
        (json!({ "Email_verified": true, "email-verified": true, "emailVerified": true }), false),
        (json!({}), false),
        (json!([true]), false),
        (json!(true), false),
    ];
    for (claims, is_let_in) in cases {
        let site = Site::of(Anybody::called("ada", claims.clone()), CALLBACK, |builder| builder);
        let guard = site.sign_in.require_where(claim_equals("/email_verified", true));
        let router = Router::new().fallback(any(async || "let in")).layer(guard);
        let answer = site.through(&router, &site.signed_in().await, Request::get("/")).await;
        assert_eq!(answer.status(), if is_let_in { 200 } else { 403 }, "{claims}");
    }
    // BitBadges' own word on it is read as strictly, and on nobody's part but its own.
    for success in ["\"true\"", "\"false\"", "1", "null", "[true]", "{}", "\"\""] {
        let site = Site::new();
        site.upstream.answer(200, BOB_ANSWER.replace("{\"success\":true}", &format!("{{\"success\":{success}}}")));
        let mut browser = Browser::new();
        let answer = site.complete(&mut browser, "/").await;
        assert_eq!(answer.status(), 502, "success: {success}");
        assert_eq!(text(&site.get(&mut browser, "/").await), "nobody", "success: {success}");
    }
}

#[tokio::test]
async fn h124_a_second_sign_in_inherits_nothing() {
    let people = Arc::new(Mutex::new("ada"));
    let who = Arc::clone(&people);
    let provider = Anybody::new(move || {
        let name = *who.lock().unwrap();
        let grant = Grant::new(name, &json!({ "email": "shared@corp.example", name: true }))?;
        Ok(if name == "ada" { grant.with_tokens(Tokens::new("ada's token")) } else { grant })
    });
    let site = Site::of(provider, CALLBACK, |builder| {
        builder.keep_tokens().on_sign_in(|who: SignedIn| async move {
            let is_ada = who.identity().subject() == "ada";
            Ok(if is_ada { Admission::with_data(&"account 1")? } else { Admission::new() })
        })
    });
    let told = Router::new().fallback(any(async |request: Incoming| {
        let who = request.extensions().get::<Identity>().unwrap();
        let token = request.extensions().get::<Tokens>().map(|tokens| tokens.access_token().to_owned());
        axum::Json(json!([who.subject(), who.data::<String>(), token, who.claims::<Value>().unwrap()]))
    }));
    let ask = async |browser: &Browser| {
        let answer = site.through(&told, browser, Request::get("/")).await;
        serde_json::from_slice::<Value>(answer.body()).unwrap()
    };
    let mut browser = site.signed_in().await;
    let ada = json!(["ada", "account 1", "ada's token", { "email": "shared@corp.example", "ada": true }]);
    assert_eq!(ask(&browser).await, ada);
    let before = browser.jar.clone();
    *people.lock().unwrap() = "eve";
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    let eve = json!(["eve", null, null, { "email": "shared@corp.example", "eve": true }]);
    assert_eq!(ask(&browser).await, eve, "nothing of ada's");
    assert_ne!(browser.jar["__Host-signin"], before["__Host-signin"]);
    assert!(!browser.jar.contains_key("__Host-signin-tokens"), "ada's tokens are deleted");
    // The other way round, a failure changes nothing of who is there.
    site.upstream.forget();
    let failed = site.start(&mut browser, "/").await;
    let denied = format!("/api/callback?error=access_denied&state={}", failed.state);
    assert_eq!(site.get(&mut browser, &denied).await.status(), 403);
    assert_eq!(ask(&browser).await, eve);
}

#[tokio::test]
async fn h125_nobody_passes_a_list_by_looking_like_who_is_on_it() {
    let looks = [
        "ada@evil.example@corp.example",
        "ada@corp.example@evil.example",
        "ada\u{ff20}corp.example",
        "ada\u{fe6b}corp.example",
        "ad\u{430}@corp.example",
        "ada@c\u{43e}rp.example",
        "Ada@corp.example",
        "ada@corp.example.",
        "ada@corp.example\0",
        "ada@corp.example ",
        "\tada@corp.example",
        "ada@corp.example\n",
        "\"ada\"@corp.example",
        "ada@corp.example,eve@evil.example",
        "eve@evil.example,ada@corp.example",
        "eve@evil.example;ada@corp.example",
        "eve@evil.example ada@corp.example",
        "Ada <ada@corp.example>",
        "ada+x@corp.example",
        "ada@corp\u{3002}example",
        "ada@corp.example\u{200b}",
        "a\u{308}da@corp.example",
    ];
    for one in looks {
        for claims in [json!({ "email": one, "emails": [one] }), json!({ "email": [one], "emails": one })] {
            let site = Site::of(Anybody::called("eve", claims.clone()), CALLBACK, |builder| builder);
            let guards = [
                site.sign_in.require_where(claim_equals("/email", "ada@corp.example")),
                site.sign_in.require_where(claim_includes("/emails", "ada@corp.example")),
                site.sign_in.require_where(claim_includes("/email", "ada@corp.example")),
            ];
            let browser = site.signed_in().await;
            for guard in guards {
                let router = Router::new().fallback(any(async || "let in")).layer(guard);
                assert_eq!(site.through(&router, &browser, Request::get("/")).await.status(), 403, "{claims}");
            }
        }
    }
    // A list of addresses takes whole addresses alone, so none of these can stand on it unseen.
    let hex = "0x092bb4851ae26850588243e7bef22a56287f4739";
    let forms = [
        format!(" {BOB}"),
        format!("{BOB} "),
        format!("{BOB},{hex}"),
        format!("{BOB}\n{hex}"),
        format!("{BOB}\0"),
        BOB.replacen('1', "l", 1),
        BOB.replace('5', "\u{ff15}"),
        BOB.replacen('e', "\u{435}", 1),
        hex.replacen("0x", "Ox", 1),
        hex.replacen("0x", "\u{ff10}x", 1),
        hex[2..].to_owned(),
        format!("{hex}0"),
        format!("0x{hex}"),
        "bb1*".to_owned(),
        "*".to_owned(),
        String::new(),
    ];
    for form in forms {
        let refused = siwbb::addresses([BOB, &form]).map(drop).unwrap_err();
        assert!(refused.to_string().contains("neither an 0x"), "{form:?}: {refused}");
    }
    // Who is on the list as a claim, but is somebody else by subject, is not on it.
    let claims = json!({ "address": BOB, "bitbadgesAddress": BOB, "chain": "Cosmos" });
    for (subject, status) in [(BOB, 200), ("eve", 403), ("BB1PY4MFPG6UF59QKYZG0NMAU322C5873EEYSP5UE", 403)] {
        let site = Site::of(Anybody::called(subject, claims.clone()), CALLBACK, |builder| builder);
        let guard = site.sign_in.require_where(siwbb::addresses([BOB]).unwrap());
        let router = Router::new().fallback(any(async || "let in")).layer(guard);
        let answer = site.through(&router, &site.signed_in().await, Request::get("/")).await;
        assert_eq!(answer.status(), status, "{subject}");
    }
}
