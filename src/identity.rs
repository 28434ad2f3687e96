//! Who is signed in.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::clock::from_unix_seconds;
use crate::session::Session;
use crate::session::registry::{Registry, SessionEnd};
use crate::session::store::SessionKey;

/// The person a request comes from, in the request's extensions.
///
/// A person is known by [`issuer`](Self::issuer) and [`subject`](Self::subject) together. Only [`SignInLayer`] makes
/// an `Identity`, and only from a session it sealed itself or a sign-in it has just completed.
///
/// ```
/// use tower_signin::Identity;
///
/// fn greet<B>(request: &http::Request<B>) -> String {
///     match request.extensions().get::<Identity>() {
///         Some(identity) => format!("hello {}", identity.subject()),
///         None => "hello stranger".to_owned(),
///     }
/// }
/// assert_eq!(greet(&http::Request::new(())), "hello stranger");
/// ```
///
/// [`SignInLayer`]: crate::SignInLayer
#[derive(Clone)]
pub struct Identity(Arc<Known>);

#[derive(Clone)]
struct Known {
    session: Session,
    ends_at: u64,
    /// Of the [`SignIn`](crate::SignIn) that put it there; a guard believes only its own.
    registry: Arc<Registry>,
    /// What the store knows the session by.
    key: Option<SessionKey>,
}

impl Identity {
    /// `ends_at` is the session's own end, or an earlier one.
    pub(crate) fn new(session: Session, ends_at: u64, registry: &Arc<Registry>, key: Option<SessionKey>) -> Self {
        Self(Arc::new(Known { session, ends_at, registry: Arc::clone(registry), key }))
    }

    #[cfg(test)]
    pub(crate) fn for_test(session: Session) -> Self {
        let registry = Registry::new(Arc::new(crate::clock::SystemClock), None, None);
        let ends_at = session.ends_at();
        Self::new(session, ends_at, &Arc::new(registry), None)
    }

    /// Who vouches for the person: `https://bitbadges.io` for BitBadges.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.0.session.issuer()
    }

    /// The person's name at the issuer, unique there and never reused: the `bb1…` address for BitBadges.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.0.session.subject()
    }

    /// What the provider said of the person, read into a type of yours; for BitBadges that is
    /// [`siwbb::Account`](crate::siwbb::Account).
    ///
    /// # Errors
    ///
    /// When the claims don't fit the type.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.session.claims())
    }

    /// What the sign-in hook attached, or `None` if it attached nothing that fits the type. Sessions outlive a deployment,
    /// so a type that changes should still read what the old one wrote.
    ///
    /// ```
    /// # fn example(identity: &tower_signin::Identity) {
    /// let user_id: Option<i64> = identity.data();
    /// # }
    /// ```
    #[must_use]
    pub fn data<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.0.session.data()).ok()
    }

    /// When the person signed in.
    #[must_use]
    pub fn authenticated_at(&self) -> SystemTime {
        from_unix_seconds(self.0.session.authenticated_at())
    }

    /// When the session ends unless it is ended or renewed before.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        from_unix_seconds(self.0.ends_at)
    }

    /// Waits until the session is over, for what outlives its request: a WebSocket, a stream of events, a gRPC stream.
    ///
    /// It ends when its time is up; with an idle timeout, other requests of the same session put that off. It ends at once where
    /// this process ends the session: the person signs out, or in anew in the same browser, the provider stands by it no longer, the
    /// application [ends](crate::SignIn::end_sessions_of) it.
    ///
    /// Of what another process ends, it hears
    ///
    /// * nothing, while sessions live in their cookies alone; nor of renewals there, with an idle timeout;
    /// * within the [bound](crate::Builder::revocation_bound) of a [revocation list](crate::Builder::revocation_list), while that can be
    ///   read;
    /// * within a minute, where the session is in a [store](crate::Builder::session_store), which is asked each minute. Renewals at
    ///   other processes count as well.
    ///
    /// Call it once, in the handler and before it answers, and keep what it gives: renewals count from the call on, and the
    /// request of a stream may be the one that renews.
    ///
    /// ```
    /// # async fn example(identity: tower_signin::Identity, mut messages: tokio::sync::mpsc::Receiver<String>) {
    /// let ended = identity.ended();
    /// tokio::pin!(ended);
    /// loop {
    ///     tokio::select! {
    ///         reason = &mut ended => {
    ///             println!("closing: {}", reason.code());
    ///             break;
    ///         }
    ///         message = messages.recv() => {
    ///             // serve it
    /// #           if message.is_none() { break }
    ///         }
    ///     }
    /// }
    /// # }
    /// ```
    pub fn ended(&self) -> impl Future<Output = SessionEnd> + Send + use<> {
        let (session, registry) = (self.session(), Arc::clone(&self.0.registry));
        let watch = registry.revocations().filter(|_| self.0.key.is_none()).map(|list| list.watch(session));
        registry.ended(*session.id(), self.0.ends_at, session.absolute_end(), self.0.key, watch)
    }

    /// The provider stood by the person at this time.
    pub(crate) fn set_checked(&mut self, at: u64) {
        Arc::make_mut(&mut self.0).session.set_checked(at);
    }

    pub(crate) fn key(&self) -> Option<&SessionKey> {
        self.0.key.as_ref()
    }

    pub(crate) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(crate) fn owner(&self) -> u64 {
        self.0.registry.id()
    }
}

/// Left in the extensions where a session cookie came but nobody is signed in by it, so that a guard can tell this from a
/// layer that is missing. Says which [`SignIn`](crate::SignIn) looked.
#[derive(Clone, Copy)]
pub(crate) struct Unrecognised {
    pub(crate) owner: u64,
    /// What the session depends on did not answer: perhaps somebody is signed in.
    pub(crate) is_unavailable: bool,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
