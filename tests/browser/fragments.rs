//! The part of a page that somebody wanted to see, which a browser sends to nobody.

use serde_json::json;
use tower_signin::dev::Account;

use crate::app::App;
use crate::chromium::Chromium;
use crate::look::policy_violations;
use crate::{approve, assert_page, assert_subject};

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
    chromium.open(&app.origin.replace("localhost", "127.0.0.1")).await;
    let script = "document.querySelector('#page').href = arguments[0]";
    chromium.client.execute(script, vec![json!(app.url("/page#part"))]).await.unwrap();
    chromium.click("#page").await;
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
    chromium.open(&app.origin.replace("localhost", "127.0.0.1")).await;
    let login = format!("{}#part", app.url(&app.sign_in.login_url("/page?x=1")));
    let script = "document.querySelector('#page').href = arguments[0]";
    chromium.client.execute(script, vec![json!(login)]).await.unwrap();
    chromium.documents().await;
    chromium.click("#page").await;
    chromium.land(&app.url("/page?x=1#part")).await;
    assert_subject(&chromium, &Account::alice()).await;
    let documents = chromium.documents().await;
    assert!(documents.iter().all(|url| !url.starts_with(app.dev.origin())), "{documents:?}");
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
