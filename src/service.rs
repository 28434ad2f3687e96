//! The service the layer makes.

use std::mem;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::after::After;
use crate::body::ResponseBody;
use crate::caller::is_page;
use crate::config::SignIn;
use crate::cookies::{Cookies, Found};
use crate::flow::callback::{Callback, callback};
use crate::flow::login::login;
use crate::flow::logout::logout;
use crate::flow::signed_in::SignedIn;
use crate::future::ResponseFuture;
use crate::identity::Identity;
use crate::oauth::token::Tokens;
use crate::respond::without_body_for_head;
use crate::route::Route;
use crate::session::entrance::{Entrance, Told};

/// A service behind a [`SignInLayer`](crate::SignInLayer).
#[derive(Clone, Debug)]
pub struct SignInService<S> {
    sign_in: SignIn,
    inner: S,
}

impl<S> SignInService<S> {
    pub(crate) fn new(sign_in: SignIn, inner: S) -> Self {
        Self { sign_in, inner }
    }
}

impl<S, B, R> Service<Request<B>> for SignInService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> ResponseFuture<S, B> {
        remove_ours(&mut request);
        let inner = &self.sign_in.0;
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        let answer = match inner.paths.route(method, uri) {
            Route::Other => return self.pass_on(request),
            Route::Login => login(inner, method, uri, headers),
            Route::Logout => logout(inner, method, uri, headers),
            Route::Callback => match callback(inner, method, uri, headers) {
                Callback::Answered(answer) => answer,
                Callback::Attempt(waiter, aftermath) => {
                    let is_forward = inner.forward;
                    let ready = self.take_ready();
                    let forward = is_forward.then_some((ready, request));
                    return ResponseFuture::attempt(&self.sign_in, waiter, aftermath, forward);
                }
            },
        };
        let answer = without_body_for_head(method, answer);
        // Whatever poll_ready reserved for this call is given back, since the call won't come. In redirect mode the same
        // happens above.
        drop(self.take_ready());
        ResponseFuture::own(answer)
    }
}

impl<S> SignInService<S> {
    /// The ordinary request: the session is opened, the identity inserted, the inner service called.
    fn pass_on<B, R>(&mut self, mut request: Request<B>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
    {
        let inner = &self.sign_in.0;
        let ours = inner.cookies.scan(request.headers());
        let is_marked = ours.has_other || ours.session.first != Found::Nothing;
        let told = Entrance::of(inner, request.headers(), &ours.session);
        let mut after = After::new(&self.sign_in, ours.session.came());
        if is_marked {
            if inner.hide_cookies {
                inner.cookies.remove_ours(request.headers_mut());
            }
            Cookies::mark_sensitive(request.headers_mut());
        }
        if is_page(request.method(), request.headers()) {
            after.page = request.uri().path_and_query().cloned();
        }
        match told {
            Told::Now(entrance) => {
                after.enter(entrance, &mut request);
                ResponseFuture::inner(self.inner.call(request), after)
            }
            Told::Later(entrance) => ResponseFuture::entering(entrance, self.take_ready(), request, after),
        }
    }

    /// The inner service that was polled ready; a clone that was not takes its place.
    /// See <https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services>.
    fn take_ready(&mut self) -> S
    where
        S: Clone,
    {
        let clone = self.inner.clone();
        mem::replace(&mut self.inner, clone)
    }
}

/// A forwarded request carries our identity or none, whatever stood there before.
fn remove_ours<B>(request: &mut Request<B>) {
    let extensions = request.extensions_mut();
    extensions.remove::<Identity>();
    extensions.remove::<Tokens>();
    extensions.remove::<SignedIn>();
}
