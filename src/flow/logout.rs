//! The end of a session.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ORIGIN, REFERER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use tokio::runtime::Handle;
use url::Url;

use super::{append_cookies, end_session, failure, failure_with, link, login_link, refuse_method_or_prefetch};
use super::{unavailable, wanted_target};
use crate::clock::{CLOCK_SKEW, unix_seconds};
use crate::config::Inner;
use crate::cookies::Found;
use crate::error::ErrorKind;
use crate::http_client::BoxFuture;
use crate::oauth::callback::single;
use crate::page::{Advice, PageAction, PageLink, SignOut};
use crate::requester::Requester;
use crate::respond::{self, Audience};
use crate::return_to::ReturnTo;
use crate::route::{Site, is_prefetch};
use crate::seal::Purpose;
use crate::session::presented::{Current, Presented, Told};
use crate::session::refresh::Refreshes;
use crate::session::registry::SessionEnd;
use crate::session::{LogId, SessionId, revocations, stored, tokens};
use crate::wire::{Reader, Writer};

/// How long a page to sign out may stay open, in seconds.
const TOKEN_LIFETIME: u64 = 600;

/// The query parameter that holds the token, and the name it is sealed under.
const TOKEN: &str = "token";

/// Of the bytes inside the seal.
const LAYOUT: u8 = 1;

/// Deletes the session and every other cookie of ours, for a POST from a page of ours, or one that brings the token of our
/// own page to sign out.
pub(crate) fn logout(
    inner: &Arc<Inner>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    presented: &Presented,
) -> Told<Response<Bytes>> {
    if method == Method::GET
        && !is_prefetch(headers)
        && inner.providers.iter().any(|mounted| mounted.provider.ends_sessions())
    {
        return Told::Now(respond::see_other(end_session::target(inner, uri).as_str()));
    }
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::POST, method, headers) {
        return Told::Now(refusal);
    }
    let mut leading = None;
    match (Sender::of(inner, headers), presented.session_id()) {
        (Sender::Ours, _) => {}
        (Sender::Unknown, Some(id)) if Audience::of(headers) == Audience::Person => {
            if !has_token(inner, uri, &id) {
                return Told::Now(ask(inner, uri, headers, presented));
            }
        }
        (Sender::Foreign | Sender::Unknown, _) => {
            return Told::Now(failure(inner, headers, &ErrorKind::LogoutForeign.into()));
        }
    }
    if let Some(id) = presented.session_id() {
        tracing::info!(request_id = %Requester::of(headers), session = %LogId(&id), "signed out");
        // A second click: there is nothing left to revoke. A refusal may have been of older tokens.
        let is_first = inner.registry.end(id, SessionEnd::SignedOut) != Some(SessionEnd::SignedOut);
        let held = presented.opened().and_then(|current| tokens::held(inner, headers, current));
        let mounted = match presented.opened().map(Current::session) {
            Some(session) => inner.providers.of_issuer(session.issuer()),
            // The store did not say whose it is.
            None => inner.providers.only(),
        };
        if let Some(mounted) = mounted {
            leading = end_session::Leading::over(inner, mounted, uri, headers, held.as_deref());
            if is_first && let Some(held) = held {
                Refreshes::revoke(inner, mounted.provider.issuer(), held, presented.stored().is_some());
            }
        }
    }
    let response = signed_out(inner, uri, headers);
    let response = match leading {
        Some(leading) => leading.lead(inner, response),
        None => Told::Now(response),
    };
    forget(inner, presented, response)
}

/// Has the store or the list told that the session is over, before the answer goes out.
pub(super) fn forget(
    inner: &Arc<Inner>,
    presented: &Presented,
    response: Told<Response<Bytes>>,
) -> Told<Response<Bytes>> {
    let whose = presented.current().map(|current| current.identity.clone());
    let telling: BoxFuture<'static, ()> = match (presented.stored(), presented.session_id()) {
        (Some(stored), _) => Box::pin(stored::delete(Arc::clone(inner), stored, whose)),
        (None, Some(id)) if inner.revocations.is_some() => Box::pin(revocations::revoke(Arc::clone(inner), id)),
        (None, _) => return response,
    };
    match Told::poll(telling) {
        Told::Now(()) => response,
        Told::Later(telling) => {
            let telling = telling_in_any_case(telling);
            Told::Later(Box::pin(async move {
                telling.await;
                match response {
                    Told::Now(response) => response,
                    Told::Later(response) => response.await,
                }
            }))
        }
    }
}

/// The store is told, whether or not the browser waits.
fn telling_in_any_case(telling: BoxFuture<'static, ()>) -> BoxFuture<'static, ()> {
    let Ok(runtime) = Handle::try_current() else { return telling };
    let telling = runtime.spawn(telling);
    Box::pin(async move {
        let _ = telling.await;
    })
}

fn signed_out(inner: &Inner, uri: &Uri, headers: &HeaderMap) -> Response<Bytes> {
    let mut response = respond::see_other(wanted_target(inner, uri).as_str());
    delete_cookies(inner, headers, &mut response);
    response
}

/// All of ours that came.
pub(super) fn delete_cookies(inner: &Inner, headers: &HeaderMap, response: &mut Response<Bytes>) {
    let session = inner.cookies.scan(headers).session;
    let mut flows = inner.cookies.flows(headers);
    flows.dedup_by_key(|flow| flow.public);
    let flows = flows.into_iter().map(|flow| inner.cookies.flow_name(flow.public));
    let named = [inner.cookies.tokens_name(), inner.cookies.rounds_name()];
    let named = named.into_iter().filter(|name| inner.cookies.find(headers, name) != Found::Nothing).map(str::to_owned);
    let others = named.chain(flows).filter_map(|name| inner.cookies.expire(&name));
    append_cookies(response.headers_mut(), inner.cookies.expire_found_session(&session));
    append_cookies(response.headers_mut(), others);
    if inner.clear_site_data {
        let data = HeaderValue::from_static("\"cache\", \"storage\"");
        response.headers_mut().insert(HeaderName::from_static("clear-site-data"), data);
    }
}

/// Whose page sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Ours,
    Foreign,
    /// There is nothing to judge by.
    Unknown,
}

impl Sender {
    /// `Sec-Fetch-Site` decides where the browser sends it, else `Origin`, else the origin of `Referer`. A `null` origin is
    /// what a page of ours with `Referrer-Policy: no-referrer` sends, and a sandboxed frame of anybody.
    fn of(inner: &Inner, headers: &HeaderMap) -> Self {
        match Site::of(headers) {
            Site::Ours => return Self::Ours,
            Site::Foreign => return Self::Foreign,
            Site::Unknown => {}
        }
        let by = |is_ours: bool| if is_ours { Self::Ours } else { Self::Foreign };
        match headers.get(ORIGIN).map(|origin| origin.as_bytes()) {
            None | Some(b"null") => {
                let referer = headers.get(REFERER).and_then(|referer| Url::parse(referer.to_str().ok()?).ok());
                let origin = referer.map(|referer| referer.origin()).filter(url::Origin::is_tuple);
                origin.map_or(Self::Unknown, |origin| by(origin.ascii_serialization() == inner.redirect.origin))
            }
            Some(origin) => by(origin == inner.redirect.origin.as_bytes()),
        }
    }
}

/// The page that asks whether to sign out. No other site can read its token, nor click its button in a frame.
fn ask(inner: &Inner, uri: &Uri, headers: &HeaderMap, presented: &Presented) -> Response<Bytes> {
    let Some(session) = presented.opened().map(Current::session) else {
        return unavailable(inner, headers, login_link(inner, &ReturnTo::root()));
    };
    let Some(token) = new_token(inner, session.id()) else {
        return failure(inner, headers, &ErrorKind::Internal.into());
    };
    let action = link(&inner.paths.logout, Some((TOKEN, &token)), &wanted_target(inner, uri));
    let advice = Advice {
        signed_in_as: Some(session.subject().to_owned()),
        signed_in_by: inner.providers.label_among_several(session.issuer()),
        links: vec![PageLink::new(PageAction::Home, "/")],
        sign_out: Some(SignOut { action, token }),
        ..Advice::default()
    };
    failure_with(inner, headers, &ErrorKind::LogoutUnconfirmed.into(), &advice)
}

fn new_token(inner: &Inner, id: &SessionId) -> Option<String> {
    let mut writer = Writer::default();
    writer.fixed(&[LAYOUT]).fixed(id).u64(unix_seconds(inner.clock.now()));
    inner.seal.seal(Purpose::Logout, TOKEN, &writer.into_bytes()).ok()
}

/// Whether the address holds a token that a page made for this session not long ago.
fn has_token(inner: &Inner, uri: &Uri, id: &SessionId) -> bool {
    let made_at = || {
        let token = single(uri.query()?, TOKEN)?;
        let bytes = inner.seal.open(Purpose::Logout, TOKEN, token.as_bytes()).ok()?;
        let mut reader = Reader::new(&bytes);
        let is_for_session = reader.fixed()? == [LAYOUT] && reader.fixed()? == *id;
        let made_at = reader.u64()?;
        reader.end()?;
        is_for_session.then_some(made_at)
    };
    let now = unix_seconds(inner.clock.now());
    made_at().is_some_and(|made_at| {
        made_at <= now.saturating_add(CLOCK_SKEW) && now < made_at.saturating_add(TOKEN_LIFETIME)
    })
}
