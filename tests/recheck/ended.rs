//! The provider stands by the session no longer.

use std::sync::{Arc, Mutex};

use http::Method;
use tower_signin::SessionEnd;

use crate::site::{deleted, set_cookies};
use crate::support::{Browser, navigation, text};
use crate::{Club, Reply, SESSION, TOKENS, set, settle};

type Which = fn(&crate::Desk) -> &Mutex<Reply>;

/// Every way to say no, and how many requests it takes to hear it.
const REFUSALS: [(&str, Which, &str, usize); 3] = [
    ("signed out at the provider", |desk| &desk.status, r#"{"signedIn":false,"scopes":[],"message":""}"#, 1),
    ("claim", |desk| &desk.claim, r#"{"successCount":0,"claimNumbers":[]}"#, 2),
    ("ownership", |desk| &desk.ownership, r#"{"success":false,"errorMessage":"Address did not meet. "}"#, 3),
];

#[tokio::test]
async fn each_no_ends_the_session() {
    for (name, which, answer, requests) in REFUSALS {
        let club = Club::new();
        let mut browser = club.due().await;
        let copy = browser.clone();
        set(which(&club.desk), move || crate::json(answer));
        let response = club.get(&mut browser, "/guarded").await;
        assert_eq!(response.status(), 303, "{name}: a page leads to sign in");
        assert_eq!(set_cookies(&response), [deleted(SESSION), deleted(TOKENS)], "{name}");
        assert_eq!(club.sent().len(), requests, "{name}");
        assert!(!browser.jar.contains_key(SESSION) && !browser.jar.contains_key(TOKENS), "{name}");

        let mut old = copy.clone();
        for path in ["/", "/guarded"] {
            let response = club.get(&mut old, path).await;
            assert_eq!(set_cookies(&response), [""; 0], "{name}: deleted once");
            assert!(response.status() == 303 || text(&response) == "nobody", "{name}");
        }
        let login = club.site.visit(&mut old, navigation(Method::GET, "/api/login", "same-origin")).await;
        assert!(login.headers()["location"].to_str().unwrap().starts_with("https://bitbadges.io/"), "{name}");
        assert!(club.sent().is_empty(), "{name}: asked once");
    }
}

#[tokio::test]
async fn a_script_is_told_401() {
    let club = Club::new();
    let browser = club.due().await;
    set(&club.desk.status, || crate::json(r#"{"signedIn":false}"#));
    let mut request = http::Request::get("/guarded").header("sec-fetch-mode", "cors");
    request = request.header("sec-fetch-dest", "empty").header("cookie", browser.cookie_header().unwrap());
    let request = request.body(axum::body::Body::empty()).unwrap();
    let service = tower::Layer::layer(&club.site.sign_in.layer(), club.router.clone());
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert_eq!(response.status(), 401);
}

/// Who waits for the end hears of it.
#[tokio::test]
async fn whoever_waits_for_the_end_is_told_revoked() {
    let identity = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&identity);
    let mut club = Club::new();
    club.router = club.router.route(
        "/stream",
        axum::routing::get(|who: tower_signin::Identity| async move {
            *kept.lock().unwrap() = Some(tokio::spawn(who.ended()));
        }),
    );
    let mut browser = club.signed_in().await;
    assert_eq!(club.get(&mut browser, "/stream").await.status(), 200);
    let waits = identity.lock().unwrap().take().unwrap();
    club.advance(crate::EVERY);
    assert_eq!(club.who(&mut browser).await, "bob");
    settle().await;
    assert!(!waits.is_finished());
    club.advance(crate::EVERY);
    set(&club.desk.claim, || crate::json(r#"{"successCount":"0"}"#));
    assert_eq!(club.who(&mut browser).await, "nobody");
    assert_eq!(waits.await.unwrap(), SessionEnd::Revoked);
}

/// The provider's word on another session changes nothing for who has signed in since.
#[tokio::test]
async fn who_signs_in_meanwhile_keeps_the_new_session() {
    let club = Club::new();
    let mut browser = club.due().await;
    let gate = club.site.upstream.hold(|request| crate::name(request) == "status");
    set(&club.desk.status, || crate::json(r#"{"signedIn":false}"#));
    let old = club.begin(&browser, "/").await;
    assert_eq!(club.site.complete(&mut browser, "/").await.status(), 303);
    gate.add_permits(1);
    let response = old.await.unwrap();
    assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![]));
    assert_eq!(club.who(&mut browser).await, "bob");
}

/// The same where the browser had thrown its cookies away: nothing tells then that the new session took the place of the old.
#[tokio::test]
async fn who_signs_in_with_no_cookies_while_tokens_are_refreshed_keeps_the_new_session() {
    let club = Club::new();
    let browser = club.signed_in().await;
    let desk = Arc::clone(&club.desk);
    set(&club.desk.refresh, move || desk.pair());
    set(&club.desk.status, || crate::json(r#"{"signedIn":false}"#));
    let gate = club.site.upstream.hold(crate::is_refresh);
    club.advance(crate::LIFE - 60);
    let old = club.begin(&browser, "/").await;
    assert_eq!(club.site.complete(&mut Browser::new(), "/").await.status(), 303);
    gate.add_permits(1);
    let response = old.await.unwrap();
    assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![]));
}

#[tokio::test]
async fn who_signs_out_meanwhile_is_out() {
    let club = Club::new();
    let mut browser = club.due().await;
    let gate = club.site.upstream.hold(|request| crate::name(request) == "status");
    let old = club.begin(&browser, "/").await;
    let out = club.site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
    assert_eq!(out.status(), 303);
    gate.add_permits(1);
    let response = old.await.unwrap();
    assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![]));
}
