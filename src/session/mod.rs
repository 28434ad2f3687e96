//! One signed-in browser.

pub(crate) mod bounded;
pub(crate) mod calls;
pub(crate) mod chunks;
pub(crate) mod ending;
pub(crate) mod entrance;
mod lease;
pub(crate) mod lifetime;
pub(crate) mod memory;
pub(crate) mod presented;
pub(crate) mod recheck;
mod record;
pub(crate) mod refresh;
pub(crate) mod registry;
pub(crate) mod revocations;
pub(crate) mod sealed;
pub(crate) mod store;
pub(crate) mod stored;
mod throttle;
pub(crate) mod tokens;

use std::fmt;
use std::ops::Range;

use crate::flow::attempt::hash;
use crate::secret::are_same;
use crate::wire::{Reader, Writer};

/// Where the renewal stands among the bytes, and the idle end behind it.
const RENEWED_AT: Range<usize> = 25..33;
const IDLE_END: Range<usize> = 33..41;

/// And the time of the last gate check.
const CHECKED_AT: Range<usize> = 57..65;

/// How many bytes stand before the first text.
const FIXED: usize = 81;
/// And besides the texts.
const LONGEST_FIXED: usize = FIXED + size_of::<ProviderSession>();

/// Of the bytes inside the seal; another one is not read, and its cookie left alone.
const LAYOUT: u8 = 1;

/// Identifies a session: 128 random bits, new at each sign-in.
pub(crate) type SessionId = [u8; 16];

/// The first 128 bits of a hash over the state and code that made a session.
///
/// It has no `==`: one side of each comparison is a stranger's.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint(pub(crate) [u8; 16]);

impl Fingerprint {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        are_same(&self.0, &other.0)
    }
}

/// Names a session in the log, and nowhere else.
pub(crate) struct LogId<'a>(pub(crate) &'a SessionId);

impl fmt::Display for LogId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&hash(&[b"log id", self.0])[..8]))
    }
}

/// Names a session that the provider keeps, of which sessions here are begun: a hash over the issuer and OpenID Connect's `sid`.
pub(crate) type ProviderSession = [u8; 16];

/// What a new session holds. Times are whole seconds since 1970.
pub(crate) struct NewSession<'a> {
    pub(crate) id: SessionId,
    pub(crate) issuer: &'a str,
    pub(crate) subject: &'a str,
    /// The provider's claims, as JSON.
    pub(crate) claims: &'a str,
    /// What the application attached, as JSON; empty if nothing.
    pub(crate) data: &'a str,
    pub(crate) authenticated_at: u64,
    pub(crate) idle_end: u64,
    pub(crate) absolute_end: u64,
    /// 1 where tokens are kept beside it, else 0.
    pub(crate) generation: u64,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) provider_session: Option<ProviderSession>,
}

/// A session in its encoded form, read in place.
#[derive(Clone)]
pub(crate) struct Session {
    bytes: Vec<u8>,
    fixed: Fixed,
    issuer: Range<usize>,
    subject: Range<usize>,
    claims: Range<usize>,
    data: Range<usize>,
    provider_session: Option<ProviderSession>,
}

/// The part of fixed length.
#[derive(Clone)]
struct Fixed {
    id: SessionId,
    authenticated_at: u64,
    renewed_at: u64,
    idle_end: u64,
    absolute_end: u64,
    generation: u64,
    checked_at: u64,
    fingerprint: Fingerprint,
}

impl Session {
    pub(crate) fn new(new: &NewSession<'_>) -> Option<Self> {
        let texts = [new.issuer, new.subject, new.claims, new.data];
        let mut writer =
            Writer::with_capacity(LONGEST_FIXED + texts.iter().map(|text| Writer::PREFIX + text.len()).sum::<usize>());
        writer
            .fixed(&[LAYOUT])
            .fixed(&new.id)
            .u64(new.authenticated_at)
            .u64(new.authenticated_at) // renewed at
            .u64(new.idle_end)
            .u64(new.absolute_end)
            .u64(new.generation)
            .u64(new.authenticated_at) // last gate check
            .fixed(&new.fingerprint.0)
            .prefixed(new.issuer)
            .prefixed(new.subject)
            .prefixed(new.claims)
            .prefixed(new.data);
        if let Some(provider_session) = &new.provider_session {
            writer.fixed(provider_session);
        }
        Self::decode(writer.into_bytes())
    }

    pub(crate) fn decode(bytes: Vec<u8>) -> Option<Self> {
        let mut reader = Reader::new(&bytes);
        if reader.fixed()? != [LAYOUT] {
            return None;
        }
        let id = reader.fixed()?;
        let authenticated_at = reader.u64()?;
        let renewed_at = reader.u64()?;
        let idle_end = reader.u64()?;
        let absolute_end = reader.u64()?;
        let generation = reader.u64()?;
        let checked_at = reader.u64()?;
        let fingerprint = Fingerprint(reader.fixed()?);
        let issuer = reader.prefixed()?.len();
        let subject = reader.prefixed()?.len();
        let claims = reader.prefixed()?.len();
        let data = reader.prefixed()?.len();
        // Left out where there is none.
        let provider_session = if reader.is_at_end() { None } else { Some(reader.fixed()?) };
        reader.end()?;

        let behind = |before: usize, length: usize| before + Writer::PREFIX..before + Writer::PREFIX + length;
        let issuer = behind(FIXED, issuer);
        let subject = behind(issuer.end, subject);
        let claims = behind(subject.end, claims);
        let data = behind(claims.end, data);
        let fixed =
            Fixed { id, authenticated_at, renewed_at, idle_end, absolute_end, generation, checked_at, fingerprint };
        Some(Self { fixed, issuer, subject, claims, data, provider_session, bytes })
    }

    /// The same session, used now.
    pub(crate) fn renewed(&self, now: u64, idle_end: u64) -> Self {
        let mut renewed = self.clone().ending_at(idle_end);
        renewed.fixed.renewed_at = now;
        renewed.write(RENEWED_AT, now);
        renewed
    }

    /// The same session with another idle end.
    pub(crate) fn ending_at(mut self, idle_end: u64) -> Self {
        self.fixed.idle_end = idle_end;
        self.write(IDLE_END, idle_end);
        self
    }

    /// The provider stood by it at this time.
    pub(crate) fn set_checked(&mut self, at: u64) {
        self.fixed.checked_at = at;
        self.write(CHECKED_AT, at);
    }

    fn write(&mut self, range: Range<usize>, value: u64) {
        if let Some(bytes) = self.bytes.get_mut(range) {
            bytes.copy_from_slice(&value.to_be_bytes());
        }
    }

    pub(crate) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn id(&self) -> &SessionId {
        &self.fixed.id
    }

    pub(crate) fn log_id(&self) -> LogId<'_> {
        LogId(self.id())
    }

    pub(crate) fn issuer(&self) -> &str {
        self.text(&self.issuer)
    }

    pub(crate) fn subject(&self) -> &str {
        self.text(&self.subject)
    }

    pub(crate) fn claims(&self) -> &str {
        self.text(&self.claims)
    }

    pub(crate) fn data(&self) -> &str {
        self.text(&self.data)
    }

    pub(crate) fn authenticated_at(&self) -> u64 {
        self.fixed.authenticated_at
    }

    pub(crate) fn renewed_at(&self) -> u64 {
        self.fixed.renewed_at
    }

    /// When the gates last let the person pass: at sign-in, or since.
    pub(crate) fn checked_at(&self) -> u64 {
        self.fixed.checked_at
    }

    pub(crate) fn absolute_end(&self) -> u64 {
        self.fixed.absolute_end
    }

    pub(crate) fn ends_at(&self) -> u64 {
        self.fixed.idle_end.min(self.fixed.absolute_end)
    }

    /// Whether the tokens it was made with are kept beside it.
    pub(crate) fn has_tokens(&self) -> bool {
        self.fixed.generation > 0
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fixed.fingerprint
    }

    pub(crate) fn provider_session(&self) -> Option<&ProviderSession> {
        self.provider_session.as_ref()
    }

    /// What is sealed was text, so this is none only where a key leaked.
    fn text(&self, range: &Range<usize>) -> &str {
        self.bytes.get(range.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(&NewSession {
            id: [7; 16],
            issuer: "https://issuer.example",
            subject: "bb1…",
            claims: r#"{"a":1}"#,
            data: "",
            authenticated_at: 10,
            idle_end: 20,
            absolute_end: 30,
            generation: 0,
            fingerprint: Fingerprint([9; 16]),
            provider_session: Some([3; 16]),
        })
        .unwrap()
    }

    #[test]
    fn reads_back_every_field() {
        let session = Session::decode(session().encoded().to_vec()).unwrap();
        assert_eq!(session.id(), &[7; 16]);
        assert_eq!(session.issuer(), "https://issuer.example");
        assert_eq!(session.subject(), "bb1…");
        assert_eq!(session.claims(), r#"{"a":1}"#);
        assert_eq!(session.data(), "");
        assert_eq!(session.provider_session(), Some(&[3; 16]));
        assert_eq!((session.authenticated_at(), session.ends_at()), (10, 20));
        assert!(session.fingerprint().is_same(&Fingerprint([9; 16])));
    }

    #[test]
    fn a_renewal_changes_its_times_and_nothing_else() {
        let before = session();
        let after = before.renewed(15, 25);
        assert_eq!((after.renewed_at(), after.ends_at(), before.ends_at()), (15, 25, 20));
        let read = Session::decode(after.encoded().to_vec()).unwrap();
        assert_eq!((read.renewed_at(), read.ends_at(), read.absolute_end()), (15, 25, 30));
        assert_eq!((read.id(), read.authenticated_at(), read.subject()), (&[7; 16], 10, "bb1…"));
        assert_eq!(read.renewed(10, 20).encoded(), before.encoded());
    }

    #[test]
    fn a_check_changes_its_time_and_nothing_else() {
        let mut checked = session();
        checked.set_checked(17);
        let mut read = Session::decode(checked.encoded().to_vec()).unwrap();
        assert_eq!((session().checked_at(), checked.checked_at(), read.checked_at()), (10, 17, 17));
        read.set_checked(10);
        assert_eq!(read.encoded(), session().encoded());
    }

    #[test]
    fn nothing_shorter_or_longer_decodes() {
        let whole = session().encoded().to_vec();
        let without_provider_session = whole.len() - size_of::<ProviderSession>();
        for length in (0..whole.len()).filter(|length| *length != without_provider_session) {
            assert!(Session::decode(whole[..length].to_vec()).is_none(), "length {length}");
        }
        let without = Session::decode(whole[..without_provider_session].to_vec()).unwrap();
        assert_eq!((without.provider_session(), without.subject(), without.data()), (None, "bb1…", ""));
        assert!(Session::decode([whole, vec![0]].concat()).is_none());
    }

    #[test]
    fn another_layout_is_not_read() {
        let mut bytes = session().encoded().to_vec();
        bytes[0] = LAYOUT + 1;
        assert!(Session::decode(bytes).is_none());
    }
}
