//! What the fuzz targets do with an input, and what must hold whatever it is. A target gives back whether the input got all
//! the way to success, so that `tests/seeds.rs` can show that its seeds still do.

#[path = "../../tests/support/site.rs"]
pub mod site;
#[path = "../../tests/support/mod.rs"]
pub mod support;

pub mod callback_query;
pub mod chunks;
pub mod claims;
pub mod cookies;
pub mod discovery;
pub mod error_response;
pub mod id_token;
pub mod key_set;
pub mod layer;
pub mod logout_token;
pub mod openid;
pub mod refusal;
pub mod return_target;
pub mod sealed;
pub mod token_response;
pub mod user_info;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;

use arbitrary::{Arbitrary, Unstructured};
use axum::body::HttpBody as Body;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_signin::{BoxError, Builder, Identity, Keys};

use crate::site::{CALLBACK, CODE, NOW, ORIGIN, Site, siwbb};
use crate::support::Browser;

/// The ring that all sites of the targets share: the same cookies open in each. The first key seals.
pub const KEYS: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8,HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// The second of them alone.
pub const OLD_KEY: &str = "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// A key of somebody else.
pub const ALIEN_KEY: &str = "_wECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

pub const SESSION: &str = "__Host-signin";

#[must_use]
pub fn keys(text: &str) -> Keys {
    Keys::parse(text).unwrap()
}

/// A site with fixed keys, whose clock stands at [`NOW`].
#[must_use]
pub fn site() -> Site {
    site_with(KEYS, |builder| builder)
}

#[must_use]
pub fn site_with(ring: &str, configure: impl FnOnce(Builder) -> Builder) -> Site {
    Site::of(siwbb(), CALLBACK, |builder| configure(builder.keys(keys(ring))))
}

/// The sign-in of a fresh browser with this answer of the provider, asked for by a person or by a program.
pub async fn exchange(site: &Site, answer: Response<Bytes>, asks: &[(&'static str, &'static str)]) -> Response<Bytes> {
    site.upstream.answer_by(move |_| Ok(answer.clone()));
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    let mut request = Request::get(started.callback(CODE)).header("x-request-id", "fuzz");
    for (name, value) in asks {
        request = request.header(*name, *value);
    }
    let response = site.visit(&mut browser, request).await;
    assert_eq!(site.upstream.requests().len(), 1, "one exchange");
    site.upstream.forget();
    response
}

/// Waits for a future on a runtime that each thread keeps.
pub fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Puts good values where a template names them: `{session}`. Nobody could guess them.
#[must_use]
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Reads `200 body`; anything but a status in front is none.
#[must_use]
pub fn answer(data: &[u8]) -> Option<(u16, Bytes)> {
    let (status, rest) = data.split_at_checked(3)?;
    let status = StatusCode::from_bytes(status).ok()?.as_u16();
    Some((status, Bytes::copy_from_slice(rest.strip_prefix(b" ")?)))
}

/// The members of a JSON object, by another reader. What nobody asks for is not looked at: it may hold what is no UTF-8, no
/// number of any use, and half a surrogate pair.
#[must_use]
pub fn members(body: &[u8]) -> Option<HashMap<String, Box<RawValue>>> {
    serde_json::from_str(&String::from_utf8_lossy(body)).ok()
}

/// One of them.
#[must_use]
pub fn member(members: &HashMap<String, Box<RawValue>>, name: &str) -> Value {
    members.get(name).and_then(|value| serde_json::from_str(value.get()).ok()).unwrap_or(Value::Null)
}

/// What the bytes come to; every sequence of them comes to something.
#[must_use]
pub fn read<T: for<'a> Arbitrary<'a>>(data: &[u8]) -> Option<T> {
    T::arbitrary_take_rest(Unstructured::new(data)).ok()
}

pub type App = BoxCloneSyncService<Request<Bytes>, Response<Full<Bytes>>, Infallible>;

/// The header by which an answer of the app is told from one of ours.
pub const FROM_THE_APP: &str = "x-inner";

/// Answers the subject or `nobody`.
#[must_use]
pub fn app() -> App {
    BoxCloneSyncService::new(service_fn(|request: Request<Bytes>| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
        let response = Response::builder().header(FROM_THE_APP, "1");
        std::future::ready(Ok(response.body(Full::from(who)).unwrap()))
    }))
}

/// Sends a request through a layer around `service`.
pub fn through<S, R>(site: &Site, service: S, request: Request<Bytes>) -> Response<Bytes>
where
    S: Service<Request<Bytes>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError> + Debug,
{
    block_on(async {
        let (parts, body) = site.sign_in.layer().layer(service).oneshot(request).await.unwrap().into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    })
}

/// A page of ours is never kept, and never looked at by guessing.
#[track_caller]
pub fn assert_private(response: &Response<Bytes>) {
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
}

/// Every `Location` stays on this site, or begins a sign-in.
#[track_caller]
pub fn assert_no_foreign_location(response: &Response<Bytes>) {
    let Some(place) = response.headers().get("location") else { return };
    let place = place.to_str().unwrap();
    let here = url::Url::parse(ORIGIN).unwrap();
    let is_here = here.join(place).unwrap().origin() == here.origin();
    let is_there = place.starts_with("https://bitbadges.io/siwbb/authorize?client_id=app_demo_01&");
    assert!(is_here || is_there, "{place}");
}

/// The cookies of a jar that belong to a session, by number.
#[must_use]
pub fn session_cookies(browser: &Browser) -> Vec<String> {
    let name = |number: usize| if number == 0 { SESSION.to_owned() } else { format!("{SESSION}.{number}") };
    (0..).map_while(|number| browser.jar.get(&name(number)).cloned()).collect()
}

/// Seconds since 1970 on the clock of a fresh [`site`].
pub const START: u64 = NOW;
