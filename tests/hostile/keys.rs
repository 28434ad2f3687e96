//! Keys and kept tokens: which key opens what, and that what is kept goes to whom it belongs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::COOKIE;
use http::{Method, Request};
use serde_json::json;
use tower_signin::predicate::claim_equals;
use tower_signin::{Identity, Keys, Tokens};

use crate::people::{LIFE, code, know_everybody, sign_in_as, subject};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, NOW, SESSION, Site, deleted, set_cookies, siwbb};
use crate::support::{Browser, block_on, navigation, text};
use crate::tokens::counts_for_nothing;

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H117",
        what: "an empty key was a key",
        verdict: Held(&[
            "h117_no_key_is_empty_short_or_uniform",
            "tests/hostile/id_tokens.rs::h117_an_empty_key_signs_nothing",
        ]),
    },
    Row {
        id: "H118",
        what: "the key id of a token chose a key of another kind, or a stale one",
        verdict: Held(&[
            "h118_a_key_id_chooses_no_other_key",
            "h118_a_key_that_was_dropped_opens_nothing",
            "tests/hostile/signing_keys.rs::h118_a_key_id_chooses_among_keys_that_fit_and_no_others",
            "tests/hostile/signing_keys.rs::h118_a_key_that_was_withdrawn_signs_nothing_once_that_is_known",
        ]),
    },
    Row {
        id: "H119",
        what: "an encrypted token passed where a signed one was due",
        verdict: Held(&[
            "h119_an_encrypted_token_is_nobody",
            "tests/hostile/signing_keys.rs::h119_nothing_that_is_encrypted_is_an_id_token",
        ]),
    },
    Row {
        id: "H120",
        what: "requests at the same time got the tokens of another person",
        verdict: Held(&[
            "h120_everybody_gets_their_own_tokens",
            "h120_tokens_beside_another_session_are_nobodys",
            "tests/hostile/signing_keys.rs::h120_everybody_has_tokens_of_their_own",
        ]),
    },
    Row {
        id: "H121",
        what: "an answer of the provider that was remembered skipped the checks of claims",
        verdict: Held(&[
            "h121_what_is_remembered_of_a_check_skips_no_guard",
            "tests/hostile/signing_keys.rs::h121_what_is_known_of_a_provider_skips_no_check",
        ]),
    },
];

#[tokio::test]
async fn h119_an_encrypted_token_is_nobody() {
    for header in [
        json!({ "alg": "dir", "enc": "A256GCM" }),
        json!({ "alg": "RSA1_5", "enc": "A128CBC-HS256", "zip": "DEF" }),
        json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_000_000_000, "p2s": "AA" }),
    ] {
        let part = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![7; bytes]);
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        for key in [String::new(), part(256)] {
            counts_for_nothing(&format!("{header}.{key}.{}.{}.{}", part(12), part(100), part(16))).await;
        }
    }
}

#[test]
fn h117_no_key_is_empty_short_or_uniform() {
    let refused = |text: &str| {
        let error = Keys::parse(text).map(drop).unwrap_err();
        assert_eq!(error.setting(), "keys", "{text:?}");
        assert_eq!(
            Keys::from_lookup("SIGNIN_KEYS", |_| Some(text.to_owned())).map(drop).unwrap_err().setting(),
            "keys"
        );
    };
    for text in ["", " ", "\n", ",", ",,", "=", "====", "null", "none", "changeme", "secret", "\"\"", "''", "0"] {
        refused(text);
    }
    let bytes: Vec<u8> = (1..=100).collect();
    let good = URL_SAFE_NO_PAD.encode(&bytes[..32]);
    assert!(Keys::parse(&good).is_ok());
    for length in (0..=100).filter(|length| *length != 32) {
        for text in [URL_SAFE_NO_PAD.encode(&bytes[..length]), STANDARD.encode(&bytes[..length])] {
            refused(&text);
            refused(&format!("{good},{text}"));
            refused(&format!("{text},{good}"));
        }
    }
    for byte in 0..=255 {
        refused(&URL_SAFE_NO_PAD.encode([byte; 32]));
    }
    // 32 characters are not 32 bytes, and no password is stretched to a key.
    refused("0123456789abcdef0123456789abcdef");
    refused(&"0".repeat(44));
}

/// A key by its number, as in the ring of a setting.
fn key(number: u8) -> String {
    URL_SAFE_NO_PAD.encode([[number; 16], [0; 16]].concat())
}

fn site_with(ring: &[u8]) -> Site {
    let ring: Vec<_> = ring.iter().map(|number| key(*number)).collect();
    Site::with(|builder| builder.keys(Keys::parse(&ring.join(",")).unwrap()))
}

async fn shown(site: &Site, session: &str) -> (String, Vec<String>) {
    let request = navigation(Method::GET, "/", "none").header(COOKIE, format!("{SESSION}={session}"));
    let response = site.visit(&mut Browser::new(), request).await;
    (text(&response).to_owned(), set_cookies(&response))
}

#[tokio::test]
async fn h118_a_key_id_chooses_no_other_key() {
    let (both, one, two) = (site_with(&[1, 2]), site_with(&[1]), site_with(&[2]));
    let by_one = one.signed_in().await.jar[SESSION].clone();
    let by_two = two.signed_in().await.jar[SESSION].clone();
    let mut browser = Browser::new();
    let started = one.start(&mut browser, "/").await;
    let flow = browser.jar[&started.flow_cookie()].clone();
    for good in [&by_one, &by_two] {
        assert_eq!(shown(&both, good).await.0, BOB);
    }
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let [one, two, flow] = [decode(&by_one), decode(&by_two), decode(&flow)];
    assert_eq!(one[1..9], flow[1..9], "the id is of the ring's key, and the key itself of the purpose");
    assert_ne!(one[1..9], two[1..9]);
    let (gone, stays) = (vec![deleted(SESSION)], Vec::new());
    let mixed = [
        ("one's under the id of two", [&one[..1], &two[1..9], &one[9..]].concat(), &gone),
        ("two's under the id of one", [&two[..1], &one[1..9], &two[9..]].concat(), &gone),
        ("with the nonce of two", [&one[..9], &two[9..21], &one[21..]].concat(), &gone),
        ("a flow", flow, &gone),
        ("an id that no key has", [&one[..1], &[0; 8], &one[9..]].concat(), &stays),
        ("an id that is a path", [&one[..1], b"../../x\0", &one[9..]].concat(), &stays),
    ];
    for (name, bytes, expected) in mixed {
        assert_eq!(
            shown(&both, &URL_SAFE_NO_PAD.encode(bytes)).await,
            ("nobody".to_owned(), expected.clone()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn h118_a_key_that_was_dropped_opens_nothing() {
    let old = site_with(&[1]).signed_in().await.jar[SESSION].clone();
    for (ring, expected) in [(&[1][..], BOB), (&[2, 1], BOB), (&[1, 2], BOB), (&[2], "nobody"), (&[2, 3], "nobody")] {
        assert_eq!(shown(&site_with(ring), &old).await.0, expected, "{ring:?}");
    }
    // Nor does one that is still there keep the new one from sealing.
    let new = site_with(&[2, 1]).signed_in().await.jar[SESSION].clone();
    assert_eq!(
        (shown(&site_with(&[2]), &new).await.0.as_str(), shown(&site_with(&[1]), &new).await.0.as_str()),
        (BOB, "nobody")
    );
}

/// Refreshes that are due at once for everybody, each asked for by several requests, on several threads.
#[test]
fn h120_everybody_gets_their_own_tokens() {
    block_on(async {
        let site =
            Arc::new(Site::with(|builder| builder.keep_tokens().session_lifetime(Duration::from_secs(100 * LIFE))));
        know_everybody(&site);
        let router = Router::new().fallback(any(async |who: Identity, tokens: Tokens| {
            format!("{} {}", who.subject(), tokens.access_token())
        }));
        let mut browsers = Vec::new();
        for number in 1..=16 {
            let mut browser = Browser::new();
            sign_in_as(&site, &mut browser, number).await;
            browsers.push((number, browser));
        }
        site.clock.advance(Duration::from_secs(LIFE - 60));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            for (number, browser) in &browsers {
                let answer = site.through(&router, browser, navigation(Method::GET, "/", "none"));
                let number = *number;
                tasks.spawn(async move { (number, text(&answer.await).to_owned()) });
            }
        }
        let seen = tasks.join_all().await;
        assert_eq!(seen.len(), 64);
        for (number, said) in seen {
            assert_eq!(said, format!("{} at-2-{}", subject(number), code(number)));
        }
        assert_eq!(site.upstream.requests().len(), 32, "an exchange and a refresh for each");
    });
}

#[tokio::test]
async fn h120_tokens_beside_another_session_are_nobodys() {
    const TOKENS: &str = "__Host-signin-tokens";
    let site = Site::with(|builder| builder.keep_tokens().session_lifetime(Duration::from_secs(100 * LIFE)));
    know_everybody(&site);
    let [mut ada, mut eve, mut earlier] = [Browser::new(), Browser::new(), Browser::new()];
    for (browser, number) in [(&mut ada, 1), (&mut eve, 2), (&mut earlier, 1)] {
        sign_in_as(&site, browser, number).await;
    }
    site.upstream.forget();
    for second in [0, LIFE - 30, 2 * LIFE] {
        site.clock.set(UNIX_EPOCH + Duration::from_secs(NOW + second));
        // Another person's, and those of a former session of the same one.
        for (session, tokens) in [(&eve, &ada), (&eve, &earlier), (&ada, &earlier)] {
            let mut mixed = session.clone();
            mixed.jar.insert(TOKENS.to_owned(), tokens.jar[TOKENS].clone());
            let answer = site.get(&mut mixed, "/").await;
            assert_eq!((text(&answer), set_cookies(&answer)), ("nobody", vec![]), "after {second} s");
        }
    }
    assert!(site.upstream.requests().is_empty(), "no token is sent for who can't have it");
}

#[tokio::test]
async fn h121_what_is_remembered_of_a_check_skips_no_guard() {
    const EVERY: u64 = 600;
    let is_member = Arc::new(AtomicUsize::new(1));
    let site = Site::of(siwbb().require_claim("member"), CALLBACK, |builder| {
        builder.recheck_every(Duration::from_secs(EVERY))
    });
    let count = Arc::clone(&is_member);
    site.upstream.answer_by(move |request| {
        let body = match request.uri().path() {
            "/api/v0/siwbb/token" => BOB_ANSWER.to_owned(),
            _ => format!(r#"{{"successCount":{}}}"#, count.load(Ordering::SeqCst)),
        };
        Ok(http::Response::new(body.into()))
    });
    let (first, second) = (site.signed_in().await, site.signed_in().await);
    let guard = |chain: &str| site.sign_in.require_where(claim_equals("/chain", chain));
    let router = Router::new()
        .route("/ours", any(async || "let in").layer(guard("ETH")))
        .route("/others", any(async || "let in").layer(guard("Cosmos")));
    let ask = async |browser: &Browser, path: &str| {
        let answer = site.through(&router, browser, Request::get(path)).await;
        (answer.status().as_u16(), site.upstream.requests().len())
    };
    site.clock.advance(Duration::from_secs(EVERY));
    assert_eq!(ask(&first, "/others").await, (403, 1), "checked, and turned away all the same");
    assert_eq!(ask(&first, "/ours").await, (200, 1), "the check is remembered");
    assert_eq!(ask(&first, "/others").await, (403, 1), "and opens nothing");
    assert_eq!(ask(&second, "/ours").await, (200, 2), "of this session alone, though it is the same person");
    // What is remembered is no longer true, and is not remembered beyond its time.
    is_member.store(0, Ordering::SeqCst);
    assert_eq!(ask(&first, "/ours").await, (200, 2));
    site.clock.advance(Duration::from_secs(EVERY));
    assert_eq!(ask(&first, "/ours").await, (401, 3), "the same cookie as before");
    is_member.store(1, Ordering::SeqCst);
    assert_eq!(ask(&first, "/ours").await, (401, 3), "nothing brings it back");
    assert_eq!(ask(&second, "/ours").await, (200, 4), "and it was the end of this session alone");
}
