//! Matching of paths: an app with a secret on a socket, and request lines that try to get past its guards.

use crate::guarded::Guarded;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, CODE};
use crate::support::Browser;

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H022",
        what: "a pattern for public paths was matched against the query too",
        verdict: Held(&["h022_a_query_opens_no_path"]),
    },
    Row {
        id: "H023",
        what: "a fragment in a request line, plain or encoded, made a path look public",
        verdict: Held(&["h023_a_fragment_opens_no_path"]),
    },
    Row {
        id: "H024",
        what: "the path was taken from a forwarding header that anybody may send",
        verdict: Held(&["h024_a_forwarding_header_opens_no_path"]),
    },
    Row {
        id: "H025",
        what: "a health checker's User-Agent was let in anywhere",
        verdict: Held(&["h025_no_user_agent_method_or_header_is_let_in"]),
    },
    Row {
        id: "H026",
        what: "router and rule read one path differently",
        verdict: Held(&[
            "h026_a_path_in_disguise_is_guarded_or_nothing",
            "h026_our_own_paths_in_disguise_are_not_ours",
        ]),
    },
    Row {
        id: "H027",
        what: "a header meant for the framework's own use skipped the check",
        verdict: Held(&["h027_no_private_name_skips_the_guard"]),
    },
];

const PRIVATE: [&str; 4] = ["/private", "/area/private", "/whole/x", "/whole/public"];

#[tokio::test]
async fn h022_a_query_opens_no_path() {
    let app = Guarded::serve().await;
    let queries = [
        "path=/public",
        "/public",
        "x=/../public",
        "return_to=/public",
        "/api/login",
        "/api/callback?code=c&state=s",
        "/api/logout",
        "%2fpublic",
        ";/public",
        "next=/public#/public",
    ];
    for path in PRIVATE {
        for query in queries {
            let answer = app.keeps_it(&format!("GET {path}?{query}"), "").await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{path}?{query}: {answer}");
        }
        app.tells(&format!("GET {path}?path=/public"), "").await;
    }
    // Nor is a path of ours found in a query.
    for query in queries {
        let answer = app.keeps_it(&format!("GET /public?{query}"), "sec-fetch-mode: navigate\r\n").await;
        assert!(answer.ends_with("public"), "{query}: {answer}");
    }
}

#[tokio::test]
async fn h023_a_fragment_opens_no_path() {
    let app = Guarded::serve().await;
    for path in PRIVATE {
        for fragment in [
            "#/public",
            "#",
            "%23/public",
            "%23",
            "#/../public",
            "?#/public",
            "%3f/public",
            "%2523/public",
            "#@/public",
        ] {
            for host in ["", "http://localhost", "http://localhost#@evil.example"] {
                app.keeps_it(&format!("GET {host}{path}{fragment}"), "").await;
            }
        }
    }
    for path in ["/public#/private", "/public%23/../private", "/public#/../../private", "/#/private"] {
        app.keeps_it(&format!("GET {path}"), "").await;
    }
    app.tells("GET /private#/public", "").await;
}

#[tokio::test]
async fn h024_a_forwarding_header_opens_no_path() {
    const NAMES: [&str; 13] = [
        "x-forwarded-uri",
        "x-original-uri",
        "x-original-url",
        "x-rewrite-url",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-envoy-original-path",
        "x-replaced-path",
        "x-script-name",
        "x-http-destinationurl",
        "x-proxy-url",
        "x-accel-redirect",
        "destination",
    ];
    let app = Guarded::serve().await;
    for name in NAMES {
        for value in ["/public", "/", "/api/login", "/api/callback?code=c&state=s", "http://localhost/public"] {
            for path in ["/private", "/area/private"] {
                let answer = app.keeps_it(&format!("GET {path}"), &format!("{name}: {value}\r\n")).await;
                assert!(answer.starts_with("HTTP/1.1 401"), "{path} {name}: {value}: {answer}");
            }
        }
        for value in ["/private", "/api/logout", "/api/callback"] {
            let answer = app.keeps_it("GET /public", &format!("{name}: {value}\r\n")).await;
            assert!(answer.ends_with("public"), "{name}: {value}: {answer}");
        }
    }
    let others = [
        "x-http-method-override: OPTIONS",
        "x-http-method: OPTIONS",
        "x-method-override: HEAD",
        "x-forwarded-method: OPTIONS",
        "x-forwarded-for: 127.0.0.1",
        "x-real-ip: 127.0.0.1",
        "forwarded: for=127.0.0.1;host=localhost;proto=https",
        "x-custom-ip-authorization: 127.0.0.1",
        "x-forwarded-proto: https",
        "x-forwarded-user: bob",
    ];
    for header in others {
        let answer = app.keeps_it("GET /private", &format!("{header}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{header}: {answer}");
    }
}

#[tokio::test]
async fn h025_no_user_agent_method_or_header_is_let_in() {
    const AGENTS: [&str; 8] = [
        "GoogleHC/1.0",
        "kube-probe/1.31",
        "ELB-HealthChecker/2.0",
        "Prometheus/3.0",
        "Googlebot/2.1",
        "facebookexternalhit/1.1",
        "curl/8",
        "",
    ];
    const METHODS: [&str; 10] =
        ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PROPFIND", "get", "PURGE", "M-SEARCH"];
    const HEADERS: [&str; 9] = [
        "accept: */*",
        "accept: text/html",
        "content-type: application/grpc",
        "content-type: application/grpc-web-text",
        "access-control-request-method: GET\r\norigin: https://evil.example",
        "sec-purpose: prefetch",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==",
        "x-health-check: 1\r\nx-probe: readiness",
        "expect: 100-continue",
    ];
    let app = Guarded::serve().await;
    for path in
        ["/private", "/area/private", "/whole/healthz", "/whole/ping", "/whole/robots.txt", "/whole/favicon.ico"]
    {
        for agent in AGENTS {
            app.keeps_it(&format!("GET {path}"), &format!("user-agent: {agent}\r\n")).await;
        }
        for method in METHODS {
            for header in HEADERS {
                let answer = app.keeps_it(&format!("{method} {path}"), &format!("{header}\r\n")).await;
                // gRPC says no with 200 and a status of its own.
                let is_no = !answer.starts_with("HTTP/1.1 200") || answer.contains("\r\ngrpc-status: 16\r\n");
                assert!(is_no, "{method} {path} {header}: {answer}");
            }
        }
    }
    app.keeps_it("CONNECT localhost:80", "").await;
    app.keeps_it("OPTIONS *", "").await;
    app.tells("GET /whole/healthz", "user-agent: kube-probe/1.31\r\n").await;
}

const DISGUISES: [fn(&str) -> String; 29] = [
    |path| format!("/{path}"),
    |path| format!("//{path}"),
    |path| format!("/.{path}"),
    |path| format!("/public/..{path}"),
    |path| format!("/public/..;{path}"),
    |path| format!("/public/%2e%2e{path}"),
    |path| format!("/public;{path}"),
    |path| format!("/public%00{path}"),
    |path| format!("/public%2f..{path}"),
    |path| format!("\\{path}"),
    |path| format!("{path}/"),
    |path| format!("{path}//"),
    |path| format!("{path}/."),
    |path| format!("{path}."),
    |path| format!("{path};x"),
    |path| format!("{path};.css"),
    |path| format!("{path}.css"),
    |path| format!("{path}%2f"),
    |path| format!("{path}%5c"),
    |path| format!("{path}%00"),
    |path| format!("{path}%20"),
    |path| format!("{path}%3f"),
    |path| format!("{path}?"),
    |path| path.to_uppercase(),
    |path| path.replacen('/', "/%2f", 1),
    |path| path.replace('i', "%69"),
    |path| path.replace('i', "%2569"),
    |path| path.replace("p", "%70").replace('l', "%6c"),
    |path| format!("http://evil.example{path}"),
];

#[tokio::test]
async fn h026_a_path_in_disguise_is_guarded_or_nothing() {
    let app = Guarded::serve().await;
    for path in PRIVATE {
        for disguise in DISGUISES {
            for again in [|path: &str| path.to_owned(), DISGUISES[2], DISGUISES[4]] {
                let path = again(&disguise(path));
                app.keeps_it(&format!("GET {path}"), "").await;
            }
        }
    }
    app.tells("GET http://evil.example/private", "").await;
    app.tells("GET /whole//private", "").await;
}

#[tokio::test]
async fn h026_our_own_paths_in_disguise_are_not_ours() {
    let app = Guarded::serve().await;
    let mut browser = Browser::new();
    let started = app.site.start(&mut browser, "/").await;
    let headers = format!(
        "cookie: {}\r\nsec-fetch-site: same-origin\r\nsec-fetch-mode: navigate\r\n",
        browser.cookie_header().unwrap()
    );
    let callback = started.callback(CODE);
    let (_, query) = callback.split_once('?').unwrap();
    let mut tried = 0;
    for (method, path, query) in
        [("GET", "/api/login", ""), ("GET", "/api/callback", query), ("POST", "/api/logout", "")]
    {
        for disguise in DISGUISES {
            let path = disguise(path);
            // A query, another authority and a letter's case that there is none of change no path.
            if path.ends_with('?')
                || path.starts_with("http:")
                || ["/api/login", "/api/callback", "/api/logout"].contains(&path.as_str())
            {
                continue;
            }
            let answer = app.keeps_it(&format!("{method} {path}?{query}"), &headers).await;
            assert!(!answer.to_lowercase().contains("\nlocation:"), "{path}: {answer}");
            tried += 1;
        }
    }
    assert!(tried > 75, "{tried}");
    let answer = app.ask(&format!("GET {callback}"), &headers).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "the sign-in is still open: {answer}");
}

#[tokio::test]
async fn h027_no_private_name_skips_the_guard() {
    let app = Guarded::serve().await;
    let names = [
        "identity",
        "x-identity",
        "x-signin",
        "x-signin-identity",
        "x-tower-signin",
        "tower-signin",
        "x-signed-in",
        "x-session",
        "x-subject",
        "x-user",
        "x-user-id",
        "x-auth-user",
        "x-auth-request-user",
        "x-forwarded-user",
        "x-forwarded-email",
        "x-remote-user",
        "remote-user",
        "x-webauth-user",
        "x-ms-client-principal-id",
        "cf-access-authenticated-user-email",
        "x-goog-authenticated-user-email",
        "x-amzn-oidc-identity",
        "x-bitbadges-address",
        "x-middleware-subrequest",
        "x-middleware-next",
        "x-internal",
        "x-skip-auth",
        "x-request-id",
        "next-router-prefetch",
        "x-requested-with",
        "signin",
        "__host-signin",
    ];
    for name in names {
        for value in
            [BOB, "1", "true", "admin", "src/middleware:src/middleware:src/middleware", "tower_signin::Identity"]
        {
            app.keeps_it("GET /private", &format!("{name}: {value}\r\n")).await;
        }
    }
    let all: String = names.iter().map(|name| format!("{name}: {BOB}\r\n")).collect();
    app.keeps_it("GET /area/private", &all).await;
}
