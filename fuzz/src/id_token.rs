//! ID tokens: header, payload and who signs them, a line each. Nobody is signed in but whom a token names that is signed with a
//! published key, for this client, this sign-in and this moment.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use crate::fill;
use crate::openid::{
    Answers, CLIENT, ISSUER, PUBLISHED, SIGNERS, Signer, base64, distinct, ok, sign_in, site_of, token_answer, told,
};
use crate::site::NOW;

/// In seconds, by default.
const SKEW: f64 = 60.0;
const MAX_AGE: f64 = 600.0;

pub(crate) struct Token<'a> {
    header: Vec<u8>,
    payload: Vec<u8>,
    pub(crate) text: String,
    /// Whose signature it bears, as it was made.
    signer: Option<&'a Signer>,
    is_published: bool,
}

/// A line as it is, or with values in it that nobody could guess.
fn filled(line: &[u8], values: &[(&str, &str)]) -> Vec<u8> {
    std::str::from_utf8(line).map_or_else(|_| line.to_vec(), |template| fill(template, values).into_bytes())
}

/// The third line is the name of a signer, with what is added to the signature behind a space; or else it is the signature.
pub(crate) fn token(data: &[u8], nonce: &str) -> Option<Token<'static>> {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let (header, payload, signature) = (lines.next()?, lines.next()?, std::str::from_utf8(lines.next()?).ok()?);
    let (name, tail) = signature.split_once(' ').unwrap_or((signature, ""));
    let signer = SIGNERS.get(name);
    let (now, at_hash) = (NOW.to_string(), signer.map(Signer::at_hash).unwrap_or_default());
    let jwk = signer.map(|signer| signer.jwk.to_string()).unwrap_or_default();
    let values =
        [("nonce", nonce), ("issuer", ISSUER), ("client", CLIENT), ("now", &now), ("at_hash", &at_hash), ("jwk", &jwk)];
    let (header, payload) = (filled(header, &values), filled(payload, &values));
    let signed = format!("{}.{}", base64(&header), base64(&payload));
    let text = match signer {
        Some(signer) => format!("{signed}.{}{tail}", signer.sign(&signed)),
        None => format!("{signed}.{signature}"),
    };
    let is_published = PUBLISHED.contains(&name);
    Some(Token { header, payload, text, signer: signer.filter(|_| tail.is_empty()), is_published })
}

impl Token<'_> {
    /// What it claims, if it is signed by a published key and says to be of this sort or of none.
    pub(crate) fn claims(&self, sort: &str) -> Option<HashMap<String, Value>> {
        let signer = self.signer.filter(|_| self.is_published)?;
        let header = distinct(&self.header)?;
        let is_its_key = header.get("kid").is_none_or(|kid| *kid == signer.jwk["kid"]);
        let names_another = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            typ.ends_with("+jwt") && typ != sort && typ != format!("application/{sort}")
        };
        let is_another_sort = header.get("typ").is_some_and(|typ| typ.as_str().is_none_or(names_another));
        if header.get("alg")? != signer.algorithm || !is_its_key || is_another_sort || header.contains_key("crit") {
            return None;
        }
        let claims = distinct(&self.payload)?;
        let is = |name: &str, expected: &str| told(&claims, name).is_some_and(|value| value == expected);
        let is_for_us = match told(&claims, "aud")? {
            Value::Array(all) => !all.is_empty() && all.iter().all(|one| one == CLIENT),
            one => one == CLIENT,
        };
        let is_right = is("iss", ISSUER) && is_for_us && told(&claims, "azp").is_none_or(|value| value == CLIENT);
        let now = NOW as f64;
        let at = |name: &str| told(&claims, name).map(|value| time(value).unwrap_or(f64::NAN));
        let is_of_now = at("exp").is_some_and(|end| end + SKEW > now)
            && at("iat").is_some_and(|issued| issued - SKEW <= now)
            && at("nbf").is_none_or(|begin| begin - SKEW <= now);
        (is_right && is_of_now).then_some(claims)
    }

    /// The subject, if everything about the token is as OpenID Connect Core section 3.1.3.7 has it.
    fn subject(&self, nonce: &str) -> Option<String> {
        let claims = self.claims("")?;
        let is = |name: &str, expected: &str| told(&claims, name).is_some_and(|value| value == expected);
        let at_hash = self.signer?.at_hash();
        let is_right = is("nonce", nonce)
            && told(&claims, "at_hash").is_none_or(|value| *value == *at_hash)
            && !is_of_logout(&claims);
        let now = NOW as f64;
        let at = told(&claims, "auth_time").map(|value| time(value).unwrap_or(f64::NAN));
        let is_of_now = at.is_some_and(|time| time - SKEW <= now && time + MAX_AGE + SKEW >= now);
        let subject = told(&claims, "sub")?.as_str().filter(|subject| (1..=255).contains(&subject.len()))?;
        (is_right && is_of_now).then(|| subject.to_owned())
    }
}

/// Whether it has the event of a logout token (OpenID Connect Back-Channel Logout section 2.4).
pub(crate) fn is_of_logout(claims: &HashMap<String, Value>) -> bool {
    let event = |events: &Value| events.get("http://schemas.openid.net/event/backchannel-logout").cloned();
    claims.get("events").and_then(event).is_some_and(|event| event.is_object())
}

/// Whole seconds, as the number says or a little before.
pub(crate) fn time(value: &Value) -> Option<f64> {
    if !value.is_number() {
        return None;
    }
    value.as_i64().map(|seconds| seconds as f64).or_else(|| value.as_f64().filter(|at| at.abs() < 9e15).map(f64::floor))
}

pub fn run(data: &[u8]) -> bool {
    let site = site_of(|oidc| oidc.max_age(Duration::from_secs(MAX_AGE as u64)));
    Answers::good("").give(&site);
    let mut expected = None;
    let outcome = sign_in(&site, |nonce| {
        let Some(token) = token(data, nonce) else { return Answers::good("") };
        expected = token.subject(nonce);
        let subject = expected.clone().unwrap_or_default();
        Answers {
            token: ok(&token_answer(&token.text)),
            user_info: ok(&serde_json::json!({ "sub": subject })),
            ..Answers::good("")
        }
    });
    // A payload that takes too much room for a cookie is no failure of its token.
    let is_too_large = outcome.kind == Some(tower_signin::ErrorKind::SessionTooLarge) && data.len() > 1000;
    let found = outcome.who.as_ref().map(|(subject, _)| subject.clone());
    assert!(is_too_large || found == expected, "{found:?} in place of {expected:?}");
    if let Some((_, claims)) = &outcome.who {
        for name in ["iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "sid", "jti"] {
            assert!(claims.get(name).is_none(), "{name} in {claims}");
        }
    }
    outcome.who.is_some()
}
