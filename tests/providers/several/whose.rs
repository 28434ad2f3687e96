//! Each person is their own provider's, for as long as the session lasts.

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Method, Request};
use serde_json::json;
use url::Url;

use super::{Two, provider};
use crate::app::App;
use crate::support::{Browser, location, navigation, text};

#[tokio::test]
async fn one_number_at_two_providers_is_two_people() {
    let two = Two::start().await;
    let (mut north, mut south) = (Browser::new(), Browser::new());
    for (browser, name) in [(&mut north, "north"), (&mut south, "south")] {
        let answer = two.sign_in(browser, name).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"), "{name}");
    }
    let issuer = |two: &Two, name: &str| format!("{} 1", two.server(name).origin);
    assert_eq!(two.app.says(&mut north, "/whose").await, issuer(&two, "north"));
    assert_eq!(two.app.says(&mut south, "/whose").await, issuer(&two, "south"));
    assert_eq!(two.asked(), (vec!["/token".to_owned(), "/me".to_owned()], vec!["/token".to_owned(), "/me".to_owned()]));
}

#[tokio::test]
async fn each_has_a_redirect_uri_of_its_own() {
    let two = Two::start().await;
    for (name, path) in [("north", "/auth/callback"), ("south", "/auth/callback/south")] {
        let mut browser = Browser::new();
        let url = Url::parse(&two.begin(&mut browser, name).await).unwrap();
        assert_eq!(url.origin().ascii_serialization(), two.server(name).origin, "{name}");
        let redirect_uri = url.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1;
        assert_eq!(redirect_uri, two.app.url(path), "{name}");
        let callback = two.server(name).approve(url.as_str(), "ada");
        assert!(callback.starts_with(&format!("{}?", two.app.url(path))), "{callback}");
        assert_eq!(browser.get(&callback).await.status(), 303, "{name}");
    }
}

#[tokio::test]
async fn tokens_are_refreshed_and_revoked_where_they_came_from() {
    let two = Two::start_with(|builder| builder.keep_tokens()).await;
    for server in [&two.north, &two.south] {
        server.give(json!({ "expires_in": 600 }));
    }
    let mut browser = Browser::new();
    two.sign_in(&mut browser, "south").await;
    two.app.clock.advance(std::time::Duration::from_secs(700));
    two.south.forget();
    assert_eq!(two.app.says(&mut browser, "/").await, "1");
    assert_eq!(two.asked(), (vec![], vec!["/token".to_owned()]));
    let answer = browser.post(&two.app.url("/auth/logout"), "").await;
    assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/"));
    two.south.has_seen(2).await;
    assert_eq!(two.asked(), (vec![], vec!["/token".to_owned(), "/revoke".to_owned()]));
    assert_eq!(two.app.says(&mut browser, "/").await, "nobody");
}

#[tokio::test]
async fn whose_provider_is_taken_away_is_nobody() {
    let two = Two::start().await;
    let mut browser = Browser::new();
    two.sign_in(&mut browser, "south").await;
    let north = App::start_at(&two.app, provider(&two.north, "north")).await;
    assert_eq!(north.says(&mut browser, "/").await, "nobody");
    assert_eq!(two.app.says(&mut browser, "/").await, "1", "nothing was deleted");
}

/// The number alone could be anybody's at either.
#[tokio::test]
async fn a_page_says_by_which_provider_somebody_is_signed_in() {
    let two = Two::start().await;
    for provider in ["north", "south"] {
        let mut browser = Browser::new();
        two.sign_in(&mut browser, provider).await;
        let elsewhere = two.begin(&mut Browser::new(), provider).await;
        let lost = two.server(provider).approve(&elsewhere, "ada");
        let silent = Request::post(two.app.url("/auth/logout")).header(ACCEPT, "text/html");
        for (name, request) in [
            ("a callback whose flow is gone", navigation(Method::GET, &lost, "cross-site")),
            (
                "another site's wish for another account",
                navigation(Method::GET, &two.app.url("/auth/login?prompt=select_account"), "cross-site"),
            ),
            ("a browser that does not say where from", silent),
        ] {
            let page = browser.send(request.body(Bytes::new()).unwrap()).await;
            let words = format!("<p>You are signed in as 1 by The {provider}.</p>");
            assert!(text(&page).contains(&words), "{name}: {}", text(&page));
        }
        let mut pages = Vec::new();
        for _ in 0..10 {
            let again = navigation(Method::GET, &two.app.url("/auth/login"), "cross-site").body(Bytes::new()).unwrap();
            pages.push(browser.send(again).await);
        }
        let words = format!("<p>You are signed in as 1 by The {provider}.</p>");
        assert!(pages.iter().any(|page| text(page).contains(&words)), "sent in circles: {pages:?}");
    }
}
