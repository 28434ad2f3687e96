//! Kept tokens: one refresh for each pair, and none that outlives its session.

use std::sync::Arc;

use tower_signin::Builder;

use crate::app::{App, SESSION, TOKENS, Told, all_told, settle, told, until};
use crate::bank::{Bank, LIFE, failure};
use crate::support::Browser;

mod tests {
    crate::in_many_orders! {
        a_pair_is_refreshed_once,
        a_request_that_loses_patience_goes_on_with_what_it_has,
        whoever_signs_out_during_a_refresh_leaves_no_pair_alive_and_gets_no_cookie_back,
        two_sign_outs_revoke_once,
        a_refused_refresh_ends_the_session_once,
    }
}

/// A site that keeps tokens, and a browser whose pair is due to be refreshed.
async fn due() -> (App, Arc<Bank>, Browser) {
    let app = App::new(Builder::keep_tokens);
    let bank = Bank::open(&app.site);
    let browser = app.site.signed_in().await;
    app.advance(LIFE - 60);
    (app, bank, browser)
}

async fn a_pair_is_refreshed_once() {
    let (app, _, mut browser) = due().await;
    let old = browser.clone();
    for told in all_told([app.visit(&old), app.visit(&old), app.visit(&old)]).await {
        assert_eq!(told.text(), "bob at-2");
        browser.keep(&told.response);
    }
    assert_eq!(app.sent(), ["refresh rt-1"]);
    app.advance(LIFE - 60);
    for told in all_told([app.visit(&browser), app.visit(&browser)]).await {
        assert_eq!(told.text(), "bob at-3");
    }
    assert_eq!(app.sent(), ["refresh rt-1", "refresh rt-2"]);
    // Whoever has missed both still gets the newest pair, and spends none.
    assert_eq!(told(app.visit(&old)).await.text(), "bob at-3");
    assert_eq!(app.sent().len(), 2);
}

/// The two seconds of a request may pass, and the provider's twenty.
async fn a_request_that_loses_patience_goes_on_with_what_it_has() {
    let (app, _, browser) = due().await;
    let visits = [app.visit(&browser), app.visit(&browser)];
    let time = tokio::spawn(async {
        tokio::time::trigger_timeouts(|_| true);
        tokio::time::clear_triggers();
    });
    for told in all_told(visits).await {
        assert!(["bob at-1", "bob at-2"].contains(&told.text()), "{}", told.text());
    }
    time.await.unwrap();
    settle().await;
    assert_eq!(app.sent(), ["refresh rt-1"]);
}

async fn whoever_signs_out_during_a_refresh_leaves_no_pair_alive_and_gets_no_cookie_back() {
    let (app, _, browser) = due().await;
    let (visits, out) = ([app.visit(&browser), app.visit(&browser)], app.sign_out(&browser));
    let (visits, out) = (all_told(visits).await, told(out).await);
    until(|| app.sent().iter().any(|sent| sent.starts_with("revoke"))).await;
    settle().await;
    let sent = app.sent();
    // Of each pair either the refresh token was spent or the authorization was ended, and nothing came after the end.
    assert!([&["revoke at-1"][..], &["refresh rt-1", "revoke at-2"]].contains(&&*strings(&sent)), "{sent:?}");
    for visit in &visits {
        assert!(["nobody", "bob at-2"].contains(&visit.text()), "{}", visit.text());
        assert_brings_nothing_back(visit, &out);
    }
    assert_eq!(told(app.visit(&browser)).await.text(), "nobody");
    assert_eq!(app.sent(), sent);
}

async fn two_sign_outs_revoke_once() {
    let app = App::new(Builder::keep_tokens);
    let _bank = Bank::open(&app.site);
    let browser = app.site.signed_in().await;
    all_told([app.sign_out(&browser), app.sign_out(&browser)]).await;
    until(|| !app.sent().is_empty()).await;
    settle().await;
    assert_eq!(app.sent(), ["revoke at-1"]);
}

async fn a_refused_refresh_ends_the_session_once() {
    let (app, bank, browser) = due().await;
    bank.fail(|| Ok(failure(400, "")));
    let visits = all_told([app.visit(&browser), app.visit(&browser), app.visit(&browser)]).await;
    assert!(visits.iter().all(|told| told.text() == "nobody"));
    assert_eq!(visits.iter().filter(|told| told.deletes(SESSION)).count(), 1);
    assert!(!visits.iter().any(|told| told.brings(TOKENS)));
    assert_eq!(app.sent(), ["refresh rt-1"]);
    assert_eq!(told(app.visit(&browser)).await.text(), "nobody");
    assert_eq!(app.sent().len(), 1);
}

pub(crate) fn assert_brings_nothing_back(visit: &Told, end: &Told) {
    let brings = visit.brings(SESSION) || visit.brings(TOKENS);
    assert!(!brings || !visit.was_handled_after(end), "a cookie of a session that is over");
}

fn strings(sent: &[String]) -> Vec<&str> {
    sent.iter().map(String::as_str).collect()
}
