//! The page that asks whether to sign out, where nothing tells which site sent somebody, and `Clear-Site-Data`.

#![allow(missing_docs, reason = "tests")]

#[path = "support/site.rs"]
mod site;
mod support;

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_SECURITY_POLICY, ORIGIN, REFERER};
use http::{Request, Response};
use site::{BOB, Site, deleted, set_cookies};
use support::{Browser, location, text};
use tower_signin::ErrorKind::{self, LogoutForeign, LogoutUnconfirmed};
use tower_signin::{Builder, Keys, Page};

/// A person's form, from who knows where.
fn form(address: &str) -> http::request::Builder {
    Request::post(address).header(ACCEPT, "text/html").header(ORIGIN, "null")
}

/// Where the page's form posts to.
#[track_caller]
fn action(response: &Response<Bytes>) -> String {
    assert_eq!(response.extensions().get(), Some(&LogoutUnconfirmed));
    let (_, rest) = text(response).split_once("<form method=\"post\" action=\"").expect("a form");
    rest.split_once('"').unwrap().0.replace("&amp;", "&")
}

fn kind(response: &Response<Bytes>) -> Option<ErrorKind> {
    response.extensions().get().copied()
}

async fn is_signed_in(site: &Site, browser: &Browser) -> bool {
    text(&site.get(&mut browser.clone(), "/").await) == BOB
}

#[tokio::test]
async fn a_person_whose_browser_does_not_say_where_from_signs_out_by_the_page() {
    let silent: &[(&str, &[(&str, &str)])] = &[
        ("nothing at all", &[]),
        ("an Origin that says nothing", &[("origin", "null")]),
        ("a Referer that is no address", &[("referer", "example.com")]),
        ("a Referer of no site", &[("origin", "null"), ("referer", "about:blank")]),
    ];
    for (name, headers) in silent {
        let site = Site::new();
        let mut browser = site.signed_in().await;
        let request = |address: &str| {
            let request = Request::post(address).header(ACCEPT, "text/html");
            headers.iter().fold(request, |request, (header, value)| request.header(*header, *value))
        };
        let page = site.visit(&mut browser, request("/api/logout?return_to=/bye%3Fa%3D1%26b%3D2")).await;
        site.assert_refused(name, &page, 403, LogoutUnconfirmed);
        assert_eq!(set_cookies(&page), [""; 0], "{name}");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"), "{name}: {policy}");
        assert!(text(&page).contains(&format!("You are signed in as {BOB}.")), "{name}");
        assert!(is_signed_in(&site, &browser).await, "{name}");

        let response = site.visit(&mut browser, request(&action(&page))).await;
        assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/bye?a=1&b=2"), "{name}");
        assert_eq!(set_cookies(&response), [deleted("__Host-signin"), deleted("__Host-signin-rounds")], "{name}");
        assert!(!is_signed_in(&site, &browser).await, "{name}");
    }
}

#[tokio::test]
async fn only_the_token_of_this_session_and_of_the_last_ten_minutes_counts() {
    let keys = Keys::generate().unwrap();
    let with_keys = |builder: Builder| builder.keys(keys.clone());
    let site = Site::with(with_keys);
    let mut browser = site.signed_in().await;
    let own = action(&site.visit(&mut browser, form("/api/logout")).await);
    let token = own.split_once("token=").unwrap().1;
    let other = action(&site.visit(&mut site.signed_in().await, form("/api/logout")).await);
    let strange = Site::new();
    let strange = action(&strange.visit(&mut strange.signed_in().await, form("/api/logout")).await);
    let session = &browser.jar["__Host-signin"];
    let early = Site::with(with_keys);
    early.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(site::NOW + 61));
    let early = action(&early.visit(&mut browser.clone(), form("/api/logout")).await);
    let mut changed = own.clone();
    changed
        .replace_range(own.len() - 10..own.len() - 9, if own.as_bytes()[own.len() - 10] == b'A' { "B" } else { "A" });
    let cases = [
        ("another session's", other),
        ("another deployment's", strange),
        ("from the future", early),
        ("changed", changed),
        ("cut", own[..own.len() - 1].to_owned()),
        ("twice", format!("{own}&token={token}")),
        ("empty", "/api/logout?token=".to_owned()),
        ("junk", "/api/logout?token=junk".to_owned()),
        ("under another name", format!("/api/logout?Token={token}")),
        ("the session itself", format!("/api/logout?token={session}")),
    ];
    for (name, address) in cases {
        let page = site.visit(&mut browser, form(&address)).await;
        assert_eq!((page.status().as_u16(), kind(&page)), (403, Some(LogoutUnconfirmed)), "{name}");
        assert_eq!(set_cookies(&page), [""; 0], "{name}");
        assert_ne!(action(&page), own, "{name}: a fresh one");
    }
    site.clock.advance(Duration::from_secs(600));
    let old = site.visit(&mut browser, form(&own)).await;
    assert_eq!((kind(&old), set_cookies(&old)), (Some(LogoutUnconfirmed), vec![]), "old");
    let fresh = action(&old);
    site.clock.advance(Duration::from_secs(599));
    assert!(is_signed_in(&site, &browser).await);
    assert_eq!(site.visit(&mut browser, form(&fresh)).await.status(), 303);
    assert!(!is_signed_in(&site, &browser).await);
}

#[tokio::test]
async fn a_token_helps_nobody_whose_browser_says_that_another_site_asks() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let own = action(&site.visit(&mut browser, form("/api/logout")).await);
    let plain = || Request::post(&own).header(ACCEPT, "text/html");
    let cases = [
        ("another site", plain().header("sec-fetch-site", "cross-site")),
        ("a sibling", plain().header("sec-fetch-site", "same-site")),
        ("another site, Origin null", form(&own).header("sec-fetch-site", "cross-site")),
        ("a foreign Origin", plain().header(ORIGIN, "https://evil.example")),
        ("a foreign Referer", form(&own).header(REFERER, "https://evil.example/")),
        ("a program", Request::post(&own)),
        ("a program's fetch", form(&own).header("sec-fetch-mode", "cors")),
    ];
    for (name, request) in cases {
        let response = site.visit(&mut browser, request).await;
        assert_eq!((response.status().as_u16(), kind(&response)), (403, Some(LogoutForeign)), "{name}");
        assert!(set_cookies(&response).is_empty() && !text(&response).contains("token"), "{name}");
    }
    assert!(is_signed_in(&site, &browser).await);
    let get = Request::get(&own).header(ACCEPT, "text/html");
    assert_eq!(site.visit(&mut browser, get).await.status(), 405, "a link signs nobody out");
}

#[tokio::test]
async fn without_a_session_there_is_nothing_to_ask() {
    let site = Site::new();
    let mut over = site.signed_in().await;
    let own = action(&site.visit(&mut over, form("/api/logout")).await);
    let mut twice = Browser::new();
    twice.jar.insert("__Host-signin".to_owned(), format!("{0}; __Host-signin={0}", over.jar["__Host-signin"]));
    for (name, mut browser) in [("nobody", Browser::new()), ("two sessions", twice)] {
        for address in ["/api/logout", &own] {
            let response = site.visit(&mut browser, form(address)).await;
            assert_eq!((kind(&response), set_cookies(&response)), (Some(LogoutForeign), vec![]), "{name}");
        }
    }
    site.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(kind(&site.visit(&mut over, form(&own)).await), Some(LogoutForeign), "a session that is over");
}

#[tokio::test]
async fn the_application_s_page_has_the_form_or_is_not_shown() {
    let pages: [(&str, fn(&Page<'_>) -> String, bool); 4] = [
        (
            "with the form",
            |page| format!("<h1>Ours</h1><form action=\"{}\">", page.sign_out_action().unwrap_or("")),
            true,
        ),
        (
            "with every character escaped",
            |page| {
                let action = page.sign_out_action().unwrap_or("").replace('/', "&#x2f;").replace('=', "&#x3d;");
                format!("<h1>Ours</h1><form action=\"{action}\">")
            },
            true,
        ),
        ("without", |_| "<h1>Ours</h1>".to_owned(), false),
        ("a panic", |_| panic!("a broken template"), false),
    ];
    for (name, pages, is_shown) in pages {
        let site = Site::with(|builder| builder.pages(pages));
        let mut browser = site.signed_in().await;
        let page = site.visit(&mut browser, form("/api/logout")).await;
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert_eq!(text(&page).contains("Ours"), is_shown, "{name}");
        assert!(policy.contains("form-action 'self'"), "{name}");
        assert!(is_shown || !action(&page).is_empty(), "{name}");
    }
    let site = Site::with(|builder| builder.pages(|page| format!("{:?}", page.sign_out_action())));
    let other = site.visit(&mut site.signed_in().await, Request::get("/api/logout").header(ACCEPT, "text/html")).await;
    assert_eq!(text(&other), "None", "no other page has a form");
}

#[tokio::test]
async fn what_a_browser_keeps_goes_where_the_settings_say_so() {
    const DATA: &str = "clear-site-data";
    let ours = || Request::post("/api/logout").header("sec-fetch-site", "same-origin");
    let plain = Site::new();
    let response = plain.visit(&mut plain.signed_in().await, ours()).await;
    assert_eq!((response.status().as_u16(), response.headers().get(DATA)), (303, None), "off by default");

    let site = Site::with(Builder::clear_site_data);
    let mut browser = Browser::new();
    let callback = site.complete(&mut browser, "/").await;
    assert_eq!(callback.headers().get(DATA), None, "a sign-in");
    let foreign = Request::post("/api/logout").header("sec-fetch-site", "cross-site");
    let refused = site.visit(&mut browser, foreign).await;
    assert_eq!((refused.status().as_u16(), refused.headers().get(DATA)), (403, None), "a refusal");
    let asked = site.visit(&mut browser, form("/api/logout")).await;
    assert_eq!(asked.headers().get(DATA), None, "a question");
    let confirmed = site.visit(&mut browser.clone(), form(&action(&asked))).await;
    let gone = site.visit(&mut browser, ours()).await;
    for response in [confirmed, gone] {
        assert_eq!(response.headers()[DATA], "\"cache\", \"storage\"");
    }
}
