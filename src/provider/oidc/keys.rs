//! The keys that a provider signs with: its JWK set (RFC 7517), read with distrust.

use bytes::Bytes;
use http::Response;
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::algorithm::SigningAlgorithm;
use crate::error::Error;
use crate::oauth::answer::{json, unreadable};

/// Those of a provider's keys that can verify a signature. Symmetric ones are never among them: what is published proves
/// nothing.
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    kind: Kind,
    /// The one algorithm it is for, where it says so.
    algorithm: Option<String>,
    key: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    Ed25519,
}

/// A set with more than this many keys is refused.
const MOST_KEYS: usize = 100;

/// At most this many keys are tried on one signature.
const MOST_TRIED: usize = 8;

impl Keys {
    /// A key that can't be used is passed over, as RFC 7517 section 5 has it.
    pub(super) fn read(answer: &Response<Bytes>) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Box<RawValue>>,
        }
        let Set { keys } = json(answer)?;
        if keys.len() > MOST_KEYS {
            return Err(unreadable("there are more than 100 keys"));
        }
        Ok(Self(keys.iter().filter_map(|key| Key::read(key.get())).collect()))
    }

    /// The keys that a signature of this algorithm may be by. Without a key id, each that fits is one (Core section 10.1).
    pub(super) fn fitting<'a>(
        &'a self,
        id: Option<&'a str>,
        algorithm: SigningAlgorithm,
    ) -> impl Iterator<Item = &'a DecodingKey> {
        let fitting = self.0.iter().filter(move |key| id.is_none() || key.id.as_deref() == id);
        fitting.filter(move |key| key.fits(algorithm)).map(|key| &key.key).take(MOST_TRIED)
    }

    /// How many there are for this algorithm.
    pub(super) fn count(&self, algorithm: SigningAlgorithm) -> usize {
        self.0.iter().filter(|key| key.fits(algorithm)).count()
    }
}

impl Key {
    fn read(json: &str) -> Option<Self> {
        /// Of two members of one name, neither is believed.
        #[derive(Deserialize)]
        struct Jwk {
            kty: String,
            kid: Option<String>,
            alg: Option<String>,
            #[serde(rename = "use")]
            purpose: Option<String>,
            key_ops: Option<Vec<String>>,
            crv: Option<String>,
            n: Option<String>,
            e: Option<String>,
            x: Option<String>,
            y: Option<String>,
        }
        let jwk: Jwk = serde_json::from_str(json).ok()?;
        let is_for_signatures = jwk.purpose.is_none_or(|purpose| purpose == "sig");
        let may_verify = jwk.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !is_for_signatures || !may_verify {
            return None;
        }
        let (kind, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => (Kind::Rsa, DecodingKey::from_rsa_components(&jwk.n?, &jwk.e?).ok()?),
            ("EC", Some("P-256")) => (Kind::P256, DecodingKey::from_ec_components(&jwk.x?, &jwk.y?).ok()?),
            ("OKP", Some("Ed25519")) => (Kind::Ed25519, DecodingKey::from_ed_components(&jwk.x?).ok()?),
            _ => return None,
        };
        let has_right_size = match (kind, key.kind()) {
            (Kind::Rsa, DecodingKeyKind::RsaModulusExponent { n, .. }) => (2048 / 8..=8192 / 8).contains(&n.len()),
            (Kind::P256, DecodingKeyKind::SecretOrDer(point)) => point.len() == 1 + 2 * 32,
            (Kind::Ed25519, DecodingKeyKind::SecretOrDer(point)) => point.len() == 32,
            _ => false,
        };
        if !has_right_size {
            return None;
        }
        Some(Self { id: jwk.kid, kind, algorithm: jwk.alg, key })
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        let kind = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => Kind::Rsa,
            SigningAlgorithm::Es256 => Kind::P256,
            SigningAlgorithm::EdDsa => Kind::Ed25519,
            SigningAlgorithm::Hs256 => return false,
        };
        self.kind == kind && self.algorithm.as_deref().is_none_or(|name| name == algorithm.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::oidc::signing::{Signer, answer, jwk_set};

    /// How many keys of a set with this one alone are for each algorithm.
    fn counts(key: &serde_json::Value) -> [usize; 5] {
        use SigningAlgorithm::{EdDsa, Es256, Hs256, Ps256, Rs256};
        let keys = Keys::read(&jwk_set(std::slice::from_ref(key))).unwrap();
        [Rs256, Ps256, Es256, EdDsa, Hs256].map(|algorithm| keys.count(algorithm))
    }

    #[test]
    fn a_key_is_for_what_it_says_and_no_more() {
        use serde_json::json;
        let rsa = Signer::new(SigningAlgorithm::Rs256, "1");
        let p256 = Signer::new(SigningAlgorithm::Es256, "2");
        let ed25519 = Signer::new(SigningAlgorithm::EdDsa, "3");
        let with = |signer: &Signer, name: &str, value: serde_json::Value| {
            let mut key = signer.jwk.clone();
            key[name] = value;
            key
        };
        for (name, key, expected) in [
            ("RSA", rsa.jwk.clone(), [1, 1, 0, 0, 0]),
            ("P-256", p256.jwk.clone(), [0, 0, 1, 0, 0]),
            ("Ed25519", ed25519.jwk.clone(), [0, 0, 0, 1, 0]),
            ("RSA for RS256", with(&rsa, "alg", json!("RS256")), [1, 0, 0, 0, 0]),
            ("RSA for PS256", with(&rsa, "alg", json!("PS256")), [0, 1, 0, 0, 0]),
            ("RSA for RS512", with(&rsa, "alg", json!("RS512")), [0; 5]),
            ("RSA for encryption", with(&rsa, "alg", json!("RSA-OAEP")), [0; 5]),
            ("RSA that says HS256", with(&rsa, "alg", json!("HS256")), [0; 5]),
            ("use sig", with(&rsa, "use", json!("sig")), [1, 1, 0, 0, 0]),
            ("use enc", with(&rsa, "use", json!("enc")), [0; 5]),
            ("use of another type", with(&rsa, "use", json!(["sig"])), [0; 5]),
            ("key_ops verify", with(&rsa, "key_ops", json!(["sign", "verify"])), [1, 1, 0, 0, 0]),
            ("key_ops encrypt", with(&rsa, "key_ops", json!(["encrypt"])), [0; 5]),
            ("key_ops empty", with(&rsa, "key_ops", json!([])), [0; 5]),
            ("symmetric", json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}), [0; 5]),
            ("symmetric, with the members of RSA", with(&rsa, "kty", json!("oct")), [0; 5]),
            ("RSA without a modulus", with(&rsa, "n", json!(null)), [0; 5]),
            ("RSA with a modulus that is no base64url", with(&rsa, "n", json!("A+/=")), [0; 5]),
            ("RSA of 1024 bits", with(&rsa, "n", json!("A".repeat(171))), [0; 5]),
            ("RSA of 16384 bits", with(&rsa, "n", json!("A".repeat(2732))), [0; 5]),
            ("P-256 with half a point", with(&p256, "y", json!("AAAA")), [0; 5]),
            ("Ed25519 with half a point", with(&ed25519, "x", json!("AAAA")), [0; 5]),
            ("kty in another case", with(&rsa, "kty", json!("rsa")), [0; 5]),
            ("kty of another type", with(&rsa, "kty", json!(1)), [0; 5]),
            ("kid of another type", with(&rsa, "kid", json!(1)), [0; 5]),
            ("another curve", with(&p256, "crv", json!("P-384")), [0; 5]),
            ("secp256k1", with(&p256, "crv", json!("secp256k1")), [0; 5]),
            ("no curve", with(&p256, "crv", json!(null)), [0; 5]),
            ("Ed448", with(&ed25519, "crv", json!("Ed448")), [0; 5]),
            ("X25519", with(&ed25519, "crv", json!("X25519")), [0; 5]),
            ("no object", json!("key"), [0; 5]),
        ] {
            assert_eq!(counts(&key), expected, "{name}");
        }
    }

    #[test]
    fn a_member_that_is_there_twice_makes_a_key_unusable() {
        let rsa = Signer::new(SigningAlgorithm::Rs256, "1");
        let key = rsa.jwk.to_string().replacen('{', r#"{"kty":"RSA","#, 1);
        let set = format!(r#"{{"keys":[{key},{}]}}"#, rsa.jwk);
        assert_eq!(Keys::read(&answer(&set)).unwrap().count(SigningAlgorithm::Rs256), 1);
    }

    #[test]
    fn keys_are_chosen_by_id_and_not_all_are_tried() {
        let signer = Signer::new(SigningAlgorithm::Es256, "a");
        let key = |id: Option<&str>| {
            let mut key = signer.jwk.clone();
            key["kid"] = id.into();
            key
        };
        let many: Vec<_> = (0..20).map(|_| key(Some("many"))).collect();
        let mut all = vec![key(Some("a")), key(Some("b")), key(None)];
        all.extend(many);
        let keys = Keys::read(&jwk_set(&all)).unwrap();
        for (name, id, expected) in [
            ("known", Some("a"), 1),
            ("in another case", Some("A"), 0),
            ("empty", Some(""), 0),
            ("unknown", Some("c"), 0),
            ("many of one id", Some("many"), MOST_TRIED),
            ("none", None, MOST_TRIED),
        ] {
            assert_eq!(keys.fitting(id, SigningAlgorithm::Es256).count(), expected, "{name}");
            assert_eq!(keys.fitting(id, SigningAlgorithm::Rs256).count(), 0, "{name}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let signer = Signer::new(SigningAlgorithm::EdDsa, "a");
        let full: Vec<_> = (0..MOST_KEYS).map(|_| signer.jwk.clone()).collect();
        let too_many = [full.clone(), vec![signer.jwk.clone()]].concat();
        for (name, answer, expected) in [
            ("empty", answer(r#"{"keys":[]}"#), Some(0)),
            ("full", jwk_set(&full), Some(MOST_KEYS)),
            ("too many", jwk_set(&too_many), None),
            ("keys twice", answer(r#"{"keys":[],"keys":[]}"#), None),
            ("no keys", answer("{}"), None),
            ("keys of another type", answer(r#"{"keys":{}}"#), None),
            ("array", answer("[]"), None),
            ("HTML", answer("<html>"), None),
            ("nothing", answer(""), None),
        ] {
            let count = Keys::read(&answer).ok().map(|keys| keys.count(SigningAlgorithm::EdDsa));
            assert_eq!(count, expected, "{name}");
        }
    }
}
