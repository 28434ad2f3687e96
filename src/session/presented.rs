//! What the session cookies of a request come to, at once or once the store has answered.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::entrance::Deletion;
use super::sealed::{self, Opened};
use super::stored::{self, StoredId};
use super::tokens::KeptTokens;
use super::{Session, SessionId, revocations};
use crate::config::Inner;
use crate::cookies::SessionCookies;
use crate::http_client::BoxFuture;
use crate::identity::Identity;

/// What the request's session cookies say.
pub(crate) enum Presented {
    /// There is none.
    Nothing,
    /// A session that holds.
    Session(Current),
    /// One that does not count. It is deleted only where it is proven to be ours and over, or forged under a key of ours.
    Refused {
        delete: Option<Deletion>,
        /// Where a cookie that opened says that it is in the store, for whoever signs out of it all the same.
        stored: Option<StoredId>,
    },
    /// Perhaps one that holds: what would tell did not answer.
    Unavailable(Untold),
}

/// What can't be told at the moment.
pub(crate) enum Untold {
    /// A session in the store.
    Stored(StoredId),
    /// Whether a session that its cookie holds has been revoked.
    Sealed(Current),
}

/// A session that holds, as it was brought or found.
pub(crate) struct Current {
    /// Who, and until when: its own end, or an earlier one that the settings ask for by now.
    pub(crate) identity: Identity,
    /// Whether a response should bring its cookie anew: it was used, or a newer key is there.
    pub(crate) is_renewal_due: bool,
    /// Where it is in the store.
    pub(crate) stored: Option<StoredId>,
    /// Those that are kept with it there.
    pub(crate) tokens: Option<Arc<KeptTokens>>,
    /// How many had signed in when the request came.
    pub(crate) sign_ins: u64,
}

impl Current {
    pub(crate) fn session(&self) -> &Session {
        self.identity.session()
    }

    /// The provider stood by it at this time, which its cookie does not say yet. In a store its record does.
    pub(crate) fn check_passed(&mut self, at: u64) {
        self.identity.set_checked(at);
        self.is_renewal_due |= self.stored.is_none();
    }
}

impl Presented {
    /// Opens what the cookies hold. What a store or a list has to tell is told later, unless it answers at once.
    pub(crate) fn of(inner: &Arc<Inner>, cookies: &SessionCookies<'_>) -> Told<Self> {
        match sealed::open(inner, cookies) {
            Opened::Here(Self::Session(current)) => match &inner.revocations {
                Some(list) => revocations::present(inner, list, current),
                None => Told::Now(Self::Session(current)),
            },
            Opened::Here(presented) => Told::Now(presented),
            Opened::Stored { id, is_outdated } => {
                Told::poll(Box::pin(stored::load(Arc::clone(inner), id, is_outdated)))
            }
        }
    }

    pub(crate) fn current(&self) -> Option<&Current> {
        match self {
            Self::Session(current) => Some(current),
            Self::Nothing | Self::Refused { .. } | Self::Unavailable(_) => None,
        }
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        self.current().map(Current::session)
    }

    /// One that is there, or whose cookie opened though nobody can tell whether it still counts: enough to sign out of it.
    pub(crate) fn opened(&self) -> Option<&Current> {
        match self {
            Self::Unavailable(Untold::Sealed(current)) => Some(current),
            _ => self.current(),
        }
    }

    /// The id of a session that is there, or would be if that could be told.
    pub(crate) fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Unavailable(Untold::Stored(stored)) => Some(stored.session_id()),
            _ => self.opened().map(|current| *current.session().id()),
        }
    }

    pub(crate) fn stored(&self) -> Option<StoredId> {
        match self {
            Self::Session(current) => current.stored,
            Self::Unavailable(Untold::Stored(stored)) => Some(*stored),
            Self::Refused { stored, .. } => *stored,
            Self::Nothing | Self::Unavailable(Untold::Sealed(_)) => None,
        }
    }
}

/// When it is told.
pub(crate) enum Told<T> {
    Now(T),
    Later(BoxFuture<'static, T>),
}

impl<T> Told<T> {
    /// Asks once, so that nobody waits for what is there. The future is told who waits when it is polled again.
    pub(crate) fn poll(mut future: BoxFuture<'static, T>) -> Self {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(told) => Self::Now(told),
            Poll::Pending => Self::Later(future),
        }
    }
}
