//! The start of a sign-in: a sealed flow cookie and a redirect to the provider. No I/O, and nothing kept on the server.

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use super::{FLOW_LIFETIME, Flow, append_cookies, expire_dead_flows, failure, log};
use super::{login_link, refuse_method_or_prefetch, respond, wanted_target};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::pkce;
use crate::oauth::state::State;
use crate::redirect_uri::is_loopback_host;
use crate::respond::{Advice, Audience, Link};
use crate::return_to::ReturnTo;
use crate::route::Site;
use crate::seal::{Purpose, random};
use crate::session::sealed::{Presented, present};

/// More flow cookies than this push the oldest out.
const MOST_FLOWS: usize = 4;

pub(crate) fn login(inner: &Inner, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response<Bytes> {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::GET, method, headers) {
        return refusal;
    }
    let audience = Audience::of(headers);
    if !is_navigation(headers) {
        return failure(inner, audience, &ErrorKind::LoginNotNavigation.into());
    }
    let return_to = wanted_target(inner, uri);
    if is_other_loopback_name(inner, uri, headers) {
        return respond::see_other(&format!("{}{}", inner.redirect.origin, login_link(inner, &return_to)));
    }
    let site = Site::of(headers);
    let session = match present(inner, headers) {
        Presented::Session(_) if site == Site::Foreign => return respond::see_other(return_to.as_str()),
        Presented::Session(session) => Some(session),
        Presented::Nothing | Presented::Refused { .. } => None,
    };
    let mut expired = expire_dead_flows(inner, headers);
    match make_room(inner, headers, site) {
        Ok(evicted) => expired.extend(evicted),
        Err(error) => {
            log(&error);
            let login = login_link(inner, &return_to);
            let links = vec![Link { label: "Continue", href: login.clone() }];
            return respond::failure(audience, &error, &Advice { remedy: None, links, login: Some(login) });
        }
    }
    let session_before = session.map(|session| *session.id());
    match start(inner, return_to, site, session_before) {
        Ok((location, cookie)) => {
            let mut response = respond::see_other(&location);
            append_cookies(response.headers_mut(), expired.into_iter().chain([cookie]));
            response
        }
        Err(error) => failure(inner, audience, &error),
    }
}

/// A browser that tells what it is doing must be navigating a top-level window. `empty` is what Firefox once sent for
/// navigations that a service worker preloads.
fn is_navigation(headers: &HeaderMap) -> bool {
    let says = |name: &str, allowed: &[&str]| {
        headers.get(name).is_none_or(|value| allowed.iter().any(|allowed| value == allowed))
    };
    says("sec-fetch-mode", &["navigate"]) && says("sec-fetch-dest", &["document", "empty"])
}

/// `127.0.0.1` for `localhost` and the like, while developing: the flow cookie would stay behind on the other name.
fn is_other_loopback_name(inner: &Inner, uri: &Uri, headers: &HeaderMap) -> bool {
    let Some(port) = inner.redirect.loopback_port else { return false };
    let header = || headers.get(HOST).and_then(|host| host.to_str().ok()?.parse().ok());
    let Some(authority) = uri.authority().cloned().or_else(header) else { return false };
    is_loopback_host(authority.host())
        && authority.host() != inner.redirect.host
        && authority.port_u16().unwrap_or(80) == port
}

/// Deletes the oldest live flows while there are too many. Only what opens is counted, and another site may push out only
/// what other sites started.
fn make_room(inner: &Inner, headers: &HeaderMap, site: Site) -> Result<Vec<HeaderValue>, Error> {
    let cookies = inner.cookies.believed_flows(headers);
    if cookies.len() < MOST_FLOWS {
        return Ok(Vec::new());
    }
    let live: Vec<_> = cookies
        .iter()
        .filter_map(|cookie| Some((cookie.public, Flow::open(inner, cookie.public, cookie.value)?)))
        .filter(|(_, flow)| !flow.is_over(inner) && !flow.is_ahead(inner))
        .collect();
    let surplus = (live.len() + 1).saturating_sub(MOST_FLOWS);
    let evicted: Vec<_> = live
        .iter()
        .filter(|(_, flow)| site != Site::Foreign || !flow.same_origin)
        .take(surplus)
        .filter_map(|(public, _)| inner.cookies.expire(&inner.cookies.flow_name(public)))
        .collect();
    if evicted.len() < surplus { Err(ErrorKind::LoginCrossSite.into()) } else { Ok(evicted) }
}

/// Draws what must not be guessed; gives the authorization URL and the flow cookie.
fn start(
    inner: &Inner,
    return_to: ReturnTo,
    site: Site,
    session_before: Option<[u8; 16]>,
) -> Result<(String, HeaderValue), Error> {
    let mut public = [0; 8];
    let mut state_secret = Zeroizing::new([0; 32]);
    let mut verifier = Zeroizing::new([0; 32]);
    random(&mut public)
        .and_then(|()| random(&mut *state_secret))
        .and_then(|()| random(&mut *verifier))
        .map_err(|_| ErrorKind::Internal)?;

    let now = unix_seconds(inner.clock.now());
    let state = State::new(now, public, &state_secret);
    let challenge = pkce::code_challenge(pkce::code_verifier(&verifier).expose_secret());
    let request = AuthorizationRequest::new(&inner.redirect.text, state.as_str(), &challenge);
    let location = inner.provider.authorization_url(&request)?;

    let name = inner.cookies.flow_name(state.public());
    let issuer = inner.provider.issuer();
    let flow = Flow {
        state_secret,
        verifier,
        started_at: now,
        same_origin: site != Site::Foreign,
        session_before,
        return_to: return_to.shortened(Flow::longest_target(&name, issuer)),
        issuer: issuer.to_owned(),
    };
    let sealed = inner.seal.seal(Purpose::Flow, &name, &flow.encode()).map_err(|_| ErrorKind::Internal)?;
    let cookie = inner.cookies.set(&name, &sealed, FLOW_LIFETIME).ok_or(ErrorKind::Internal)?;
    Ok((location, cookie))
}
