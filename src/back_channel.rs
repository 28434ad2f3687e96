//! The layer that a provider tells of logouts.

mod notice;
mod places;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use self::notice::Desk;
use crate::body::ResponseBody;
use crate::config::SignIn;
use crate::config_error::ConfigError;
use crate::error::BoxError;
use crate::http_client::BoxFuture;
use crate::route::given;
use crate::service::take_ready;

/// Answers the address at which a provider tells that somebody has signed out there: OpenID Connect Back-Channel Logout. Comes
/// from [`SignIn::back_channel_logout`].
///
/// Sessions must be somewhere where they can be ended: in a [`session_store`](crate::Builder::session_store), where they end at once, or
/// in their cookies with a [`revocation_list`](crate::Builder::revocation_list) beside, by which they end within its bound.
///
/// The provider sends a `POST` with a logout token, from server to server. Once the token is believed, the session that it names
/// ends here, or all of the person's where it names none, at every node. The answer is 200, and also where there was nothing to
/// end; a token that can't be believed, comes a second time, or can't be followed just now is answered with 400, and nothing has
/// ended. Nothing is ever cached.
///
/// Register the address at the provider (`backchannel_logout_uri`): `https://app.example.com/auth/backchannel-logout`, a sibling of
/// the redirect URI unless [`at`](Self::at) moves it. The provider must reach it without cookies, so nothing that guards or limits
/// people may stand outside it, no CSRF layer say. Every other path goes to the inner service untouched.
///
/// It reads a request body, which [`SignInLayer`](crate::SignInLayer) never does: up to 64 KiB, in ten seconds, and of its own path
/// alone. It works inside that layer and outside of it.
///
/// Which session it is, the provider says in `sid` of the ID token; who signed in before this was remembered, or at a provider
/// that gives none, can be named by person alone.
///
/// ```
/// use axum::Router;
/// use tower_signin::{ConfigError, MemoryStore, SignIn};
///
/// # #[cfg(feature = "oidc")]
/// fn app(builder: tower_signin::Builder, router: Router) -> Result<Router, ConfigError> {
///     let sign_in = builder.session_store(MemoryStore::new()).build()?;
///     Ok(router.layer(sign_in.layer()).layer(sign_in.back_channel_logout()?))
/// }
/// ```
#[derive(Clone)]
pub struct BackChannelLogoutLayer {
    sign_in: SignIn,
    path: Arc<str>,
    desk: Arc<Desk>,
}

impl BackChannelLogoutLayer {
    pub(crate) fn new(sign_in: SignIn) -> Result<Self, ConfigError> {
        let inner = &sign_in.0;
        if inner.any_store().is_none() {
            return Err(ConfigError::new(
                "back_channel_logout",
                "sessions are nowhere but in their cookies, where no provider can end them",
                "give the builder a session_store or a revocation_list",
            ));
        }
        if !inner.providers.iter().any(|mounted| mounted.provider.tells_of_logouts()) {
            return Err(ConfigError::new(
                "back_channel_logout",
                "none of the providers tells of logouts",
                "leave the layer out, or sign people in with OpenID Connect",
            ));
        }
        let path = inner.paths.sibling("backchannel-logout");
        let layer = Self { path: path.as_str().into(), desk: Arc::default(), sign_in };
        layer.at(path)
    }

    /// Moves the address to another path of this site.
    ///
    /// # Errors
    ///
    /// Where it is no path below `/`, or one that the [`SignIn`] answers already.
    pub fn at(mut self, path: impl Into<String>) -> Result<Self, ConfigError> {
        const SETTING: &str = "back_channel_logout";
        let path = given(SETTING, path.into())?;
        if self.sign_in.0.paths.all().contains(&path) {
            let problem = format!("{path:?} is an address of sign-in already");
            return Err(ConfigError::new(SETTING, problem, "give it a path of its own"));
        }
        self.path = path.into();
        Ok(self)
    }

    /// The path that it answers.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl<S> Layer<S> for BackChannelLogoutLayer {
    type Service = BackChannelLogoutService<S>;

    fn layer(&self, inner: S) -> BackChannelLogoutService<S> {
        BackChannelLogoutService { layer: self.clone(), inner }
    }
}

impl fmt::Debug for BackChannelLogoutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackChannelLogoutLayer").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A service behind a [`BackChannelLogoutLayer`].
#[derive(Clone, Debug)]
pub struct BackChannelLogoutService<S> {
    layer: BackChannelLogoutLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for BackChannelLogoutService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = BackChannelLogoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let BackChannelLogoutLayer { sign_in, path, desk } = &self.layer;
        if request.uri().path() != &**path {
            return BackChannelLogoutFuture { kind: Kind::Inner { future: self.inner.call(request) } };
        }
        // Whatever poll_ready reserved for this call is given back, since the call won't come.
        drop(take_ready(&mut self.inner));
        let answer = Box::pin(notice::answer(Arc::clone(&sign_in.0), Arc::clone(desk), request));
        BackChannelLogoutFuture { kind: Kind::Own { answer } }
    }
}

pin_project! {
    /// The response of a [`BackChannelLogoutService`].
    pub struct BackChannelLogoutFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Inner { #[pin] future: F },
        Own { answer: BoxFuture<'static, Response<Bytes>> },
    }
}

impl<F, R, E> Future for BackChannelLogoutFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProjection::Inner { future } => {
                ready!(future.poll(cx)).map(|response| response.map(ResponseBody::inner))
            }
            KindProjection::Own { answer } => Ok(ready!(answer.as_mut().poll(cx)).map(ResponseBody::own)),
        })
    }
}

impl<F> fmt::Debug for BackChannelLogoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackChannelLogoutFuture").finish_non_exhaustive()
    }
}
