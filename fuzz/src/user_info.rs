//! Answers of a UserInfo endpoint, behind a line with what the ID token claims besides: they add to the person the token
//! names, and make nobody another, nor an address a verified one that nobody verified.

use bytes::Bytes;
use serde_json::{Map, Value};
use tower_signin::ErrorKind;

use crate::answer;
use crate::openid::{Answers, SIGNERS, claims, ok, sign_in, site_of, token_answer};

/// Claims of a token that serve to check it.
const CHECKED: [&str; 9] = ["iss", "sub", "aud", "azp", "iat", "exp", "nbf", "nonce", "at_hash"];

/// Claims that UserInfo has no say in.
const OF_THE_TOKEN_ALONE: [&str; 3] = ["auth_time", "acr", "amr"];

fn object(json: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(json).ok()
}

/// Whether this source says that this very address is verified.
fn verifies(source: &Map<String, Value>, name: &str, address: &Value) -> bool {
    source.get(name) == Some(address) && source.get(&format!("{name}_verified")) == Some(&Value::Bool(true))
}

pub fn run(data: &[u8]) -> bool {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return false };
    let Some(mut token) = object(&data[..at]) else { return false };
    let Some((status, body)) = answer(&data[at + 1..]) else { return false };
    token.retain(|name, _| !CHECKED.contains(&name.as_str()));
    let site = site_of(|oidc| oidc);
    Answers::good("").give(&site);
    let outcome = sign_in(&site, |nonce| {
        let mut claims = claims(nonce);
        claims.as_object_mut().unwrap().extend(token.clone());
        let id_token = SIGNERS["ed"].token(&claims);
        let user_info = (status, Bytes::clone(&body));
        Answers { token: ok(&token_answer(&id_token)), user_info, ..Answers::good("") }
    });
    let said = object(&body).filter(|said| said.get("sub") == Some(&Value::from("alice")));
    let is_hers = said.is_some() && (200..300).contains(&status);
    let is_too_large = outcome.kind == Some(ErrorKind::SessionTooLarge) && data.len() > 1000;
    assert!(is_too_large || outcome.who.is_some() == is_hers, "{:?} by {status} {said:?}", outcome.who);
    assert_ne!(outcome.kind, Some(ErrorKind::IdTokenRejected), "the token was right");
    let (Some((subject, claims)), Some(said)) = (outcome.who, said) else { return false };
    assert_eq!((subject.as_str(), &claims["sub"]), ("alice", &Value::from("alice")));
    for (name, value) in claims.as_object().unwrap() {
        let is_about_an_address = ["email_verified", "phone_number_verified"].contains(&name.as_str());
        let by_token = token.get(name).filter(|value| !value.is_null());
        match by_token {
            _ if name == "sub" => {}
            // In any case a boolean, and true for the very address that somebody verified.
            _ if is_about_an_address => {
                let address = name.strip_suffix("_verified").unwrap();
                let is_verified = [&token, &said].into_iter().any(|it| verifies(it, address, &claims[address]));
                assert!(
                    *value == Value::Bool(false) || (*value == Value::Bool(true) && is_verified),
                    "{name} in {claims}"
                );
            }
            Some(known) => assert_eq!(value, known, "{name} of the token was replaced"),
            None => {
                assert_eq!(Some(value), said.get(name), "nobody said {name}");
                assert!(!CHECKED.contains(&name.as_str()) && !OF_THE_TOKEN_ALONE.contains(&name.as_str()), "{name}");
            }
        }
    }
    true
}
