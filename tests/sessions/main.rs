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
#[path = "../support/visits.rs"]
mod visits;

use std::convert::Infallible;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Identity, SignIn};

use crate::site::{SESSION, Site};
use crate::support::{Browser, navigation};
use crate::visits::{Visit, at, max_age, open, ring};

/// Opens a page at that second of the test, and keeps the cookies that come.
async fn visit(site: &Site, browser: &mut Browser, second: i64) -> Visit {
    site.clock.set(at(second));
    open(site, browser).await
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
