//! Who asks for what, and how it is sent.

#![allow(unreachable_pub, reason = "each benchmark has its own copy")]

pub(crate) mod report;
mod visit;

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response, Uri};
use tokio::runtime::Runtime;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Builder, Identity, Keys, ManualClock, MemoryStore, SignIn, Tokens, WhenUnchecked};

use self::visit::{Canned, callback, kept_cookies};

/// The rows of the table, in its order.
pub(crate) const NAMES: &[&str] = &[
    "nobody",
    "nobody-5-cookies",
    "nobody-20-cookies",
    "signed-in",
    "signed-in-2-kB",
    "signed-in-12-kB",
    "signed-in-tokens",
    "signed-in-20-cookies",
    "signed-in-list-empty",
    "signed-in-list-1000",
    "stored",
    "stored-tokens",
    "refused-garbage",
    "refused-other-key",
    "refused-expired",
    "guard-401",
    "login",
    "callback",
];

struct Situation {
    sign_in: SignIn,
    name: String,
    cookies: String,
    /// Serves on loopback while it is there.
    bitbadges: DevProvider,
}

const FOREIGN: &str = "a=1; theme=dark; __Host-other=xyz; _ga=GA1.2.3";

impl Situation {
    async fn new(name: &str) -> Self {
        let bitbadges = DevProvider::start().await.unwrap();
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)));
        let of_bitbadges = Arc::clone(&clock);
        bitbadges.set_clock(Arc::new(move || tower_signin::Clock::now(&*of_bitbadges)));
        let build = |configure: fn(Builder) -> Builder| {
            let builder = SignIn::builder(bitbadges.siwbb()).redirect_uri("http://localhost:3000/auth/callback");
            let keys = Keys::parse("q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k").unwrap();
            configure(builder.keys(keys).clock(Arc::clone(&clock)))
        };
        let build = |configure| build(configure).build().unwrap();
        let session = |sign_in: &SignIn, data: usize| {
            bitbadges.signed_in_cookie_with(sign_in, &Account::alice(), &"x".repeat(data)).unwrap()
        };
        let sign_in = match name {
            "signed-in-12-kB" => build(|builder| builder.session_cookie_limit(16_384)),
            "signed-in-tokens" => build(Builder::keep_tokens),
            "signed-in-list-empty" | "signed-in-list-1000" => build(|builder| {
                // It is not read anew while requests are counted.
                builder.revocation_list(store()).revocation_bound(Duration::from_secs(600), WhenUnchecked::Unavailable)
            }),
            "stored" => build(|builder| builder.session_store(store())),
            "stored-tokens" => build(|builder| builder.session_store(store()).keep_tokens()),
            "callback" => build(|builder| builder.http_client(Canned::new())),
            _ => build(|builder| builder),
        };
        if name == "signed-in-list-1000" {
            fill_list(&sign_in, &bitbadges, 1000).await;
        }
        let ours = match name {
            "signed-in" | "signed-in-20-cookies" | "signed-in-list-empty" | "signed-in-list-1000" => {
                Some(bitbadges.signed_in_cookie(&sign_in, &Account::alice()).unwrap())
            }
            "signed-in-2-kB" => Some(session(&sign_in, 1700)),
            "signed-in-12-kB" => Some(session(&sign_in, 11_700)),
            "signed-in-tokens" | "stored" | "stored-tokens" | "callback" => {
                Some(sign_in_for_real(&sign_in, &bitbadges).await)
            }
            "refused-garbage" => Some(format!("signin-3000={}", "AYdVA7".repeat(75))),
            "refused-other-key" => {
                let other = build(|builder| builder.keys(Keys::generate().unwrap()));
                Some(bitbadges.signed_in_cookie(&other, &Account::alice()).unwrap())
            }
            "refused-expired" => {
                let cookie = bitbadges.signed_in_cookie(&sign_in, &Account::alice()).unwrap();
                clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
                Some(cookie)
            }
            _ => None,
        };
        let cookies = match (name, ours) {
            ("nobody", _) => String::new(),
            ("nobody-20-cookies", _) => [&format!("{FOREIGN}; lang=en"); 4].map(String::as_str).join("; "),
            ("signed-in-20-cookies", Some(ours)) => {
                format!("{FOREIGN}; {FOREIGN}; {ours}; {FOREIGN}; {FOREIGN}; x=1; y=2; z=3")
            }
            (_, Some(ours)) => format!("a=1; theme=dark; {ours}; _ga=GA1.2.3; lang=en"),
            (_, None) => format!("{FOREIGN}; lang=en"),
        };
        Self { sign_in, name: name.to_owned(), cookies, bitbadges }
    }

    fn is_guarded(&self) -> bool {
        self.name == "guard-401"
    }

    /// Whether the answer comes from a task of its own.
    fn is_waited_for(&self) -> bool {
        self.name == "callback"
    }

    fn request(&self) -> Request<()> {
        if self.is_waited_for() {
            return block_on(callback(&mut self.sign_in.layer().layer(Handler), &self.bitbadges));
        }
        self.request_with_cookies()
    }

    /// As hyper gives it: the address lies in a buffer that others share.
    fn request_with_cookies(&self) -> Request<()> {
        let (address, mode) = match self.name.as_str() {
            "login" => ("http://localhost:3000/auth/login?return_to=%2Fme", "navigate"),
            _ => ("http://localhost:3000/page?x=1", "cors"),
        };
        let mut buffer = b"GET ".to_vec();
        buffer.extend_from_slice(address.as_bytes());
        let uri = Uri::from_maybe_shared(Bytes::from(buffer).slice(4..)).unwrap();
        let mut request = Request::get(uri)
            .header("sec-fetch-mode", mode)
            .header("accept", "*/*")
            .header("user-agent", "benchmark")
            .body(())
            .unwrap();
        if !self.cookies.is_empty() {
            request.headers_mut().append(COOKIE, self.cookies.parse().unwrap());
        }
        request
    }
}

/// Requests that are counted, after as many that are not: what is made once is no cost of a request.
pub(crate) const TIMES: usize = 200;

/// A handler: looks who is there and answers a page without a body.
#[derive(Clone)]
pub(crate) struct Handler;

impl Service<Request<()>> for Handler {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        black_box(request.extensions().get::<Identity>());
        let mut response = Response::new(());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        ready(Ok(response))
    }
}

pub(crate) type Send<'a> = &'a mut dyn FnMut(Request<()>);

/// Makes a request.
pub(crate) type More<'a> = &'a mut dyn FnMut() -> Request<()>;

/// Sends one request of a situation and looks whether it is answered, and reaches the handler, as what is to be measured.
/// The program that counts instructions does not call it, since then the layer would be compiled for more types.
#[allow(dead_code, reason = "the program that counts instructions has no use for it")]
pub(crate) fn prove(name: &str) {
    let situation = block_on(Situation::new(name));
    let alice = Account::alice();
    let (status, subject, target) = match name {
        "guard-401" => (401, "", ""),
        "login" => (303, "", situation.bitbadges.origin()),
        "callback" => (303, "", "/me"),
        name if name.starts_with("signed-in") || name.starts_with("stored") => {
            (200, alice.bitbadges_address.as_str(), "")
        }
        _ => (200, "", ""),
    };
    let is_ours = name.starts_with("refused-") || !subject.is_empty();
    let handler = service_fn(|request: Request<()>| {
        let extensions = request.extensions();
        let mut response = Response::new(());
        let headers = response.headers_mut();
        headers.insert("x-subject", extensions.get::<Identity>().map_or("", Identity::subject).parse().unwrap());
        headers.insert("x-tokens", HeaderValue::from(u16::from(extensions.get::<Tokens>().is_some())));
        let is_ours = request.headers().get(COOKIE).is_some_and(HeaderValue::is_sensitive);
        headers.insert("x-ours", HeaderValue::from(u16::from(is_ours)));
        ready(Ok::<_, Infallible>(response))
    });
    let (layer, request) = (situation.sign_in.layer(), situation.request());
    let response = if situation.is_guarded() {
        block_on(layer.layer(situation.sign_in.require().layer(handler)).oneshot(request)).unwrap().map(drop)
    } else {
        block_on(layer.layer(handler).oneshot(request)).unwrap().map(drop)
    };
    let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!((response.status().as_u16(), header("x-subject")), (status, subject), "{name}");
    assert!(header(LOCATION.as_str()).starts_with(target), "{name}: {response:?}");
    if status == 200 {
        let tokens = if name.ends_with("-tokens") { "1" } else { "0" };
        assert_eq!((header("x-ours"), header("x-tokens")), (if is_ours { "1" } else { "0" }, tokens), "{name}");
    }
    // Only what is in the store leaves a cookie so short.
    assert_eq!(
        !subject.is_empty() && situation.cookies.len() < 250,
        name.starts_with("stored"),
        "{}",
        situation.cookies
    );
    let is_deleted = header(SET_COOKIE.as_str()).contains("Max-Age=0");
    assert_eq!(is_deleted, name == "refused-expired" || name == "callback", "{name}: {response:?}");
}

/// Sends requests of a situation, and then has those counted that `counted` makes and sends. One that is made just before
/// takes the memory that the one before gave back, as in a server.
pub(crate) fn run(name: &str, is_bare: bool, counted: impl FnOnce(Send<'_>, More<'_>)) {
    let runtime = RUNTIME.with(|runtime| runtime.handle().clone());
    let _entered = runtime.enter();
    let situation = block_on(Situation::new(name));
    let mut send: Box<dyn FnMut(Request<()>) + '_> = match (is_bare, situation.is_guarded()) {
        (true, _) => Box::new(sender(Handler)),
        (false, false) => Box::new(sender(situation.sign_in.layer().layer(Handler))),
        (false, true) => {
            let guarded = situation.sign_in.require().layer(Handler);
            Box::new(sender(situation.sign_in.layer().layer(guarded)))
        }
    };
    for _ in 0..TIMES {
        send(situation.request());
    }
    counted(&mut *send, &mut || situation.request());
}

/// Sends a request to a service, and has other tasks run until it has answered. All but a callback is answered at once.
///
/// All measured requests are sent from here: the more places call the layer, and the more types it is compiled for, the less
/// of it is inlined, and every row costs more than in an app with one service.
fn sender<S, R>(mut service: S) -> impl FnMut(Request<()>)
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    move |request| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut response = pin!(service.call(request));
        let response = loop {
            match response.as_mut().poll(&mut context) {
                Poll::Ready(response) => break response.unwrap(),
                Poll::Pending => run_other_tasks(),
            }
        };
        assert!(matches!(response.status().as_u16(), 200..=399 | 401), "{}", response.status());
        drop(black_box(response));
    }
}

fn run_other_tasks() {
    block_on(tokio::task::yield_now());
}

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(work))
}

fn store() -> MemoryStore {
    MemoryStore::new().clock(ManualClock::new(SystemTime::UNIX_EPOCH))
}

/// Revokes sessions of others: all of a person's, but for one that was signed out of, so that there are both sorts.
async fn fill_list(sign_in: &SignIn, bitbadges: &DevProvider, entries: usize) {
    for number in 1..entries {
        sign_in.end_sessions_of(bitbadges.origin(), &format!("person {number}")).await.unwrap();
    }
    let cookie = bitbadges.signed_in_cookie(sign_in, &Account::bob()).unwrap();
    let sign_out = Request::post("http://localhost:3000/auth/logout").header("sec-fetch-site", "same-origin");
    let sign_out = sign_out.header(COOKIE, cookie).body(()).unwrap();
    let response = sign_in.layer().layer(Handler).call(sign_out).await.unwrap();
    assert_eq!(response.status(), 303);
}

/// The whole way, and all cookies that it leaves in a browser.
async fn sign_in_for_real(sign_in: &SignIn, bitbadges: &DevProvider) -> String {
    let mut service = sign_in.layer().layer(Handler);
    let callback = callback(&mut service, bitbadges).await;
    let response = service.call(callback).await.unwrap();
    assert_eq!(response.status(), 303);
    assert_eq!(response.headers()[LOCATION], "/me");
    kept_cookies(&response)
}
