//! The service the layer makes.

use std::mem;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use tower_service::Service;

use crate::after::After;
use crate::body::ResponseBody;
use crate::config::SignIn;
use crate::cookies::{Cookies, Found, Further};
use crate::flow::callback::{Callback, callback};
use crate::flow::front_channel::front_channel;
use crate::flow::login::{Entry, login};
use crate::flow::logout::logout;
use crate::flow::signed_in::SignedIn;
use crate::future::ResponseFuture;
use crate::identity::Identity;
use crate::oauth::token::Tokens;
use crate::respond::without_body_for_head;
use crate::route::Route;
use crate::session::entrance::Entrance;
use crate::session::presented::{Presented, Told};

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
        let route = inner.paths.route(request.method(), request.uri());
        let ours = inner.cookies.scan(request.headers());
        let is_nobody = ours.session.first == Found::Nothing;
        let presented = (!is_nobody || route != Route::Other).then(|| Presented::of(inner, &ours.session));
        let (came, is_marked) = (ours.session.came(), ours.has_other || !is_nobody);
        let arrived = Arrived { route, came, is_marked, request };
        match presented {
            None => {
                // A guard behind a router may see one of our paths, and must be told that the layer has seen the request.
                let may_become_ours = inner.paths.can_be_shortened_to(arrived.request.uri().path());
                let nobody = if may_become_ours { Entrance::Unrecognised { delete: None } } else { Entrance::Nobody };
                arrived.pass_on(&self.sign_in, &mut self.inner, Told::Now(nobody))
            }
            Some(Told::Now(presented)) => arrived.go_on(&self.sign_in, &mut self.inner, presented),
            Some(Told::Later(presented)) => {
                ResponseFuture::presenting(self.sign_in.clone(), presented, take_ready(&mut self.inner), arrived)
            }
        }
    }
}

/// A request, and what a first look has shown.
pub(crate) struct Arrived<B> {
    request: Request<B>,
    route: Route,
    /// The further session cookies that came.
    came: Further,
    /// Whether any cookie of ours came.
    is_marked: bool,
}

impl<B> Arrived<B> {
    /// Goes on once it is told whose session it is.
    pub(crate) fn go_on<S, R>(self, sign_in: &SignIn, service: &mut S, presented: Presented) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
    {
        let inner = &sign_in.0;
        let (method, uri, headers) = (self.request.method(), self.request.uri(), self.request.headers());
        let answer = match self.route {
            Route::Other => {
                let told = Entrance::of(inner, headers, presented);
                return self.pass_on(sign_in, service, told);
            }
            Route::Login(place) => login(inner, method, uri, headers, &presented, Entry::Provider(place)),
            Route::Choose => login(inner, method, uri, headers, &presented, Entry::Choice),
            Route::Logout => logout(inner, method, uri, headers, &presented),
            Route::FrontChannel => front_channel(inner, method, uri, headers, &presented),
            Route::Callback(place) => match callback(inner, method, uri, headers, &presented, place) {
                Callback::Answered(answer) => Told::Now(answer),
                Callback::Attempt(waiter, aftermath) => {
                    let is_forward = inner.forward;
                    let ready = take_ready(service);
                    let forward = is_forward.then_some((ready, self.request));
                    return ResponseFuture::attempt(sign_in, waiter, aftermath, forward);
                }
            },
        };
        // Whatever poll_ready reserved for this call is given back, since the call won't come. In redirect mode the same
        // happens above.
        drop(take_ready(service));
        match answer {
            Told::Now(answer) => ResponseFuture::own(without_body_for_head(method, answer)),
            Told::Later(answer) => ResponseFuture::answering(answer),
        }
    }

    /// The ordinary request: the identity is inserted, the inner service called.
    fn pass_on<S, R>(mut self, sign_in: &SignIn, service: &mut S, told: Told<Entrance>) -> ResponseFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
    {
        let mut after = After::new(sign_in, self.came);
        if self.is_marked {
            if sign_in.0.hide_cookies {
                sign_in.0.cookies.remove_ours(self.request.headers_mut());
            }
            Cookies::mark_sensitive(self.request.headers_mut());
        }
        if self.request.method() == Method::GET {
            after.page = self.request.uri().path_and_query().cloned();
        }
        match told {
            Told::Now(entrance) => {
                after.enter(entrance, &mut self.request);
                ResponseFuture::inner(service.call(self.request), after)
            }
            Told::Later(entrance) => ResponseFuture::entering(entrance, take_ready(service), self.request, after),
        }
    }
}

/// The service that was polled ready; a clone that was not takes its place.
/// See <https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services>.
pub(crate) fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    mem::replace(service, clone)
}

/// A forwarded request carries our identity or none, whatever stood there before.
fn remove_ours<B>(request: &mut Request<B>) {
    let extensions = request.extensions_mut();
    extensions.remove::<Identity>();
    extensions.remove::<Tokens>();
    extensions.remove::<SignedIn>();
}
