//! ID tokens of attackers, at the place where one is due: the answer to a code. The rows are those of `tokens.rs` and `keys.rs`.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tower_signin::Oidc;
use tower_signin::dev::openid::{Account, CLIENT_ID, CLIENT_SECRET, OpenIdProvider};
use tower_signin::oidc::SigningAlgorithm::{Es256, Hs256, Rs256};

use crate::between::{Between, KEYS, Key, TOKEN, claims_in, encoded, unsigned, with};
use crate::support::{self, Browser, code, location};
use crate::trap::Trap;

async fn openid() -> Arc<OpenIdProvider> {
    Arc::new(OpenIdProvider::start().await.unwrap())
}

#[tokio::test]
async fn h109_no_spelling_of_none_signs_anybody_in() {
    let key = Key::new("1");
    let between = Between::signing(&openid().await, &key).await;
    between.assert_taken("signed").await;
    let spellings =
        ["none", "None", "NONE", "nOnE", "none ", " none", "none\0", "nоne", "\"none\"", "", "null", "ES256,none"];
    let others =
        [json!(null), json!([]), json!(["none"]), json!(["ES256"]), json!(0), json!(false), json!({ "alg": "none" })];
    for alg in spellings.map(Value::from).into_iter().chain(others) {
        for signature in ["nothing", "zeros", "good"] {
            let (key, alg) = (Arc::clone(&key), alg.clone());
            let name = format!("{alg} with {signature}");
            between.forge(move |claims| {
                let message = unsigned(&json!({ "alg": alg, "kid": "1" }), claims);
                let signature = match signature {
                    "nothing" => String::new(),
                    "zeros" => encoded([0; 64]),
                    _ => key.sign(&message),
                };
                format!("{message}.{signature}")
            });
            between.assert_rejected(&name).await;
        }
    }
    for header in
        [json!({}), json!({ "typ": "JWT" }), json!({ "Alg": "ES256", "ALG": "ES256" }), json!({ "alg": "ES256" })]
    {
        let name = header.to_string();
        between.forge(move |claims| format!("{}.", unsigned(&header, claims)));
        between.assert_rejected(&name).await;
    }
    between.forge(|claims| unsigned(&json!({ "alg": "none" }), claims));
    between.assert_rejected("without the last dot").await;
}

#[tokio::test]
async fn h110_no_public_key_is_a_secret() {
    let openid = openid().await;
    for accepted in [vec![Rs256], vec![Rs256, Hs256], vec![Hs256]] {
        let between = Between::of(&openid, |oidc| oidc.signing_algorithms(accepted.clone()), |builder| builder).await;
        let set =
            support::send(http::Request::get(format!("{}{KEYS}", openid.issuer())).body("".into()).unwrap()).await;
        let set: Value = serde_json::from_slice(set.unwrap().body()).unwrap();
        let key = set["keys"].as_array().unwrap().iter().find(|key| key["kty"] == "RSA").unwrap().clone();
        let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
        let (n, der) = (number("n"), spki(&number("n"), &number("e")));
        let lines: Vec<_> = STANDARD.encode(&der).into_bytes().chunks(64).map(<[u8]>::to_vec).collect();
        let pem = |end: &str| {
            let body = lines.join(&b'\n');
            [b"-----BEGIN PUBLIC KEY-----\n", &body[..], b"\n-----END PUBLIC KEY-----", end.as_bytes()].concat()
        };
        let keys = [
            ("PEM", pem("\n")),
            ("PEM without a line's end", pem("")),
            ("DER", der.clone()),
            ("the modulus", n),
            ("the modulus as text", key["n"].as_str().unwrap().as_bytes().to_vec()),
            ("the JWK", key.to_string().into_bytes()),
            ("the key set", set.to_string().into_bytes()),
            ("the key id", key["kid"].as_str().unwrap().as_bytes().to_vec()),
            ("the client id", CLIENT_ID.as_bytes().to_vec()),
            ("the issuer", openid.issuer().as_bytes().to_vec()),
        ];
        for (name, secret) in keys {
            for kid in [key["kid"].clone(), Value::Null] {
                let (header, secret) = (with(&json!({ "alg": "HS256" }), &[("kid", kid)]), secret.clone());
                between.forge(move |claims| hmac_signed(&secret, &header, claims));
                between.assert_rejected(&format!("{name}, where {accepted:?} are accepted")).await;
            }
        }
        if accepted.contains(&Hs256) {
            between.forge(|claims| hmac_signed(CLIENT_SECRET.as_bytes(), &json!({ "alg": "HS256" }), claims));
            between.assert_taken("the client secret").await;
        }
    }
}

#[tokio::test]
async fn h111_a_key_that_a_token_brings_is_not_used_and_nothing_is_fetched() {
    let (ours, theirs) = (Key::new("1"), Key::new("1"));
    let between = Between::signing(&openid().await, &ours).await;
    between.assert_taken("ours").await;
    let body = json!({ "keys": [theirs.jwk] }).to_string();
    let trap = Trap::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await;
    let certificate = STANDARD.encode([0x30; 64]);
    let foreign = format!("{}/foreign/jwks", between.openid.issuer());
    let members = [
        ("jwk", theirs.jwk.clone()),
        ("jku", json!(trap.url)),
        ("jku", json!(foreign)),
        ("x5u", json!(trap.url)),
        ("x5c", json!([certificate])),
        ("x5t#S256", json!(encoded([7; 32]))),
        ("kid", json!(trap.url)),
        ("kid", json!(format!("{}#1", trap.url))),
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("/proc/sys/kernel/hostname")),
        ("kid", json!("1' UNION SELECT 'key' --")),
        ("kid", json!("1\0")),
        ("kid", json!(null)),
    ];
    for (name, value) in members {
        let (header, theirs) = (with(&theirs.header(), &[(name, value)]), Arc::clone(&theirs));
        let name = header.to_string();
        between.forge(move |claims| theirs.token(&header, claims));
        between.assert_rejected(&name).await;
    }
    assert_eq!(trap.heard(), [""; 0]);
    // Nor do they do harm to a token that is signed with the provider's key.
    let header =
        with(&ours.header(), &[("jwk", theirs.jwk.clone()), ("jku", json!(trap.url)), ("x5u", json!(trap.url))]);
    between.forge(move |claims| ours.token(&header, claims));
    between.assert_taken("ours, beside theirs").await;
    assert_eq!(trap.heard(), [""; 0]);
}

#[tokio::test]
async fn h112_what_is_critical_and_unknown_is_refused_though_it_is_signed_well() {
    let key = Key::new("1");
    let between = Between::signing(&openid().await, &key).await;
    for (crit, member) in [
        (json!(["exp"]), ("exp", json!(4_000_000_000_u64))),
        (json!(["b64"]), ("b64", json!(false))),
        (json!(["b64"]), ("b64", json!(true))),
        (json!(["urn:example:unknown"]), ("urn:example:unknown", json!(true))),
        (json!(["alg"]), ("alg", json!("ES256"))),
        (json!(["kid", "kid"]), ("kid", json!("1"))),
        (json!([]), ("x", json!(1))),
        (json!("exp"), ("x", json!(1))),
        (json!([1]), ("x", json!(1))),
        (json!({}), ("x", json!(1))),
        (json!(false), ("x", json!(1))),
    ] {
        let (header, signer) = (with(&key.header(), &[member.clone(), ("crit", crit.clone())]), Arc::clone(&key));
        between.forge(move |claims| signer.token(&header, claims));
        between.assert_rejected(&format!("{crit} {}", member.0)).await;
        let (header, signer) = (with(&key.header(), std::slice::from_ref(&member)), Arc::clone(&key));
        between.forge(move |claims| signer.token(&header, claims));
        between.assert_taken(&format!("{} that is not critical", member.0)).await;
    }
    let signer = Arc::clone(&key);
    between.forge(move |claims| {
        let message =
            format!("{}.{}", encoded(r#"{"alg":"ES256","kid":"1","crit":null}"#), encoded(claims.to_string()));
        format!("{message}.{}", signer.sign(&message))
    });
    between.assert_rejected("null").await;
}

#[tokio::test]
async fn h113_a_hash_of_the_access_token_is_the_right_one_or_none_is_there() {
    let key = Key::new("1");
    let between = Between::signing(&openid().await, &key).await;
    let half = |bytes: &[u8]| encoded(&bytes[..bytes.len() / 2]);
    type Hash = Box<dyn Fn(&str) -> Value + Send + Sync>;
    let hash = |hash: fn(&str) -> Vec<u8>, shown: fn(&[u8]) -> String| -> Hash {
        Box::new(move |token| json!(shown(&hash(token))))
    };
    let sha256: fn(&str) -> Vec<u8> = |token| digest(&SHA256, token.as_bytes()).as_ref().to_vec();
    let sha384: fn(&str) -> Vec<u8> = |token| digest(&SHA384, token.as_bytes()).as_ref().to_vec();
    let sha512: fn(&str) -> Vec<u8> = |token| digest(&SHA512, token.as_bytes()).as_ref().to_vec();
    let cases: Vec<(&str, bool, Hash)> = vec![
        ("the right one", true, hash(sha256, half)),
        ("the whole hash", false, hash(sha256, |bytes| encoded(bytes))),
        ("a quarter of it", false, hash(sha256, |bytes| encoded(&bytes[..8]))),
        ("the right half", false, hash(sha256, |bytes| encoded(&bytes[16..]))),
        ("by SHA-384", false, hash(sha384, half)),
        ("by SHA-512", false, hash(sha512, half)),
        ("with padding", false, hash(sha256, |bytes| format!("{}==", encoded(&bytes[..16])))),
        (
            "in the other alphabet",
            false,
            hash(sha256, |bytes| STANDARD.encode([&[0xfb, 0xff], &bytes[2..16]].concat())),
        ),
        ("the token itself", false, Box::new(|token| json!(token))),
        ("nothing", false, Box::new(|_| json!(""))),
        ("another type", false, Box::new(|_| json!(0))),
        ("an array of it", false, Box::new(move |token| json!([half(&sha256(token))]))),
        ("true", false, Box::new(|_| json!(true))),
    ];
    for (name, is_right, hash) in cases {
        let signer = Arc::clone(&key);
        between.alter(TOKEN, move |answer| {
            let claims = claims_in(answer);
            let claims = with(&claims, &[("at_hash", hash(answer["access_token"].as_str().unwrap()))]);
            answer["id_token"] = json!(signer.token(&signer.header(), &claims));
        });
        if is_right { between.assert_taken(name).await } else { between.assert_rejected(name).await }
    }
    // Algorithms for which nobody knows the hash, over one that is right and a signature that is, too.
    for alg in ["ES256K", "ES512", "RS1", "HS1", "XX999", "ES", "256", "ES257", "SHA256"] {
        let signer = Arc::clone(&key);
        between.forge(move |claims| signer.token(&with(&signer.header(), &[("alg", json!(alg))]), claims));
        between.assert_rejected(alg).await;
    }
    let signer = Arc::clone(&key);
    between.forge(move |claims| signer.token(&signer.header(), &with(claims, &[("at_hash", Value::Null)])));
    between.assert_taken("none, which a code does not need").await;
}

#[tokio::test]
async fn h115_a_token_for_somebody_else_signs_nobody_in() {
    let key = Key::new("1");
    let openid = openid().await;
    let between = Between::signing(&openid, &key).await;
    for (audience, is_ours) in [
        (json!(CLIENT_ID), true),
        (json!([CLIENT_ID]), true),
        (json!("app_b"), false),
        (json!(["app_b"]), false),
        (json!([CLIENT_ID, "app_b"]), false),
        (json!(["app_b", CLIENT_ID]), false),
        (json!([[CLIENT_ID]]), false),
        (json!([CLIENT_ID, 1]), false),
        (json!({ CLIENT_ID: true }), false),
        (json!(format!("{CLIENT_ID} ")), false),
        (json!(format!("{CLIENT_ID} app_b")), false),
        (json!(format!("{CLIENT_ID},app_b")), false),
        (json!(CLIENT_ID.to_uppercase()), false),
        (json!(&CLIENT_ID[..CLIENT_ID.len() - 1]), false),
        (json!(format!("{CLIENT_ID}x")), false),
        (json!("*"), false),
        (json!(""), false),
        (json!([]), false),
        (json!(true), false),
        (json!(null), false),
    ] {
        for party in [None, Some(CLIENT_ID), Some("app_b"), Some("")] {
            let (signer, audience) = (Arc::clone(&key), audience.clone());
            let name = format!("for {audience}, by {party:?}");
            between.forge(move |claims| {
                let party = party.map_or(Value::Null, Value::from);
                let claims = with(claims, &[("aud", audience.clone()), ("azp", party)]);
                signer.token(&signer.header(), &claims)
            });
            let is_taken = is_ours && [None, Some(CLIENT_ID)].contains(&party);
            if is_taken { between.assert_taken(&name).await } else { between.assert_rejected(&name).await }
        }
    }
    // A code that another application was given, and what it was given for it.
    let theirs =
        Between::of(&openid, |_| Oidc::discover(openid.issuer(), "app_b", "secret-b"), |builder| builder).await;
    openid.add_client("app_b", Some("secret-b"));
    let answer = Browser::new().get(&theirs.app.url("/auth/login")).await;
    let callback_of_theirs = openid.approve(&location(&answer), &Account::alice()).unwrap();
    let code_of_theirs = crate::site::parameter(&callback_of_theirs, "code");
    let mut browser = Browser::new();
    let answer = browser.get(&between.app.url("/auth/login")).await;
    let callback = openid.approve(&location(&answer), &Account::alice()).unwrap();
    let code_of_ours = crate::site::parameter(&callback, "code");
    let answer = browser.get(&callback.replace(&code_of_ours, &code_of_theirs)).await;
    assert_eq!((answer.status().as_u16(), code(&answer).as_str()), (502, "exchange_rejected"));
    assert_eq!(between.app.says(&mut browser, "/").await, "nobody");
}

#[tokio::test]
async fn h116_every_character_of_an_id_token_counts() {
    let key = Key::new("1");
    let between = Between::signing(&openid().await, &key).await;
    between.assert_taken("whole").await;
    let length = {
        let claims = json!({ "iss": between.openid.issuer(), "sub": "1001" });
        key.token(&key.header(), &claims).len()
    };
    for at in (0..length).step_by(2) {
        let signer = Arc::clone(&key);
        between.forge(move |claims| {
            let token = signer.token(&signer.header(), claims);
            // From both ends, so that header, payload and signature are reached alike.
            let at = if at % 4 == 0 { at / 2 } else { token.len() - 1 - at / 2 };
            let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
            format!("{}{other}{}", &token[..at], &token[at + 1..])
        });
        between.assert_rejected(&format!("character {at}")).await;
    }
    for (name, change) in [
        ("cut", (|token: &str| token[..token.len() - 1].to_owned()) as fn(&str) -> String),
        ("longer", |token| format!("{token}A")),
        ("padded", |token| format!("{token}==")),
        ("with white space", |token| format!("{token} ")),
        ("twice", |token| format!("{token}.{token}")),
        ("with another signature", |token| {
            format!("{}.{}", token.rsplit_once('.').unwrap().0, Key::new("1").sign(token))
        }),
    ] {
        let signer = Arc::clone(&key);
        between.forge(move |claims| change(&signer.token(&signer.header(), claims)));
        between.assert_rejected(name).await;
    }
}

#[tokio::test]
async fn h117_an_empty_key_signs_nothing() {
    let openid = openid().await;
    for accepted in [vec![Es256], vec![Es256, Hs256], vec![Hs256]] {
        let between = Between::of(&openid, |oidc| oidc.signing_algorithms(accepted.clone()), |builder| builder).await;
        let oct = |k: &str| json!({ "kty": "oct", "alg": "HS256", "use": "sig", "kid": "1", "k": k });
        for (name, published) in
            [("no such key", vec![]), ("an empty key", vec![oct("")]), ("a key of zero", vec![oct("AA")])]
        {
            between.publish(&published);
            for (kind, secret) in [("empty", ""), ("zero", "\0"), ("null", "null"), ("undefined", "undefined")] {
                for header in [
                    json!({ "alg": "HS256" }),
                    json!({ "alg": "HS256", "kid": "1" }),
                    json!({ "alg": "HS256", "kid": "" }),
                ] {
                    between.forge(move |claims| hmac_signed(secret.as_bytes(), &header, claims));
                    between.assert_rejected(&format!("{kind}, with {name} published, {accepted:?}")).await;
                }
            }
        }
    }
}

fn hmac_signed(key: &[u8], header: &Value, claims: &Value) -> String {
    let message = unsigned(header, claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("{message}.{}", encoded(signature))
}

/// An RSA key as everybody has it in a file (RFC 5280 section 4.1.2.7).
fn spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let tagged = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    };
    let numbers = [tagged(2, &[&[0], n].concat()), vec![2, u8::try_from(e.len()).unwrap()], e.to_vec()].concat();
    let rsa_encryption = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let key = tagged(3, &[&[0], &tagged(0x30, &numbers)[..]].concat());
    tagged(0x30, &[&rsa_encryption[..], &key].concat())
}
