//! Pages in the application's looks, and the id that a person can quote.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::any;
use http::Method;
use tower_signin::{Page, PageAction};

use crate::site::{BOB, CODE, Site};
use crate::support::{Browser, navigation, text};
use crate::{fetch, routes, told, visit};

#[tokio::test]
async fn u34_a_template_gets_what_there_is_to_say() {
    let restyle = |page: &Page<'_>| {
        let links: Vec<_> = page.links().iter().map(|link| (link.action(), link.href().to_owned())).collect();
        format!("{:?}|{:?}|{}|{links:?}", page.signed_in_as(), page.reason(), page.request_id())
    };
    let site = Site::with(|builder| builder.pages(restyle).on_sign_in(members_only));
    let router = routes(&site);
    let mut bob = site.signed_in().await;
    let ours = |request: http::request::Builder| request.header("x-request-id", "id-1");
    let page = visit(&site, &router, &mut bob, ours(navigation(Method::GET, "/owners?a&b", "none"))).await;
    let switch = "/api/login?prompt=select_account&return_to=%2Fowners%3Fa%26b".to_owned();
    let links = vec![(PageAction::UseAnotherAccount, switch), (PageAction::Home, "/".to_owned())];
    assert_eq!(text(&page), format!("Some({BOB:?})|None|id-1|{links:?}"));

    let started = site.start(&mut Browser::new(), "/").await;
    let page = site.visit(&mut bob, ours(navigation(Method::GET, &started.callback(CODE), "cross-site"))).await;
    let links = vec![(PageAction::Continue, "/".to_owned()), (PageAction::SignInAgain, "/api/login".to_owned())];
    assert_eq!(text(&page), format!("Some({BOB:?})|None|id-1|{links:?}"));

    // The hook refuses who comes with this target.
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/refused").await;
    let page = site.visit(&mut browser, ours(navigation(Method::GET, &started.callback(CODE), "cross-site"))).await;
    assert!(text(&page).starts_with("None|Some(\"not_a_member\")|id-1|[(UseAnotherAccount, "), "{}", text(&page));
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let page = site.get(&mut browser, &format!("/api/callback?error=server_error&state={}", started.state)).await;
    assert!(text(&page).starts_with("None|None|"), "what a provider said is for the log: {}", text(&page));
}

async fn members_only(who: tower_signin::SignedIn) -> Result<tower_signin::Admission, tower_signin::Rejection> {
    match who.return_to() {
        "/refused" => Err(tower_signin::Rejection::refuse("not_a_member")),
        _ => Ok(tower_signin::Admission::new()),
    }
}

#[tokio::test]
async fn a_template_is_for_people_and_status_and_headers_stay_ours() {
    let site = Site::with(|builder| builder.pages(|_| "ours".to_owned()));
    let router = routes(&site);
    let mut bob = site.signed_in().await;
    let mut nobody = Browser::new();
    let page = |path: &str| navigation(Method::GET, path, "none");
    assert_eq!(text(&visit(&site, &router, &mut nobody, page("/argument")).await), "ours");
    let upgrade = page("/owners").header("connection", "upgrade").header("upgrade", "websocket");
    let head = visit(&site, &router, &mut bob, navigation(Method::HEAD, "/owners", "none")).await;
    assert_eq!((head.status().as_u16(), text(&head)), (403, ""), "nothing is asked for, and nothing written");
    let cases = [
        ("a script at a guard", visit(&site, &router, &mut bob, fetch("GET", "/owners")).await, 403),
        ("an upgrade", visit(&site, &router, &mut bob, upgrade).await, 403),
        ("a script at an argument", visit(&site, &router, &mut nobody, fetch("GET", "/argument")).await, 401),
        ("a script at login", site.visit(&mut nobody, fetch("GET", "/api/login")).await, 403),
        ("a script at the callback", site.visit(&mut nobody, fetch("GET", "/api/callback")).await, 400),
        ("a script at logout", site.visit(&mut bob, fetch("GET", "/api/logout")).await, 405),
    ];
    for (name, response, status) in cases {
        assert_eq!(response.status(), status, "{name}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{name}");
        assert!(!text(&response).contains("ours"), "{name}");
    }
    let logout = site.get(&mut bob, "/api/logout").await;
    assert_eq!((logout.status().as_u16(), text(&logout)), (405, "ours"));
    assert_eq!(logout.headers()["allow"], "POST");
    site.upstream.answer(429, "{}");
    let busy = site.complete(&mut Browser::new(), "/").await;
    assert_eq!((busy.status().as_u16(), text(&busy)), (503, "ours"));
    assert!(busy.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn a_template_is_asked_once_for_each_page() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let site = Site::with(|builder| {
        builder.pages(move |page| {
            count.fetch_add(1, Ordering::SeqCst);
            page.title().to_owned()
        })
    });
    let router = routes(&site);
    let mut bob = site.signed_in().await;
    let mut nobody = Browser::new();
    let page = |path: &str| navigation(Method::GET, path, "none");
    let cases = [
        ("a form at a guard", false, navigation(Method::POST, "/guarded", "same-origin"), 1),
        ("a person at a guard", false, page("/guarded"), 0),
        ("a script at a guard", false, fetch("GET", "/guarded"), 0),
        ("a person at an argument", false, page("/argument"), 1),
        ("a person at a predicate", true, page("/owners"), 1),
    ];
    for (name, is_bob, request, expected) in cases {
        let before = asked.load(Ordering::SeqCst);
        visit(&site, &router, if is_bob { &mut bob } else { &mut nobody }, request).await;
        assert_eq!(asked.load(Ordering::SeqCst) - before, expected, "{name}");
    }
}

#[tokio::test]
async fn in_forward_mode_what_failed_before_the_handler_is_a_page_of_ours() {
    let pages = |page: &Page<'_>| format!("ours: {}", page.kind().code());
    let site = Site::with(|builder| builder.forward_callback().pages(pages));
    let router = Router::new().route("/api/callback", any(async || "the handler"));
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let request = || navigation(Method::GET, &started.callback(CODE), "cross-site");
    let refused = visit(&site, &router, &mut Browser::new(), request()).await;
    assert_eq!((refused.status().as_u16(), text(&refused)), (400, "ours: cookies_refused"));
    site.upstream.answer(500, "{}");
    let failed = visit(&site, &router, &mut browser, request()).await;
    assert_eq!((failed.status().as_u16(), text(&failed)), (502, "ours: provider_failed"));
}

#[tokio::test]
async fn a_template_that_panics_costs_no_cookie_and_no_link() {
    let site = Site::with(|builder| builder.pages(|_| panic!("a broken template")));
    let router = routes(&site);
    let mut bob = site.signed_in().await;
    let page = visit(&site, &router, &mut bob, navigation(Method::GET, "/owners?x=1", "none")).await;
    assert_eq!(told(&page), (403, "not_allowed".to_owned()));
    assert!(text(&page).contains("return_to=%2Fowners%3Fx%3D1\">Use another account</a>"), "{}", text(&page));
    let page = visit(&site, &router, &mut Browser::new(), navigation(Method::GET, "/argument?x=1", "none")).await;
    assert!(text(&page).contains("return_to=%2Fargument%3Fx%3D1\">Sign in</a>"), "{}", text(&page));
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let path = format!("/api/callback?error=access_denied&state={}", started.state);
    assert_eq!(told(&site.get(&mut browser, &path).await), (403, "access_denied".to_owned()));
    assert_eq!(browser.jar.len(), 0, "the flow went all the same");
}

#[tokio::test]
async fn u34_a_site_in_two_languages_knows_which_one_is_wanted() {
    let site = Site::with(|builder| {
        builder.pages(|page| {
            assert_eq!(page.status(), page.kind().status());
            match page.accept_language() {
                Some(wanted) if wanted.starts_with("de") => "Bitte melden Sie sich an".to_owned(),
                wanted => format!("{}, {wanted:?}", page.title()),
            }
        })
    });
    let long = "x".repeat(257);
    let form = || navigation(Method::POST, "/guarded", "same-origin");
    let attempt = async |language: &str| {
        site.upstream.answer(500, "{}");
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let callback = navigation(Method::GET, &started.callback(CODE), "cross-site");
        site.visit(&mut browser, callback.header("accept-language", language)).await
    };
    let german = form().header("accept-language", "de-DE,de;q=0.9");
    let german = visit(&site, &routes(&site), &mut Browser::new(), german).await;
    assert_eq!(text(&german), "Bitte melden Sie sich an");
    assert_eq!(text(&attempt("de").await), "Bitte melden Sie sich an");
    assert_eq!(text(&attempt(&long).await), "The sign-in service had a problem, None");
    let unknown = visit(&site, &routes(&site), &mut Browser::new(), form()).await;
    assert_eq!(text(&unknown), "Please sign in, None");
}

#[tokio::test]
async fn u34_a_form_that_was_refused_is_told_to_be_sent_again() {
    let site = Site::new();
    let form = navigation(Method::POST, "/guarded", "same-origin");
    let refused = visit(&site, &routes(&site), &mut Browser::new(), form).await;
    assert!(text(&refused).contains("What you sent was not received"), "{}", text(&refused));
    let frame = http::Request::get("/guarded").header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "iframe");
    let refused = visit(&site, &routes(&site), &mut Browser::new(), frame).await;
    assert_eq!(refused.status(), 401);
    assert!(!text(&refused).contains("What you sent"), "{}", text(&refused));
}

#[tokio::test]
async fn u34_a_missing_layer_is_told_in_the_site_s_looks_as_well() {
    let site = Site::with(|builder| builder.pages(|page| format!("ours: {}", page.kind().code())));
    let cookie = site.signed_in().await.cookie_header().unwrap();
    let unlayered = Router::new().fallback(any(async || "").layer(site.sign_in.require()));
    let request = navigation(Method::GET, "/", "none").header("cookie", cookie);
    let response =
        tower::ServiceExt::oneshot(unlayered, request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 500);
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(body, "ours: sign_in_layer_missing");
}
