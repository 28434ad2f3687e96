//! What a browser loads before anybody clicks starts nothing, and the click works afterwards.

use tower_signin::dev::Account;

use crate::app::App;
use crate::chromium::Chromium;
use crate::{approve, assert_subject, cookie_names};

const PREFETCH: &str = "const link = document.createElement('link'); link.rel = 'prefetch'; link.href = TARGET;
    document.head.append(link)";
const SPECULATE: &str = "const rules = document.createElement('script'); rules.type = 'speculationrules';
    rules.textContent = JSON.stringify({ KIND: [{ source: 'list', urls: [TARGET], eagerness: 'immediate' }] });
    document.head.append(rules)";

#[tokio::test]
#[ignore = "needs chromium"]
async fn nothing_is_started_ahead_of_a_click_and_the_click_works() {
    let ways = [
        ("a prefetch", PREFETCH.to_owned(), "prefetch"),
        ("a speculative prefetch", SPECULATE.replace("KIND", "prefetch"), "prefetch"),
        ("a prerender", SPECULATE.replace("KIND", "prerender"), "prefetch;prerender"),
    ];
    for (name, script, purpose) in ways {
        for (link, path, target) in [("#page", "/page", "/page"), ("#signin", "/auth/login", "/page?by=link")] {
            let (app, chromium) = (App::start().await, Chromium::start().await);
            chromium.open(&app.url("/")).await;
            let href = format!("document.querySelector('{link}').href");
            chromium.run(&script.replace("TARGET", &href)).await;
            let seen = app.wait_for(path, |seen| seen.purpose == purpose).await;
            assert_eq!(seen.status, Some(503), "{name} of {path}");
            assert_eq!(cookie_names(&chromium).await, [""; 0], "{name} of {path}");
            assert_eq!(app.seen("/auth/login").len(), usize::from(path == "/auth/login"), "{name} of {path}");

            chromium.click(link).await;
            approve(&app, &chromium, "alice").await;
            chromium.land(&app.url(target)).await;
            assert_subject(&chromium, &Account::alice()).await;
        }
    }
}

/// Ahead of the click the browser may load what it may load at the click.
#[tokio::test]
#[ignore = "needs chromium"]
async fn who_is_signed_in_gets_a_guarded_page_ahead_of_time() {
    let (app, chromium) = (App::start().await, Chromium::start().await);
    chromium.open(&app.url("/page")).await;
    approve(&app, &chromium, "alice").await;
    chromium.land(&app.url("/page")).await;
    chromium.open(&app.url("/")).await;
    let script = SPECULATE.replace("KIND", "prerender").replace("TARGET", "'/page?ahead'");
    chromium.run(&script).await;
    let seen = app.wait_for("/page", |seen| !seen.purpose.is_empty()).await;
    assert_eq!((seen.status, seen.purpose.as_str()), (Some(200), "prefetch;prerender"));
}
