//! Several providers, of which a person chooses one: the example `providers`.

use serde_json::json;
use tower_signin::dev;
use tower_signin::dev::openid;

use crate::chromium::Chromium;
use crate::example::Example;
use crate::look::look;
use crate::{APPROVE, SIGN_IN, assert_page, cookie_names, me, sign_out};

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_person_chooses_each_provider_in_turn() {
    let (example, chromium) = (Example::start_program("providers").await, Chromium::start().await);
    chromium.open(&example.url("/")).await;
    look(&chromium, "providers-signed-out").await;
    for (label, distance, subject) in [
        ("BitBadges", 1, dev::Account::alice().bitbadges_address),
        ("Google (stand-in)", 2, openid::Account::alice().subject),
        ("GitHub (stand-in)", 3, openid::Account::alice().subject),
    ] {
        chromium.open(&example.url("/me")).await;
        assert_eq!(chromium.url().await, example.url("/auth/login?return_to=%2Fme"));
        assert_eq!(chromium.text("h1").await, "Sign in");
        assert_eq!(chromium.run(DIFFERENT_BUTTONS).await, 1, "none stands out");
        look(&chromium, "chooser").await;
        chromium.follow(&format!("Sign in with {label}")).await;
        chromium.arrive(&example.provider_at(distance)).await;
        look(&chromium, &format!("chosen-{distance}")).await;
        chromium.click(APPROVE).await;
        chromium.land(&example.url("/me")).await;
        let who = me(&chromium).await;
        assert_eq!((&who["issuer"], &who["subject"]), (&json!(example.provider_at(distance)), &json!(subject)));

        chromium.open(&example.url("/")).await;
        assert_eq!((chromium.text("#subject").await, chromium.text("#provider").await), (subject, label.to_owned()));
        look(&chromium, &format!("providers-signed-in-{distance}")).await;
        chromium.documents().await;
        sign_out(&chromium).await;
        assert_eq!(cookie_names(&chromium).await, [""; 0], "{label}");
        let over = chromium.documents().await;
        let is_over_the_provider = over.iter().any(|url| url.starts_with(&example.provider_at(distance)));
        assert_eq!(is_over_the_provider, label.starts_with("Google"), "{over:?}");
        assert_eq!(chromium.url().await, example.url("/"));
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_page_for_people_of_one_issuer_takes_them_to_the_chooser() {
    let (example, chromium) = (Example::start_program("providers").await, Chromium::start().await);
    chromium.open(&example.url("/")).await;
    chromium.follow("With GitHub (stand-in)").await;
    chromium.arrive(&example.provider_at(3)).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/")).await;
    chromium.follow("Only for people of Google").await;
    assert_page(&chromium, 403, "not_allowed").await;
    look(&chromium, "of-another-issuer").await;

    chromium.click(".links a").await;
    assert_eq!(chromium.text("h1").await, "Sign in");
    chromium.follow("Sign in with Google (stand-in)").await;
    chromium.arrive(&example.provider_at(2)).await;
    chromium.click(APPROVE).await;
    chromium.land(&example.url("/google")).await;
    assert_eq!(chromium.text("body").await, "Google says that you are 1001.");
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn who_denies_is_led_back_to_the_chooser() {
    let (example, chromium) = (Example::start_program("providers").await, Chromium::start().await);
    chromium.open(&example.url("/")).await;
    chromium.click(SIGN_IN).await;
    chromium.follow("Sign in with Google (stand-in)").await;
    chromium.arrive(&example.provider_at(2)).await;
    chromium.click(crate::DENY).await;
    chromium.arrive(&example.url("/auth/callback/google?")).await;
    assert_page(&chromium, 403, "access_denied").await;
    chromium.click(".links a").await;
    chromium.arrive(&example.url("/auth/login")).await;
    chromium.follow("Sign in with BitBadges").await;
    chromium.arrive(&example.provider_at(1)).await;
}

const DIFFERENT_BUTTONS: &str = r"
    const look = button => [button.clientWidth, getComputedStyle(button).background, getComputedStyle(button).color];
    return new Set([...document.querySelectorAll('main a')].map(button => look(button).join())).size;
";
