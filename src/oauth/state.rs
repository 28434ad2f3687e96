//! The `state` parameter: a public half that names the flow cookie, a secret half that only the sealed cookie holds.

use std::fmt::Write as _;

use base64_simd::URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretSlice};

use crate::secret::are_same;

/// A `state` (RFC 6749 section 4.1.1), 69 characters of `[0-9A-Za-z_-]`.
///
/// The public half is the start time in ten hexadecimal digits and 64 random bits in sixteen, so the oldest of several
/// flow cookies is told by name. The secret half is 256 random bits.
pub(crate) struct State {
    text: Zeroizing<String>,
}

const TIME: usize = 10;
const PUBLIC: usize = TIME + 16;
const SECRET: usize = 43;

impl State {
    pub(crate) fn new(started_at: u64, public: [u8; 8], secret: &[u8; 32]) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(PUBLIC + SECRET));
        let seconds = started_at & 0xff_ffff_ffff;
        // Text always has room for more.
        let _ = write!(*text, "{seconds:010x}{:016x}", u64::from_be_bytes(public));
        URL_SAFE_NO_PAD.encode_append(secret, &mut *text);
        Self { text }
    }

    /// The whole, as it goes to the provider.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn public(&self) -> &str {
        self.text.get(..PUBLIC).unwrap_or_default()
    }
}

/// A `state` as a request handed it over, in the right shape but not yet trusted.
pub(crate) struct PresentedState<'a> {
    pub(crate) public: &'a str,
    secret: SecretSlice<u8>,
}

impl<'a> PresentedState<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (public, secret) = text.split_at_checked(PUBLIC)?;
        if secret.len() != SECRET || !is_public_half(public) {
            return None;
        }
        Some(Self { public, secret: URL_SAFE_NO_PAD.decode_to_vec(secret).ok()?.into() })
    }

    /// Compares in constant time with the secret half that the flow cookie kept.
    pub(crate) fn matches(&self, secret: &[u8; 32]) -> bool {
        are_same(self.secret.expose_secret(), secret)
    }
}

/// Whether text has the form of a public half.
pub(crate) fn is_public_half(text: &str) -> bool {
    text.len() == PUBLIC && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// When a flow began, told by the public half of its state.
pub(crate) fn started_at(public: &str) -> Option<u64> {
    if !is_public_half(public) {
        return None;
    }
    u64::from_str_radix(public.get(..TIME)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::assert_wiped;

    #[test]
    fn comes_back_as_it_went() {
        let state = State::new(1_788_739_200, [0xab; 8], &[7; 32]);
        assert_eq!(state.as_str().len(), PUBLIC + SECRET);
        assert_wiped(&state.text);
        let presented = PresentedState::parse(state.as_str()).unwrap();
        assert_wiped(&presented.secret);
        assert_eq!(presented.public, state.public());
        assert!(presented.matches(&[7; 32]));
        assert!(!presented.matches(&[8; 32]));
        assert_eq!(started_at(state.public()), Some(1_788_739_200));
        let in_the_year_2514 = State::new(1 << 34, [0; 8], &[7; 32]);
        assert_eq!(started_at(in_the_year_2514.public()), Some(1 << 34));
    }

    #[test]
    fn later_flows_sort_later() {
        let early = State::new(0xff, [0xff; 8], &[0; 32]);
        let late = State::new(0x100, [0; 8], &[0; 32]);
        assert!(early.public() < late.public());
    }

    #[test]
    fn other_shapes_are_not_states() {
        let good = State::new(1, [1; 8], &[1; 32]);
        let good = good.as_str();
        let upper = good.to_uppercase();
        let short = &good[..good.len() - 1];
        let long = format!("{good}A");
        for text in ["", "x", "é", short, &long, &upper.replace('0', "Z")] {
            assert!(PresentedState::parse(text).is_none(), "{text}");
        }
    }
}
