use aws_lc_rs::rand;
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Misbehaviour;
use super::keys::{Keys, PUBLISHED, sign_hmac};
use super::state::State;
use crate::dev::DevError;
use crate::provider::oidc::SigningAlgorithm;

/// The payload as a JWS in compact form (RFC 7515 section 3.1), or what the misbehaviour makes of it.
pub(super) fn sign(
    state: &mut State,
    typ: Option<&str>,
    payload: &str,
    client_secret: &[u8],
) -> Result<String, DevError> {
    use Misbehaviour as M;
    let algorithm = state.algorithm;
    let header = json!({ "typ": typ, "alg": algorithm.as_str(), "kid": state.keys.key_id(algorithm) });
    let header = if typ.is_none() { altered(&header, "typ", Value::Null) } else { header };
    let with = |name: &str, value: Value| altered(&header, name, value);
    let message = |header: &Value| format!("{}.{}", encode(header.to_string()), encode(payload));
    let ours = |header: &Value| match algorithm {
        SigningAlgorithm::Hs256 => hmac_signed(client_secret, &message(header)),
        _ => signed(&state.keys, algorithm, &message(header)),
    };
    let unsigned = |header: &Value| Ok(format!("{}.", message(header)));
    let hmac = |key: &[u8], key_id: Value| {
        let header = altered(&with("alg", json!("HS256")), "kid", key_id);
        hmac_signed(key, &message(&header))
    };
    match state.misbehaviour {
        Some(M::NoKeyIdSingleKey | M::NoKeyIdSeveralKeys) => ours(&with("kid", Value::Null)),
        Some(M::AlgorithmNone) => unsigned(&json!({ "alg": "none" })),
        Some(M::AlgorithmNoneCapitalized) => unsigned(&json!({ "alg": "None" })),
        Some(M::AlgorithmNoneMixed) => unsigned(&json!({ "alg": "nOnE" })),
        Some(M::AlgorithmEmpty) => unsigned(&with("alg", json!(""))),
        Some(M::AlgorithmMissing) => unsigned(&with("alg", Value::Null)),
        Some(M::EmptySignature) => unsigned(&header),
        Some(M::HmacWithPublicKey) => {
            hmac(state.keys.rsa_pem().as_bytes(), json!(state.keys.key_id(SigningAlgorithm::Rs256)))
        }
        Some(M::HmacWithPublishedKey) => hmac(PUBLISHED_SECRET, json!(PUBLISHED_KEY_ID)),
        Some(M::HmacWithClientSecret) => hmac(client_secret, Value::Null),
        Some(M::HmacWithEmptyKey) => hmac(b"", Value::Null),
        Some(M::InvalidSignature) => ours(&header).map(|token| corrupted(&token)),
        Some(M::AnotherAlgorithm) => {
            let other = match algorithm {
                SigningAlgorithm::Rs256 => SigningAlgorithm::Ps256,
                _ => SigningAlgorithm::Rs256,
            };
            let header = altered(&with("alg", json!(other.as_str())), "kid", json!(state.keys.key_id(other)));
            signed(&state.keys, other, &message(&header))
        }
        Some(M::KeyOfAnotherType) => {
            let other = match algorithm {
                SigningAlgorithm::Es256 => SigningAlgorithm::Rs256,
                _ => SigningAlgorithm::Es256,
            };
            ours(&with("kid", json!(state.keys.key_id(other))))
        }
        Some(M::UnknownKeyId) => ours(&with("kid", json!("nowhere"))),
        Some(M::AccessTokenHashOfUnknownAlgorithm) => ours(&with("alg", json!("XX999"))),
        Some(M::UnknownCriticalHeader) => {
            let header = with("crit", json!(["urn:example:unknown"]));
            ours(&altered(&header, "urn:example:unknown", json!(true)))
        }
        Some(M::KeyInHeader) => {
            let key = state.foreign_keys()?.public(algorithm, None)?;
            signed(state.foreign_keys()?, algorithm, &message(&altered(&header, "jwk", key)))
        }
        Some(M::KeyAddressInHeader) => {
            let header = with("jku", json!(format!("{}{FOREIGN_KEYS}", state.issuer)));
            signed(state.foreign_keys()?, algorithm, &message(&header))
        }
        Some(M::CertificateAddressInHeader) => {
            let header = with("x5u", json!(format!("{}{FOREIGN_CERTIFICATE}", state.issuer)));
            signed(state.foreign_keys()?, algorithm, &message(&header))
        }
        Some(M::Encrypted) => encrypted(),
        _ => ours(&header),
    }
}

/// The key set (RFC 7517 section 5).
pub(super) fn key_set(state: &mut State) -> Result<Value, DevError> {
    use Misbehaviour as M;
    let algorithm = state.algorithm;
    let mut keys = Vec::new();
    match state.misbehaviour {
        Some(M::KeysEmpty) => return Ok(json!({ "keys": [] })),
        Some(M::NoKeyIdSingleKey) => return Ok(json!({ "keys": [state.keys.public(algorithm, None)?] })),
        Some(M::NoKeyIdSeveralKeys) => {
            let other = state.foreign_keys()?.public(algorithm, None)?;
            return Ok(json!({ "keys": [other, state.keys.public(algorithm, None)?] }));
        }
        Some(M::HmacWithPublishedKey) => keys.push(json!({
            "kty": "oct", "alg": "HS256", "use": "sig", "kid": PUBLISHED_KEY_ID, "k": encode(PUBLISHED_SECRET),
        })),
        Some(M::KeysAmongUnusable) => keys.extend(unusable_keys(&state.keys.key_id(algorithm))),
        _ => {}
    }
    for algorithm in PUBLISHED {
        keys.push(state.keys.public(algorithm, Some(&state.keys.key_id(algorithm)))?);
    }
    Ok(json!({ "keys": keys }))
}

/// The keys that `jku` leads to, under the ids of ours.
pub(super) fn foreign_key_set(state: &mut State) -> Result<Value, DevError> {
    let (algorithm, key_id) = (state.algorithm, state.keys.key_id(state.algorithm));
    Ok(json!({ "keys": [state.foreign_keys()?.public(algorithm, Some(&key_id))?] }))
}

fn signed(keys: &Keys, algorithm: SigningAlgorithm, message: &str) -> Result<String, DevError> {
    let signature = keys.sign(algorithm, message)?;
    Ok(format!("{message}.{signature}"))
}

fn hmac_signed(key: &[u8], message: &str) -> Result<String, DevError> {
    let signature = sign_hmac(key, message)?;
    Ok(format!("{message}.{signature}"))
}

/// A header with one member set, or removed by a null.
fn altered(header: &Value, name: &str, value: Value) -> Value {
    let mut header = header.clone();
    if let Value::Object(members) = &mut header {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.to_owned(), value),
        };
    }
    header
}

/// Another first character, which stands for six bits of the signature; the last one may stand for fewer.
fn corrupted(token: &str) -> String {
    let Some((message, signature)) = token.rsplit_once('.') else { return token.to_owned() };
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{message}.{first}{}", signature.get(1..).unwrap_or_default())
}

/// Five parts that nobody can decrypt (RFC 7516 section 3.1).
fn encrypted() -> Result<String, DevError> {
    let mut bytes = [0; 256];
    rand::fill(&mut bytes).map_err(|_| DevError::Random)?;
    let header = json!({ "alg": "RSA-OAEP", "enc": "A256GCM", "cty": "JWT" });
    let parts =
        [encode(header.to_string()), encode(bytes), encode(&bytes[..12]), encode(&bytes[..200]), encode(&bytes[..16])];
    Ok(parts.join("."))
}

fn unusable_keys(key_id: &str) -> Vec<Value> {
    vec![
        json!({ "kty": "LATTICE", "kid": key_id, "p": "AQAB" }),
        json!({ "kty": "RSA", "kid": key_id, "use": "sig", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "encrypts", "use": "enc", "e": "AQAB", "n": "AQAB" }),
        json!({ "kty": "EC", "kid": "curve", "crv": "P-257", "x": "AQAB", "y": "AQAB" }),
        json!({ "kid": "no-type" }),
        json!("no object"),
    ]
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(super) const FOREIGN_KEYS: &str = "/foreign/jwks";
pub(super) const FOREIGN_CERTIFICATE: &str = "/foreign/certificate";
const PUBLISHED_KEY_ID: &str = "published";
const PUBLISHED_SECRET: &[u8] = b"a secret that everybody can read";
