//! Where the code of a sign-in meets the browser. What only a browser can tell is in `tests/browser`.

use http::Method;
use http::header::{CACHE_CONTROL, LOCATION};

use crate::double::Step;
use crate::people::who;
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, CODE, Site, set_cookies};
use crate::stored::stored;
use crate::support::{App, Browser, alice, location, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "B01",
        what: "what a browser loads ahead of a click started a sign-in, used up a code or signed somebody out",
        verdict: Held(&[
            "b01_what_nobody_opened_starts_uses_up_and_ends_nothing",
            "b01_a_navigation_that_was_preloaded_is_one_sign_in",
            "tests/browser/ahead.rs::nothing_is_started_ahead_of_a_click_and_the_click_works",
            "tests/browser/guards.rs::a_service_worker_that_passes_navigations_on_is_in_nobody_s_way",
        ]),
    },
    Row {
        id: "B02",
        what: "going back, reloading or clicking twice ended at an error, or signed somebody else in",
        verdict: Held(&[
            "b02_an_old_callback_tells_each_browser_where_it_stands",
            "tests/attempts.rs::whoever_comes_back_to_a_finished_callback_is_told_where_they_stand",
            "tests/browser/corners.rs::double_clicks_come_to_an_end",
            "tests/browser/corners.rs::a_callback_s_page_can_be_reloaded_and_still_leads_on",
            "tests/browser/corners.rs::a_callback_opened_in_another_browser_signs_nobody_in_there",
        ]),
    },
    Row {
        id: "B03",
        what: "of two tabs that sign in, one broke the other",
        verdict: Held(&[
            "tests/browser/corners.rs::two_tabs_at_once_both_end_where_they_wanted_to_go",
            "tests/browser/main.rs::a_second_tab_finishes_at_its_own_target",
            "tests/flow.rs::two_tabs_both_finish_at_their_own_targets",
        ]),
    },
    Row {
        id: "B04",
        what: "abandoned sign-ins made the Cookie header too large for the next one",
        verdict: Held(&["b04_after_nine_abandoned_sign_ins_the_tenth_works"]),
    },
    Row {
        id: "B05",
        what: "a browser that refuses cookies was sent round in circles",
        verdict: Held(&[
            "tests/browser/loops.rs::a_browser_that_refuses_cookies_is_told_so_at_once",
            "tests/browser/loops.rs::a_session_that_does_not_last_ends_the_third_round_with_the_cause",
            "tests/users/loops.rs::u13_the_third_round_stops_at_a_page_that_names_the_likely_cause",
        ]),
    },
];

#[tokio::test]
async fn b01_what_nobody_opened_starts_uses_up_and_ends_nothing() {
    let (site, store) = stored(|builder| builder);
    let mut browser = site.signed_in().await;
    let started = site.start(&mut browser, "/target").await;
    let before = browser.jar.clone();
    let callback = started.callback(CODE);
    let ahead = [
        (Method::GET, "sec-purpose", "prefetch"),
        (Method::GET, "sec-purpose", "prefetch;prerender"),
        (Method::GET, "sec-purpose", "prefetch;anonymous-client-ip"),
        (Method::GET, "purpose", "prefetch"),
        (Method::GET, "purpose", "preview"),
        (Method::GET, "x-moz", "prefetch"),
        (Method::GET, "x-purpose", "preview"),
        (Method::HEAD, "user-agent", "Slackbot-LinkExpanding 1.0"),
    ];
    let touched = || store.asked().iter().filter(|step| **step != Step::Load).count();
    let made = touched();
    for (method, name, value) in ahead {
        for path in ["/api/login", callback.as_str(), "/api/logout"] {
            for from in ["same-origin", "cross-site", "none"] {
                let request = navigation(method.clone(), path, from).header(name, value);
                let response = site.visit(&mut browser, request).await;
                let status = response.status().as_u16();
                assert!(status == 503 || status == 405, "{name}: {value} of {path}: {status}");
                assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "or the click would get it");
                assert!(!response.headers().contains_key(LOCATION), "{name}: {value} of {path}");
                assert_eq!(set_cookies(&response), [""; 0], "{name}: {value} of {path}");
            }
        }
    }
    // A preview of a link is fetched by another machine, without cookies.
    let preview = http::Request::get(&callback).header("user-agent", "facebookexternalhit/1.1");
    assert_eq!(site.visit(&mut Browser::new(), preview).await.status(), 400);
    assert!(site.upstream.requests().is_empty(), "the code was used up");
    assert_eq!((touched(), &browser.jar), (made, &before), "something was started or ended");
    assert_eq!(who(&site, &browser).await, BOB);
    assert_eq!(location(&site.get(&mut browser, &callback).await), "/target", "the click itself");
}

/// A service worker's preload and the worker's own request come with the same cookies, at once.
#[tokio::test]
async fn b01_a_navigation_that_was_preloaded_is_one_sign_in() {
    let site = Site::new();
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/target").await;
    let callback = started.callback(CODE);
    let preload =
        || navigation(Method::GET, &callback, "cross-site").header("service-worker-navigation-preload", "true");
    let (mut one, mut other) = (browser.clone(), browser);
    let plain = navigation(Method::GET, &callback, "cross-site");
    let answers = tokio::join!(site.visit(&mut one, preload()), site.visit(&mut other, plain));
    for (answer, browser) in [(answers.0, one), (answers.1, other)] {
        assert_eq!(location(&answer), "/target");
        assert_eq!(who(&site, &browser).await, BOB);
    }
    assert_eq!(site.upstream.requests().len(), 1, "one exchange");
    // At login a preload is a navigation like any other.
    let login =
        navigation(Method::GET, "/api/login", "same-origin").header("service-worker-navigation-preload", "true");
    let response = site.visit(&mut Browser::new(), login.header("sec-fetch-dest", "empty")).await;
    assert!(location(&response).starts_with("https://bitbadges.io/"), "{response:?}");
}

/// Over sockets, with the dev provider.
#[tokio::test]
async fn b02_an_old_callback_tells_each_browser_where_it_stands() {
    let app = App::start().await;
    let mut own = Browser::new();
    let url = own.start(&app.origin, "/?mine").await;
    let callback = own.approve(&url, "alice").await;
    assert_eq!(location(&own.get(&callback).await), "/?mine");
    let asked = app.provider_requests();
    let mut other = Browser::new();
    let url = other.start(&app.origin, "/?other").await;
    let second = other.approve(&url, "bob").await;
    assert_eq!(other.get(&second).await.status(), 303);
    let mut stranger = Browser::new();

    for _ in 0..3 {
        let again = own.get(&callback).await;
        assert_eq!(location(&again), "/?mine", "whose it was goes on");
        let told = other.get(&callback).await;
        assert_eq!((told.status().as_u16(), set_cookies(&told).len()), (400, 0), "somebody else is asked");
        assert!(text(&told).contains("You are signed in as") && !text(&told).contains(&alice()), "{}", text(&told));
        let told = stranger.get(&callback).await;
        assert_eq!((told.status().as_u16(), set_cookies(&told).len()), (400, 0), "a stranger is nobody");
        assert!(text(&told).contains("href=\"/auth/login") && !text(&told).contains("?mine"), "{}", text(&told));
    }
    assert_eq!(app.provider_requests(), asked + 1, "bob's exchange, and no other");
    assert_eq!(text(&own.get(&app.url("/")).await), alice());
    assert_eq!(text(&stranger.get(&app.url("/")).await), "nobody");
}

/// Over sockets, with targets that are as long as they get.
#[tokio::test]
async fn b04_after_nine_abandoned_sign_ins_the_tenth_works() {
    let app = App::start().await;
    let mut browser = Browser::new();
    for number in 0..9 {
        browser.start(&app.origin, &format!("/{number}?{}", "q".repeat(290))).await;
        let header = browser.cookie_header().unwrap();
        assert!(header.len() < 4096, "{number}: {} bytes", header.len());
        assert!(header.len() > 600 * (number + 1).min(4), "{number}: they could be longer: {} bytes", header.len());
    }
    let tenth = browser.sign_in(&app.origin, "/?tenth").await;
    assert_eq!(location(&tenth), "/?tenth");
    assert!(browser.cookie_header().unwrap().len() < 4096);
    assert_eq!(text(&browser.get(&app.url("/")).await), alice());
}
