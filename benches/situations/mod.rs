//! Who asks for what, and how it is sent.

#![allow(unreachable_pub, reason = "each benchmark has its own copy")]

pub(crate) mod report;

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response, Uri};
use tower::{Layer as _, Service};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Builder, Identity, Keys, ManualClock, MemoryStore, SignIn};

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
    "stored",
    "refused-garbage",
    "refused-other-key",
    "refused-expired",
    "guard-401",
    "login",
];

pub(crate) struct Situation {
    pub(crate) sign_in: SignIn,
    name: String,
    cookies: String,
    /// Serves on loopback while it is there.
    _bitbadges: DevProvider,
}

const FOREIGN: &str = "a=1; theme=dark; __Host-other=xyz; _ga=GA1.2.3";

impl Situation {
    pub(crate) async fn new(name: &str) -> Self {
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
            "stored" => build(|builder| {
                builder.session_store(MemoryStore::new().clock(ManualClock::new(SystemTime::UNIX_EPOCH)))
            }),
            _ => build(|builder| builder),
        };
        let ours = match name {
            "signed-in" | "signed-in-20-cookies" => {
                Some(bitbadges.signed_in_cookie(&sign_in, &Account::alice()).unwrap())
            }
            "signed-in-2-kB" => Some(session(&sign_in, 1700)),
            "signed-in-12-kB" => Some(session(&sign_in, 11_700)),
            "signed-in-tokens" | "stored" => Some(sign_in_for_real(&sign_in, &bitbadges).await),
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
        Self { sign_in, name: name.to_owned(), cookies, _bitbadges: bitbadges }
    }

    pub(crate) fn is_guarded(&self) -> bool {
        self.name == "guard-401"
    }

    /// As hyper gives it: the address lies in a buffer that others share.
    pub(crate) fn request(&self) -> Request<()> {
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

/// Sends the requests of a situation, half of them through `counted`. Each is made just before, so that its memory is what
/// the one before gave back, as in a server.
pub(crate) fn run(name: &str, is_bare: bool, mut counted: impl FnMut(Send<'_>, Request<()>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let situation = runtime.block_on(Situation::new(name));
    let mut send: Box<dyn FnMut(Request<()>)> = match (is_bare, situation.is_guarded()) {
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
    for _ in 0..TIMES {
        counted(&mut *send, situation.request());
    }
}

/// Sends a request to a service that answers at its first poll.
fn sender<S, R>(mut service: S) -> impl FnMut(Request<()>)
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    move |request| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let response = pin!(service.call(request)).poll(&mut context);
        assert!(response.is_ready());
        drop(black_box(response));
    }
}

/// The whole way, and all cookies that it leaves in a browser.
async fn sign_in_for_real(sign_in: &SignIn, bitbadges: &DevProvider) -> String {
    let mut service = sign_in.layer().layer(Handler);
    let login = Request::get("http://localhost:3000/auth/login").header("sec-fetch-mode", "navigate");
    let response = service.call(login.body(()).unwrap()).await.unwrap();
    let flow = response.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let location = response.headers()[LOCATION].to_str().unwrap().to_owned();
    let callback = bitbadges.approve(&location, &Account::alice()).unwrap();
    let callback = Request::get(callback).header(COOKIE, flow).body(()).unwrap();
    let response = service.call(callback).await.unwrap();
    assert_eq!(response.status(), 303);
    let cookies = response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let kept = cookies.filter(|cookie| !cookie.contains("Max-Age=0")).map(|cookie| cookie.split(';').next().unwrap());
    kept.filter(|cookie| !cookie.contains("-rounds=")).collect::<Vec<_>>().join("; ")
}
