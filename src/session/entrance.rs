//! As whom a request is let in: told at once where its cookies say all, later where somebody has to be asked.

use std::sync::Arc;

use http::HeaderMap;

use super::SessionId;
use super::calls::patiently;
use super::presented::{Current, Presented, Told};
use super::recheck::{Due, Rechecks, Rules, Verdict};
use super::refresh::{Outcome, Owner, Refreshes};
use super::registry::SessionEnd;
use super::tokens::{self, KeptTokens};
use crate::clock::unix_seconds;
use crate::config::Inner;

/// As whom.
pub(crate) enum Entrance {
    /// Nobody, and nobody was claimed.
    Nobody,
    /// Nobody: what came does not count. Where that is proven it is deleted.
    Unrecognised { delete: Option<Deletion> },
    /// Perhaps somebody: what the session depends on did not answer. Newer tokens go to the browser all the same.
    Unavailable(Option<FreshTokens>),
    /// Somebody.
    SignedIn(Current, Option<CarriedTokens>),
}

/// Deletes cookies of ours. It can wait: by the time of the response the browser may hold others.
pub(crate) struct Deletion {
    /// How many had signed in when the request came.
    sign_ins: u64,
    /// The session that was ended, but not by this browser, if that is why.
    session: Option<SessionId>,
    /// Whether a session's time is up, if that is why.
    pub(crate) is_over: bool,
}

impl Deletion {
    /// For a request that has come just now.
    pub(crate) fn begin(inner: &Inner, is_over: bool) -> Self {
        Self { sign_ins: inner.registry.sign_ins(), session: None, is_over }
    }

    /// Of a session that was ended, though not in this browser.
    pub(crate) fn of_ended(session: SessionId, sign_ins: u64) -> Self {
        Self { sign_ins, session: Some(session), is_over: false }
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

/// Tokens that the browser does not have yet.
pub(crate) struct FreshTokens {
    pub(crate) tokens: Arc<KeptTokens>,
    /// The latest end of their session.
    pub(crate) session_ends_at: u64,
}

impl CarriedTokens {
    /// Those that go into a cookie. In the store they are already.
    pub(crate) fn fresh(self, current: &Current) -> Option<FreshTokens> {
        let is_for_cookie = self.is_fresh && current.stored.is_none();
        is_for_cookie.then(|| FreshTokens { tokens: self.tokens, session_ends_at: current.session().absolute_end() })
    }
}

impl Entrance {
    /// Looks for the tokens of what the request's cookies brought.
    pub(crate) fn of(inner: &Arc<Inner>, headers: &HeaderMap, presented: Presented) -> Told<Self> {
        let current = match presented {
            Presented::Nothing => return Told::Now(Self::Nobody),
            Presented::Refused { delete, .. } => return Told::Now(Self::Unrecognised { delete }),
            Presented::Unavailable(_) => return Told::Now(Self::Unavailable(None)),
            Presented::Session(current) => current,
        };
        let kept = match tokens::present(inner, headers, &current) {
            tokens::Presented::None => return Self::checked(inner, current, None, false),
            tokens::Presented::Missing => return Told::Now(Self::Unrecognised { delete: None }),
            tokens::Presented::Tokens(kept) => kept,
        };
        let now = unix_seconds(inner.clock.now());
        if kept.is_refresh_due(now) {
            let inner = Arc::clone(inner);
            return Told::Later(Box::pin(async move {
                match with_newest_tokens(Arc::clone(&inner), current, kept).await {
                    Self::SignedIn(current, carried) => {
                        let is_unrefreshed = !carried.as_ref().is_some_and(|carried| carried.is_fresh);
                        match Self::checked(&inner, current, carried, is_unrefreshed) {
                            Told::Now(entrance) => entrance,
                            Told::Later(entrance) => entrance.await,
                        }
                    }
                    entrance => entrance,
                }
            }));
        }
        // What can't be refreshed and has ended is of no use, where the session outlives it.
        let carried = Some(CarriedTokens { tokens: kept, is_fresh: false }).filter(|it| !it.tokens.have_ended(now));
        Self::checked(inner, current, carried, false)
    }

    /// Has the provider asked again where that is due.
    fn checked(
        inner: &Arc<Inner>,
        mut current: Current,
        carried: Option<CarriedTokens>,
        is_unrefreshed: bool,
    ) -> Told<Self> {
        let Some(rules) = inner.recheck else { return Told::Now(Self::SignedIn(current, carried)) };
        let now = unix_seconds(inner.clock.now());
        if !rules.is_due(current.session().checked_at(), now) {
            return Told::Now(Self::SignedIn(current, carried));
        }
        let passed_at = inner.rechecks.passed_at(current.session(), now);
        if !rules.is_due(passed_at, now) {
            current.check_passed(passed_at);
            return Told::Now(Self::SignedIn(current, carried));
        }
        Told::Later(Box::pin(after_check(Arc::clone(inner), rules, current, carried, is_unrefreshed)))
    }
}

async fn after_check(
    inner: Arc<Inner>,
    rules: Rules,
    mut current: Current,
    carried: Option<CarriedTokens>,
    is_unrefreshed: bool,
) -> Entrance {
    let passed_at = inner.rechecks.passed_at(current.session(), unix_seconds(inner.clock.now()));
    let tokens = carried.as_ref().map(|carried| Arc::clone(&carried.tokens));
    let due = Due { identity: current.identity.clone(), tokens, is_unrefreshed, stored: current.stored };
    let verdict = Rechecks::check(Arc::clone(&inner), rules, due);
    let verdict = if rules.allow_unchecked(passed_at, unix_seconds(inner.clock.now())) {
        patiently(verdict).await.unwrap_or(Verdict::Unknown(passed_at))
    } else {
        verdict.await
    };
    if is_over(&inner, &current) {
        return Entrance::Unrecognised { delete: None };
    }
    match verdict {
        Verdict::Passed(at) => {
            current.check_passed(at);
            Entrance::SignedIn(current, carried)
        }
        Verdict::Ended => ended_elsewhere(&current),
        Verdict::Unknown(passed_at) if rules.allow_unchecked(passed_at, unix_seconds(inner.clock.now())) => {
            Entrance::SignedIn(current, carried)
        }
        Verdict::Unknown(_) => Entrance::Unavailable(carried.and_then(|carried| carried.fresh(&current))),
    }
}

/// Signed out or replaced meanwhile: whoever did so has seen to the tokens and the cookies.
fn is_over(inner: &Inner, current: &Current) -> bool {
    matches!(inner.registry.end_of(current.session().id()), Some(SessionEnd::SignedOut | SessionEnd::Replaced))
}

fn ended_elsewhere(current: &Current) -> Entrance {
    Entrance::Unrecognised { delete: Some(Deletion::of_ended(*current.session().id(), current.sign_ins)) }
}

async fn with_newest_tokens(inner: Arc<Inner>, current: Current, held: Arc<KeptTokens>) -> Entrance {
    let session = current.session();
    let of =
        Owner { issuer: session.issuer().to_owned(), subject: session.subject().to_owned(), stored: current.stored };
    let newest = Refreshes::newest(Arc::clone(&inner), Arc::clone(&held), of);
    let outcome = if held.have_ended(unix_seconds(inner.clock.now())) {
        newest.await
    } else {
        // What comes later than this is there for the next request.
        patiently(newest).await.unwrap_or(Outcome::Unreachable)
    };
    match outcome {
        _ if is_over(&inner, &current) => Entrance::Unrecognised { delete: None },
        Outcome::Fresh(tokens) => Entrance::SignedIn(current, Some(CarriedTokens { tokens, is_fresh: true })),
        Outcome::Superseded => {
            tracing::info!(session = %current.session().log_id(), "a request came with tokens that newer ones have replaced");
            Entrance::Unrecognised { delete: None }
        }
        Outcome::Refused | Outcome::Gone => ended_elsewhere(&current),
        Outcome::Unreachable if !held.have_ended(unix_seconds(inner.clock.now())) => {
            Entrance::SignedIn(current, Some(CarriedTokens { tokens: held, is_fresh: false }))
        }
        Outcome::Unreachable if inner.lifetimes.outlive_tokens => Entrance::SignedIn(current, None),
        Outcome::Unreachable => Entrance::Unavailable(None),
    }
}

/// Whether pages recognise a session that opens: they don't without its tokens, nor once the provider has refused them.
pub(crate) fn is_recognised(inner: &Inner, headers: &HeaderMap, current: &Current) -> bool {
    let is_whole = match tokens::present(inner, headers, current) {
        tokens::Presented::None => true,
        tokens::Presented::Missing => false,
        tokens::Presented::Tokens(held) => !inner.refreshes.is_superseded(&held),
    };
    is_whole && inner.registry.end_of(current.session().id()) != Some(SessionEnd::Revoked)
}
