//! Keeps the log short where something happens at every request.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Lets something be said once in so many seconds.
pub(crate) struct Throttle {
    pause: u64,
    said_at: AtomicU64,
}

impl Throttle {
    pub(crate) fn new(pause: u64) -> Self {
        Self { pause, said_at: AtomicU64::new(0) }
    }

    /// Whether it is time to say it, by a clock that may be set back.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        let said_at = self.said_at.load(Ordering::Relaxed);
        now.abs_diff(said_at) >= self.pause && self.said_at.swap(now, Ordering::Relaxed) == said_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute_and_after_a_step_back() {
        let throttle = Throttle::new(60);
        let cases = [(1000, true), (1059, false), (1060, true), (1000, true), (1001, false)];
        for (now, expected) in cases {
            assert_eq!(throttle.is_due(now), expected, "{now}");
        }
    }
}
