use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::dev::DevError;
use crate::provider::oidc::SigningAlgorithm;

/// Those with a key in the key set.
pub(super) const PUBLISHED: [SigningAlgorithm; 4] =
    [SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Ps256];

/// A key for each algorithm. RS256 and PS256 have one pair under two key ids.
pub(super) struct Keys {
    rsa: EncodingKey,
    rsa_pem: String,
    p256: EncodingKey,
    ed25519: EncodingKey,
    /// Part of each key id.
    generation: u64,
}

impl Keys {
    pub(super) fn generate(generation: u64) -> Result<Self, DevError> {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| DevError::Random)?;
        let pkcs8 = rsa.as_der().map_err(|_| DevError::Random)?;
        let public = rsa.public_key().as_der().map_err(|_| DevError::Random)?;
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let ed25519 = Ed25519KeyPair::generate_pkcs8v1(&random);
        Ok(Self {
            rsa: EncodingKey::from_rsa_der(pkcs8.as_ref().get(PKCS8_HEADER..).unwrap_or_default()),
            rsa_pem: pem(public.as_ref()),
            p256: EncodingKey::from_ec_der(p256.map_err(|_| DevError::Random)?.as_ref()),
            ed25519: EncodingKey::from_ed_der(ed25519.map_err(|_| DevError::Random)?.as_ref()),
            generation,
        })
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn key_id(&self, algorithm: SigningAlgorithm) -> String {
        format!("{}-{}", algorithm.as_str(), self.generation)
    }

    /// The public key as a JWK (RFC 7517), under this id if any.
    pub(super) fn public(&self, algorithm: SigningAlgorithm, key_id: Option<&str>) -> Result<Value, DevError> {
        // With the back ends of two crates linked in, this one would panic where none is chosen.
        let _ = DEFAULT_PROVIDER.install_default();
        let key = Jwk::from_encoding_key(self.private(algorithm)?, of_jsonwebtoken(algorithm)?)
            .map_err(|_| DevError::Random)?;
        let mut key = serde_json::to_value(key).map_err(|_| DevError::Random)?;
        key["use"] = json!("sig");
        if let Some(key_id) = key_id {
            key["kid"] = json!(key_id);
        }
        Ok(key)
    }

    /// The public RSA key as PEM.
    pub(super) fn rsa_pem(&self) -> &str {
        &self.rsa_pem
    }

    pub(super) fn sign(&self, algorithm: SigningAlgorithm, message: &str) -> Result<String, DevError> {
        sign(of_jsonwebtoken(algorithm)?, self.private(algorithm)?, message)
    }

    fn private(&self, algorithm: SigningAlgorithm) -> Result<&EncodingKey, DevError> {
        match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => Ok(&self.rsa),
            SigningAlgorithm::Es256 => Ok(&self.p256),
            SigningAlgorithm::EdDsa => Ok(&self.ed25519),
            SigningAlgorithm::Hs256 => Err(DevError::Random),
        }
    }
}

fn of_jsonwebtoken(algorithm: SigningAlgorithm) -> Result<Algorithm, DevError> {
    algorithm.as_str().parse().map_err(|_| DevError::Random)
}

/// HS256 with this key.
pub(super) fn sign_hmac(key: &[u8], message: &str) -> Result<String, DevError> {
    sign(Algorithm::HS256, &EncodingKey::from_secret(key), message)
}

/// The signature of a JWS (RFC 7515 section 5.1).
fn sign(algorithm: Algorithm, key: &EncodingKey, message: &str) -> Result<String, DevError> {
    let signer = (DEFAULT_PROVIDER.signer_factory)(&algorithm, key).map_err(|_| DevError::Random)?;
    let signature = signer.try_sign(message.as_bytes()).map_err(|_| DevError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode_to_string(signature))
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode_to_string(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// What PKCS #8 puts before the PKCS #1 key of 2048 bits, which is what jsonwebtoken takes.
const PKCS8_HEADER: usize = 26;
