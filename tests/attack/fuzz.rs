//! Requests at random, made of pieces of good ones, against all that must hold whatever comes.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, COOKIE, LOCATION, REFERRER_POLICY};
use http::{HeaderValue, Method, Request, Response, Uri};
use url::Url;

use crate::inner::{FROM_THE_APP, shown, take_good_codes};
use crate::random::{Random, rounds};
use crate::site::{CALLBACK, Site, set_cookies, siwbb};
use crate::support::{Browser, code, text};

#[tokio::test]
async fn fuzz_the_whole_layer() {
    let rounds = rounds(120_000) / 3;
    fuzz(CALLBACK, "__Host-signin", false, rounds).await;
    fuzz(CALLBACK, "__Host-signin", true, rounds).await;
    fuzz("http://localhost:3000/api/callback", "signin-3000", false, rounds).await;
}

async fn fuzz(callback: &str, session_cookie: &str, forward: bool, rounds: usize) {
    let mut fuzz = Fuzz::new(callback, session_cookie, forward).await;
    for round in 0..rounds {
        if round % 50 == 0 {
            fuzz.start().await;
        }
        if let Some((case, request)) = fuzz.make() {
            let response = shown(&fuzz.site, request).await;
            fuzz.check(&case, &response);
        }
    }
    let expected = [200, 303, 400, 403, 405, 502, 503];
    assert!(expected.iter().all(|status| fuzz.statuses.contains(status)), "too tame: {:?}", fuzz.statuses);
    assert!(fuzz.redeemed > rounds / 1000 && fuzz.sessions.len() > 5, "too tame: {} exchanges", fuzz.redeemed);
}

struct Fuzz {
    site: Site,
    session_cookie: String,
    origin: String,
    forward: bool,
    random: Random,
    /// The newest flows that were started.
    flows: Vec<Flow>,
    /// The states that no exchange was made for.
    unused: HashSet<String>,
    sessions: Vec<String>,
    /// A good session of another site.
    alien: String,
    redeemed: usize,
    statuses: BTreeSet<u16>,
}

#[derive(Clone)]
struct Flow {
    cookie: String,
    value: String,
    state: String,
}

/// A request, and what is good in it.
struct Case {
    what: String,
    path: String,
    flow: Flow,
    cookies: String,
    /// The state and its cookie are the flow's own.
    has_state: bool,
    has_session: bool,
}

impl Fuzz {
    async fn new(callback: &str, session_cookie: &str, forward: bool) -> Self {
        let configure = |builder: tower_signin::Builder| if forward { builder.forward_callback() } else { builder };
        let site = Site::of(siwbb(), callback, configure);
        let mut browser = Browser::new();
        site.complete(&mut browser, "/").await;
        site.upstream.forget();
        take_good_codes(&site);
        Self {
            site,
            session_cookie: session_cookie.to_owned(),
            origin: Url::parse(callback).unwrap().origin().ascii_serialization(),
            forward,
            random: Random::new(u64::from(forward)),
            flows: Vec::new(),
            unused: HashSet::new(),
            sessions: vec![browser.jar[session_cookie].clone()],
            alien: Site::new().signed_in().await.jar["__Host-signin"].clone(),
            redeemed: 0,
            statuses: BTreeSet::new(),
        }
    }

    async fn start(&mut self) {
        self.site.clock.advance(Duration::from_secs(1));
        let mut browser = Browser::new();
        let started = self.site.start(&mut browser, "/target").await;
        let (cookie, value) = browser.jar.pop_first().unwrap();
        self.unused.insert(started.state.clone());
        self.flows.push(Flow { cookie, value, state: started.state });
        if self.flows.len() > 6 {
            self.flows.remove(0);
        }
    }

    /// `None` where the pieces make no request.
    fn make(&mut self) -> Option<(Case, Request<Bytes>)> {
        let flow = self.flows[self.random.below(self.flows.len())].clone();
        let method = Method::from_bytes(self.random.pick(&METHODS).as_bytes()).ok()?;
        let path = self.random.pick(&PATHS);
        let query = self.query(&flow);
        let uri: Uri = if path == "*" { path.parse().ok()? } else { format!("{path}?{query}").parse().ok()? };
        let arrived = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "state")
            .is_some_and(|(_, state)| state == flow.state);
        let (cookies, has_session) = self.cookies(&flow);
        let mut request = Request::builder().method(&method).uri(&uri);
        request = request.header(COOKIE, HeaderValue::from_bytes(cookies.as_bytes()).ok()?);
        for header in HEADERS {
            if self.random.one_in(3) {
                request = request.header(header, self.random.pick(&VALUES));
            }
        }
        let case = Case {
            what: format!("{method} {uri} with {cookies:?}"),
            path: uri.path().to_owned(),
            flow,
            cookies,
            has_state: arrived,
            has_session,
        };
        Some((case, request.body(Bytes::new()).unwrap()))
    }

    fn query(&mut self, flow: &Flow) -> String {
        let random = &mut self.random;
        let state = random.mutate(&flow.state);
        let code = random.mutate("good");
        let mut parameters = Vec::new();
        for _ in 0..random.below(4) {
            parameters.push(match random.below(9) {
                0 => format!("return_to={}", random.mutate("/me?x=1")),
                1 => format!("error={}", random.pick(&["access_denied", "x", "", "temporarily_unavailable", "%0d%0a"])),
                2 => format!("iss={}", random.pick(&["https://bitbadges.io", "x", ""])),
                3 => format!("st%61te={state}"),
                4 => format!("code={code}"),
                5 => random.mutate("a=b&c"),
                6 => format!("state={state}"),
                _ => String::new(),
            });
        }
        if !random.one_in(3) {
            parameters.push(format!("code={code}"));
            parameters.push(format!("state={state}"));
        }
        parameters.join("&")
    }

    /// A `Cookie` header, and whether one good session and no other is in it.
    fn cookies(&mut self, flow: &Flow) -> (String, bool) {
        let random = &mut self.random;
        let mut cookies = Vec::new();
        let (mut good, mut all) = (0, 0);
        if !random.one_in(3) {
            cookies.push(format!("{}={}", random.mutate(&flow.cookie), random.mutate(&flow.value)));
        }
        for _ in 0..random.below(3) {
            let session = &self.sessions[random.below(self.sessions.len())];
            let value = match random.below(5) {
                0 => session.clone(),
                1 => self.alien.clone(),
                2 => flow.value.clone(),
                _ => random.mutate(session),
            };
            all += 1;
            // White space around a value is trimmed, as browsers trim it in Set-Cookie.
            good += usize::from(self.sessions.iter().any(|session| session == value.trim()));
            cookies.push(format!("{}={value}", self.session_cookie));
        }
        cookies.push(random.mutate("x=y; \"a;b\"=c; ; ="));
        (cookies.join(random.pick(&["; ", ";", ";;", " ; \t"])), (good, all) == (1, 1))
    }

    fn check(&mut self, case: &Case, response: &Response<Bytes>) {
        self.statuses.insert(response.status().as_u16());
        let what = &case.what;
        self.check_exchange(case);
        if response.status().is_server_error() {
            let expected = ["exchange_rejected", "authorization_failed", "provider_busy", "prefetch_refused"];
            assert!(expected.contains(&code(response).as_str()), "{} for {what}", code(response));
        }
        if response.headers().contains_key(FROM_THE_APP) {
            self.check_shown(case, response);
        } else {
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{what}");
            assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer", "{what}");
            let body = text(response);
            assert!(!body.contains("<script") && !body.contains(&case.flow.state), "{what}: {body}");
        }
        if let Some(place) = response.headers().get(LOCATION) {
            let place = place.to_str().unwrap();
            let resolved = Url::parse(&self.origin).unwrap().join(place).unwrap();
            let is_here = resolved.origin().ascii_serialization() == self.origin;
            let is_there = place.starts_with("https://bitbadges.io/siwbb/authorize?client_id=app_demo_01&");
            assert!(is_here || is_there, "{place} for {what}");
        }
        for set in set_cookies(response) {
            let (name, value) = set.split_once('=').unwrap();
            assert!(name.starts_with(&self.session_cookie), "{set} for {what}");
            if name == self.session_cookie && !set.contains("Max-Age=0") {
                assert!(case.path == "/api/callback" && case.has_state, "{set} for {what}");
                self.sessions.push(value.split(';').next().unwrap().to_owned());
            }
        }
        for (name, value) in response.headers() {
            assert!(value.as_bytes().iter().all(|byte| *byte >= b' ' || *byte == b'\t'), "{name} for {what}");
        }
    }

    /// The provider hears of a whole state with its own flow cookie, once.
    fn check_exchange(&mut self, case: &Case) {
        let what = &case.what;
        let sent = self.site.upstream.requests().len();
        if sent == 0 {
            return;
        }
        assert_eq!((sent, case.path.as_str()), (1, "/api/callback"), "{what}");
        assert!(case.has_state, "{what}");
        let tight: String = case.cookies.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        assert!(tight.contains(&format!("{}={}", case.flow.cookie, case.flow.value)), "{what}");
        assert!(self.unused.remove(&case.flow.state), "a second exchange for {what}");
        self.redeemed += 1;
        self.site.upstream.forget();
    }

    fn check_shown(&self, case: &Case, response: &Response<Bytes>) {
        let what = &case.what;
        let seen = text(response);
        let is_callback = self.forward && case.path == "/api/callback" && case.has_state;
        if !seen.starts_with("nobody|") {
            assert!(case.has_session || is_callback, "{what}: {seen}");
        }
        if seen.split('|').nth(1) == Some("true") {
            assert!(is_callback, "{what}: {seen}");
            assert!(!seen.contains(&case.flow.state), "{what}: {seen}");
        } else {
            assert_eq!(response.headers()[CACHE_CONTROL], "public, max-age=3600", "{what}");
            assert_eq!(set_cookies(response), [""; 0], "{what}: on an answer that any cache stores");
        }
    }
}

const METHODS: [&str; 21] = [
    "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "POST", "POST", "HEAD",
    "OPTIONS", "PUT", "TRACE", "CONNECT", "get", "BREW",
];

#[rustfmt::skip]
const PATHS: [&str; 24] = [
    "/api/login", "/api/login", "/api/callback", "/api/callback", "/api/callback", "/api/callback", "/api/callback",
    "/api/callback", "/api/callback", "/api/callback", "/api/logout", "/api/logout", "/", "/", "//api/callback",
    "/api/callback/", "/api/%63allback", "/api/../api/login", "*", "/api/login;x", "/API/LOGIN",
    "https://evil.example/api/callback", "http://localhost:3000/api/login", "/api/login%00",
];

#[rustfmt::skip]
const HEADERS: [&str; 9] = [
    "host", "origin", "referer", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-purpose", "accept",
    "x-forwarded-host",
];

#[rustfmt::skip]
const VALUES: [&str; 15] = [
    "evil.example", "127.0.0.1:3000", "https://example.com", "null", "same-origin", "cross-site", "none", "navigate",
    "document", "prefetch", "text/html", "cors", "image", "localhost:3000", "",
];
