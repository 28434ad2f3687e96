//! The start of a sign-in: a sealed flow cookie and a redirect to the provider. No I/O, and nothing kept on the server.

use bytes::Bytes;
use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;

use super::rounds::{AtLogin, Rounds};
use super::{
    FLOW_LIFETIME, Flow, FlowId, FlowSecrets, PROMPT, append_cookies, expire_dead_flows, failure, failure_with,
    fragment,
};
use super::{login_link, refuse_method_or_prefetch, respond, switch_link, unavailable, wanted_target};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::cookies::{FlowCookie, Found};
use crate::error::{Error, ErrorKind};
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::callback::single;
use crate::oauth::pkce;
use crate::oauth::state::State;
use crate::page::{Advice, PageAction, PageLink};
use crate::redirect_uri::is_loopback_host;
use crate::respond::{Audience, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE};
use crate::return_to::ReturnTo;
use crate::route::Site;
use crate::seal::{Purpose, random};
use crate::session::Session;
use crate::session::chunks::is_incomplete;
use crate::session::entrance::is_recognised;
use crate::session::presented::Presented;
use crate::wire::Reader;

/// More flow cookies than this push the oldest out.
const MOST_FLOWS: usize = 4;

pub(crate) fn login(
    inner: &Inner,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    presented: &Presented,
) -> Response<Bytes> {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::GET, method, headers) {
        return refusal;
    }
    if !is_navigation(headers) {
        return failure(inner, headers, &ErrorKind::LoginNotNavigation.into());
    }
    let query = uri.query().unwrap_or_default();
    let return_to = wanted_target(inner, uri);
    let select_account = single(query, PROMPT.0).as_deref() == Some(PROMPT.1);
    let again = || if select_account { switch_link(inner, &return_to) } else { login_link(inner, &return_to) };
    if is_other_loopback_name(inner, uri, headers) {
        return respond::see_other(&format!("{}{}", inner.redirect.origin, again()));
    }
    let came_from = Site::of(headers);
    if let Presented::Unavailable(_) = presented {
        // A sign-in could not be kept either.
        return unavailable(inner, headers, again());
    }
    // Every page turns away what is not recognised, so going on to one would lead back here.
    let session = presented.session().filter(|session| is_recognised(inner, headers, session));
    match session.filter(|_| came_from == Site::Foreign) {
        None => {}
        Some(session) if select_account => return already_signed_in(inner, headers, session, &return_to, again()),
        // The browser carries a fragment over this redirect by itself, and still says that another site began it.
        Some(session) => {
            return match Rounds::of(inner, headers).sent_back(inner) {
                AtLogin::Stop(reset) => stop(inner, headers, Some(session), again(), reset),
                AtLogin::Count(counted) => go_on(&return_to, Some(counted)),
                AtLogin::GoOn => go_on(&return_to, None),
            };
        }
    }
    let site = fragment::answered(query, came_from);
    let is_person = Audience::of(headers) == Audience::Person;
    if inner.keep_fragment && site.is_none() && is_person && !return_to.has_fragment() {
        return fragment::page(inner, select_account, &return_to, came_from);
    }
    let site = site.unwrap_or(came_from);
    if let Some(session) = session.filter(|_| site == Site::Foreign) {
        // Signed in since the page in between was opened. From here a redirect would look like one of this site's own.
        return already_signed_in(inner, headers, session, &return_to, again());
    }
    let flows = inner.cookies.believed_flows(headers);
    let mut cookies = expire_dead_flows(inner, &flows);
    // Unless a page of this site asks, a guard may have sent them here that does not recognise the session.
    if session.is_none() || headers.get(&SEC_FETCH_SITE).is_none_or(|site| site != "same-origin") {
        match Rounds::of(inner, headers).at_login(inner) {
            AtLogin::GoOn => {}
            AtLogin::Count(counted) => cookies.push(counted),
            AtLogin::Stop(reset) => return stop(inner, headers, session, again(), reset),
        }
    }
    match make_room(inner, &flows, site) {
        Ok(evicted) => cookies.extend(evicted),
        Err(error) => {
            let again = again();
            let links = vec![PageLink::new(PageAction::Continue, again.as_str())];
            return failure_with(inner, headers, &error, &Advice { links, login: Some(again), ..Advice::default() });
        }
    }
    let session_before = session.map(|session| *session.id());
    match start(inner, return_to, site, session_before, select_account) {
        Ok((location, cookie)) => {
            let mut response = respond::see_other(&location);
            append_cookies(response.headers_mut(), cookies.into_iter().chain([cookie]));
            response
        }
        Err(error) => failure(inner, headers, &error),
    }
}

/// Another site can't have somebody sign in anew without their own click.
fn already_signed_in(
    inner: &Inner,
    headers: &HeaderMap,
    session: &Session,
    return_to: &ReturnTo,
    again: String,
) -> Response<Bytes> {
    let other = switch_link(inner, return_to);
    let advice = Advice {
        signed_in_as: Some(session.subject().to_owned()),
        links: vec![
            PageLink::new(PageAction::Continue, return_to.as_str()),
            PageLink::new(PageAction::UseAnotherAccount, other),
        ],
        login: Some(again),
        ..Advice::default()
    };
    failure_with(inner, headers, &ErrorKind::AlreadySignedIn.into(), &advice)
}

fn go_on(return_to: &ReturnTo, counted: Option<HeaderValue>) -> Response<Bytes> {
    let mut response = respond::see_other(return_to.as_str());
    append_cookies(response.headers_mut(), counted);
    response
}

/// The page that ends a loop. `reset` starts counting anew, for whoever tries again.
fn stop(
    inner: &Inner,
    headers: &HeaderMap,
    session: Option<&Session>,
    again: String,
    reset: Option<HeaderValue>,
) -> Response<Bytes> {
    let cause = session.map_or_else(|| LikelyCause::of(inner, headers), |_| RECOGNISED_HERE_ONLY);
    let likely_cause = Some(cause.words.replace("{name}", inner.cookies.session_name()));
    let advice = match session {
        None => Advice { likely_cause, ..Advice::sign_in(again) },
        Some(session) => Advice {
            remedy: Some("Nothing is wrong with your account: the operators of this site have to mend it."),
            likely_cause,
            signed_in_as: Some(session.subject().to_owned()),
            links: vec![PageLink::new(PageAction::Home, "/"), PageLink::new(PageAction::SignInAgain, again.as_str())],
            login: Some(again),
            ..Advice::default()
        },
    };
    let error = Error::new(ErrorKind::SignInLoop).with_reason(cause.code);
    let mut response = failure_with(inner, headers, &error, &advice);
    append_cookies(response.headers_mut(), reset);
    response
}

/// Why signing in does not last, as far as the session cookie tells: a code for the log, and words for the page.
struct LikelyCause {
    code: &'static str,
    words: &'static str,
}

const RECOGNISED_HERE_ONLY: LikelyCause = LikelyCause {
    code: "the session is recognised at login and not at the page",
    words: "This server recognises you, but the page that sent you here does not. Probably the servers of this site don't \
            share their keys, or that page is guarded by another SignIn.",
};

impl LikelyCause {
    fn of(inner: &Inner, headers: &HeaderMap) -> Self {
        let session = inner.cookies.scan(headers).session;
        match session.first {
            _ if is_incomplete(&session) => Self {
                code: "a part of the session did not come back",
                words: "Your session takes several cookies, {name}, {name}.1 and so on, and the browser did not send all of \
                        them back. Probably it keeps no more for this site, or something between the browser and this \
                        site takes some away.",
            },
            Found::Nothing => Self {
                code: "the session cookie did not come back",
                words: "The browser did not send the session cookie {name} back. Probably it refuses cookies of this site, \
                        or something between the browser and this site takes them away.",
            },
            Found::One(_) => Self {
                code: "the session cookie can't be accepted here",
                words: "The browser sent a session cookie {name} that this server can't accept. Probably the servers of \
                        this site don't share their keys or the time, or another program sets a cookie of that name.",
            },
            Found::Several => Self {
                code: "two session cookies came",
                words: "The browser sent two session cookies {name}, and this server believes neither. Probably another \
                        program on this host sets a cookie of that name. It helps to delete the cookies of this site.",
            },
        }
    }
}

/// A browser that tells what it is doing must be navigating a top-level window. `empty` is what Firefox once sent for
/// navigations that a service worker preloads.
fn is_navigation(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName, allowed: &[&str]| {
        headers.get(name).is_none_or(|value| allowed.iter().any(|allowed| value == allowed))
    };
    says(&SEC_FETCH_MODE, &["navigate"]) && says(&SEC_FETCH_DEST, &["document", "empty"])
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
fn make_room(inner: &Inner, flows: &[FlowCookie<'_>], site: Site) -> Result<Vec<HeaderValue>, Error> {
    if flows.len() < MOST_FLOWS {
        return Ok(Vec::new());
    }
    let live: Vec<_> = flows
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

/// What must not be guessed.
struct Drawn {
    public: [u8; 8],
    secrets: FlowSecrets,
}

impl Drawn {
    /// In one draw: most of what a draw costs is its beginning.
    fn draw() -> Result<Self, ErrorKind> {
        let mut bytes = Zeroizing::new([0; 8 + FlowSecrets::LENGTH]);
        random(&mut *bytes).map_err(|_| ErrorKind::Internal)?;
        let mut reader = Reader::new(&*bytes);
        let mut drawn = || Some(Self { public: reader.fixed()?, secrets: FlowSecrets::read(&mut reader)? });
        drawn().ok_or(ErrorKind::Internal)
    }
}

/// Draws what must not be guessed; gives the authorization URL and the flow cookie.
fn start(
    inner: &Inner,
    return_to: ReturnTo,
    site: Site,
    session_before: Option<[u8; 16]>,
    select_account: bool,
) -> Result<(Zeroizing<String>, HeaderValue), Error> {
    let Drawn { public, secrets } = Drawn::draw()?;

    let now = unix_seconds(inner.clock.now());
    let state = State::new(now, public, secrets.state());
    let challenge = pkce::code_challenge(pkce::code_verifier(secrets.verifier()).expose_secret());
    let request = AuthorizationRequest::new(&inner.redirect.text, state.as_str(), &challenge);
    let request = if select_account { request.selecting_account() } else { request };
    let location = Zeroizing::new(inner.provider.authorization_url(&request)?);

    let name = inner.cookies.flow_name(state.public());
    let issuer = inner.provider.issuer();
    let flow = Flow {
        secrets,
        started_at: now,
        same_origin: site != Site::Foreign,
        session_before,
        return_to: return_to.shortened(Flow::longest_target(&name, issuer)),
        issuer: issuer.to_owned(),
    };
    let sealed = inner.seal.seal(Purpose::Flow, &name, &flow.encode()).map_err(|_| ErrorKind::Internal)?;
    let cookie = inner.cookies.set(&name, &sealed, FLOW_LIFETIME).ok_or(ErrorKind::Internal)?;
    tracing::debug!(flow_id = %FlowId(state.public()), "sign-in started");
    Ok((location, cookie))
}
