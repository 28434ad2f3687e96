//! What the layer answers itself: login, callback, logout.

pub(crate) mod attempt;
pub(crate) mod callback;
mod chooser;
mod end_session;
mod fragment;
pub(crate) mod front_channel;
pub(crate) mod handlers;
pub(crate) mod hook;
pub(crate) mod login;
pub(crate) mod logout;
mod rounds;
pub(crate) mod signed_in;

use std::fmt;

use bytes::Bytes;
use http::header::{ALLOW, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretBox};

use crate::clock::{CLOCK_SKEW, unix_seconds};
use crate::config::Inner;
use crate::cookies::FlowCookie;
use crate::error::{Error, ErrorKind};
use crate::oauth::callback::single;
use crate::oauth::state::started_at;
use crate::page::{Advice, Page};
use crate::requester::Requester;
use crate::respond::{self, Audience};
use crate::return_to::ReturnTo;
use crate::route::is_prefetch;
use crate::seal::{Purpose, Seal};
use crate::session::SessionId;
use crate::session::stored::RETRY_AFTER;
use crate::{telemetry, wire};

/// How long a person may take between login and callback, in seconds.
pub(crate) const FLOW_LIFETIME: u64 = 600;

/// A flow cookie, name and value, takes at most this many bytes; a target that is too long for it is shortened.
const LONGEST_COOKIE: usize = 700;

/// Of the bytes inside the seal; another one is not read, and its cookie left alone.
const LAYOUT: u8 = 1;

/// One pending sign-in, as its cookie holds it.
pub(crate) struct Flow {
    pub(crate) secrets: FlowSecrets,
    pub(crate) started_at: u64,
    /// Started from a page of ours or by the person's own typing, rather than by another site.
    pub(crate) same_origin: bool,
    /// The session that was there at the start.
    pub(crate) session_before: Option<SessionId>,
    pub(crate) issuer: String,
    pub(crate) return_to: ReturnTo,
}

/// The secret half of the state, and what the code verifier is made of.
pub(crate) struct FlowSecrets(SecretBox<[[u8; 32]; 2]>);

impl FlowSecrets {
    pub(crate) const LENGTH: usize = 2 * 32;

    pub(crate) fn read(reader: &mut wire::Reader<'_>) -> Option<Self> {
        let bytes = reader.take(Self::LENGTH)?;
        Some(Self(SecretBox::init_with_mut(|both: &mut [[u8; 32]; 2]| both.as_flattened_mut().copy_from_slice(bytes))))
    }

    pub(crate) fn state(&self) -> &[u8; 32] {
        let [state, _] = self.0.expose_secret();
        state
    }

    pub(crate) fn verifier(&self) -> &[u8; 32] {
        let [_, verifier] = self.0.expose_secret();
        verifier
    }
}

impl Flow {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = wire::Writer::with_capacity(LONGEST_COOKIE);
        writer
            .fixed(&[LAYOUT])
            .fixed(self.secrets.state())
            .fixed(self.secrets.verifier())
            .u64(self.started_at)
            .fixed(&[u8::from(self.same_origin)])
            .prefixed(self.session_before.as_ref().map_or(&[][..], |id| &id[..]))
            .prefixed(&self.issuer)
            .prefixed(self.return_to.as_str());
        writer.into_secret()
    }

    /// The return target is checked again: a key may be shared with an older version that let more through.
    pub(crate) fn decode(bytes: &[u8], own_paths: &[impl AsRef<str>]) -> Option<Self> {
        let mut reader = wire::Reader::new(bytes);
        if reader.fixed()? != [LAYOUT] {
            return None;
        }
        let flow = Self {
            secrets: FlowSecrets::read(&mut reader)?,
            started_at: reader.u64()?,
            same_origin: reader.fixed::<1>()? == [1],
            session_before: match reader.prefixed()? {
                [] => None,
                id => Some(id.try_into().ok()?),
            },
            issuer: reader.prefixed_str()?.to_owned(),
            return_to: ReturnTo::new(reader.prefixed_str()?, own_paths),
        };
        reader.end()?;
        Some(flow)
    }

    /// How long the target may be in a cookie with a name of this length: the rest of the bytes is sealed into base64,
    /// four characters for three bytes.
    pub(crate) fn longest_target(name: &str, issuer: &str) -> usize {
        const FIELDS: usize = 1 + FlowSecrets::LENGTH + 8 + 1 + 4 + size_of::<SessionId>() + 4 + 4;
        let plain = LONGEST_COOKIE.saturating_sub(name.len() + 1) / 4 * 3;
        plain.saturating_sub(Seal::OVERHEAD + FIELDS + issuer.len())
    }

    /// Opens the flow cookie of this public half.
    pub(crate) fn open(inner: &Inner, public: &str, sealed: &[u8]) -> Option<Self> {
        let name = inner.cookies.flow_name(public);
        let bytes = inner.seal.open(Purpose::Flow, &name, sealed).ok()?;
        Self::decode(&bytes, inner.paths.all())
    }

    pub(crate) fn is_over(&self, inner: &Inner) -> bool {
        is_over(inner, self.started_at)
    }

    /// Started by a clock that runs ahead of ours by more than another node's may.
    pub(crate) fn is_ahead(&self, inner: &Inner) -> bool {
        self.started_at > unix_seconds(inner.clock.now()).saturating_add(CLOCK_SKEW)
    }
}

fn is_over(inner: &Inner, started_at: u64) -> bool {
    unix_seconds(inner.clock.now()) >= started_at.saturating_add(FLOW_LIFETIME)
}

/// The `Set-Cookie` headers that delete flow cookies which open and are over.
fn expire_dead_flows(inner: &Inner, flows: &[FlowCookie<'_>]) -> Vec<HeaderValue> {
    flows
        .iter()
        .filter(|cookie| started_at(cookie.public).is_some_and(|started_at| is_over(inner, started_at)))
        .filter(|cookie| Flow::open(inner, cookie.public, cookie.value).is_some_and(|flow| flow.is_over(inner)))
        .filter_map(|cookie| inner.cookies.expire(&inner.cookies.flow_name(cookie.public)))
        .collect()
}

/// Turns away every method but `allowed`, and everything that a browser does ahead of a click.
fn refuse_method_or_prefetch(
    inner: &Inner,
    allowed: &Method,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Response<Bytes>> {
    if method != allowed {
        let mut response = failure(inner, headers, &ErrorKind::MethodNotAllowed.into());
        if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
            response.headers_mut().insert(ALLOW, allowed);
        }
        return Some(response);
    }
    is_prefetch(headers).then(|| failure(inner, headers, &ErrorKind::Prefetch.into()))
}

/// A failure of this layer, logged, with a button to start over where nothing was asked to end.
fn failure(inner: &Inner, headers: &HeaderMap, error: &Error) -> Response<Bytes> {
    let advice = match error.kind() {
        ErrorKind::LogoutForeign | ErrorKind::MethodNotAllowed => Advice::go_home(),
        _ => Advice::sign_in(inner.paths.login.clone()),
    };
    failure_with(inner, headers, error, &advice)
}

/// A failure of this layer, logged, with advice.
fn failure_with(inner: &Inner, headers: &HeaderMap, error: &Error, advice: &Advice) -> Response<Bytes> {
    let requester = Requester::of(headers);
    log(error, &requester);
    telemetry::refused(error.kind());
    let page = Page::new(error, advice, &requester).with_origin(&inner.redirect.origin);
    let page = page.with_form_targets(inner.form_targets);
    respond::failure(Audience::of(headers), &page, inner.pages.as_ref())
}

/// Nothing can be told of a session while its store is away, and nothing is lost.
fn unavailable(inner: &Inner, headers: &HeaderMap, login: String) -> Response<Bytes> {
    let error = Error::new(ErrorKind::SessionUnavailable).with_retry_after(RETRY_AFTER);
    failure_with(inner, headers, &error, &Advice::reload(login))
}

/// The query parameter of login that asks for another account, and its one value: OpenID Connect's own (Core section
/// 3.1.2.1).
const PROMPT: (&str, &str) = ("prompt", "select_account");

/// The query parameter of login and logout that tells where to go on to.
const RETURN_TO: &str = "return_to";

/// The address of login with a return target.
pub(crate) fn login_link(inner: &Inner, return_to: &ReturnTo) -> String {
    link(&inner.paths.login, None, return_to)
}

/// The same, for who wants to come as somebody else.
pub(crate) fn switch_link(inner: &Inner, return_to: &ReturnTo) -> String {
    link(&inner.paths.login, Some(PROMPT), return_to)
}

pub(crate) fn link(path: &str, first: Option<(&str, &str)>, return_to: &ReturnTo) -> String {
    link_with(path, first.into_iter(), return_to)
}

fn link_with<'a>(path: &str, first: impl Iterator<Item = (&'a str, &'a str)>, return_to: &'a ReturnTo) -> String {
    let return_to = Some((RETURN_TO, return_to.as_str())).filter(|(_, target)| *target != "/");
    let mut link = path.to_owned();
    let parameters: Vec<_> = first.chain(return_to).collect();
    if !parameters.is_empty() {
        link.push('?');
        let start = link.len();
        url::form_urlencoded::Serializer::for_suffix(&mut link, start).extend_pairs(parameters);
    }
    link
}

/// The return target a login or logout asks for; `/` where it is missing, repeated or not a path on this site.
fn wanted_target(inner: &Inner, uri: &Uri) -> ReturnTo {
    target(inner, single(uri.query().unwrap_or_default(), RETURN_TO).as_deref())
}

fn target(inner: &Inner, wanted: Option<&str>) -> ReturnTo {
    wanted.map_or_else(ReturnTo::root, |wanted| ReturnTo::new(wanted, inner.paths.all()))
}

/// Names a flow in the log, on its way out and back, without telling any of its state.
struct FlowId<'a>(&'a str);

impl fmt::Display for FlowId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&attempt::hash(&[b"flow id", self.0.as_bytes()])[..8]))
    }
}

pub(crate) fn log(error: &Error, requester: &Requester) {
    let code = error.kind().code();
    let request_id = tracing::field::display(requester);
    let reason = error.reason().unwrap_or_default();
    let source = std::iter::successors(std::error::Error::source(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    if error.kind() == ErrorKind::Prefetch {
        tracing::debug!(code, request_id, "nothing is done ahead of a click");
    } else if error.kind() == ErrorKind::LogoutNotDone {
        tracing::warn!(
            code,
            request_id,
            reason,
            source,
            "somebody who signed out at the provider is signed in here still"
        );
    } else if error.kind().status().is_server_error() || error.kind() == ErrorKind::SignInLoop {
        tracing::warn!(code, request_id, reason, source, "sign-in failed");
    } else {
        tracing::info!(code, request_id, reason, source, "request refused");
    }
}

pub(crate) fn append_cookies(headers: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        // A response of the application may have no room.
        let _ = headers.try_append(SET_COOKIE, cookie);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::assert_wiped;

    const NONE: &[&str] = &[];

    #[test]
    fn a_flow_comes_back_as_it_went() {
        let flow = Flow {
            secrets: FlowSecrets(SecretBox::new(Box::new([[1; 32], [2; 32]]))),
            started_at: 3,
            same_origin: true,
            session_before: Some([4; 16]),
            issuer: "https://issuer.example".to_owned(),
            return_to: ReturnTo::new("/me?x=1", NONE),
        };
        assert_wiped(&flow.secrets.0);
        let bytes = flow.encode();
        assert_wiped(&bytes);
        let again = Flow::decode(&bytes, NONE).unwrap();
        assert_eq!((again.secrets.state(), again.secrets.verifier()), (&[1; 32], &[2; 32]));
        assert_eq!((again.started_at, again.same_origin, again.session_before), (3, true, Some([4; 16])));
        assert_eq!((again.issuer.as_str(), again.return_to.as_str()), ("https://issuer.example", "/me?x=1"));
        for length in 0..bytes.len() {
            assert!(Flow::decode(&bytes[..length], NONE).is_none(), "length {length}");
        }
        assert_eq!(Flow::decode(&bytes, &["/me"]).unwrap().return_to.as_str(), "/");
        let mut of_another_layout = bytes.to_vec();
        of_another_layout[0] = LAYOUT + 1;
        assert!(Flow::decode(&of_another_layout, NONE).is_none());
    }
}
