//! Proof Key for Code Exchange (RFC 7636), method S256 and no other.

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::URL_SAFE_NO_PAD;
use secrecy::SecretString;

/// The code verifier for 32 random bytes: 43 characters (RFC 7636 section 4.1).
pub(crate) fn code_verifier(random: &[u8; 32]) -> SecretString {
    URL_SAFE_NO_PAD.encode_to_string(random).into()
}

/// The S256 code challenge of a verifier (RFC 7636 section 4.2).
pub(crate) fn code_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode_to_string(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn rfc_7636_appendix_b() {
        let bytes = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
            240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let verifier = code_verifier(&bytes);
        assert_eq!(verifier.expose_secret(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(code_challenge(verifier.expose_secret()), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
