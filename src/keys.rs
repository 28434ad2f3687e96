//! The keys that everything is sealed with.

use std::fmt;
use std::fs::File;
use std::path::Path;

use base64_simd::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretSlice};

use crate::config_error::ConfigError;
use crate::seal::{RandomnessFailed, random};
use crate::secret::SecretBytes;

/// The ring of secret keys that seal our cookies: the first one seals, every one opens.
///
/// Each key is 32 random bytes. To rotate, add the new key last on every node, then move it first, then drop the old
/// one after the longest session has ended; nobody is signed out.
///
/// ```
/// use tower_signin::Keys;
///
/// let generated = Keys::generate()?;
/// // Newest first, comma-separated base64: what `SIGNIN_KEYS` holds.
/// let parsed = Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k")?;
/// assert!(Keys::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").is_err(), "all bytes equal");
/// # Ok::<(), tower_signin::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Keys(pub(crate) Vec<SecretSlice<u8>>);

impl Keys {
    /// One fresh random key. Sessions end when the process does, and no other node can read them.
    ///
    /// # Errors
    ///
    /// When the operating system gives no randomness.
    pub fn generate() -> Result<Self, ConfigError> {
        let mut key = SecretSlice::from(vec![0; LENGTH]);
        random(key.expose_secret_mut()).map_err(|RandomnessFailed| {
            ConfigError::new("keys", "the operating system gave no randomness", "set keys from the environment")
        })?;
        Ok(Self(vec![key]))
    }

    /// Reads the ring from an environment variable, in the form [`parse`](Self::parse) takes.
    ///
    /// # Errors
    ///
    /// When the variable is missing or does not parse.
    pub fn from_env(name: &str) -> Result<Self, ConfigError> {
        Self::from_lookup(name, |name| std::env::var(name).ok())
    }

    /// [`from_env`](Self::from_env) with the environment as a function, so that a test or another source of settings
    /// can stand in for it.
    ///
    /// # Errors
    ///
    /// When the look-up has nothing under `name`, or it does not parse.
    pub fn from_lookup(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let Some(text) = lookup(name).map(Zeroizing::new) else {
            return Err(ConfigError::new(
                "keys",
                format!("the environment variable {name} is not set"),
                "set it to 32 random bytes in base64, as `openssl rand -base64 32` prints",
            ));
        };
        Self::parse(&text).map_err(|error| error.within(&format!("the environment variable {name}")))
    }

    /// Reads the ring from a file, in the form [`parse`](Self::parse) takes: a secret that an orchestrator mounts, say.
    ///
    /// # Errors
    ///
    /// When the file can't be read or does not parse.
    ///
    /// ```
    /// # use tower_signin::Keys;
    /// let missing = Keys::from_file("/run/secrets/no-such-file").unwrap_err();
    /// assert!(missing.to_string().contains("/run/secrets/no-such-file"));
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let refused = |problem: String| {
            let remedy = "write 32 random bytes in base64 into it, as `openssl rand -base64 32` prints";
            ConfigError::new("keys", problem, remedy)
        };
        let bytes = File::open(path)
            .and_then(SecretBytes::read)
            .map_err(|error| refused(format!("the file {} can't be read: {error}", path.display())))?;
        let text = std::str::from_utf8(bytes.as_slice())
            .map_err(|_| refused(format!("the file {} is not text", path.display())))?;
        Self::parse(text).map_err(|error| error.within(&format!("the file {}", path.display())))
    }

    /// Reads comma-separated keys, newest first, each 32 random bytes in base64 or base64url, with or without `=`.
    ///
    /// # Errors
    ///
    /// When there is no key, or one is not 32 bytes of base64, or all its bytes are equal. The error never shows the key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        text.split(',')
            .map(|part| part.trim().trim_end_matches('='))
            .enumerate()
            .map(|(index, part)| parse_key(part).map_err(|problem| problem.config_error(index)))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of them, [redacted])", self.0.len())
    }
}

enum KeyProblem {
    NotBase64,
    Length(usize),
    AllEqual,
}

impl KeyProblem {
    fn config_error(self, index: usize) -> ConfigError {
        let number = index + 1;
        let problem = match self {
            Self::NotBase64 => format!("key {number} is not base64"),
            Self::Length(length) => format!("key {number} is {length} bytes long, not 32"),
            Self::AllEqual => format!("all bytes of key {number} are equal, so it is not random"),
        };
        let remedy = "make each key with `openssl rand -base64 32`, without quotes, and put commas only between keys";
        ConfigError::new("keys", problem, remedy)
    }
}

/// Of a key, in bytes.
const LENGTH: usize = 32;

fn parse_key(part: &str) -> Result<SecretSlice<u8>, KeyProblem> {
    // What `openssl rand -base64 32` prints is taken as well.
    let alphabet = if part.contains(['+', '/']) { STANDARD_NO_PAD } else { URL_SAFE_NO_PAD };
    let key = SecretSlice::from(alphabet.decode_to_vec(part).map_err(|_| KeyProblem::NotBase64)?);
    let bytes = key.expose_secret();
    if bytes.len() != LENGTH {
        return Err(KeyProblem::Length(bytes.len()));
    }
    if bytes.iter().all(|byte| Some(byte) == bytes.first()) {
        return Err(KeyProblem::AllEqual);
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::assert_wiped;
    use std::fs;

    #[test]
    fn a_key_is_read_in_both_alphabets() {
        for text in ["+/+/ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=", "-_-_ASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k"] {
            let keys = Keys::parse(text).unwrap();
            assert_wiped(&keys.0);
            assert_eq!(keys.0[0].expose_secret()[..4], [0xfb, 0xff, 0xbf, 0x01], "{text}");
        }
    }

    #[test]
    fn keys_are_refused_with_the_setting_and_without_the_key() {
        let cases = [
            ("", "is 0 bytes long"),
            ("not base64!", "not base64"),
            ("c2hvcnQ", "is 5 bytes long"),
            ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc", "all bytes of key 1 are equal"),
            ("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k,", "key 2 is 0 bytes long"),
        ];
        for (text, expected) in cases {
            let error = Keys::parse(text).unwrap_err();
            assert_eq!(error.setting(), "keys");
            assert!(error.to_string().contains(expected), "{text:?}: {error}");
            assert!(text.len() < 6 || !error.to_string().contains(text), "{error}");
        }
        let damaged = Keys::from_lookup("NAME", |_| Some("c2hvcnQ".to_owned())).unwrap_err().to_string();
        assert!(damaged.contains("in the environment variable NAME, key 1 is 5 bytes long"), "{damaged}");
        let missing = Keys::from_lookup("NAME", |_| None).unwrap_err();
        assert!(missing.to_string().contains("NAME"), "{missing}");
        assert_eq!(format!("{:?}", Keys::generate().unwrap()), "Keys(1 of them, [redacted])");
    }

    #[test]
    fn a_ring_is_read_from_a_file_as_from_the_environment() {
        let path = std::env::temp_dir().join(format!("tower-signin-keys-{}", std::process::id()));
        let two = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=,\nAQIDASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=\n";
        fs::write(&path, two).unwrap();
        let keys = Keys::from_file(&path).unwrap();
        fs::write(&path, "not base64!").unwrap();
        let broken = Keys::from_file(&path).unwrap_err();
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(Keys::from_file(&path).unwrap_err().to_string().contains("is not text"));
        fs::remove_file(&path).unwrap();
        let start = |index: usize| keys.0[index].expose_secret()[..3].to_vec();
        assert_eq!((start(0), start(1)), (vec![0xab, 0xcd, 0xef], vec![1, 2, 3]));
        assert_eq!(broken.setting(), "keys");
        let missing = Keys::from_file(&path).unwrap_err().to_string();
        assert!(missing.contains(path.to_str().unwrap()) && missing.contains("openssl rand"), "{missing}");
    }
}
