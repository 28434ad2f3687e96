//! The layer.

use tower_layer::Layer;

use crate::config::SignIn;
use crate::service::SignInService;

/// Answers login, callback and logout, and puts the [`Identity`](crate::Identity) of who is signed in into the
/// extensions of every other request. It guards nothing: that is [`RequireLayer`](crate::RequireLayer)'s.
///
/// Mount it outermost, around everything that should know who is there: it answers paths that a router need not know.
///
/// | in axum | `GET /auth/login` |
/// |---|---|
/// | `Router::new().route(…).layer(sign_in.layer())` | answered |
/// | the layer around the whole router | answered |
/// | `nest_service("/api", layered_router)` | answered, at the path without `/api` |
/// | `.route_layer(…)` | 404: runs for matched routes only |
/// | `.layer(…)` and then `.fallback(…)` | 404: a later fallback is not wrapped |
/// | `nest("/api", router.layer(…))` | 404, unless that router has a fallback of its own inside the layer |
/// | `layered_router.merge(other)` | 404: the other router's fallback wins; `other.merge(layered_router)` works |
/// | on one route: `get(handler).layer(…)` | 404 |
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
