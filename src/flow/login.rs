//! The start of a sign-in: a sealed flow cookie and a redirect to the provider. Nothing is kept on the server, and nothing
//! waited for but what a provider has to [prepare](crate::Provider::prepare).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use secrecy::ExposeSecret as _;
use secrecy::zeroize::Zeroizing;
use tokio::runtime::Handle;

use super::rounds::{AtLogin, Rounds};
use super::{
    FLOW_LIFETIME, Flow, FlowId, FlowSecrets, PROMPT, append_cookies, chooser, expire_dead_flows, failure,
    failure_with, fragment,
};
use super::{RETURN_TO, link, link_with, refuse_method_or_prefetch, respond, target, unavailable};
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::cookies::{FlowCookie, Found};
use crate::error::{Error, ErrorKind};
use crate::oauth::authorize::AuthorizationRequest;
use crate::oauth::callback::singles;
use crate::oauth::pkce;
use crate::oauth::state::State;
use crate::page::{Advice, PageAction, PageLink};
use crate::redirect_uri::is_loopback_host;
use crate::respond::{Audience, SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE};
use crate::return_to::ReturnTo;
use crate::route::Site;
use crate::seal::{Purpose, random};
use crate::session::calls::within_time;
use crate::session::chunks::is_incomplete;
use crate::session::entrance::is_recognised;
use crate::session::presented::{Current, Presented, Told};
use crate::session::{Session, SessionId};
use crate::wire::Reader;

/// At most this many logins wait at once for what their provider has to prepare.
pub(crate) const MOST_WAITING: usize = 1024;

/// More flow cookies than this push the oldest out.
const MOST_FLOWS: usize = 4;

/// Where somebody starts to sign in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry {
    /// At the provider of this place.
    Provider(usize),
    /// Where it is still to be chosen.
    Choice,
}

pub(crate) fn login(
    inner: &Arc<Inner>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    presented: &Presented,
    entry: Entry,
) -> Told<Response<Bytes>> {
    let start = match check(inner, method, uri, headers, presented, entry) {
        Ok(start) => start,
        Err(answer) => return Told::Now(*answer),
    };
    let mounted = inner.providers.at(start.provider);
    if mounted.provider.prepare(mounted.context(&inner.http, &*inner.clock)).is_none() {
        return Told::Now(start.answer(inner, headers));
    }
    if Handle::try_current().is_err() {
        let error = Error::new(ErrorKind::Internal).with_reason("there is no Tokio runtime to ask the provider in");
        return Told::Now(failure(inner, headers, &error));
    }
    let (inner, headers) = (Arc::clone(inner), headers.clone());
    Told::Later(Box::pin(async move {
        let Ok(_permit) = inner.waiting_logins.try_acquire() else {
            let error = Error::new(ErrorKind::TooManyAttempts).with_retry_after(2);
            return failure_with(&inner, &headers, &error, &Advice::reload(start.again(&inner)));
        };
        let mounted = inner.providers.at(start.provider);
        if let Some(preparing) = mounted.provider.prepare(mounted.context(&inner.http, &*inner.clock))
            && let Err(error) = within_time(preparing).await
        {
            return failure_with(&inner, &headers, &error, &Advice::sign_in(start.again(&inner)));
        }
        start.answer(&inner, &headers)
    }))
}

/// A sign-in that may start: every check has passed.
struct Start {
    /// The place of the provider.
    provider: usize,
    return_to: ReturnTo,
    site: Site,
    session_before: Option<SessionId>,
    select_account: bool,
    login_hint: Option<String>,
    /// What goes to the browser besides the flow.
    cookies: Vec<HeaderValue>,
}

fn check(
    inner: &Inner,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    presented: &Presented,
    entry: Entry,
) -> Result<Start, Box<Response<Bytes>>> {
    if let Some(refusal) = refuse_method_or_prefetch(inner, &Method::GET, method, headers) {
        return Err(Box::new(refusal));
    }
    if !is_navigation(headers) {
        return Err(Box::new(failure(inner, headers, &ErrorKind::LoginNotNavigation.into())));
    }
    let asked = [RETURN_TO, PROMPT.0, LOGIN_HINT, fragment::PARAMETER];
    let [return_to, prompt, login_hint, fragment] = singles(uri.query().unwrap_or_default(), asked);
    let return_to = target(inner, return_to.as_deref());
    let select_account = prompt.as_deref() == Some(PROMPT.1);
    // A provider may choose where people sign in by their address, which is not for another site to say.
    let login_hint = login_hint.filter(|hint| Site::of(headers) != Site::Foreign && is_hint(hint));
    let parameters = || {
        let hint = login_hint.as_deref().map(|hint| (LOGIN_HINT, hint));
        hint.into_iter().chain(select_account.then_some(PROMPT))
    };
    let login_path = match entry {
        Entry::Provider(place) => inner.providers.at(place).login.as_str(),
        Entry::Choice => inner.paths.login.as_str(),
    };
    let again = || link_with(login_path, parameters(), &return_to);
    if is_other_loopback_name(inner, uri, headers) {
        return Err(Box::new(respond::see_other(&format!("{}{}", inner.redirect.origin, again()))));
    }
    let came_from = Site::of(headers);
    if let Presented::Unavailable(_) = presented {
        // A sign-in could not be kept either.
        return Err(Box::new(unavailable(inner, headers, again())));
    }
    // Every page turns away what is not recognised, so going on to one would lead back here.
    let session = presented.current().filter(|current| is_recognised(inner, headers, current)).map(Current::session);
    let already = |session| Box::new(already_signed_in(inner, headers, session, login_path, &return_to, again()));
    match session.filter(|_| came_from == Site::Foreign) {
        None => {}
        Some(session) if select_account => return Err(already(session)),
        // The browser carries a fragment over this redirect by itself, and still says that another site began it.
        Some(session) => {
            return Err(Box::new(match Rounds::of(inner, headers).sent_back(inner) {
                AtLogin::Stop(reset) => stop(inner, headers, Some(session), again(), reset),
                AtLogin::Count(counted) => go_on(&return_to, Some(counted)),
                AtLogin::GoOn => go_on(&return_to, None),
            }));
        }
    }
    let site = fragment::answered(fragment.as_deref(), came_from);
    let is_person = Audience::of(headers) == Audience::Person;
    if inner.keep_fragment && site.is_none() && is_person && !return_to.has_fragment() {
        return Err(Box::new(fragment::page(login_path, parameters(), &return_to, came_from)));
    }
    let site = site.unwrap_or(came_from);
    if let Some(session) = session.filter(|_| site == Site::Foreign) {
        // Signed in since the page in between was opened. From here a redirect would look like one of this site's own.
        return Err(already(session));
    }
    let provider = match entry {
        Entry::Provider(place) => place,
        Entry::Choice => {
            let parameters: Vec<_> = parameters().collect();
            return Err(Box::new(chooser::page(inner, headers, &parameters, &return_to)));
        }
    };
    let flows = inner.cookies.believed_flows(headers);
    let mut cookies = expire_dead_flows(inner, &flows);
    // Unless a page of this site asks, a guard may have sent them here that does not recognise the session.
    if session.is_none() || headers.get(&SEC_FETCH_SITE).is_none_or(|site| site != "same-origin") {
        match Rounds::of(inner, headers).at_login(inner) {
            AtLogin::GoOn => {}
            AtLogin::Count(counted) => cookies.push(counted),
            AtLogin::Stop(reset) => return Err(Box::new(stop(inner, headers, session, again(), reset))),
        }
    }
    match make_room(inner, &flows, site) {
        Ok(evicted) => cookies.extend(evicted),
        Err(error) => {
            let again = again();
            let links = vec![PageLink::new(PageAction::Continue, again.as_str())];
            let advice = Advice { links, login: Some(again), ..Advice::default() };
            return Err(Box::new(failure_with(inner, headers, &error, &advice)));
        }
    }
    let session_before = session.map(|session| *session.id());
    let login_hint = login_hint.map(|hint| hint.to_string());
    Ok(Start { provider, return_to, site, session_before, select_account, login_hint, cookies })
}

impl Start {
    fn again(&self, inner: &Inner) -> String {
        let login_path = &inner.providers.at(self.provider).login;
        let hint = self.login_hint.as_deref().map(|hint| (LOGIN_HINT, hint));
        link_with(login_path, hint.into_iter().chain(self.select_account.then_some(PROMPT)), &self.return_to)
    }

    fn answer(self, inner: &Inner, headers: &HeaderMap) -> Response<Bytes> {
        match self.redirect(inner) {
            Ok((location, cookies)) => {
                let mut response = respond::see_other(&location);
                append_cookies(response.headers_mut(), cookies);
                response
            }
            Err(error) => failure(inner, headers, &error),
        }
    }

    /// Draws what must not be guessed; gives the authorization URL and the cookies, that of the flow among them.
    fn redirect(self, inner: &Inner) -> Result<(Zeroizing<String>, impl Iterator<Item = HeaderValue>), Error> {
        let Drawn { public, secrets } = Drawn::draw()?;
        let mounted = inner.providers.at(self.provider);

        let now = unix_seconds(inner.clock.now());
        let state = State::new(now, public, secrets.state());
        let challenge = pkce::code_challenge(pkce::code_verifier(secrets.verifier()).expose_secret());
        let mut request = AuthorizationRequest::new(&mounted.redirect_uri, state.as_str(), &challenge);
        request.select_account = self.select_account;
        request.login_hint = self.login_hint.as_deref();
        let location = Zeroizing::new(mounted.provider.authorization_url(&request)?);

        let name = inner.cookies.flow_name(state.public());
        let issuer = mounted.provider.issuer();
        let flow = Flow {
            secrets,
            started_at: now,
            same_origin: self.site != Site::Foreign,
            session_before: self.session_before,
            return_to: self.return_to.shortened(Flow::longest_target(&name, issuer)),
            issuer: issuer.to_owned(),
        };
        let sealed = inner.seal.seal(Purpose::Flow, &name, &flow.encode()).map_err(|_| ErrorKind::Internal)?;
        let cookie = inner.cookies.set(&name, &sealed, FLOW_LIFETIME).ok_or(ErrorKind::Internal)?;
        tracing::debug!(flow_id = %FlowId(state.public()), "sign-in started");
        Ok((location, self.cookies.into_iter().chain([cookie])))
    }
}

/// The query parameter that tells who the person probably is: OpenID Connect's own (Core section 3.1.2.1).
const LOGIN_HINT: &str = "login_hint";

/// A name or an address, and nothing that could be more.
fn is_hint(hint: &str) -> bool {
    !hint.is_empty() && hint.len() <= 256 && !hint.contains(char::is_control)
}

/// Another site can't have somebody sign in anew without their own click.
fn already_signed_in(
    inner: &Inner,
    headers: &HeaderMap,
    session: &Session,
    login_path: &str,
    return_to: &ReturnTo,
    again: String,
) -> Response<Bytes> {
    let other = link(login_path, Some(PROMPT), return_to);
    let advice = Advice {
        signed_in_as: Some(session.subject().to_owned()),
        signed_in_by: inner.providers.label_among_several(session.issuer()),
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
            signed_in_by: inner.providers.label_among_several(session.issuer()),
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
