//! Sessions that are checked again while they last.

#![allow(missing_docs, reason = "tests")]

mod answers;
mod outage;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Incoming;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::CACHE_CONTROL;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use support::{Browser, navigation, text};
use tower::{Layer as _, ServiceExt as _};
use tower_signin::siwbb::{Asset, OwnershipRequirements, Range};
use tower_signin::{Builder, Identity};

use crate::site::{Answer, NOW, Site, set_cookies, siwbb};

const EVERY: u64 = 900;
const HOUR: u64 = 3600;

/// A site with a claim and an ownership gate, whose sessions are checked again each quarter of an hour.
struct Club {
    site: Site,
    bitbadges: Arc<Mutex<BitBadges>>,
    router: Router,
}

/// What the provider says.
struct BitBadges {
    signed_in: bool,
    claims: u32,
    owns: bool,
    /// What answers in place of all of that.
    fault: Option<Arc<dyn Fn() -> Answer + Send + Sync>>,
}

impl Club {
    /// One that keeps tokens, and so asks all three.
    fn new() -> Self {
        Self::with(Builder::keep_tokens)
    }

    fn with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let badge = OwnershipRequirements::assets([Asset::badges("1", [Range::new(1, 1)])]);
        let provider = siwbb().require_claim("club").require_ownership(badge);
        let month = Duration::from_secs(30 * 24 * HOUR);
        let site = Site::of(provider, site::CALLBACK, |builder| {
            configure(builder.session_lifetime(month).recheck_every(Duration::from_secs(EVERY)))
        });
        let bitbadges = Arc::new(Mutex::new(BitBadges { signed_in: true, claims: 1, owns: true, fault: None }));
        let answering = Arc::clone(&bitbadges);
        site.upstream.answer_by(move |request| answering.lock().unwrap().answer(request));
        let who = |request: Incoming| async move {
            request.extensions().get::<Identity>().map_or("nobody", |_| "bob").to_owned()
        };
        let public = |request: Incoming| async move {
            let identity = request.extensions().get::<Identity>().is_some();
            ([(CACHE_CONTROL, "public, max-age=60")], if identity { "bob" } else { "nobody" })
        };
        let router = Router::new()
            .route("/", get(who))
            .route("/public", get(public))
            .route("/guarded", any(who).layer(site.sign_in.require()));
        Self { site, bitbadges, router }
    }

    async fn signed_in(&self) -> Browser {
        self.site.signed_in().await
    }

    /// The same, and the session is due to be checked.
    async fn due(&self) -> Browser {
        let browser = self.signed_in().await;
        self.advance(EVERY);
        browser
    }

    fn advance(&self, seconds: u64) {
        self.site.clock.advance(Duration::from_secs(seconds));
    }

    fn set(&self, change: impl FnOnce(&mut BitBadges)) {
        change(&mut self.bitbadges.lock().unwrap());
    }

    fn fail(&self, fault: impl Fn() -> Answer + Send + Sync + 'static) {
        self.set(|it| it.fault = Some(Arc::new(fault)));
    }

    fn recover(&self) {
        self.set(|it| it.fault = None);
    }

    /// A request with this browser's cookies; nothing that comes back is kept.
    fn call(
        &self,
        browser: &Browser,
        request: http::request::Builder,
    ) -> impl Future<Output = Response<Bytes>> + Send + 'static {
        let mut request = request.body(Body::empty()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().append(http::header::COOKIE, cookies.parse().unwrap());
        }
        let answer = self.site.sign_in.layer().layer(self.router.clone()).oneshot(request);
        async move {
            let (parts, body) = answer.await.unwrap().into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        }
    }

    async fn get(&self, browser: &mut Browser, path: &str) -> Response<Bytes> {
        let response = self.call(browser, navigation(Method::GET, path, "none")).await;
        browser.keep(&response);
        response
    }

    async fn who(&self, browser: &mut Browser) -> String {
        text(&self.get(browser, "/").await).to_owned()
    }

    /// A fetch of the guarded page: its status and code.
    async fn guarded(&self, browser: &Browser) -> (u16, String) {
        let fetch = Request::get("/guarded").header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty");
        let response = self.call(browser, fetch).await;
        let is_ok = response.status() == 200;
        (response.status().as_u16(), if is_ok { String::new() } else { support::code(&response) })
    }

    /// What was asked of the provider, and forgets it.
    fn asked(&self) -> Vec<&'static str> {
        let requests = self.site.upstream.requests();
        self.site.upstream.forget();
        requests.iter().map(name).collect()
    }
}

fn name(request: &Request<Bytes>) -> &'static str {
    match request.uri().path() {
        "/api/v0/siwbb/token" => "token",
        "/api/v0/siwbb/token/revoke" => "revoke",
        "/api/v0/auth/status" => "status",
        "/api/v0/verifyOwnershipRequirements" => "ownership",
        path if path.starts_with("/api/v0/claims/success/club/") => "claim",
        other => panic!("{other}"),
    }
}

impl BitBadges {
    fn answer(&self, request: &Request<Bytes>) -> Answer {
        let name = name(request);
        if let Some(fault) = self.fault.as_ref().filter(|_| name != "token") {
            return fault();
        }
        let body = match name {
            "token" => {
                let mut pair: serde_json::Value = serde_json::from_str(site::BOB_ANSWER).unwrap();
                pair["access_token_expires_at"] = ((NOW + 240 * HOUR) * 1000).to_string().into();
                pair["refresh_token"] = "rt".into();
                pair
            }
            "status" => {
                let header = request.headers()["authorization"].to_str().unwrap();
                assert!(header.starts_with("Bearer siwbb_at_"), "{header}");
                serde_json::json!({ "signedIn": self.signed_in, "scopes": [], "message": "" })
            }
            "claim" => {
                assert!(request.uri().path().ends_with(site::BOB), "{}", request.uri());
                serde_json::json!({ "successCount": self.claims })
            }
            "ownership" => serde_json::json!({ "success": self.owns }),
            _ => serde_json::json!({}),
        };
        Ok(Response::new(body.to_string().into()))
    }
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Whether the session cookie is among those that a response sets.
fn brings_session(response: &Response<Bytes>) -> bool {
    set_cookies(response).iter().any(|cookie| cookie.starts_with("__Host-signin=") && !cookie.contains("Max-Age=0"))
}
