//! Flows taken from one browser, tab or time into another, and flow cookies that an attacker planted.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderValue, Method};
use tower_signin::ErrorKind::StateSpent;

use crate::inner::take_good_codes;
use crate::site::{Site, set_cookies};
use crate::support::{App, Browser, navigation, text};

#[tokio::test]
async fn flows_can_not_be_mixed_or_moved() {
    let site = Site::new();
    take_good_codes(&site);
    let (mut victim, mut attacker) = (Browser::new(), Browser::new());
    let victims = site.start(&mut victim, "/").await.state;
    let attackers = site.start(&mut attacker, "/").await.state;
    let (before, theirs) = (victim.jar.clone(), attacker.jar.clone());
    let right = format!("code=good&state={victims}");
    let queries = [
        format!("code=good&state={attackers}"),
        format!("code=good&state={}{}", &victims[..26], &attackers[26..]),
        format!("code=good&state={}{}", &attackers[..26], &victims[26..]),
        format!("code=good&state={}", victims.to_uppercase()),
        format!("{right}%20"),
        format!("{right}="),
        format!("{right}&state={victims}"),
        format!("code=good&{right}"),
        format!("error=x&{right}"),
        format!("code=good&State={victims}"),
        format!("code=good;state={victims}"),
        format!("code[]=good&state={victims}"),
    ];
    for query in queries {
        let answer = site.get(&mut victim, &format!("/api/callback?{query}")).await;
        assert_eq!((answer.status().as_u16(), set_cookies(&answer)), (400, Vec::new()), "{query}");
    }

    let (name, value) = before.first_key_value().unwrap();
    let (their_name, their_value) = theirs.first_key_value().unwrap();
    let url = format!("/api/callback?{right}");
    let jars = [
        format!("{name}={their_value}"),
        format!("{name}={value}; {name}={their_value}"),
        format!("{name}={value}; {name}={value}"),
        format!("{name}={value}; {name}="),
        format!("{name}=\"{value}\""),
        format!("{name}={value}=="),
        format!("{name}={value}%20"),
        format!("{}={value}", name.to_lowercase()),
        format!("{}={value}", name.to_uppercase()),
        format!("{their_name}={value}"),
        format!("a=b, {name}={value}"),
    ];
    for jar in jars {
        let request = navigation(Method::GET, &url, "none").header(COOKIE, &jar);
        let answer = site.visit(&mut Browser::new(), request).await;
        assert_eq!((answer.status().as_u16(), set_cookies(&answer)), (400, Vec::new()), "{jar}");
    }
    assert!(site.upstream.requests().is_empty(), "the provider was asked");

    site.get(&mut attacker, &format!("/api/callback?code=good&state={attackers}")).await;
    assert!(attacker.jar.contains_key("__Host-signin"));
    site.upstream.forget();
    let answer = site.get(&mut attacker, &url).await;
    assert_eq!(answer.status(), 400, "the victim's callback where the attacker is signed in");
    assert!(site.upstream.requests().is_empty());

    site.get(&mut victim, &format!("/api/callback?code=bad&state={victims}")).await;
    victim.jar = before;
    let answer = site.get(&mut victim, &url).await;
    assert_eq!(answer.extensions().get(), Some(&StateSpent), "a second code after the first has failed");
    assert_eq!(site.upstream.requests().len(), 1);
    assert!(!victim.jar.contains_key("__Host-signin"));
}

#[tokio::test]
async fn after_logout_the_callback_signs_nobody_in() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let flow = browser.jar.clone();
    site.get(&mut browser, &started.callback("good")).await;
    site.visit(&mut browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
    assert!(browser.jar.is_empty());
    let answer = site.get(&mut browser, &started.callback("good")).await;
    assert_eq!((answer.status().as_u16(), set_cookies(&answer)), (400, Vec::new()));

    // Who kept a copy of the flow cookie is the same browser to us while doubles are answered.
    site.clock.advance(Duration::from_secs(31));
    browser.jar = flow;
    let answer = site.get(&mut browser, &started.callback("good")).await;
    assert_eq!((answer.status().as_u16(), set_cookies(&answer)), (400, Vec::new()));
    assert_eq!(site.upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_code_of_another_persons_sign_in_is_worth_nothing() {
    let app = App::start().await;
    let (mut victim, mut attacker) = (Browser::new(), Browser::new());
    let victims = victim.start(&app.origin, "/").await;
    let victims = victim.approve(&victims, "alice").await;
    let attackers = attacker.start(&app.origin, "/").await;
    let attackers = attacker.approve(&attackers, "bob").await;
    let (own, stolen) = (crate::site::parameter(&attackers, "code"), crate::site::parameter(&victims, "code"));
    let swapped = attacker.get(&attackers.replace(&own, &stolen)).await;
    assert_eq!(swapped.status(), 502, "the verifier is not the one that the code was asked for with");
    assert_eq!(text(&attacker.get(&app.url("/")).await), "nobody");

    let moved = victim.get(&attackers).await;
    assert_eq!(moved.status(), 400);
    assert_eq!(text(&victim.get(&app.url("/")).await), "nobody");
}

/// What is answered is bounded, and nothing goes that did not open.
#[tokio::test]
async fn planted_flow_cookies_bound_the_answer() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let (name, value) = browser.jar.pop_first().unwrap();
    let time = &started.state[..10];
    let many = |count: usize, cookie: &dyn Fn(usize) -> String| (0..count).map(cookie).collect::<Vec<_>>().join("; ");
    for count in [10, 1_000, 8_000] {
        let planted = [
            ("junk", many(count, &|i| format!("__Host-signin-flow-{time}{i:016x}=x"))),
            ("forged", many(count, &|i| format!("__Host-signin-flow-{time}{i:016x}={value}"))),
            ("dead", many(count, &|i| format!("__Host-signin-flow-0000000001{i:016x}={value}"))),
            ("copies", many(count, &|_| format!("{name}={value}"))),
        ];
        for (what, cookies) in planted {
            let at = |method, path, from| {
                let request = navigation(method, path, from).header(COOKIE, &cookies);
                async { site.visit(&mut Browser::new(), request).await }
            };
            let name = format!("{count} {what}");
            let logins =
                [at(Method::GET, "/api/login", "none").await, at(Method::GET, "/api/login", "cross-site").await];
            let logout = at(Method::POST, "/api/logout", "same-origin").await;
            assert!(set_cookies(&logout).len() <= 16, "{name}: {} deleted at logout", set_cookies(&logout).len());
            for answer in logins.iter().chain([&logout]) {
                let headers = answer.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
                assert!(headers.sum::<usize>() < 4096, "{name}");
            }
            if what != "copies" {
                let started = logins.iter().map(|login| set_cookies(login).len()).collect::<Vec<_>>();
                assert_eq!(started, [1, 1], "{name}: a login sets its own cookie and deletes none");
            }
            for path in [&started.callback("good").replace(&started.state, &"0".repeat(69)), "/"] {
                let answer = at(Method::GET, path, "none").await;
                assert_eq!(set_cookies(&answer), [""; 0], "{name} at {path}");
            }
        }
    }
}

#[tokio::test]
async fn login_leaves_flow_cookies_alone_that_it_can_not_read() {
    let (site, other) = (Site::new(), Site::new());
    let mut browser = Browser::new();
    for _ in 0..4 {
        other.start(&mut browser, "/").await;
    }
    let own = site.start(&mut Browser::new(), "/").await;
    browser.jar.insert(own.flow_cookie(), "AQ".to_owned());
    let strangers = browser.jar.clone();
    for number in 0..3 {
        let response = site.get(&mut browser, "/api/login").await;
        assert_eq!(set_cookies(&response).len(), 1, "login {number}: {:?}", set_cookies(&response));
    }
    let response = site.get(&mut browser, "/api/login").await;
    assert_eq!(set_cookies(&response).len(), 1, "the fourth of its own fits in");
    assert!(strangers.keys().all(|name| browser.jar.contains_key(name)), "a cookie was deleted unread");
}

#[tokio::test]
async fn names_of_flow_cookies_are_not_repeated_unread() {
    let site = Site::new();
    let started = site.start(&mut Browser::new(), "/").await;
    let time = &started.state[..10];
    let names =
        ["a, b\t<x>\"'\u{e9}", "a b", "0123456789ABCDEF", "0123456789abcdeg", "0123456789abcde\"", "", "0", "%0d%0a"];
    let cookies: Vec<_> = names.iter().map(|name| format!("__Host-signin-flow-{time}{name}=x")).collect();
    for (method, path) in [(Method::GET, "/api/login"), (Method::POST, "/api/logout")] {
        let cookies = HeaderValue::from_bytes(cookies.join("; ").as_bytes()).unwrap();
        let request = navigation(method, path, "same-origin").header(COOKIE, cookies);
        let response = site.visit(&mut Browser::new(), request).await;
        assert_eq!(response.status(), 303);
        for set in set_cookies(&response) {
            assert!(!set.contains("Max-Age=0"), "{path}: {set}");
        }
    }
}
