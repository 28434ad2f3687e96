//! What a row of the matrix is.

/// Something that is demanded of a client.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) level: Level,
    /// What is demanded, in our own words, in one line.
    pub(crate) what: &'static str,
    pub(crate) verdict: Verdict,
}

/// How much it is demanded: by a profile of the conformance suite, or by a specification.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    BasicProfile,
    ConfigProfile,
    FormPostProfile,
    RefreshProfile,
    LogoutProfile,
    /// Beyond the profiles that are certified.
    FurtherModule,
    Fapi,
    Must,
    Should,
    /// No specification asks for it; we do.
    Ours,
}

/// What of it is done here.
pub(crate) enum Verdict {
    /// The tests that show it: those of the section's own file by name, others as `tests/providers/several.rs::name`.
    Held(&'static [&'static str]),
    /// It is not done yet, and why that harms nobody.
    Later(&'static str),
    /// Why it does not apply.
    DoesNotApply(&'static str),
}

pub(crate) const fn row(id: &'static str, level: Level, what: &'static str, verdict: Verdict) -> Row {
    Row { id, level, what, verdict }
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BasicProfile => "Basic",
            Self::ConfigProfile => "Config",
            Self::FormPostProfile => "Form Post",
            Self::RefreshProfile => "Refresh",
            Self::LogoutProfile => "Logout",
            Self::FurtherModule => "further",
            Self::Fapi => "FAPI",
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Ours => "ours",
        }
    }
}
