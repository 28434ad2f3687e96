//! Who somebody is, and what is claimed of them.

use axum::Router;
use axum::routing::any;
use http::{Method, Request};
use serde_json::{Value, json};
use tower_signin::predicate::{claim_equals, claim_includes, issuer};
use tower_signin::{Grant, Identity, Keys, siwbb};

use crate::anybody::Anybody;
use crate::people::{code, know_everybody, sign_in_as, subject, who};
use crate::rows::Row;
use crate::rows::Verdict::{CannotApply, Held};
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, query};
use crate::support::{App, Browser, alice, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H122",
        what: "people were known by an e-mail address that the provider lets them choose",
        verdict: Held(&["h122_nothing_but_issuer_and_subject_is_anybody"]),
    },
    Row {
        id: "H123",
        what: "`\"false\"` and a missing claim counted as a verified e-mail address",
        verdict: Held(&["h123_true_is_true_and_nothing_else_is"]),
    },
    Row {
        id: "H124",
        what: "signing in took over an account that somebody had made with the same e-mail address",
        verdict: CannotApply(
            "no account is kept or linked here: the hook gets issuer, subject and claims, and what it attaches is the application's",
        ),
    },
    Row {
        id: "H125",
        what: "`a@evil@corp.com`, lists and look-alikes passed for an address of the domain",
        verdict: Held(&["h125_a_claim_is_compared_whole", "h125_an_address_is_one_person_in_either_form_and_no_other"]),
    },
    Row {
        id: "H126",
        what: "people were known by a name that they can change",
        verdict: Held(&["h126_a_name_that_changes_hands_changes_nobody"]),
    },
    Row {
        id: "H127",
        what: "whoever had no claims got the rights of the default",
        verdict: Held(&["h127_who_has_nothing_gets_nothing", "h127_an_empty_subject_is_nobody"]),
    },
    Row { id: "H128", what: "everybody had the same user id", verdict: Held(&["h128_two_people_are_two"]) },
    Row {
        id: "H129",
        what: "scopes that the answer did not name were taken as granted",
        verdict: CannotApply(
            "nothing here reads or passes on what scopes were granted: whom to let pass is decided by subject and claims",
        ),
    },
    Row {
        id: "H130",
        what: "what the browser said of the person beside the code was believed",
        verdict: Held(&["h130_what_the_browser_adds_to_a_callback_is_no_claim"]),
    },
];

#[tokio::test]
async fn h122_nothing_but_issuer_and_subject_is_anybody() {
    let keys = Keys::generate().unwrap();
    let claims = json!({ "email": "ceo@corp.example", "sub": "ceo", "user_id": 1, "preferred_username": "ceo" });
    let mut seen = std::collections::HashSet::new();
    for name in ["ceo", "mallory", "ceo@corp.example", "CEO", "ceo ", "ce\u{43e}", "1"] {
        let site = Site::of(Anybody::called(name, claims.clone()), CALLBACK, |builder| builder.keys(keys.clone()));
        let browser = site.signed_in().await;
        let echo = Router::new().fallback(any(async |who: Identity| format!("{}|{}", who.issuer(), who.subject())));
        let key = text(&site.through(&echo, &browser, Request::get("/")).await).to_owned();
        assert_eq!(key, format!("https://id.example|{name}"));
        assert!(seen.insert(key));
        // The same name at another issuer is another person, though site, keys and claims are the same.
        let elsewhere = Site::with(|builder| builder.keys(keys.clone()));
        assert_eq!(who(&elsewhere, &browser).await, "nobody", "{name}");
        let guard = site.sign_in.require_where(issuer("https://bitbadges.io"));
        let response = site.through(&echo.layer(guard), &browser, Request::get("/")).await;
        assert_eq!(response.status(), 403, "{name}");
    }
}

/// What a guard by this predicate answers to somebody of whom this is claimed.
async fn passes<P>(claims: Value, predicate: P) -> bool
where
    P: Fn(&Identity) -> bool + Send + Sync + 'static,
{
    let site = Site::of(Anybody::new(move || Grant::new("somebody", &claims)), CALLBACK, |builder| builder);
    let browser = site.signed_in().await;
    let app = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require_where(predicate));
    let response = site.through(&app, &browser, navigation(Method::GET, "/", "none")).await;
    let is_in = text(&response) == "let in";
    assert_eq!(response.status(), if is_in { 200 } else { 403 });
    is_in
}

#[tokio::test]
async fn h123_true_is_true_and_nothing_else_is() {
    let verified = || claim_equals("/email_verified", true);
    assert!(passes(json!({ "email_verified": true }), verified()).await);
    let others = [
        json!({}),
        json!({ "email_verified": false }),
        json!({ "email_verified": "true" }),
        json!({ "email_verified": "false" }),
        json!({ "email_verified": "" }),
        json!({ "email_verified": null }),
        json!({ "email_verified": 1 }),
        json!({ "email_verified": 0 }),
        json!({ "email_verified": [true] }),
        json!({ "email_verified": { "email_verified": true } }),
        json!({ "Email_verified": true }),
        json!({ "email_verified ": true }),
        json!({ "x": { "email_verified": true } }),
        json!([{ "email_verified": true }]),
        json!(true),
        Value::Null,
    ];
    for claims in others {
        assert!(!passes(claims.clone(), verified()).await, "{claims}");
        assert!(!passes(claims.clone(), claim_includes("/email_verified", "true")).await, "{claims}");
    }
}

#[tokio::test]
async fn h125_a_claim_is_compared_whole() {
    let corp = || claim_equals("/email", "a@corp.example");
    let domain = || claim_equals("/hd", "corp.example");
    assert!(passes(json!({ "email": "a@corp.example" }), corp()).await);
    assert!(passes(json!({ "hd": "corp.example" }), domain()).await);
    for odd in [
        "a@evil.example@corp.example",
        "a@corp.example@evil.example",
        "a@corp.example,b@evil.example",
        "b@evil.example, a@corp.example",
        "\"a@corp.example\"@evil.example",
        "a@corp.example ",
        " a@corp.example",
        "a@corp.example\n",
        "a@corp.example\0",
        "A@corp.example",
        "a@CORP.EXAMPLE",
        "a@corp.example.",
        "a@corp.example.evil.example",
        "a@notcorp.example",
        "a\u{ff20}corp.example",
        "a\u{fe6b}corp.example",
        "a@c\u{43e}rp.example",
        "a@corp\u{3002}example",
        "a@corp.ex\u{ad}ample",
        "a@\u{200b}corp.example",
        "<a@corp.example>",
        "a%40corp.example",
    ] {
        let host = odd.rsplit('@').next().unwrap();
        assert!(!passes(json!({ "email": odd }), corp()).await, "{odd:?}");
        assert!(!passes(json!({ "email": [odd, "a@corp.example"] }), corp()).await, "{odd:?}");
        assert!(host == "corp.example" || !passes(json!({ "hd": host }), domain()).await, "{odd:?}");
    }
}

#[tokio::test]
async fn h125_an_address_is_one_person_in_either_form_and_no_other() {
    let site = Site::new();
    let browser = site.signed_in().await;
    const HEX: &str = "0x092bb4851ae26850588243e7bef22a56287f4739";
    let upper = format!("0x{}", HEX[2..].to_uppercase());
    let app = Router::new().fallback(any(async || "let in"));
    for (address, expected) in [(HEX, true), (BOB, true), (&upper, true), (&code(1), false), (&alice(), false)] {
        let guard = site.sign_in.require_where(siwbb::addresses([address]).unwrap());
        let response = site.through(&app.clone().layer(guard), &browser, Request::get("/")).await;
        assert_eq!(text(&response) == "let in", expected, "{address}");
    }
    // A list that would let in nobody, or somebody else, is none.
    for odd in [
        "",
        " ",
        "*",
        &BOB[..BOB.len() - 1],
        &HEX[..HEX.len() - 1],
        &format!("{HEX}0"),
        &format!("{HEX},{}", code(1)),
        &format!(" {HEX}"),
        &BOB.replace('1', "\u{661}"),
        &BOB.replace("bb1", "bc1"),
        &BOB.replace('b', "\u{184}"),
        &HEX.replace("0x", "0X0"),
    ] {
        assert!(siwbb::addresses([odd]).is_err(), "{odd:?}");
    }
    let nobody = site.sign_in.require_where(siwbb::addresses([""; 0]).unwrap());
    let response = site.through(&app.layer(nobody), &browser, Request::get("/")).await;
    assert_eq!((response.status().as_u16(), text(&response) == "let in"), (403, false), "a list of nobody");
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
async fn h127_who_has_nothing_gets_nothing() {
    let nothing = [
        Value::Null,
        json!({}),
        json!([]),
        json!(""),
        json!({ "groups": [] }),
        json!({ "groups": null }),
        json!({ "groups": "" }),
        json!({ "groups": [""] }),
        json!({ "groups": [null] }),
        json!({ "groups": {} }),
        json!({ "role": "" }),
        json!({ "role": null }),
    ];
    for claims in nothing {
        for wanted in [json!("admin"), json!(1), json!(true), json!(["admin"]), json!({ "a": 1 }), Value::Null] {
            assert!(!passes(claims.clone(), claim_includes("/groups", wanted.clone())).await, "{wanted} in {claims}");
            assert!(!passes(claims.clone(), claim_equals("/role", wanted.clone())).await, "{wanted} is {claims}");
            assert!(!passes(claims.clone(), claim_equals("/groups/0", wanted.clone())).await, "{wanted} is {claims}");
        }
        assert!(!passes(claims.clone(), siwbb::evm()).await, "{claims}");
        assert!(!passes(claims.clone(), siwbb::chain("")).await, "{claims}");
        assert!(!passes(claims.clone(), siwbb::addresses([BOB]).unwrap()).await, "{claims}");
    }
}

#[tokio::test]
async fn h127_an_empty_subject_is_nobody() {
    let site = Site::of(Anybody::called("", json!({ "role": "admin" })), CALLBACK, |builder| builder);
    let mut browser = Browser::new();
    assert_eq!(site.complete(&mut browser, "/").await.status(), 502);
    assert_eq!((browser.jar.len(), who(&site, &browser).await.as_str()), (0, "nobody"));

    let good: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    for member in ["bitbadgesAddress", "address", "verificationResponse", "access_token"] {
        for empty in [Value::Null, json!(""), json!({}), json!([]), json!(false), json!(0)] {
            let site = Site::new();
            let mut answer = good.clone();
            answer[member] = empty.clone();
            site.upstream.answer(200, answer.to_string());
            let mut browser = Browser::new();
            let status = site.complete(&mut browser, "/").await.status().as_u16();
            assert!(status == 502 || status == 403, "{member} {empty}: {status}");
            assert_eq!((browser.jar.len(), who(&site, &browser).await.as_str()), (0, "nobody"), "{member} {empty}");
        }
    }
}

/// Over sockets, with the provider of the feature `dev`; their ways cross.
#[tokio::test]
async fn h128_two_people_are_two() {
    let claims = |router: Router| {
        let echo = async |who: Identity| {
            axum::Json(json!([who.subject(), who.claims::<Value>().unwrap()["bitbadgesAddress"]]))
        };
        router.route("/me", any(echo))
    };
    let app = App::start_on(tower_signin::dev::DevProvider::start().await.unwrap(), |builder| builder, claims).await;
    let accounts = ["alice", "bob"];
    let mut browsers = [Browser::new(), Browser::new()];
    let mut callbacks = Vec::new();
    for (browser, account) in browsers.iter_mut().zip(accounts) {
        let url = browser.start(&app.origin, "/me").await;
        callbacks.push(browser.approve(&url, account).await);
    }
    let mut seen = std::collections::HashSet::new();
    for (browser, callback) in browsers.iter_mut().zip(&callbacks).rev() {
        assert_eq!(browser.get(callback).await.status(), 303);
        let me = browser.get(&app.url("/me")).await;
        let [subject, claimed]: [String; 2] = serde_json::from_str(text(&me)).unwrap();
        assert_eq!(subject, claimed);
        assert!(subject.starts_with("bb1") && seen.insert(subject), "{seen:?}");
    }
    assert!(seen.contains(&alice()) && seen.len() == 2, "{seen:?}");
}

#[tokio::test]
async fn h130_what_the_browser_adds_to_a_callback_is_no_claim() {
    let site = Site::new();
    know_everybody(&site);
    let user = json!({ "email": "ceo@corp.example", "name": { "firstName": "root" }, "sub": BOB }).to_string();
    let added = query(&[
        ("user", &user),
        ("email", "ceo@corp.example"),
        ("sub", BOB),
        ("address", BOB),
        ("bitbadgesAddress", BOB),
        ("chain", "Cosmos"),
        ("claims", &user),
        ("id_token", "a.b.c"),
        ("access_token", "mine"),
        ("subject", BOB),
    ]);
    let echo = Router::new().fallback(any(async |who: Identity| axum::Json(who.claims::<Value>().unwrap())));
    let mut plain = Browser::new();
    sign_in_as(&site, &mut plain, 1).await;
    let expected = text(&site.through(&echo, &plain, Request::get("/")).await).to_owned();
    for (before, after) in [("", format!("&{added}")), (added.as_str(), String::new())] {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let callback = format!("/api/callback?{before}&code={}&state={}{after}", code(1), started.state);
        let request =
            navigation(Method::GET, &callback, "cross-site").header("x-user", &user).header("from", "ceo@corp.example");
        assert_eq!(site.visit(&mut browser, request).await.status(), 303);
        assert_eq!(who(&site, &browser).await, subject(1));
        assert_eq!(text(&site.through(&echo, &browser, Request::get("/")).await), expected);
        let sent = site.upstream.requests();
        let sent = String::from_utf8_lossy(sent.last().unwrap().body()).into_owned();
        assert!(!sent.contains("ceo@") && !sent.contains(BOB) && !sent.contains("mine"), "{sent}");
    }
    // A form that is posted to the callback, as some providers do, is not taken at all.
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let posted = navigation(Method::POST, &started.callback(CODE), "cross-site");
    let before = site.upstream.requests().len();
    assert_eq!(site.visit(&mut browser, posted).await.status(), 405);
    assert_eq!((site.upstream.requests().len(), who(&site, &browser).await.as_str()), (before, "nobody"));
}
