//! How long sessions last: their ends and renewals, caches, slow responses, new keys, and who waits for the end.

#![allow(missing_docs, reason = "tests")]

mod caches;
mod ended;
mod late;
mod lifetimes;
mod rotation;
#[path = "../support/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Identity, Keys, SignIn};

use crate::site::{BOB, NOW, Site, deleted, set_cookies};
use crate::support::{Browser, navigation, text};

const SESSION: &str = "__Host-signin";

/// What a visit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Visit {
    /// Signed in, and no cookie came.
    Kept,
    /// Signed in, and the cookie came anew for so many seconds.
    Renewed(u64),
    /// Nobody, and the cookie is deleted.
    Over,
    /// Nobody, and the cookie stays.
    Ignored,
}

/// So many seconds after the start of the test.
fn at(second: i64) -> SystemTime {
    let start = UNIX_EPOCH + Duration::from_secs(NOW);
    let distance = Duration::from_secs(second.unsigned_abs());
    if second < 0 { start - distance } else { start + distance }
}

/// Opens a page at that second of the test, and keeps the cookies that come.
async fn visit(site: &Site, browser: &mut Browser, second: i64) -> Visit {
    site.clock.set(at(second));
    open(site, browser).await
}

async fn open(site: &Site, browser: &mut Browser) -> Visit {
    let response = site.get(browser, "/").await;
    let cookies = set_cookies(&response);
    match (text(&response), cookies.as_slice()) {
        (BOB, []) => Visit::Kept,
        (BOB, [cookie]) => Visit::Renewed(max_age(cookie)),
        ("nobody", []) => Visit::Ignored,
        ("nobody", [cookie]) if *cookie == deleted(SESSION) => Visit::Over,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn max_age(cookie: &str) -> u64 {
    let (_, seconds) = cookie.split_once("; Max-Age=").expect("a Max-Age");
    seconds.parse().expect("whole seconds, and nothing after them")
}

/// A ring of keys by their numbers, first the one that seals.
fn ring(numbers: &[u8]) -> Keys {
    let keys: Vec<_> = numbers.iter().map(|number| URL_SAFE_NO_PAD.encode([[*number; 16], [0; 16]].concat())).collect();
    Keys::parse(&keys.join(",")).unwrap()
}

/// An inner service that answers by who is signed in.
fn inner<F>(answer: impl Fn(Option<Identity>) -> F + Clone + Send + Sync + 'static) -> Inner
where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    BoxCloneSyncService::new(service_fn(move |request: Request<Bytes>| {
        let response = answer(request.extensions().get().cloned());
        async move { Ok(response.await) }
    }))
}

type Inner = BoxCloneSyncService<Request<Bytes>, Response<Full<Bytes>>, Infallible>;

/// Sends a navigation with these cookies through a layer to `inner`; nothing that comes is kept.
fn through(
    sign_in: &SignIn,
    inner: &Inner,
    browser: &Browser,
    path: &str,
) -> impl Future<Output = Response<Bytes>> + Send + 'static {
    let mut request = navigation(Method::GET, path, "same-origin").body(Bytes::new()).unwrap();
    if let Some(cookies) = browser.cookie_header() {
        request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
    }
    let service = sign_in.layer().layer(inner.clone());
    async move {
        let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    }
}

/// Signs out by a form of this site.
async fn sign_out(site: &Site, browser: &mut Browser) {
    let request = navigation(Method::POST, site.sign_in.logout_path(), "same-origin");
    assert_eq!(site.visit(browser, request).await.status(), 303);
    assert!(!browser.jar.contains_key(SESSION));
}
