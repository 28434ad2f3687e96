//! A session over several cookies, each as full as a browser takes it.

use tower_signin::Admission;
use tower_signin::dev::Account;

use crate::app::App;
use crate::chromium::Chromium;
use crate::{approve, assert_subject, cookie_names};

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_browser_keeps_the_fullest_session_and_loses_all_of_it() {
    let app = App::start_with(|builder| {
        let hook = |_| std::future::ready(Admission::with_data(&"x".repeat(11_000)));
        builder.session_cookie_limit(16_384).on_sign_in(hook)
    })
    .await;
    let chromium = Chromium::start().await;
    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    assert_subject(&chromium, &Account::alice()).await;
    let cookies = chromium.client.get_all_cookies().await.unwrap();
    let sizes = cookies.iter().map(|cookie| cookie.name().len() + cookie.value().len());
    assert_eq!(sizes.filter(|size| *size == 4096).count(), 3, "full to the last byte");
    let session = app.origin.replace("http://localhost:", "signin-");
    let further = [1, 2, 3].map(|number| format!("{session}.{number}"));
    let mut names = cookie_names(&chromium).await;
    names.retain(|name| !name.ends_with("-rounds"));
    assert_eq!(names, [&[session][..], &further[..]].concat());

    chromium.open(&app.url("/")).await;
    chromium.click("#signout").await;
    chromium.settle(&app.url("/"), "return document.querySelector('#subject')?.textContent == 'nobody'").await;
    assert_eq!(cookie_names(&chromium).await, [""; 0]);
}
