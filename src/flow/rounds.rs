//! The loop breaker: a sign-in that succeeds and is not recognised right afterwards must not start over for ever.
//!
//! A round is a completed callback that is followed within a minute by a login without a session. Who is recognised at
//! login and nowhere else never gets that far: there it is the times that count when login sent them straight back. Both
//! counts ride in one small sealed cookie, so nothing is kept on the server.

use http::{HeaderMap, HeaderValue};

use super::FLOW_LIFETIME;
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::cookies::Found;
use crate::seal::Purpose;
use crate::wire::{Reader, Writer};

/// How many rounds there have been, when the last callback was completed, and how often in a row login sent somebody
/// straight back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rounds {
    count: u8,
    completed_at: Option<u64>,
    sent_back: u8,
    sent_back_at: Option<u64>,
}

/// What a login comes to.
pub(super) enum AtLogin {
    /// No round.
    GoOn,
    /// A round; the cookie that counts it.
    Count(HeaderValue),
    /// The round too many; the header that starts counting anew, for whoever tries again.
    Stop(Option<HeaderValue>),
}

/// The third round stops at a page.
const MOST: u8 = 3;

/// A login that comes later than this many seconds after the callback is no round.
const ONE_ROUND: u64 = 60;

/// So does the fifth time in a row that somebody is sent back. A browser gives up after twenty redirects.
const MOST_SENT_BACK: u8 = 5;

/// Coming back later than after this many seconds is no circle: no browser waits longer between two redirects.
const SENT_BACK: u64 = 10;

/// Of the bytes inside the seal.
const LAYOUT: u8 = 1;

impl Rounds {
    /// What the request's cookie says; none where it does not open.
    pub(crate) fn of(inner: &Inner, headers: &HeaderMap) -> Self {
        let name = inner.cookies.rounds_name();
        let Found::One(sealed) = inner.cookies.find(headers, name) else { return Self::default() };
        let opened = inner.seal.open(Purpose::Rounds, name, sealed).ok();
        opened.and_then(|bytes| Self::decode(&bytes)).unwrap_or_default()
    }

    /// Counts a login that comes without a session, or with one that did not help.
    pub(super) fn at_login(self, inner: &Inner) -> AtLogin {
        if self.completed_at.is_none() || self.is_over(inner) {
            return AtLogin::GoOn;
        }
        let count = self.count.saturating_add(1);
        if count >= MOST {
            return AtLogin::Stop(inner.cookies.expire(inner.cookies.rounds_name()));
        }
        Self { count, completed_at: None, ..self }.set_cookie(inner).map_or(AtLogin::GoOn, AtLogin::Count)
    }

    /// Counts a login that sends somebody who is signed in back to where another site's page wanted them: a guard that
    /// does not recognise them would send them here again.
    pub(super) fn sent_back(self, inner: &Inner) -> AtLogin {
        let now = unix_seconds(inner.clock.now());
        let is_in_a_row = self.sent_back_at.is_some_and(|last| now.saturating_sub(last) < SENT_BACK);
        let sent_back = if is_in_a_row { self.sent_back.saturating_add(1) } else { 1 };
        if sent_back >= MOST_SENT_BACK {
            // Any site can bring this about, so the other count stays.
            return AtLogin::Stop(Self { sent_back: 0, sent_back_at: None, ..self }.set_cookie(inner));
        }
        Self { sent_back, sent_back_at: Some(now), ..self }.set_cookie(inner).map_or(AtLogin::GoOn, AtLogin::Count)
    }

    /// The cookie that a completed callback leaves behind.
    pub(crate) fn completed(self, inner: &Inner) -> Option<HeaderValue> {
        let completed_at = Some(unix_seconds(inner.clock.now()));
        let count = if self.is_over(inner) { 0 } else { self.count };
        Self { count, completed_at, ..self }.set_cookie(inner)
    }

    /// A sign-in that lasted for a minute ends the count, also where a client keeps the cookie for longer.
    fn is_over(self, inner: &Inner) -> bool {
        let now = unix_seconds(inner.clock.now());
        self.completed_at.is_some_and(|completed_at| now.saturating_sub(completed_at) >= ONE_ROUND)
    }

    /// A count goes on for as long as a sign-in under way may take.
    fn set_cookie(self, inner: &Inner) -> Option<HeaderValue> {
        let name = inner.cookies.rounds_name();
        if self == Self::default() {
            return inner.cookies.expire(name);
        }
        let is_under_way = self.count > 0 && self.completed_at.is_none();
        let sealed = inner.seal.seal(Purpose::Rounds, name, &self.encode()).ok()?;
        inner.cookies.set(name, &sealed, if is_under_way { FLOW_LIFETIME } else { ONE_ROUND })
    }

    fn encode(self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer
            .fixed(&[LAYOUT, self.count, self.sent_back])
            .u64(self.completed_at.unwrap_or_default())
            .u64(self.sent_back_at.unwrap_or_default());
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let [LAYOUT, count, sent_back] = reader.fixed()? else { return None };
        let completed_at = Some(reader.u64()?).filter(|at| *at > 0);
        let sent_back_at = Some(reader.u64()?).filter(|at| *at > 0);
        reader.end()?;
        Some(Self { count, completed_at, sent_back, sent_back_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_went() {
        let full = Rounds { count: 2, completed_at: Some(9), sent_back: 3, sent_back_at: Some(8) };
        for rounds in [Rounds::default(), full] {
            let bytes = rounds.encode();
            assert_eq!(Rounds::decode(&bytes), Some(rounds));
            for length in 0..bytes.len() {
                assert_eq!(Rounds::decode(&bytes[..length]), None, "length {length}");
            }
            assert_eq!(Rounds::decode(&[bytes.as_slice(), &[0]].concat()), None);
            assert_eq!(Rounds::decode(&[&[LAYOUT + 1], &bytes[1..]].concat()), None);
        }
    }
}
