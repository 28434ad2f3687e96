//! What is wrong with a setting.

use std::fmt;

/// A setting that can't work. `Display` names it, what is wrong and the remedy, and shows no secret; `Debug` says the
/// same, since that is what a `main` that returns it prints.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: &'static str,
    problem: String,
    remedy: &'static str,
}

impl ConfigError {
    /// For a provider of yours: the setting, what is wrong with it, and what to do.
    #[must_use]
    pub fn new(setting: &'static str, problem: impl Into<String>, remedy: &'static str) -> Self {
        Self { setting, problem: problem.into(), remedy }
    }

    /// Says in which place the value was found, too.
    pub(crate) fn within(mut self, place: &str) -> Self {
        self.problem = format!("in {place}, {}", self.problem);
        self
    }

    /// The name of the setting, as the method that sets it is called.
    #[must_use]
    pub fn setting(&self) -> &str {
        self.setting
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        self.remedy
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.setting, self.problem, self.remedy)
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}
