//! The way back from the provider: every check that can be made before anything goes to the network.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};

use super::attempt::{Attempts, Completed, Outcome, Ticket, Waiter, fingerprint, hash};
use super::rounds::Rounds;
use super::switch_link;
use super::{
    Flow, FlowId, append_cookies, expire_dead_flows, failure, failure_with, login_link, refuse_method_or_prefetch,
    unavailable,
};
use crate::config::Inner;
use crate::cookies::{Found, Further};
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::oauth::callback::{CallbackQuery, CallbackResult, ValidatedCode};
use crate::oauth::pkce;
use crate::oauth::state::PresentedState;
use crate::page::{Advice, Page, PageAction, PageLink};
use crate::requester::Requester;
use crate::respond::{self, Audience};
use crate::return_to::ReturnTo;
use crate::session::presented::Presented;
use crate::session::registry::SessionEnd;
use crate::session::stored::{self, StoredId};
use crate::session::{SessionId, revocations};
use crate::telemetry;

/// What a callback comes to.
#[allow(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum Callback {
    /// It is answered.
    Answered(Response<Bytes>),
    /// Its state has passed, and the attempt runs.
    Attempt(Waiter, Aftermath),
}

/// What to do once the attempt has ended: what this request's cookies come to, and whom to tell.
pub(crate) struct Aftermath {
    inner: Arc<Inner>,
    /// The place of the provider that the browser came back from.
    provider: usize,
    audience: Audience,
    requester: Requester,
    return_to: ReturnTo,
    own_flow: Option<HeaderValue>,
    dead_flows: Vec<HeaderValue>,
    rounds: Rounds,
    further: Further,
    /// Deletes the tokens of a former session, where none come with the new one.
    stale_tokens: Option<HeaderValue>,
    /// The sessions that this browser had at login and now.
    former: [Option<SessionId>; 2],
    /// Where the one it has now is in the store, and whose it is if that is known.
    stored: Option<(StoredId, Option<Identity>)>,
}

pub(crate) fn callback(
    inner: &Arc<Inner>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    presented: &Presented,
    place: usize,
) -> Callback {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::GET, method, headers) {
        return Callback::Answered(refusal);
    }
    match check(inner, uri.query().unwrap_or_default(), headers, presented, place) {
        Ok((waiter, aftermath)) => Callback::Attempt(waiter, aftermath),
        Err(response) => Callback::Answered(*response),
    }
}

/// The order of the checks matters: nothing is believed before state has passed, and the flow cookie goes only where
/// the flow is proven to be over.
fn check(
    inner: &Arc<Inner>,
    query: &str,
    headers: &HeaderMap,
    presented: &Presented,
    place: usize,
) -> Result<(Waiter, Aftermath), Box<Response<Bytes>>> {
    let mounted = inner.providers.at(place);
    let refuse = |kind: ErrorKind| Box::new(failure(inner, headers, &kind.into()));

    let query = CallbackQuery::parse(query).ok_or_else(|| refuse(ErrorKind::CallbackMalformed))?;
    let state = PresentedState::parse(&query.state).ok_or_else(|| refuse(ErrorKind::CallbackMalformed))?;
    let _span = tracing::info_span!("sign_in", flow_id = %FlowId(state.public)).entered();
    let gone = |kind, return_to: &ReturnTo| Box::new(flow_is_gone(inner, headers, presented, &query, kind, return_to));
    let nowhere = ReturnTo::root();

    let name = inner.cookies.flow_name(state.public);
    let sealed = match inner.cookies.find(headers, &name) {
        Found::Nothing => return Err(gone(ErrorKind::FlowNotFound, &nowhere)),
        Found::Several => return Err(gone(ErrorKind::FlowUnreadable, &nowhere)),
        Found::One(sealed) => sealed,
    };
    let flow = Flow::open(inner, state.public, sealed).ok_or_else(|| gone(ErrorKind::FlowUnreadable, &nowhere))?;
    let own_flow = inner.cookies.expire(&name);
    let tell = |error: &Error| {
        Box::new(failure_with(inner, headers, error, &start_over(inner, error.kind(), &flow.return_to)))
    };
    let end = |error: Error| {
        let mut response = tell(&error);
        append_cookies(response.headers_mut(), own_flow.clone());
        response
    };
    if flow.is_ahead(inner) {
        return Err(tell(&ErrorKind::FlowExpired.into()));
    }
    if flow.is_over(inner) {
        let mut response = gone(ErrorKind::FlowExpired, &flow.return_to);
        append_cookies(response.headers_mut(), own_flow);
        return Err(response);
    }
    if !state.matches(flow.secrets.state()) {
        return Err(tell(&ErrorKind::StateMismatch.into()));
    }
    let issuer = mounted.provider.issuer();
    let is_from_issuer = match query.issuer.as_deref() {
        Some(presented) => presented == issuer,
        None => !mounted.provider.names_issuer(),
    };
    if flow.issuer != issuer || !is_from_issuer {
        return Err(end(ErrorKind::IssuerMismatch.into()));
    }
    let code = match &query.result {
        CallbackResult::Code(code) => code,
        CallbackResult::Error(error) => return Err(end(authorization_error(error))),
    };
    if let Presented::Unavailable(_) = presented {
        // The code would be used up for a session that can't be kept.
        return Err(Box::new(unavailable(inner, headers, login_link(inner, &flow.return_to))));
    }
    let return_to = flow.return_to.clone();
    let session_before = flow.session_before;
    let requester = Requester::of(headers);
    let ticket = Ticket {
        state: hash(&[query.state.as_bytes()]),
        made_by: fingerprint(&[query.state.as_bytes(), code.as_bytes()]),
        presented: fingerprint(&[query.state.as_bytes(), code.as_bytes(), sealed]),
        requester: requester.clone(),
        provider: place,
        code: ValidatedCode::new(code, pkce::code_verifier(flow.secrets.verifier()), &mounted.redirect_uri)
            .with_issuer(query.issuer.is_some()),
        return_to: flow.return_to,
    };
    match Attempts::start_or_join(inner, ticket) {
        Ok(waiter) => {
            let aftermath = Aftermath {
                inner: Arc::clone(inner),
                provider: place,
                audience: Audience::of(headers),
                requester,
                return_to,
                own_flow,
                dead_flows: expire_dead_flows(inner, &inner.cookies.believed_flows(headers)),
                rounds: Rounds::of(inner, headers),
                further: inner.cookies.scan(headers).session.came(),
                stale_tokens: stale_tokens(inner, headers),
                former: [session_before, presented.session_id()],
                stored: presented.stored().map(|id| (id, presented.current().map(|it| it.identity.clone()))),
            };
            Ok((waiter, aftermath))
        }
        Err(error) if error.kind() == ErrorKind::StateSpent => Err(gone(ErrorKind::StateSpent, &return_to)),
        Err(error) => {
            let advice = start_over(inner, error.kind(), &return_to);
            Err(Box::new(failure_with(inner, headers, &error, &advice)))
        }
    }
}

fn stale_tokens(inner: &Inner, headers: &HeaderMap) -> Option<HeaderValue> {
    let name = inner.cookies.tokens_name();
    if inner.cookies.find(headers, name) == Found::Nothing { None } else { inner.cookies.expire(name) }
}

/// The next step after a sign-in that came to nothing: where it was this account that did not do, another one.
fn start_over(inner: &Inner, kind: ErrorKind, return_to: &ReturnTo) -> Advice {
    let login = login_link(inner, return_to);
    match kind {
        ErrorKind::NotVerified | ErrorKind::ClaimRequired | ErrorKind::OwnershipRequired | ErrorKind::RefusedByApp => {
            Advice::switch_account(switch_link(inner, return_to), login)
        }
        // Nothing was exchanged, and the flow is as it was.
        ErrorKind::TooManyAttempts | ErrorKind::SessionUnavailable => Advice::reload(login),
        _ => Advice::sign_in(login),
    }
}

/// The errors of RFC 6749 section 4.1.2.1, and of OpenID Connect Core section 3.1.2.6. Only the code is looked at: a
/// description may say anything.
fn authorization_error(code: &str) -> Error {
    const KNOWN: [&str; 10] = [
        "invalid_request",
        "unauthorized_client",
        "unsupported_response_type",
        "invalid_scope",
        "server_error",
        "interaction_required",
        "login_required",
        "account_selection_required",
        "consent_required",
        "unmet_authentication_requirements",
    ];
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
fn flow_is_gone(
    inner: &Inner,
    headers: &HeaderMap,
    presented: &Presented,
    query: &CallbackQuery<'_>,
    kind: ErrorKind,
    return_to: &ReturnTo,
) -> Response<Bytes> {
    let login = login_link(inner, return_to);
    if let Presented::Unavailable(_) = presented {
        return unavailable(inner, headers, login);
    }
    let Some(session) = presented.session() else {
        let ours = inner.cookies.scan(headers);
        let has_none = ours.session.first == Found::Nothing && !ours.has_other;
        let kind = if kind == ErrorKind::FlowNotFound && has_none { ErrorKind::CookiesRefused } else { kind };
        return failure_with(inner, headers, &kind.into(), &Advice::sign_in(login));
    };
    if let CallbackResult::Code(code) = &query.result
        && session.fingerprint().is_same(&fingerprint(&[query.state.as_bytes(), code.as_bytes()]))
    {
        let state = hash(&[query.state.as_bytes()]);
        let target = inner.attempts.return_to(&state).unwrap_or_else(ReturnTo::root);
        return respond::see_other(target.as_str());
    }
    let advice = Advice {
        remedy: Some("You can go on as you are."),
        signed_in_as: Some(session.subject().to_owned()),
        signed_in_by: inner.providers.label_among_several(session.issuer()),
        links: vec![
            PageLink::new(PageAction::Continue, return_to.as_str()),
            PageLink::new(PageAction::SignInAgain, login.as_str()),
        ],
        login: Some(login),
        ..Advice::default()
    };
    failure_with(inner, headers, &kind.into(), &advice)
}

impl Aftermath {
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn provider(&self) -> usize {
        self.provider
    }

    /// For the log.
    pub(crate) fn request_id(&self) -> tracing::field::DisplayValue<Requester> {
        tracing::field::display(self.requester.clone())
    }

    /// The answer to an attempt that failed, or that succeeded where the callback is not forwarded.
    pub(crate) fn respond(self, outcome: &Outcome) -> Response<Bytes> {
        match outcome {
            Ok(completed) => {
                let mut response = respond::see_other(completed.signed_in.return_to());
                self.set_cookies(response.headers_mut(), Some(completed));
                response
            }
            Err(error) => {
                // What was underneath is logged by the attempt, once for all who wait for it.
                tracing::info!(code = error.kind().code(), request_id = %self.requester, "sign-in not completed");
                telemetry::refused(error.kind());
                let advice = start_over(&self.inner, error.kind(), &self.return_to);
                let page = Page::new(error, &advice, &self.requester)
                    .with_origin(&self.inner.redirect.origin)
                    .with_form_targets(self.inner.form_targets);
                let mut response = respond::failure(self.audience, &page, self.inner.pages.as_ref());
                if !error.leaves_flow() {
                    self.set_cookies(response.headers_mut(), None);
                }
                response
            }
        }
    }

    /// Sets the session cookies where there is one to set; this sign-in's flow cookie goes either way.
    pub(crate) fn set_cookies(self, headers: &mut HeaderMap, completed: Option<&Completed>) {
        append_cookies(headers, self.own_flow);
        let id = |completed: &Completed| *completed.signed_in.identity().session().id();
        // A double of a callback may come, or be answered, once its session has been signed out of or replaced.
        if let Some(completed) = completed.filter(|completed| !self.inner.registry.has_ended(&id(completed))) {
            // A response that is still being made must not bring the cookie of a former session back over this one's.
            let new = &id(completed);
            let stored = self.stored.as_ref().map(|(id, _)| id.session_id());
            for former in self.former.into_iter().flatten().filter(|former| former != new) {
                self.inner.registry.end(former, SessionEnd::Replaced);
                if stored != Some(former) {
                    revocations::revoke_soon(&self.inner, former);
                }
            }
            if let Some((former, whose)) = self.stored.filter(|(former, _)| former.session_id() != *new) {
                stored::delete_soon(&self.inner, former, whose);
            }
            self.inner.registry.signed_in();
            telemetry::session_opened();
            append_cookies(headers, self.dead_flows);
            append_cookies(headers, completed.session_cookies.iter().cloned());
            let count = completed.session_cookies.len();
            append_cookies(headers, self.inner.cookies.expire_further(self.further, count));
            append_cookies(headers, completed.tokens_cookie.clone().or(self.stale_tokens));
            append_cookies(headers, self.rounds.completed(&self.inner));
        }
    }
}
