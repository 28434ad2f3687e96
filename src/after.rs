//! What the layer does to the inner service's response.

use std::error::Error as _;

use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response};

use crate::body::ResponseBody;
use crate::config::{Inner, SignIn};
use crate::cookies::Further;
use crate::error::{Error, ErrorKind};
use crate::flow::append_cookies;
use crate::flow::attempt::Completed;
use crate::flow::callback::Aftermath;
use crate::flow::handlers::Handler;
use crate::identity::{Identity, Unrecognised};
use crate::session::Session;
use crate::session::entrance::{Deletion, Entrance, FreshTokens};
use crate::session::presented::Current;
use crate::session::registry::SessionEnd;
use crate::session::sealed::{renew, set_cookies};
use crate::session::stored::{self, StoredId};
use crate::{refusal, respond, telemetry};

/// What happens to the inner service's response.
pub(crate) struct After {
    sign_in: SignIn,
    is_signed_in: bool,
    /// The further session cookies that came with the request.
    came: Further,
    /// What becomes of the session cookies.
    cookie: Option<Change>,
    /// Tokens that are newer than the request's cookie.
    tokens: Option<FreshTokens>,
    /// What was asked for, before any router shortened its address. Where that was a page, what a guard or an extractor
    /// answers leads back to it. A server cuts it from a buffer that is shared, so that nothing is copied; an address that
    /// nobody shares, as below a router that shortens it, costs one allocation.
    pub(crate) page: Option<PathAndQuery>,
    forwarded: Option<Box<Forwarded>>,
}

/// What a response does to the session cookies of its request, further ones that came with it included.
enum Change {
    /// Brings them anew. Few requests do, and all carry the room for it, so that is small.
    Renew(Box<(Identity, Option<StoredId>)>),
    /// Deletes those of a session of ours that is over.
    Delete(Deletion),
}

/// A callback that the inner service answers.
struct Forwarded {
    completed: Completed,
    handler: Handler,
    aftermath: Aftermath,
}

impl After {
    pub(crate) fn new(sign_in: &SignIn, came: Further) -> Self {
        let sign_in = sign_in.clone();
        Self { sign_in, is_signed_in: false, came, cookie: None, tokens: None, page: None, forwarded: None }
    }

    pub(crate) fn forwarded(
        sign_in: &SignIn,
        page: Option<PathAndQuery>,
        completed: Completed,
        handler: Handler,
        aftermath: Aftermath,
    ) -> Self {
        let forwarded = Some(Box::new(Forwarded { completed, handler, aftermath }));
        Self { page, forwarded, ..Self::new(sign_in, Further::default()) }
    }

    /// Puts into the request who it comes from.
    pub(crate) fn enter<B>(&mut self, entrance: Entrance, request: &mut Request<B>) {
        let registry = &self.sign_in.0.registry;
        let extensions = request.extensions_mut();
        let mut unrecognised = |is_unavailable| {
            extensions.insert(Unrecognised { owner: registry.id(), is_unavailable });
        };
        match entrance {
            Entrance::Nobody => {}
            Entrance::Unavailable(fresh) => {
                unrecognised(true);
                self.tokens = fresh;
            }
            Entrance::Unrecognised { delete } => {
                unrecognised(false);
                self.cookie = delete.map(Change::Delete);
            }
            Entrance::SignedIn(current, carried) => {
                self.is_signed_in = true;
                if let Some(carried) = carried {
                    extensions.insert(carried.tokens.tokens().clone());
                    self.tokens = carried.fresh(&current);
                }
                let Current { identity, is_renewal_due, stored, .. } = current;
                self.cookie = is_renewal_due.then(|| Change::Renew(Box::new((identity.clone(), stored))));
                extensions.insert(identity);
            }
        }
    }

    pub(crate) fn apply<R>(self, response: &mut Response<ResponseBody<R>>) {
        refusal::finish(&self.sign_in.0, self.page.as_ref(), self.forwarded.is_some(), response);
        let headers = response.headers_mut();
        if self.is_signed_in {
            respond::keep_out_of_shared_caches(headers);
        }
        if (self.cookie.is_some() || self.tokens.is_some()) && respond::make_private(headers) {
            let inner = &self.sign_in.0;
            append_cookies(headers, self.cookie.map(|change| change.cookies(inner, self.came)).into_iter().flatten());
            append_cookies(headers, self.tokens.and_then(|fresh| newest_cookie(inner, fresh)));
        }
        if let Some(forwarded) = self.forwarded {
            forwarded.apply(response);
        }
    }
}

impl Change {
    /// Nothing where the cookie that the browser holds by now may be another one: the session has ended while the response
    /// was made, or, where there was none, the browser may be the one that has signed in since. Nothing is lost by leaving
    /// that to the next response.
    fn cookies(self, inner: &Inner, came: Further) -> Vec<HeaderValue> {
        match self {
            Self::Delete(deletion) if deletion.is_safe(inner) => {
                if deletion.is_over {
                    telemetry::session_ended(SessionEnd::Expired);
                }
                let tokens = inner.keep_tokens.then(|| inner.cookies.tokens_name());
                let tokens = tokens.and_then(|name| inner.cookies.expire(name));
                inner.cookies.expire_session(came).chain(tokens).collect()
            }
            Self::Renew(renewed) => {
                let (identity, stored) = *renewed;
                if inner.clock.now() >= identity.expires_at() || inner.registry.has_ended(identity.session().id()) {
                    return Vec::new();
                }
                let cookies = match stored {
                    // The store has it renewed.
                    Some(stored) => stored.set_cookie(inner, identity.session()).map(|cookie| vec![cookie]),
                    None => renewed_cookies(inner, identity.session()),
                };
                let Ok(mut cookies) = cookies else { return Vec::new() };
                cookies.extend(inner.cookies.expire_further(came, cookies.len()));
                cookies
            }
            Self::Delete(_) => Vec::new(),
        }
    }
}

fn renewed_cookies(inner: &Inner, session: &Session) -> Result<Vec<HeaderValue>, Error> {
    let session = renew(inner, session);
    let cookies = set_cookies(inner, &session)?;
    inner.registry.renewed(session.id(), session.ends_at());
    telemetry::session_renewed();
    Ok(cookies)
}

/// The cookie of these tokens, or of newer ones that have come while the response was made.
fn newest_cookie(inner: &Inner, fresh: FreshTokens) -> Option<HeaderValue> {
    let FreshTokens { tokens, session_ends_at } = fresh;
    if inner.registry.has_ended(&tokens.session) {
        return None;
    }
    inner.refreshes.newest_known(tokens)?.set_cookie(inner, session_ends_at).inspect_err(log_tokens_lost).ok()
}

fn log_tokens_lost(error: &Error) {
    tracing::error!(code = error.kind().code(), source = error.source(), "refreshed tokens could not be kept");
}

impl Forwarded {
    fn apply<R>(self, response: &mut Response<R>) {
        let (refusal, status) = (self.completed.signed_in.refusal(), response.status().as_u16());
        let is_success = refusal.is_none() && status < 400;
        let request_id = self.aftermath.request_id();
        if let Some(reason) = refusal {
            tracing::info!(code = ErrorKind::RefusedByApp.code(), request_id, reason, "sign-in refused");
            response.extensions_mut().insert(ErrorKind::RefusedByApp);
            telemetry::sign_in_ended(ErrorKind::RefusedByApp.code());
        } else if is_success {
            let identity = self.completed.signed_in.identity();
            let (issuer, subject) = (identity.issuer(), identity.subject());
            tracing::info!(request_id, session = %identity.session().log_id(), issuer, subject, "signed in");
            telemetry::sign_in_ended("success");
        } else {
            telemetry::sign_in_ended("refused_by_handler");
            if status < 500 {
                tracing::info!(request_id, status, "not signed in: the handler of the callback refused");
            } else {
                tracing::warn!(request_id, status, "not signed in: the handler of the callback failed");
            }
        }
        if is_success {
            self.handler.let_in();
        } else if let Some(stored) = self.completed.stored
            && self.handler.refuse()
        {
            let identity = self.completed.signed_in.identity().clone();
            stored::delete_soon(self.aftermath.inner(), stored, Some(identity));
        }
        let headers = response.headers_mut();
        respond::keep_private(headers);
        self.aftermath.set_cookies(headers, is_success.then_some(&self.completed));
    }
}
