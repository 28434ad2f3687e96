//! A service that hands requests on to other servers hands on none of the layer's cookies.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Admission, Builder, ErrorKind, Identity, Keys, SignedIn};

use crate::site::{BOB, CODE, NOW, Site};
use crate::support::Browser;

/// Who a request came from, and its `Cookie` headers, as the servers behind the proxy would get them.
type Passed = (String, Vec<String>);

/// A proxy behind the layer and a guard.
struct Proxy {
    passed: Arc<Mutex<Vec<Passed>>>,
    service: BoxCloneSyncService<Request<()>, Response<()>, Infallible>,
}

impl Proxy {
    fn new(site: &Site) -> Self {
        let passed = Arc::<Mutex<Vec<Passed>>>::default();
        let seen = Arc::clone(&passed);
        let inner = service_fn(move |request: Request<()>| {
            let cookies = request.headers().get_all(COOKIE).iter().map(|it| it.to_str().unwrap().to_owned()).collect();
            assert!(request.headers().get_all(COOKIE).iter().all(http::HeaderValue::is_sensitive));
            let who = request.extensions().get::<Identity>().expect("the guard lets nobody else in").subject();
            seen.lock().unwrap().push((who.to_owned(), cookies));
            std::future::ready(Ok::<_, Infallible>(Response::new(())))
        });
        let service = site.sign_in.layer().layer(site.sign_in.require().layer(inner));
        Self { passed, service: BoxCloneSyncService::new(service.map_response(|response| response.map(drop))) }
    }

    /// Sends these `Cookie` headers.
    async fn send(&self, path: &str, cookies: &[&str]) -> Response<()> {
        let request = cookies.iter().fold(Request::get(path), |request, cookie| request.header(COOKIE, *cookie));
        self.service.clone().oneshot(request.body(()).unwrap()).await.unwrap()
    }

    fn passed(&self) -> Vec<Passed> {
        std::mem::take(&mut *self.passed.lock().unwrap())
    }
}

/// Sessions of two cookies, and tokens that end after an hour.
fn with_every_cookie(builder: Builder) -> Builder {
    let large = |_: SignedIn| async { Admission::with_data(&"x".repeat(4000)) };
    builder.keep_tokens().session_cookie_limit(16_384).on_sign_in(large)
}

fn tokens(number: u32) -> String {
    let ends = (NOW + 3600) * 1000;
    format!(
        r#"{{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH","bitbadgesAddress":"{BOB}",
        "verificationResponse":{{"success":true}},"token_type":"Bearer","access_token":"access-{number}",
        "access_token_expires_at":{ends},"refresh_token":"refresh-{number}","refresh_token_expires_at":{ends}}}"#
    )
}

/// A browser that holds each kind of cookie that the layer sets.
async fn with_all_cookies(site: &Site) -> Browser {
    site.upstream.answer(200, tokens(1));
    let mut browser = Browser::new();
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    let flow = site.start(&mut browser, "/").await.flow_cookie();
    let names: Vec<_> = browser.jar.keys().map(String::as_str).collect();
    let expected =
        ["__Host-signin", "__Host-signin-flow", "__Host-signin-rounds", "__Host-signin-tokens", "__Host-signin.1"];
    assert_eq!(names, expected.map(|name| if name.ends_with("-flow") { flow.as_str() } else { name }));
    browser
}

#[tokio::test]
async fn u05_a_proxy_hands_on_no_cookie_of_the_layer() {
    let keys = Keys::generate().unwrap();
    let site = Site::with(|builder| with_every_cookie(builder.keys(keys.clone())).hide_cookies());
    let proxy = Proxy::new(&site);
    let ours = with_all_cookies(&site).await.cookie_header().unwrap();
    let among = format!("a=1; {ours}; b=\"2\"");
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("ours alone", &[&ours], &[]),
        ("among others", &[&among], &["a=1; b=\"2\""]),
        ("in headers of their own", &["a=1", &ours, "b=2"], &["a=1", "b=2"]),
        ("names like ours", &[&ours, "__Host-signing=1;signin=2"], &["__Host-signing=1;signin=2"]),
    ];
    for (name, sent, expected) in cases {
        assert_eq!(proxy.send("/", sent).await.status(), 200, "{name}");
        let expected = expected.iter().map(ToString::to_string).collect();
        assert_eq!(proxy.passed(), [(BOB.to_owned(), expected)], "{name}");
    }

    // The request that has the tokens refreshed, which waits for the provider.
    site.upstream.answer(200, tokens(2));
    site.clock.advance(Duration::from_secs(3560));
    let refreshed = proxy.send("/", &[&among]).await;
    assert!(refreshed.headers().contains_key("set-cookie"), "the newer tokens");
    assert_eq!(proxy.passed(), [(BOB.to_owned(), vec!["a=1; b=\"2\"".to_owned()])]);

    // By default all goes on.
    let site = Site::with(|builder| with_every_cookie(builder.keys(keys.clone())));
    let proxy = Proxy::new(&site);
    proxy.send("/", &[&among, "c=3"]).await;
    assert_eq!(proxy.passed(), [(BOB.to_owned(), vec![among, "c=3".to_owned()])]);
}

#[tokio::test]
async fn u05_a_guard_knows_that_the_layer_has_looked_at_the_hidden_cookies() {
    let site = Site::with(|builder| with_every_cookie(builder).hide_cookies());
    let proxy = Proxy::new(&site);
    let browser = with_all_cookies(&site).await;
    let forged = format!("__Host-signin={}", browser.jar["__Host-signin"].replace(char::is_numeric, "0"));
    let twice = "__Host-signin=1; __Host-signin=2".to_owned();
    site.clock.advance(Duration::from_secs(24 * 3600));
    let over = browser.cookie_header().unwrap();
    for (name, cookies, deleted) in
        [("over", over, 3), ("forged", forged, 0), ("twice", twice, 0), ("none", "a=1".to_owned(), 0)]
    {
        let refused = proxy.send("/", &[&cookies]).await;
        assert_eq!(refused.extensions().get(), Some(&ErrorKind::NotSignedIn), "{name}");
        assert_eq!(refused.headers().get_all("set-cookie").iter().count(), deleted, "{name}");
        assert_eq!(proxy.passed(), [], "{name}");
    }
}

#[tokio::test]
async fn u05_a_forwarded_callback_goes_on_without_the_cookies_of_the_layer() {
    let site = Site::with(|builder| with_every_cookie(builder).forward_callback().hide_cookies());
    let proxy = Proxy::new(&site);
    site.upstream.answer(200, tokens(1));
    let mut browser = Browser::new();
    site.start(&mut browser, "/").await;
    let started = site.start(&mut browser, "/").await;
    let ours = browser.cookie_header().unwrap();
    let done = proxy.send(&started.callback(CODE), &["a=1", &format!("b=2; {ours}; c=3")]).await;
    assert_eq!(done.status(), 200);
    browser.keep(&done.map(|()| Bytes::new()));
    assert!(browser.jar.contains_key("__Host-signin.1") && !browser.jar.contains_key(&started.flow_cookie()));
    assert_eq!(proxy.passed(), [(BOB.to_owned(), vec!["a=1".to_owned(), "b=2; c=3".to_owned()])]);
}
