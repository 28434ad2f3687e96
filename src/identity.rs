//! Who is signed in.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::clock::from_unix_seconds;
use crate::session::Session;

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

struct Known {
    session: Session,
    /// Which [`SignIn`](crate::SignIn) put it there; a guard believes only its own.
    owner: u64,
}

impl Identity {
    pub(crate) fn new(session: Session, owner: u64) -> Self {
        Self(Arc::new(Known { session, owner }))
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

    /// When the session ends unless it is ended before.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        from_unix_seconds(self.0.session.ends_at())
    }

    pub(crate) fn session(&self) -> &Session {
        &self.0.session
    }

    pub(crate) fn owner(&self) -> u64 {
        self.0.owner
    }
}

/// Left in the extensions where a session cookie came but nobody is signed in by it, so that a guard can tell this from a
/// layer that is missing. Says which [`SignIn`](crate::SignIn) looked.
#[derive(Clone, Copy)]
pub(crate) struct Unrecognised(pub(crate) u64);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}
