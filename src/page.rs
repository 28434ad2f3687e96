//! The pages that people see when something went wrong, and how an application gives them its own looks.

mod advice;
mod chooser;
mod html;

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;

pub(crate) use self::advice::{Advice, SignOut};
pub use self::advice::{PageAction, PageLink};
pub(crate) use self::chooser::ChooserPage;
pub use self::chooser::{Choice, Chooser};
pub(crate) use self::html::{respond_html, sha256};
use crate::error::{Error, ErrorKind};
use crate::requester::Requester;

/// What a page of the layer says: what happened, what to do, and where to go on. The application may put it into words
/// and looks of its own with [`Builder::pages`](crate::Builder::pages).
///
/// Every text is plain: [`escape`](Self::escape) it, unless your templates do.
pub struct Page<'a> {
    error: &'a Error,
    advice: &'a Advice,
    requester: &'a Requester,
    /// Scheme, host and port of this site.
    origin: &'a str,
    /// Where a form on it may lead, as a content security policy has it.
    form_targets: &'static str,
}

/// The application's own look, boxed once at build.
pub(crate) type Pages = Box<dyn Fn(&Page<'_>) -> String + Send + Sync>;

impl<'a> Page<'a> {
    pub(crate) fn new(error: &'a Error, advice: &'a Advice, requester: &'a Requester) -> Self {
        Self { error, advice, requester, origin: "", form_targets: "'self'" }
    }

    /// For a program, which may run on another site.
    pub(crate) fn with_origin(mut self, origin: &'a str) -> Self {
        self.origin = origin;
        self
    }

    /// Where signing out leads over a provider: a browser applies `form-action` to the redirect behind the form, too.
    pub(crate) fn with_form_targets(mut self, targets: &'static str) -> Self {
        self.form_targets = targets;
        self
    }

    /// What went wrong, as a stable code: `page.kind().code()`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.error.kind().status()
    }

    /// The application's own code, where it refused somebody with one.
    #[must_use]
    pub fn reason(&self) -> Option<&'a str> {
        // What a provider said is for the log.
        self.error.reason().filter(|_| self.kind() == ErrorKind::RefusedByApp)
    }

    /// The heading.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.kind().title()
    }

    /// What happened and what to do, a sentence or two each.
    #[must_use]
    pub fn paragraphs(&self) -> Vec<Cow<'a, str>> {
        let who = self.signed_in_as().map(|subject| match self.signed_in_by() {
            Some(provider) => Cow::Owned(format!("You are signed in as {subject} by {provider}.")),
            None => Cow::Owned(format!("You are signed in as {subject}.")),
        });
        let (cause, remedy) = (self.kind().cause(), self.kind().remedy());
        let words = match &self.advice.remedy {
            Some(advice) => [Some(*advice), Some(cause), self.advice.likely_cause.as_deref()],
            None => [Some(cause), self.advice.likely_cause.as_deref(), Some(remedy)],
        };
        who.into_iter().chain(words.into_iter().flatten().map(Cow::Borrowed)).collect()
    }

    /// The subject of who is signed in, where it matters.
    #[must_use]
    pub fn signed_in_as(&self) -> Option<&'a str> {
        self.advice.signed_in_as.as_deref()
    }

    /// What people call the provider that says who is signed in, where the site has [several](crate::Builder::and).
    #[must_use]
    pub fn signed_in_by(&self) -> Option<&'a str> {
        self.advice.signed_in_by.as_deref()
    }

    /// Where to go on, the most likely first.
    #[must_use]
    pub fn links(&self) -> &'a [PageLink] {
        &self.advice.links
    }

    /// Where a form with a button to sign out posts to, on the one page that needs one (`logout_unconfirmed`):
    /// `<form method="post" action="…"><button>Sign out</button></form>`. A path on this site whose query holds a token that
    /// is good for ten minutes and this session. Where a page of yours leaves it out, people get the default page, since
    /// they could not sign out otherwise.
    #[must_use]
    pub fn sign_out_action(&self) -> Option<&'a str> {
        self.advice.sign_out.as_ref().map(|form| form.action.as_str())
    }

    /// Names this request, here and in the log (field `request_id`): the request's own `x-request-id`, or a random one.
    #[must_use]
    pub fn request_id(&self) -> &'a str {
        self.requester.id()
    }

    /// The request's `Accept-Language`, for pages in several languages. What to say in each is the application's: switch on
    /// [`kind`](Self::kind) and [`PageLink::action`].
    #[must_use]
    pub fn accept_language(&self) -> Option<&'a str> {
        self.requester.accept_language()
    }

    /// Text as it may stand between tags and inside a double-quoted attribute.
    ///
    /// ```
    /// assert_eq!(tower_signin::Page::escape("<b>\"R&D\"</b>"), "&lt;b&gt;&quot;R&amp;D&quot;&lt;/b&gt;");
    /// ```
    #[must_use]
    pub fn escape(text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                // What nobody sees could make a line read as something else.
                other if other.is_control() || is_invisible(other) => escaped.push('\u{fffd}'),
                other => escaped.push(other),
            }
        }
        escaped
    }

    pub(crate) fn error(&self) -> &'a Error {
        self.error
    }

    /// The whole address where signing in starts over.
    pub(crate) fn login_url(&self) -> Option<String> {
        self.advice.login.as_ref().map(|login| format!("{}{login}", self.origin))
    }
}

impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("kind", &self.kind())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

/// Marks of direction, separators of lines, and characters without width.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_sees_is_shown() {
        for hidden in ['\u{7}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{202e}', '\u{2028}', '\u{2066}', '\u{feff}'] {
            assert_eq!(Page::escape(&format!("a{hidden}b")), "a\u{fffd}b", "{hidden:?}");
        }
        assert_eq!(Page::escape("né 日本 🙂"), "né 日本 🙂");
    }
}
