//! Answers with a provider's keys, behind a line that says who signs the ID token and under which key id: nobody is signed in
//! without the very key being there, and for that.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::openid::{Answers, Object, PUBLISHED, SIGNERS, Signer, claims, decoded, ok, sign_in, site_of, token_answer};
use crate::{answer, fill};

#[derive(Deserialize)]
struct Set {
    keys: Vec<Box<RawValue>>,
}

/// Whether the set has this public key, to verify what is signed by its algorithm and said to be under this key id.
fn has(body: &[u8], signer: &Signer, id: Option<&str>) -> bool {
    const MEMBERS: [&str; 10] = ["kty", "kid", "alg", "use", "key_ops", "crv", "n", "e", "x", "y"];
    let Ok(Set { keys }) = serde_json::from_slice(body) else { return false };
    let ours = Object::read(signer.jwk.to_string().as_bytes()).and_then(|key| material(&key)).unwrap();
    keys.iter().filter_map(|key| Object::read(key.get().as_bytes())).any(|key| {
        let is_if_told = |name: &str, expected: &str| key.get(name).is_none_or(|value| value == expected);
        let may_verify = |ops: Value| ops.as_array().is_some_and(|ops| ops.iter().any(|one| one == "verify"));
        id.is_none_or(|id| key.get("kid").is_some_and(|kid| kid == id))
            && !MEMBERS.iter().any(|name| key.has_twice(name))
            && key.get("key_ops").is_none_or(may_verify)
            && is_if_told("use", "sig")
            && is_if_told("alg", signer.algorithm)
            && material(&key).as_ref() == Some(&ours)
    })
}

/// What a public key is: its type, the curve it is on, and its numbers.
fn material(key: &Object) -> Option<(String, Value, Vec<u8>)> {
    let bytes = |name: &str| decoded(&key.get(name)?);
    let number = |name: &str| Some(bytes(name)?.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<_>>());
    let kind = key.get("kty")?.as_str()?.to_owned();
    let (curve, numbers) = match kind.as_str() {
        "RSA" => (Value::Null, [number("n")?, vec![0], number("e")?].concat()),
        "EC" => (key.get("crv")?, [bytes("x")?, bytes("y")?].concat()),
        _ => (key.get("crv")?, bytes("x")?),
    };
    Some((kind, curve, numbers))
}

/// The public keys whole, as `{ed}`, and the numbers that each is made of, as `{ed.x}`.
fn filled(body: &[u8]) -> Vec<u8> {
    let Ok(template) = std::str::from_utf8(body) else { return body.to_vec() };
    let mut values = Vec::new();
    for (name, signer) in &*SIGNERS {
        values.push(((*name).to_owned(), signer.jwk.to_string()));
        for (member, value) in signer.jwk.as_object().unwrap() {
            values.push((format!("{name}.{member}"), value.as_str().unwrap().to_owned()));
        }
    }
    let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fill(template, &values).into_bytes()
}

pub fn run(data: &[u8]) -> bool {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return false };
    let (line, rest) = (std::str::from_utf8(&data[..at]).unwrap_or_default(), &data[at + 1..]);
    let (name, id) = line.split_once(' ').map_or((line, None), |(name, id)| (name, Some(id)));
    let Some(signer) = SIGNERS.get(name).filter(|_| PUBLISHED.contains(&name)) else { return false };
    let Some((status, body)) = answer(rest) else { return false };
    let body = Bytes::from(filled(&body));
    let site = site_of(|oidc| oidc);
    Answers::good("").give(&site);
    let outcome = sign_in(&site, |nonce| {
        let mut header = json!({ "alg": signer.algorithm });
        if let Some(id) = id {
            header["kid"] = json!(id);
        }
        let token = signer.token_with(&header, &claims(nonce));
        Answers { keys: (status, body.clone()), token: ok(&token_answer(&token)), ..Answers::good("") }
    });
    let is_signed_in = outcome.who.is_some();
    assert!(!is_signed_in || (status == 200 && has(&body, signer, id)), "signed in without the key");
    is_signed_in
}
