//! The end of a session in a frame of the provider's page: OpenID Connect Front-Channel Logout 1.0.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use url::Url;

use super::attempt::provider_session;
use super::logout::{delete_cookies, forget};
use super::refuse_method_or_prefetch;
use crate::config::Inner;
use crate::oauth::callback::single;
use crate::providers::Mounted;
use crate::requester::Requester;
use crate::respond;
use crate::secret::are_same;
use crate::session::presented::{Presented, Told};
use crate::session::refresh::Refreshes;
use crate::session::registry::SessionEnd;
use crate::session::{Session, tokens};

/// Only who knows the provider's own session ends the one that began in it (section 3). Anybody may put this into a frame, so
/// the answer is the same whether or not there was anything to end.
pub(crate) fn front_channel(
    inner: &Arc<Inner>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    presented: &Presented,
) -> Told<Response<Bytes>> {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::GET, method, headers) {
        return Told::Now(refusal);
    }
    let query = uri.query().unwrap_or_default();
    let issuer = single(query, "iss");
    let named = issuer.as_deref().and_then(|issuer| inner.providers.of_issuer(issuer));
    let mut response = page(named.or(inner.providers.only()));
    let session_id = single(query, "sid");
    let (Some(mounted), Some(session_id), Some(current)) = (named, session_id, presented.opened()) else {
        return Told::Now(response);
    };
    let session = current.session();
    if !is_it(session, mounted, &session_id) {
        return Told::Now(response);
    }
    let id = *session.id();
    let (issuer, subject) = (session.issuer(), session.subject());
    tracing::info!(
        request_id = %Requester::of(headers), session = %session.log_id(), issuer, subject, "signed out in a frame of the provider"
    );
    let is_first = inner.registry.end(id, SessionEnd::SignedOut) != Some(SessionEnd::SignedOut);
    if is_first && let Some(held) = tokens::held(inner, headers, current) {
        Refreshes::revoke(inner, issuer, held, current.stored.is_some());
    }
    delete_cookies(inner, headers, &mut response);
    forget(inner, presented, Told::Now(response))
}

fn is_it(session: &Session, mounted: &Mounted, session_id: &str) -> bool {
    let issuer = mounted.provider.issuer();
    let named = provider_session(issuer, session_id);
    session.issuer() == issuer && session.provider_session().is_some_and(|began_in| are_same(began_in, &named))
}

/// An empty page, for a frame of this provider's pages alone.
fn page(mounted: Option<&Mounted>) -> Response<Bytes> {
    let origin = mounted.and_then(|mounted| Url::parse(mounted.provider.issuer()).ok()).map(|issuer| issuer.origin());
    let parent = origin.filter(url::Origin::is_tuple).map(|origin| origin.ascii_serialization());
    let parent = parent.unwrap_or_else(|| "'none'".to_owned());
    let mut response = respond::empty(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = HeaderValue::try_from(format!("default-src 'none'; frame-ancestors {parent}"));
    let strictest = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, policy.unwrap_or(strictest));
    response
}
