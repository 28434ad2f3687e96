//! What a page says, and in whose looks.

use http::Method;
use tower_signin::Page;

use crate::site::{CODE, Site};
use crate::support::{Browser, code, navigation, text};
use crate::{fetch, routes, visit};

/// The name of each way to a page, the request, and the code on it.
async fn every_page(site: &Site) -> Vec<(&'static str, http::Response<bytes::Bytes>, &'static str)> {
    let router = routes(site);
    let mut nobody = Browser::new();
    let mut bob = Browser::new();
    site.complete(&mut bob, "/").await;
    let mut pages = Vec::new();
    let form = navigation(Method::POST, "/guarded", "same-origin");
    pages.push(("a guard, 401", visit(site, &router, &mut nobody, form).await, "not_signed_in"));
    let page = |path: &str| navigation(Method::GET, path, "none");
    pages.push(("a guard, 403", visit(site, &router, &mut bob, page("/owners")).await, "not_allowed"));
    pages.push(("an argument", visit(site, &router, &mut nobody, page("/argument")).await, "not_signed_in"));
    pages.push(("the callback", site.get(&mut nobody, "/api/callback").await, "callback_malformed"));
    let other = Site::new().start(&mut Browser::new(), "/").await;
    pages.push(("a strange callback", site.get(&mut nobody, &other.callback(CODE)).await, "cookies_refused"));
    pages.push(("and signed in", site.get(&mut bob, &other.callback(CODE)).await, "flow_cookie_missing"));
    let logout = navigation(Method::POST, "/api/logout", "cross-site");
    pages.push(("logout", site.visit(&mut bob, logout).await, "logout_from_another_site"));
    pages.push(("logout by GET", site.get(&mut bob, "/api/logout").await, "method_not_allowed"));
    let frame =
        http::Request::get("/api/login").header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe");
    pages.push(("login in a frame", site.visit(&mut nobody, frame).await, "login_not_a_navigation"));
    site.upstream.answer(500, "{}");
    pages.push(("an attempt", site.complete(&mut Browser::new(), "/").await, "provider_failed"));
    pages
}

#[tokio::test]
async fn u15_every_page_says_what_happened_what_to_do_and_its_code() {
    let site = Site::new();
    for (name, page, expected) in every_page(&site).await {
        assert_eq!(code(&page), expected, "{name}");
        let body = text(&page);
        for part in ["<h1>", "<p class=\"request\">Request ", "<a href=\""] {
            assert!(body.contains(part), "{name} lacks {part}: {body}");
        }
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{name}: {policy}");
        for (header, value) in
            [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
        {
            assert_eq!(page.headers()[header], value, "{name}");
        }
    }
}

#[tokio::test]
async fn who_is_signed_in_already_hears_so_at_a_strange_callback() {
    let site = Site::new();
    let mut bob = site.signed_in().await;
    let strange = Site::new().start(&mut Browser::new(), "/").await.callback(CODE);
    let page = site.get(&mut bob, &strange).await;
    assert!(text(&page).contains("You can go on as you are."), "{}", text(&page));
    let problem = site.visit(&mut bob, fetch("GET", &strange)).await;
    let problem: serde_json::Value = serde_json::from_str(text(&problem)).unwrap();
    assert_eq!(problem["login_url"], "https://example.com/api/login");
}

#[tokio::test]
async fn a_program_learns_where_to_sign_in() {
    let site = Site::new();
    let login = async |browser: &mut Browser, request: http::request::Builder| {
        let problem = site.visit(browser, request).await;
        let problem: serde_json::Value = serde_json::from_str(text(&problem)).unwrap();
        (problem["code"].as_str().unwrap().to_owned(), problem["login_url"].as_str().unwrap_or_default().to_owned())
    };
    let mut bob = site.signed_in().await;
    let link = http::Request::get("/api/login?prompt=select_account").header("sec-fetch-site", "cross-site");
    let switch = "https://example.com/api/login?prompt=select_account".to_owned();
    assert_eq!(login(&mut bob, link).await, ("already_signed_in".to_owned(), switch));

    site.upstream.answer(200, r#"{"verificationResponse":{"success":false}}"#);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/page").await;
    let login = login(&mut browser, fetch("GET", &started.callback(CODE))).await;
    assert_eq!(login, ("not_verified".to_owned(), "https://example.com/api/login?return_to=%2Fpage".to_owned()));
}

#[tokio::test]
async fn one_hook_restyles_every_page() {
    let restyle = |page: &Page<'_>| {
        let links: Vec<_> = page.links().iter().map(|link| format!("{:?} {}", link.action(), link.href())).collect();
        format!("ours: {} {} | {} | {}", page.kind().code(), page.title(), page.paragraphs().len(), links.join(", "))
    };
    let site = Site::with(|builder| builder.pages(restyle));
    for (name, page, expected) in every_page(&site).await {
        let body = text(&page);
        assert!(body.starts_with(&format!("ours: {expected} ")), "{name}: {body}");
        assert_eq!(page.extensions().get::<tower_signin::ErrorKind>().unwrap().code(), expected, "{name}");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("style-src 'self' 'unsafe-inline'") && !policy.contains("script-src"),
            "{name}: {policy}"
        );
        assert_eq!(page.headers()["cache-control"], "no-store", "{name}");
    }
    let asked = every_page(&site).await;
    let (_, argument, _) = asked.iter().find(|(name, ..)| *name == "an argument").unwrap();
    assert!(text(argument).ends_with("SignIn /api/login?return_to=%2Fargument"), "{}", text(argument));
}

#[tokio::test]
async fn a_hook_that_panics_leaves_the_plain_page() {
    let site = Site::with(|builder| builder.pages(|_| panic!("a broken template")));
    for (name, page, expected) in every_page(&site).await {
        assert_eq!(code(&page), expected, "{name}");
    }
}
