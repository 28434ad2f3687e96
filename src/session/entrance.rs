//! As whom a request is let in: told at once where its cookies say all, later where somebody has to be asked.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::timeout;

use super::presented::{Current, Presented, Told};
use super::refresh::{Outcome, Refreshes};
use super::registry::SessionEnd;
use super::tokens::{self, KeptTokens};
use super::{Session, SessionId};
use crate::clock::unix_seconds;
use crate::config::Inner;

/// As whom.
pub(crate) enum Entrance {
    /// Nobody, and nobody was claimed.
    Nobody,
    /// Nobody: what came does not count. Where that is proven it is deleted.
    Unrecognised { delete: Option<Deletion> },
    /// Perhaps somebody: what the session depends on did not answer.
    Unavailable,
    /// Somebody.
    SignedIn(Current, Option<CarriedTokens>),
}

/// Deletes cookies of ours. It can wait: by the time of the response the browser may hold others.
pub(crate) struct Deletion {
    /// How many had signed in when the request came.
    sign_ins: u64,
    /// The session that the provider has ended, if that is why.
    session: Option<SessionId>,
}

impl Deletion {
    /// For a request that has come just now.
    pub(crate) fn begin(inner: &Inner) -> Self {
        Self { sign_ins: inner.registry.sign_ins(), session: None }
    }

    pub(crate) fn is_safe(&self, inner: &Inner) -> bool {
        self.sign_ins == inner.registry.sign_ins() && self.session.is_none_or(|id| inner.registry.may_delete(&id))
    }
}

/// The tokens of who is let in.
pub(crate) struct CarriedTokens {
    pub(crate) tokens: Arc<KeptTokens>,
    /// Newer than the request's cookie.
    pub(crate) is_fresh: bool,
}

/// How long a request waits for newer tokens while those it has are still good.
const PATIENCE: Duration = Duration::from_secs(2);

impl Entrance {
    /// Looks for the tokens of what the request's cookies brought.
    pub(crate) fn of(inner: &Arc<Inner>, headers: &HeaderMap, presented: Presented) -> Told<Self> {
        let current = match presented {
            Presented::Nothing => return Told::Now(Self::Nobody),
            Presented::Refused { delete } => return Told::Now(Self::Unrecognised { delete }),
            Presented::Unavailable(_) => return Told::Now(Self::Unavailable),
            Presented::Session(current) => current,
        };
        let kept = match tokens::present(inner, headers, &current.session) {
            tokens::Presented::None => return Told::Now(Self::SignedIn(current, None)),
            tokens::Presented::Missing => return Told::Now(Self::Unrecognised { delete: None }),
            tokens::Presented::Tokens(kept) => Arc::new(kept),
        };
        let now = unix_seconds(inner.clock.now());
        if kept.is_refresh_due(now) {
            let sign_ins = inner.registry.sign_ins();
            return Told::Later(Box::pin(with_newest_tokens(Arc::clone(inner), current, kept, sign_ins)));
        }
        // What can't be refreshed and has ended is of no use, where the session outlives it.
        let carried = Some(CarriedTokens { tokens: kept, is_fresh: false }).filter(|it| !it.tokens.have_ended(now));
        Told::Now(Self::SignedIn(current, carried))
    }
}

async fn with_newest_tokens(inner: Arc<Inner>, current: Current, held: Arc<KeptTokens>, sign_ins: u64) -> Entrance {
    let subject = current.session.subject().to_owned();
    let newest = Refreshes::newest(Arc::clone(&inner), Arc::clone(&held), subject);
    let outcome = if held.have_ended(unix_seconds(inner.clock.now())) {
        newest.await
    } else {
        // What comes later than this is there for the next request.
        timeout(PATIENCE, newest).await.unwrap_or(Outcome::Unreachable)
    };
    match outcome {
        // Signed out or replaced meanwhile: whoever did so has seen to the tokens and the cookies.
        _ if matches!(
            inner.registry.end_of(current.session.id()),
            Some(SessionEnd::SignedOut | SessionEnd::Replaced)
        ) =>
        {
            Entrance::Unrecognised { delete: None }
        }
        Outcome::Fresh(tokens) => Entrance::SignedIn(current, Some(CarriedTokens { tokens, is_fresh: true })),
        Outcome::Superseded => {
            tracing::info!(session = %current.session.log_id(), "a request came with tokens that newer ones have replaced");
            Entrance::Unrecognised { delete: None }
        }
        Outcome::Refused => {
            Entrance::Unrecognised { delete: Some(Deletion { sign_ins, session: Some(*current.session.id()) }) }
        }
        Outcome::Unreachable if !held.have_ended(unix_seconds(inner.clock.now())) => {
            Entrance::SignedIn(current, Some(CarriedTokens { tokens: held, is_fresh: false }))
        }
        Outcome::Unreachable if inner.lifetimes.outlive_tokens => Entrance::SignedIn(current, None),
        Outcome::Unreachable => Entrance::Unavailable,
    }
}

/// Whether pages recognise a session that opens: they don't without its tokens, nor once the provider has refused them.
pub(crate) fn is_recognised(inner: &Inner, headers: &HeaderMap, session: &Session) -> bool {
    let is_whole = match tokens::present(inner, headers, session) {
        tokens::Presented::None => true,
        tokens::Presented::Missing => false,
        tokens::Presented::Tokens(held) => !inner.refreshes.is_superseded(&held),
    };
    is_whole && inner.registry.end_of(session.id()) != Some(SessionEnd::Revoked)
}
