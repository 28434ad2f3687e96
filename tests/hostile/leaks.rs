//! Leaks, scripts in pages, caches, and requests that a server is talked into.

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request};
use serde_json::{Value, json};
use tower_signin::{ErrorKind, Keys, SignIn};

use crate::rows::Row;
use crate::rows::Verdict::{Held, HeldElsewhere};
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, Site, query, siwbb};
use crate::support::{Browser, navigation, text};
use crate::trap::{Trap, on_the_wire, sign_in_at};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H131",
        what: "the words of an error in the address were shown as HTML",
        verdict: Held(&[
            "h131_no_word_of_a_request_is_markup_or_a_message",
            "tests/attack/answers.rs::markup_stays_text",
        ]),
    },
    Row {
        id: "H132",
        what: "cookies in shared caches; tokens, codes and keys in pages, addresses and logs",
        verdict: HeldElsewhere(&[
            "tests/canary.rs::no_secret_is_ever_seen",
            "tests/attack/caches.rs::a_deletion_never_rides_on_a_cacheable_answer",
            "tests/attack/caches.rs::forwarded_answers_are_stored_by_no_cache",
            "tests/sessions/caches.rs::a_response_to_somebody_is_private_unless_the_app_says_otherwise",
            "tests/sessions/caches.rs::a_response_to_somebody_varies_by_cookie_and_says_so_once",
            "tests/stored/attack.rs::no_log_shows_a_cookie_a_key_or_a_record",
            "tests/attack/forward.rs::forward_mode_shows_neither_code_nor_state",
        ]),
    },
    Row {
        id: "H133",
        what: "redirects, addresses in answers and switched-off checks of TLS sent requests and secrets elsewhere",
        verdict: Held(&[
            "h133_no_redirect_of_the_provider_is_followed",
            "h133_no_address_that_is_told_is_fetched",
            "h133_secrets_go_over_tls_or_to_this_machine",
        ]),
    },
];

#[tokio::test]
async fn h131_no_word_of_a_request_is_markup_or_a_message() {
    const MARK: &str = "zqzq\"'><svg/onload=alert(1)><!--{{7*7}}javascript:";
    let site = Site::new();
    let mut known = site.signed_in().await;
    let mut stranger = Browser::new();
    let mut pages = 0;
    for name in
        ["error", "error_description", "error_uri", "state", "code", "iss", "token", "prompt", "title", "reason", MARK]
    {
        for path in ["/api/callback", "/api/login", "/api/logout"] {
            for browser in [&mut known, &mut stranger] {
                for method in [Method::GET, Method::POST] {
                    let state = site.start(browser, "/").await.state;
                    let marked = query(&[(name, MARK)]);
                    let rest = if name == "state" { String::new() } else { format!("&state={state}") };
                    let uri = format!("{path}?{marked}{rest}");
                    for from in ["cross-site", "none"] {
                        let person = navigation(method.clone(), &uri, from);
                        let program = Request::builder().method(method.clone()).uri(&uri).header("accept", "*/*");
                        for request in [person, program] {
                            let header = MARK.replace('"', "");
                            let request = request.header("x-request-id", &header).header("referer", &header);
                            let request = request.header("accept-language", &header).header("user-agent", &header);
                            let response = site.visit(&mut browser.clone(), request).await;
                            let body = text(&response);
                            let shown = || format!("{method} {uri}: {body}");
                            assert!(!body.contains("<svg") && !body.contains("alert(1)"), "{}", shown());
                            assert!(!body.contains("zqzq"), "{}", shown());
                            for (name, value) in response.headers() {
                                let is_told = value.as_bytes().windows(4).any(|part| part == b"zqzq");
                                assert!(!is_told, "{name}: {value:?} for {}", shown());
                            }
                            if response
                                .headers()
                                .get(CONTENT_TYPE)
                                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
                            {
                                let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
                                assert!(
                                    policy.starts_with("default-src 'none'") && !policy.contains("script-src"),
                                    "{policy}"
                                );
                                assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
                                pages += 1;
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(pages > 200, "{pages}");
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
