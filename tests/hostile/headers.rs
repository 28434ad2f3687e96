//! Headers and proxies: what they say of somebody, of a host, and what comes of a claim in one.

use axum::Router;
use axum::routing::any;
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderName, Method, Request};
use serde_json::{Value, json};
use tower_signin::Identity;
use tower_signin::predicate::{claim_equals, claim_includes};

use crate::addresses::unmoved_by;
use crate::anybody::Anybody;
use crate::guarded::Guarded;
use crate::rows::Row;
use crate::rows::Verdict::{CannotApply, Held};
use crate::site::{BOB, BOB_ANSWER, CALLBACK, Site, query};
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H041",
        what: "a header that names somebody got past the list of those to strip, by another spelling",
        verdict: Held(&["h041_no_spelling_of_a_header_names_anybody"]),
    },
    Row {
        id: "H042",
        what: "a line break in a claim became a header of its own",
        verdict: Held(&["h042_a_claim_is_no_header_and_no_markup"]),
    },
    Row {
        id: "H043",
        what: "a claim that held the separator of a list became two",
        verdict: Held(&["h043_a_claim_is_never_two"]),
    },
    Row {
        id: "H044",
        what: "a `;` in Forwarded brought parameters in",
        verdict: Held(&["h044_forwarded_moves_nothing_whatever_its_grammar"]),
    },
    Row {
        id: "H045",
        what: "a Host with characters that no host has was taken",
        verdict: Held(&["h045_a_host_that_is_none_reaches_no_answer"]),
    },
    Row {
        id: "H046",
        what: "the first address in X-Forwarded-For was believed, for limits and audits",
        verdict: CannotApply(
            "no address of a client is read, from a header or elsewhere: nothing is limited or logged by one",
        ),
    },
    Row {
        id: "H048",
        what: "pages for debugging and metrics were open to anybody",
        verdict: Held(&["h048_three_paths_and_no_others_are_answered"]),
    },
];

#[tokio::test]
async fn h041_no_spelling_of_a_header_names_anybody() {
    let app = Guarded::serve().await;
    let names =
        ["X-Forwarded-User", "X-Auth-Request-Email", "Remote-User", "X-Identity", "Identity", "X-Signin-Subject"];
    for name in names {
        let spellings = [
            name.to_owned(),
            name.to_lowercase(),
            name.to_uppercase(),
            name.replace('-', "_"),
            name.replacen('-', "_", 1),
            format!("HTTP_{}", name.replace('-', "_")),
            format!("{name}_"),
            format!("{name}-0"),
            name.replace('-', "."),
        ];
        for spelling in &spellings {
            for headers in [
                format!("{spelling}: {BOB}\r\n"),
                format!("{spelling}: {BOB}\r\n{spelling}: nobody\r\n"),
                format!("{spelling}: {BOB},admin\r\nConnection: {spelling}\r\n"),
                format!("{spelling}:\t{BOB}\t\r\nConnection: close, {spelling}, cookie\r\n"),
            ] {
                app.keeps_it("GET /private", &headers).await;
            }
        }
        // Who is signed in stays who they are.
        app.tells("GET /private", &format!("{}: mallory\r\n", spellings[3])).await;
    }
    // A cookie by another name is none.
    for name in ["Cookie2", "Set-Cookie", "X-Cookie", "Cookie_", "_Cookie", "HTTP_COOKIE", "Cookie-"] {
        app.keeps_it("GET /private", &format!("{name}: {}\r\n", app.cookie)).await;
    }
    for smuggled in [
        format!("Cookie : {}\r\n", app.cookie),
        format!("X: a\r\n Cookie: {}\r\n", app.cookie),
        format!("X: a\rCookie: {}\r\n", app.cookie),
    ] {
        app.keeps_it("GET /private", &smuggled).await;
    }

    // The same below the layer, where no server has looked at the names before.
    let site = Site::new();
    let browser = site.signed_in().await;
    for name in ["x-forwarded-user", "x_forwarded_user", "identity", "remote_user", "x.user"] {
        let header = HeaderName::from_static(name);
        let request = || Request::get("/").header(&header, "mallory").header(&header, BOB);
        assert_eq!(text(&site.visit(&mut Browser::new(), request()).await), "nobody", "{name}");
        assert_eq!(text(&site.visit(&mut browser.clone(), request()).await), BOB, "{name}");
    }
}

const ODD: [&str; 16] = [
    "a\r\nx-evil: 1",
    "a\rx-evil: 1",
    "a\nx-evil: 1",
    "a\r\n x-evil: 1",
    "a\r\n\r\n<script>alert(1)</script>",
    "a\0b",
    "a\u{b}b",
    "a\u{1b}[31mb",
    "a\u{7f}b",
    "a\u{85}b",
    "a\u{2028}b",
    "a\u{202e}b",
    "\u{feff}\u{e9}\u{4e2d}\u{1f642}",
    "a; Path=/; Domain=evil.example",
    "a\", \"b\": \"c",
    "</p><form action=//evil.example>",
];

#[tokio::test]
async fn h042_a_claim_is_no_header_and_no_markup() {
    for odd in ODD {
        let site = Site::of(Anybody::called(odd, json!({ "name": odd, odd: odd })), CALLBACK, |builder| builder);
        let mut browser = Browser::new();
        let response = site.complete(&mut browser, "/target").await;
        assert_eq!(
            (response.status().as_u16(), response.headers()[LOCATION].as_bytes()),
            (303, &b"/target"[..]),
            "{odd:?}"
        );
        for cookie in response.headers().get_all(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.starts_with("__Host-signin") && cookie.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{odd:?}: {cookie}"
            );
            assert!(!cookie.contains("Domain") && !cookie.contains("evil"), "{odd:?}: {cookie}");
        }

        let echo = Router::new().fallback(any(async |who: Identity| {
            let claims: Value = who.claims().unwrap();
            axum::Json(json!([who.subject(), claims]))
        }));
        let answer = site.through(&echo, &browser, Request::get("/")).await;
        let seen: Value = serde_json::from_str(text(&answer)).unwrap();
        assert_eq!(seen, json!([odd, { "name": odd, odd: odd }]), "the app sees it as it is");

        let member = site.sign_in.require_where(claim_equals("/member", true));
        let router = Router::new().fallback(any(async || "let in")).layer(member);
        let grpc = Request::post("/").header("content-type", "application/grpc");
        let requests =
            [navigation(Method::GET, "/", "none"), Request::get("/").header("accept", "application/json"), grpc];
        for request in requests {
            let response = site.through(&router, &browser, request).await;
            for (name, value) in response.headers() {
                let value = String::from_utf8_lossy(value.as_bytes());
                assert!(name != "x-evil" && !value.contains("evil"), "{odd:?}: {name}: {value}");
            }
            let page = text(&response);
            assert!(
                !page.contains("<script") && !page.contains("<form") && !page.contains("let in"),
                "{odd:?}: {page}"
            );
            let hidden = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}' | '\u{feff}');
            assert!(!page.contains(hidden), "{odd:?}: {page:?}");
        }
    }
    // What BitBadges says passes through its own checks.
    let answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
    for odd in ODD {
        for field in ["address", "bitbadgesAddress", "chain", "token_type", "access_token"] {
            let site = Site::new();
            let mut answer = answer.clone();
            answer[field] = json!(odd);
            site.upstream.answer(200, answer.to_string());
            let mut browser = Browser::new();
            let response = site.complete(&mut browser, "/").await;
            assert!([303, 502].contains(&response.status().as_u16()), "{field}: {odd:?}: {}", response.status());
            let who = text(&site.get(&mut browser, "/").await).to_owned();
            assert_eq!(who, if response.status() == 303 { BOB } else { "nobody" }, "{field}: {odd:?}");
        }
    }
}

#[tokio::test]
async fn h043_a_claim_is_never_two() {
    let joined = [
        "a,admin",
        "a, admin",
        "a;admin",
        "a admin",
        "a|admin",
        "a:admin",
        "a\nadmin",
        "a\0admin",
        "a\",\"admin",
        "[\"admin\"]",
        "a%2Cadmin",
        "admin,",
    ];
    for one in joined {
        let site = Site::of(Anybody::called(one, json!({ "groups": [one], "role": one })), CALLBACK, |builder| builder);
        let browser = site.signed_in().await;
        let guards = [
            ("includes", site.sign_in.require_where(claim_includes("/groups", "admin"))),
            ("is", site.sign_in.require_where(claim_equals("/groups/1", "admin"))),
            ("role", site.sign_in.require_where(claim_equals("/role", "admin"))),
            ("role of many", site.sign_in.require_where(claim_includes("/role", "admin"))),
        ];
        let who = Router::new().fallback(any(async |who: Identity| {
            #[derive(serde::Deserialize)]
            struct Claims {
                groups: Vec<String>,
            }
            let claims: Claims = who.claims().unwrap();
            axum::Json(json!([who.subject(), claims.groups]))
        }));
        for (name, guard) in guards {
            let response = site.through(&who.clone().layer(guard), &browser, Request::get("/")).await;
            assert_eq!(response.status(), 403, "{one:?} {name}");
        }
        let itself = site.sign_in.require_where(claim_includes("/groups", one));
        let response = site.through(&who.layer(itself), &browser, Request::get("/")).await;
        let seen: Value = serde_json::from_str(text(&response)).unwrap();
        assert_eq!(seen, json!([one, [one]]), "{one:?}");
    }
}

#[tokio::test]
async fn h044_forwarded_moves_nothing_whatever_its_grammar() {
    let values = [
        "for=1;host=evil.example;proto=http",
        "for=\"1;host=evil.example\";proto=https",
        "for=1, for=2;host=evil.example",
        "host=example.com;host=evil.example",
        "host=\"example.com\\\";host=evil.example",
        ";;;=;host=evil.example",
        "host",
        "host=\"",
        "FOR=1;HOST=evil.example;BY=_x",
        "for=\"[::1]:80\";host=\"localhost:3000@evil.example\"",
    ];
    for value in values {
        unmoved_by(&[("forwarded", value)]).await;
        unmoved_by(&[("forwarded", value), ("forwarded", "host=evil.example"), ("x-forwarded-host", value)]).await;
    }
}

#[tokio::test]
async fn h045_a_host_that_is_none_reaches_no_answer() {
    const HOSTS: [&str; 20] = [
        "evil.example",
        "evil.example/x",
        "evil.example?x",
        "evil.example#x",
        "evil.example\\x",
        "evil .example",
        "evil<script>",
        "evil\"onload=x",
        "evil',",
        "evil%2fexample",
        "evil%",
        "evil@",
        "@evil",
        "evil:x",
        "evil:99999",
        "[evil",
        "[::1]evil",
        "\u{435}vil.example",
        "evil\u{7f}",
        "evil, localhost",
    ];
    let app = Guarded::serve().await;
    let ours = query(&[("redirect_uri", app.site.sign_in.redirect_uri())]);
    let mut started = 0;
    let (_, port) = app.origin.rsplit_once(':').unwrap();
    for host in HOSTS.iter().flat_map(|host| [(*host).to_owned(), format!("{host}:{port}")]) {
        for path in ["/api/login", "/private"] {
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: navigate");
            let answer = app.bytes(&format!("{head}\r\nConnection: close\r\n\r\n")).await;
            assert!(answer.starts_with("HTTP/1.1 303") || answer.starts_with("HTTP/1.1 400"), "{host}: {answer}");
            assert!(!answer.to_lowercase().contains("evil"), "{host}: {answer}");
            let Some(place) = answer.lines().find_map(|line| line.strip_prefix("location: ")) else { continue };
            let provider = place.strip_prefix("https://bitbadges.io/siwbb/authorize?");
            // `[::1]evil` may pass for another name of this machine; then the configured one is gone to.
            let login = place.strip_prefix(&app.origin).unwrap_or(place);
            let is_ours = provider.is_some_and(|query| query.contains(&ours)) || login.starts_with("/api/login");
            assert!(is_ours, "{host}: {place}");
            started += 1;
        }
    }
    assert!(started >= 40, "{started}");
}

#[tokio::test]
async fn h048_three_paths_and_no_others_are_answered() {
    const PATHS: [&str; 32] = [
        "/",
        "/api",
        "/api/",
        "/metrics",
        "/api/metrics",
        "/debug",
        "/debug/pprof",
        "/api/debug",
        "/health",
        "/healthz",
        "/api/health",
        "/api/status",
        "/api/session",
        "/api/sessions",
        "/api/token",
        "/api/tokens",
        "/api/userinfo",
        "/api/user",
        "/api/me",
        "/api/identity",
        "/api/jwks",
        "/api/keys",
        "/api/config",
        "/api/refresh",
        "/api/revoke",
        "/api/signin",
        "/api/logout/all",
        "/api/backchannel-logout",
        "/.well-known/openid-configuration",
        "/oauth2/auth",
        "/siwbb/authorize",
        "/_signin",
    ];
    let site = Site::with(tower_signin::Builder::keep_tokens);
    let mut browser = site.signed_in().await;
    let mut calls = 0;
    for path in PATHS {
        for method in [Method::GET, Method::POST, Method::HEAD, Method::DELETE] {
            for (who, browser) in [("nobody", &mut Browser::new()), (BOB, &mut browser)] {
                let response = site.visit(browser, Request::builder().method(method.clone()).uri(path)).await;
                calls += 1;
                assert_eq!((text(&response), site.inner_calls()), (who, calls), "{method} {path} is the app's own");
                assert!(!response.headers().contains_key(SET_COOKIE), "{method} {path}");
            }
        }
    }
    assert!(site.upstream.requests().is_empty(), "the provider was asked");
}
