//! A person in a real Chromium: here with the example `axum` and its dev provider as real processes, in the modules with
//! an app in this process.
//!
//! Needs chromium and chromedriver: `cargo build --example axum && cargo test --test browser -- --ignored`. Every page
//! met is left as a picture in `tests/output/browser`.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod ahead;
mod app;
mod astray;
mod chromium;
mod chunks;
mod corners;
mod cors;
mod example;
mod fragments;
mod guards;
mod logout;
mod look;
mod loops;
mod openid;
#[path = "../openid/provider.rs"]
mod openid_provider;
mod pages;
mod providers;
#[path = "../support/random.rs"]
mod random;
mod store;
#[path = "../support/mod.rs"]
mod support;
#[path = "../hostile/targets.rs"]
mod targets;

use chromium::Chromium;
use example::Example;
use fantoccini::Locator;
use look::{look, policy_violations};
use serde_json::{Value, json};
use tower_signin::dev::Account;

const SIGN_IN: &str = "#signin";
const APPROVE: &str = "button[value=approve]";
const DENY: &str = "button[value=deny]";
const SIGN_OUT: &str = "form[action='/auth/logout'] button";

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_person_signs_in_and_out() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    chromium.open(&example.url("/")).await;
    look(&chromium, "home-signed-out").await;

    chromium.click(SIGN_IN).await;
    chromium.arrive(&example.provider()).await;
    look(&chromium, "provider").await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/")).await;
    assert_eq!(chromium.text("#subject").await, Account::alice().bitbadges_address);
    look(&chromium, "home-signed-in").await;

    let cookies = chromium.client.get_all_cookies().await.unwrap();
    let session = format!("signin-{}", example.port);
    assert_eq!(
        cookie_names(&chromium).await,
        [session.clone(), format!("{session}-rounds"), format!("{session}-tokens")],
        "the flow cookie is gone"
    );
    for cookie in &cookies {
        assert_eq!(cookie.http_only(), Some(true), "{cookie}");
        assert_eq!(cookie.same_site().map(|it| it.to_string()).as_deref(), Some("Lax"), "{cookie}");
    }
    assert_eq!(chromium.run("return document.cookie").await, "");

    chromium.open(&example.url("/me")).await;
    assert_eq!(chromium.status().await, 200);
    assert_eq!(me(&chromium).await["subject"], Account::alice().bitbadges_address);

    chromium.open(&example.url("/")).await;
    sign_out(&chromium).await;
    assert!(chromium.text("body").await.contains("Nobody is signed in."));
    assert_eq!(cookie_names(&chromium).await, [""; 0]);

    chromium.open(&example.url("/me")).await;
    chromium.arrive(&example.provider()).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/me")).await;
    assert_eq!(me(&chromium).await["subject"], Account::alice().bitbadges_address);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_second_tab_finishes_at_its_own_target() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    let first = chromium.client.window().await.unwrap();
    let second = chromium.client.new_window(true).await.unwrap().handle;
    chromium.client.switch_to_window(second.clone()).await.unwrap();
    chromium.open(&example.url("/auth/login?return_to=/me")).await;
    chromium.arrive(&example.provider()).await;

    chromium.client.switch_to_window(first).await.unwrap();
    sign_in(&example, &chromium).await;
    assert_eq!(chromium.text("#subject").await, Account::alice().bitbadges_address);

    chromium.client.switch_to_window(second).await.unwrap();
    chromium.click("input[value=bob]").await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/me")).await;
    assert_eq!(me(&chromium).await["subject"], Account::bob().bitbadges_address);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn denying_gives_a_page_that_leads_back_to_the_provider() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    chromium.open(&example.url("/")).await;
    chromium.click(SIGN_IN).await;
    chromium.arrive(&example.provider()).await;
    chromium.click(DENY).await;
    chromium.arrive(&example.url("/auth/callback?")).await;
    assert_page(&chromium, 403, "access_denied").await;
    assert_eq!(cookie_names(&chromium).await, [""; 0], "the flow is spent");
    look(&chromium, "denied").await;

    chromium.follow("Sign in").await;
    chromium.arrive(&example.provider()).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/")).await;
    assert_eq!(chromium.text("#subject").await, Account::alice().bitbadges_address);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn going_back_and_coming_again_does_no_harm() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    let alice = Account::alice().bitbadges_address;
    chromium.open(&example.url("/auth/login?return_to=/me")).await;
    chromium.arrive(&example.provider()).await;
    chromium.documents().await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/me")).await;
    let documents = chromium.documents().await;
    let callback = documents.iter().find(|url| url.starts_with(&example.url("/auth/callback?code=")));
    let callback = callback.unwrap_or_else(|| panic!("no callback among {documents:?}"));

    chromium.open(callback).await;
    chromium.land(&example.url("/me")).await;
    assert_eq!(me(&chromium).await["subject"], alice, "the very same callback goes on to its target");

    chromium.client.back().await.unwrap();
    chromium.client.back().await.unwrap();
    chromium.arrive(&example.provider()).await;
    chromium.click(APPROVE).await;
    chromium.arrive(&example.url("/auth/callback?")).await;
    assert_page(&chromium, 400, "flow_cookie_missing").await;
    let words = chromium.text("main").await;
    assert!(words.contains(&format!("You are signed in as {alice}.\n")), "{words}");
    assert!(words.contains("\nYou can go on as you are."), "{words}");
    look(&chromium, "signed-in-already").await;
    chromium.client.refresh().await.unwrap();
    assert_page(&chromium, 400, "flow_cookie_missing").await;
    chromium.follow("Continue").await;
    chromium.land(&example.url("/")).await;
    assert_eq!(chromium.text("#subject").await, alice);

    sign_out(&chromium).await;
    chromium.open(callback).await;
    assert_page(&chromium, 400, "cookies_refused").await;
    look(&chromium, "callback-without-its-flow").await;
    chromium.follow("Sign in").await;
    chromium.arrive(&example.provider()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn an_address_can_be_typed() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    chromium.open(&example.url("/")).await;
    chromium.click(SIGN_IN).await;
    chromium.arrive(&example.provider()).await;
    chromium.write("#address", "0x1615").await;
    chromium.click(APPROVE).await;
    chromium.client.wait().for_element(Locator::Css("[role=alert]")).await.unwrap();
    assert_eq!(chromium.status().await, 400);
    assert_eq!(chromium.run("return document.querySelector('#address').value").await, "0x1615");
    look(&chromium, "provider-wrong-address").await;

    let carol = Account::carol();
    chromium.write("#address", &carol.address).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/")).await;
    assert_eq!(chromium.text("#subject").await, carol.bitbadges_address);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn the_other_name_of_this_machine_leads_to_the_right_one() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    chromium.open(&format!("http://127.0.0.1:{}/", example.port)).await;
    chromium.click(SIGN_IN).await;
    chromium.arrive(&example.provider()).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/")).await;
    assert_eq!(chromium.text("#subject").await, Account::alice().bitbadges_address);
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn another_origin_signs_nobody_out_and_pushes_out_no_sign_in() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    sign_in(&example, &chromium).await;
    chromium.open(&example.provider()).await;
    look(&chromium, "provider-home").await;
    let submit = format!(
        "const form = document.createElement('form'); form.method = 'post'; form.action = '{}';
         document.body.append(form); form.submit();",
        example.url("/auth/logout")
    );
    chromium.run(&submit).await;
    chromium.arrive(&example.url("/auth/logout")).await;
    assert_page(&chromium, 403, "logout_from_another_site").await;
    look(&chromium, "logout-from-elsewhere").await;
    chromium.open(&example.url("/")).await;
    assert_eq!(chromium.text("#subject").await, Account::alice().bitbadges_address);

    sign_out(&chromium).await;
    for _ in 0..4 {
        chromium.open(&example.url("/auth/login")).await;
        chromium.arrive(&example.provider()).await;
    }
    let before = cookie_names(&chromium).await;
    assert_eq!(before.len(), 4, "{before:?}");
    chromium.open(&format!("http://127.0.0.1:{}/", example.port)).await;
    chromium.click(SIGN_IN).await;
    chromium.arrive(&example.url("/auth/login")).await;
    assert_page(&chromium, 403, "login_from_another_site").await;
    assert_eq!(cookie_names(&chromium).await, before);
    look(&chromium, "login-from-elsewhere").await;
    chromium.follow("Continue").await;
    chromium.arrive(&example.provider()).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn what_is_wrong_is_said_on_a_page() {
    let (example, chromium) = (Example::start().await, Chromium::start().await);
    let cases = [
        ("/auth/callback", 400, "callback_malformed", "callback-malformed"),
        ("/auth/logout", 405, "method_not_allowed", "method-not-allowed"),
    ];
    for (path, status, code, picture) in cases {
        chromium.open(&example.url(path)).await;
        assert_page(&chromium, status, code).await;
        look(&chromium, picture).await;
    }
    chromium.open(&format!("{}/siwbb/authorize?client_id=unknown", example.provider())).await;
    assert_eq!(chromium.status().await, 400);
    look(&chromium, "provider-refusal").await;

    chromium.open(&example.url("/auth/callback")).await;
    chromium.run("document.body.setAttribute('style', 'color: red')").await;
    let violations = policy_violations(&chromium).await;
    assert_eq!(violations.len(), 1, "a style against the policy shows in the log: {violations:?}");
}

/// The whole way from the home page, as alice.
async fn sign_in(example: &Example, chromium: &Chromium) {
    chromium.open(&example.url("/")).await;
    chromium.click(SIGN_IN).await;
    chromium.arrive(&example.provider()).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/")).await;
}

/// By the button of the home page, which comes up again.
async fn sign_out(chromium: &Chromium) {
    chromium.click(SIGN_OUT).await;
    chromium.client.wait().for_element(Locator::Css(SIGN_IN)).await.expect("the home page of nobody");
}

/// The JSON of `/me`, as the page shows it.
async fn me(chromium: &Chromium) -> Value {
    let text = chromium.text("body").await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A failure that says what is wrong and names itself in its last line.
async fn assert_page(chromium: &Chromium, status: u64, code: &str) {
    assert_eq!((chromium.text("p.code").await.as_str(), chromium.status().await), (code, status));
    assert_eq!(chromium.text("h1").await, chromium.client.title().await.unwrap());
}

async fn cookie_names(chromium: &Chromium) -> Vec<String> {
    let cookies = chromium.client.get_all_cookies().await.unwrap();
    let mut names: Vec<_> = cookies.iter().map(|cookie| cookie.name().to_owned()).collect();
    names.sort();
    names
}

/// Approves at the provider's page, once it is there, as one of the people it offers, and waits for what comes next.
async fn approve(app: &app::App, chromium: &Chromium, person: &str) {
    chromium.arrive(app.dev.origin()).await;
    let asked = chromium.url().await;
    chromium.click(&format!("input[value={person}]")).await;
    chromium.click(APPROVE).await;
    chromium.leave(&asked).await;
}

/// By a link on a page of another site.
async fn come_from_elsewhere(app: &app::App, chromium: &Chromium, target: &str) {
    chromium.open(&app.origin.replace("localhost", "127.0.0.1")).await;
    let script = "document.querySelector('#page').href = arguments[0]";
    chromium.client.execute(script, vec![json!(app.url(target))]).await.unwrap();
    chromium.click("#page").await;
}

async fn assert_subject(chromium: &Chromium, person: &Account) {
    assert_eq!(chromium.text("#subject").await, person.bitbadges_address);
}
