//! Whole lives of browsers: any requests in any order, with what earlier answers gave them, changed or not.

use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response};
use tower_signin::{Builder, ErrorKind, HttpErrorKind, MemoryStore};

use crate::site::{BOB, CALLBACK, Site, parameter, siwbb};
use crate::support::{Browser, location};
use crate::{FROM_THE_APP, KEYS, SESSION, app, assert_no_foreign_location, assert_private, keys, read, through};

#[derive(Arbitrary, Debug)]
struct Life {
    /// Which settings, see [`Life::site`].
    settings: u8,
    visits: Vec<Visit>,
}

#[derive(Arbitrary, Debug)]
struct Visit {
    method: u8,
    path: u8,
    /// What the provider answers.
    provider: u8,
    /// How long after the last one.
    later: u8,
    /// Whether the browser's own cookies come.
    has_jar: bool,
    query: Vec<Parameter>,
    headers: Vec<[u8; 2]>,
    cookies: Vec<Cookie>,
}

#[derive(Arbitrary, Debug)]
struct Parameter {
    name: u8,
    value: u8,
    change: Change,
}

/// A name and a value of cookies that came before.
#[derive(Arbitrary, Debug)]
struct Cookie {
    name: u8,
    value: u8,
    change: Change,
}

#[derive(Arbitrary, Debug)]
struct Change {
    kind: u8,
    at: u16,
}

#[rustfmt::skip]
const PATHS: [&str; 10] = [
    "/", "/api/login", "/api/callback", "/api/logout", "//api/login", "/api/callback/", "/api/%63allback", "/me?x=1",
    "https://evil.example/api/login", "/api/../api/login",
];
const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "CONNECT", "TRACE", "get"];
const PARAMETERS: [&str; 8] = ["code", "state", "error", "iss", "return_to", "prompt", "token", "fragment"];
#[rustfmt::skip]
const VALUES: [&str; 11] = [
    "good", "/target#part", "//evil.example", "/\\evil.example", "access_denied", "temporarily_unavailable",
    "https://bitbadges.io", "select_account", "read", "\r\n", "",
];
#[rustfmt::skip]
const HEADERS: [&str; 11] = [
    "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-purpose", "accept", "origin", "referer", "host",
    "x-forwarded-host", "x-request-id", "connection",
];
#[rustfmt::skip]
const HEADER_VALUES: [&str; 12] = [
    "same-origin", "navigate", "document", "cross-site", "none", "prefetch", "text/html", "https://example.com",
    "https://evil.example/", "evil.example", "null", "<script>\"'",
];
/// Seconds. A flow lasts for 600 of them, a session for a day.
const LATER: [u64; 8] = [0, 1, 0, 59, 599, 4000, 40_000, 86_400];
const DAY: u64 = 86_400;
const TOKENS: &str = r#"{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH",
    "bitbadgesAddress":"bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue","verificationResponse":{"success":true},
    "access_token":"siwbb_at_7d2e9f4a","token_type":"Bearer","access_token_expires_at":"1788825600000",
    "refresh_token":"siwbb_rt_2b9c4d7e","refresh_token_expires_at":1793923200000}"#;

/// A sign-in that was started: its state, and its flow cookie.
struct Flow {
    state: String,
    cookie: (String, String),
    started_at: u64,
    is_redeemed: bool,
}

/// What has happened so far.
struct World {
    site: Site,
    /// Sessions are in a store, so that one which was signed out of is over.
    is_stored: bool,
    /// Sessions are checked and refreshed, which asks the provider.
    asks_again: bool,
    is_forward: bool,
    browser: Browser,
    seconds: u64,
    flows: Vec<Flow>,
    /// The values of session cookies, and when people signed in.
    sessions: Vec<(String, u64)>,
    /// Every cookie that was ever set.
    seen: Vec<(String, String)>,
    has_provider_failed: bool,
}

impl World {
    fn new(settings: u8) -> Self {
        let (is_forward, is_stored, asks_again) = (settings % 4 == 1, settings % 4 == 2, settings % 4 == 3);
        let configure = |builder: Builder| {
            let builder = builder.keys(keys(KEYS));
            match settings % 4 {
                1 => builder.forward_callback(),
                2 => builder.session_store(MemoryStore::new()).clear_site_data(),
                3 => builder.keep_tokens().recheck_every(Duration::from_secs(60)),
                _ => builder.keep_fragment().hide_cookies(),
            }
        };
        let provider = if asks_again { siwbb().require_claim("claim_demo_01") } else { siwbb() };
        Self {
            site: Site::of(provider, CALLBACK, configure),
            is_stored,
            asks_again,
            is_forward,
            browser: Browser::new(),
            seconds: 0,
            flows: Vec::new(),
            sessions: Vec::new(),
            seen: vec![(SESSION.to_owned(), "x".to_owned())],
            has_provider_failed: false,
        }
    }

    /// The provider takes a code, or has one of its bad days.
    fn tell_provider(&mut self, provider: u8) {
        self.has_provider_failed |= !provider.is_multiple_of(8);
        self.site.upstream.answer_by(move |request| {
            let (status, body) = match (provider % 8, request.uri().path()) {
                (1, _) => return Err(HttpErrorKind::Unreachable),
                (2, _) => (500, "{}"),
                (3, _) => (401, r#"{"verificationResponse":{"success":false}}"#),
                (4, _) => (400, "<script>"),
                (5, _) => (429, ""),
                (6, "/api/v0/auth/status") => (200, r#"{"signedIn":false}"#),
                (7, path) if path.starts_with("/api/v0/claims") => (200, r#"{"successCount":0}"#),
                (_, "/api/v0/auth/status") => (200, r#"{"signedIn":true}"#),
                (_, path) if path.starts_with("/api/v0/claims") => (200, r#"{"successCount":"1"}"#),
                _ => (200, TOKENS),
            };
            Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
        });
    }

    fn query(&self, parameters: &[Parameter]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for parameter in parameters.iter().take(6) {
            let value = match usize::from(parameter.value) {
                newest @ 0..3 => self.flows.iter().rev().nth(newest).map_or("", |flow| &flow.state),
                other => VALUES[other % VALUES.len()],
            };
            query.append_pair(PARAMETERS[usize::from(parameter.name) % PARAMETERS.len()], &parameter.change.of(value));
        }
        query.finish()
    }

    fn cookies(&self, visit: &Visit) -> Vec<(String, String)> {
        let mut cookies = Vec::new();
        if visit.has_jar {
            cookies.extend(self.browser.jar.clone());
        }
        for cookie in visit.cookies.iter().take(4) {
            let (name, _) = &self.seen[usize::from(cookie.name) % self.seen.len()];
            let (_, value) = &self.seen[usize::from(cookie.value) % self.seen.len()];
            cookies.push((name.clone(), cookie.change.of(value)));
        }
        cookies
    }

    /// The flow that a request proves to hold: its state, and its cookie once.
    fn proven(&self, request: &Request<Bytes>, cookies: &[(String, String)]) -> Option<usize> {
        let pairs: Vec<_> = url::form_urlencoded::parse(request.uri().query()?.as_bytes()).collect();
        let [state] = pairs.iter().filter(|(name, _)| name == "state").map(|(_, value)| value).collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let index = self.flows.iter().position(|flow| flow.state == **state)?;
        let flow = &self.flows[index];
        let is_held = only(cookies, &flow.cookie.0) == Some(&flow.cookie.1);
        let is_callback = request.method() == Method::GET && request.uri().path() == "/api/callback";
        (is_held && is_callback && self.seconds < flow.started_at + 600).then_some(index)
    }

    /// When the person signed in whose session a request brings.
    fn session(&self, cookies: &[(String, String)]) -> Option<u64> {
        let value = only(cookies, SESSION)?;
        let (_, at) = self.sessions.iter().find(|(session, _)| session == value)?;
        Some(*at).filter(|at| self.seconds < at + DAY)
    }

    fn visit(&mut self, visit: &Visit) -> bool {
        self.seconds += LATER[usize::from(visit.later) % LATER.len()];
        self.site.clock.set(SystemTime::UNIX_EPOCH + Duration::from_secs(crate::START + self.seconds));
        self.tell_provider(visit.provider);
        let path = PATHS[usize::from(visit.path) % PATHS.len()];
        let joint = if path.contains('?') { '&' } else { '?' };
        let cookies = self.cookies(visit);
        let mut request = Request::builder()
            .method(METHODS[usize::from(visit.method) % METHODS.len()])
            .uri(format!("{path}{joint}{}", self.query(&visit.query)))
            .body(Bytes::new())
            .unwrap();
        let header = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        request.headers_mut().insert(COOKIE, HeaderValue::from_bytes(header.as_bytes()).unwrap());
        for [name, value] in visit.headers.iter().take(6) {
            let value = HeaderValue::from_static(HEADER_VALUES[usize::from(*value) % HEADER_VALUES.len()]);
            request.headers_mut().append(HEADERS[usize::from(*name) % HEADERS.len()], value);
        }
        let proven = self.proven(&request, &cookies);
        let session = self.session(&cookies);
        let response = through(&self.site, app(), request.clone());
        self.check_network(proven, session);
        self.check_answer(&request, &response, proven, session);
        self.learn(&request, &response, &cookies, proven, session)
    }

    /// Nothing is asked before a state has passed, and a state is redeemed once; or a session asks for itself.
    fn check_network(&mut self, proven: Option<usize>, session: Option<u64>) {
        let requests = self.site.upstream.requests();
        self.site.upstream.forget();
        let is_exchange = |request: &&Request<Bytes>| request.body().windows(18).any(|it| it == b"authorization_code");
        let exchanges = requests.iter().filter(is_exchange).count();
        match proven.and_then(|index| self.flows.get_mut(index)) {
            Some(flow) if exchanges > 0 => {
                assert!(exchanges == 1 && !flow.is_redeemed, "{exchanges} exchanges of one state");
                flow.is_redeemed = true;
            }
            _ => {
                assert_eq!(exchanges, 0, "an exchange without a state");
                assert!(requests.is_empty() || (self.asks_again && session.is_some()), "{requests:?}");
            }
        }
    }

    fn check_answer(
        &self,
        request: &Request<Bytes>,
        response: &Response<Bytes>,
        proven: Option<usize>,
        session: Option<u64>,
    ) {
        assert_no_foreign_location(response);
        let body = String::from_utf8_lossy(response.body());
        assert!(!self.flows.iter().any(|flow| body.contains(&flow.state[26..])), "a state is shown");
        let is_forwarded = self.is_forward && proven.is_some_and(|index| self.flows[index].is_redeemed);
        if response.headers().contains_key(FROM_THE_APP) {
            let is_somebody = session.is_some() || is_forwarded;
            assert!(body == "nobody" || (is_somebody && body == BOB), "{body} for {request:?}");
        } else {
            assert_private(response);
            // But for the page that saves a fragment.
            assert!(response.status() == 200 || !body.contains("<script>"), "{body}");
        }
        let kind = response.extensions().get::<ErrorKind>();
        match response.status().as_u16() {
            200 if !response.headers().contains_key(FROM_THE_APP) => {
                assert!(request.uri().path() == "/api/login" && kind.is_none(), "{kind:?}");
            }
            503 if kind == Some(&ErrorKind::Prefetch) => {}
            503 if kind == Some(&ErrorKind::ProviderBusy) && proven.is_some() => {}
            502 if kind == Some(&ErrorKind::AuthorizationFailed) && proven.is_some() => {}
            502..=503 => {
                let asked = proven.is_some() || (self.asks_again && session.is_some());
                assert!(self.has_provider_failed && asked, "{kind:?} for {request:?}");
            }
            status => assert!(status < 500, "{kind:?} for {request:?}"),
        }
        if response.headers().get_all(SET_COOKIE).iter().count() > 0 {
            let cached = response.headers()[CACHE_CONTROL].to_str().unwrap();
            assert!(cached.contains("no-store") || cached.contains("private"), "{cached}");
        }
    }

    /// Takes in what an answer gives. Tells whether somebody signed in.
    fn learn(
        &mut self,
        request: &Request<Bytes>,
        response: &Response<Bytes>,
        cookies: &[(String, String)],
        proven: Option<usize>,
        session: Option<u64>,
    ) -> bool {
        let mut given = Browser::new();
        given.keep(response);
        self.browser.keep(response);
        self.seen.extend(given.jar.clone());
        let is_login = request.uri().path() == "/api/login" && response.status() == 303;
        if is_login && location(response).starts_with("https://bitbadges.io/") {
            let state = parameter(&location(response), "state");
            let cookie = given.jar.iter().find(|(name, _)| name.contains("-flow-")).expect("a flow cookie");
            let cookie = (cookie.0.clone(), cookie.1.clone());
            self.flows.push(Flow { state, cookie, started_at: self.seconds, is_redeemed: false });
        }
        if request.uri().path() == "/api/logout" && response.status() == 303 && self.is_stored {
            self.sessions.retain(|(value, _)| only(cookies, SESSION) != Some(value));
        }
        let Some(value) = given.jar.get(SESSION) else { return false };
        let signed_in_at = if proven.is_some() { self.seconds } else { session.expect("a session to seal anew") };
        self.sessions.push((value.clone(), signed_in_at));
        proven.is_some()
    }
}

impl Change {
    /// Places are counted from the end, where the secret part of a value is.
    fn of(&self, value: &str) -> String {
        let mut value = value.to_owned();
        let Some(at) = value.len().checked_sub(1 + usize::from(self.at)) else { return value };
        match self.kind % 8 {
            5 => value.insert(at, 'A'),
            6 => value.truncate(at),
            7 => value.replace_range(at..=at, "A"),
            _ => {}
        }
        value
    }
}

/// The value of the only cookie with this name.
fn only<'a>(cookies: &'a [(String, String)], name: &str) -> Option<&'a String> {
    let mut values = cookies.iter().filter(|(other, _)| other == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

pub fn run(data: &[u8]) -> bool {
    let Some(life) = read::<Life>(data) else { return false };
    let mut world = World::new(life.settings);
    life.visits.iter().take(16).filter(|visit| world.visit(visit)).count() > 0
}
