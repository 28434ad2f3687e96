//! The response future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::REFERER;
use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::after::After;
use crate::body::ResponseBody;
use crate::config::SignIn;
use crate::cookies::Cookies;
use crate::error::ErrorKind;
use crate::flow::attempt::{Outcome, Waiter};
use crate::flow::callback::Aftermath;
use crate::http_client::BoxFuture;
use crate::oauth::callback::single;
use crate::secret::Text;
use crate::service::Arrived;
use crate::session::entrance::Entrance;
use crate::session::presented::Presented;

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
        Answering { answer: BoxFuture<'static, Response<Bytes>> },
        Presenting { presenting: Option<Box<Presenting<S, B>>> },
        Attempt { attempt: Option<Box<Attempt<S, B>>> },
        Entering { entering: Option<Box<Entering<S, B>>> },
    }
}

/// A request whose session is asked for.
struct Presenting<S, B> {
    sign_in: SignIn,
    presented: BoxFuture<'static, Presented>,
    service: S,
    arrived: Arrived<B>,
}

/// A callback that waits for its attempt.
struct Attempt<S, B> {
    sign_in: SignIn,
    outcome: BoxFuture<'static, Outcome>,
    aftermath: Aftermath,
    /// In forward mode, the readied service and the request it will get.
    forward: Option<(S, Request<B>)>,
}

/// A request that waits to be told as whom it goes on.
struct Entering<S, B> {
    entrance: BoxFuture<'static, Entrance>,
    service: S,
    request: Request<B>,
    after: After,
}

impl<S: Service<Request<B>>, B> ResponseFuture<S, B> {
    pub(crate) fn inner(future: S::Future, after: After) -> Self {
        Self { state: State::Inner { future, after: Some(after) } }
    }

    pub(crate) fn entering(
        entrance: BoxFuture<'static, Entrance>,
        service: S,
        request: Request<B>,
        after: After,
    ) -> Self {
        let entering = Entering { entrance, service, request, after };
        Self { state: State::Entering { entering: Some(Box::new(entering)) } }
    }

    pub(crate) fn presenting(
        sign_in: SignIn,
        presented: BoxFuture<'static, Presented>,
        service: S,
        arrived: Arrived<B>,
    ) -> Self {
        let presenting = Presenting { sign_in, presented, service, arrived };
        Self { state: State::Presenting { presenting: Some(Box::new(presenting)) } }
    }

    pub(crate) fn answering(answer: BoxFuture<'static, Response<Bytes>>) -> Self {
        Self { state: State::Answering { answer } }
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
    S: Service<Request<B>, Response = Response<R>> + Clone,
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
                StateProjection::Answering { answer } => {
                    return Poll::Ready(Ok(ready!(answer.as_mut().poll(cx)).map(ResponseBody::own)));
                }
                StateProjection::Presenting { presenting } => {
                    let waiting = presenting.as_mut().expect("ResponseFuture polled after completion");
                    let presented = ready!(waiting.presented.as_mut().poll(cx));
                    let mut waited = presenting.take().expect("it was there a moment ago");
                    waited.arrived.go_on(&waited.sign_in, &mut waited.service, presented).state
                }
                StateProjection::Attempt { attempt } => {
                    let waiting = attempt.as_mut().expect("ResponseFuture polled after completion");
                    let outcome = ready!(waiting.outcome.as_mut().poll(cx));
                    let attempt = attempt.take().expect("it was there a moment ago");
                    attempt.ended(outcome)
                }
                StateProjection::Entering { entering } => {
                    let waiting = entering.as_mut().expect("ResponseFuture polled after completion");
                    let entrance = ready!(waiting.entrance.as_mut().poll(cx));
                    let mut entering = entering.take().expect("it was there a moment ago");
                    entering.after.enter(entrance, &mut entering.request);
                    let future = entering.service.call(entering.request);
                    State::Inner { future, after: Some(entering.after) }
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
                let Some(handler) = completed.handlers.begin() else {
                    let spent = Arc::new(ErrorKind::StateSpent.into());
                    return State::Own { response: Some(self.aftermath.respond(&Err(spent))) };
                };
                completed.signed_in = completed.signed_in.for_another_request();
                remove_code_and_state(&mut request);
                let settings = &self.sign_in.0;
                if settings.hide_cookies {
                    settings.cookies.remove_ours(request.headers_mut());
                }
                *request.uri_mut() = settings.providers.at(self.aftermath.provider()).uri.clone();
                let extensions = request.extensions_mut();
                extensions.insert(completed.signed_in.identity().clone());
                if let Some(tokens) = completed.signed_in.tokens() {
                    extensions.insert(tokens.clone());
                }
                extensions.insert(completed.signed_in.clone());
                let future = inner.call(request);
                // A fragment is lost here, which only matters to somebody who is turned away at the callback.
                let page = completed.signed_in.return_to().parse().ok();
                let after = After::forwarded(&self.sign_in, page, completed, handler, self.aftermath);
                State::Inner { future, after: Some(after) }
            }
            (outcome, _) => State::Own { response: Some(self.aftermath.respond(&outcome)) },
        }
    }
}

/// Takes code and state out of the headers as well: a provider's page may put its own address into `Referer`, and a proxy
/// ours into a header of its own. Other values of the same header stay.
fn remove_code_and_state<B>(request: &mut Request<B>) {
    let query = request.uri().query().unwrap_or_default();
    let encoded = query.split('&').find_map(|pair| pair.strip_prefix("state=")).map(Text::Borrowed);
    let states: Vec<_> = encoded.into_iter().chain(single(query, "state")).map(Text::into_owned).collect();
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
            // There may be no room for the one name again, where the client made others collide.
            let _ = headers.try_append(&name, value);
        }
    }
    Cookies::mark_sensitive(headers);
}

impl<S: Service<Request<B>>, B> fmt::Debug for ResponseFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::tests::crowd;

    #[test]
    fn names_that_collide_are_no_panic_at_a_forwarded_callback() {
        let mut request = Request::get("/callback?code=c&state=secret").header("x-address", "/?state=secret");
        request = request.header("x-address", "other");
        let mut request = request.body(()).unwrap();
        crowd(request.headers_mut());
        remove_code_and_state(&mut request);
        assert!(!request.headers().contains_key("x-address"), "there is no room for it");
    }
}
