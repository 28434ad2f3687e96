//! Identity and claims: by what a person is known, and what is never read as more than it says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request as Incoming;
use axum::routing::any;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tower_signin::dev::Account;
use tower_signin::predicate::{claim_equals, claim_includes, issuer};
use tower_signin::{Admission, Builder, Grant, Identity, Keys, SignedIn, Tokens, siwbb};

use crate::anybody::Anybody;
use crate::people::who;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, query, set_cookies};
use crate::support::{App, Browser, alice, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H122",
        what: "people were known by their e-mail address, which another one can have",
        verdict: Held(&[
            "h122_a_person_is_issuer_and_subject_and_no_claim",
            "h122_one_person_has_one_subject_however_the_address_is_written",
        ]),
    },
    Row {
        id: "H123",
        what: "`email_verified` counted as true where it was the text \"false\", or missing",
        verdict: Held(&["h123_only_true_is_true"]),
    },
    Row {
        id: "H124",
        what: "a sign-in was joined to an account that was there already and not proven to be the same person's",
        verdict: Held(&["h124_a_second_sign_in_inherits_nothing"]),
    },
    Row {
        id: "H125",
        what: "an address with two `@`, a look-alike or a comma passed the list of who may come in",
        verdict: Held(&["h125_nobody_passes_a_list_by_looking_like_who_is_on_it"]),
    },
    Row {
        id: "H126",
        what: "people were known by a name they can change",
        verdict: Held(&["h126_no_name_moves_the_subject", "h126_a_name_that_changes_hands_changes_nobody"]),
    },
    Row {
        id: "H127",
        what: "whoever had no claims got the privileges of a default",
        verdict: Held(&["h127_who_has_no_claims_is_let_in_nowhere"]),
    },
    Row { id: "H128", what: "everybody had the same user id", verdict: Held(&["h128_different_people_are_different"]) },
    Row {
        id: "H129",
        what: "the scopes that were asked for counted as granted where the answer named none",
        verdict: Held(&["h129_what_was_asked_for_is_not_what_was_given"]),
    },
    Row {
        id: "H130",
        what: "the address of a person was taken from an unsigned field that the browser sends",
        verdict: Held(&["h130_nothing_the_browser_brings_to_the_callback_is_a_claim"]),
    },
];

/// Issuer, subject and claims of who is there.
fn mirror() -> Router {
    Router::new().fallback(any(async |request: Incoming| {
        let who = request.extensions().get::<Identity>();
        axum::Json(who.map(|who| json!([who.issuer(), who.subject(), who.claims::<Value>().unwrap()])))
    }))
}

async fn seen(site: &Site, browser: &Browser) -> Value {
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
                *keep.lock().unwrap() =
                    format!("{who:?} {:?} {}", who.tokens(), who.identity().claims::<Value>().unwrap());
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
        assert!(told.contains(BOB) && !told.contains("Everything") && !told.contains("scope"), "{name}: {told}");
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
