//! How ID tokens are signed.

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

/// How a provider signs ID tokens (RFC 7518 section 3.1). Which ones are accepted is a
/// [setting](super::Oidc::signing_algorithms), never the token's choice; there is none for unsigned tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256. Providers use it unless told otherwise (Core section 2).
    Rs256,
    /// `PS256`: RSASSA-PSS with SHA-256.
    Ps256,
    /// `ES256`: ECDSA on P-256 with SHA-256.
    Es256,
    /// `EdDSA`: Ed25519 (RFC 8037).
    EdDsa,
    /// `HS256`: HMAC with SHA-256 under the client secret. Whoever knows the secret can make such a token; prefer any other.
    Hs256,
}

impl SigningAlgorithm {
    /// The name, as `alg` and a provider's metadata have it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    pub(super) fn of_jsonwebtoken(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Ps256 => Algorithm::PS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Hs256 => Algorithm::HS256,
        }
    }

    /// What `at_hash` has to be of an access token (Core section 3.1.3.6): the left half of its hash, by the hash function of
    /// the signature. Ed25519's is SHA-512.
    pub(super) fn at_hash(self, access_token: &str) -> String {
        let function = match self {
            Self::Rs256 | Self::Ps256 | Self::Es256 | Self::Hs256 => &SHA256,
            Self::EdDsa => &SHA512,
        };
        let hash = digest(function, access_token.as_bytes());
        let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
        URL_SAFE_NO_PAD.encode_to_string(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_an_access_token() {
        // Core appendix A.3.
        let access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(SigningAlgorithm::Rs256.at_hash(access_token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(SigningAlgorithm::EdDsa.at_hash(access_token).len(), 43);
    }
}
