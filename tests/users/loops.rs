//! A sign-in that does not last ends at a page.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use tower_signin::{Admission, Keys, SignedIn};

use crate::site::{BOB, CODE, Site, deleted, set_cookies};
use crate::support::{Browser, location, navigation, text};
use crate::told;

const ROUNDS: &str = "__Host-signin-rounds";

/// Signs in, loses the session as a broken browser or proxy does, and asks for login again.
async fn round(site: &Site, browser: &mut Browser) -> Response<Bytes> {
    assert_eq!(site.complete(browser, "/page").await.status(), 303);
    browser.jar.remove("__Host-signin").expect("a session");
    site.get(browser, &site.login("/page")).await
}

#[tokio::test]
async fn u13_the_third_round_stops_at_a_page_that_names_the_likely_cause() {
    let site = Site::new();
    let mut browser = Browser::new();
    for number in 1..=2 {
        assert_eq!(round(&site, &mut browser).await.status(), 303, "round {number}");
    }
    let stopped = round(&site, &mut browser).await;
    assert_eq!(told(&stopped), (400, "sign_in_loop".to_owned()));
    assert!(text(&stopped).contains("did not send the session cookie __Host-signin back"), "{}", text(&stopped));
    assert_eq!(set_cookies(&stopped), [deleted(ROUNDS)]);
    assert!(text(&stopped).contains("href=\"/api/login?return_to=%2Fpage\">Sign in</a>"), "{}", text(&stopped));
    assert_eq!(site.get(&mut browser, &site.login("/page")).await.status(), 303, "the button starts anew");
    assert_eq!(round(&site, &mut browser).await.status(), 303, "and the count with it");
}

#[tokio::test]
async fn u13_the_page_tells_by_the_session_cookie() {
    let cases = [
        ("another's", "junk", "sent a session cookie __Host-signin that this server"),
        ("twice", "junk; __Host-signin=junk", "sent two session cookies __Host-signin"),
    ];
    for (name, value, words) in cases {
        let site = Site::new();
        let mut browser = Browser::new();
        round(&site, &mut browser).await;
        round(&site, &mut browser).await;
        assert_eq!(site.complete(&mut browser, "/").await.status(), 303, "{name}");
        browser.jar.insert("__Host-signin".to_owned(), value.to_owned());
        let stopped = site.get(&mut browser, &site.login("/")).await;
        assert_eq!(told(&stopped), (400, "sign_in_loop".to_owned()), "{name}");
        assert!(text(&stopped).contains(words), "{name}: {}", text(&stopped));
    }
}

#[tokio::test]
async fn u13_the_page_tells_when_a_part_of_a_large_session_is_missing() {
    let large = |_: SignedIn| async { Admission::with_data(&"x".repeat(7000)) };
    let site = Site::with(|builder| builder.session_cookie_limit(16_384).on_sign_in(large));
    let parts = ["__Host-signin", "__Host-signin.1", "__Host-signin.2"];
    let (incomplete, not_accepted) = ("several cookies, __Host-signin, __Host-signin.1 and so on", "that this server");
    let cases: [(&str, &[usize], Option<(usize, &str)>, &str); 8] = [
        ("the first is missing", &[0], None, incomplete),
        ("the second is missing", &[1], None, incomplete),
        ("the last is missing", &[2], None, incomplete),
        ("only the first came", &[1, 2], None, incomplete),
        ("only the last came", &[0, 1], None, incomplete),
        ("all are missing", &[0, 1, 2], None, "did not send the session cookie __Host-signin back"),
        ("all came, one of another set", &[], Some((1, "junk")), not_accepted),
        ("more than there can be", &[], Some((0, "9.junk")), not_accepted),
    ];
    for (name, missing, changed, words) in cases {
        let mut browser = Browser::new();
        for number in 1..=3 {
            assert_eq!(site.complete(&mut browser, "/").await.status(), 303, "{name}: round {number}");
            for part in missing {
                browser.jar.remove(parts[*part]).expect("three parts");
            }
            if let Some((part, value)) = changed {
                browser.jar.insert(parts[part].to_owned(), value.to_owned()).expect("three parts");
            }
            let response = site.get(&mut browser, &site.login("/")).await;
            assert_eq!(response.status(), if number < 3 { 303 } else { 400 }, "{name}: round {number}");
            if number == 3 {
                assert_eq!(told(&response).1, "sign_in_loop", "{name}");
                assert!(text(&response).contains(words), "{name}: {}", text(&response));
            }
        }
    }
}

#[tokio::test]
async fn u13_what_is_no_circle_is_not_counted() {
    // A minute between callback and login, each time.
    let site = Site::new();
    let mut browser = Browser::new();
    for _ in 0..5 {
        site.complete(&mut browser, "/").await;
        browser.jar.remove("__Host-signin");
        site.clock.advance(Duration::from_secs(60));
        assert_eq!(site.get(&mut browser, &site.login("/")).await.status(), 303);
    }

    // Signed in and out, quickly.
    let site = Site::new();
    let mut browser = Browser::new();
    for _ in 0..5 {
        assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
        let response = site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
        assert_eq!(response.status(), 303);
        assert!(!browser.jar.contains_key(ROUNDS));
    }

    // Signed in again and again, with the session there.
    let site = Site::new();
    let mut browser = Browser::new();
    for _ in 0..5 {
        assert_eq!(site.complete(&mut browser, "/").await.status(), 303);
    }
}

#[tokio::test]
async fn u13_a_minute_is_sixty_seconds_and_the_provider_may_take_longer() {
    let site = Site::new();
    let mut browser = Browser::new();
    for number in 1..=3 {
        let started = site.start(&mut browser, "/").await;
        // How long the person takes at the provider does not matter.
        site.clock.advance(Duration::from_secs(300));
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
        browser.jar.remove("__Host-signin");
        site.clock.advance(Duration::from_secs(59));
        let response = site.get(&mut browser, &site.login("/")).await;
        assert_eq!(response.status(), if number < 3 { 303 } else { 400 }, "round {number}");
    }
}

#[tokio::test]
async fn only_a_count_of_this_very_sign_in_counts() {
    let keys = Keys::generate().unwrap();
    let site = Site::with(|builder| builder.keys(keys.clone()));
    let mut browser = Browser::new();
    round(&site, &mut browser).await;
    round(&site, &mut browser).await;
    site.complete(&mut browser, "/").await;
    let session = browser.jar.remove("__Host-signin").unwrap();
    let counted = browser.jar[ROUNDS].clone();
    let elsewhere = Site::of(crate::site::siwbb(), "https://example.com/other/callback", |b| b.keys(keys.clone()));
    let last = if counted.ends_with('A') { 'B' } else { 'A' };
    let cases = [
        ("as it is", counted.clone(), &site, "/api/login", 400),
        ("of another SignIn", counted.clone(), &elsewhere, "/other/login", 303),
        ("cut", counted[..counted.len() - 4].to_owned(), &site, "/api/login", 303),
        ("changed", format!("{}{last}", &counted[..counted.len() - 1]), &site, "/api/login", 303),
        ("twice", format!("{counted}; {ROUNDS}={counted}"), &site, "/api/login", 303),
        ("a session in its place", session, &site, "/api/login", 303),
        ("empty", String::new(), &site, "/api/login", 303),
    ];
    for (name, value, site, login, status) in cases {
        let mut browser = Browser::new();
        browser.jar.insert(ROUNDS.to_owned(), value);
        assert_eq!(site.get(&mut browser, login).await.status(), status, "{name}");
    }
    let mut browser = Browser::new();
    browser.jar.insert("__Host-signin".to_owned(), counted);
    assert_eq!(text(&site.get(&mut browser, "/").await), "nobody", "a count is no session");
}

#[tokio::test]
async fn u14_an_error_at_the_callback_ends_at_a_page() {
    let site = Site::new();
    for error in ["access_denied", "server_error", "temporarily_unavailable", "login_required"] {
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/page").await;
        let path = format!("/api/callback?error={error}&state={}", started.state);
        let response = site.get(&mut browser, &path).await;
        assert!(response.status().as_u16() >= 400 && !response.headers().contains_key("location"), "{error}");
        assert!(text(&response).contains("href=\"/api/login?return_to=%2Fpage\""), "{error}: {}", text(&response));
        assert!(!text(&response).contains("http-equiv"), "{error}: nothing goes on by itself");
    }
}

#[tokio::test]
async fn u13_cookies_refused_is_said_at_once() {
    let site = Site::new();
    let started = site.start(&mut Browser::new(), "/page").await;
    let response = site.get(&mut Browser::new(), &started.callback(CODE)).await;
    assert_eq!(told(&response), (400, "cookies_refused".to_owned()));
    assert!(text(&response).contains("Did your browser refuse a cookie?"), "{}", text(&response));
    assert_eq!(set_cookies(&response), [""; 0]);
    assert_eq!(site.upstream.requests().len(), 0);

    let mut browser = Browser::new();
    let own = site.start(&mut browser, "/own").await;
    let response = site.get(&mut browser, &started.callback(CODE)).await;
    assert_eq!(told(&response), (400, "flow_cookie_missing".to_owned()), "it keeps cookies, just not this one");
    assert_eq!(location(&site.get(&mut browser, &own.callback(CODE)).await), "/own");
}

#[tokio::test]
async fn u13_who_keeps_any_cookie_of_ours_is_not_told_to_allow_them() {
    let site = Site::new();
    let started = site.start(&mut Browser::new(), "/").await;
    let cases = [
        ("a session that is over", "__Host-signin", "flow_cookie_missing"),
        ("a count", ROUNDS, "flow_cookie_missing"),
        ("another flow", "__Host-signin-flow-0123456789abcdef0123456789", "flow_cookie_missing"),
        ("another program's", "__Host-signing", "cookies_refused"),
        ("another program's", "signin", "cookies_refused"),
    ];
    for (name, cookie, expected) in cases {
        let mut browser = Browser::new();
        browser.jar.insert(cookie.to_owned(), "anything".to_owned());
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(told(&response), (400, expected.to_owned()), "{name}: {cookie}");
    }
}

/// A guard that does not share our keys sends back whom login knows, over and over: however old the session is, and
/// whether or not the redirects are slow.
#[tokio::test]
async fn u13_who_is_known_here_and_not_there_meets_an_end_too() {
    let site = Site::new();
    let from_the_guard = || navigation(Method::GET, "/api/login?return_to=/page", "cross-site");
    for (age, slowness) in [(0, 0), (0, 9), (61, 0), (3600, 9)] {
        let mut browser = site.signed_in().await;
        site.clock.advance(Duration::from_secs(age));
        if age > 60 {
            browser.jar.remove(ROUNDS).expect("a count, which browsers have dropped by now");
        }
        for number in 1..=4 {
            let response = site.visit(&mut browser, from_the_guard()).await;
            assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/page"), "redirect {number}");
            let counted = set_cookies(&response).pop().expect("a count");
            assert!(counted.ends_with("; Max-Age=60"), "{counted}");
            site.clock.advance(Duration::from_secs(slowness));
        }
        let stopped = site.visit(&mut browser, from_the_guard()).await;
        assert_eq!(told(&stopped), (400, "sign_in_loop".to_owned()), "{age} seconds old");
        for part in [
            "This server recognises you",
            "Nothing is wrong with your account",
            BOB,
            "href=\"/\"",
            "href=\"/api/login?return_to=%2Fpage\"",
        ] {
            assert!(text(&stopped).contains(part), "{part}: {}", text(&stopped));
        }
        assert!(browser.jar.contains_key("__Host-signin"), "nobody is signed out by it");
        if age > 60 {
            assert_eq!(set_cookies(&stopped), [deleted(ROUNDS)], "there is nothing left to count");
        }
        assert_eq!(location(&site.visit(&mut browser, from_the_guard()).await), "/page", "the count starts anew");
    }
}

/// The same where the browser does not tell who sent it, or says that the person typed the address, as it does all along
/// redirects: there login starts over each time, and the provider may say yes by itself.
#[tokio::test]
async fn u13_a_browser_of_few_words_meets_an_end_too() {
    for (site_header, accept) in [(None, "text/html"), (Some("none"), "text/html"), (None, "*/*")] {
        let site = Site::new();
        let mut browser = Browser::new();
        let visit = |path: &str| {
            let request = http::Request::get(path).header("accept", accept);
            site_header.iter().fold(request, |request, site| request.header("sec-fetch-site", *site))
        };
        for number in 1..=3 {
            let login = site.visit(&mut browser, visit("/api/login?return_to=/page")).await;
            let started = crate::site::Started::at(&location(&login));
            let done = site.visit(&mut browser, visit(&started.callback(CODE))).await;
            assert_eq!(location(&done), "/page", "round {number}");
        }
        let stopped = site.visit(&mut browser, visit("/api/login?return_to=/page")).await;
        assert_eq!(told(&stopped), (400, "sign_in_loop".to_owned()), "{site_header:?}");
        let words = match accept {
            "text/html" => "This server recognises you",
            _ => "\"login_url\":\"https://example.com/api/login?return_to=%2Fpage\"",
        };
        assert!(text(&stopped).contains(words), "{}", text(&stopped));
    }
}

/// Any site can have a browser sent back; that must not free it from a circle of the other kind.
#[tokio::test]
async fn u13_another_site_can_t_wipe_the_count_of_rounds() {
    let site = Site::new();
    let mut browser = Browser::new();
    let other = site.signed_in().await;
    for number in 1..=3 {
        site.complete(&mut browser, "/page").await;
        browser.jar.insert("__Host-signin".to_owned(), other.jar["__Host-signin"].clone());
        for _ in 0..5 {
            site.visit(&mut browser, navigation(Method::GET, "/api/login", "cross-site")).await;
        }
        browser.jar.remove("__Host-signin");
        let response = site.get(&mut browser, &site.login("/page")).await;
        assert_eq!(response.status(), if number < 3 { 303 } else { 400 }, "round {number}");
    }
}

#[tokio::test]
async fn u13_links_from_elsewhere_are_no_circle() {
    let site = Site::new();
    let mut browser = site.signed_in().await;
    for _ in 0..9 {
        let link = navigation(Method::GET, "/api/login?return_to=/page", "cross-site");
        assert_eq!(location(&site.visit(&mut browser, link).await), "/page");
        site.clock.advance(Duration::from_secs(10));
    }
}

/// The two counts don't disturb each other.
#[tokio::test]
async fn u13_being_sent_back_in_one_tab_does_not_end_the_count_of_another() {
    let site = Site::new();
    let mut browser = Browser::new();
    let other = site.signed_in().await;
    for number in 1..=3 {
        let response = round(&site, &mut browser).await;
        if number == 3 {
            assert_eq!(told(&response), (400, "sign_in_loop".to_owned()));
            break;
        }
        browser.jar.insert("__Host-signin".to_owned(), other.jar["__Host-signin"].clone());
        let link = navigation(Method::GET, "/api/login?return_to=/page", "cross-site");
        let response = site.visit(&mut browser, link).await;
        assert_eq!(location(&response), "/page");
        let counted = set_cookies(&response).into_iter().find(|cookie| cookie.starts_with(ROUNDS)).unwrap();
        assert!(counted.ends_with("; Max-Age=600"), "as long as the sign-in that is under way: {counted}");
        browser.jar.remove("__Host-signin");
    }
}
