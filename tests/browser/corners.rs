//! What people do besides going straight on: many tabs, back, reload, double clicks, another browser, a long pause. Each
//! way ends where the person wanted to go, or on a page that says why not and leads on.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tower_signin::ManualClock;
use tower_signin::dev::Account;

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::look;
use crate::{APPROVE, DENY, approve, assert_page, assert_subject, cookie_names};

#[tokio::test]
#[ignore = "needs chromium"]
async fn two_tabs_at_once_both_end_where_they_wanted_to_go() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    let first = chromium.client.window().await.unwrap();
    chromium.open(&app.url("/page?tab=1")).await;
    chromium.arrive(app.dev.origin()).await;
    let second = chromium.new_tab().await;
    chromium.open(&app.url("/area/page?tab=2")).await;
    chromium.arrive(app.dev.origin()).await;

    for (tab, target) in [(&first, "/page?tab=1"), (&second, "/area/page?tab=2")] {
        chromium.switch(tab).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url(target)).await;
        assert_subject(&chromium, &Account::alice()).await;
    }
    assert_eq!(app.dev.requests().len(), 2, "each tab's code was exchanged, once");
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn of_five_tabs_the_oldest_is_told_what_became_of_it() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let app = App::start_with(|builder| builder.clock(Arc::clone(&clock))).await;
    let chromium = Chromium::start().await;
    let mut tabs = vec![chromium.client.window().await.unwrap()];
    for number in 1..=5 {
        if number > 1 {
            tabs.push(chromium.new_tab().await);
        }
        chromium.open(&app.url(&format!("/page?tab={number}"))).await;
        chromium.arrive(app.dev.origin()).await;
        clock.advance(Duration::from_secs(1));
    }
    assert_eq!(cookie_names(&chromium).await.len(), 4, "four flows are kept");

    chromium.switch(&tabs[0]).await;
    approve(&app, &chromium, "alice").await;
    chromium.arrive(&app.url("/auth/callback?")).await;
    assert_page(&chromium, 400, "flow_cookie_missing").await;
    assert_eq!(app.dev.requests().len(), 0, "nothing was exchanged");
    look(&chromium, "oldest-of-five-tabs").await;

    for (index, tab) in tabs.iter().enumerate().skip(1) {
        chromium.switch(tab).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url(&format!("/page?tab={}", index + 1))).await;
        assert_subject(&chromium, &Account::alice()).await;
    }

    chromium.switch(&tabs[0]).await;
    chromium.client.refresh().await.unwrap();
    assert_page(&chromium, 400, "flow_cookie_missing").await;
    let words = chromium.text("main").await;
    assert!(words.contains(&format!("You are signed in as {}.", Account::alice().bitbadges_address)), "{words}");
    chromium.follow("Continue").await;
    chromium.land(&app.url("/")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn who_goes_back_from_the_provider_can_start_again_and_who_goes_back_afterwards_stays_signed_in() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/")).await;
    chromium.click("#page").await;
    chromium.arrive(app.dev.origin()).await;
    chromium.client.back().await.unwrap();
    chromium.land(&app.url("/")).await;
    chromium.click("#signin").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page?by=link")).await;

    chromium.client.back().await.unwrap();
    chromium.arrive(app.dev.origin()).await;
    chromium.client.back().await.unwrap();
    chromium.land(&app.url("/")).await;
    chromium.client.refresh().await.unwrap();
    assert_subject(&chromium, &Account::alice()).await;
    chromium.click("#page").await;
    chromium.land(&app.url("/page")).await;
    assert_eq!(app.dev.requests().len(), 1);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_callback_s_page_can_be_reloaded_and_still_leads_on() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    chromium.arrive(app.dev.origin()).await;
    chromium.click(DENY).await;
    chromium.arrive(&app.url("/auth/callback?")).await;
    assert_page(&chromium, 403, "access_denied").await;
    for _ in 0..2 {
        chromium.client.refresh().await.unwrap();
        assert_page(&chromium, 400, "cookies_refused").await;
    }
    assert_eq!(app.dev.requests().len(), 0);
    chromium.follow("Sign in").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn double_clicks_come_to_an_end() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    for _ in 0..3 {
        chromium.open(&app.url("/")).await;
        chromium.double_click("#signin").await;
        chromium.arrive(app.dev.origin()).await;
        app.dev.clear_requests();
        chromium.double_click(APPROVE).await;
        chromium.arrive(&app.origin).await;
        assert_eq!(app.dev.requests().len(), 1, "one exchange, whatever the second click brought");
        // The second click may come back with a code of its own, after the first was exchanged.
        if chromium.url().await != app.url("/page?by=link") {
            if chromium.text("p.code").await == "state_already_used" {
                chromium.follow("Sign in").await;
                approve(&app, &chromium, "alice").await;
                chromium.land(&app.url("/page?by=link")).await;
            } else {
                assert_page(&chromium, 400, "flow_cookie_missing").await;
                chromium.follow("Continue").await;
                chromium.land(&app.url("/")).await;
            }
        }
        assert_subject(&chromium, &Account::alice()).await;
        chromium.client.delete_all_cookies().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_second_code_of_a_finished_sign_in_is_not_exchanged() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    chromium.arrive(app.dev.origin()).await;
    let authorization = chromium.url().await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;

    chromium.open(&app.dev.approve(&authorization, &Account::bob()).unwrap()).await;
    assert_page(&chromium, 400, "flow_cookie_missing").await;
    assert_eq!(app.dev.requests().len(), 1);
    chromium.follow("Continue").await;
    chromium.land(&app.url("/")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn who_signs_in_a_second_time_is_somebody_else_afterwards() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    for person in [Account::alice(), Account::bob(), Account::bob()] {
        chromium.open(&app.url("/")).await;
        chromium.click("#signin").await;
        approve(&app, &chromium, &person.name).await;
        chromium.land(&app.url("/page?by=link")).await;
        assert_subject(&chromium, &person).await;
        assert_eq!(cookie_names(&chromium).await.len(), 2, "the session and the rounds");
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_callback_opened_in_another_browser_signs_nobody_in_there() {
    let app = App::start().await;
    let (chromium, other) = (Chromium::start().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    chromium.arrive(app.dev.origin()).await;
    let callback = app.dev.approve(&chromium.url().await, &Account::alice()).unwrap();

    other.open(&callback).await;
    assert_page(&other, 400, "cookies_refused").await;
    other.follow("Sign in").await;
    other.arrive(app.dev.origin()).await;
    other.open(&callback).await;
    assert_page(&other, 400, "flow_cookie_missing").await;
    assert_eq!(app.dev.requests().len(), 0, "nothing was exchanged");
    other.follow("Sign in").await;
    approve(&app, &other, "bob").await;
    other.land(&app.url("/")).await;
    assert_subject(&other, &Account::bob()).await;
    other.open(&callback).await;
    assert_page(&other, 400, "flow_cookie_missing").await;
    assert_eq!(app.dev.requests().len(), 1, "bob's alone");

    chromium.open(&callback).await;
    chromium.land(&app.url("/page")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn who_takes_longer_than_ten_minutes_starts_again_and_ends_at_the_same_page() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let app = App::start_with(|builder| builder.clock(Arc::clone(&clock))).await;
    let chromium = Chromium::start().await;
    chromium.open(&app.url("/page?x=1")).await;
    chromium.arrive(app.dev.origin()).await;
    clock.advance(Duration::from_secs(11 * 60));
    approve(&app, &chromium, "alice").await;
    chromium.arrive(&app.url("/auth/callback?")).await;
    assert_page(&chromium, 400, "flow_expired").await;
    assert_eq!(cookie_names(&chromium).await, [""; 0], "the flow that is over is gone");
    assert_eq!(app.dev.requests().len(), 0, "nothing was exchanged");

    chromium.follow("Sign in").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page?x=1")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

/// Its cookie is deleted on the way to signing in again.
#[tokio::test]
#[ignore = "needs chromium"]
async fn whose_session_is_over_signs_in_again_and_comes_back_to_the_page() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let app = App::start_with(|builder| builder.clock(Arc::clone(&clock))).await;
    let chromium = Chromium::start().await;
    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    clock.advance(Duration::from_secs(25 * 60 * 60));

    chromium.open(&app.url("/page?x=1")).await;
    chromium.arrive(app.dev.origin()).await;
    let names = cookie_names(&chromium).await;
    assert!(names.iter().all(|name| name.contains("-flow-") || name.ends_with("-rounds")), "{names:?}");
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/page?x=1")).await;
    assert_subject(&chromium, &Account::bob()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn signing_out_in_one_tab_sends_the_other_to_sign_in_and_ends_what_it_had_begun() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    let first = chromium.client.window().await.unwrap();
    let second = chromium.new_tab().await;
    chromium.open(&app.url("/auth/login?return_to=/page")).await;
    chromium.arrive(app.dev.origin()).await;

    chromium.switch(&first).await;
    chromium.open(&app.url("/")).await;
    chromium.click("#signout").await;
    chromium.settle(&app.url("/"), "return document.querySelector('#subject')?.textContent == 'nobody'").await;
    chromium.switch(&second).await;
    approve(&app, &chromium, "alice").await;
    chromium.arrive(&app.url("/auth/callback?")).await;
    assert_page(&chromium, 400, "cookies_refused").await;
    assert_eq!(cookie_names(&chromium).await, [""; 0]);
    assert_eq!(app.dev.requests().len(), 1, "the first sign-in's alone");

    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/page")).await;
    assert_subject(&chromium, &Account::bob()).await;
}

/// Whoever keeps one cookie of ours refuses none, whatever it is.
#[tokio::test]
#[ignore = "needs chromium"]
async fn who_lost_one_cookie_of_ours_is_not_told_to_allow_them() {
    let clock = Arc::new(ManualClock::new(SystemTime::now()));
    let app = App::start_with(|builder| builder.clock(Arc::clone(&clock))).await;
    let session = app.origin.replace("http://localhost:", "signin-");
    let rounds = format!("{session}-rounds");
    // A session that is over is kept until it is shown to the app; a count of sign-ins stays where the session was lost.
    for (lost, kept) in [(&rounds, &session), (&session, &rounds)] {
        let chromium = Chromium::start().await;
        chromium.open(&app.url("/page")).await;
        chromium.arrive(app.dev.origin()).await;
        let authorization = chromium.url().await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page")).await;
        chromium.client.delete_cookie(lost).await.unwrap();
        assert_eq!(cookie_names(&chromium).await, [kept.as_str()]);
        clock.advance(Duration::from_secs(25 * 60 * 60));
        let callback = app.dev.approve(&authorization, &Account::alice()).unwrap();
        chromium.open(&callback).await;
        assert_page(&chromium, 400, "flow_cookie_missing").await;
        let words = chromium.text("main").await;
        assert!(!words.contains("You are signed in") && !words.contains("Allow cookies"), "{words}");

        chromium.client.delete_all_cookies().await.unwrap();
        chromium.open(&callback).await;
        assert_page(&chromium, 400, "cookies_refused").await;
        chromium.follow("Sign in").await;
        chromium.arrive(app.dev.origin()).await;
    }
}

/// The only flow there was has been finished, so no flow cookie came with the request.
#[tokio::test]
#[ignore = "needs chromium"]
async fn a_page_tells_of_no_cookies_that_did_not_come() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    chromium.arrive(app.dev.origin()).await;
    let authorization = chromium.url().await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    assert!(cookie_names(&chromium).await.iter().all(|name| !name.contains("-flow-")));

    chromium.open(&app.dev.approve(&authorization, &Account::alice()).unwrap()).await;
    assert_eq!(chromium.status().await, 400);
    let words = chromium.text("main").await;
    assert!(words.contains("You can go on as you are."), "{words}");
    assert!(!words.contains("The browser sent flow cookies"), "{words}");
}
