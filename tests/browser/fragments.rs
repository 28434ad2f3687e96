//! The part of a page that somebody wanted to see, which a browser sends to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse as _;
use http::StatusCode;
use serde_json::json;
use tower_signin::dev::{Account, DevProvider};

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::policy_violations;
use crate::{approve, assert_page, assert_subject, come_from_elsewhere, cookie_names};

const FRAGMENTS: [&str; 6] = ["#part", "#part?x=1&y=2", "#é", "#a%20b%26c%25", "#/route/é?q=\"'<>", "#"];

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_fragment_survives_the_guard_s_redirect() {
    for fragment in FRAGMENTS {
        let (app, chromium) = (keeping().await, Chromium::start().await);
        let target = app.url(&format!("/page?x=1&y=%26{fragment}"));
        let expected = as_written_by_a_browser(&target);
        chromium.open(&target).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&expected).await;
        assert_subject(&chromium, &Account::alice()).await;
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{fragment}");
        assert_eq!(app.seen("/auth/login").len(), 2, "{fragment}: the page in between, then the start");
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_fragment_survives_a_link_to_sign_in() {
    for fragment in FRAGMENTS {
        let (app, chromium) = (keeping().await, Chromium::start().await);
        chromium.open(&app.url("/")).await;
        let script = "document.querySelector('#signin').setAttribute('href', arguments[0])";
        let login = format!("{}{fragment}", app.sign_in.login_url("/area/page?x=1"));
        chromium.client.execute(script, vec![json!(login)]).await.unwrap();
        chromium.click("#signin").await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&as_written_by_a_browser(&app.url(&format!("/area/page?x=1{fragment}")))).await;
        assert_subject(&chromium, &Account::alice()).await;
        assert_eq!(policy_violations(&chromium).await, [""; 0], "{fragment}");
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_fragment_survives_a_link_from_elsewhere() {
    let (app, chromium) = (keeping().await, Chromium::start().await);
    come_from_elsewhere(&app, &chromium, "/page#part").await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page#part")).await;
    assert_subject(&chromium, &Account::alice()).await;
    let logins = app.seen("/auth/login");
    assert!(logins[1].target.starts_with("/auth/login?fragment=read-from-elsewhere&"), "{logins:?}");
    assert_eq!(policy_violations(&chromium).await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn who_is_signed_in_already_and_comes_from_elsewhere_gets_to_the_very_part() {
    let (app, chromium) = (keeping().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    chromium.documents().await;
    come_from_elsewhere(&app, &chromium, &format!("{}#part", app.sign_in.login_url("/page?x=1"))).await;
    chromium.land(&app.url("/page?x=1#part")).await;
    assert_subject(&chromium, &Account::alice()).await;
    let documents = chromium.documents().await;
    assert!(documents.iter().all(|url| !url.starts_with(app.dev.origin())), "{documents:?}");
}

/// In another tab, while what the page in between asked for was out of order.
#[tokio::test]
#[ignore = "needs chromium"]
async fn who_signed_in_meanwhile_and_comes_from_elsewhere_is_asked_and_gets_to_the_very_part() {
    let dev = DevProvider::start().await.unwrap();
    let provider = dev.siwbb();
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let with_a_broken_proxy = |app: Router, _: &str| {
        app.layer(from_fn(move |request: Request, next: Next| {
            let is_start = request.uri().query().is_some_and(|query| query.starts_with("fragment="));
            let is_refused = is_start && down.load(Ordering::SeqCst);
            async move { if is_refused { StatusCode::BAD_GATEWAY.into_response() } else { next.run(request).await } }
        }))
    };
    let app = App::start_on(dev, provider, |builder| builder.keep_fragment(), with_a_broken_proxy).await;
    let chromium = Chromium::start().await;
    let first = chromium.client.window().await.unwrap();
    let start = app.url("/auth/login?fragment=read-from-elsewhere&return_to=%2Fpage%3Fx%3D1%23part");
    come_from_elsewhere(&app, &chromium, "/page?x=1#part").await;
    chromium.land(&start).await;
    assert_eq!(chromium.status().await, 502);
    is_down.store(false, Ordering::SeqCst);

    chromium.new_tab().await;
    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    chromium.switch(&first).await;
    chromium.documents().await;
    chromium.client.refresh().await.unwrap();
    chromium.land(&start).await;
    assert_page(&chromium, 403, "already_signed_in").await;
    let words = chromium.text("main").await;
    assert!(words.contains(&format!("You are signed in as {}.\n", Account::alice().bitbadges_address)), "{words}");
    assert_eq!(policy_violations(&chromium).await, [""; 0]);
    chromium.follow("Continue").await;
    chromium.land(&app.url("/page?x=1#part")).await;
    assert_subject(&chromium, &Account::alice()).await;
    let documents = chromium.documents().await;
    assert!(documents.iter().all(|url| !url.starts_with(app.dev.origin())), "{documents:?}");

    chromium.client.back().await.unwrap();
    chromium.land(&start).await;
    chromium.follow("Use another account").await;
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/page?x=1#part")).await;
    assert_subject(&chromium, &Account::bob()).await;
}

/// Whether or not the fragment is kept. Nobody signs in anew without their own click.
#[tokio::test]
#[ignore = "needs chromium"]
async fn who_is_signed_in_and_comes_from_elsewhere_to_be_somebody_else_is_asked() {
    for app in [keeping().await, App::start().await] {
        let chromium = Chromium::start().await;
        chromium.open(&app.url("/page")).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page")).await;
        app.forget();
        for (choice, person) in [("Continue", Account::alice()), ("Use another account", Account::bob())] {
            let before = cookie_names(&chromium).await;
            let switch = app.sign_in.switch_account_url("/page?x=1");
            come_from_elsewhere(&app, &chromium, &switch).await;
            chromium.land(&app.url(&switch)).await;
            assert_page(&chromium, 403, "already_signed_in").await;
            assert_eq!(cookie_names(&chromium).await, before, "nothing has started");
            chromium.follow(choice).await;
            if choice == "Use another account" {
                approve(&app, &chromium, &person.name).await;
            }
            chromium.land(&app.url("/page?x=1")).await;
            assert_subject(&chromium, &person).await;
        }
        assert_eq!(app.dev.requests().len(), 2, "alice's sign-in and bob's");
    }
}

/// The links of a page were written by the server, which knows no fragment.
#[tokio::test]
#[ignore = "needs chromium"]
async fn another_account_comes_back_to_the_page_if_not_to_its_part() {
    let (app, chromium) = (keeping().await, Chromium::start().await);
    chromium.open(&app.url("/bob?x=1#part")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/bob?x=1#part")).await;
    assert_page(&chromium, 403, "not_allowed").await;
    app.forget();
    chromium.follow("Use another account").await;
    approve(&app, &chromium, "bob").await;
    chromium.land(&app.url("/bob?x=1")).await;
    assert_subject(&chromium, &Account::bob()).await;
    let logins = app.seen("/auth/login");
    assert_eq!(logins.len(), 2, "{logins:?}");
    assert!(logins.iter().all(|login| login.target.contains("prompt=select_account")), "{logins:?}");
}

/// The page in between stands in nobody's way back.
#[tokio::test]
#[ignore = "needs chromium"]
async fn back_from_the_provider_leads_to_where_one_came_from() {
    let (app, chromium) = (keeping().await, Chromium::start().await);
    chromium.open(&app.url("/")).await;
    chromium.click("#page").await;
    chromium.arrive(app.dev.origin()).await;
    chromium.client.back().await.unwrap();
    chromium.land(&app.url("/")).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn without_a_fragment_or_with_a_very_long_one_the_page_itself_is_reached() {
    for fragment in [String::new(), format!("#{}", "a".repeat(600))] {
        let (app, chromium) = (keeping().await, Chromium::start().await);
        chromium.open(&app.url(&format!("/page?x=1{fragment}"))).await;
        approve(&app, &chromium, "alice").await;
        chromium.land(&app.url("/page?x=1")).await;
        assert_subject(&chromium, &Account::alice()).await;
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn whose_browser_runs_no_scripts_goes_on_without_the_fragment() {
    let (app, chromium) = (keeping().await, Chromium::start().await);
    chromium.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    chromium.open(&app.url("/page?x=1#part")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page?x=1")).await;
    assert_subject(&chromium, &Account::alice()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn unless_asked_for_a_fragment_is_lost_and_the_page_is_reached() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/page?x=1#part")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page?x=1")).await;
    assert_subject(&chromium, &Account::alice()).await;
    assert_eq!(app.seen("/auth/login").len(), 1);
}

async fn keeping() -> App {
    App::start_with(|builder| builder.keep_fragment()).await
}

/// An empty fragment says nothing, and is no place to come back to.
fn as_written_by_a_browser(url: &str) -> String {
    let url = url::Url::parse(url).expect("a URL").to_string();
    url.trim_end_matches('#').to_owned()
}
