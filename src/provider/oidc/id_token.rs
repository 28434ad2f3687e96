//! ID tokens (OpenID Connect Core section 2) and logout tokens: taken apart, and their signature. What they claim is checked in
//! `expected.rs` and `logout_token.rs`.

use base64_simd::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::crypto::aws_lc;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::algorithm::SigningAlgorithm;
use super::keys::Keys;
use super::members::Members;
use crate::error::{Error, ErrorKind};

/// A token taken apart. Nothing in it is believed yet.
pub(super) struct Unverified<'a> {
    /// Header and payload as they were signed.
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
    algorithm: SigningAlgorithm,
    key_id: Option<String>,
}

/// The claims of a token whose signature is right.
pub(super) struct Signed {
    pub(super) claims: Map<String, Value>,
    pub(super) algorithm: SigningAlgorithm,
}

pub(super) fn rejected(reason: &'static str) -> Error {
    Error::new(ErrorKind::IdTokenRejected).with_reason(reason)
}

impl<'a> Unverified<'a> {
    /// Of the header, `kid` alone has a say in which key it is, among those of the provider. `jwk`, `jku`, `x5u` and `x5c` are
    /// not looked at: whoever made up a token made up these, too.
    pub(super) fn parse(token: &'a str, accepted: &[SigningAlgorithm]) -> Result<Self, Error> {
        Self::parse_as(None, token, accepted)
    }

    /// The same for tokens that may say in `typ` that they are of this sort.
    pub(super) fn parse_as(sort: Option<&str>, token: &'a str, accepted: &[SigningAlgorithm]) -> Result<Self, Error> {
        let parts: Vec<&str> = token.splitn(6, '.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(rejected(match parts.len() {
                5 => "it is encrypted, or pretends to be",
                _ => "it has not three parts",
            }));
        };
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let header = members(header).ok_or_else(|| rejected("its header is not a JSON object without doubles"))?;
        // No extension is understood here, and what is critical must be (RFC 7515 section 4.1.11).
        if header.contains_key("crit") {
            return Err(rejected("its header has crit"));
        }
        if header.get("typ").is_some_and(|typ| is_another_type(typ, sort)) {
            return Err(rejected("typ is that of another sort of token"));
        }
        let name = header.get("alg").and_then(Value::as_str);
        let algorithm = accepted.iter().copied().find(|accepted| Some(accepted.as_str()) == name);
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(rejected("kid is not a string")),
        };
        let algorithm = algorithm.ok_or_else(|| rejected("alg is not among the signing_algorithms of the settings"))?;
        Ok(Self { signed, payload, signature, algorithm, key_id })
    }

    /// Whether the provider's published keys have no part in it.
    pub(super) fn is_by_client_secret(&self) -> bool {
        self.algorithm == SigningAlgorithm::Hs256
    }

    /// Verifies the signature by one of the provider's keys. Where that fails, newer keys may tell otherwise.
    pub(super) fn verify(&self, keys: &Keys) -> Result<Signed, Error> {
        let mut fitting = keys.fitting(self.key_id.as_deref(), self.algorithm).peekable();
        if fitting.peek().is_none() {
            return Err(rejected("none of the provider's keys is for its kid and alg"));
        }
        if fitting.any(|key| self.is_signed_by(key)) { self.claims() } else { Err(rejected("the signature is wrong")) }
    }

    /// Verifies the signature by the octets of the client secret (Core section 10.1).
    pub(super) fn verify_by_client_secret(&self, client_secret: &SecretString) -> Result<Signed, Error> {
        let secret = client_secret.expose_secret().as_bytes();
        let is_signed =
            self.is_by_client_secret() && !secret.is_empty() && self.is_signed_by(&DecodingKey::from_secret(secret));
        if is_signed { self.claims() } else { Err(rejected("the signature is wrong")) }
    }

    fn is_signed_by(&self, key: &DecodingKey) -> bool {
        // Not by the process's default: that is another crate's to choose, and without a choice jsonwebtoken panics.
        let verifier = (aws_lc::DEFAULT_PROVIDER.verifier_factory)(&self.algorithm.of_jsonwebtoken(), key);
        let signature = URL_SAFE_NO_PAD.decode_to_vec(self.signature);
        let (Ok(verifier), Ok(signature)) = (verifier, signature) else { return false };
        verifier.verify(self.signed.as_bytes(), &signature).is_ok()
    }

    fn claims(&self) -> Result<Signed, Error> {
        let claims =
            members(self.payload).ok_or_else(|| rejected("its payload is not a JSON object without doubles"))?;
        Ok(Signed { claims, algorithm: self.algorithm })
    }
}

/// The claims of a token that was verified before and has been under seal since.
pub(super) fn claims_of_verified(token: &str) -> Option<Map<String, Value>> {
    members(token.split('.').nth(1)?)
}

fn members(part: &str) -> Option<Map<String, Value>> {
    Members::read(&URL_SAFE_NO_PAD.decode_to_vec(part).ok()?)
}

/// Tokens that say what they are for, `at+jwt` or `logout+jwt` say, are for nothing else (RFC 8725 section 3.11). `JWT`, and
/// whatever else providers write there, says nothing.
fn is_another_type(typ: &Value, sort: Option<&str>) -> bool {
    let Some(typ) = typ.as_str().map(str::to_ascii_lowercase) else { return true };
    let named = typ.strip_prefix("application/").unwrap_or(&typ);
    named.ends_with("+jwt") && Some(named) != sort
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use serde_json::json;

    use super::SigningAlgorithm::{EdDsa, Es256, Hs256, Ps256, Rs256};
    use super::*;
    use crate::provider::oidc::signing::{Signer, base64, jwk_set};

    const ALL: [SigningAlgorithm; 5] = [Rs256, Ps256, Es256, EdDsa, Hs256];
    const SECRET: &str = "a client secret";

    /// The claim `sub` of a token that is right, or why it is not.
    fn verified(token: &str, accepted: &[SigningAlgorithm], keys: &[Value]) -> Result<Value, String> {
        let keys = Keys::read(&jwk_set(keys)).unwrap();
        let why = |error: Error| {
            assert_eq!(error.kind(), ErrorKind::IdTokenRejected);
            error.reason().unwrap_or_default().to_owned()
        };
        let token = Unverified::parse(token, accepted).map_err(why)?;
        let signed = if token.is_by_client_secret() {
            token.verify_by_client_secret(&SECRET.into())
        } else {
            token.verify(&keys)
        };
        signed.map(|signed| signed.claims["sub"].clone()).map_err(why)
    }

    fn tokens(signer: &Signer) -> String {
        signer.token(&json!({"sub": "alice"}))
    }

    #[test]
    fn each_algorithm_is_taken_where_it_is_set_and_nowhere_else() {
        for algorithm in ALL {
            let signer = Signer::new(algorithm, SECRET);
            let keys = [signer.jwk.clone()];
            for accepted in ALL {
                let found = verified(&tokens(&signer), &[accepted], &keys);
                if accepted == algorithm {
                    assert_eq!(found, Ok(json!("alice")), "{algorithm:?}");
                } else {
                    assert_eq!(found.unwrap_err(), "alg is not among the signing_algorithms of the settings");
                }
            }
        }
    }

    #[test]
    fn a_token_without_a_proof_is_none() {
        let signer = Signer::new(Es256, "1");
        let keys = [signer.jwk.clone()];
        let payload = base64(r#"{"sub":"alice"}"#);
        let good = tokens(&signer);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let unsigned = |alg: Value| {
            let header = json!({"alg": alg, "kid": "1"}).to_string();
            (format!("{}.{payload}.", base64(&header)), format!("{}.{payload}.{signature}", base64(&header)))
        };
        for alg in ["none", "None", "NONE", "nOnE", "none ", "", "es256", "ES256 ", "RS256", "HS256"] {
            let (empty, borrowed) = unsigned(json!(alg));
            for token in [empty, borrowed] {
                let found = verified(&token, &[Es256], &keys);
                assert_eq!(found.unwrap_err(), "alg is not among the signing_algorithms of the settings", "{alg:?}");
            }
        }
        for alg in [json!(null), json!(["ES256"]), json!(0), json!({"ES256": 1})] {
            assert!(verified(&unsigned(alg.clone()).0, &[Es256], &keys).is_err(), "{alg}");
        }
        let no_alg = format!("{}.{payload}.{signature}", base64("{}"));
        for (name, token) in [
            ("no alg", no_alg.as_str()),
            ("no signature", &format!("{signed}.")),
            ("two parts", signed),
            ("one part", "token"),
            ("empty", ""),
            ("dots", ".."),
            ("four parts", &format!("{good}.{signature}")),
            ("five parts", &format!("{good}..{signature}")),
            ("six parts", &format!("{good}...{signature}")),
            ("a signature cut short", &good[..good.len() - 4]),
            ("a signature with a tail", &format!("{good}AAAA")),
            ("a signature with padding", &format!("{good}=")),
            ("white space before it", &format!(" {good}")),
            ("white space behind it", &format!("{good}\n")),
            ("another payload", &good.replace(&payload, &base64(r#"{"sub":"bob"}"#))),
            ("a signature of zeros", &format!("{signed}.{}", base64([0; 64]))),
            ("DER instead of two numbers", &format!("{signed}.{}", base64([0x30, 0x06, 2, 1, 1, 2, 1, 1]))),
        ] {
            assert!(verified(token, &[Es256], &keys).is_err(), "{name}");
        }
        assert_eq!(verified(&good, &[Es256], &keys), Ok(json!("alice")));
    }

    #[test]
    fn what_the_header_says_besides() {
        let signer = Signer::new(EdDsa, "1");
        let stranger = Signer::new(EdDsa, "2");
        let keys = [signer.jwk.clone()];
        let with = |signer: &Signer, members: Value| {
            let mut header = signer.header();
            header.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            signer.sign(&header.to_string(), r#"{"sub":"alice"}"#)
        };
        const OTHER_SORT: &str = "typ is that of another sort of token";
        const NO_KEY: &str = "none of the provider's keys is for its kid and alg";
        for (name, members, expected) in [
            ("unknown members", json!({"x": 1}), ""),
            ("typ in another case", json!({"typ": "jwt"}), ""),
            ("typ with a prefix", json!({"typ": "application/jwt"}), ""),
            ("an odd typ", json!({"typ": "ID"}), ""),
            ("an access token", json!({"typ": "at+jwt"}), OTHER_SORT),
            ("an access token, with a prefix", json!({"typ": "application/AT+JWT"}), OTHER_SORT),
            ("a logout token", json!({"typ": "logout+jwt"}), OTHER_SORT),
            ("typ of another type", json!({"typ": 1}), OTHER_SORT),
            ("crit", json!({"crit": ["exp"], "exp": 1}), "its header has crit"),
            ("crit that is empty", json!({"crit": []}), "its header has crit"),
            ("crit that is null", json!({"crit": null}), "its header has crit"),
            ("b64", json!({"crit": ["b64"], "b64": false}), "its header has crit"),
            ("another kid", json!({"kid": "2"}), NO_KEY),
            ("kid of another type", json!({"kid": 1}), "kid is not a string"),
            ("kid that is null", json!({"kid": null}), "kid is not a string"),
            ("somebody's key", json!({"jwk": stranger.jwk}), ""),
            ("addresses of keys", json!({"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x"}), ""),
        ] {
            let found = verified(&with(&signer, members), &[EdDsa], &keys);
            assert_eq!(found.err().unwrap_or_default(), expected, "{name}");
        }
        // By a stranger's key, which the header brings along.
        for (name, members) in [
            ("jwk", json!({"jwk": stranger.jwk, "kid": "1"})),
            ("jwk, without kid", json!({"jwk": stranger.jwk, "kid": ""})),
            ("jku", json!({"jku": "https://evil.example/jwks", "kid": "1"})),
            ("x5c", json!({"x5c": ["MIIB"], "x5u": "https://evil.example/x", "kid": "1"})),
        ] {
            assert!(verified(&with(&stranger, members), &[EdDsa], &keys).is_err(), "{name}");
        }
        let doubled = signer.sign(r#"{"alg":"EdDSA","alg":"EdDSA"}"#, "{}");
        assert_eq!(verified(&doubled, &[EdDsa], &keys).unwrap_err(), "its header is not a JSON object without doubles");
    }

    #[test]
    fn without_a_kid_each_key_that_fits_is_tried() {
        let signers = [Signer::new(Es256, "1"), Signer::new(Es256, "2"), Signer::new(EdDsa, "3")];
        let jwks: Vec<_> = signers.iter().map(|signer| signer.jwk.clone()).collect();
        for signer in &signers {
            let header = json!({"alg": signer.algorithm.as_str()}).to_string();
            let token = signer.sign(&header, r#"{"sub":"alice"}"#);
            assert_eq!(verified(&token, &[Es256, EdDsa], &jwks), Ok(json!("alice")), "{}", signer.jwk["kid"]);
            let others: Vec<_> = jwks.iter().filter(|jwk| **jwk != signer.jwk).cloned().collect();
            assert!(verified(&token, &[Es256, EdDsa], &others).is_err(), "{}", signer.jwk["kid"]);
        }
    }

    #[test]
    fn no_public_key_is_a_secret() {
        let rsa = Signer::new(Rs256, "1");
        let n = rsa.jwk["n"].as_str().unwrap();
        for (name, secret) in
            [("the modulus", n.to_owned()), ("the key as JSON", rsa.jwk.to_string()), ("nothing", String::new())]
        {
            let token = tokens(&Signer::new(Hs256, &secret));
            for accepted in [&[Rs256][..], &[Rs256, Hs256], &[Hs256]] {
                assert!(verified(&token, accepted, from_ref(&rsa.jwk)).is_err(), "{name}, {accepted:?}");
            }
        }
        // A key that is published is none, whatever it is for.
        let token = tokens(&Signer::new(Hs256, "published"));
        let oct = json!({"kty": "oct", "k": base64("published"), "kid": "published", "alg": "HS256"});
        assert!(verified(&token, &[Hs256], &[oct]).is_err());
        // Nor does a secret that is empty prove anything.
        let token = tokens(&Signer::new(Hs256, ""));
        let token = Unverified::parse(&token, &[Hs256]).unwrap();
        assert!(token.verify_by_client_secret(&String::new().into()).is_err());
    }

    #[test]
    fn a_payload_is_an_object_without_doubles() {
        let signer = Signer::new(EdDsa, "1");
        for (name, payload, is_read) in [
            ("object", r#"{"sub":"alice"}"#, true),
            ("sub twice", r#"{"sub":"bob","sub":"alice"}"#, false),
            ("array", r#"["sub"]"#, false),
            ("another token", "a.b.c", false),
            ("nothing", "", false),
        ] {
            let token = signer.sign(&signer.header().to_string(), payload);
            let found = verified(&token, &[EdDsa], from_ref(&signer.jwk));
            assert_eq!(found.is_ok(), is_read, "{name}");
        }
    }
}
