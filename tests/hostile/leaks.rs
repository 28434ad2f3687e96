//! Leaks, scripts in pages, caches, and requests that a server is talked into.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tower_signin::{ErrorKind, Keys, SignIn};

use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, query, siwbb};
use crate::support::{Browser, code, navigation, text};
use crate::trap::{Trap, on_the_wire, sign_in_at};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H131",
        what: "the words of an error in the address were shown as HTML",
        verdict: Held(&[
            "h131_no_word_of_a_request_is_markup_or_a_message",
            "h131_nothing_of_an_error_reaches_a_page_or_a_header",
            "tests/attack/answers.rs::markup_stays_text",
        ]),
    },
    Row {
        id: "H132",
        what: "cookies in shared caches; tokens, codes and keys in pages, addresses and logs",
        verdict: Held(&[
            "tests/canary.rs::no_secret_is_ever_seen",
            "tests/attack/caches.rs::a_deletion_never_rides_on_a_cacheable_answer",
            "tests/attack/caches.rs::forwarded_answers_are_stored_by_no_cache",
            "tests/sessions/caches.rs::a_response_to_somebody_is_private_unless_the_app_says_otherwise",
            "tests/sessions/caches.rs::a_response_to_somebody_varies_by_cookie_and_says_so_once",
            "tests/stored/attack.rs::no_log_shows_a_cookie_a_key_or_a_record",
            "tests/attack/forward.rs::forward_mode_shows_neither_code_nor_state",
            "tests/sessions/caches.rs::a_renewal_waits_for_a_response_that_is_not_meant_for_shared_caches",
            "tests/tokens/responses.rs::a_public_response_carries_none_and_the_next_one_does",
        ]),
    },
    Row {
        id: "H133",
        what: "redirects, addresses in answers and switched-off checks of TLS sent requests and secrets elsewhere",
        verdict: Held(&[
            "h133_no_redirect_of_the_provider_is_followed",
            "h133_no_address_that_is_told_is_fetched",
            "h133_secrets_go_over_tls_or_to_this_machine",
            "h133_a_certificate_that_nobody_vouches_for_gets_no_request",
        ]),
    },
];

#[tokio::test]
async fn h131_no_word_of_a_request_is_markup_or_a_message() {
    const TEXT: &str = "zqzqzqzq\"'><svg/onload=alert(1)><!--{{7*7}}javascript:";
    let site = Site::new();
    let mut known = site.signed_in().await;
    let mut stranger = Browser::new();
    let mut pages = 0;
    for name in
        ["error", "error_description", "error_uri", "state", "code", "iss", "token", "prompt", "title", "reason", TEXT]
    {
        for path in ["/api/callback", "/api/login", "/api/logout"] {
            for browser in [&mut known, &mut stranger] {
                for method in [Method::GET, Method::POST] {
                    let state = site.start(browser, "/").await.state;
                    let marked = query(&[(name, TEXT)]);
                    let rest = if name == "state" { String::new() } else { format!("&state={state}") };
                    let uri = format!("{path}?{marked}{rest}");
                    for from in ["cross-site", "none"] {
                        let person = navigation(method.clone(), &uri, from);
                        let program = Request::builder().method(method.clone()).uri(&uri).header("accept", "*/*");
                        for request in [person, program] {
                            let header = TEXT.replace('"', "");
                            let request = request.header("x-request-id", &header).header("referer", &header);
                            let request = request.header("accept-language", &header).header("user-agent", &header);
                            let response = site.visit(&mut browser.clone(), request).await;
                            pages += usize::from(says_nothing_of_it(&format!("{method} {uri}"), &response));
                        }
                    }
                }
            }
        }
    }
    assert!(pages > 200, "{pages}");
}

#[tokio::test]
async fn h131_nothing_of_an_error_reaches_a_page_or_a_header() {
    let site = Site::new();
    let texts = [
        "zqzqzqzq<script>alert(1)</script>",
        "\"><img src=x onerror=zqzqzqzq>",
        "'onmouseover='zqzqzqzq",
        "</p></main><form action=//evil.example/zqzqzqzq>",
        "zqzqzqzq\r\nSet-Cookie: a=b\r\n\r\n<html>",
        "<!--zqzqzqzq",
        "javascript:zqzqzqzq",
        "{{zqzqzqzq}}${zqzqzqzq}<%zqzqzqzq%>",
        "\u{202e}zqzqzqzq\u{2028}",
        "+ADw-script+AD4-zqzqzqzq",
        "access_denied<zqzqzqzq>",
        "please call zqzqzqzq to sign in",
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
                for state in [started.state.as_str(), "zqzqzqzq", &started.state.replace('a', "b")] {
                    let address = format!("/api/callback?{theirs}&state={state}");
                    let answer = site.visit(&mut browser.clone(), request(&address)).await;
                    let what = format!("{audience}: {address}: {answer:?}");
                    assert!(answer.extensions().get::<ErrorKind>().is_some(), "{what}");
                    assert!(!answer.headers().contains_key(LOCATION), "{what}");
                    pages += usize::from(says_nothing_of_it(&what, &answer));
                }
            }
        }
    }
    assert!(pages > 200, "{pages} pages were looked at");
    assert!(site.upstream.requests().is_empty() && site.inner_calls() == 0);
}

/// Stands in every text that a stranger chose, and is too long to be drawn at random.
const MARK: &str = "zqzqzqzq";

/// Whether the answer is a page; what a stranger said is neither in it nor in a header, and it may run nothing.
fn says_nothing_of_it(what: &str, answer: &Response<Bytes>) -> bool {
    let body = text(answer);
    assert!(!body.contains(MARK) && !body.contains("<svg") && !body.contains("alert(1)"), "{what}: {body}");
    for (name, value) in answer.headers() {
        assert!(!String::from_utf8_lossy(value.as_bytes()).contains(MARK), "{what}: {name}: {value:?}");
    }
    let Some(kind) = answer.headers().get(CONTENT_TYPE).filter(|kind| kind.as_bytes().starts_with(b"text/html")) else {
        return false;
    };
    let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{what}: {policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script"), "{what}: {policy}");
    assert_eq!(answer.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff", "{what}");
    assert_eq!(kind, "text/html; charset=utf-8", "{what}");
    true
}

#[tokio::test]
async fn h133_no_redirect_of_the_provider_is_followed() {
    let elsewhere = Trap::answering(on_the_wire("200 OK", "", BOB_ANSWER.as_bytes())).await;
    for status in [
        "300 Multiple Choices",
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        for place in [
            format!("Location: {}/api/v0/siwbb/token\r\n", elsewhere.url),
            format!("Location: {0}/a\r\nLocation: {0}/b\r\n", elsewhere.url),
            format!("Refresh: 0; url={0}\r\nContent-Location: {0}\r\nLink: <{0}>; rel=preload\r\n", elsewhere.url),
            format!("Alt-Svc: h2=\"{}\"\r\n", elsewhere.url.trim_start_matches("http://")),
        ] {
            let trap = Trap::answering(on_the_wire(status, &place, BOB_ANSWER.as_bytes())).await;
            let (response, who) = sign_in_at(&trap.url).await;
            assert_eq!((response.status().as_u16(), who.as_str()), (502, "nobody"), "{status} {place}");
            assert_eq!(trap.heard().len(), 1, "{status} {place}: it was tried again");
        }
    }
    assert_eq!(elsewhere.heard(), [""; 0], "the code and the client's secret went elsewhere");
}

#[tokio::test]
async fn h133_no_address_that_is_told_is_fetched() {
    let elsewhere = Trap::answering(on_the_wire("200 OK", "", b"{}")).await;
    let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    for member in [
        "picture",
        "profile",
        "avatar",
        "website",
        "iss",
        "issuer",
        "jwks_uri",
        "jku",
        "x5u",
        "userinfo_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "chain",
        "scope",
        "errorMessage",
        "next",
        "url",
    ] {
        answer[member] = json!(format!("{}/{member}", elsewhere.url));
    }
    let trap = Trap::answering(on_the_wire("200 OK", "", answer.to_string().as_bytes())).await;
    assert_eq!(sign_in_at(&trap.url).await.1, BOB);
    assert_eq!(trap.heard().len(), 1);

    let site = Site::new();
    for name in ["iss", "request_uri", "jwks_uri", "redirect_uri", "issuer", "authority", "host", "code", "error_uri"] {
        let told = format!("{}/{name}", elsewhere.url);
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let code = if name == "code" { told.as_str() } else { CODE };
        let rest = if name == "code" { String::new() } else { query(&[(name, &told)]) };
        let callback = format!("{}&{rest}", started.callback(&query(&[("", code)])[1..]));
        let request = navigation(Method::GET, &callback, "cross-site")
            .header("host", elsewhere.url.trim_start_matches("http://"));
        site.visit(&mut browser, request.header("origin", &elsewhere.url).header("referer", &told)).await;
        for request in site.upstream.requests() {
            assert_eq!(request.uri().host(), Some("api.bitbadges.io"), "{name}: {:?}", request.uri());
        }
    }
    assert_eq!(elsewhere.heard(), [""; 0]);
}

#[tokio::test]
async fn h133_secrets_go_over_tls_or_to_this_machine() {
    let build = |api: &str, callback: &str| {
        let provider = siwbb().base_urls("https://bitbadges.io", api);
        SignIn::builder(provider).redirect_uri(callback).keys(Keys::generate().unwrap()).build()
    };
    for api in [
        "http://api.bitbadges.io",
        "http://10.0.0.1",
        "http://169.254.169.254",
        "http://[fe80::1]",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0",
        "http://[::]",
        "http://127.1.evil.example",
        "gopher://127.0.0.1:6379",
        "javascript:alert(1)",
        "ftp://api.bitbadges.io",
        "file:///etc/passwd",
        "api.bitbadges.io",
        "//api.bitbadges.io",
        "https://user:password@api.bitbadges.io",
        "",
    ] {
        for callback in [CALLBACK, "http://localhost:3000/api/callback"] {
            let error = build(api, callback).expect_err(api);
            assert_ne!(error.setting(), "http_client", "{api:?}: {error}");
        }
    }
    // A public site never speaks to this machine, where anybody's process may listen.
    assert!(build("http://localhost:1", CALLBACK).is_err());

    // Who answers without a certificate is told nothing. A machine that trusts nobody gets no client for https at all.
    let tls = build("https://localhost:1", "http://localhost:3000/api/callback");
    if tls.is_err_and(|error| error.setting() == "http_client") {
        return;
    }
    let plain = Trap::answering(on_the_wire("200 OK", "", BOB_ANSWER.as_bytes())).await;
    let (response, who) = sign_in_at(&plain.url.replace("http://127.0.0.1", "https://localhost")).await;
    assert_eq!((response.extensions().get(), who.as_str()), (Some(&ErrorKind::ProviderUnreachable), "nobody"));
    assert!(plain.heard().iter().all(|heard| !heard.contains("client_secret") && !heard.contains(CODE)));
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
    for host in ["localhost", "127.0.0.1"] {
        let (answer, who) = sign_in_at(&format!("https://{host}:{port}")).await;
        assert_eq!(
            (answer.status().as_u16(), code(&answer), who.as_str()),
            (502, "provider_unreachable".to_owned(), "nobody")
        );
    }
    server.abort();
    assert_eq!(heard.load(Ordering::SeqCst), 0, "not a byte of a request was sent");
    assert!(met.load(Ordering::SeqCst) >= 1, "the server was there");
}
