//! Forward mode: the callback, once it is checked, is the application's to answer.

#![allow(missing_docs, reason = "tests")]

#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, COOKIE, REFERRER_POLICY};
use http::{Method, Request, Response};
use site::{BOB, CALLBACK, CODE, Started, Upstream, set_cookies, siwbb};
use support::{Browser, location, navigation};
use tokio::sync::Semaphore;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, ErrorKind, Identity, Keys, MemoryStore, SignIn, SignInService, SignedIn};

/// What the handler at the callback path saw of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    uri: String,
    id: u128,
    subject: String,
    return_to: String,
    token: String,
}

struct App {
    upstream: Upstream,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The handler takes one permit for each answer.
    gate: Arc<Semaphore>,
    service: SignInService<BoxCloneSyncService<Request<Bytes>, Response<()>, Infallible>>,
}

impl App {
    /// The handler answers with this status, after `refuse` has had its way.
    fn new(status: u16, refuse: fn(&SignedIn), configure: fn(Builder) -> Builder) -> Self {
        let upstream = Upstream::default();
        let builder = SignIn::builder(siwbb())
            .redirect_uri(CALLBACK)
            .keys(Keys::generate().unwrap())
            .http_client(upstream.clone())
            .forward_callback();
        let sign_in = configure(builder).build().unwrap();
        let (seen, gate) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(Semaphore::new(99)));
        let (handler_seen, handler_gate) = (Arc::clone(&seen), Arc::clone(&gate));
        let inner = service_fn(move |request: Request<Bytes>| {
            let signed_in = request.extensions().get::<SignedIn>().cloned();
            if let Some(who) = &signed_in {
                let identity = request.extensions().get::<Identity>().expect("an identity beside it");
                handler_seen.lock().unwrap().push(Seen {
                    uri: request.uri().to_string(),
                    id: who.id(),
                    subject: identity.subject().to_owned(),
                    return_to: who.return_to().to_owned(),
                    token: who.tokens().map_or("", |tokens| tokens.access_token()).to_owned(),
                });
                refuse(who);
            }
            let gate = Arc::clone(&handler_gate);
            async move {
                gate.acquire().await.unwrap().forget();
                let location = signed_in.map_or("/".to_owned(), |who| who.return_to().to_owned());
                Ok(Response::builder().status(status).header("location", location).body(()).unwrap())
            }
        });
        let service = sign_in.layer().layer(BoxCloneSyncService::new(inner));
        Self { upstream, seen, gate, service }
    }

    fn call(&self, browser: &Browser, path: &str) -> impl Future<Output = Response<Bytes>> + Send + 'static {
        let mut request = navigation(Method::GET, path, "none").body(Bytes::new()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
        }
        let service = self.service.clone();
        async move { service.oneshot(request).await.unwrap().map(|_| Bytes::new()) }
    }

    async fn start(&self, browser: &mut Browser) -> Started {
        let response = self.call(browser, "/api/login?return_to=/target").await;
        browser.keep(&response);
        Started::at(&location(&response))
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn the_handler_gets_who_signed_in_and_neither_code_nor_state() {
    let app = App::new(303, |_| {}, |builder| builder);
    let mut browser = Browser::new();
    let started = app.start(&mut browser).await;
    let response = app.call(&browser, &started.callback(CODE)).await;
    browser.keep(&response);
    assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/target"));
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
    assert!(set_cookies(&response).contains(&started.flow_deleted()));
    assert_eq!(browser.jar.keys().collect::<Vec<_>>(), ["__Host-signin", "__Host-signin-rounds"]);
    let seen = app.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (seen[0].uri.as_str(), seen[0].subject.as_str(), seen[0].return_to.as_str()),
        (CALLBACK, BOB, "/target")
    );
    assert_eq!(seen[0].token, "siwbb_at_7d2e9f4a1b6c3d8e5f0a2b9c4d7e1f6a");
}

#[tokio::test]
async fn the_handler_decides_whether_a_session_is_made() {
    let cases: [(&str, u16, fn(&SignedIn), bool); 7] = [
        ("200", 200, |_| {}, true),
        ("303", 303, |_| {}, true),
        ("400", 400, |_| {}, false),
        ("500", 500, |_| {}, false),
        ("999", 999, |_| {}, false),
        ("refused with 200", 200, |who| who.refuse("no"), false),
        ("refused with 303", 303, |who| who.refuse("no"), false),
    ];
    for (name, status, refuse, has_session) in cases {
        let app = App::new(status, refuse, |builder| builder);
        let mut browser = Browser::new();
        let started = app.start(&mut browser).await;
        let response = app.call(&browser, &started.callback(CODE)).await;
        browser.keep(&response);
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(browser.jar.contains_key("__Host-signin"), has_session, "{name}");
        assert!(!browser.jar.contains_key(&started.flow_cookie()), "{name}: the flow is over either way");
        let kind = name.starts_with("refused").then_some(ErrorKind::RefusedByApp);
        assert_eq!(response.extensions().get().copied(), kind, "{name}");
    }
}

#[tokio::test]
async fn what_fails_before_the_handler_never_reaches_it() {
    let refusing: fn(Builder) -> Builder =
        |builder| builder.on_sign_in(|_| async { Err(tower_signin::Rejection::refuse("no")) });
    let refusing_by_who: fn(Builder) -> Builder = |builder| {
        builder.on_sign_in(|who| async move {
            who.refuse("no");
            Ok(tower_signin::Admission::new())
        })
    };
    for (name, configure, answered, status) in [
        ("the provider", (|builder| builder) as fn(Builder) -> Builder, 500, 502),
        ("the hook", refusing, 200, 403),
        ("the hook by its argument", refusing_by_who, 200, 403),
    ] {
        let app = App::new(303, |_| {}, configure);
        if answered != 200 {
            app.upstream.answer(answered, "");
        }
        let mut browser = Browser::new();
        let started = app.start(&mut browser).await;
        let response = app.call(&browser, &started.callback(CODE)).await;
        browser.keep(&response);
        assert_eq!(response.status(), status, "{name}");
        assert!(app.seen().is_empty(), "{name}");
        assert!(browser.jar.is_empty(), "{name}");
    }
    let app = App::new(303, |_| {}, |builder| builder);
    for path in ["/api/callback", "/api/callback?code=c&state=s", "/api/callback?error=access_denied"] {
        assert_eq!(app.call(&Browser::new(), path).await.status(), 400, "{path}");
    }
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn a_double_reaches_the_handler_with_the_same_id_and_decides_for_itself() {
    let app = App::new(303, |_| {}, |builder| builder);
    let mut browser = Browser::new();
    let started = app.start(&mut browser).await;
    let callback = started.callback(CODE);
    let first = tokio::spawn(app.call(&browser, &callback));
    let second = tokio::spawn(app.call(&browser, &callback));
    let (first, second) = (first.await.unwrap(), second.await.unwrap());
    let [first, second] = [&first, &second].map(|response| set_cookies(response)[..2].to_vec());
    assert_eq!(first, second, "both delete the flow and set the same session");
    assert_eq!(app.upstream.requests().len(), 1);
    let seen = app.seen();
    assert_eq!((seen.len(), seen[0].id), (2, seen[1].id));

    let another = app.start(&mut browser).await;
    app.call(&browser, &another.callback("another")).await;
    assert_ne!(app.seen()[2].id, seen[0].id);
}

#[tokio::test]
async fn a_request_dropped_at_any_await_leaves_a_sign_in_that_the_next_try_finishes() {
    for polls in 1..6 {
        let app = App::new(303, |_| {}, |builder| builder);
        app.gate.forget_permits(99);
        let mut browser = Browser::new();
        app.gate.add_permits(1);
        let started = app.start(&mut browser).await;
        app.gate.forget_permits(1);
        let mut dropped = Box::pin(app.call(&browser, &started.callback(CODE)));
        for _ in 0..polls {
            let poll = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(poll, Poll::Pending), "{polls} polls");
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        let reached = app.seen().len();
        drop(dropped);
        app.gate.add_permits(1);
        let response = app.call(&browser, &started.callback(CODE)).await;
        browser.keep(&response);
        assert_eq!(response.status(), 303, "{polls} polls");
        assert!(browser.jar.contains_key("__Host-signin"), "{polls} polls");
        assert_eq!(app.upstream.requests().len(), 1, "{polls} polls");
        assert_eq!(reached, usize::from(polls > 1), "one poll waits for the attempt, the next for the handler");
    }
}

#[tokio::test]
async fn who_went_away_keeps_no_refused_sign_in_open() {
    let app = App::new(303, |who| who.refuse("no"), |builder| builder.session_store(MemoryStore::new()));
    app.gate.forget_permits(99);
    let mut browser = Browser::new();
    let started = app.start(&mut browser).await;
    let mut dropped = Box::pin(app.call(&browser, &started.callback(CODE)));
    while app.seen().is_empty() {
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        tokio::task::yield_now().await;
    }
    drop(dropped);
    app.gate.add_permits(2);
    let kinds = [ErrorKind::RefusedByApp, ErrorKind::StateSpent];
    for kind in kinds {
        let response = app.call(&browser, &started.callback(CODE)).await;
        assert_eq!(response.extensions().get(), Some(&kind));
    }
    assert_eq!(app.seen().len(), 2, "the last one is not handed on");
}
