//! The `nonce` of OpenID Connect (Core section 3.1.2.1).

use aws_lc_rs::digest::{Context, SHA256};
use base64_simd::URL_SAFE_NO_PAD;

/// The nonce of the authorization request with this code challenge.
///
/// A nonce has to be as hard to foresee as the challenge, is as public as it is, and belongs to one request as it does. So it
/// is made of it, and the flow cookie need not hold another secret.
pub(crate) fn of(code_challenge: &str) -> String {
    let mut digest = Context::new(&SHA256);
    digest.update(b"tower-signin nonce ");
    digest.update(code_challenge.as_bytes());
    URL_SAFE_NO_PAD.encode_to_string(digest.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn belongs_to_one_challenge() {
        let nonce = of("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(nonce.len(), 43);
        assert_ne!(nonce, of("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"));
        assert_ne!(nonce, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
