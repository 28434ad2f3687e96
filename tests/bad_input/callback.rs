//! The way back from the provider, with every part of it wrong in turn.

use std::time::{Duration, UNIX_EPOCH};

use http::Method;
use tower_signin::ErrorKind;
use tower_signin::ErrorKind::{
    AccessDenied, AuthorizationFailed, CallbackMalformed, FlowExpired, FlowNotFound, FlowUnreadable, IssuerMismatch,
    ProviderBusy, StateMismatch, StateSpent,
};

use crate::site::{BOB, CODE, NOW, Site, Started, set_cookies};
use crate::support::{Browser, location, navigation, text};

#[tokio::test]
async fn every_wrong_query_is_refused_before_the_provider_hears_of_it() {
    let long = "a".repeat(5000);
    let other = Started::at(&format!("https://x.example/?state={:026x}{}", 1, "A".repeat(43)));
    // `{S}` is the right state, `{P}` its public half.
    let wrong_secret = format!("code={CODE}&state={{P}}{}", "A".repeat(43));
    let too_long = format!("code={long}&state={{S}}");
    let long_state = format!("code={CODE}&state={{S}}{long}");
    let unknown = format!("code={CODE}&state={}", other.state);
    let cases: &[(&str, &str, u16, ErrorKind, bool)] = &[
        ("no query at all", "", 400, CallbackMalformed, false),
        ("state missing", "code=c", 400, CallbackMalformed, false),
        ("state empty", "code=c&state=", 400, CallbackMalformed, false),
        ("state without a value", "code=c&state", 400, CallbackMalformed, false),
        ("state twice, the same", "code=c&state={S}&state={S}", 400, CallbackMalformed, false),
        ("state twice, another first", "code=c&state=x&state={S}", 400, CallbackMalformed, false),
        ("state twice, once in disguise", "code=c&state={S}&st%61te={S}", 400, CallbackMalformed, false),
        ("state of another shape", "code=c&state=f3a9c2e1b7d4a6c8", 400, CallbackMalformed, false),
        ("state cut short", "code=c&state={P}", 400, CallbackMalformed, false),
        ("state too long", &long_state, 400, CallbackMalformed, false),
        ("state not UTF-8", "code=c&state={S}%ff", 400, CallbackMalformed, false),
        ("state of nobody", &unknown, 400, FlowNotFound, false),
        ("state with another secret", &wrong_secret, 400, StateMismatch, false),
        ("code missing", "state={S}", 400, CallbackMalformed, false),
        ("code empty", "code=&state={S}", 400, CallbackMalformed, false),
        ("code twice, the same", "code=c&code=c&state={S}", 400, CallbackMalformed, false),
        ("code twice, different", "code=c&code=d&state={S}", 400, CallbackMalformed, false),
        ("code twice, once in disguise", "code=c&%63ode=d&state={S}", 400, CallbackMalformed, false),
        ("code of 5000 characters", &too_long, 400, CallbackMalformed, false),
        ("code not UTF-8", "code=%ff%fe&state={S}", 400, CallbackMalformed, false),
        ("code with NUL", "code=c%00&state={S}", 400, CallbackMalformed, false),
        ("code with a line break", "code=c%0d%0ax-evil:1&state={S}", 400, CallbackMalformed, false),
        ("code not ASCII", "code=%C3%A9&state={S}", 400, CallbackMalformed, false),
        ("code and error", "code=c&error=access_denied&state={S}", 400, CallbackMalformed, false),
        ("error without state", "error=access_denied", 400, CallbackMalformed, false),
        ("error with a state of nobody", "error=access_denied&state=x", 400, CallbackMalformed, false),
        ("error twice", "error=a&error=b&state={S}", 400, CallbackMalformed, false),
        ("issuer twice", "code=c&state={S}&iss=https://bitbadges.io&iss=x", 400, CallbackMalformed, false),
        ("another issuer", "code=c&state={S}&iss=https%3A%2F%2Fevil.example", 400, IssuerMismatch, true),
        ("the issuer with a slash", "code=c&state={S}&iss=https%3A%2F%2Fbitbadges.io%2F", 400, IssuerMismatch, true),
        ("another issuer with an error", "error=access_denied&state={S}&iss=x", 400, IssuerMismatch, true),
        ("declined", "error=access_denied&state={S}", 403, AccessDenied, true),
        ("provider broken", "error=server_error&state={S}", 502, AuthorizationFailed, true),
        ("scope wrong", "error=invalid_scope&state={S}", 502, AuthorizationFailed, true),
        ("an error nobody knows", "error=%3Cscript%3E&state={S}", 502, AuthorizationFailed, true),
        ("provider busy", "error=temporarily_unavailable&state={S}", 503, ProviderBusy, true),
    ];
    for (name, query, status, kind, spent) in cases {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/target").await;
        let query = query.replace("{S}", &started.state).replace("{P}", &started.state[..26]);

        let response = site.get(&mut browser, &format!("/api/callback?{query}")).await;
        site.assert_refused(name, &response, *status, *kind);
        let expected = if *spent { vec![started.flow_deleted()] } else { Vec::new() };
        assert_eq!(set_cookies(&response), expected, "{name}");
        assert!(!text(&response).contains("<script"), "{name}");

        let again = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(again.status(), if *spent { 400 } else { 303 }, "{name}: the right callback afterwards");
    }
}

#[tokio::test]
async fn the_right_issuer_and_unknown_parameters_do_no_harm() {
    for extra in ["&iss=https%3A%2F%2Fbitbadges.io", "&scope=x&scope=y&session_state=%ff", "&&", "&=&x"] {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/target").await;
        let response = site.get(&mut browser, &format!("{}{extra}", started.callback(CODE))).await;
        assert_eq!((response.status().as_u16(), location(&response).as_str()), (303, "/target"), "{extra}");
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_a_minute_behind_finishes_a_sign_in_and_no_other() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    for (seconds, status) in [(61, 400), (60, 303)] {
        site.clock.set(UNIX_EPOCH + Duration::from_secs(NOW - seconds));
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(response.status(), status, "{seconds} seconds");
    }
}

#[tokio::test]
async fn a_flow_cookie_counts_only_as_it_was_set() {
    let change: &[(&str, fn(&str) -> String)] = &[
        ("empty", |_| String::new()),
        ("junk", |_| "junk".to_owned()),
        ("one character less", |value| value[..value.len() - 1].to_owned()),
        ("a block less", |value| value[..value.len() - 4].to_owned()),
        ("cut to its header", |value| value[..28].to_owned()),
        ("one character changed", |value| {
            let changed = if value.as_bytes()[40] == b'A' { "B" } else { "A" };
            format!("{}{changed}{}", &value[..40], &value[41..])
        }),
        ("another key", |value| format!("{}{}", &value[..4], "A".repeat(value.len() - 4))),
        ("in quotes", |value| format!("\"{value}\"")),
    ];
    for (name, change) in change {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let kept = browser.jar.clone();
        let value = browser.jar.get_mut(&started.flow_cookie()).unwrap();
        *value = change(value);
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        site.assert_refused(name, &response, 400, FlowUnreadable);
        assert_eq!(set_cookies(&response), [""; 0], "{name}");

        browser.jar = kept;
        assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303, "{name}: untouched");
    }
}

#[tokio::test]
async fn a_flow_cookie_that_comes_twice_is_not_believed() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let (name, value) = browser.jar.first_key_value().unwrap();
    for second in [value.as_str(), "planted"] {
        let request =
            navigation(Method::GET, &started.callback(CODE), "none").header("cookie", format!("{name}={second}"));
        let response = site.visit(&mut browser.clone(), request).await;
        site.assert_refused(second, &response, 400, FlowUnreadable);
        assert_eq!(set_cookies(&response), [""; 0]);
    }
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
}

#[tokio::test]
async fn swapped_flow_cookies_of_two_tabs_open_neither() {
    let site = Site::new();
    let mut browser = Browser::new();
    let one = site.start(&mut browser, "/one").await;
    let other = site.start(&mut browser, "/other").await;
    let kept = browser.clone();
    let values: Vec<_> = browser.jar.values().cloned().collect();
    for (value, swapped) in browser.jar.values_mut().zip(values.iter().rev()) {
        value.clone_from(swapped);
    }
    for started in [&one, &other] {
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        site.assert_refused("swapped", &response, 400, FlowUnreadable);
        assert_eq!(set_cookies(&response), [""; 0]);
    }
    let mut browser = kept;
    for (started, target) in [(&one, "/one"), (&other, "/other")] {
        assert_eq!(location(&site.get(&mut browser, &started.callback(CODE)).await), target);
    }
}

#[tokio::test]
async fn a_flow_lives_for_ten_minutes() {
    let cases: &[(&str, i64, Option<bool>)] = &[
        ("just in time", 599, None),
        ("too late", 600, Some(true)),
        ("a day late", 86_400, Some(true)),
        ("another server's clock a little behind", -59, None),
        ("a clock that is wrong, here or there, proves nothing", -61, Some(false)),
    ];
    for (name, seconds, refused_and_spent) in cases {
        let site = Site::new();
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        let by = Duration::from_secs(seconds.unsigned_abs());
        let now = tower_signin::Clock::now(&*site.clock);
        site.clock.set(if *seconds < 0 { now - by } else { now + by });
        let response = site.get(&mut browser, &started.callback(CODE)).await;
        let Some(spent) = refused_and_spent else {
            assert_eq!(response.status(), 303, "{name}");
            continue;
        };
        site.assert_refused(name, &response, 400, FlowExpired);
        let expected = if *spent { vec![started.flow_deleted()] } else { Vec::new() };
        assert_eq!(set_cookies(&response), expected, "{name}");
    }
}

#[tokio::test]
async fn a_state_is_redeemed_once() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    let before = browser.clone();
    assert_eq!(site.get(&mut browser, &started.callback(CODE)).await.status(), 303);
    let signed_in = browser.clone();

    let other_code = site.get(&mut before.clone(), &started.callback("other")).await;
    assert_eq!(other_code.extensions().get(), Some(&StateSpent));
    assert_eq!((other_code.status().as_u16(), set_cookies(&other_code)), (400, Vec::new()));

    let told = site.get(&mut signed_in.clone(), &started.callback("other")).await;
    assert_eq!((told.status().as_u16(), set_cookies(&told)), (400, Vec::new()));
    for part in [BOB, "Continue", "Sign in again"] {
        assert!(text(&told).contains(part), "{part} in {}", text(&told));
    }

    let error = format!("/api/callback?error=access_denied&state={}", started.state);
    let error = site.get(&mut signed_in.clone(), &error).await;
    assert_eq!((error.status().as_u16(), set_cookies(&error)), (400, Vec::new()));

    assert_eq!(location(&site.get(&mut signed_in.clone(), &started.callback(CODE)).await), "/target", "a reload");
    assert_eq!((site.upstream.requests().len(), site.inner_calls()), (1, 0));
}
