//! The page where people choose.

use http::Method;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use tower_signin::Page;
use url::Url;

use super::Two;
use crate::support::{Browser, location, navigation, text};

#[tokio::test]
async fn login_offers_each_and_takes_everything_along() {
    let two = Two::start().await;
    let mut browser = Browser::new();
    let page = browser
        .get(&two.app.url("/auth/login?return_to=/claims%3Fa%3D1%26b&prompt=select_account&login_hint=ada"))
        .await;
    assert_eq!((page.status().as_u16(), &page.headers()[CACHE_CONTROL]), (200, &"no-store".parse().unwrap()));
    assert!(!page.headers().contains_key(SET_COOKIE), "nothing has begun: {page:?}");
    let query = "login_hint=ada&amp;prompt=select_account&amp;return_to=%2Fclaims%3Fa%3D1%26b";
    for name in ["north", "south"] {
        let link = format!("<a href=\"/auth/login/{name}?{query}\">Sign in with The {name}</a>");
        assert!(text(&page).contains(&link), "{name}: {}", text(&page));
    }
    let link = two.app.url(&format!("/auth/login/south?{}", query.replace("&amp;", "&")));
    let authorization_url = location(&browser.get(&link).await);
    let answer = browser.get(&two.south.approve(&authorization_url, "ada")).await;
    assert_eq!(location(&answer), "/claims?a=1&b");
}

#[tokio::test]
async fn a_guard_and_a_refusal_lead_to_the_choice() {
    let two = Two::start().await;
    let mut browser = Browser::new();
    let denied = two.begin(&mut browser, "south").await;
    let denied = two.south.approve(&denied, "ada").replace("code=", "error=access_denied&no=");
    let page = browser.get(&denied).await;
    assert!(text(&page).contains("href=\"/auth/login\""), "{}", text(&page));
}

/// Only a person's own click starts a sign-in; another site that sends somebody to login changes nothing.
#[tokio::test]
async fn who_is_signed_in_and_sent_by_another_site_goes_on() {
    let two = Two::start().await;
    let mut browser = Browser::new();
    two.sign_in(&mut browser, "north").await;
    for path in ["/auth/login", "/auth/login/south", "/auth/login/north"] {
        let url = two.app.url(&format!("{path}?return_to=/claims"));
        let request = navigation(Method::GET, &url, "cross-site").body(Default::default()).unwrap();
        let answer = browser.send(request).await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, "/claims"), "{path}");
    }
}

#[tokio::test]
async fn only_a_get_in_a_window_of_its_own_is_answered_with_it() {
    let two = Two::start().await;
    for (method, dest, status) in [
        (Method::POST, "document", 405),
        (Method::HEAD, "document", 405),
        (Method::GET, "iframe", 403),
        (Method::GET, "document", 200),
    ] {
        let mut request =
            navigation(method.clone(), &two.app.url("/auth/login"), "same-origin").body(Default::default()).unwrap();
        request.headers_mut().insert("sec-fetch-dest", dest.parse().unwrap());
        let answer = Browser::new().send(request).await;
        assert_eq!(answer.status(), status, "{method} {dest}");
    }
}

#[tokio::test]
async fn the_application_s_own_page_takes_its_place() {
    let two = Two::start_with(|builder| {
        builder.chooser(|chooser| {
            let link = |choice: &tower_signin::Choice| format!("{}={} ", choice.name(), Page::escape(choice.href()));
            chooser.choices().iter().map(link).collect()
        })
    })
    .await;
    let page = Browser::new().get(&two.app.url("/auth/login?return_to=/x")).await;
    assert_eq!(text(&page), "north=/auth/login/north?return_to=%2Fx south=/auth/login/south?return_to=%2Fx ");
}

#[tokio::test]
async fn a_hint_that_could_be_more_is_left_out() {
    let two = Two::start().await;
    for (hint, is_kept) in [
        ("ada%40example.com", true),
        ("a%0d%0ab", false),
        ("", false),
        (&*"a".repeat(257), false),
        ("%3Cscript%3E", true),
    ] {
        let page = Browser::new().get(&two.app.url(&format!("/auth/login?login_hint={hint}"))).await;
        assert_eq!(text(&page).contains("login_hint="), is_kept, "{hint}: {}", text(&page));
        assert!(!text(&page).contains("<script"), "{hint}");
    }
}

#[tokio::test]
async fn a_fragment_survives_the_choice() {
    let two = Two::start_with(|builder| builder.keep_fragment()).await;
    let mut browser = Browser::new();
    let between = browser.get(&two.app.url("/auth/login?return_to=/x")).await;
    assert!(
        text(&between).contains("data-next=\"/auth/login?fragment=read&amp;return_to=%2Fx\""),
        "{}",
        text(&between)
    );
    let page = browser.get(&two.app.url("/auth/login?fragment=read&return_to=%2Fx%23part")).await;
    let link = "/auth/login/south?return_to=%2Fx%23part";
    assert!(text(&page).contains(&format!("href=\"{link}\"")), "{}", text(&page));
    let authorization_url = location(&browser.get(&two.app.url(link)).await);
    assert_eq!(Url::parse(&authorization_url).unwrap().origin().ascii_serialization(), two.south.origin);
    assert_eq!(location(&browser.get(&two.south.approve(&authorization_url, "ada")).await), "/x#part");
}
