//! What an operator wants to know before anybody signs in.

mod watched;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use self::watched::Watched;
use crate::config::Inner;
use crate::provider::Context;
use crate::providers::Mounted;
use crate::session::stored::StoredId;

/// What [`SignIn::check`](crate::SignIn::check) found. `Display` writes one line for each finding and shows no secret.
///
/// ```no_run
/// # async fn example(sign_in: tower_signin::SignIn) {
/// let report = sign_in.check().await;
/// println!("{report}");
/// assert!(report.is_ok(), "see the lines that begin with `failed`");
/// # }
/// ```
#[must_use = "a report is there to be read"]
#[derive(Clone, Debug)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing has [failed](Verdict::Failed). Warnings, and what could not be told, are no failures.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Failed)
    }

    /// The findings, in the order in which they are printed: the settings of the layer, the way to the provider, and what
    /// the provider's own check found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}

/// One thing that was looked at. A provider of yours makes its own in [`Provider::check`](crate::Provider::check).
///
/// ```
/// use tower_signin::{Finding, Verdict};
///
/// let finding = Finding::failed("client_secret", "the provider refuses it", "copy it again");
/// assert_eq!(finding.verdict(), Verdict::Failed);
/// assert_eq!(finding.to_string(), "failed   client_secret  the provider refuses it; remedy: copy it again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    name: &'static str,
    verdict: Verdict,
    found: String,
    remedy: Option<String>,
}

impl Finding {
    /// All is well with `name`, a stable code such as `api_key`. Neither text of a finding may hold a secret, here and
    /// below; each is one line, so control characters become spaces.
    #[must_use]
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, found: one_line(found.into()), remedy: None }
    }

    /// People can sign in, but something should be put right.
    #[must_use]
    pub fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, remedy: Some(one_line(remedy.into())), ..Self::ok(name, found) }
    }

    /// Nobody can sign in until this is put right.
    #[must_use]
    pub fn failed(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, ..Self::warning(name, found, remedy) }
    }

    /// It could not be told, and why not.
    #[must_use]
    pub fn skipped(name: &'static str, why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(name, why) }
    }

    /// What was looked at, as a stable code.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How it went.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What was found, or why nothing could be.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What to do about it; there is always one for a warning and for what has failed.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<14} {}", self.verdict.as_str(), self.name, self.found)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; remedy: {remedy}"),
            None => Ok(()),
        }
    }
}

/// How a [`Finding`] went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// All is well.
    Ok,
    /// People can sign in, but something should be put right.
    Warning,
    /// Nobody can sign in until this is put right.
    Failed,
    /// It could not be told.
    Skipped,
}

impl Verdict {
    /// The word it is printed as: `ok`, `warning`, `failed` or `skipped`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Looks at everything; the provider's requests go through a client that notes what becomes of them.
pub(crate) async fn run(inner: &Arc<Inner>) -> Report {
    let mut findings: Vec<_> = inner.providers.iter().map(redirect_uri).collect();
    findings.extend([cookies(inner), keys(inner)]);
    findings.extend(session_store(inner).await);
    findings.extend(revocations(inner).await);
    for mounted in inner.providers.iter() {
        let watched = Watched::new(Arc::clone(inner));
        let of_provider =
            mounted.provider.check(Context::new(&watched, inner.clock.now(), &mounted.redirect_uri)).await;
        findings.extend(watched.findings());
        if of_provider.is_empty() {
            let found = format!("{} offers no check of its own", mounted.provider.issuer());
            findings.push(Finding::skipped("provider", found));
        }
        findings.extend(of_provider);
    }
    Report { findings }
}

fn redirect_uri(mounted: &Mounted) -> Finding {
    let kind = match mounted.uri.scheme_str() {
        Some("https") => "https",
        _ => "on loopback, so only browsers on this machine come back to it",
    };
    let text = &mounted.redirect_uri;
    Finding::ok(
        "redirect_uri",
        format!("{kind}; whether it is registered can't be asked, and it must be, byte for byte: {text}"),
    )
}

fn cookies(inner: &Inner) -> Finding {
    let name = inner.cookies.session_name();
    let host = &inner.redirect.host;
    Finding::ok(
        "cookies",
        match inner.redirect.loopback_port {
            None => format!("{name}: browsers keep it only from https://{host} itself, and no other host can plant it"),
            Some(port) => {
                format!(
                    "{name}: sent in clear, and named after port {port}, since cookies ignore ports; for {host} only"
                )
            }
        },
    )
}

fn keys(inner: &Inner) -> Finding {
    Finding::ok(
        "keys",
        match inner.seal.key_count() {
            1 => "1 key; every node needs this one, and one from Keys::generate ends all sessions with the process"
                .to_owned(),
            count => format!("{count} keys: the first one seals, every one opens; every node needs the same"),
        },
    )
}

async fn session_store(inner: &Inner) -> Option<Finding> {
    const NAME: &str = "session_store";
    let store = inner.store.as_ref()?;
    // It asks for what can't be there.
    let nobody = StoredId::draw().ok()?;
    Some(match store.load(nobody.key()).await {
        Ok(_) => Finding::ok(NAME, "it answers; whether all nodes use the same one can't be asked"),
        Err(error) => {
            let source = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
            Finding::failed(NAME, format!("{error}{source}"), "see that it runs and can be reached from here")
        }
    })
}

async fn revocations(inner: &Inner) -> Option<Finding> {
    const NAME: &str = "revocations";
    let list = inner.revocations.as_ref()?;
    Some(match list.read().await {
        Ok(()) => {
            let (count, bound) = (list.count(), list.bound());
            Finding::ok(
                NAME,
                format!("the list can be read and has {count} entries; a copy of it is at most {bound:?} old"),
            )
        }
        Err(error) => {
            let source = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
            Finding::failed(
                NAME,
                format!("{error}{source}"),
                "see that the store of the revocation list runs and can be reached from here",
            )
        }
    })
}

fn one_line(text: String) -> String {
    if text.contains(char::is_control) { text.replace(char::is_control, " ") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_whatever_its_text() {
        let finding = Finding::warning("clock", "two\r\nlines\u{1b}[2J", "wind\nit");
        assert_eq!(finding.to_string(), "warning  clock          two  lines [2J; remedy: wind it");
        let report = Report { findings: vec![finding.clone(), Finding::skipped("keys", "no idea"), finding] };
        assert_eq!(report.to_string().lines().count(), 3);
        assert!(report.is_ok());
    }

    #[test]
    fn one_failure_is_enough() {
        let mut findings = vec![Finding::ok("a", ""), Finding::warning("b", "", ""), Finding::skipped("c", "")];
        assert!(Report { findings: findings.clone() }.is_ok());
        findings.push(Finding::failed("d", "", ""));
        assert!(!Report { findings }.is_ok());
    }
}
