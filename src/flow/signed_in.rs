//! What a callback has just learned.

use std::fmt;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{SHA256, digest};

use crate::identity::Identity;
use crate::oauth::token::Tokens;
use crate::return_to::ReturnTo;

/// A sign-in that has just been completed: handed to the hook, and in forward mode to the handler at the redirect path,
/// in the request's extensions. A cheap clone.
#[derive(Clone)]
pub struct SignedIn {
    facts: Arc<Facts>,
    refusal: Arc<OnceLock<&'static str>>,
}

struct Facts {
    identity: Identity,
    tokens: Option<Tokens>,
    return_to: ReturnTo,
}

impl SignedIn {
    pub(crate) fn new(identity: Identity, tokens: Option<Tokens>, return_to: ReturnTo) -> Self {
        Self { facts: Arc::new(Facts { identity, tokens, return_to }), refusal: Arc::default() }
    }

    /// Who signed in.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.facts.identity
    }

    /// The provider's tokens, if it gave any. Unless [`Builder::keep_tokens`](crate::Builder::keep_tokens) has them kept, this
    /// is the only place they are shown; keep them if you need them.
    #[must_use]
    pub fn tokens(&self) -> Option<&Tokens> {
        self.facts.tokens.as_ref()
    }

    /// Where the person wanted to go: a path on this site.
    #[must_use]
    pub fn return_to(&self) -> &str {
        self.facts.return_to.as_str()
    }

    /// Names this sign-in. Two requests of one browser that carried the same callback (a double click) share it, so a
    /// handler can tell that it was there already.
    #[must_use]
    pub fn id(&self) -> u128 {
        let hash = digest(&SHA256, self.identity().session().id());
        hash.as_ref().first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
    }

    /// No session is made: in forward mode whatever the handler answers, in the hook whatever it returns. The code goes
    /// into the log.
    pub fn refuse(&self, code: &'static str) {
        let _ = self.refusal.set(code);
    }

    pub(crate) fn refusal(&self) -> Option<&'static str> {
        self.refusal.get().copied()
    }

    /// The same facts for another request, whose handler decides for itself.
    pub(crate) fn for_another_request(&self) -> Self {
        Self { facts: Arc::clone(&self.facts), refusal: Arc::default() }
    }
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("identity", self.identity())
            .field("return_to", &self.return_to())
            .finish_non_exhaustive()
    }
}
