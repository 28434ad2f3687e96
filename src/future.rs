//! The response future.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::REFERER;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::config::{Inner, SignIn};
use crate::cookies::{Cookies, Further};
use crate::error::ErrorKind;
use crate::flow::append_cookies;
use crate::flow::attempt::{Completed, Outcome, Waiter};
use crate::flow::callback::Aftermath;
use crate::http_client::BoxFuture;
use crate::identity::Identity;
use crate::oauth::callback::single;
use crate::session::SessionId;
use crate::session::sealed::{renew, set_cookies};
use crate::{refusal, respond};

pin_project! {
    /// The response of a [`SignInService`](crate::SignInService).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        Inner { #[pin] future: S::Future, after: Option<After> },
        Own { response: Option<Response<Bytes>> },
        Attempt { attempt: Option<Box<Attempt<S, B>>> },
    }
}

/// What happens to the inner service's response.
pub(crate) struct After {
    sign_in: SignIn,
    pub(crate) is_signed_in: bool,
    /// What becomes of the session cookies.
    pub(crate) cookie: Option<Change>,
    /// The page that a person asked for, before any router shortened its address. What a guard or an extractor answers
    /// leads back to it.
    pub(crate) page: Option<PathAndQuery>,
    forwarded: Option<Box<Forwarded>>,
}

/// What a response does to the session cookies of its request, further ones that came with it included.
pub(crate) enum Change {
    /// Brings them anew.
    Renew(Identity, Further),
    /// Deletes those of a session of ours that is over.
    Delete(SessionId, Further),
}

/// A callback that the inner service answers.
struct Forwarded {
    completed: Completed,
    aftermath: Aftermath,
}

/// A callback that waits for its attempt.
struct Attempt<S, B> {
    sign_in: SignIn,
    outcome: BoxFuture<'static, Outcome>,
    aftermath: Aftermath,
    /// In forward mode, the readied service and the request it will get.
    forward: Option<(S, Request<B>)>,
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(crate) fn inner(future: S::Future, after: After) -> Self {
        Self { state: State::Inner { future, after: Some(after) } }
    }

    pub(crate) fn own(response: Response<Bytes>) -> Self {
        Self { state: State::Own { response: Some(response) } }
    }

    pub(crate) fn attempt(
        sign_in: &SignIn,
        waiter: Waiter,
        aftermath: Aftermath,
        forward: Option<(S, Request<B>)>,
    ) -> Self {
        let outcome = Box::pin(waiter.outcome());
        let attempt = Attempt { sign_in: sign_in.clone(), outcome, aftermath, forward };
        Self { state: State::Attempt { attempt: Some(Box::new(attempt)) } }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Inner { future, after } => {
                    let mut response = ready!(future.poll(cx))?.map(ResponseBody::inner);
                    if let Some(after) = after.take() {
                        after.apply(&mut response);
                    }
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Own { response } => {
                    let response = response.take().expect("ResponseFuture polled after completion");
                    return Poll::Ready(Ok(response.map(ResponseBody::own)));
                }
                StateProjection::Attempt { attempt } => {
                    let waiting = attempt.as_mut().expect("ResponseFuture polled after completion");
                    let outcome = ready!(waiting.outcome.as_mut().poll(cx));
                    let attempt = attempt.take().expect("it was there a moment ago");
                    attempt.ended(outcome)
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> Attempt<S, B>
where
    S: Service<Request<B>>,
{
    fn ended(self, outcome: Outcome) -> State<S, B> {
        match (outcome, self.forward) {
            (Ok(mut completed), Some((mut inner, mut request))) => {
                completed.signed_in = completed.signed_in.for_another_request();
                remove_code_and_state(&mut request);
                *request.uri_mut() = self.sign_in.0.redirect.uri.clone();
                let extensions = request.extensions_mut();
                extensions.insert(completed.signed_in.identity().clone());
                if let Some(tokens) = completed.signed_in.tokens() {
                    extensions.insert(tokens.clone());
                }
                extensions.insert(completed.signed_in.clone());
                let future = inner.call(request);
                // A fragment is lost here, which only matters to somebody who is turned away at the callback.
                let page = completed.signed_in.return_to().parse().ok();
                let forwarded = Some(Box::new(Forwarded { completed, aftermath: self.aftermath }));
                State::Inner { future, after: Some(After { page, forwarded, ..After::new(&self.sign_in) }) }
            }
            (outcome, _) => State::Own { response: Some(self.aftermath.respond(&outcome)) },
        }
    }
}

/// Takes code and state out of the headers as well: a provider's page may put its own address into `Referer`, and a proxy
/// ours into a header of its own. Other values of the same header stay.
fn remove_code_and_state<B>(request: &mut Request<B>) {
    let query = request.uri().query().unwrap_or_default();
    let encoded = query.split('&').find_map(|pair| pair.strip_prefix("state=")).map(str::to_owned);
    let states: Vec<_> = encoded.into_iter().chain(single(query, "state").map(Cow::into_owned)).collect();
    let tells = |value: &HeaderValue| {
        states.iter().any(|state| value.as_bytes().windows(state.len().max(1)).any(|part| part == state.as_bytes()))
    };
    let headers = request.headers_mut();
    headers.remove(REFERER);
    let names: Vec<_> = headers.keys().filter(|name| headers.get_all(*name).iter().any(tells)).cloned().collect();
    for name in names {
        let rest: Vec<_> = headers.get_all(&name).iter().filter(|value| !tells(value)).cloned().collect();
        headers.remove(&name);
        for value in rest {
            headers.append(&name, value);
        }
    }
    Cookies::mark_sensitive(headers);
}

impl After {
    pub(crate) fn new(sign_in: &SignIn) -> Self {
        Self { sign_in: sign_in.clone(), is_signed_in: false, cookie: None, page: None, forwarded: None }
    }

    fn apply<R>(self, response: &mut Response<ResponseBody<R>>) {
        refusal::finish(&self.sign_in.0, self.page.as_ref(), self.forwarded.is_some(), response);
        let headers = response.headers_mut();
        if self.is_signed_in {
            respond::keep_out_of_shared_caches(headers);
        }
        if let Some(change) = self.cookie
            && respond::make_private(headers)
        {
            append_cookies(headers, change.cookies(&self.sign_in.0));
        }
        if let Some(forwarded) = self.forwarded {
            forwarded.apply(response);
        }
    }
}

impl Change {
    /// Nothing where the session has ended while the response was made: the cookie that the browser holds by now may be
    /// another one.
    fn cookies(self, inner: &Inner) -> Vec<HeaderValue> {
        let id = match &self {
            Self::Renew(identity, _) => identity.session().id(),
            Self::Delete(id, _) => id,
        };
        if inner.registry.has_ended(id) {
            return Vec::new();
        }
        match self {
            Self::Delete(_, came) => inner.cookies.expire_session(came).collect(),
            Self::Renew(identity, came) => {
                let session = renew(inner, identity.session());
                inner.registry.renewed(&session);
                let mut cookies = set_cookies(inner, &session).unwrap_or_default();
                if !cookies.is_empty() {
                    cookies.extend(inner.cookies.expire_further(came, cookies.len()));
                }
                cookies
            }
        }
    }
}

impl Forwarded {
    fn apply<R>(self, response: &mut Response<R>) {
        let (refusal, status) = (self.completed.signed_in.refusal(), response.status().as_u16());
        let is_success = refusal.is_none() && status < 400;
        let request_id = self.aftermath.request_id();
        if let Some(reason) = refusal {
            tracing::info!(code = ErrorKind::RefusedByApp.code(), request_id, reason, "sign-in refused");
            response.extensions_mut().insert(ErrorKind::RefusedByApp);
        } else if is_success {
            tracing::info!(request_id, "signed in");
        } else if status < 500 {
            tracing::info!(request_id, status, "not signed in: the handler of the callback refused");
        } else {
            tracing::warn!(request_id, status, "not signed in: the handler of the callback failed");
        }
        let headers = response.headers_mut();
        respond::keep_private(headers);
        self.aftermath.set_cookies(headers, is_success.then_some(&self.completed));
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
