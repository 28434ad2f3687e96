//! The way to the provider, watched: whether answers come, and what time it is there.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{AGE, DATE};
use http::{HeaderMap, Request, Response};
use httpdate::parse_http_date;

use super::Finding;
use crate::config::Inner;
use crate::http_client::{BoxFuture, HttpClient, HttpError, HttpErrorKind};

/// The configured [`HttpClient`], and what it was seen to do. It works for any provider.
pub(super) struct Watched {
    inner: Arc<Inner>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// Scheme and authority of the last request.
    origin: String,
    answers: u32,
    failures: u32,
    /// What the last failure was.
    failure: Option<(HttpErrorKind, String)>,
    skew: Option<Skew>,
}

impl Watched {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner, seen: Mutex::default() }
    }

    pub(super) fn findings(&self) -> [Finding; 2] {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        [seen.connection(), seen.clock()]
    }
}

impl HttpClient for Watched {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let origin = match (request.uri().scheme_str(), request.uri().host(), request.uri().port_u16()) {
                (Some(scheme), Some(host), Some(port)) => format!("{scheme}://{host}:{port}"),
                (Some(scheme), Some(host), None) => format!("{scheme}://{host}"),
                _ => "an address without a host".to_owned(),
            };
            let sent = self.inner.clock.now();
            let answer = self.inner.http.send(request).await;
            let received = self.inner.clock.now();
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.origin = origin;
            match &answer {
                Ok(answer) => {
                    seen.answers += 1;
                    seen.skew = seen.skew.or_else(|| Skew::measured(answer.headers(), sent, received));
                }
                Err(error) => {
                    seen.failures += 1;
                    seen.failure = Some((error.kind(), because(error)));
                }
            }
            drop(seen);
            answer
        })
    }
}

impl Seen {
    fn connection(&self) -> Finding {
        const NAME: &str = "connection";
        let Self { origin, answers, failures, .. } = self;
        let Some((kind, why)) = &self.failure else {
            return match answers {
                0 => Finding::skipped(NAME, "nothing was sent to the provider"),
                1 => Finding::ok(NAME, format!("1 request to {origin}, answered")),
                _ => Finding::ok(NAME, format!("{answers} requests to {origin}, all answered")),
            };
        };
        let remedy = match kind {
            HttpErrorKind::Unreachable => {
                "see that the name resolves here, that a firewall lets this machine out to it, and that the system's CA \
                 certificates are installed"
            }
            HttpErrorKind::Timeout => "see that a firewall does not swallow what goes there, and try again later",
            HttpErrorKind::Insecure => "give the provider https URLs; http ones may be on loopback only",
            HttpErrorKind::Interrupted | HttpErrorKind::TooLarge => {
                "look for a proxy in between that answers in the provider's place, and try again later"
            }
        };
        if *answers > 0 {
            let all = answers + failures;
            return Finding::warning(NAME, format!("{failures} of {all} requests to {origin}: {why}"), remedy);
        }
        Finding::failed(NAME, format!("{origin}: {why}"), remedy)
    }

    fn clock(&self) -> Finding {
        const NAME: &str = "clock";
        const REMEDY: &str = "have it set by NTP: sessions and tokens end at the wrong time otherwise";
        let Some(skew) = self.skew else {
            return Finding::skipped(NAME, "no answer told the provider's time (header Date)");
        };
        let direction = match skew.least() {
            0 => "in step with",
            1.. => "ahead of",
            _ => "behind",
        };
        let found = format!("{:+} s: this machine is {direction} the provider", skew.about_seconds());
        match skew.least().abs() {
            0..=5_000 => Finding::ok(NAME, found),
            5_001..=60_000 => Finding::warning(NAME, found, REMEDY),
            _ => Finding::failed(NAME, found, REMEDY),
        }
    }
}

/// Our clock less the provider's, in milliseconds: somewhere in between, since `Date` is in whole seconds (RFC 9110 section
/// 6.6.1) and was written while the request was on its way.
#[derive(Clone, Copy)]
struct Skew {
    low: i64,
    high: i64,
}

impl Skew {
    fn measured(headers: &HeaderMap, sent: SystemTime, received: SystemTime) -> Option<Self> {
        // An answer from a cache tells when it was made, not what time it is (RFC 9111 section 5.1).
        if headers.contains_key(AGE) {
            return None;
        }
        let date = milliseconds(parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?)?;
        let low = milliseconds(sent)?.checked_sub(date)?.checked_sub(999)?;
        let high = milliseconds(received)?.checked_sub(date)?;
        Some(Self { low, high: high.max(low) })
    }

    /// What is sure of it: the value nearest to none at all.
    fn least(self) -> i64 {
        0.clamp(self.low, self.high)
    }

    fn about_seconds(self) -> i64 {
        let middle = self.low + (self.high - self.low) / 2;
        (middle + 500).div_euclid(1_000)
    }
}

fn milliseconds(time: SystemTime) -> Option<i64> {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).ok(),
        Err(before) => i64::try_from(before.duration().as_millis()).ok().map(|before| -before),
    }
}

/// The error, and what was at the bottom of it: the kind alone does not tell a name that does not resolve from a
/// certificate that nobody trusts.
fn because(error: &HttpError) -> String {
    let mut bottom: &dyn StdError = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    match error.source() {
        Some(_) => format!("{error} ({bottom})"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderValue;

    use super::*;
    use crate::check::Verdict;

    #[test]
    fn a_skew_is_judged_by_what_is_sure_of_it() {
        let there = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let headers = HeaderMap::from_iter([(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"))]);
        // Seconds from `Date` to sending, and until the answer is there.
        for (offset, took, verdict, found) in [
            (0, 0, Verdict::Ok, "+0 s: this machine is in step with"),
            (-3, 15, Verdict::Ok, "+4 s: this machine is in step with"),
            (5, 0, Verdict::Ok, "+5 s: this machine is ahead of"),
            (-5, 0, Verdict::Ok, "-5 s: this machine is behind"),
            (6, 0, Verdict::Warning, "+6 s: this machine is ahead of"),
            (-6, 0, Verdict::Warning, "-6 s: this machine is behind"),
            (60, 0, Verdict::Warning, "+60 s: this machine is ahead of"),
            (-60, 0, Verdict::Warning, "-60 s: this machine is behind"),
            (61, 0, Verdict::Failed, "+61 s: this machine is ahead of"),
            (-61, 0, Verdict::Failed, "-61 s: this machine is behind"),
        ] {
            let sent = if offset < 0 {
                there - Duration::from_secs(-offset as u64)
            } else {
                there + Duration::from_secs(offset as u64)
            };
            let skew = Skew::measured(&headers, sent, sent + Duration::from_secs(took));
            assert!(skew.is_some(), "{offset}");
            let finding = Seen { skew, ..Seen::default() }.clock();
            assert_eq!(finding.verdict(), verdict, "{offset} {took}: {finding}");
            assert!(finding.found().starts_with(found), "{offset} {took}: {finding}");
        }
    }

    #[test]
    fn a_clock_before_1970_is_told_too() {
        let (before, after) = (UNIX_EPOCH - Duration::from_millis(1_500), UNIX_EPOCH + Duration::from_millis(1_500));
        assert_eq!((milliseconds(before), milliseconds(after)), (Some(-1_500), Some(1_500)));
    }

    #[test]
    fn no_time_is_read_from_caches_and_nonsense() {
        let good = "Sun, 06 Nov 1994 08:49:37 GMT";
        let none: &[(_, &str)] = &[];
        for headers in [none, &[(DATE, "yesterday")], &[(DATE, "")], &[(DATE, good), (AGE, "0")]] {
            let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
            assert!(Skew::measured(&headers.collect(), UNIX_EPOCH, UNIX_EPOCH).is_none());
        }
    }
}
