//! For tests: a provider's side of a signature, with keys made here and now.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use super::algorithm::SigningAlgorithm;

pub(super) struct Signer {
    pub(super) algorithm: SigningAlgorithm,
    pub(super) jwk: Value,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

impl Signer {
    /// A new key. `id` is its key id, and for HS256 the client secret.
    pub(super) fn new(algorithm: SigningAlgorithm, id: &str) -> Self {
        let (pair, jwk) = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public_key().into();
                (Pair::Rsa(pair), json!({"kty": "RSA", "kid": id, "n": base64(n), "e": base64(e)}))
            }
            SigningAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let jwk = json!({"kty": "EC", "crv": "P-256", "kid": id, "x": base64(x), "y": base64(y)});
                (Pair::Ec(pair), jwk)
            }
            SigningAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::generate().unwrap();
                let x = base64(pair.public_key().as_ref());
                (Pair::Ed(pair), json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": x}))
            }
            SigningAlgorithm::Hs256 => (
                Pair::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, id.as_bytes()))),
                json!({"kty": "oct", "kid": id}),
            ),
        };
        Self { algorithm, jwk, pair }
    }

    /// The header that goes with the key.
    pub(super) fn header(&self) -> Value {
        json!({"alg": self.algorithm.as_str(), "kid": self.jwk["kid"], "typ": "JWT"})
    }

    /// A token of these parts, signed whatever they say.
    pub(super) fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64(header.as_bytes()), base64(payload.as_bytes()));
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding =
                    if self.algorithm == SigningAlgorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Pair::Secret(key) => hmac::sign(key, signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", base64(&signature))
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }
}

pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

pub(super) fn answer(body: &str) -> Response<Bytes> {
    Response::new(Bytes::from(body.to_owned()))
}

pub(super) fn jwk_set(keys: &[Value]) -> Response<Bytes> {
    answer(&json!({ "keys": keys }).to_string())
}
