//! The guard.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::caller::is_preflight;
use crate::config::SignIn;
use crate::cookies::Found;
use crate::error::ErrorKind;
use crate::identity::{Identity, Unrecognised};
use crate::refusal::Refusal;
use crate::route::Route;

/// Turns away who is not signed in, or does not pass a predicate, before the inner service sees the request. Comes from
/// [`SignIn::require`] and [`SignIn::require_where`], and believes only what a [`SignInLayer`](crate::SignInLayer) of the
/// same `SignIn` put there.
///
/// Each caller is told in its own language:
///
/// | caller | not signed in | not allowed |
/// |---|---|---|
/// | a person opening a page, `GET` | 303 to sign in, and back to that page | 403, a page that offers another account |
/// | a person with a form, or in a frame | 401, a page with a link to sign in | the same |
/// | a script or another program; WebSocket and other upgrades | 401, `application/problem+json` with `login_url` | 403, the same |
/// | gRPC, gRPC-Web | 200 with `grpc-status: 16` and no body (trailers only) | `grpc-status: 7` |
/// | a CORS preflight, whoever sends it | 204 without CORS headers: put a CORS layer outside this one | the same |
/// | a prefetch or prerender | 503, so that the browser asks again when somebody clicks | the same |
///
/// A page of ours is never shown in a frame, so there the person sees none of it.
///
/// A session cookie that no [`SignInLayer`](crate::SignInLayer) of the same `SignIn` has looked at, or a request for one of
/// its paths, is a mistake in the application: the layer is missing, or stands inside the guard (in axum the last
/// `.layer(…)` is the outermost). It is answered with 500 and `sign_in_layer_missing`.
///
/// tonic wants a name for each service: `use tonic::service::LayerExt`, and
/// `server.add_service(sign_in.require().named_layer(greeter))` guards one.
///
/// ```
/// # fn example(sign_in: tower_signin::SignIn) {
/// # async fn me() {}
/// use axum::{Router, routing::get};
///
/// let app: Router = Router::new()
///     .route("/me", get(me).layer(sign_in.require()))
///     .layer(sign_in.layer());
/// # }
/// ```
#[derive(Clone)]
pub struct RequireLayer {
    sign_in: SignIn,
    predicate: Option<Predicate>,
}

/// Whom the application lets in.
pub(crate) type Predicate = Arc<dyn Fn(&Identity) -> bool + Send + Sync>;

impl RequireLayer {
    pub(crate) fn new(sign_in: SignIn, predicate: Option<Predicate>) -> Self {
        Self { sign_in, predicate }
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = RequireService<S>;

    fn layer(&self, inner: S) -> RequireService<S> {
        RequireService { layer: self.clone(), inner }
    }
}

impl fmt::Debug for RequireLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireLayer").field("sign_in", &self.sign_in).finish_non_exhaustive()
    }
}

/// A service behind a [`RequireLayer`].
#[derive(Clone, Debug)]
pub struct RequireService<S> {
    layer: RequireLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RequireService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = RequireFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let kind = match self.layer.refuse(&request) {
            None => Kind::Inner { future: self.inner.call(request) },
            Some(response) => {
                // Whatever poll_ready reserved for this call is given back, since the call won't come.
                self.inner = self.inner.clone();
                Kind::Refused { response: Some(response) }
            }
        };
        RequireFuture { kind }
    }
}

impl RequireLayer {
    /// The answer to who must not pass.
    fn refuse<B>(&self, request: &Request<B>) -> Option<Response<Bytes>> {
        let inner = &self.sign_in.0;
        let (method, headers) = (request.method(), request.headers());
        let who = request.extensions().get::<Identity>().filter(|identity| identity.owner() == inner.registry.id());
        let is_allowed = |identity: &Identity| self.predicate.as_ref().is_none_or(|predicate| predicate(identity));
        let kind = match who {
            // What a preflight asks about must not run, even where a client sends cookies with it.
            Some(_) if is_preflight(method, headers) => ErrorKind::NotSignedIn,
            Some(identity) if is_allowed(identity) => return None,
            Some(_) => ErrorKind::NotAllowed,
            None => match self.seen(request) {
                Some(seen) if seen.is_unavailable => ErrorKind::SessionUnavailable,
                None if self.is_layer_missing(request) => ErrorKind::LayerMissing,
                _ => ErrorKind::NotSignedIn,
            },
        };
        Some(Refusal::response(Some(inner), kind, who, method, headers))
    }

    /// What the layer left that looked at the session cookie.
    fn seen<B>(&self, request: &Request<B>) -> Option<Unrecognised> {
        let seen = request.extensions().get::<Unrecognised>().copied();
        seen.filter(|seen| seen.owner == self.sign_in.0.registry.id())
    }

    /// A session cookie came, and nobody looked at it; or the address is one that the layer answers.
    fn is_layer_missing<B>(&self, request: &Request<B>) -> bool {
        let inner = &self.sign_in.0;
        inner.paths.route(request.method(), request.uri()) != Route::Other
            || inner.cookies.find(request.headers(), inner.cookies.session_name()) != Found::Nothing
    }
}

pin_project! {
    /// The response of a [`RequireService`].
    pub struct RequireFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Inner { #[pin] future: F },
        Refused { response: Option<Response<Bytes>> },
    }
}

impl<F, R, E> Future for RequireFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Inner { future } => Poll::Ready(Ok(ready!(future.poll(cx))?.map(ResponseBody::inner))),
            KindProjection::Refused { response } => {
                let response = response.take().expect("RequireFuture polled after completion");
                Poll::Ready(Ok(response.map(ResponseBody::own)))
            }
        }
    }
}

impl<F> fmt::Debug for RequireFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFuture").finish_non_exhaustive()
    }
}
