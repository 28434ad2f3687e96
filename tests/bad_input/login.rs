//! The start of a sign-in: who may start one, and what a flood or another site can do.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use http::header::LOCATION;
use tower_signin::ErrorKind::{LoginCrossSite, LoginNotNavigation};

use crate::site::{CALLBACK, CODE, NOW, Site, Started, deleted, set_cookies, siwbb};
use crate::support::{Browser, location, navigation, text};

#[tokio::test]
async fn only_a_top_level_navigation_starts_a_sign_in() {
    let cases: &[(&str, Option<&str>, Option<&str>, bool)] = &[
        ("a click", Some("navigate"), Some("document"), true),
        ("a navigation that a service worker preloads", Some("navigate"), Some("empty"), true),
        ("an old browser or a program", None, None, true),
        ("fetch", Some("cors"), Some("empty"), false),
        ("fetch without cors", Some("no-cors"), Some("empty"), false),
        ("fetch on the same origin", Some("same-origin"), Some("empty"), false),
        ("a web socket", Some("websocket"), Some("empty"), false),
        ("a frame", Some("navigate"), Some("iframe"), false),
        ("an old frame", Some("navigate"), Some("frame"), false),
        ("an image", Some("no-cors"), Some("image"), false),
        ("an image that says no mode", None, Some("image"), false),
        ("a frame that says no mode", None, Some("iframe"), false),
        ("a script", Some("no-cors"), Some("script"), false),
        ("an object", Some("navigate"), Some("object"), false),
        ("an embed", Some("navigate"), Some("embed"), false),
        ("a word nobody knows", Some("teleport"), None, false),
        ("another case", Some("Navigate"), Some("document"), false),
    ];
    for (name, mode, dest, starts) in cases {
        let site = Site::new();
        let mut request = http::Request::get("/api/login");
        for (header, value) in [("sec-fetch-mode", mode), ("sec-fetch-dest", dest)] {
            if let Some(value) = value {
                request = request.header(header, *value);
            }
        }
        let response = site.visit(&mut Browser::new(), request).await;
        if *starts {
            assert_eq!((response.status().as_u16(), set_cookies(&response).len()), (303, 1), "{name}");
        } else {
            site.assert_refused(name, &response, 403, LoginNotNavigation);
            assert_eq!(set_cookies(&response), [""; 0], "{name}");
        }
    }
}

#[tokio::test]
async fn another_site_pushes_out_none_of_our_own_flows() {
    for from in ["cross-site", "same-site", "nobody-knows"] {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = start_four(&site, &mut browser, "same-origin").await;
        let before = browser.jar.clone();

        let request = navigation(Method::GET, &site.login("/theirs?a=1&b=2"), from);
        let response = site.visit(&mut browser, request).await;
        site.assert_refused(from, &response, 403, LoginCrossSite);
        assert_eq!(set_cookies(&response), [""; 0], "{from}");
        assert!(!response.headers().contains_key(LOCATION), "{from}");
        let button = "href=\"/api/login?return_to=%2Ftheirs%3Fa%3D1%26b%3D2\">Continue<";
        assert!(text(&response).contains(button), "{from}: {}", text(&response));
        let program = http::Request::get(site.login("/theirs")).header("sec-fetch-site", from);
        let problem = site.visit(&mut browser, program).await;
        let login = "\"login_url\":\"https://example.com/api/login?return_to=%2Ftheirs\"";
        assert!(text(&problem).contains(login), "{from}: {}", text(&problem));
        assert_eq!(browser.jar, before, "{from}");

        let continued = site.start(&mut browser, "/theirs").await;
        assert!(
            !browser.jar.contains_key(&started[0].flow_cookie()),
            "{from}: the person's own click evicts the oldest"
        );
        assert_eq!(location(&site.get(&mut browser, &continued.callback(CODE)).await), "/theirs", "{from}");
    }
}

#[tokio::test]
async fn flows_that_are_over_or_not_begun_yet_take_no_place() {
    for (name, at) in [("over", NOW + 3 + 600), ("ahead", NOW - 61)] {
        let site = Site::new();
        let mut browser = Browser::new();
        start_four(&site, &mut browser, "same-origin").await;
        site.clock.set(UNIX_EPOCH + Duration::from_secs(at));
        let request = navigation(Method::GET, &site.login("/"), "cross-site");
        assert_eq!(site.visit(&mut browser, request).await.status(), 303, "{name}");
    }
}

#[tokio::test]
async fn however_many_flows_come_four_are_left() {
    let site = Site::new();
    let mut browser = Browser::new();
    let mut started = Vec::new();
    for _ in 0..6 {
        let mut other = Browser::new();
        started.push(site.start(&mut other, "/").await);
        browser.jar.append(&mut other.jar);
        site.clock.advance(Duration::from_secs(1));
    }
    site.start(&mut browser, "/").await;
    assert_eq!(browser.jar.len(), 4, "{:?}", browser.jar.keys());
    assert!(started[3..].iter().all(|started| browser.jar.contains_key(&started.flow_cookie())), "the newest");
}

#[tokio::test]
async fn another_site_pushes_out_what_other_sites_started() {
    let site = Site::new();
    let mut browser = Browser::new();
    let own = site.start(&mut browser, "/own").await;
    site.clock.advance(Duration::from_secs(1));
    let theirs = start_four(&site, &mut browser, "cross-site").await;
    assert_eq!(browser.jar.len(), 4);
    assert!(!browser.jar.contains_key(&theirs[0].flow_cookie()));
    assert_eq!(location(&site.get(&mut browser, &own.callback(CODE)).await), "/own");
}

#[tokio::test]
async fn another_site_starts_nothing_for_who_is_signed_in() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    site.clock.advance(Duration::from_secs(60));
    let cases = [("/there?x=1", "/there?x=1"), ("//evil.example", "/"), ("/api/login", "/")];
    for (wanted, expected) in cases {
        let response = site.visit(&mut browser, navigation(Method::GET, &site.login(wanted), "cross-site")).await;
        assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, expected), "{wanted}");
        let cookies = set_cookies(&response);
        assert!(
            matches!(&cookies[..], [counted] if counted.starts_with("__Host-signin-rounds=")),
            "{wanted}: {cookies:?}"
        );
    }
    assert!(site.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_fifth_sign_in_evicts_the_oldest() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = start_four(&site, &mut browser, "same-origin").await;
    let response = site.get(&mut browser, "/api/login").await;
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert_eq!(cookies[0], deleted(&started[0].flow_cookie()));
    let evicted = site.get(&mut browser, &started[0].callback(CODE)).await;
    site.assert_refused("evicted", &evicted, 400, tower_signin::ErrorKind::FlowNotFound);
    for started in &started[1..] {
        let mut browser = browser.clone();
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
    }
}

#[tokio::test]
async fn nine_abandoned_sign_ins_leave_room_for_the_tenth() {
    let site = Site::new();
    let mut browser = Browser::new();
    let long = format!("/{}?{}", "p".repeat(200), "q".repeat(1500));
    for round in 0..9 {
        site.start(&mut browser, &long).await;
        site.clock.advance(Duration::from_secs(1));
        let header = browser.cookie_header().unwrap();
        assert!(header.len() < 4096, "round {round}: {} bytes", header.len());
        for (name, value) in &browser.jar {
            assert!(name.len() + value.len() < 700, "round {round}: {} bytes", name.len() + value.len());
        }
    }
    let tenth = site.complete(&mut browser, "/target").await;
    assert_eq!((tenth.status().as_u16(), location(&tenth).as_str()), (303, "/target"));
}

#[tokio::test]
async fn a_login_sweeps_up_flows_that_are_over_and_nothing_it_cannot_read() {
    let site = Site::new();
    let mut browser = Browser::new();
    let over = site.start(&mut browser, "/").await;
    site.clock.advance(Duration::from_secs(601));
    let strangers = format!("__Host-signin-flow-{:010x}{:016x}", 1, 1);
    browser.jar.insert(strangers, "junk".to_owned());
    browser.jar.insert("__Host-signin-flow-".to_owned(), "junk".to_owned());
    browser.jar.insert("__Host-signin-flow-é".to_owned(), "junk".to_owned());
    let response = site.get(&mut browser, "/api/login").await;
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    assert_eq!(cookies[0], over.flow_deleted());
}

/// Four sign-ins, a second apart, oldest first.
async fn start_four(site: &Site, browser: &mut Browser, from: &str) -> Vec<Started> {
    let mut started = Vec::new();
    for number in 0..4 {
        started.push(site.start_from(browser, from, &format!("/{number}")).await);
        site.clock.advance(Duration::from_secs(1));
    }
    started
}

/// Four of them, a session and what the application has must stay well below what servers take as one header.
#[tokio::test]
async fn a_flow_cookie_takes_at_most_700_bytes() {
    let issuer = format!("https://{}.example", "a".repeat(60));
    let ours = "https://bitbadges.io".to_owned();
    // The room for the value of a name that is one shorter or longer is not always a whole number of base64's fours.
    let cases = [("signin", ours.clone()), ("login", ours), (&"p".repeat(64), issuer)];
    for (prefix, issuer) in cases {
        let provider = siwbb().base_urls(&issuer, "https://api.example");
        let site = Site::of(provider, CALLBACK, |builder| builder.cookie_prefix(prefix));
        let signed_in = site.signed_in().await;
        let mut longest = 0;
        for length in 100..400 {
            let mut browser = signed_in.clone();
            site.start(&mut browser, &format!("/{}", "t".repeat(length))).await;
            let (name, value) = browser.jar.iter().find(|(name, _)| name.contains("-flow-")).unwrap();
            longest = longest.max(name.len() + 1 + value.len());
        }
        assert!((690..=700).contains(&longest), "{prefix}: {longest} bytes");
    }
}
