//! Tokens from outside: what describes or signs itself is believed nowhere.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::Request;
use http::header::{AUTHORIZATION, COOKIE};
use serde_json::{Value, json};
use tower_signin::Builder;
use tower_signin::dev::{Account, Mode};

use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CODE, ID, KEY, NOW, SECRET, Site, query, set_cookies};
use crate::support::{self, App, Browser, alice, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H109",
        what: "a token that calls itself unsigned was believed",
        verdict: Held(&[
            "h109_a_token_that_says_none_is_nobody",
            "tests/hostile/id_tokens.rs::h109_no_spelling_of_none_signs_anybody_in",
        ]),
    },
    Row {
        id: "H110",
        what: "a token was believed that was signed with a key everybody knows, taken for an HMAC key",
        verdict: Held(&[
            "h110_a_token_under_any_hmac_key_is_nobody",
            "tests/hostile/id_tokens.rs::h110_no_public_key_is_a_secret",
        ]),
    },
    Row {
        id: "H111",
        what: "a token brought the key it was checked with, or the address of one",
        verdict: Held(&[
            "h111_a_token_with_a_key_of_its_own_is_nobody_and_nothing_is_fetched",
            "tests/hostile/id_tokens.rs::h111_a_key_that_a_token_brings_is_not_used_and_nothing_is_fetched",
        ]),
    },
    Row {
        id: "H112",
        what: "a token passed that names extensions nobody knows as critical",
        verdict: Held(&[
            "h112_a_token_with_critical_extensions_is_nobody",
            "tests/hostile/id_tokens.rs::h112_what_is_critical_and_unknown_is_refused_though_it_is_signed_well",
        ]),
    },
    Row {
        id: "H113",
        what: "a hash of the access token passed because nobody knew its algorithm",
        verdict: Held(&[
            "tests/hostile/id_tokens.rs::h113_a_hash_of_the_access_token_is_the_right_one_or_none_is_there",
        ]),
    },
    Row {
        id: "H114",
        what: "whoever watched RSA PKCS #1 v1.5 decryption fail could read what was encrypted",
        verdict: Held(&["h114_nothing_is_decrypted_with_rsa"]),
    },
    Row {
        id: "H115",
        what: "a token or code that was made for another application was taken",
        verdict: Held(&[
            "h115_a_code_that_is_bound_to_another_application_signs_nobody_in",
            "tests/hostile/id_tokens.rs::h115_a_token_for_somebody_else_signs_nobody_in",
        ]),
    },
    Row {
        id: "H116",
        what: "a minor release stopped checking signatures",
        verdict: Held(&[
            "tests/attack/seals.rs::every_bit_of_a_seal_counts",
            "tests/bad_input/sessions.rs::only_a_whole_session_of_ours_is_anybody",
            "tests/stored/gone.rs::a_sealed_record_that_was_touched_anywhere_is_nobody",
            "tests/hostile/id_tokens.rs::h116_every_character_of_an_id_token_counts",
            "tests/providers/oidc/misbehaviours.rs::each_is_refused_or_borne_and_no_token_of_a_refused_answer_is_used",
        ]),
    },
];

#[tokio::test]
async fn h109_a_token_that_says_none_is_nobody() {
    for alg in [json!("none"), json!("None"), json!("nOnE"), json!("NONE"), json!(""), json!(null), json!(["none"])] {
        let unsigned = unsigned(&json!({ "alg": alg, "typ": "JWT" }));
        for signature in ["", "AA", &URL_SAFE_NO_PAD.encode([0; 32])] {
            counts_for_nothing(&format!("{unsigned}.{signature}")).await;
        }
        counts_for_nothing(&unsigned).await;
    }
    counts_for_nothing(&format!("{}.", unsigned(&json!({ "typ": "JWT" })))).await;
}

#[tokio::test]
async fn h110_a_token_under_any_hmac_key_is_nobody() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let public = pair.public_key().as_ref();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(public));
    for key in [public, pem.as_bytes(), SECRET.as_bytes(), KEY.as_bytes(), ID.as_bytes(), b"secret", b"", &[0; 32]] {
        let unsigned = unsigned(&json!({ "alg": "HS256", "typ": "JWT" }));
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), unsigned.as_bytes());
        counts_for_nothing(&format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))).await;
    }
}

#[tokio::test]
async fn h111_a_token_with_a_key_of_its_own_is_nobody_and_nothing_is_fetched() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/certificate")),
        ("x5c", json!(["MIIB"])),
        ("kid", json!("https://evil.example/keys#1")),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' UNION SELECT 'key' --")),
    ] {
        let unsigned = unsigned(&json!({ "alg": "ES256", name: value }));
        let signature = pair.sign(&SystemRandom::new(), unsigned.as_bytes()).unwrap();
        counts_for_nothing(&format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))).await;
    }
}

#[tokio::test]
async fn h112_a_token_with_critical_extensions_is_nobody() {
    for header in [
        json!({ "alg": "HS256", "crit": ["exp"], "exp": NOW + 60 }),
        json!({ "alg": "HS256", "crit": ["b64"], "b64": false }),
        json!({ "alg": "HS256", "crit": [] }),
        json!({ "alg": "HS256", "crit": "evil" }),
    ] {
        let unsigned = unsigned(&header);
        let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), unsigned.as_bytes());
        counts_for_nothing(&format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))).await;
    }
}

/// Header and claims, by which alice is signed in.
fn unsigned(header: &Value) -> String {
    let claims = json!({
        "iss": "https://bitbadges.io", "sub": alice(), "aud": ID, "azp": ID, "address": alice(),
        "bitbadgesAddress": alice(), "chain": "Cosmos", "iat": NOW - 10, "exp": NOW + 86_400, "nonce": "n",
        "at_hash": URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, b"token").as_ref()[..16]),
    });
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// Wherever somebody could put a token that names alice, it makes nobody of anybody, and bob stays bob.
pub(crate) async fn counts_for_nothing(token: &str) {
    let site = Site::with(Builder::keep_tokens);
    let browser = site.signed_in().await;
    for scheme in ["Bearer", "bearer", "DPoP", "JWT", "Basic", ""] {
        let request = || Request::get("/").header(AUTHORIZATION, format!("{scheme} {token}"));
        assert_eq!(text(&site.visit(&mut Browser::new(), request()).await), "nobody", "{scheme} {token}");
        assert_eq!(text(&site.visit(&mut browser.clone(), request()).await), BOB, "{scheme} {token}");
    }
    for name in ["__Host-signin", "__Host-signin.1", "__Host-signin-tokens", "__Host-signin-rounds", "id_token", "jwt"]
    {
        let request = Request::get("/").header(COOKIE, format!("{name}={token}"));
        let response = site.visit(&mut Browser::new(), request).await;
        assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![]), "{name}={token}");
    }
    for name in ["id_token", "access_token", "token", "id_token_hint", "assertion", "request", "response"] {
        let address = format!("/?{}", query(&[(name, token)]));
        assert_eq!(text(&site.get(&mut Browser::new(), &address).await), "nobody", "{address}");
        let answer = format!("/api/callback?{}", query(&[(name, token), ("code", CODE)]));
        let response = site.get(&mut Browser::new(), &answer).await;
        assert_eq!((response.status().as_u16(), set_cookies(&response)), (400, vec![]), "{answer}");
    }
    assert!(site.upstream.requests().is_empty(), "{token}: the provider was asked");

    // Beside a sign-in of bob's, in the browser's hands and in the provider's.
    let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    answer["id_token"] = json!(token);
    answer["access_token"] = json!(token);
    site.upstream.answer(200, answer.to_string());
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let callback = format!("{}&{}", started.callback(CODE), query(&[("id_token", token)]));
    assert_eq!(site.get(&mut browser, &callback).await.status(), 303, "{token}");
    assert_eq!(text(&site.get(&mut browser, "/").await), BOB, "{token}");
    let sent = site.upstream.requests();
    assert_eq!(sent.len(), 1, "{token}: nothing but the exchange");
    assert!(!String::from_utf8_lossy(sent[0].body()).contains(token), "{token}");
}

/// The Rust crate for RSA has a known leak in its timing (RUSTSEC-2023-0071). Signatures by RSA are verified, by the TLS stack's
/// crypto, which takes no secret; what is encrypted with it stays so.
#[test]
fn h114_nothing_is_decrypted_with_rsa() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for lock in ["Cargo.lock", "fuzz/Cargo.lock", "tests/interleavings/Cargo.lock"] {
        let lock = std::fs::read_to_string(root.join(lock)).unwrap();
        assert!(lock.contains("name = \"aws-lc-rs\""), "the right file");
        for name in ["rsa", "openssl", "josekit", "jwe", "biscuit"] {
            assert!(!lock.contains(&format!("name = \"{name}\"")), "{name} is among the dependencies");
        }
    }
    // So each type is called by which the TLS stack's crypto does it.
    let sources = crate::hardening::sources(&root.join("src"));
    assert!(sources.iter().any(|source| source.contains("aws_lc_rs::rsa")), "the right folder");
    assert!(!sources.iter().any(|source| source.contains("DecryptingKey")), "something is decrypted with RSA");
}

/// A provider that does not bind them would give the person away, which SECURITY.md says. What is ours to do is to say with
/// each code for whom it is.
#[tokio::test]
async fn h115_a_code_that_is_bound_to_another_application_signs_nobody_in() {
    let app = App::start().await;
    app.dev.set_mode(Mode::Strict);
    app.dev.add_app("app_b", "secret-b");
    let redirect_uri = format!("{}/auth/callback", app.origin);
    for theirs in [None, Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")] {
        for (client_id, redirect_uri) in
            [("app_b", redirect_uri.as_str()), ("app_b", "https://b.example/callback"), (ID, "https://b.example/")]
        {
            let mut browser = Browser::new();
            let authorization_url = browser.start(&app.origin, "/").await;
            let ours = crate::site::parameter(&authorization_url, "code_challenge");
            for challenge in [theirs, Some(ours.as_str())] {
                let name = format!("{client_id} {redirect_uri} {challenge:?}");
                let Ok(code_of_theirs) = app.dev.issue_code(client_id, redirect_uri, &Account::alice(), challenge)
                else {
                    continue;
                };
                let mut browser = Browser::new();
                let authorization_url = browser.start(&app.origin, "/").await;
                let state = crate::site::parameter(&authorization_url, "state");
                let response =
                    browser.get(&app.url(&format!("/auth/callback?code={code_of_theirs}&state={state}"))).await;
                assert_eq!(
                    (response.status().as_u16(), support::code(&response).as_str()),
                    (502, "exchange_rejected"),
                    "{name}"
                );
                assert_eq!(browser.cookie_header(), None, "{name}");
                assert_eq!(text(&browser.get(&app.url("/")).await), "nobody", "{name}");
            }
        }
    }
    // Each exchange says for whom it is, and proves it.
    for request in app.dev.requests() {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["redirect_uri"], redirect_uri.as_str());
        for name in ["client_id", "client_secret", "code_verifier"] {
            assert!(body[name].as_str().is_some_and(|value| !value.is_empty()), "{name} in {body}");
        }
    }
    assert!(app.provider_requests() > 0);
}
