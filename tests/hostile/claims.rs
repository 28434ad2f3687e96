//! Claims: no name, scope or field that is not the provider's word makes somebody more than they are.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tower_signin::dev::Account;
use tower_signin::predicate::{claim_equals, claim_includes};
use tower_signin::{Admission, Builder, Keys, SignedIn, Tokens, siwbb};

use crate::anybody::Anybody;
use crate::identity::seen;
use crate::people::who;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, query, set_cookies};
use crate::support::{App, Browser, alice, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H126",
        what: "people were known by a name they can change",
        verdict: Held(&[
            "h126_no_name_moves_the_subject",
            "h126_a_name_that_changes_hands_changes_nobody",
            "tests/hostile/persons.rs::h126_a_name_that_changes_hands_changes_nobody_there",
        ]),
    },
    Row {
        id: "H127",
        what: "whoever had no claims got the privileges of a default",
        verdict: Held(&[
            "h127_who_has_no_claims_is_let_in_nowhere",
            "tests/hostile/persons.rs::h127_whoever_has_no_subject_is_nobody",
            "tests/providers/oauth2/people.rs::h127_a_subject_is_a_text_or_a_whole_number_or_nobody_is_signed_in",
        ]),
    },
    Row {
        id: "H128",
        what: "everybody had the same user id",
        verdict: Held(&[
            "h128_different_people_are_different",
            "tests/providers/oidc/sign_in.rs::two_people_are_two_people",
            "tests/providers/oauth2/people.rs::h128_two_people_are_two_identities",
        ]),
    },
    Row {
        id: "H129",
        what: "the scopes that were asked for counted as granted where the answer named none",
        verdict: Held(&[
            "h129_what_was_asked_for_is_not_what_was_given",
            "tests/hostile/persons.rs::h129_a_scope_that_was_asked_for_is_told_by_nobody_as_granted",
            "tests/providers/oauth2/tokens.rs::h129_the_scope_that_was_granted_is_the_applications_to_see",
        ]),
    },
    Row {
        id: "H130",
        what: "the address of a person was taken from an unsigned field that the browser sends",
        verdict: Held(&[
            "h130_nothing_the_browser_brings_to_the_callback_is_a_claim",
            "tests/hostile/persons.rs::h130_nothing_unsigned_beside_the_id_token_is_a_claim",
        ]),
    },
];

#[tokio::test]
async fn h126_no_name_moves_the_subject() {
    let hex = Account::alice().address;
    let names = [
        "sub",
        "subject",
        "id",
        "user_id",
        "uid",
        "username",
        "preferred_username",
        "name",
        "nickname",
        "email",
        "login",
        "upn",
        "cosmosAddress",
        "bitbadgesaddress",
        "BitbadgesAddress",
        "bitbadges_address",
        "Address",
        "primaryAddress",
        "solAddress",
        "bitbadgesAddress ",
        "__proto__",
        "data",
        "user",
        "identity",
    ];
    for name in names {
        for value in
            [json!(alice()), json!(hex), json!({ "bitbadgesAddress": alice(), "address": hex, "sub": alice() })]
        {
            let site = Site::new();
            let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
            answer[name] = value.clone();
            site.upstream.answer(200, answer.to_string());
            let who = seen(&site, &site.signed_in().await).await;
            let claims = json!({
                "address": "0x092bb4851ae26850588243e7bef22a56287f4739", "bitbadgesAddress": BOB, "chain": "ETH",
            });
            assert_eq!(who, json!(["https://bitbadges.io", BOB, claims]), "{name}: {value}");
        }
    }
    // Social names that somebody chose.
    let site = Site::new();
    let social = format!(r#"{{"otherSignIns":{{"discord":{{"id":"{BOB}","username":"{}"}}}},"#, alice());
    site.upstream.answer(200, BOB_ANSWER.replacen('{', &social, 1));
    assert_eq!(seen(&site, &site.signed_in().await).await[1], BOB);
}

#[tokio::test]
async fn h126_a_name_that_changes_hands_changes_nobody() {
    let keys = Keys::generate().unwrap();
    let site_of = |name: &'static str, called: &'static str| {
        let provider = Anybody::called(name, json!({ "preferred_username": called, "name": called }));
        Site::of(provider, CALLBACK, |builder| builder.keys(keys.clone()))
    };
    let before = site_of("17", "root").signed_in().await;
    let after = site_of("17", "somebody").signed_in().await;
    let taken = site_of("18", "root").signed_in().await;
    let any = site_of("0", "");
    let [before, after, taken] = [who(&any, &before).await, who(&any, &after).await, who(&any, &taken).await];
    assert_eq!((before.as_str(), after.as_str(), taken.as_str()), ("17", "17", "18"));
}

#[tokio::test]
async fn h127_who_has_no_claims_is_let_in_nowhere() {
    let empty = [
        json!(null),
        json!({}),
        json!([]),
        json!(""),
        json!(0),
        json!(false),
        json!({ "groups": null, "role": null }),
        json!({ "groups": [], "role": "" }),
        json!({ "groups": "", "role": [] }),
        json!({ "groups": {}, "role": {} }),
        json!({ "groups": [null], "role": [null] }),
        json!({ "groups": [""], "role": false }),
    ];
    for claims in empty {
        let site = Site::of(Anybody::called("ada", claims.clone()), CALLBACK, |builder| builder);
        let browser = site.signed_in().await;
        let require = |guard: tower_signin::RequireLayer| Router::new().fallback(any(async || "let in")).layer(guard);
        let guards = [
            ("role", require(site.sign_in.require_where(claim_equals("/role", "admin")))),
            ("null", require(site.sign_in.require_where(claim_equals("/role", Value::Null)))),
            ("null in groups", require(site.sign_in.require_where(claim_includes("/groups", Value::Null)))),
            ("groups", require(site.sign_in.require_where(claim_includes("/groups", "admin")))),
            ("whole", require(site.sign_in.require_where(claim_equals("", "admin")))),
            ("chain", require(site.sign_in.require_where(siwbb::chain("")))),
            ("evm", require(site.sign_in.require_where(siwbb::evm()))),
            ("no list", require(site.sign_in.require_where(siwbb::addresses([""; 0]).unwrap()))),
        ];
        for (name, router) in guards {
            let answer = site.through(&router, &browser, Request::get("/")).await;
            assert_eq!(answer.status(), 403, "{name}: {claims}");
        }
    }
    // Without a subject there is nobody to have claims.
    for admin in [json!({}), json!({ "role": "admin" })] {
        let site = Site::of(Anybody::called("", admin), CALLBACK, Builder::keep_tokens);
        let mut browser = Browser::new();
        let answer = site.complete(&mut browser, "/").await;
        assert_eq!(answer.status(), 502);
        assert!(set_cookies(&answer).iter().all(|cookie| cookie.contains("Max-Age=0")), "{answer:?}");
        assert_eq!(text(&site.get(&mut browser, "/").await), "nobody");
    }
}

#[tokio::test]
async fn h128_different_people_are_different() {
    let app = App::start().await;
    let accounts = [Account::alice(), Account::bob(), Account::carol()];
    let names = ["alice", "bob", "carol"];
    // All at once: each step of one is followed by the same step of the next.
    let mut browsers = vec![Browser::new(); 3];
    let mut callbacks = Vec::new();
    for (browser, name) in browsers.iter_mut().zip(names) {
        let authorization_url = browser.start(&app.origin, "/").await;
        callbacks.push(browser.approve(&authorization_url, name).await);
    }
    for (browser, callback) in browsers.iter_mut().zip(&callbacks).rev() {
        assert_eq!(browser.get(callback).await.status(), 303);
    }
    for _ in 0..2 {
        for (browser, account) in browsers.iter_mut().zip(&accounts) {
            assert_eq!(text(&browser.get(&app.url("/")).await), account.bitbadges_address);
        }
    }
    let mut subjects: Vec<_> = accounts.iter().map(|account| &account.bitbadges_address).collect();
    subjects.dedup();
    assert_eq!(subjects.len(), 3);
}

#[tokio::test]
async fn h129_what_was_asked_for_is_not_what_was_given() {
    const ASKED: &str = "Manage Everything";
    for (name, scope) in [("none", None), ("null", Some(json!(null))), ("one", Some(json!(ASKED)))] {
        let told = Arc::new(Mutex::new(String::new()));
        let keep = Arc::clone(&told);
        let site = Site::of(crate::site::siwbb().scope(ASKED), CALLBACK, |builder| {
            builder.keep_tokens().on_sign_in(move |who: SignedIn| {
                let granted = who.tokens().and_then(Tokens::scope);
                let claims = who.identity().claims::<Value>().unwrap();
                *keep.lock().unwrap() = format!("{who:?} {claims} granted: {granted:?}");
                std::future::ready(Ok(Admission::new()))
            })
        });
        let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
        if let Some(scope) = scope {
            answer["scope"] = scope.clone();
            answer["scopes"] = json!([scope]);
        }
        site.upstream.answer(200, answer.to_string());
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        assert!(started.authorization_url.contains(&query(&[("scope", ASKED)])), "{}", started.authorization_url);
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
        let told = told.lock().unwrap().clone();
        assert!(told.contains(BOB) && told.ends_with("granted: None"), "{name}: {told}");
        assert!(!told.contains("Everything"), "{name}: {told}");
        for pointer in ["/scope", "/scopes", "/scopes/0"] {
            let guards = [
                site.sign_in.require_where(claim_equals(pointer, ASKED)),
                site.sign_in.require_where(claim_includes(pointer, ASKED)),
            ];
            for guard in guards {
                let router = Router::new().fallback(any(async || "let in")).layer(guard);
                assert_eq!(site.through(&router, &browser, Request::get("/")).await.status(), 403, "{name}: {pointer}");
            }
        }
    }
}

#[tokio::test]
async fn h130_nothing_the_browser_brings_to_the_callback_is_a_claim() {
    let user = format!(r#"{{"email":"eve@evil.example","sub":"{0}","bitbadgesAddress":"{0}"}}"#, alice());
    let names = [
        "user",
        "email",
        "sub",
        "subject",
        "address",
        "bitbadgesAddress",
        "chain",
        "id",
        "name",
        "claims",
        "profile",
        "verificationResponse",
        "id_token",
        "access_token",
        "siwbb",
        "options",
    ];
    for name in names {
        for value in [user.as_str(), &alice()] {
            let site = Site::new();
            let mut browser = Browser::new();
            let started = site.start(&mut browser, "/").await;
            let extra = query(&[(name, value)]);
            let callback = format!("/api/callback?{extra}&code={CODE}&state={}&{extra}", started.state);
            assert_eq!(site.get(&mut browser, &callback).await.status(), 303, "{callback}");
            let sent: Vec<_> = site.upstream.requests().iter().map(|request| request.body().clone()).collect();
            assert_eq!(sent.len(), 1);
            assert!(!String::from_utf8_lossy(&sent[0]).contains(&alice()), "{name} went to the provider");
            let who = seen(&site, &browser).await;
            assert_eq!(who[1], BOB, "{name}");
            assert!(!who.to_string().contains("evil") && !who.to_string().contains(&alice()), "{name}: {who}");
        }
    }
    // A form from the provider's page, as Apple sends one, is not read at all.
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let form = query(&[("code", CODE), ("state", &started.state), ("user", &user)]);
    for address in ["/api/callback".to_owned(), started.callback(CODE)] {
        let request = navigation(Method::POST, &address, "cross-site")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("cookie", browser.cookie_header().unwrap())
            .body(Bytes::from(form.clone()));
        let answer: Response<Bytes> = site.send(request.unwrap()).await;
        assert_eq!((answer.status().as_u16(), set_cookies(&answer)), (405, vec![]), "{address}");
    }
    assert!(site.upstream.requests().is_empty() && site.inner_calls() == 0);
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303, "and nothing is used up by it");
}
