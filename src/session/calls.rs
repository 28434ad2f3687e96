//! What calls to the provider on behalf of a session have in common.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::http_client::BoxFuture;

/// The longest pause between two tries, in seconds; the first is one.
const LONGEST_PAUSE: u64 = 60;
const PROVIDER_TIME: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds to wait after this many failures in a row.
pub(super) fn pause(failures: u32) -> u64 {
    1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE)
}

/// Whether an error is the provider's word on this person, rather than on this site's own credentials or on the weather.
pub(super) fn is_refusal(error: &Error) -> bool {
    use ErrorKind::{ClaimRequired, NotVerified, OwnershipRequired};
    matches!(error.kind(), NotVerified | ClaimRequired | OwnershipRequired)
}

/// What comes within two seconds: newer tokens while those at hand are still good, or a check that can come later.
pub(crate) async fn patiently<T>(answer: impl Future<Output = T>) -> Option<T> {
    // Outside of a runtime there is no timer. Nobody is asked there either, so nobody waits.
    if Handle::try_current().is_err() {
        return Some(answer.await);
    }
    timeout(PATIENCE, answer).await.ok()
}

pub(crate) async fn within_time<T>(answer: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
    timeout(PROVIDER_TIME, answer).await.unwrap_or_else(|_| Err(ErrorKind::ProviderTimeout.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<_> = (0..10).map(pause).collect();
        assert_eq!(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!([64, 65, u32::MAX].map(pause), [60; 3]);
    }
}
