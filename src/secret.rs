//! Secrets in memory: wiped when they are dropped, and without copies that nothing wipes.
//!
//! A value that moves leaves its bytes where they lay, and so does a `Vec` or a `String` that grows. So what is secret lies on
//! the heap behind a pointer, which is all that moves, and grows as [`SecretBytes`] do.

use std::io::{self, Read, Write};
use std::mem;
use std::ops::Deref;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use bytes::Bytes;
use http::HeaderValue;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Bytes that are appended to. Those that had to move to a larger place are wiped in the former one.
#[derive(Default)]
pub(crate) struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// All that `source` has.
    pub(crate) fn read(mut source: impl Read) -> io::Result<Self> {
        const STEP: usize = 1024;
        let mut read = Self::default();
        let mut step = Zeroizing::new([0; STEP]);
        loop {
            match source.read(&mut *step) {
                Ok(0) => return Ok(read),
                Ok(length) => read.extend(step.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Self::with_capacity(needed.max(2 * self.0.capacity()));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// They are wiped when the last clone of what this gives is dropped.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }

    pub(crate) fn into_zeroizing(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// For what is no secret after all.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        mem::take(&mut *self.0)
    }
}

impl Write for SecretBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text of a request: as it lies there, or a decoded copy of it.
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Decoded(Zeroizing<String>),
}

impl Text<'_> {
    pub(crate) fn into_owned(self) -> Zeroizing<String> {
        match self {
            Self::Borrowed(text) => Zeroizing::new(text.to_owned()),
            Self::Decoded(text) => text,
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Decoded(text) => text,
        }
    }
}

/// Takes a text over. Where it has room to spare, cutting that off could move it, so it is copied and wiped.
pub(crate) fn secret_text(text: impl Into<String>) -> SecretString {
    let text = text.into();
    if text.len() == text.capacity() { text.into() } else { SecretString::from(Zeroizing::new(text).as_str()) }
}

/// The value is wiped with its last copy, as a body is.
pub(crate) fn secret_header([before, secret]: [&str; 2]) -> Result<HeaderValue, Error> {
    let mut bytes = SecretBytes::with_capacity(before.len() + secret.len());
    bytes.extend(before.as_bytes());
    bytes.extend(secret.as_bytes());
    let mut value = HeaderValue::from_maybe_shared(bytes.into_bytes()).map_err(|_| ErrorKind::Internal)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether two secrets are the same, in a time that does not tell where they differ: for the state, and for the fingerprints of
/// a callback, where one side comes from the request.
///
/// Elsewhere `==` tells nothing. Of session ids and the keys of a store, both sides were sealed. The id of a ring key is public.
/// What a header holds of the state is compared with the same request's own. The stand-in's secrets are published.
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    verify_slices_are_equal(one, other).is_ok()
}

/// Compiles for what is wiped when it is dropped, and for nothing else.
#[cfg(test)]
pub(crate) fn assert_wiped<T: secrecy::zeroize::ZeroizeOnDrop + ?Sized>(_: &T) {}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn bytes_come_back_as_they_were_appended_whatever_room_there_was() {
        for capacity in [0, 1, 7, 100] {
            let mut bytes = SecretBytes::with_capacity(capacity);
            for part in ["", "a", "bcdefgh", "", "i"] {
                bytes.write_all(part.as_bytes()).unwrap();
            }
            assert_wiped(&bytes.0);
            assert_eq!(bytes.as_slice(), b"abcdefghi", "{capacity}");
            assert_eq!(bytes.into_bytes(), "abcdefghi", "{capacity}");
        }
    }

    /// A vector that grew by itself would have more room, and would have left what it held where it was.
    #[test]
    fn bytes_move_only_where_the_old_ones_are_wiped() {
        let mut bytes = SecretBytes::default();
        for (part, room) in [("a", 1), ("b", 2), ("c", 4), ("d", 4), ("0123456789", 14)] {
            bytes.extend(part.as_bytes());
            assert_eq!(bytes.0.capacity(), room, "{part}");
        }
    }

    #[test]
    fn a_text_without_room_to_spare_is_not_copied() {
        let exact: String = "secret".to_owned().into_boxed_str().into();
        let place = exact.as_ptr();
        assert_eq!(secret_text(exact).expose_secret().as_ptr(), place);
        let mut roomy = String::with_capacity(100);
        roomy.push_str("secret");
        let place = roomy.as_ptr();
        let taken = secret_text(roomy);
        assert_eq!(taken.expose_secret(), "secret");
        assert_ne!(taken.expose_secret().as_ptr(), place, "cut off where it was, it might have been moved unwiped");
    }

    #[test]
    fn an_interrupted_read_goes_on_and_a_broken_one_is_an_error() {
        struct Source(std::vec::IntoIter<io::Result<u8>>);
        impl Read for Source {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let Some(byte) = self.0.next() else { return Ok(0) };
                into[0] = byte?;
                Ok(1)
            }
        }
        let read = |end| {
            let interrupted = || Err(io::ErrorKind::Interrupted.into());
            SecretBytes::read(Source(vec![Ok(b'a'), interrupted(), Ok(b'b'), end].into_iter()))
        };
        assert_eq!(read(Ok(b'c')).unwrap().as_slice(), b"abc");
        assert!(read(Err(io::ErrorKind::BrokenPipe.into())).is_err());
    }

    #[test]
    fn a_text_is_the_same_once_it_is_owned() {
        let decoded = Text::Decoded(Zeroizing::new("decoded".to_owned()));
        assert_eq!((Text::Borrowed("lent").into_owned().as_str(), decoded.into_owned().as_str()), ("lent", "decoded"));
    }

    #[test]
    fn a_source_is_read_to_its_end() {
        let long: Vec<u8> = (0..5000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for length in [0, 1, 1023, 1024, 1025, 5000] {
            assert_eq!(SecretBytes::read(&long[..length]).unwrap().as_slice(), &long[..length], "{length}");
        }
    }

    #[test]
    fn a_text_is_taken_over_with_and_without_room_to_spare() {
        let mut roomy = String::with_capacity(100);
        roomy.push_str("text");
        for text in ["text".to_owned(), roomy] {
            let secret = secret_text(text);
            assert_wiped(&secret);
            assert_eq!(secret.expose_secret(), "text");
        }
    }

    #[test]
    fn what_differs_anywhere_is_not_the_same() {
        assert!(are_same(b"abc", b"abc") && are_same(b"", b""));
        for other in [&b"xbc"[..], b"axc", b"abx", b"ab", b"abcd", b""] {
            assert!(!are_same(b"abc", other), "{other:?}");
        }
    }
}
