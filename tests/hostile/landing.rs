//! Every way in which a return target comes back out, and where a browser goes that follows the answer. The judge is the
//! WHATWG parser of the `url` crate.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, SignedIn};
use url::Url;

use crate::site::{CALLBACK, CODE, ORIGIN, Site, query, siwbb};
use crate::support::{Browser, navigation, text};

/// Sites of one origin, and browsers in every state that matters.
pub(crate) struct Landings {
    pub(crate) site: Site,
    /// Its handler at the callback sends people to `SignedIn::return_to`.
    forwarding: Site,
    keeping_fragments: Site,
    loopback: Site,
    signed_in: Browser,
    /// Four sign-ins are under way in it.
    full: Browser,
    /// Where the app was met.
    met: Mutex<HashSet<String>>,
}

impl Landings {
    pub(crate) async fn new() -> Self {
        let site = Site::new();
        let mut full = Browser::new();
        for _ in 0..4 {
            site.start(&mut full, "/").await;
        }
        let mut signed_in = site.signed_in().await;
        // Right after a sign-in, coming back again and again counts as running in circles.
        signed_in.jar.remove("__Host-signin-rounds");
        let keeping_fragments = Site::with(Builder::keep_fragment);
        Self {
            forwarding: Site::with(Builder::forward_callback),
            loopback: Site::of(siwbb(), "http://localhost:3000/api/callback", |builder| builder),
            met: Mutex::default(),
            keeping_fragments,
            site,
            signed_in,
            full,
        }
    }

    /// Where the target leads who is signed in already and comes from another site.
    pub(crate) async fn at_login(&self, target: &str) {
        let login = navigation(Method::GET, &self.site.login(target), "cross-site");
        let response = self.site.visit(&mut self.signed_in.clone(), login).await;
        self.redirects_here(target, "login, signed in", &response).await;
    }

    pub(crate) async fn at_logout(&self, target: &str) {
        let logout = format!("/api/logout?{}", query(&[("return_to", target)]));
        let response = self.site.visit(&mut Browser::new(), navigation(Method::POST, &logout, "same-origin")).await;
        self.redirects_here(target, "logout", &response).await;
    }

    /// Where it leads by the pages that repeat it, and by redirects to login.
    pub(crate) async fn on_pages(&self, target: &str) {
        let login = self.site.login(target);
        let other = format!("{login}&prompt=select_account");
        let page = self.site.visit(&mut self.signed_in.clone(), navigation(Method::GET, &other, "cross-site")).await;
        links_here(target, "signed in already", &page, 403, 2);

        let page = self.site.visit(&mut self.full.clone(), navigation(Method::GET, &login, "cross-site")).await;
        links_here(target, "too many sign-ins", &page, 403, 1);

        let logout = format!("/api/logout?{}", query(&[("return_to", target)]));
        let page =
            self.site.visit(&mut self.signed_in.clone(), Request::post(&logout).header(ACCEPT, "text/html")).await;
        links_here(target, "sign out?", &page, 403, 2);

        let page = self.keeping_fragments.visit(&mut Browser::new(), navigation(Method::GET, &login, "none")).await;
        // What has a fragment already needs none.
        if page.status() == 200 || !target.contains('#') {
            links_here(target, "the page in between", &page, 200, 3);
        }

        let request = navigation(Method::GET, &login, "none").header("host", "127.0.0.1:3000");
        let response = self.loopback.visit(&mut Browser::new(), request).await;
        let place = response.headers()[LOCATION].to_str().unwrap();
        let place = place.strip_prefix("http://localhost:3000").unwrap_or_else(|| panic!("{target:?}: {place}"));
        stays(target, "another loopback name", place);

        for url in [self.site.sign_in.login_url(target), self.site.sign_in.switch_account_url(target)] {
            stays(target, "SignIn::login_url", &url);
        }

        // Where it can be the address of a request at all, a guard is asked for that address.
        if let Some(path) = target.strip_prefix(ORIGIN).unwrap_or(target).parse::<PathAndQuery>().ok()
            && path.as_str().starts_with('/')
        {
            let inner = service_fn(|_: Request<Bytes>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("inner")))
            });
            let guarded = self.site.sign_in.layer().layer(self.site.sign_in.require().layer(inner));
            let request = navigation(Method::GET, "/", "none").uri(path.as_str()).body(Bytes::new()).unwrap();
            if !["/api/login", "/api/callback", "/api/logout"].contains(&request.uri().path()) {
                let response = guarded.oneshot(request).await.unwrap();
                assert_eq!(response.status(), 303, "{target:?}");
                stays(target, "a guard", response.headers()[LOCATION].to_str().unwrap());
            }
        }
    }

    /// Where it leads at the end of a sign-in, and by the pages that a sign-in can come to.
    pub(crate) async fn by_signing_in(&self, target: &str) {
        let site = &self.site;
        let mut browser = Browser::new();
        let started = site.start(&mut browser, target).await;
        let before = browser.clone();
        let callback = site.get(&mut browser, &started.callback(CODE)).await;
        self.redirects_here(target, "callback", &callback).await;
        let reload = site.visit(&mut browser.clone(), navigation(Method::GET, &started.callback(CODE), "none")).await;
        self.redirects_here(target, "callback, again", &reload).await;
        browser.jar.extend(before.jar);
        let other_code =
            site.visit(&mut browser.clone(), navigation(Method::GET, &started.callback("x"), "none")).await;
        links_here(target, "another code", &other_code, 400, 2);

        let mut browser = Browser::new();
        let started = site.start(&mut browser, target).await;
        let declined = format!("/api/callback?error=access_denied&state={}", started.state);
        let page = site.visit(&mut browser.clone(), navigation(Method::GET, &declined, "none")).await;
        links_here(target, "declined", &page, 403, 1);
        let problem =
            site.visit(&mut browser.clone(), Request::get(&declined).header(ACCEPT, "application/json")).await;
        let problem: serde_json::Value = serde_json::from_str(text(&problem)).unwrap();
        let login_url = problem["login_url"].as_str().unwrap();
        stays(
            target,
            "login_url of a problem",
            login_url.strip_prefix(ORIGIN).unwrap_or_else(|| panic!("{login_url}")),
        );

        let handler = service_fn(|request: Request<Bytes>| async move {
            let signed_in = request.extensions().get::<SignedIn>().expect("a forwarded callback");
            let response = Response::builder().status(303).header(LOCATION, signed_in.return_to());
            Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
        });
        let mut browser = Browser::new();
        let started = self.forwarding.start(&mut browser, target).await;
        let request =
            navigation(Method::GET, &started.callback(CODE), "none").header(COOKIE, browser.cookie_header().unwrap());
        let service = self.forwarding.sign_in.layer().layer(handler);
        let response = service.oneshot(request.body(Bytes::new()).unwrap()).await.unwrap();
        self.redirects_here(target, "forward", &collected(response).await).await;
    }

    /// A browser that follows this stays here, and meets the app: another answer of ours could lead back to this one.
    async fn redirects_here(&self, target: &str, place: &str, response: &Response<Bytes>) {
        assert_eq!(response.status(), 303, "{target:?} at {place}");
        let locations: Vec<_> = response.headers().get_all(LOCATION).iter().collect();
        assert_eq!(locations.len(), 1, "{target:?} at {place}");
        no_header_is_made(target, place, response);
        let resolved = stays(target, place, locations[0].to_str().unwrap());
        let path = &resolved[url::Position::BeforePath..url::Position::AfterQuery];
        if self.met.lock().unwrap().insert(path.to_owned()) {
            let calls = self.site.inner_calls();
            self.site.visit(&mut Browser::new(), navigation(Method::GET, path, "none")).await;
            let met = self.site.inner_calls() - calls;
            assert_eq!(met, 1, "{target:?} at {place} leads to an answer of ours: {resolved}");
        }
    }
}

/// The target leads nowhere else by anything that this page has a browser follow: by itself, at a click, or by a form.
fn links_here(target: &str, place: &str, page: &Response<Bytes>, status: u16, links: usize) {
    assert_eq!(page.status(), status, "{target:?} at {place}");
    assert!(!page.headers().contains_key(LOCATION), "{target:?} at {place}");
    no_header_is_made(target, place, page);
    let mut found = 0;
    for before in ["href=\"", "action=\"", "data-next=\"", "content=\"0;url="] {
        for after in text(page).split(before).skip(1) {
            let (address, _) = after.split_once('"').expect("the end of the attribute");
            let address =
                ["&lt;<", "&gt;>", "&quot;\"", "&#39;'", "&amp;&"].iter().fold(address.to_owned(), |text, pair| {
                    let (entity, character) = pair.split_at(pair.len() - 1);
                    text.replace(entity, character)
                });
            stays(target, place, &address);
            found += 1;
        }
    }
    assert_eq!(found, links, "{target:?} at {place}: {}", text(page));
    let lower = text(page).to_ascii_lowercase();
    let tags = lower.matches("<a ").count() + lower.matches("<form ").count();
    assert!(tags <= links, "{target:?} at {place} made markup: {lower}");
}

/// As a browser resolves it, the address is on this site, and so is the return target in it.
pub(crate) fn stays(target: &str, place: &str, address: &str) -> Url {
    let what = || format!("{target:?} at {place} became {address:?}");
    assert!(address.bytes().all(|byte| byte.is_ascii_graphic()), "{}", what());
    assert!(address.starts_with('/'), "{}", what());
    let resolved = Url::parse(CALLBACK).unwrap().join(address).unwrap_or_else(|error| panic!("{}: {error}", what()));
    assert_eq!(resolved.origin().ascii_serialization(), ORIGIN, "{}", what());
    assert_eq!((resolved.username(), resolved.password()), ("", None), "{}", what());
    // The next redirect that repeats this path would leave.
    assert!(!resolved.path().starts_with("//"), "{}", what());
    if ["/api/login", "/api/logout"].contains(&resolved.path()) {
        let is_inside = place.ends_with("inside");
        assert!(!is_inside, "a target that leads back to us: {}", what());
        for (name, value) in resolved.query_pairs() {
            if name == "return_to" {
                stays(target, &format!("{place}, inside"), &value);
            }
        }
    }
    assert_ne!(resolved.path(), "/api/callback", "{}", what());
    resolved
}

fn no_header_is_made(target: &str, place: &str, response: &Response<Bytes>) {
    for cookie in response.headers().get_all(SET_COOKIE) {
        assert!(cookie.as_bytes().starts_with(b"__Host-signin"), "{target:?} at {place}: {cookie:?}");
    }
}

async fn collected<B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>>(response: Response<B>) -> Response<Bytes> {
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}
