//! Signing out: only a page of this site may ask for it.

use http::header::ORIGIN;
use http::{Method, Request};
use tower_signin::ErrorKind::{LogoutForeign, LogoutUnconfirmed};

use crate::site::{BOB, Site, deleted, set_cookies};
use crate::support::{Browser, location, navigation, text};

#[tokio::test]
async fn a_foreign_page_signs_nobody_out() {
    const FETCH: &str = "sec-fetch-site";
    const REFERER: &str = "referer";
    let cases: &[(&str, &[(&str, &str)], bool)] = &[
        ("a form of ours", &[(FETCH, "same-origin"), ("origin", "https://example.com")], true),
        ("the person's own typing", &[(FETCH, "none")], true),
        ("another site", &[(FETCH, "cross-site")], false),
        ("a sibling", &[(FETCH, "same-site")], false),
        ("a word nobody knows", &[(FETCH, "other-world")], false),
        ("an empty word", &[(FETCH, "")], false),
        ("another case", &[(FETCH, "Same-Origin")], false),
        ("another site with our Origin", &[(FETCH, "cross-site"), ("origin", "https://example.com")], false),
        ("another site with our Referer", &[(FETCH, "cross-site"), (REFERER, "https://example.com/")], false),
        ("our Origin", &[("origin", "https://example.com")], true),
        ("a foreign Origin", &[("origin", "https://evil.example")], false),
        ("a foreign Origin with our Referer", &[("origin", "https://e.vil"), (REFERER, "https://example.com/")], false),
        ("our name on another port", &[("origin", "https://example.com:8443")], false),
        ("our name over http", &[("origin", "http://example.com")], false),
        ("our name as a beginning", &[("origin", "https://example.com.evil.example")], false),
        ("our name as a user", &[("origin", "https://example.com@evil.example")], false),
        ("our name as an end", &[("origin", "https://evilexample.com")], false),
        ("a sibling's Origin", &[("origin", "https://www.example.com")], false),
        ("an Origin with a slash", &[("origin", "https://example.com/")], false),
        ("Origin null alone", &[("origin", "null")], false),
        ("Origin null with our Referer", &[("origin", "null"), (REFERER, "https://example.com/page?x")], true),
        ("Origin null with a foreign Referer", &[("origin", "null"), (REFERER, "https://evil.example/")], false),
        ("our Referer alone", &[(REFERER, "https://example.com/page")], true),
        ("our origin alone as Referer", &[(REFERER, "https://example.com")], true),
        ("a Referer that begins like ours", &[(REFERER, "https://example.com.evil.example/")], false),
        ("a Referer with our name as a user", &[(REFERER, "https://example.com@evil.example/")], false),
        ("a Referer that names us in its path", &[(REFERER, "https://evil.example/https://example.com/")], false),
        ("a Referer over http", &[(REFERER, "http://example.com/")], false),
        ("a Referer without an origin", &[(REFERER, "about:blank")], false),
        ("a Referer that is no URL", &[(REFERER, "example.com")], false),
        ("nothing to judge by", &[], false),
        ("a Host that is ours", &[("host", "example.com")], false),
        ("an Accept that is a browser's", &[("accept", "text/html")], false),
    ];
    for (name, headers, is_ours) in cases {
        let site = Site::new();
        let mut browser = site.signed_in().await;
        let mut request = Request::post("/api/logout?return_to=/bye");
        for (header, value) in *headers {
            request = request.header(*header, *value);
        }
        let response = site.visit(&mut browser, request).await;
        if *is_ours {
            assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/bye"), "{name}");
            assert_eq!(set_cookies(&response), [deleted("__Host-signin"), deleted("__Host-signin-rounds")], "{name}");
        } else {
            let is_asked = name == &"an Accept that is a browser's";
            site.assert_refused(name, &response, 403, if is_asked { LogoutUnconfirmed } else { LogoutForeign });
            assert_eq!(set_cookies(&response), [""; 0], "{name}");
            assert_eq!(text(&site.get(&mut browser, "/").await), BOB, "{name}: still signed in");
        }
    }
}

#[tokio::test]
async fn logout_deletes_every_cookie_of_ours() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let one = site.start(&mut browser, "/one").await;
    let other = site.start(&mut browser, "/other").await;
    browser.jar.insert("theirs".to_owned(), "kept".to_owned());
    let request = Request::post("/api/logout").header(ORIGIN, "https://example.com");
    let response = site.visit(&mut browser, request).await;
    let session = ["__Host-signin", "__Host-signin-rounds"].map(deleted);
    let mut expected = [&session[..], &[one.flow_deleted(), other.flow_deleted()]].concat();
    let mut cookies = set_cookies(&response);
    expected.sort();
    cookies.sort();
    assert_eq!(cookies, expected);
    assert_eq!(location(&response), "/");
    assert_eq!(browser.jar.into_keys().collect::<Vec<_>>(), ["theirs"]);
}

#[tokio::test]
async fn a_logout_with_nothing_to_end_sets_no_cookie() {
    let site = Site::new();
    let request = Request::builder().method(Method::POST).uri("/api/logout").header("sec-fetch-site", "same-origin");
    let response = site.visit(&mut crate::support::Browser::new(), request).await;
    assert_eq!((response.status().as_u16(), set_cookies(&response)), (303, Vec::new()));
}

#[tokio::test]
async fn a_person_who_stays_signed_in_is_not_asked_to_sign_in() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let refused = site.visit(&mut browser, navigation(Method::POST, "/api/logout", "cross-site")).await;
    let wrong_method = site.visit(&mut browser, navigation(Method::GET, "/api/logout", "same-origin")).await;
    for (name, response) in [("from elsewhere", refused), ("by a link", wrong_method)] {
        let page = text(&response);
        assert!(page.contains("href=\"/\">To the home page</a>") && !page.contains(">Sign in</a>"), "{name}: {page}");
    }
}

#[tokio::test]
async fn each_cookie_is_deleted_once_however_often_it_came() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let cookies = format!("{0}; {0}; {0}", browser.cookie_header().unwrap());
    let request = navigation(Method::POST, "/api/logout", "same-origin").header("cookie", cookies);
    let response = site.visit(&mut Browser::new(), request).await;
    assert_eq!(set_cookies(&response), [started.flow_deleted()]);
}
