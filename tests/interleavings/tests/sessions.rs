//! Sessions in their cookies: no older one after a newer, and everybody hears of an end.

use std::time::Duration;

use tower_signin::SessionEnd;

use crate::app::{App, SESSION, all_told, told};
use crate::site::CODE;
use crate::support::Browser;
use crate::tokens::assert_brings_nothing_back;

mod tests {
    crate::in_many_orders! {
        no_renewal_comes_after_a_sign_out,
        no_older_cookie_comes_after_a_new_sign_in,
        what_is_over_takes_no_newer_cookie_away,
        whoever_waits_for_the_end_hears_of_it,
    }
}

/// A site whose sessions last a hundred seconds unused, and a browser with one.
async fn short() -> (App, Browser) {
    let app = App::new(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    let browser = app.site.signed_in().await;
    (app, browser)
}

async fn no_renewal_comes_after_a_sign_out() {
    let (app, browser) = short().await;
    app.advance(60);
    let (visits, out) = ([app.visit(&browser), app.visit(&browser)], app.sign_out(&browser));
    let (visits, out) = (all_told(visits).await, told(out).await);
    for visit in &visits {
        assert!(visit.brings(SESSION) || visit.ended > out.begun, "a renewal was due");
        assert_brings_nothing_back(visit, &out);
    }
}

async fn no_older_cookie_comes_after_a_new_sign_in() {
    let (app, mut browser) = short().await;
    let started = app.site.start(&mut browser, "/").await;
    app.advance(60);
    let visits = [app.visit(&browser), app.visit(&browser)];
    let signed_in = told(app.come_back(&browser, &started.callback(CODE))).await;
    assert!(signed_in.brings(SESSION));
    for visit in all_told(visits).await {
        assert_eq!(visit.text(), "bob");
        assert_brings_nothing_back(&visit, &signed_in);
    }
}

async fn what_is_over_takes_no_newer_cookie_away() {
    let (app, mut browser) = short().await;
    let started = app.site.start(&mut browser, "/").await;
    app.advance(100);
    let visits = [app.visit(&browser), app.visit(&browser)];
    let signed_in = told(app.come_back(&browser, &started.callback(CODE))).await;
    assert!(signed_in.brings(SESSION));
    for visit in all_told(visits).await {
        assert_eq!(visit.text(), "nobody");
        assert!(!(visit.deletes(SESSION) && visit.was_handled_around(&signed_in)));
    }
}

/// Nobody is left waiting: shuttle would say that no task can go on.
async fn whoever_waits_for_the_end_hears_of_it() {
    let (app, browser) = short().await;
    let identity = app.identity(&browser).await.expect("bob");
    let wait = || {
        let identity = identity.clone();
        tokio::spawn(async move { identity.ended().await })
    };
    let (one, other, gone) = (wait(), wait(), wait());
    let out = app.sign_out(&browser);
    gone.abort();
    for waiting in [one, other, wait()] {
        assert_eq!(waiting.await.unwrap(), SessionEnd::SignedOut);
    }
    told(out).await;
}
