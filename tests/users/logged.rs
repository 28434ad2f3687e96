//! What a person can quote is in the log.

use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::routing::any;
use http::Method;
use tower_signin::{ManualClock, MemoryStore};

use crate::log::Log;
use crate::site::{BOB, BOB_ANSWER, NOW, Site};
use crate::support::{Browser, navigation, text};
use crate::{fetch, routes, told, visit};

#[tokio::test]
async fn u15_the_callback_and_its_attempt_write_the_request_id_into_the_log() {
    Log::start();
    let site = Site::new();
    for (name, given) in [("none", None), ("a UUID", Some("7d444840-9dc0-11d1-b245-5ffdce74fad2"))] {
        let request = navigation(Method::GET, "/api/callback", "none");
        let id = request_id(&site.visit(&mut Browser::new(), request_like(&request, given)).await);
        assert!(given.is_none_or(|given| given == id), "{name}: {id}");
        let line = Log::line(&format!("request_id={id}"));
        assert!(line.contains("callback_malformed"), "{name}: {}", Log::text());
    }
    site.upstream.answer(500, "{}");
    let id = request_id(&site.complete(&mut Browser::new(), "/").await);
    let text = Log::text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(&format!("request_id={id}"))).collect();
    assert!(
        matches!(&lines[..], [why, told]
        if why.contains("WARN") && why.contains("provider_failed") && told.contains("INFO")),
        "an attempt: {text}"
    );

    let mut browser = Browser::new();
    let started = Site::new();
    let request = started.start(&mut browser, "/").await;
    let callback = navigation(Method::GET, &request.callback(crate::site::CODE), "cross-site");
    started.visit(&mut browser, callback.header("x-request-id", "a-success")).await;
    let line = Log::line("request_id=a-success");
    assert!(line.contains("signed in"), "{}", Log::text());
    let session = line.split(" session=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    assert!(session.len() == 16 && session.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
}

#[tokio::test]
async fn u15_what_the_provider_said_at_the_callback_is_in_the_log_where_its_meaning_is_known() {
    Log::start();
    let site = Site::new();
    for (said, reason) in [
        ("invalid_scope", "invalid_scope"),
        ("server_error", "server_error"),
        ("made_up", "an error this crate does not know"),
    ] {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let callback = format!("/api/callback?error={said}&state={}", started.state);
        let id = request_id(&site.get(&mut browser, &callback).await);
        let line = Log::line(&format!("request_id={id}"));
        assert!(line.contains("authorization_failed") && line.contains(&format!("reason=\"{reason}\"")), "{line}");
    }
}

#[tokio::test]
async fn u15_in_forward_mode_the_last_word_is_in_the_log() {
    Log::start();
    let site = Site::with(tower_signin::Builder::forward_callback);
    let cases = [
        ("well", 303, None, "INFO", "signed in"),
        ("refuses", 303, Some("banned"), "INFO", "banned"),
        ("declines", 403, None, "INFO", "not signed in"),
        ("fails", 500, None, "WARN", "not signed in"),
    ];
    for (name, status, reason, level, words) in cases {
        let handler = any(async move |done: tower_signin::SignedIn| {
            if let Some(reason) = reason {
                done.refuse(reason);
            }
            http::StatusCode::from_u16(status).unwrap()
        });
        let router = Router::new().route("/api/callback", handler);
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let callback = navigation(Method::GET, &started.callback(crate::site::CODE), "cross-site");
        visit(&site, &router, &mut browser, callback.header("x-request-id", name)).await;
        let text = Log::text();
        let told: Vec<_> = text.lines().filter(|line| line.contains(&format!("request_id={name}"))).collect();
        let told: Vec<_> = told.into_iter().filter(|line| !line.contains("DEBUG")).collect();
        assert!(matches!(&told[..], [line] if line.contains(level) && line.contains(words)), "{name}: {text}");
    }
}

#[tokio::test]
async fn u15_what_an_operator_must_see_is_no_debug_line() {
    Log::start();
    let site = Site::with(|builder| {
        builder.pages(|page| match page.request_id() {
            "broken" => panic!("a broken template"),
            _ => page.title().to_owned(),
        })
    });
    let unlayered = Router::new().fallback(any(async || "").layer(site.sign_in.require()));
    let mut bob = site.signed_in().await;
    let cookie = bob.cookie_header().unwrap();
    let grpc = || http::Request::post("/a.B/C").header("content-type", "application/grpc").header("cookie", &cookie);
    for (name, request) in [
        ("page", navigation(Method::GET, "/", "none").header("cookie", &cookie)),
        ("problem", fetch("GET", "/").header("cookie", &cookie)),
        ("grpc", grpc()),
    ] {
        let request =
            request.header("x-request-id", format!("missing-{name}")).body(axum::body::Body::empty()).unwrap();
        tower::ServiceExt::oneshot(unlayered.clone(), request).await.unwrap();
        let line = Log::line(&format!("missing-{name}"));
        assert!(line.contains("ERROR") && line.contains("sign_in_layer_missing"), "{name}: {}", Log::text());
        assert!(line.contains("mount sign_in.layer() outside"), "{name}: {line}");
    }
    let denied = navigation(Method::GET, "/owners", "none").header("x-request-id", "denied");
    visit(&site, &routes(&site), &mut bob, denied).await;
    let line = Log::line("request_id=denied");
    assert!(line.contains("INFO") && line.contains(BOB), "who tries what they may not: {line}");
    let denied = navigation(Method::GET, "/owners", "none").header("x-request-id", "broken");
    visit(&site, &routes(&site), &mut bob, denied).await;
    assert!(
        Log::text().lines().any(|line| line.contains("ERROR") && line.contains("request_id=broken")),
        "{}",
        Log::text()
    );

    for _ in 0..5 {
        let link = navigation(Method::GET, "/api/login", "cross-site").header("x-request-id", "circles");
        site.visit(&mut bob, link).await;
    }
    let line = Log::line("request_id=circles");
    assert!(line.contains("WARN") && line.contains("recognised at login and not at the page"), "{}", Log::text());
}

#[tokio::test]
async fn u15_who_must_act_on_a_busy_provider_is_told_by_the_log() {
    Log::start();
    let site = Site::new();
    for (status, reason) in [(402, "no API credits left"), (429, "rate limit")] {
        site.upstream.answer(status, "{}");
        let id = request_id(&site.complete(&mut Browser::new(), "/").await);
        let line = Log::line(&format!("request_id={id}"));
        assert!(line.contains("provider_busy") && line.contains(reason), "{line}");
    }
}

#[tokio::test]
async fn u15_nobody_signed_in_is_ordinary_and_a_preflight_nothing() {
    Log::start();
    let site = Site::new();
    let router = routes(&site);
    let nobody = fetch("GET", "/guarded").header("x-request-id", "nobody");
    visit(&site, &router, &mut Browser::new(), nobody).await;
    assert!(Log::line("request_id=nobody").contains("DEBUG"), "{}", Log::text());
    let preflight = fetch("OPTIONS", "/guarded").header("origin", "https://a.example");
    let preflight = preflight.header("access-control-request-method", "GET").header("x-request-id", "preflight");
    visit(&site, &router, &mut Browser::new(), preflight).await;
    assert!(!Log::text().contains("request_id=preflight"), "{}", Log::text());
}

#[tokio::test]
async fn u15_a_store_that_is_full_is_in_the_log() {
    Log::start();
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW));
    let site = Site::with(|builder| builder.session_store(MemoryStore::with_capacity(1).clock(clock)));
    site.signed_in().await;
    assert!(!Log::text().contains("is full"), "{}", Log::text());
    site.signed_in().await;
    assert!(Log::line("the memory store of sessions is full").contains("WARN"), "{}", Log::text());
}

#[tokio::test]
async fn u15_refreshed_tokens_that_fit_no_cookie_are_in_the_log() {
    Log::start();
    let site = Site::with(|builder| builder.keep_tokens());
    let answer = |token: &str, ends_at: u64| {
        let tokens = format!(
            r#""access_token":"{token}","access_token_expires_at":{},"refresh_token":"rt-{ends_at}","#,
            ends_at * 1000
        );
        BOB_ANSWER.replacen(r#""access_token":"siwbb_at_7d2e9f4a1b6c3d8e5f0a2b9c4d7e1f6a","#, &tokens, 1)
    };
    site.upstream.answer(200, answer("at-1", NOW + 1000));
    let mut bob = site.signed_in().await;
    site.clock.advance(Duration::from_secs(999));
    site.upstream.answer(200, answer(&"a".repeat(4000), NOW + 2000));
    let response = site.get(&mut bob, "/").await;
    assert_eq!((text(&response), site.upstream.requests().len()), (BOB, 1), "still signed in");
    let line = Log::line("refreshed tokens could not be kept");
    assert!(line.contains("ERROR") && line.contains("session_too_large"), "{line}");
    assert!(line.contains("the tokens would take a cookie of "), "{line}");
}

#[tokio::test]
async fn u15_guards_and_arguments_write_their_request_id_into_the_log() {
    Log::start();
    let site = Site::new();
    let router = routes(&site);
    let mut bob = site.signed_in().await;
    let mut nobody = Browser::new();
    let page = |path: &str| navigation(Method::GET, path, "none");
    let cases = [
        ("a guard's page", false, navigation(Method::POST, "/guarded", "same-origin"), "not_signed_in"),
        ("a guard's problem", false, fetch("GET", "/guarded"), "not_signed_in"),
        ("a predicate's page", true, page("/owners"), "not_allowed"),
        ("a predicate's problem", true, fetch("GET", "/owners"), "not_allowed"),
        ("an argument's page", false, page("/argument"), "not_signed_in"),
        ("an argument's problem", false, fetch("GET", "/argument"), "not_signed_in"),
    ];
    for (number, (name, is_bob, request, code)) in cases.into_iter().enumerate() {
        let given = format!("request-{number}");
        for given in [Some(given.as_str()), None] {
            let browser = if is_bob { &mut bob } else { &mut nobody };
            let request = request_like(&request, given);
            let id = request_id(&visit(&site, &router, browser, request).await);
            assert!(given.is_none_or(|given| given == id), "{name}: {id}");
            let line = Log::line(&format!("request_id={id}"));
            assert!(line.contains(code), "{name}: {line}");
        }
    }
}

#[tokio::test]
async fn u15_a_guard_writes_what_it_refused_to_load_ahead_into_the_log_too() {
    Log::start();
    let site = Site::new();
    let request = navigation(Method::GET, "/guarded", "none").header("sec-purpose", "prefetch");
    let refused = visit(&site, &routes(&site), &mut Browser::new(), request).await;
    assert_eq!(told(&refused), (503, "prefetch_refused".to_owned()));
    let line = Log::line(&format!("request_id={}", request_id(&refused)));
    assert!(line.contains("prefetch_refused"), "{}", Log::text());
}

#[tokio::test]
async fn u15_each_refusal_is_one_line_in_the_log() {
    Log::start();
    let site = Site::new();
    let router = routes(&site);
    let mut bob = site.signed_in().await;
    let mut nobody = Browser::new();
    let page = |path: &str| navigation(Method::GET, path, "none");
    let cases = [
        ("a guard's page", false, navigation(Method::POST, "/guarded", "same-origin")),
        ("a guard's problem", false, fetch("GET", "/guarded")),
        ("a predicate's page", true, page("/owners")),
        ("an argument's page", false, page("/argument")),
        ("an argument's problem", false, fetch("GET", "/argument")),
        ("login's page", false, page("/api/login").header("sec-purpose", "prefetch")),
    ];
    for (number, (name, is_bob, request)) in cases.into_iter().enumerate() {
        let given = format!("request-{number}");
        let browser = if is_bob { &mut bob } else { &mut nobody };
        visit(&site, &router, browser, request_like(&request, Some(&given))).await;
        let lines = Log::text().lines().filter(|line| line.contains(&given)).count();
        assert_eq!(lines, 1, "{name}: {}", Log::text());
    }
}

#[tokio::test]
async fn u15_no_hostile_request_id_is_taken_over() {
    let site = Site::new();
    let router = routes(&site);
    let long = "a".repeat(65);
    let cases: [(&str, &[u8]); 8] = [
        ("empty", b""),
        ("too long", long.as_bytes()),
        ("Latin-1", b"caf\xe9"),
        ("UTF-8", "café".as_bytes()),
        ("markup", b"\"><img src=x>"),
        ("a path", b"../../etc/passwd"),
        ("a field of a log", b"1 code=forged"),
        ("a tab", b"a\tb"),
    ];
    for (name, given) in cases {
        for path in ["/argument", "/guarded"] {
            let value = http::HeaderValue::from_bytes(given).unwrap();
            let request = fetch("GET", path).header("x-request-id", value);
            let id = request_id(&visit(&site, &router, &mut Browser::new(), request).await);
            assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name} at {path}: {id}");
        }
    }
}

/// The same head once more: a builder can be used once.
fn request_like(request: &http::request::Builder, id: Option<&str>) -> http::request::Builder {
    let mut again = http::Request::builder().method(request.method_ref().unwrap()).uri(request.uri_ref().unwrap());
    *again.headers_mut().unwrap() = request.headers_ref().unwrap().clone();
    match id {
        Some(id) => again.header("x-request-id", id),
        None => again,
    }
}

/// The id on a page or in a problem.
fn request_id(response: &http::Response<bytes::Bytes>) -> String {
    if let Ok(problem) = serde_json::from_slice::<serde_json::Value>(response.body()) {
        return problem["request_id"].as_str().unwrap_or_default().to_owned();
    }
    text(response).split("Request ").nth(1).expect("a request id").split('<').next().unwrap().to_owned()
}
