//! What is shown, stored or fetched that should not be: markup of strangers, caches, and requests of our own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request as Incoming;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{ConfigError, ErrorKind, Identity, Keys, SignIn, Siwbb};

use crate::rows::Row;
use crate::rows::Verdict::{Held, HeldElsewhere};
use crate::site::{BOB, BOB_ANSWER, CODE, Site, Started, query, set_cookies, siwbb};
use crate::support::{Browser, code, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H131",
        what: "the text of `error` and `error_description` stood in the page as markup",
        verdict: Held(&["h131_nothing_of_an_error_reaches_a_page_or_a_header"]),
    },
    Row {
        id: "H132",
        what: "a cache kept a session cookie, and tokens, codes and passwords stood in addresses, answers and logs",
        verdict: HeldElsewhere(&[
            "tests/canary.rs::no_secret_is_ever_seen",
            "tests/stored/attack.rs::no_log_shows_a_cookie_a_key_or_a_record",
            "tests/attack/caches.rs::a_deletion_never_rides_on_a_cacheable_answer",
            "tests/attack/caches.rs::forwarded_answers_are_stored_by_no_cache",
            "tests/sessions/caches.rs::a_renewal_waits_for_a_response_that_is_not_meant_for_shared_caches",
            "tests/sessions/caches.rs::a_response_to_somebody_is_private_unless_the_app_says_otherwise",
            "tests/tokens/responses.rs::a_public_response_carries_none_and_the_next_one_does",
        ]),
    },
    Row {
        id: "H133",
        what: "a server was made to fetch what a stranger named, followed redirects with its secrets, or took any certificate",
        verdict: Held(&[
            "h133_no_redirect_of_the_provider_is_followed",
            "h133_no_address_in_a_claim_is_fetched",
            "h133_the_back_channel_is_https_or_loopback",
            "h133_a_certificate_that_nobody_vouches_for_gets_no_request",
        ]),
    },
];

/// Stands in every text that a stranger chose.
const MARK: &str = "zqx";

#[tokio::test]
async fn h131_nothing_of_an_error_reaches_a_page_or_a_header() {
    let site = Site::new();
    let texts = [
        "zqx<script>alert(1)</script>",
        "\"><img src=x onerror=zqx>",
        "'onmouseover='zqx",
        "</p></main><form action=//evil.example/zqx>",
        "zqx\r\nSet-Cookie: a=b\r\n\r\n<html>",
        "<!--zqx",
        "javascript:zqx",
        "{{zqx}}${zqx}<%zqx%>",
        "\u{202e}zqx\u{2028}",
        "+ADw-script+AD4-zqx",
        "access_denied<zqx>",
        "please call zqx to sign in",
    ];
    let names = ["error", "error_description", "error_uri", "return_to", "iss", "scope", "code", "errorMessage"];
    let audiences: [(&str, fn(&str) -> http::request::Builder); 5] = [
        ("a person", |address| navigation(Method::GET, address, "cross-site")),
        ("a script", |address| Request::get(address).header("sec-fetch-mode", "cors").header("accept", "*/*")),
        ("curl", |address| Request::get(address)),
        ("gRPC", |address| Request::get(address).header(CONTENT_TYPE, "application/grpc")),
        ("a frame", |address| Request::get(address).header("sec-fetch-dest", "iframe").header("accept", "text/html")),
    ];
    let mut pages = 0;
    for text_of_theirs in texts {
        for name in names {
            for (audience, request) in audiences {
                let mut browser = Browser::new();
                let started = site.start(&mut browser, "/").await;
                let other = if name == "error" { "error_description" } else { "error" };
                let theirs = query(&[(other, "invalid_request"), (name, text_of_theirs)]);
                for state in [started.state.as_str(), "zqx", &started.state.replace('a', "b")] {
                    let address = format!("/api/callback?{theirs}&state={state}");
                    let answer = site.visit(&mut browser.clone(), request(&address)).await;
                    let what = format!("{audience}: {address}: {answer:?}");
                    assert!(answer.extensions().get::<ErrorKind>().is_some(), "{what}");
                    assert!(!text(&answer).contains(MARK), "{what}");
                    for value in answer.headers().values() {
                        assert!(!String::from_utf8_lossy(value.as_bytes()).contains(MARK), "{what}");
                    }
                    assert!(!answer.headers().contains_key(LOCATION), "{what}");
                    if answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
                    {
                        pages += 1;
                        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
                        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{what}");
                        assert!(!policy.contains("unsafe") && !policy.contains("script"), "{what}");
                        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{what}");
                        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html; charset=utf-8", "{what}");
                    }
                }
            }
        }
    }
    assert!(pages > 200, "{pages} pages were looked at");
    assert!(site.upstream.requests().is_empty() && site.inner_calls() == 0);
}

/// A server that must not be asked; it answers as if it were the provider.
struct Trap {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

impl Trap {
    /// `answer` gives status and `Location`; without, it is bob who has signed in.
    async fn set(answer: Option<(u16, String)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&asked);
        let router = Router::new().fallback(async move |request: Incoming| {
            keep.lock().unwrap().push(request.uri().to_string());
            let response = Response::builder().header(CONTENT_TYPE, "application/json");
            match answer {
                Some((status, location)) => {
                    response.status(status).header(LOCATION, location).body(BOB_ANSWER.to_owned())
                }
                None => response.body(BOB_ANSWER.to_owned()),
            }
            .unwrap()
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked, server }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A site of this machine's whose provider has its API there, spoken to by the built-in client.
fn sign_in(provider: Siwbb, api: String) -> Result<SignIn, ConfigError> {
    SignIn::builder(provider.base_urls("http://localhost:1", api))
        .redirect_uri("http://localhost:3000/api/callback")
        .keys(Keys::generate()?)
        .build()
}

/// A whole sign-in; its last answer, and how often the app heard of somebody.
async fn complete(sign_in: &SignIn) -> (Response<Bytes>, usize) {
    let people = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&people);
    let service = sign_in.layer().layer(service_fn(move |request: Request<Bytes>| {
        count.fetch_add(usize::from(request.extensions().get::<Identity>().is_some()), Ordering::SeqCst);
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::new()))))
    }));
    let mut browser = Browser::new();
    let mut callback = "/api/login".to_owned();
    let mut last = Response::new(Bytes::new());
    for step in 0..3 {
        let mut request = navigation(Method::GET, &callback, "none").body(Bytes::new()).unwrap();
        if let Some(cookies) = browser.cookie_header() {
            request.headers_mut().insert(COOKIE, cookies.parse().unwrap());
        }
        let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
        let answer = Response::from_parts(parts, body.collect().await.unwrap().to_bytes());
        browser.keep(&answer);
        match step {
            0 => callback = Started::at(answer.headers()[LOCATION].to_str().unwrap()).callback(CODE),
            1 => {
                last = answer;
                callback = "/".to_owned();
            }
            _ => {}
        }
    }
    (last, people.load(Ordering::SeqCst))
}

#[tokio::test]
async fn h133_no_redirect_of_the_provider_is_followed() {
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let trap = Trap::set(None).await;
        for location in
            [format!("http://{}/api/v0/siwbb/token", trap.address), format!("//{}/", trap.address), "/again".to_owned()]
        {
            let api = Trap::set(Some((status, location.clone()))).await;
            let site = sign_in(siwbb(), format!("http://{}", api.address)).unwrap();
            let (answer, people) = complete(&site).await;
            let found = (answer.status().as_u16(), code(&answer), people);
            assert_eq!(found, (502, "provider_answer_unreadable".to_owned(), 0), "{status} to {location}");
            assert_eq!(api.asked(), ["/api/v0/siwbb/token"], "{status} to {location}");
            assert!(set_cookies(&answer).iter().all(|cookie| cookie.contains("Max-Age=0")), "{status} to {location}");
        }
        assert!(trap.asked().is_empty(), "{status}: {:?}", trap.asked());
    }
    // The trap works: whoever comes to it signs in.
    let trap = Trap::set(None).await;
    let (answer, people) = complete(&sign_in(siwbb(), format!("http://{}", trap.address)).unwrap()).await;
    assert_eq!((answer.status().as_u16(), people, trap.asked().len()), (303, 1, 1));
}

#[tokio::test]
async fn h133_no_address_in_a_claim_is_fetched() {
    let trap = Trap::set(None).await;
    let theirs = format!("http://{}/picture", trap.address);
    let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    for name in [
        "picture",
        "profile",
        "website",
        "profilePicUrl",
        "avatar",
        "jwks_uri",
        "issuer",
        "token_endpoint",
        "userinfo_endpoint",
        "$schema",
        "@context",
        "errorUri",
        "topUpUrl",
        "chain",
    ] {
        answer[name] = json!(theirs);
    }
    // Over the layer's own way out, every request is seen; the trap would see any other.
    let site = Site::with(tower_signin::Builder::keep_tokens);
    site.upstream.answer(200, answer.to_string());
    let mut browser = Browser::new();
    assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    for path in ["/", "/favicon.ico", "/picture"] {
        assert_eq!(text(&site.get(&mut browser, path).await), BOB);
    }
    let sent: Vec<_> = site.upstream.requests().iter().map(|request| request.uri().to_string()).collect();
    assert_eq!(sent, ["https://api.bitbadges.io/api/v0/siwbb/token"]);
    assert!(trap.asked().is_empty());

    // Nor is what a browser names.
    site.upstream.forget();
    for name in ["iss", "issuer", "request_uri", "login_uri", "target_link_uri", "webfinger", "return_to", "resource"] {
        let address = format!("/api/login?{}", query(&[(name, &theirs)]));
        site.get(&mut Browser::new(), &address).await;
        site.get(&mut Browser::new(), &address.replace("login", "callback")).await;
    }
    assert!(site.upstream.requests().is_empty() && trap.asked().is_empty());
}

#[test]
fn h133_the_back_channel_is_https_or_loopback() {
    let refused = [
        "http://evil.example",
        "http://api.bitbadges.io",
        "http://169.254.169.254",
        "http://10.0.0.1",
        "http://0.0.0.0:1",
        "http://[::]:1",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "http://127.1.evil.example",
        "//api.bitbadges.io",
        "api.bitbadges.io",
        "file:///etc/passwd",
        "ftp://localhost",
        "gopher://127.0.0.1:6379",
        "javascript:alert(1)",
        "",
    ];
    for url in refused {
        for (website, api) in [("https://bitbadges.io", url), (url, "https://api.bitbadges.io")] {
            let built = SignIn::builder(siwbb().base_urls(website, api))
                .redirect_uri("https://example.com/api/callback")
                .keys(Keys::generate().unwrap())
                .build();
            assert_eq!(built.map(drop).unwrap_err().setting(), "base_urls", "{website} {api}");
        }
    }
    // The stand-in of a developer's machine vouches for nobody on a public site.
    for api in ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"] {
        let built = SignIn::builder(siwbb().base_urls("https://bitbadges.io", api))
            .redirect_uri("https://example.com/api/callback")
            .keys(Keys::generate().unwrap())
            .build();
        assert!(built.is_err(), "{api}");
        assert!(sign_in(siwbb(), api.to_owned()).is_ok(), "{api}");
    }
}

#[tokio::test]
async fn h133_a_certificate_that_nobody_vouches_for_gets_no_request() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (met, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, bytes) = (Arc::clone(&met), Arc::clone(&heard));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let read = stream.read(&mut [0; 64]).await;
            bytes.fetch_add(read.unwrap_or_default(), Ordering::SeqCst);
        }
    });
    let mut tried = 0;
    for host in ["localhost", "127.0.0.1"] {
        // A machine without any certificates builds no client; `a_machine_without_certificates_is_told_so` is of those.
        let Ok(site) = sign_in(siwbb(), format!("https://{host}:{port}")) else { continue };
        let (answer, people) = tokio::time::timeout(Duration::from_secs(20), complete(&site)).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), code(&answer), people),
            (502, "provider_unreachable".to_owned(), 0),
            "{host}"
        );
        tried += 1;
    }
    server.abort();
    assert_eq!(heard.load(Ordering::SeqCst), 0, "not a byte of a request was sent");
    assert!(met.load(Ordering::SeqCst) >= tried, "the server was there");
}
