//! How a guard says no: to people, scripts and sockets, wherever it stands.

use axum::Router;
use axum::routing::{any, get};
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method};
use tower_http::cors::CorsLayer;

use crate::site::{BOB, Site, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::{fetch, told, visit};

fn guarded(site: &Site) -> Router {
    Router::new().route("/page", any(async || "secret").layer(site.sign_in.require()))
}

#[tokio::test]
async fn u08_a_script_is_told_in_json_and_never_sent_elsewhere() {
    let site = Site::new();
    let xhr = || http::Request::get("/page").header("x-requested-with", "XMLHttpRequest").header("accept", "text/html");
    let events = || http::Request::get("/page").header("accept", "text/event-stream");
    let plain = || http::Request::get("/page");
    let cases = [("fetch", fetch("GET", "/page")), ("XHR", xhr()), ("EventSource", events()), ("curl", plain())];
    for (name, request) in cases {
        let response = visit(&site, &guarded(&site), &mut Browser::new(), request).await;
        assert_eq!(response.status(), 401, "{name}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{name}");
        assert!(!response.headers().contains_key("location"), "{name}");
        let problem: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&"not_signed_in".into(), &401.into()), "{name}");
        assert_eq!(problem["login_url"], "https://example.com/api/login", "{name}");
        assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{name}");
    }
}

#[tokio::test]
async fn u09_u10_a_cors_layer_outside_the_guard_makes_the_401_readable_and_answers_preflights() {
    let site = Site::new();
    let origin = HeaderValue::from_static("https://spa.example");
    let cors = CorsLayer::new().allow_origin(origin).allow_credentials(true).allow_methods([Method::PUT]);
    let router = guarded(&site).layer(cors);
    let request = fetch("GET", "/page").header("origin", "https://spa.example");
    let response = visit(&site, &router, &mut Browser::new(), request).await;
    assert_eq!(told(&response), (401, "not_signed_in".to_owned()));
    assert_eq!(response.headers()["access-control-allow-origin"], "https://spa.example");
    assert_eq!(response.headers()["access-control-allow-credentials"], "true");

    let preflight = || fetch("OPTIONS", "/page").header("access-control-request-method", "PUT");
    let request = preflight().header("origin", "https://spa.example");
    let response = visit(&site, &router, &mut Browser::new(), request).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["access-control-allow-methods"]),
        (200, &"PUT".parse().unwrap())
    );

    for mut browser in [Browser::new(), site.signed_in().await] {
        let response = visit(&site, &guarded(&site), &mut browser, preflight()).await;
        assert_eq!((response.status().as_u16(), text(&response)), (204, ""), "without a CORS layer the guard ends it");
        assert!(response.headers().keys().all(|name| !name.as_str().starts_with("access-control")));
    }
}

#[tokio::test]
async fn u12_a_form_is_never_redirected() {
    let site = Site::new();
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let request = navigation(method.clone(), "/page", "same-origin");
        let response = visit(&site, &guarded(&site), &mut Browser::new(), request).await;
        assert_eq!(told(&response), (401, "not_signed_in".to_owned()), "{method}");
        assert!(text(&response).contains("<a href=\"/api/login\">Sign in</a>"), "{method}: {}", text(&response));
        assert!(!text(&response).contains("<form"), "{method}");
    }
}

#[tokio::test]
async fn u19_a_guarded_page_is_not_loaded_ahead() {
    let site = Site::new();
    for (name, value) in [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch")] {
        let request = navigation(Method::GET, "/page", "same-origin").header(name, value);
        let response = visit(&site, &guarded(&site), &mut Browser::new(), request).await;
        assert_eq!(told(&response), (503, "prefetch_refused".to_owned()), "{name}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
        assert_eq!(set_cookies(&response), [""; 0], "{name}");
    }
}

#[tokio::test]
async fn u20_no_header_changes_where_the_browser_is_sent() {
    let site = Site::new();
    let hostile = |request: http::request::Builder| {
        [
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-prefix",
            "x-forwarded-uri",
            "x-original-url",
            "forwarded",
        ]
        .iter()
        .fold(request.header(HOST, "evil.example"), |request, name| request.header(*name, "//evil.example/"))
    };
    let mut browser = Browser::new();
    let request = hostile(navigation(Method::GET, "/page?x=1", "none"));
    let response = visit(&site, &guarded(&site), &mut browser, request).await;
    assert_eq!(location(&response), "/api/login?return_to=%2Fpage%3Fx%3D1");
    let request = hostile(navigation(Method::GET, &location(&response), "none"));
    let response = visit(&site, &guarded(&site), &mut browser, request).await;
    let redirect_uri = crate::site::parameter(&location(&response), "redirect_uri");
    assert_eq!(redirect_uri, "https://example.com/api/callback");
    assert!(!location(&response).contains("evil"));
}

#[tokio::test]
async fn u35_a_web_socket_is_told_no_and_not_sent_elsewhere() {
    let site = Site::new();
    let upgrade = || fetch("GET", "/page").header("connection", "upgrade").header("upgrade", "websocket");
    let cases = [("a WebSocket", upgrade()), ("one from an old browser", upgrade().header("accept", "text/html"))];
    for (name, request) in cases {
        let response = visit(&site, &guarded(&site), &mut Browser::new(), request).await;
        assert_eq!(told(&response), (401, "not_signed_in".to_owned()), "{name}");
        assert!(!response.headers().contains_key("location"), "{name}");
    }
}

#[tokio::test]
async fn a_person_comes_back_to_the_whole_address_wherever_the_guard_stands() {
    let site = Site::new();
    let guard = || site.sign_in.require();
    let page = || Router::new().route("/page", get(async || "secret"));
    let on_route = Router::new().route("/page", get(async || "secret").layer(guard()));
    let routers = [
        ("on a route", Router::new().nest("/app", on_route.clone())),
        ("around a router", Router::new().nest("/app", page().layer(guard()))),
        ("on its routes", Router::new().nest("/app", page().route_layer(guard()))),
        ("around a nested service", Router::new().nest_service("/app", page().layer(guard()))),
        ("around everything", Router::new().nest("/app", page()).layer(guard())),
        ("merged", Router::new().nest("/app", Router::new().merge(on_route))),
    ];
    for (name, router) in routers {
        let mut browser = Browser::new();
        let response = visit(&site, &router, &mut browser, navigation(Method::GET, "/app/page?x=%2F&y", "none")).await;
        let login = location(&response);
        assert_eq!(login, "/api/login?return_to=%2Fapp%2Fpage%3Fx%3D%252F%26y", "{name}");
        let started = site.get(&mut browser, &login).await;
        let started = crate::site::Started::at(&location(&started));
        let done = site.get(&mut browser, &started.callback(crate::site::CODE)).await;
        assert_eq!(location(&done), "/app/page?x=%2F&y", "{name}");
        let response = visit(&site, &router, &mut browser, navigation(Method::GET, &location(&done), "none")).await;
        assert_eq!(text(&response), "secret", "{name}");
        assert!(browser.jar["__Host-signin"].len() > BOB.len());
    }
}

#[tokio::test]
async fn a_guard_s_own_sign_in_says_where_to_go() {
    let site = Site::new();
    let other = Site::of(crate::site::siwbb(), "https://example.com/other/callback", |b| b.cookie_prefix("other"));
    let router = guarded(&site).layer(other.sign_in.layer());
    let response = visit(&site, &router, &mut Browser::new(), navigation(Method::GET, "/page?x=1", "none")).await;
    assert_eq!(location(&response), "/api/login?return_to=%2Fpage%3Fx%3D1", "not the one of the layer in between");
}

#[tokio::test]
async fn a_hostile_address_is_no_place_to_come_back_to() {
    let site = Site::new();
    let router = Router::new().fallback(any(async || "secret")).layer(site.sign_in.require());
    let long = format!("/{}", "a".repeat(5000));
    let paths =
        ["//evil.example", "///evil.example/x", "/%2f/evil.example", "/..//evil.example", "/%5cevil.example", &long];
    for path in paths.into_iter().chain(["http://evil.example//evil.example/"]) {
        let response = visit(&site, &router, &mut Browser::new(), navigation(Method::GET, path, "none")).await;
        assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/api/login"), "{path}");
    }
    let loops = visit(&site, &router, &mut Browser::new(), navigation(Method::GET, "/api/login/", "none")).await;
    assert_eq!(location(&loops), "/api/login?return_to=%2Fapi%2Flogin%2F");
}

#[tokio::test]
async fn a_code_and_its_state_never_become_a_return_target() {
    let site = Site::new();
    let router = Router::new().fallback(any(async || "secret")).layer(site.sign_in.require());
    let cases = [
        ("/b/callback?code=SECRET&state=ITS-SECRET-STATE", "/api/login"),
        ("/b/callback?error=SECRET&state=ITS-SECRET-STATE", "/api/login"),
        ("/b/callback?st%61te=ITS-SECRET-STATE&%63ode=SECRET", "/api/login"),
        ("/map?state=NY&code=10001", "/api/login?return_to=%2Fmap%3Fstate%3DNY%26code%3D10001"),
        ("/b/callback?code=1&state=1234567890123456", "/api/login"),
        ("/map?state=California&code=94110", "/api/login?return_to=%2Fmap%3Fstate%3DCalifornia%26code%3D94110"),
        ("/shop?code=SALE", "/api/login?return_to=%2Fshop%3Fcode%3DSALE"),
        ("/map?state=NY", "/api/login?return_to=%2Fmap%3Fstate%3DNY"),
    ];
    for (path, expected) in cases {
        let response = visit(&site, &router, &mut Browser::new(), navigation(Method::GET, path, "none")).await;
        assert_eq!(location(&response), expected, "{path}");
    }
}

#[tokio::test]
async fn no_cache_is_told_to_keep_a_refusal() {
    use tower_http::set_header::SetResponseHeaderLayer;
    let site = Site::new();
    let set = |name: &'static str| {
        let value = HeaderValue::from_static("max-age=600");
        SetResponseHeaderLayer::overriding(http::HeaderName::from_static(name), value)
    };
    let owners = site.sign_in.require_where(|_| false);
    let router = Router::new()
        .route("/page", any(async || "secret").layer(owners))
        .layer(set("cache-control"))
        .layer(set("cdn-cache-control"))
        .layer(set("expires"))
        .layer(set("etag"));
    for mut browser in [Browser::new(), site.signed_in().await] {
        let response = visit(&site, &router, &mut browser, navigation(Method::GET, "/page", "none")).await;
        assert_eq!(response.headers()["cache-control"], "no-store");
        for name in ["cdn-cache-control", "expires", "etag"] {
            assert!(!response.headers().contains_key(name), "{name} at {}", response.status());
        }
    }
}

#[tokio::test]
async fn a_layer_in_between_may_send_people_elsewhere() {
    use tower_http::set_header::SetResponseHeaderLayer;
    let site = Site::new();
    let elsewhere = SetResponseHeaderLayer::overriding(http::header::LOCATION, HeaderValue::from_static("/closed"));
    let digest = SetResponseHeaderLayer::overriding(
        http::HeaderName::from_static("content-digest"),
        HeaderValue::from_static("sha-256=:AAAA:"),
    );
    let router = Router::new()
        .route("/page", any(async || "secret").layer(site.sign_in.require()))
        .layer(elsewhere)
        .route("/owners", any(async || "secret").layer(site.sign_in.require_where(|_| false)))
        .layer(digest);
    let response = visit(&site, &router, &mut Browser::new(), navigation(Method::GET, "/page", "none")).await;
    assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/closed"));
    let page = navigation(Method::GET, "/owners", "none");
    let response = visit(&site, &router, &mut site.signed_in().await, page).await;
    assert_eq!((response.status().as_u16(), response.headers().get("content-digest")), (403, None), "of another body");
}

/// In axum the last layer is the outermost: the usual slip.
#[tokio::test]
async fn a_guard_outside_its_layer_or_without_one_is_said_and_is_no_circle() {
    let site = Site::new();
    let page = || Router::new().route("/me", any(async || "secret"));
    let cases = [
        ("inside out", page().layer(site.sign_in.layer()).layer(site.sign_in.require())),
        ("no layer", page().layer(site.sign_in.require())),
        ("no layer, and a fallback", page().fallback(any(async || "")).layer(site.sign_in.require())),
    ];
    for (name, router) in cases {
        let ask = async |path: String| {
            let request = navigation(Method::GET, &path, "none").body(axum::body::Body::empty()).unwrap();
            tower::ServiceExt::oneshot(router.clone(), request).await.unwrap()
        };
        let response = ask("/me".to_owned()).await;
        assert_eq!(response.status(), 303, "{name}: a guard alone can't know yet");
        for path in [response.headers()["location"].to_str().unwrap(), "/api/callback?code=1", "/api/logout"] {
            let response = ask(path.to_owned()).await;
            assert_eq!(response.status(), 500, "{name}: {path}");
            assert_eq!(response.extensions().get(), Some(&tower_signin::ErrorKind::LayerMissing), "{name}: {path}");
        }
    }
}

/// Else anybody could have the log say that the layer is missing.
#[tokio::test]
async fn a_page_that_a_router_shortens_to_a_path_of_ours_is_guarded_like_any_other() {
    let site = Site::new();
    let guarded = Router::new().fallback(any(async || "secret")).layer(site.sign_in.require());
    let router = Router::new().nest("/v1", guarded);
    for path in ["/v1/api/login", "/v1/api/callback", "/v1/api/logout"] {
        for cookie in ["", "__Host-signin-rounds=1", "__Host-signin=junk"] {
            let page = navigation(Method::GET, path, "none").header("cookie", cookie);
            let response = visit(&site, &router, &mut Browser::new(), page).await;
            let expected = format!("/api/login?return_to={}", path.replace('/', "%2F"));
            assert_eq!((response.status().as_u16(), location(&response)), (303, expected), "{path} {cookie}");
        }
        let page = navigation(Method::GET, path, "none");
        assert_eq!(visit(&site, &router, &mut site.signed_in().await, page).await.status(), 200, "{path}");
    }
}
