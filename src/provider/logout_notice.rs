//! What a provider tells of a session that it has ended.

use std::fmt;
use std::time::SystemTime;

/// What a logout token says, once it is believed: whose session the provider has ended, or which. `Debug` shows neither the
/// session nor the token.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_signin::LogoutNotice;
///
/// let notice = LogoutNotice::new("the token's jti", SystemTime::now() + Duration::from_secs(120))
///     .with_subject("alice")
///     .with_session_id("the provider's sid");
/// assert_eq!(notice.subject(), Some("alice"));
/// ```
#[derive(Clone)]
pub struct LogoutNotice {
    token_id: String,
    acceptable_until: SystemTime,
    subject: Option<String>,
    session_id: Option<String>,
}

impl LogoutNotice {
    /// A notice that came in a token with this id, which may be believed until then. Until then the layer remembers the id, so
    /// that a token counts once. It needs a subject, a session id, or both.
    #[must_use]
    pub fn new(token_id: impl Into<String>, acceptable_until: SystemTime) -> Self {
        Self { token_id: token_id.into(), acceptable_until, subject: None, session_id: None }
    }

    /// Whose session it was: all of the person's sessions end, where no session id says which.
    #[must_use]
    pub fn with_subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Which of the provider's sessions it was, as [`Grant::with_session_id`](crate::Grant::with_session_id) named it: what began
    /// in that ends, and nothing else.
    #[must_use]
    pub fn with_session_id(mut self, session_id: impl Into<String>) -> Self {
        self.session_id = Some(session_id.into());
        self
    }

    /// The id of the token: `jti`.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.token_id
    }

    /// From when on the token would be refused for its age.
    #[must_use]
    pub fn acceptable_until(&self) -> SystemTime {
        self.acceptable_until
    }

    /// Whose session it was, if the token says so.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// Which session it was, if the token says so.
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }
}

impl fmt::Debug for LogoutNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogoutNotice")
            .field("subject", &self.subject)
            .field("acceptable_until", &self.acceptable_until)
            .finish_non_exhaustive()
    }
}
