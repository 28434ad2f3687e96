//! The way back from the provider: every check that can be made before anything goes to the network.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};

use super::attempt::{Attempts, Completed, Outcome, Ticket, Waiter, fingerprint, hash};
use super::{Flow, append_cookies, expire_dead_flows, failure, log, login_link, refuse_method_or_prefetch};
use crate::config::Inner;
use crate::cookies::{Found, find};
use crate::error::{Error, ErrorKind};
use crate::oauth::callback::{CallbackQuery, CallbackResult, ValidatedCode};
use crate::oauth::pkce;
use crate::oauth::state::PresentedState;
use crate::respond::{self, Advice, Audience, Link};
use crate::return_to::ReturnTo;
use crate::session::sealed::{Presented, present};

/// What a callback comes to.
pub(crate) enum Callback {
    /// It is answered.
    Answered(Response<Bytes>),
    /// Its state has passed, and the attempt runs.
    Attempt(Waiter, Aftermath),
}

/// What to do with this request's cookies once the attempt has ended.
pub(crate) struct Aftermath {
    audience: Audience,
    /// Where signing in to the same target starts over.
    login: String,
    own_flow: Option<HeaderValue>,
    dead_flows: Vec<HeaderValue>,
}

pub(crate) fn callback(inner: &Arc<Inner>, method: &Method, uri: &Uri, headers: &HeaderMap) -> Callback {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::GET, method, headers) {
        return Callback::Answered(refusal);
    }
    match check(inner, uri.query().unwrap_or_default(), headers) {
        Ok((waiter, aftermath)) => Callback::Attempt(waiter, aftermath),
        Err(response) => Callback::Answered(*response),
    }
}

/// The order of the checks matters: nothing is believed before state has passed, and the flow cookie goes only where
/// the flow is proven to be over.
fn check(inner: &Arc<Inner>, query: &str, headers: &HeaderMap) -> Result<(Waiter, Aftermath), Box<Response<Bytes>>> {
    let audience = Audience::of(headers);
    let refuse = |kind: ErrorKind| Box::new(failure(inner, audience, &kind.into()));

    let query = CallbackQuery::parse(query).ok_or_else(|| refuse(ErrorKind::CallbackMalformed))?;
    let state = PresentedState::parse(&query.state).ok_or_else(|| refuse(ErrorKind::CallbackMalformed))?;
    let gone = |kind| Box::new(flow_is_gone(inner, headers, &query, kind));

    let name = inner.cookies.flow_name(state.public);
    let sealed = match find(headers, &name) {
        Found::Nothing => return Err(gone(ErrorKind::FlowNotFound)),
        Found::Several => return Err(gone(ErrorKind::FlowUnreadable)),
        Found::One(sealed) => sealed,
    };
    let flow = Flow::open(inner, state.public, sealed).ok_or_else(|| gone(ErrorKind::FlowUnreadable))?;
    let own_flow = inner.cookies.expire(&name);
    let login = login_link(inner, &flow.return_to);
    let end = |error: Error| {
        log(&error);
        let mut response = Box::new(respond::failure(audience, &error, &Advice::sign_in(&login)));
        append_cookies(response.headers_mut(), own_flow.clone());
        response
    };
    if flow.is_ahead(inner) {
        return Err(refuse(ErrorKind::FlowExpired));
    }
    if flow.is_over(inner) {
        let mut response = gone(ErrorKind::FlowExpired);
        append_cookies(response.headers_mut(), own_flow);
        return Err(response);
    }
    if !state.matches(&flow.state_secret) {
        return Err(refuse(ErrorKind::StateMismatch));
    }
    let issuer = inner.provider.issuer();
    if flow.issuer != issuer || query.issuer.as_deref().is_some_and(|presented| presented != issuer) {
        return Err(end(ErrorKind::IssuerMismatch.into()));
    }
    let code = match &query.result {
        CallbackResult::Code(code) => code,
        CallbackResult::Error(error) => return Err(end(authorization_error(error))),
    };
    let ticket = Ticket {
        state: hash(&[query.state.as_bytes()]),
        made_by: fingerprint(&[query.state.as_bytes(), code.as_bytes()]),
        presented: fingerprint(&[query.state.as_bytes(), code.as_bytes(), sealed]),
        code: ValidatedCode::new(code, pkce::code_verifier(&flow.verifier), &inner.redirect.text),
        return_to: flow.return_to,
    };
    match Attempts::start_or_join(inner, ticket) {
        Ok(waiter) => {
            let dead_flows = expire_dead_flows(inner, headers);
            Ok((waiter, Aftermath { audience, login, own_flow, dead_flows }))
        }
        Err(error) if error.kind() == ErrorKind::StateSpent => Err(gone(ErrorKind::StateSpent)),
        Err(error) => Err(Box::new(failure(inner, audience, &error))),
    }
}

/// The errors of RFC 6749 section 4.1.2.1. Only the code is looked at: a description may say anything.
fn authorization_error(code: &str) -> Error {
    const KNOWN: [&str; 5] =
        ["invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope", "server_error"];
    match code {
        "access_denied" => ErrorKind::AccessDenied.into(),
        "temporarily_unavailable" => Error::new(ErrorKind::ProviderBusy).with_retry_after(30),
        code => {
            let known = KNOWN.iter().find(|known| **known == code);
            Error::new(ErrorKind::AuthorizationFailed)
                .with_reason(known.unwrap_or(&"an error this crate does not know"))
        }
    }
}

/// Back button, reload, double click, another browser: whoever finished this very sign-in goes on to its target, whoever
/// is signed in otherwise is told so, and everybody else may start again. Nothing is exchanged.
fn flow_is_gone(inner: &Inner, headers: &HeaderMap, query: &CallbackQuery<'_>, kind: ErrorKind) -> Response<Bytes> {
    let audience = Audience::of(headers);
    let error = Error::new(kind);
    let Presented::Session(session) = present(inner, headers) else {
        return failure(inner, audience, &error);
    };
    if let CallbackResult::Code(code) = &query.result
        && session.fingerprint() == &fingerprint(&[query.state.as_bytes(), code.as_bytes()])
    {
        let state = hash(&[query.state.as_bytes()]);
        let target = inner.attempts.return_to(&state).unwrap_or_else(ReturnTo::root);
        return respond::see_other(target.as_str());
    }
    log(&error);
    let login = inner.paths.login.clone();
    let mut advice = Advice::go_home();
    advice.remedy = Some(format!("You are signed in as {} and can go on.", session.subject()));
    advice.links.push(Link { label: "Sign in again", href: login.clone() });
    advice.login = Some(login);
    respond::failure(audience, &error, &advice)
}

impl Aftermath {
    /// The answer to an attempt that failed, or that succeeded where the callback is not forwarded.
    pub(crate) fn respond(self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Ok(completed) => {
                let mut response = respond::see_other(completed.signed_in.return_to());
                self.set_cookies(response.headers_mut(), Some(completed));
                response
            }
            Err(error) => {
                let mut response = respond::failure(self.audience, error, &Advice::sign_in(&self.login));
                self.set_cookies(response.headers_mut(), None);
                response
            }
        }
    }

    /// Sets the session cookie where there is one to set; this sign-in's flow cookie goes either way.
    pub(crate) fn set_cookies(self, headers: &mut HeaderMap, completed: Option<&Completed>) {
        append_cookies(headers, self.own_flow);
        if let Some(completed) = completed {
            append_cookies(headers, self.dead_flows);
            append_cookies(headers, [completed.session_cookie.clone()]);
        }
    }
}
