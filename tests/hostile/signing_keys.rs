//! The keys that a provider publishes, and what is remembered of a provider. The rows are those of `keys.rs`.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http::header::AUTHORIZATION;
use serde_json::{Value, json};
use tower_signin::dev::openid::{Account, Misbehaviour, OpenIdProvider};

use crate::between::{Between, Key, encoded, with};
use crate::support::{self, Browser, block_on};

async fn openid() -> Arc<OpenIdProvider> {
    Arc::new(OpenIdProvider::start().await.unwrap())
}

#[tokio::test]
async fn h118_a_key_id_chooses_among_keys_that_fit_and_no_others() {
    let openid = openid().await;
    let (key, other) = (Key::new("1"), Key::new("1"));
    let rsa = json!({ "kty": "RSA", "kid": "1", "n": encoded([0xc5; 256]), "e": "AQAB" });
    let oct = json!({ "kty": "oct", "kid": "1", "k": encoded("secret") });
    let ours = |members: &[(&str, Value)]| with(&key.jwk, members);
    for (name, keys, is_taken) in [
        ("alone", vec![ours(&[])], true),
        ("for signatures", vec![ours(&[("use", json!("sig")), ("alg", json!("ES256"))])], true),
        ("beside others of its name", vec![rsa.clone(), oct.clone(), other.jwk.clone(), ours(&[])], true),
        ("before others of its name", vec![ours(&[]), other.jwk.clone(), oct.clone(), rsa.clone()], true),
        ("under another name", vec![ours(&[("kid", json!("2"))])], false),
        ("under its name in another case", vec![ours(&[("kid", json!("1 "))])], false),
        ("under a name of another type", vec![ours(&[("kid", json!(1))])], false),
        ("without a name", vec![ours(&[("kid", Value::Null)])], false),
        ("of another type", vec![rsa.clone()], false),
        ("symmetric", vec![oct.clone()], false),
        ("somebody else's under its name", vec![other.jwk.clone()], false),
        ("for encryption", vec![ours(&[("use", json!("enc"))])], false),
        ("for another algorithm", vec![ours(&[("alg", json!("ES384"))])], false),
        ("for key agreement", vec![ours(&[("alg", json!("ECDH-ES"))])], false),
        ("to sign with", vec![ours(&[("key_ops", json!(["sign"]))])], false),
        ("on another curve", vec![ours(&[("crv", json!("P-384"))])], false),
        ("of half a point", vec![ours(&[("y", json!(""))])], false),
        ("called RSA", vec![ours(&[("kty", json!("RSA")), ("n", rsa["n"].clone()), ("e", json!("AQAB"))])], false),
        ("none at all", vec![], false),
    ] {
        let between = Between::signing(&openid, &key).await;
        between.publish(&keys);
        if is_taken { between.assert_taken(name).await } else { between.assert_rejected(name).await }
    }
    // Of another type than it must be, it is not taken for none, which would leave the choice open.
    for kid in [json!(1), json!(["1"]), json!({ "kid": "1" }), json!(true), json!("")] {
        let (between, signer) = (Between::signing(&openid, &key).await, Arc::clone(&key));
        let header = with(&key.header(), &[("kid", kid.clone())]);
        between.forge(move |claims| signer.token(&header, claims));
        between.assert_rejected(&format!("kid {kid}")).await;
    }
}

#[tokio::test]
async fn h118_a_key_that_was_withdrawn_signs_nothing_once_that_is_known() {
    let openid = openid().await;
    for kid in ["1", "2"] {
        let (old, new) = (Key::new("1"), Key::new(kid));
        let between = Between::signing(&openid, &old).await;
        between.assert_taken("the old one").await;
        let by = |key: &Arc<Key>| {
            let key = Arc::clone(key);
            between.forge(move |claims| key.token(&key.header(), claims));
        };
        between.publish(std::slice::from_ref(&new.jwk));
        by(&new);
        between.assert_taken("the new one, which has the keys fetched").await;
        by(&old);
        between.assert_rejected("the old one, after that").await;
        // Nor where no token by the new one told of it.
        let between = Between::signing(&openid, &old).await;
        between.assert_taken("the old one").await;
        between.publish(std::slice::from_ref(&new.jwk));
        between.app.clock.advance(Duration::from_secs(3600));
        between.assert_rejected("the old one, after an hour").await;
    }
}

#[tokio::test]
async fn h119_nothing_that_is_encrypted_is_an_id_token() {
    let key = Key::new("1");
    let between = Between::signing(&openid().await, &key).await;
    between.assert_taken("signed").await;
    let part = |bytes: usize| encoded(vec![7; bytes]);
    for header in [
        json!({ "alg": "dir", "enc": "A256GCM" }),
        json!({ "alg": "ES256", "kid": "1", "enc": "A256GCM" }),
        json!({ "alg": "ECDH-ES", "enc": "A128GCM", "epk": key.jwk, "kid": "1" }),
        json!({ "alg": "RSA1_5", "enc": "A128CBC-HS256", "zip": "DEF" }),
        json!({ "alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_000_000_000, "p2s": "AA" }),
        json!({ "alg": "none", "enc": "none", "cty": "JWT" }),
    ] {
        for wrapped in ["", &part(32), &part(256)] {
            let (name, header, wrapped) = (header.to_string(), encoded(header.to_string()), wrapped.to_owned());
            // Around a token that would be taken, and around nothing.
            for inside in [true, false] {
                let (signer, header, wrapped, rest) =
                    (Arc::clone(&key), header.clone(), wrapped.clone(), (part(12), part(16)));
                between.forge(move |claims| {
                    let token =
                        if inside { encoded(signer.token(&signer.header(), claims)) } else { encoded([7; 100]) };
                    format!("{header}.{wrapped}.{}.{token}.{}", rest.0, rest.1)
                });
                between.assert_rejected(&name).await;
            }
        }
    }
    // Nor is a token that was signed twice, or whose claims are a token.
    let signer = Arc::clone(&key);
    between.forge(move |claims| {
        let inner = signer.token(&signer.header(), claims);
        let message =
            format!("{}.{}", encoded(with(&signer.header(), &[("cty", json!("JWT"))]).to_string()), encoded(inner));
        format!("{message}.{}", signer.sign(&message))
    });
    between.assert_rejected("a token within a token").await;
}

/// Sign-ins and refreshes of many people at once, through one client: who a token is of, the provider itself says.
#[test]
fn h120_everybody_has_tokens_of_their_own() {
    block_on(async {
        let between =
            Between::of(&openid().await, |oidc| oidc.scope("offline_access"), |builder| builder.keep_tokens()).await;
        let people: Vec<_> = (0..12).map(|number| Account::new(&format!("person-{number}"))).collect();
        let sign_ins = people.iter().map(|account| async {
            let mut browser = Browser::new();
            assert_eq!(between.sign_in(&mut browser, account).await.status(), 303);
            browser
        });
        let mut browsers = futures_util::future::join_all(sign_ins).await;
        let first = check(&between, &people, &mut browsers).await;
        between.app.clock.advance(Duration::from_secs(3600 - 30));
        let second = check(&between, &people, &mut browsers).await;
        assert!(first.iter().all(|token| !second.contains(token)), "they were refreshed");
    });
}

/// The access tokens of all, asked for at once, each of which must be of the person that has it.
async fn check(between: &Between, people: &[Account], browsers: &mut [Browser]) -> Vec<String> {
    let each = people.iter().zip(browsers).map(|(account, browser)| async {
        let says = between.app.says(browser, "/tokens").await;
        assert_eq!(between.app.says(browser, "/").await, account.subject);
        let token = says.split(' ').next().unwrap().to_owned();
        let request = Request::get(format!("{}/userinfo", between.openid.issuer()))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let answer = support::send(request.body("".into()).unwrap()).await.unwrap();
        let who: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(who["sub"], account.subject.as_str());
        token
    });
    futures_util::future::join_all(each).await
}

#[tokio::test]
async fn h121_what_is_known_of_a_provider_skips_no_check() {
    let openid = openid().await;
    let between = Between::of(&openid, |oidc| oidc, |builder| builder).await;
    between.assert_taken("the first").await;
    for misbehaviour in [
        Misbehaviour::InvalidSignature,
        Misbehaviour::AlgorithmNone,
        Misbehaviour::InvalidIssuer,
        Misbehaviour::InvalidAudience,
        Misbehaviour::InvalidNonce,
        Misbehaviour::Expired,
        Misbehaviour::InvalidAccessTokenHash,
    ] {
        openid.set_misbehaviour(Some(misbehaviour));
        between.assert_rejected(&format!("{misbehaviour:?}")).await;
        openid.set_misbehaviour(None);
        between.assert_taken(&format!("after {misbehaviour:?}")).await;
    }
    // Nor is an ID token that was taken once good for another sign-in of the same person.
    let taken = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&taken);
    between.alter(crate::between::TOKEN, move |answer| {
        let mut kept = keep.lock().unwrap();
        let first: Value = kept.get_or_insert_with(|| answer.clone()).clone();
        *answer = first;
    });
    between.assert_taken("an answer").await;
    between.assert_rejected("the same answer").await;
    let token = taken.lock().unwrap().clone().unwrap();
    let payload = token["id_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    assert!(String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap().contains("nonce"));
}
