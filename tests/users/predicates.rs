//! Whom a guard with a predicate lets in, over a whole sign-in, and what a predicate can't do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::{any, get};
use http::{Method, Request};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::{Layer as _, ServiceExt as _};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::predicate::{claim_equals, claim_includes, issuer};
use tower_signin::{Identity, RequireLayer, SignIn, siwbb};

use crate::site::{BOB, Site};
use crate::support::{Browser, code, location, navigation, send, sign_in_at, text};
use crate::{fetch, told, visit};

/// Routes behind predicates, on a socket, in front of a provider on another.
struct Members {
    origin: String,
    server: JoinHandle<()>,
}

impl Members {
    async fn serve(dev: &DevProvider, routes: impl FnOnce(&SignIn) -> Vec<(&'static str, RequireLayer)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let sign_in = sign_in_at(dev, &origin, |builder| builder);
        let mut router = Router::new();
        for (path, guard) in routes(&sign_in) {
            router = router.route(path, get(async || "members only").layer(guard));
        }
        let router = router.layer(sign_in.layer());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { origin, server }
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[tokio::test]
async fn u34_predicates_see_what_the_provider_said() {
    let dev = DevProvider::start().await.unwrap();
    let alice = Account::alice();
    let own = dev.origin().to_owned();
    let routes = |sign_in: &SignIn| {
        let both = (issuer(own.clone()), siwbb::chain("ETH"));
        vec![
            ("/alice/by-0x", sign_in.require_where(siwbb::addresses([&alice.address]).unwrap())),
            ("/alice/by-bb1", sign_in.require_where(siwbb::addresses([&alice.bitbadges_address]).unwrap())),
            ("/alice/shouting", {
                let shouting = format!("0x{}", alice.address[2..].to_uppercase());
                sign_in.require_where(siwbb::addresses([shouting]).unwrap())
            }),
            ("/alice/by-claim", sign_in.require_where(claim_equals("/bitbadgesAddress", &*alice.bitbadges_address))),
            ("/everybody/of-here", sign_in.require_where(issuer(own.clone()))),
            ("/everybody/on-eth", sign_in.require_where(siwbb::chain("eth"))),
            ("/everybody/by-both", sign_in.require_where(move |who| both.0(who) && both.1(who))),
            ("/nobody/of-bitbadges", sign_in.require_where(issuer("https://bitbadges.io"))),
            ("/nobody/on-cosmos", sign_in.require_where(siwbb::chain("Cosmos"))),
            ("/nobody/on-the-list", sign_in.require_where(siwbb::addresses([] as [&str; 0]).unwrap())),
            ("/nobody/in-a-list", sign_in.require_where(claim_includes("/chain", "ETH"))),
            ("/nobody/without-a-claim", sign_in.require_where(claim_equals("/role", serde_json::Value::Null))),
        ]
    };
    let paths: Vec<_> =
        routes(&sign_in_at(&dev, "http://localhost:1", |b| b)).into_iter().map(|(path, _)| path).collect();
    let members = Members::serve(&dev, routes).await;
    for account in ["alice", "bob"] {
        let mut browser = Browser::new();
        let authorization_url = browser.start(&members.origin, "/").await;
        let callback = browser.approve(&authorization_url, account).await;
        assert_eq!(browser.get(&callback).await.status(), 303, "{account}");
        for path in &paths {
            let response = browser.get(&format!("{}{path}", members.origin)).await;
            let passes = path.starts_with("/everybody") || path.starts_with(&format!("/{account}"));
            let expected = if passes { (200, String::new()) } else { (403, "not_allowed".to_owned()) };
            assert_eq!((response.status().as_u16(), code(&response)), expected, "{account} at {path}");
            assert_eq!(text(&response).contains("members only"), passes, "{account} at {path}");
        }
    }
    let response = Browser::new().get(&format!("{}/everybody/of-here?x=1", members.origin)).await;
    assert_eq!(location(&response), "/auth/login?return_to=%2Feverybody%2Fof-here%3Fx%3D1", "nobody is asked first");
}

#[tokio::test]
async fn u34_as_another_account_the_page_opens() {
    let dev = DevProvider::start().await.unwrap();
    let members = Members::serve(&dev, |sign_in| {
        vec![("/alice", sign_in.require_where(siwbb::addresses([Account::alice().address]).unwrap()))]
    });
    let members = members.await;
    let (origin, mut browser) = (&members.origin, Browser::new());
    let authorization_url = browser.start(origin, "/alice?x=1").await;
    let callback = browser.approve(&authorization_url, "bob").await;
    let page = format!("{origin}{}", location(&browser.get(&callback).await));
    let refused = browser.get(&page).await;
    assert_eq!(told(&refused), (403, "not_allowed".to_owned()));
    let (before, _) = text(&refused).split_once("\">Use another account").expect("a way on");
    let switch = before.rsplit('"').next().unwrap().replace("&amp;", "&");
    let login = browser.get(&format!("{origin}{switch}")).await;
    let callback = browser.approve(&location(&login), "alice").await;
    let back = location(&browser.get(&callback).await);
    assert_eq!(back, "/alice?x=1");
    assert_eq!(text(&browser.get(&format!("{origin}{back}")).await), "members only");
}

#[tokio::test]
async fn a_predicate_is_asked_about_people_only_and_once_for_each_request() {
    let site = Site::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let guard = site.sign_in.require_where(move |_| count.fetch_add(1, Ordering::SeqCst) > usize::MAX - 1);
    let router = Router::new().route("/page", any(async || "secret").layer(guard));
    let mut bob = site.signed_in().await;
    let preflight = || fetch("OPTIONS", "/page").header("access-control-request-method", "PUT");
    let cases = [
        ("nobody", fetch("GET", "/page"), false, 401, 0),
        ("nobody's preflight", preflight(), false, 204, 0),
        ("a preflight with cookies", preflight(), true, 204, 0),
        ("a script", fetch("PUT", "/page"), true, 403, 1),
        ("a person", navigation(Method::GET, "/page", "none"), true, 403, 1),
        ("a form", navigation(Method::POST, "/page", "same-origin"), true, 403, 1),
        (
            "a WebSocket",
            fetch("GET", "/page").header("connection", "upgrade").header("upgrade", "websocket"),
            true,
            403,
            1,
        ),
        ("gRPC", Request::post("/page").header("content-type", "application/grpc"), true, 200, 1),
    ];
    for (name, request, is_bob, status, expected) in cases {
        let before = asked.load(Ordering::SeqCst);
        let mut nobody = Browser::new();
        let response = visit(&site, &router, if is_bob { &mut bob } else { &mut nobody }, request).await;
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(asked.load(Ordering::SeqCst) - before, expected, "{name}");
        assert!(!text(&response).contains("secret"), "{name}");
    }
}

/// A panic in a predicate is like any panic in a service: it unwinds out of this one call, into whoever runs the request
/// (hyper closes the connection), and nothing else. In particular it lets nobody in and signs nobody out.
#[tokio::test]
async fn a_predicate_that_panics_ends_its_own_request_and_nothing_else() {
    let site = Site::new();
    let reached = Arc::new(AtomicUsize::new(0));
    let (count, guard) = (
        Arc::clone(&reached),
        site.sign_in
            .require_where(|who: &Identity| if who.subject() == BOB { panic!("a broken predicate") } else { true }),
    );
    let handler = get(async move || count.fetch_add(1, Ordering::SeqCst).to_string()).layer(guard);
    let router =
        Router::new().route("/page", handler).route("/open", get(async |who: Identity| who.subject().to_owned()));
    let mut browser = site.signed_in().await;
    let cookies = browser.cookie_header().unwrap();
    for time in ["once", "again"] {
        let service = site.sign_in.layer().layer(router.clone());
        let request = Request::get("/page").header("cookie", &cookies).body(axum::body::Body::empty()).unwrap();
        let ended = tokio::spawn(service.oneshot(request)).await;
        assert!(ended.is_err_and(|error| error.is_panic()), "{time}");
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0);
    assert_eq!(text(&visit(&site, &router, &mut browser, fetch("GET", "/open")).await), BOB);
    assert_eq!(visit(&site, &router, &mut Browser::new(), fetch("GET", "/page")).await.status(), 401);
}

#[tokio::test]
async fn a_predicate_that_panics_costs_one_connection_and_no_server() {
    let dev = DevProvider::start().await.unwrap();
    let members = Members::serve(&dev, |sign_in| {
        vec![("/broken", sign_in.require_where(|_| panic!("a broken predicate"))), ("/sound", sign_in.require())]
    });
    let members = members.await;
    let mut browser = Browser::new();
    assert_eq!(browser.sign_in(&members.origin, "/sound").await.status(), 303);
    let request = navigation(Method::GET, &format!("{}/broken", members.origin), "none");
    let request = request.header("cookie", browser.cookie_header().unwrap()).body(bytes::Bytes::new()).unwrap();
    assert!(send(request).await.is_err(), "the connection ends without an answer");
    assert_eq!(text(&browser.get(&format!("{}/sound", members.origin)).await), "members only");
}
