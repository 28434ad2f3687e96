//! What a row of the index of hostile cases is.

/// Something that went wrong in other sign-in software.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    /// What went wrong, in our own words, in one line.
    pub(crate) what: &'static str,
    pub(crate) verdict: Verdict,
}

/// Why it doesn't happen here.
pub(crate) enum Verdict {
    /// The tests that show it cannot happen: those of the section's own file by name, others as `tests/browser/tabs.rs::name`.
    Held(&'static [&'static str]),
    /// Why the row can't apply.
    CannotApply(&'static str),
}
