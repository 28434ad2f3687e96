//! The seal that keeps a cookie secret and unforgeable.

use std::mem;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use base64_simd::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use crate::config_error::ConfigError;
use crate::cookies::COOKIE_LIMIT;
use crate::keys::Keys;
use crate::wire::Writer;

/// What a sealed value is for. A value sealed for one purpose never opens for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Flow,
    Session,
    Tokens,
    Rounds,
    Logout,
    /// A session in a store, under its key there.
    Record,
}

/// Why a sealed value did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    /// Not in our format, of a newer format, or sealed by a key we don't hold: perhaps somebody else's, so left alone.
    Unknown,
    /// It names a key we hold and fails: forged or damaged.
    Forged,
}

/// The operating system gave no randomness.
#[derive(Debug)]
pub(crate) struct RandomnessFailed;

/// Fills `bytes` from the cryptographic random generator.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), RandomnessFailed> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| RandomnessFailed)
}

const FORMAT: u8 = 1;
const KEY_ID: usize = 8;
const NONCE: usize = 12;
const HEADER: usize = 1 + KEY_ID + NONCE;

/// The keys derived from a ring for one deployment, expanded once.
pub(crate) struct Seal(Vec<RingKey>);

struct RingKey {
    id: [u8; KEY_ID],
    flow: RandomizedNonceKey,
    session: RandomizedNonceKey,
    tokens: RandomizedNonceKey,
    rounds: RandomizedNonceKey,
    logout: RandomizedNonceKey,
    record: RandomizedNonceKey,
    names: hmac::Key,
}

impl Seal {
    /// How many bytes a sealed value has more than the plain one, before base64.
    pub(crate) const OVERHEAD: usize = HEADER + 16;

    /// Derives the keys. The redirect URI is bound in, so that staging's cookies never open in production, nor those of one
    /// `SignIn` in another on the same host, whose gates may be stricter.
    pub(crate) fn new(keys: &Keys, redirect_uri: &str) -> Result<Self, ConfigError> {
        keys.0
            .iter()
            .map(|key| RingKey::derive(key.expose_secret(), redirect_uri))
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| ConfigError::new("keys", "key derivation failed", "use other keys"))
    }

    /// How long the sealed text of so many bytes is: four characters for three bytes, without `=`.
    pub(crate) fn sealed_length(plain: usize) -> usize {
        ((plain + Self::OVERHEAD) * 4).div_ceil(3)
    }

    /// How many keys the ring holds.
    pub(crate) fn key_count(&self) -> usize {
        self.0.len()
    }

    /// Seals `plain` into base64url text for the cookie `name`.
    pub(crate) fn seal(&self, purpose: Purpose, name: &str, plain: &[u8]) -> Result<String, RandomnessFailed> {
        self.seal_for(purpose, name, 1, plain)
    }

    /// The same for `count` cookies, of which `name` is the first.
    pub(crate) fn seal_for(
        &self,
        purpose: Purpose,
        name: &str,
        count: usize,
        plain: &[u8],
    ) -> Result<String, RandomnessFailed> {
        Ok(URL_SAFE_NO_PAD.encode_to_string(self.seal_bytes(purpose, name, count, plain)?))
    }

    /// The same as bytes, for a place that takes any.
    pub(crate) fn seal_bytes(
        &self,
        purpose: Purpose,
        name: &str,
        count: usize,
        plain: &[u8],
    ) -> Result<Vec<u8>, RandomnessFailed> {
        let key = self.0.first().ok_or(RandomnessFailed)?;
        let bound = AssociatedData::new(&key.id, name, count).ok_or(RandomnessFailed)?;
        // Until it is sealed this is the plain text.
        let mut sealed = Zeroizing::new(Vec::with_capacity(plain.len() + Self::OVERHEAD));
        sealed.push(FORMAT);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&[0; NONCE]);
        sealed.extend_from_slice(plain);
        let (header, body) = sealed.split_at_mut_checked(HEADER).ok_or(RandomnessFailed)?;
        let (nonce, tag) = key
            .for_purpose(purpose)
            .seal_in_place_separate_tag(Aad::from(bound), body)
            .map_err(|_| RandomnessFailed)?;
        header.get_mut(1 + KEY_ID..).ok_or(RandomnessFailed)?.copy_from_slice(nonce.as_ref());
        sealed.extend_from_slice(tag.as_ref());
        Ok(mem::take(&mut *sealed))
    }

    /// Opens what [`seal`](Self::seal) made, with the one key its id names; it is wiped when dropped. It went into one cookie,
    /// so what no cookie holds is not even decoded.
    pub(crate) fn open(&self, purpose: Purpose, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        if sealed.len() > COOKIE_LIMIT {
            return Err(SealError::Unknown);
        }
        let mut bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode_to_vec(sealed).map_err(|_| SealError::Unknown)?);
        self.open_in_place(purpose, name, 1, &mut bytes).map(|_| bytes)
    }

    /// Opens a session that was sealed for `count` cookies, and tells whether a newer key is there to seal it anew.
    pub(crate) fn open_dated(
        &self,
        purpose: Purpose,
        name: &str,
        count: usize,
        sealed: &[u8],
    ) -> Result<(Vec<u8>, bool), SealError> {
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(sealed).map_err(|_| SealError::Unknown)?;
        self.open_bytes(purpose, name, count, bytes)
    }

    /// Opens what [`seal_bytes`](Self::seal_bytes) made, and tells the same.
    pub(crate) fn open_bytes(
        &self,
        purpose: Purpose,
        name: &str,
        count: usize,
        mut bytes: Vec<u8>,
    ) -> Result<(Vec<u8>, bool), SealError> {
        self.open_in_place(purpose, name, count, &mut bytes).map(|is_outdated| (bytes, is_outdated))
    }

    /// Names something for the other nodes, which hold the same keys, and tells nobody else what it is: a name under each key,
    /// the newest first. What was named under a former key is found while that is held.
    pub(crate) fn names<'a, const N: usize>(
        &'a self,
        parts: [&'a [u8]; N],
    ) -> impl Iterator<Item = [u8; 32]> + use<'a, N> {
        self.0.iter().map(move |key| {
            let mut name = hmac::Context::with_key(&key.names);
            for part in parts {
                name.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
                name.update(part);
            }
            name.sign().as_ref().first_chunk().copied().unwrap_or_default()
        })
    }

    fn open_in_place(
        &self,
        purpose: Purpose,
        name: &str,
        count: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<bool, SealError> {
        let (header, body) = bytes.split_at_mut_checked(HEADER).ok_or(SealError::Unknown)?;
        let (format, rest) = header.split_first().ok_or(SealError::Unknown)?;
        if *format != FORMAT {
            return Err(SealError::Unknown);
        }
        let (id, nonce) = rest.split_at(KEY_ID);
        let (index, key) = self.0.iter().enumerate().find(|(_, key)| key.id == id).ok_or(SealError::Unknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Unknown)?;
        let bound = AssociatedData::new(&key.id, name, count).ok_or(SealError::Unknown)?;
        let length =
            key.for_purpose(purpose).open_in_place(nonce, Aad::from(bound), body).map_err(|_| SealError::Forged)?.len();
        bytes.truncate(HEADER + length);
        bytes.drain(..HEADER);
        Ok(index > 0)
    }
}

impl RingKey {
    fn derive(key: &[u8], redirect_uri: &str) -> Option<Self> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, b"tower-signin").extract(key);
        let mut id = [0; KEY_ID];
        expand(&secret, "key id", redirect_uri, &mut id)?;
        Some(Self {
            id,
            flow: purpose_key(&secret, "flow", redirect_uri)?,
            session: purpose_key(&secret, "session", redirect_uri)?,
            tokens: purpose_key(&secret, "tokens", redirect_uri)?,
            rounds: purpose_key(&secret, "rounds", redirect_uri)?,
            logout: purpose_key(&secret, "logout", redirect_uri)?,
            record: purpose_key(&secret, "record", redirect_uri)?,
            names: naming_key(&secret, redirect_uri)?,
        })
    }

    fn for_purpose(&self, purpose: Purpose) -> &RandomizedNonceKey {
        match purpose {
            Purpose::Flow => &self.flow,
            Purpose::Session => &self.session,
            Purpose::Tokens => &self.tokens,
            Purpose::Rounds => &self.rounds,
            Purpose::Logout => &self.logout,
            Purpose::Record => &self.record,
        }
    }
}

fn purpose_key(secret: &hkdf::Prk, purpose: &str, redirect_uri: &str) -> Option<RandomizedNonceKey> {
    let mut key = Zeroizing::new([0; 32]);
    expand(secret, purpose, redirect_uri, &mut *key)?;
    RandomizedNonceKey::new(&AES_256_GCM_SIV, &*key).ok()
}

fn naming_key(secret: &hkdf::Prk, redirect_uri: &str) -> Option<hmac::Key> {
    let mut key = Zeroizing::new([0; 32]);
    expand(secret, "names", redirect_uri, &mut *key)?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &*key))
}

fn expand(secret: &hkdf::Prk, purpose: &str, redirect_uri: &str, out: &mut [u8]) -> Option<()> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut info = Writer::default();
    info.prefixed("tower-signin").fixed(&[FORMAT]).prefixed(purpose).prefixed(redirect_uri);
    let info = info.into_bytes();
    secret.expand(&[&info], Length(out.len())).ok()?.fill(out).ok()
}

/// Binds a value to its format, key, first cookie, and the number of its cookies. They are sealed as one, so each has but
/// one place among them.
struct AssociatedData {
    bytes: [u8; Self::ROOM],
    length: usize,
}

impl AssociatedData {
    /// More than any name of ours takes: a prefix of 64 and a flow's 32 behind it.
    const ROOM: usize = 160;

    /// `None` where the name is too long.
    fn new(key_id: &[u8; KEY_ID], name: &str, count: usize) -> Option<Self> {
        let mut data = Self { bytes: [0; Self::ROOM], length: 0 };
        let length = u32::try_from(name.len()).ok()?.to_be_bytes();
        let count = [0, u8::try_from(count).unwrap_or(u8::MAX)];
        for part in [&[FORMAT][..], key_id, &length, name.as_bytes(), &count] {
            let end = data.length.checked_add(part.len())?;
            data.bytes.get_mut(data.length..end)?.copy_from_slice(part);
            data.length = end;
        }
        Some(data)
    }
}

impl AsRef<[u8]> for AssociatedData {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(keys: &Keys, origin: &str) -> Seal {
        Seal::new(keys, origin).unwrap()
    }

    #[test]
    fn opens_only_for_the_same_purpose_name_origin_and_key() {
        let keys = Keys::generate().unwrap();
        let ours = seal(&keys, "https://a.example");
        let sealed = ours.seal(Purpose::Session, "name", b"who").unwrap();
        let open = |seal: &Seal, purpose, name| seal.open(purpose, name, sealed.as_bytes());
        assert_eq!(**open(&ours, Purpose::Session, "name").unwrap(), *b"who");
        assert_eq!(open(&ours, Purpose::Flow, "name"), Err(SealError::Forged));
        assert_eq!(open(&ours, Purpose::Rounds, "name"), Err(SealError::Forged));
        assert_eq!(open(&ours, Purpose::Tokens, "name"), Err(SealError::Forged));
        assert_eq!(open(&ours, Purpose::Logout, "name"), Err(SealError::Forged));
        assert_eq!(open(&ours, Purpose::Record, "name"), Err(SealError::Forged));
        assert_eq!(open(&ours, Purpose::Session, "other"), Err(SealError::Forged));
        assert_eq!(open(&ours, Purpose::Session, "game"), Err(SealError::Forged), "of the same length");
        let of_two = ours.open_dated(Purpose::Session, "name", 2, sealed.as_bytes());
        assert_eq!(of_two, Err(SealError::Forged), "another number of cookies");
        assert_eq!(sealed.len(), Seal::sealed_length(3));
        let staging = seal(&keys, "https://staging.a.example");
        assert_eq!(open(&staging, Purpose::Session, "name"), Err(SealError::Unknown));
        let stranger = seal(&Keys::generate().unwrap(), "https://a.example");
        assert_eq!(open(&stranger, Purpose::Session, "name"), Err(SealError::Unknown));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let keys = Keys::generate().unwrap();
        let ours = seal(&keys, "https://a.example");
        let sealed = ours.seal(Purpose::Flow, "name", b"what").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode_to_vec(&sealed).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let text = URL_SAFE_NO_PAD.encode_to_string(&changed);
            assert!(ours.open(Purpose::Flow, "name", text.as_bytes()).is_err(), "byte {index}");
        }
        for length in 0..bytes.len() {
            let text = URL_SAFE_NO_PAD.encode_to_string(&bytes[..length]);
            assert!(ours.open(Purpose::Flow, "name", text.as_bytes()).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_newer_format_is_unknown_rather_than_forged() {
        let keys = Keys::generate().unwrap();
        let ours = seal(&keys, "https://a.example");
        let mut bytes = URL_SAFE_NO_PAD.decode_to_vec(ours.seal(Purpose::Session, "n", b"x").unwrap()).unwrap();
        bytes[0] = FORMAT + 1;
        let text = URL_SAFE_NO_PAD.encode_to_string(&bytes);
        assert_eq!(ours.open(Purpose::Session, "n", text.as_bytes()), Err(SealError::Unknown));
    }

    #[test]
    fn the_first_key_seals_and_every_key_opens() {
        let old = Keys::generate().unwrap();
        let new = Keys::generate().unwrap();
        let both = Keys(vec![new.0[0].clone(), old.0[0].clone()]);
        let origin = "https://a.example";
        let sealed_before = seal(&old, origin).seal(Purpose::Session, "n", b"old").unwrap();
        let rotated = seal(&both, origin);
        assert_eq!(
            rotated.open_dated(Purpose::Session, "n", 1, sealed_before.as_bytes()).unwrap(),
            (b"old".to_vec(), true)
        );
        let sealed_after = rotated.seal(Purpose::Session, "n", b"new").unwrap();
        assert_eq!(
            rotated.open_dated(Purpose::Session, "n", 1, sealed_after.as_bytes()).unwrap(),
            (b"new".to_vec(), false)
        );
        assert!(seal(&new, origin).open(Purpose::Session, "n", sealed_after.as_bytes()).is_ok());
    }
}
