//! The layer.

use tower_layer::Layer;

use crate::config::SignIn;
use crate::service::SignInService;

/// Answers login, callback and logout, and puts the [`Identity`](crate::Identity) of who is signed in into the
/// extensions of every other request. It guards nothing: that is [`RequireLayer`](crate::RequireLayer)'s.
///
/// Mount it outermost, around everything that should know who is there. The README has the
/// table of how axum routes around a layer that is mounted elsewhere.
///
/// ```
/// use tower_layer::Layer;
/// # fn example(sign_in: tower_signin::SignIn) {
/// # let service = ();
/// let service = sign_in.layer().layer(service);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SignInLayer {
    sign_in: SignIn,
}

impl SignInLayer {
    pub(crate) fn new(sign_in: SignIn) -> Self {
        Self { sign_in }
    }
}

impl<S> Layer<S> for SignInLayer {
    type Service = SignInService<S>;

    fn layer(&self, inner: S) -> SignInService<S> {
        SignInService::new(self.sign_in.clone(), inner)
    }
}
