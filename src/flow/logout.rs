//! The end of a session.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ORIGIN, REFERER};
use http::{HeaderMap, Method, Response, Uri};
use url::Url;

use super::{append_cookies, failure, refuse_method_or_prefetch, wanted_target};
use crate::config::Inner;
use crate::cookies::{Found, find};
use crate::error::ErrorKind;
use crate::requester::Requester;
use crate::respond;
use crate::route::Site;
use crate::session::refresh::Refreshes;
use crate::session::registry::SessionEnd;
use crate::session::sealed::{Current, Presented, present};
use crate::session::tokens;

/// Deletes the session and every other cookie of ours, for a POST from a page of ours.
pub(crate) fn logout(inner: &Arc<Inner>, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Bytes> {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::POST, method, headers) {
        return refusal;
    }
    if !is_from_here(inner, headers) {
        return failure(inner, headers, &ErrorKind::LogoutForeign.into());
    }
    let session = inner.cookies.scan(headers).session;
    if let Presented::Session(Current { session, .. }) = present(inner, headers) {
        tracing::info!(request_id = %Requester::of(headers), session = %session.log_id(), "signed out");
        // A second click, or a refusal that came before: there is nothing left to revoke.
        let is_over = inner.registry.has_ended(session.id());
        inner.registry.end(*session.id(), SessionEnd::SignedOut);
        if !is_over && let tokens::Presented::Tokens(held) = tokens::present(inner, headers, &session) {
            Refreshes::revoke(inner, held);
        }
    }
    let mut flows = inner.cookies.flows(headers);
    flows.dedup_by_key(|flow| flow.public);
    let flows = flows.into_iter().map(|flow| inner.cookies.flow_name(flow.public));
    let named = [inner.cookies.tokens_name(), inner.cookies.rounds_name()];
    let named = named.into_iter().filter(|name| find(headers, name) != Found::Nothing).map(str::to_owned);
    let others = named.chain(flows).filter_map(|name| inner.cookies.expire(&name));
    let mut response = respond::see_other(wanted_target(inner, uri).as_str());
    append_cookies(response.headers_mut(), inner.cookies.expire_found_session(&session));
    append_cookies(response.headers_mut(), others);
    response
}

/// `Sec-Fetch-Site` decides where the browser sends it, else `Origin`, else the origin of `Referer`. A `null` origin is
/// what a page of ours with `Referrer-Policy: no-referrer` sends. With nothing to judge by, nobody is signed out.
fn is_from_here(inner: &Inner, headers: &HeaderMap) -> bool {
    match Site::of(headers) {
        Site::Ours => return true,
        Site::Foreign => return false,
        Site::Unknown => {}
    }
    match headers.get(ORIGIN).map(|origin| origin.as_bytes()) {
        None | Some(b"null") => {
            let referer = headers.get(REFERER).and_then(|referer| Url::parse(referer.to_str().ok()?).ok());
            referer.is_some_and(|referer| referer.origin().ascii_serialization() == inner.redirect.origin)
        }
        Some(origin) => origin == inner.redirect.origin.as_bytes(),
    }
}
