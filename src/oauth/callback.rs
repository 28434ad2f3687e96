//! The authorization response (RFC 6749 section 4.1.2): its query, checked, and the code that results.

use std::fmt;
use std::mem;

use percent_encoding::percent_decode_str;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::{nonce, pkce};
use crate::secret::Text;

/// An authorization code whose state has passed. A token request can be built from nothing else, and only this crate
/// makes one.
pub struct ValidatedCode {
    code: SecretString,
    code_verifier: SecretString,
    redirect_uri: String,
    came_with_issuer: bool,
}

impl ValidatedCode {
    /// Called by the layer alone, once state, freshness and issuer have passed, but for [`made_up`](Self::made_up).
    pub(crate) fn new(code: &str, code_verifier: SecretString, redirect_uri: &str) -> Self {
        Self { code: code.into(), code_verifier, redirect_uri: redirect_uri.to_owned(), came_with_issuer: false }
    }

    /// The same, whose callback named the issuer or did not.
    pub(crate) fn with_issuer(self, came_with_issuer: bool) -> Self {
        Self { came_with_issuer, ..self }
    }

    /// A code that no provider gave, and no proof of anything. Redeemed, it shows what a provider says to the rest of the
    /// request; it has the shape of one of BitBadges.
    pub(crate) fn made_up(redirect_uri: &str) -> Self {
        Self::new(&"0".repeat(64), "tower-signin-checks-with-this-made-up-verifier".to_owned().into(), redirect_uri)
    }

    /// The code, to be sent to the token endpoint and nowhere else.
    #[must_use]
    pub fn code(&self) -> &str {
        self.code.expose_secret()
    }

    /// The verifier that belongs to the challenge sent before (RFC 7636).
    #[must_use]
    pub fn code_verifier(&self) -> &str {
        self.code_verifier.expose_secret()
    }

    /// The `nonce` of the authorization request, as [`AuthorizationRequest::nonce`](crate::AuthorizationRequest::nonce) gave
    /// it: the ID token must hold the same (OpenID Connect Core section 3.1.3.7).
    #[must_use]
    pub fn nonce(&self) -> String {
        nonce::of(&pkce::code_challenge(self.code_verifier()))
    }

    /// Whether the callback named the issuer (RFC 9207); the layer has compared it with [`Provider::issuer`] then. A provider
    /// that learns only now that it [should have](crate::Provider::names_issuer) must not redeem a code that came without.
    ///
    /// [`Provider::issuer`]: crate::Provider::issuer
    #[must_use]
    pub fn came_with_issuer(&self) -> bool {
        self.came_with_issuer
    }

    /// The redirect URI, byte for byte as it was sent before.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }
}

impl fmt::Debug for ValidatedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidatedCode").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

/// The query of a callback in its right shape; nothing in it is trusted yet.
pub(crate) struct CallbackQuery<'a> {
    pub(crate) state: Text<'a>,
    pub(crate) issuer: Option<Text<'a>>,
    pub(crate) result: CallbackResult<'a>,
}

pub(crate) enum CallbackResult<'a> {
    Code(Text<'a>),
    Error(Text<'a>),
}

/// No parameter of ours is longer than this.
const LONGEST: usize = 4096;

impl<'a> CallbackQuery<'a> {
    /// Exactly one `state`, and exactly one of `code` and `error`; `None` for anything else.
    pub(crate) fn parse(query: &'a str) -> Option<Self> {
        let (mut code, mut state, mut error, mut issuer) = (None, None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let slot = match decode(name).as_deref() {
                Some("code") => &mut code,
                Some("state") => &mut state,
                Some("error") => &mut error,
                Some("iss") => &mut issuer,
                _ => continue,
            };
            let value = decode(value).filter(|value| is_parameter(value))?;
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let result = match (code, error) {
            (Some(code), None) => CallbackResult::Code(code),
            (None, Some(error)) => CallbackResult::Error(error),
            _ => return None,
        };
        Some(Self { state: state?, issuer, result })
    }
}

/// Visible ASCII and space (RFC 6749 appendix A), not empty, of bounded length.
fn is_parameter(value: &str) -> bool {
    !value.is_empty() && value.len() <= LONGEST && value.bytes().all(|byte| matches!(byte, 0x20..=0x7e))
}

/// Decodes one part of a form-encoded query; `None` where it isn't UTF-8.
fn decode(part: &str) -> Option<Text<'_>> {
    if !part.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Some(Text::Borrowed(part));
    }
    // It takes no more room decoded, so that it never grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(part.len()));
    for (index, words) in part.split('+').enumerate() {
        bytes.extend((index > 0).then_some(b' '));
        bytes.extend(percent_decode_str(words));
    }
    std::str::from_utf8(&bytes).ok()?;
    String::from_utf8(mem::take(&mut *bytes)).ok().map(Zeroizing::new).map(Text::Decoded)
}

/// The value of the only parameter `name`; `None` if it is missing, repeated or not UTF-8.
pub(crate) fn single<'a>(query: &'a str, name: &str) -> Option<Text<'a>> {
    let [value] = singles(query, [name]);
    value
}

/// The same of several parameters, in one pass.
pub(crate) fn singles<'a, const N: usize>(query: &'a str, names: [&str; N]) -> [Option<Text<'a>>; N] {
    // How often it came, and its last value.
    let mut found = [(0_usize, ""); N];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(name) = decode(name) else { continue };
        let place = names.iter().zip(&mut found).find(|(wanted, _)| **wanted == &*name);
        if let Some((_, (count, last))) = place {
            (*count, *last) = (*count + 1, value);
        }
    }
    found.map(|(count, value)| if count == 1 { decode(value) } else { None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::authorize::AuthorizationRequest;
    use crate::secret::assert_wiped;

    #[test]
    fn one_state_and_one_code_or_error() {
        let long = "a".repeat(LONGEST + 1);
        let too_long = format!("code={long}&state=s");
        let cases: &[(&str, Option<&str>)] = &[
            ("code=c&state=s", Some("code c")),
            ("state=s&code=c&extra=1&extra=2", Some("code c")),
            ("code=c%20d&state=s", Some("code c d")),
            ("code=c+d&state=s", Some("code c d")),
            ("error=access_denied&state=s", Some("error access_denied")),
            ("co%64e=c&state=s", Some("code c")),
            ("code=c&state=s&junk=%ff", Some("code c")),
            ("", None),
            ("code=c", None),
            ("state=s", None),
            ("code=&state=s", None),
            ("code=c&state=", None),
            ("code=c&code=c&state=s", None),
            ("code=c&c%6fde=d&state=s", None),
            ("code=c&state=s&state=s", None),
            ("code=c&error=e&state=s", None),
            ("error=e&error=e&state=s", None),
            ("code=c&state=s&iss=a&iss=a", None),
            ("code=%ff&state=s", None),
            ("code=c%00&state=s", None),
            ("code=c%0d%0a&state=s", None),
            ("code=%C3%A9&state=s", None),
            ("error=access_denied", None),
            (&too_long, None),
        ];
        for (query, expected) in cases {
            let parsed = CallbackQuery::parse(query).map(|query| match query.result {
                CallbackResult::Code(code) => format!("code {}", &*code),
                CallbackResult::Error(error) => format!("error {}", &*error),
            });
            assert_eq!(parsed.as_deref(), *expected, "{query:.60}");
        }
    }

    #[test]
    fn code_and_verifier_are_wiped() {
        let ValidatedCode { code, code_verifier, .. } = ValidatedCode::made_up("");
        assert_wiped(&code);
        assert_wiped(&code_verifier);
    }

    #[test]
    fn the_nonce_is_that_of_the_authorization_request() {
        let code = ValidatedCode::made_up("https://app.example.com/cb");
        let challenge = pkce::code_challenge(code.code_verifier());
        assert_eq!(code.nonce(), AuthorizationRequest::new(code.redirect_uri(), "state", &challenge).nonce());
    }

    #[test]
    fn a_single_parameter() {
        assert_eq!(single("a=1&b=2", "b").as_deref(), Some("2"));
        assert_eq!(single("a=1&a=1", "a").as_deref(), None);
        assert_eq!(single("a=%ff", "a").as_deref(), None);
        assert_eq!(single("x", "x").as_deref(), Some(""));
        let several = singles("b=2&a=1&c=%ff&d=4&%64=5&e%ff=1", ["a", "b", "c", "d", "e"]);
        assert_eq!(several.each_ref().map(Option::as_deref), [Some("1"), Some("2"), None, None, None]);
    }
}
