//! What happens to a sign-in when requests are dropped, doubled, late, too many, or the application's hook misbehaves.

#![allow(missing_docs, reason = "tests")]

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{COOKIE, RETRY_AFTER, SET_COOKIE};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use support::{Browser, code, location, navigation, send, text};
use tokio::sync::Semaphore;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_signin::{
    Admission, BoxFuture, Builder, HttpClient, HttpError, Identity, Keys, ManualClock, Rejection, SignIn,
    SignInService, SignedIn, Siwbb,
};

const ORIGIN: &str = "https://app.example.com";

/// Answers every exchange as BitBadges would for bob, once the gate lets it.
struct Provider {
    gate: Semaphore,
    exchanges: AtomicUsize,
}

#[derive(Clone)]
struct Client(Arc<Provider>);

impl HttpClient for Client {
    fn send(&self, _: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async {
            self.0.exchanges.fetch_add(1, Ordering::SeqCst);
            self.0.gate.acquire().await.unwrap().forget();
            Ok(Response::new(Bytes::from_static(
                br#"{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH",
                "bitbadgesAddress":"bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue","verificationResponse":{"success":true},
                "access_token":"at","token_type":"Bearer"}"#,
            )))
        })
    }
}

struct Setup {
    provider: Arc<Provider>,
    clock: Arc<ManualClock>,
    service: SignInService<tower::util::BoxCloneSyncService<Request<Bytes>, Response<Full<Bytes>>, Infallible>>,
}

impl Setup {
    /// `open`: how many exchanges the gate lets through before it closes.
    fn new(open: usize, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let provider = Arc::new(Provider { gate: Semaphore::new(open), exchanges: AtomicUsize::new(0) });
        let clock = Arc::new(ManualClock::new(SystemTime::now()));
        let builder = SignIn::builder(Siwbb::new("id", "secret", "key"))
            .redirect_uri(format!("{ORIGIN}/auth/callback"))
            .keys(Keys::generate().unwrap())
            .clock(Arc::clone(&clock))
            .http_client(Client(Arc::clone(&provider)));
        let inner = service_fn(|request: Request<Bytes>| async move {
            let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject);
            Ok::<_, Infallible>(Response::new(Full::from(who.to_owned())))
        });
        let sign_in = configure(builder).build().unwrap();
        Self { provider, clock, service: sign_in.layer().layer(tower::util::BoxCloneSyncService::new(inner)) }
    }

    fn exchanges(&self) -> usize {
        self.provider.exchanges.load(Ordering::SeqCst)
    }

    /// Sends a navigation with this browser's cookies and keeps what comes back.
    async fn get(&self, browser: &mut Browser, url: &str) -> Response<Bytes> {
        let response = self.call(browser, url).await;
        browser.keep(&response);
        response
    }

    /// The future of a navigation with this browser's cookies.
    fn call(&self, browser: &Browser, url: &str) -> impl Future<Output = Response<Bytes>> + Send + 'static {
        let mut request = navigation(Method::GET, url, "none").body(Bytes::new()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
        }
        let service = self.service.clone();
        async move {
            let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
            Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
        }
    }

    /// Starts a sign-in and gives the callback that would finish it.
    async fn start(&self, browser: &mut Browser, code: &str) -> String {
        let response = self.get(browser, &format!("{ORIGIN}/auth/login?return_to=/target")).await;
        let url = url::Url::parse(&location(&response)).unwrap();
        let (_, state) = url.query_pairs().find(|(name, _)| name == "state").unwrap();
        format!("{ORIGIN}/auth/callback?code={code}&state={state}")
    }
}

#[tokio::test]
async fn a_dropped_callback_still_ends_and_its_double_gets_the_outcome() {
    for polls in 1..4 {
        let setup = Setup::new(0, |builder| builder);
        let mut browser = Browser::new();
        let callback = setup.start(&mut browser, "code").await;
        let mut dropped = Box::pin(setup.call(&browser, &callback));
        for _ in 0..polls {
            assert!(futures_poll(&mut dropped).is_pending());
            tokio::task::yield_now().await;
        }
        drop(dropped);
        setup.provider.gate.add_permits(1);

        let again = setup.get(&mut browser, &callback).await;
        assert_eq!((again.status().as_u16(), location(&again).as_str()), (303, "/target"), "{polls} polls");
        assert_eq!(setup.exchanges(), 1, "{polls} polls");
        assert!(browser.jar.contains_key("__Host-signin"), "{polls} polls");
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_gets_its_session_on_the_next_try() {
    let app = support::App::start().await;
    let mut browser = Browser::new();
    let authorization_url = browser.start(&app.origin, "/").await;
    let callback = browser.approve(&authorization_url, "alice").await;
    let mut request = navigation(Method::GET, &callback, "none").body(Bytes::new()).unwrap();
    request.headers_mut().insert(COOKIE, browser.cookie_header().unwrap().parse().unwrap());
    tokio::time::timeout(Duration::from_millis(1), send(request)).await.ok();
    assert_eq!(browser.get(&callback).await.status(), 303);
    assert_eq!(app.dev.requests().iter().filter(|request| request.path.ends_with("/siwbb/token")).count(), 1);
}

#[tokio::test]
async fn the_same_callback_twice_at_once_is_one_exchange_and_one_session() {
    let setup = Setup::new(0, |builder| builder);
    let mut browser = Browser::new();
    let callback = setup.start(&mut browser, "code").await;
    let first = tokio::spawn(setup.call(&browser, &callback));
    let second = tokio::spawn(setup.call(&browser, &callback));
    tokio::task::yield_now().await;
    setup.provider.gate.add_permits(2);
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (303, 303));
    assert_eq!(session_cookie(&first), session_cookie(&second));
    assert_eq!(setup.exchanges(), 1);
}

#[tokio::test]
async fn another_code_for_a_state_is_refused_at_any_time() {
    let setup = Setup::new(0, |builder| builder);
    let mut browser = Browser::new();
    let callback = setup.start(&mut browser, "code").await;
    let other = callback.replace("code=code", "code=other");
    let running = tokio::spawn(setup.call(&browser, &callback));
    tokio::task::yield_now().await;
    let refused = setup.call(&browser, &other).await;
    assert_eq!((refused.status().as_u16(), code(&refused).as_str()), (400, "state_already_used"));
    assert!(!refused.headers().contains_key(SET_COOKIE));
    setup.provider.gate.add_permits(9);
    assert_eq!(running.await.unwrap().status(), 303);
    assert_eq!(setup.call(&browser, &other).await.status(), 400);
    assert_eq!(setup.exchanges(), 1);
}

#[tokio::test]
async fn a_double_within_thirty_seconds_gets_the_outcome_and_later_the_state_is_spent() {
    let setup = Setup::new(9, |builder| builder);
    let mut browser = Browser::new();
    let callback = setup.start(&mut browser, "code").await;
    let before = browser.clone();
    let first = setup.get(&mut browser, &callback).await;

    setup.clock.advance(Duration::from_secs(29));
    assert_eq!(session_cookie(&setup.call(&before, &callback).await), session_cookie(&first));

    setup.clock.advance(Duration::from_secs(2));
    let late = setup.call(&before, &callback).await;
    assert_eq!((late.status().as_u16(), code(&late).as_str()), (400, "state_already_used"));
    let same_browser = setup.call(&browser, &callback).await;
    assert_eq!((same_browser.status().as_u16(), location(&same_browser).as_str()), (303, "/target"));
    assert_eq!(setup.exchanges(), 1);
}

#[tokio::test]
async fn whoever_comes_back_to_a_finished_callback_is_told_where_they_stand() {
    let setup = Setup::new(9, |builder| builder);
    let mut browser = Browser::new();
    let first = setup.start(&mut browser, "first").await;
    setup.get(&mut browser, &first).await;
    assert_eq!(location(&setup.call(&browser, &first).await), "/target", "its own callback again");

    let second = setup.start(&mut browser, "second").await;
    setup.get(&mut browser, &second).await;
    let told = setup.call(&browser, &first).await;
    assert_eq!(told.status(), 400);
    let page = text(&told);
    for part in ["You are signed in as bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue", "Continue", "Sign in again"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let stranger = setup.call(&Browser::new(), &first).await;
    assert_eq!((stranger.status().as_u16(), code(&stranger).as_str()), (400, "cookies_refused"));
    assert_eq!(setup.exchanges(), 2);
}

#[tokio::test]
async fn sixty_four_run_at_once_and_the_next_is_asked_to_wait() {
    let setup = Setup::new(0, |builder| builder);
    let mut running = tokio::task::JoinSet::new();
    for number in 0..64 {
        let mut browser = Browser::new();
        let callback = setup.start(&mut browser, &format!("code{number}")).await;
        running.spawn(setup.call(&browser, &callback));
    }
    while setup.exchanges() < 64 {
        tokio::task::yield_now().await;
    }
    let mut browser = Browser::new();
    let callback = setup.start(&mut browser, "late").await;
    let busy = setup.call(&browser, &callback).await;
    assert_eq!((busy.status().as_u16(), code(&busy).as_str()), (503, "too_many_attempts"));
    assert!(busy.headers().contains_key(RETRY_AFTER));
    assert!(!busy.headers().contains_key(SET_COOKIE), "the flow stays");
    assert!(text(&busy).contains("<a href=\"\">Try again</a>"), "the same page once more: {}", text(&busy));
    assert_eq!(setup.exchanges(), 64);

    setup.provider.gate.add_permits(65);
    for response in running.join_all().await {
        assert_eq!(response.status(), 303);
    }
    assert_eq!(setup.get(&mut browser, &callback).await.status(), 303);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_cut_off() {
    let hangs = |builder: Builder| builder.on_sign_in(|_| std::future::pending());
    let cases = [
        ("the provider", Setup::new(0, |builder| builder), 504, "provider_timeout", 20),
        ("the hook", Setup::new(1, hangs), 504, "sign_in_hook_timeout", 10),
    ];
    for (name, setup, status, expected, seconds) in cases {
        let mut browser = Browser::new();
        let callback = setup.start(&mut browser, "code").await;
        let start = tokio::time::Instant::now();
        let response = setup.get(&mut browser, &callback).await;
        assert_eq!((response.status().as_u16(), code(&response).as_str()), (status, expected), "{name}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{name}");
        assert!(browser.jar.is_empty(), "{name}: the flow is spent and nobody is signed in");
    }
}

#[tokio::test]
async fn a_hook_that_panics_or_fails_ends_that_sign_in_alone() {
    let cases: [(&str, fn(Builder) -> Builder); 3] = [
        ("panics at once", |builder| builder.on_sign_in(|_| -> std::future::Ready<_> { panic!("the hook") })),
        ("panics later", |builder| builder.on_sign_in(|_| async { panic!("the hook") })),
        ("fails", |builder| {
            builder.on_sign_in(|_| async {
                std::fs::read("/no/such/file")?;
                Ok(Admission::new())
            })
        }),
    ];
    for (name, configure) in cases {
        let setup = Setup::new(99, configure);
        for round in 0..66 {
            let mut browser = Browser::new();
            let callback = setup.start(&mut browser, "code").await;
            let response = setup.get(&mut browser, &callback).await;
            assert_eq!(response.status(), 500, "{name}, round {round}");
            assert_eq!(code(&response), "sign_in_hook_failed", "{name}, round {round}");
            assert!(browser.jar.is_empty(), "{name}: the flow is spent and nobody is signed in");
        }
    }
}

#[tokio::test]
async fn a_hook_refuses_or_attaches_data() {
    let setup = Setup::new(9, |builder| {
        builder.on_sign_in(|who: SignedIn| async move {
            assert_eq!(who.tokens().unwrap().access_token(), "at");
            assert_eq!(who.return_to(), "/target");
            Err(Rejection::refuse("not_a_member"))
        })
    });
    let mut browser = Browser::new();
    let callback = setup.start(&mut browser, "code").await;
    let refused = setup.get(&mut browser, &callback).await;
    assert_eq!((refused.status().as_u16(), code(&refused).as_str()), (403, "refused_by_app: not_a_member"));
    assert!(browser.jar.is_empty());

    let seen = Arc::new(AtomicBool::new(false));
    let inner_seen = Arc::clone(&seen);
    let sign_in = SignIn::builder(Siwbb::new("id", "secret", "key"))
        .redirect_uri(format!("{ORIGIN}/auth/callback"))
        .keys(Keys::generate().unwrap())
        .http_client(Client(Arc::clone(&Setup::new(1, |builder| builder).provider)))
        .on_sign_in(|_| async { Admission::with_data(&("user", 42)) })
        .build()
        .unwrap();
    let mut service = sign_in.layer().layer(service_fn(move |request: Request<Bytes>| {
        let data = request.extensions().get::<Identity>().and_then(Identity::data::<(String, u32)>);
        inner_seen.store(data == Some(("user".to_owned(), 42)), Ordering::SeqCst);
        std::future::ready(Ok::<_, Infallible>(Response::new(())))
    }));
    let login = service.call(navigation(Method::GET, "/auth/login", "none").body(Bytes::new()).unwrap()).await.unwrap();
    let cookie = login.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let url = login.headers()["location"].to_str().unwrap().to_owned();
    let state = url.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let callback = Request::get(format!("/auth/callback?code=c&state={state}")).header(COOKIE, cookie);
    let callback = service.call(callback.body(Bytes::new()).unwrap()).await.unwrap();
    let cookies: Vec<_> =
        callback.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let session = cookies.iter().find(|cookie| cookie.starts_with("__Host-signin=")).unwrap();
    let request = Request::get("/").header(COOKIE, session.split(';').next().unwrap()).body(Bytes::new()).unwrap();
    service.call(request).await.unwrap();
    assert!(seen.load(Ordering::SeqCst));
}

#[tokio::test]
async fn data_that_does_not_fit_into_a_cookie_is_said_to_be_too_large() {
    let setup = Setup::new(1, |builder| builder.on_sign_in(|_| async { Admission::with_data(&"x".repeat(4000)) }));
    let mut browser = Browser::new();
    let callback = setup.start(&mut browser, "code").await;
    let response = setup.get(&mut browser, &callback).await;
    assert_eq!((response.status().as_u16(), code(&response).as_str()), (500, "session_too_large"));
    assert!(browser.jar.is_empty());
}

#[test]
fn an_attempt_that_dies_with_its_runtime_is_over() {
    let setup = Setup::new(0, |builder| builder);
    let mut browser = Browser::new();
    let callback = support::block_on(async {
        let callback = setup.start(&mut browser, "code").await;
        let mut waiting = Box::pin(setup.call(&browser, &callback));
        assert!(futures_poll(&mut waiting).is_pending());
        while setup.exchanges() == 0 {
            tokio::task::yield_now().await;
        }
        callback
    });
    let response = support::block_on(setup.call(&browser, &callback));
    assert_eq!((response.status().as_u16(), code(&response).as_str()), (500, "internal_error"));
    assert_eq!(setup.exchanges(), 1, "the code is not sent again");
}

fn futures_poll<F: Future>(future: &mut std::pin::Pin<Box<F>>) -> std::task::Poll<F::Output> {
    future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

fn session_cookie(response: &Response<Bytes>) -> String {
    let cookies = response.headers().get_all(SET_COOKIE);
    let cookies: Vec<_> = cookies.iter().map(|cookie| cookie.to_str().unwrap()).collect();
    cookies.iter().find(|cookie| cookie.starts_with("__Host-signin=")).expect("a session").to_string()
}
