//! The bytes inside a seal: fixed-width integers and length-prefixed strings, so that no two values share an encoding.

use secrecy::zeroize::Zeroizing;

use crate::secret::SecretBytes;

/// Appends fields.
#[derive(Default)]
pub(crate) struct Writer(SecretBytes);

impl Writer {
    /// How many bytes a length takes.
    pub(crate) const PREFIX: usize = 4;

    /// One that need not grow before it has so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(SecretBytes::with_capacity(bytes))
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// A string or byte string behind its length in four bytes.
    pub(crate) fn prefixed(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.fixed(&length.to_be_bytes()).fixed(bytes)
    }

    pub(crate) fn into_secret(self) -> Zeroizing<Vec<u8>> {
        self.0.into_zeroizing()
    }

    /// For what is no secret.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0.into_vec()
    }
}

/// Reads the same fields back; every method is `None` once the bytes run out.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.fixed().map(u64::from_be_bytes)
    }

    pub(crate) fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.fixed()?);
        self.take(usize::try_from(length).ok()?)
    }

    pub(crate) fn prefixed_str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.prefixed()?).ok()
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may follow the last field.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_nothing_more() {
        let mut writer = Writer::default();
        writer.fixed(b"id").u64(u64::MAX).prefixed("text");
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.fixed::<2>(), Some(*b"id"));
        assert_eq!(reader.u64(), Some(u64::MAX));
        assert_eq!(reader.prefixed_str(), Some("text"));
        assert_eq!(reader.end(), Some(()));
    }

    #[test]
    fn a_length_beyond_the_end_is_none() {
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 1]).prefixed(), None);
        assert_eq!(Reader::new(&[0, 0, 0]).prefixed(), None);
    }
}
