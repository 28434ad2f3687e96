//! How long sessions last: pure functions of times in whole seconds since 1970.

use std::time::Duration;

use crate::config_error::ConfigError;

/// The rules. A session holds its own ends; where the rules have become stricter since, they count at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    /// From signing in.
    pub(crate) absolute: Duration,
    /// From the last renewal.
    pub(crate) idle: Option<Duration>,
    /// Whether a session may last longer than the access token it was made with.
    pub(crate) outlive_tokens: bool,
}

/// What browsers keep a cookie for.
pub(super) const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
pub(super) const SHORTEST: Duration = Duration::from_secs(60);

impl Default for Lifetimes {
    /// As long as a BitBadges access token.
    fn default() -> Self {
        Self { absolute: Duration::from_secs(24 * 60 * 60), idle: None, outlive_tokens: false }
    }
}

impl Lifetimes {
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let settings = [("session_lifetime", Some(self.absolute)), ("session_idle_timeout", self.idle)];
        for (setting, lifetime) in settings {
            if let Some(lifetime) = lifetime.filter(|lifetime| *lifetime < SHORTEST || *lifetime > LONGEST) {
                let problem = format!("{lifetime:?} is not between a minute and 400 days");
                return Err(ConfigError::new(setting, problem, "choose a duration in between"));
            }
        }
        Ok(())
    }

    /// The absolute end of a session that begins now.
    pub(crate) fn absolute_end(&self, now: u64, token_ends_at: Option<u64>) -> u64 {
        let end = now.saturating_add(self.absolute.as_secs());
        token_ends_at.filter(|_| !self.outlive_tokens).map_or(end, |token_ends_at| end.min(token_ends_at))
    }

    /// The idle end of a session that is used now.
    pub(crate) fn idle_end(&self, now: u64, absolute_end: u64) -> u64 {
        self.idle.map_or(absolute_end, |idle| absolute_end.min(now.saturating_add(idle.as_secs())))
    }

    /// The latest end that these rules allow.
    pub(crate) fn latest_end(&self, authenticated_at: u64, renewed_at: u64) -> u64 {
        let absolute = authenticated_at.saturating_add(self.absolute.as_secs());
        self.idle_end(renewed_at, absolute)
    }

    /// Renewal costs a header, so it waits for a tenth of the idle time.
    pub(crate) fn is_renewal_due(&self, now: u64, renewed_at: u64) -> bool {
        self.idle.is_some_and(|idle| now.saturating_sub(renewed_at) >= idle.as_secs() / 10)
    }

    /// By how many seconds a renewal moves the end at least.
    pub(crate) fn renewal_step(&self) -> u64 {
        self.idle.map_or(1, |idle| (idle.as_secs() / 10).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(absolute: u64, idle: Option<u64>) -> Lifetimes {
        let (absolute, idle) = (Duration::from_secs(absolute), idle.map(Duration::from_secs));
        Lifetimes { absolute, idle, outlive_tokens: false }
    }

    #[test]
    fn ends_are_the_earliest_of_all() {
        let rules = rules(1000, Some(100));
        assert_eq!(rules.absolute_end(50, None), 1050);
        assert_eq!(rules.absolute_end(50, Some(700)), 700);
        assert_eq!(rules.absolute_end(50, Some(9000)), 1050);
        assert_eq!(Lifetimes { outlive_tokens: true, ..rules }.absolute_end(50, Some(700)), 1050);
        assert_eq!((rules.idle_end(50, 1050), rules.idle_end(1000, 1050)), (150, 1050));
        assert_eq!((rules.latest_end(50, 50), rules.latest_end(50, 990)), (150, 1050));
    }

    #[test]
    fn renewal_waits_for_a_tenth_of_the_idle_time() {
        let rules = rules(1000, Some(100));
        assert!(!rules.is_renewal_due(9, 0) && rules.is_renewal_due(10, 0));
        assert!(!rules.is_renewal_due(5, 90), "the clock stepped back");
        assert!(!super::tests::rules(1000, None).is_renewal_due(900, 0), "nothing is gained");
    }

    #[test]
    fn no_time_overflows() {
        let rules = rules(u64::MAX, Some(u64::MAX));
        assert_eq!((rules.absolute_end(u64::MAX, None), rules.idle_end(u64::MAX, u64::MAX)), (u64::MAX, u64::MAX));
        assert_eq!(rules.latest_end(u64::MAX, u64::MAX), u64::MAX);
    }
}
