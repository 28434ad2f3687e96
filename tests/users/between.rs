//! The page in between that saves a fragment, and what else passes through it.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HOST, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{Method, Response};
use tower_signin::Builder;

use crate::site::{CODE, Site, Started, query, set_cookies, siwbb};
use crate::support::{Browser, location, navigation, text};
use crate::told;

fn site() -> Site {
    Site::with(Builder::keep_fragment)
}

/// What the page's script appends the fragment to.
fn next(page: &Response<Bytes>) -> String {
    assert_eq!(page.status(), 200, "{page:?}");
    let (_, rest) = text(page).split_once("data-next=\"").expect("a place to go on");
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

/// Does as the page's script does in a browser whose address has this fragment.
async fn go_on(site: &Site, browser: &mut Browser, page: &Response<Bytes>, fragment: &str) -> Response<Bytes> {
    let encoded: String = url::form_urlencoded::byte_serialize(fragment.as_bytes()).collect();
    let login = format!("{}{}", next(page), encoded.replace('+', "%20"));
    site.visit(browser, navigation(Method::GET, &login, "same-origin")).await
}

#[tokio::test]
async fn u11_whatever_a_fragment_says_it_stays_a_fragment() {
    let site = site();
    let cases = [
        ("", "/page?x=1"),
        ("#a&return_to=//evil.example", "/page?x=1#a&return_to=//evil.example"),
        ("#&prompt=select_account", "/page?x=1#&prompt=select_account"),
        ("#//evil.example", "/page?x=1#//evil.example"),
        ("#two words", "/page?x=1#two%20words"),
        ("#%23%26", "/page?x=1#%23%26"),
        ("#\"><script>", "/page?x=1#%22%3E%3Cscript%3E"),
        ("#ü", "/page?x=1#%C3%BC"),
        ("#/deep?link#again", "/page?x=1#/deep?link#again"),
    ];
    for (fragment, expected) in cases {
        let mut browser = Browser::new();
        let page = site.get(&mut browser, &site.login("/page?x=1")).await;
        let started = Started::at(&location(&go_on(&site, &mut browser, &page, fragment).await));
        let done = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(location(&done), expected, "{fragment}");
        let here = url::Url::parse("https://example.com/api/callback").unwrap();
        assert_eq!(here.join(&location(&done)).unwrap().origin(), here.origin(), "{fragment}");
    }
}

/// A browser leaves a backslash in a fragment as it is, where it leads nowhere.
#[tokio::test]
async fn u11_a_fragment_that_cannot_be_kept_costs_no_more_than_itself() {
    let site = site();
    let long = format!("/page?x={}", "x".repeat(1700));
    let cases = [
        ("a backslash", "/page?x=1", "#a\\b".to_owned(), "/page?x=1"),
        ("too long for a cookie", "/page?x=1", format!("#{}", "f".repeat(500)), "/page?x=1"),
        ("too long together with its page", &long, format!("#{}", "f".repeat(400)), "/page"),
    ];
    let mut lost = Vec::new();
    for (name, target, fragment, expected) in cases {
        let mut browser = Browser::new();
        let page = site.get(&mut browser, &site.login(target)).await;
        let started = Started::at(&location(&go_on(&site, &mut browser, &page, &fragment).await));
        let done = location(&site.get(&mut browser, &started.callback(CODE)).await);
        if done.split('#').next() != Some(expected) {
            lost.push(format!("{name}: {done} instead of {expected}"));
        }
    }
    assert_eq!(lost, [""; 0]);
}

#[tokio::test]
async fn u11_the_return_target_stays_the_last_parameter() {
    let site = site();
    let cases = [
        ("/api/login", "/api/login?fragment=read&return_to=%2F"),
        ("/api/login?return_to=/a&x=1", "/api/login?fragment=read&return_to=%2Fa"),
        (
            "/api/login?return_to=/a%26b%3Dc&prompt=select_account",
            "/api/login?fragment=read&prompt=select_account&return_to=%2Fa%26b%3Dc",
        ),
        ("/api/login?prompt=login&return_to=/a", "/api/login?fragment=read&return_to=%2Fa"),
        ("/api/login?return_to=/a&return_to=/b", "/api/login?fragment=read&return_to=%2F"),
        ("/api/login?fragment=read%20&return_to=/a", "/api/login?fragment=read&return_to=%2Fa"),
        ("/api/login?fragment=&return_to=/a", "/api/login?fragment=read&return_to=%2Fa"),
        ("/api/login?Fragment=read&return_to=/a", "/api/login?fragment=read&return_to=%2Fa"),
    ];
    for (login, expected) in cases {
        assert_eq!(next(&site.get(&mut Browser::new(), login).await), expected, "{login}");
    }
}

#[tokio::test]
async fn u11_what_starts_nothing_gets_no_page_in_between() {
    let site = site();
    let cases = [
        ("HEAD", navigation(Method::HEAD, "/api/login", "none"), 405),
        ("a form", navigation(Method::POST, "/api/login", "same-origin"), 405),
        ("a prerender", navigation(Method::GET, "/api/login", "none").header("sec-purpose", "prefetch;prerender"), 503),
    ];
    for (name, request, status) in cases {
        let response = site.visit(&mut Browser::new(), request).await;
        assert_eq!((response.status().as_u16(), set_cookies(&response)), (status, vec![]), "{name}");
        assert!(!text(&response).contains("data-next"), "{name}");
    }
}

#[tokio::test]
async fn the_page_in_between_is_never_kept_framed_or_named_to_others() {
    let page = site().get(&mut Browser::new(), "/api/login?return_to=/page").await;
    for (header, value) in [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer"), (X_FRAME_OPTIONS, "DENY")] {
        assert_eq!(page.headers()[&header], value, "{header}");
    }
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(text(&page).matches("<script").count(), 1);
}

#[tokio::test]
async fn u13_a_round_is_counted_once_for_both_requests_of_a_login() {
    let site = site();
    let mut browser = Browser::new();
    for number in 1..=3 {
        let page = site.get(&mut browser, "/api/login").await;
        assert_eq!(set_cookies(&page), [""; 0], "the page counts nothing, {number}");
        let started = Started::at(&location(&go_on(&site, &mut browser, &page, "#part").await));
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
        browser.jar.remove("__Host-signin").expect("a session");
    }
    let page = site.get(&mut browser, "/api/login?return_to=/page").await;
    let stopped = go_on(&site, &mut browser, &page, "#part").await;
    assert_eq!(told(&stopped), (400, "sign_in_loop".to_owned()));
    let link = "href=\"/api/login?return_to=%2Fpage%23part\">Sign in</a>";
    assert!(text(&stopped).contains(link), "the fragment is not lost: {}", text(&stopped));
}

/// Only a page of this site says `read`, but anybody can write it into a link: it must not make a stranger's start ours.
#[tokio::test]
async fn another_site_that_skips_the_page_in_between_is_still_another_site() {
    let site = site();
    for mark in ["read", "read-from-elsewhere"] {
        let login = format!("/api/login?{}", query(&[("fragment", mark), ("return_to", "/page")]));
        let mut own = Browser::new();
        for _ in 0..4 {
            let own_login = "/api/login?fragment=read&return_to=/own";
            assert_eq!(site.visit(&mut own, navigation(Method::GET, own_login, "same-origin")).await.status(), 303);
        }
        let before = own.jar.clone();
        let response = site.visit(&mut own, navigation(Method::GET, &login, "cross-site")).await;
        assert_eq!(told(&response), (403, "login_from_another_site".to_owned()), "{mark}");
        assert_eq!(own.jar, before, "{mark}: no flow of one's own was pushed out");

        let started = site.visit(&mut Browser::new(), navigation(Method::GET, &login, "same-site")).await;
        assert_eq!(started.status(), 303, "{mark}: nobody in particular may start");
    }
    let plain = Site::new();
    let mut browser = plain.signed_in().await;
    let login = "/api/login?fragment=read&return_to=/page";
    let response = plain.visit(&mut browser, navigation(Method::GET, login, "cross-site")).await;
    assert_eq!(location(&response), "/page", "who is signed in goes on, and nothing has started");
}

#[tokio::test]
async fn u11_another_loopback_name_is_left_before_the_fragment_is_read() {
    let site = Site::of(siwbb(), "http://localhost:3000/api/callback", Builder::keep_fragment);
    let request = |host: &str, path: &str| navigation(Method::GET, path, "none").header(HOST, host);
    let mut browser = Browser::new();
    let login = "/api/login?prompt=select_account&return_to=/page";
    let response = site.visit(&mut browser, request("127.0.0.1:3000", login)).await;
    // A browser carries the fragment over a redirect that has none of its own.
    assert_eq!(location(&response), "http://localhost:3000/api/login?prompt=select_account&return_to=%2Fpage");
    let there = location(&response).replace("http://localhost:3000", "");
    let page = site.visit(&mut browser, request("localhost:3000", &there)).await;
    assert_eq!(next(&page), "/api/login?fragment=read&prompt=select_account&return_to=%2Fpage");
}
