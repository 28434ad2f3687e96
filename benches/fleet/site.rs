//! A site, and people who sign in to it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderValue, Request, Response, Uri};
use serde_json::json;
use tower::{Layer as _, Service};
use tower_signin::dev::{API_KEY, Account, CLIENT_ID, CLIENT_SECRET};
use tower_signin::{BoxFuture, Builder, HttpClient, HttpError, Identity, Keys, SignIn, SignInService, Siwbb};

/// The same at all nodes.
const KEYS: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";

/// So many people there are; they sign in by turns.
pub(crate) const PEOPLE: usize = 1024;

pub(crate) struct Site {
    pub(crate) sign_in: SignIn,
    pub(crate) service: SignInService<Handler>,
}

impl Site {
    pub(crate) fn new(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = SignIn::builder(Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY))
            .redirect_uri("http://localhost:3000/auth/callback")
            .keys(Keys::parse(KEYS).unwrap())
            .http_client(People::new());
        let sign_in = configure(builder).build().unwrap();
        let service = sign_in.layer().layer(Handler);
        Self { sign_in, service }
    }

    /// The next person signs in, and this is the browser's `Cookie` header afterwards.
    pub(crate) async fn sign_in(&self) -> String {
        let mut service = self.service.clone();
        let login =
            Request::get("http://localhost:3000/auth/login?return_to=%2Fme").header("sec-fetch-mode", "navigate");
        let response = service.call(login.body(()).unwrap()).await.unwrap();
        let location = response.headers()[LOCATION].to_str().unwrap();
        let state = location.split(['?', '&']).find(|pair| pair.starts_with("state=")).expect("there is a state");
        // People answers any code.
        let callback = format!("http://localhost:3000/auth/callback?code={}&{state}", "c0".repeat(32));
        let request = Request::get(callback).header("sec-fetch-mode", "navigate").header(COOKIE, kept(&response));
        let response = service.call(request.body(()).unwrap()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.headers()[LOCATION].as_bytes()), (303, &b"/me"[..]));
        kept(&response)
    }

    pub(crate) async fn sign_out(&self, cookies: &str) {
        let request = Request::post("http://localhost:3000/auth/logout").header("sec-fetch-site", "same-origin");
        let request = request.header(COOKIE, cookies).body(()).unwrap();
        let response = self.service.clone().call(request).await.unwrap();
        assert_eq!(response.status(), 303);
    }

    /// Who comes with these cookies.
    pub(crate) async fn who(&self, cookies: &str) -> Option<Identity> {
        let response = self.service.clone().call(request("/who", cookies)).await.unwrap();
        response.extensions().get().cloned()
    }

    /// Ends sessions of others: of a hundred people one all of theirs, and the rest one each.
    pub(crate) async fn fill_list(&self, entries: usize) {
        for number in 0..entries {
            if number % 100 == 0 {
                self.sign_in.end_sessions_of("https://issuer.example", &format!("person {number}")).await.unwrap();
            } else {
                let cookies = self.sign_in().await;
                let identity = self.who(&cookies).await.expect("somebody is signed in");
                self.sign_in.end_session(&identity).await.unwrap();
            }
        }
    }
}

/// As hyper gives it: the address lies in a buffer that others share.
pub(crate) fn request(path: &str, cookies: &str) -> Request<()> {
    let buffer = Bytes::from(format!("GET http://localhost:3000{path}"));
    let mut request = Request::get(Uri::from_maybe_shared(buffer.slice(4..)).unwrap())
        .header("sec-fetch-mode", "cors")
        .header("accept", "*/*")
        .header("user-agent", "benchmark")
        .body(())
        .unwrap();
    let cookies = format!("a=1; theme=dark; {cookies}; _ga=GA1.2.3; lang=en");
    request.headers_mut().append(COOKIE, cookies.parse().unwrap());
    request
}

/// What a response leaves in a browser, but for the count of rounds.
fn kept<R>(response: &Response<R>) -> String {
    let cookies = response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let kept = cookies.filter(|cookie| !cookie.contains("Max-Age=0")).map(|cookie| cookie.split(';').next().unwrap());
    kept.filter(|cookie| !cookie.contains("-rounds=")).collect::<Vec<_>>().join("; ")
}

/// Looks who is there, and at one address says so.
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
        let identity = black_box(request.extensions().get::<Identity>());
        let mut response = Response::new(());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if request.uri().path() == "/who"
            && let Some(identity) = identity
        {
            response.extensions_mut().insert(identity.clone());
        }
        ready(Ok(response))
    }
}

/// Answers every request to the provider at once, as the token route does, for one person after the other. The tokens end in the
/// year 2100.
struct People {
    answers: Vec<Bytes>,
    next: AtomicUsize,
}

impl People {
    fn new() -> Self {
        let answers = (0..PEOPLE).map(|number| {
            let account = Account::from_address(&format!("0x{number:040x}")).unwrap();
            let answer = json!({
                "address": account.address,
                "chain": account.chain,
                "bitbadgesAddress": account.bitbadges_address,
                "verificationResponse": { "success": true },
                "access_token": "a7".repeat(32),
                "token_type": "Bearer",
                "access_token_expires_at": "4102444800000",
                "refresh_token": "b8".repeat(32),
                "refresh_token_expires_at": "4102444800000",
            });
            Bytes::from(answer.to_string())
        });
        Self { answers: answers.collect(), next: AtomicUsize::new(0) }
    }
}

impl HttpClient for People {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % PEOPLE;
        let mut response = Response::new(self.answers[number].clone());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        Box::pin(ready(Ok(response)))
    }
}
