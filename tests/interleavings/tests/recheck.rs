//! Sessions that are checked again: once for all who find it due, and no check brings an ended one back.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::app::{App, SESSION, all_told, settle, told};
use crate::site::{Answer, BOB_ANSWER, siwbb};
use crate::support::Browser;
use crate::tokens::assert_brings_nothing_back;

mod tests {
    crate::in_many_orders! {
        a_session_is_checked_once,
        a_session_that_the_provider_ends_is_over_once,
        no_check_undoes_a_sign_out,
        no_check_that_ends_after_the_sign_out_lets_anybody_in,
    }
}

/// A site that checks a claim every ten minutes, and a browser whose check is due.
async fn due() -> (App, Browser) {
    let app = App::of(siwbb().require_claim("member"), |builder| builder.recheck_every(Duration::from_secs(600)));
    stand_by(&app, true);
    let browser = app.site.signed_in().await;
    app.advance(600);
    (app, browser)
}

fn stand_by(app: &App, stands: bool) {
    let count = usize::from(stands);
    let claim = format!(r#"{{"successCount":{count},"claimNumbers":[]}}"#);
    app.site.upstream.answer_by(move |request| -> Answer {
        Ok(Response::new(if is_check(request) { claim.clone().into() } else { BOB_ANSWER.into() }))
    });
}

fn is_check(request: &Request<Bytes>) -> bool {
    request.uri().path().starts_with("/api/v0/claims/")
}

fn checks(app: &App) -> usize {
    app.site.upstream.requests().len()
}

async fn a_session_is_checked_once() {
    let (app, browser) = due().await;
    for told in all_told([app.visit(&browser), app.visit(&browser), app.visit(&browser)]).await {
        assert_eq!(told.text(), "bob");
        assert!(told.brings(SESSION));
    }
    assert_eq!(checks(&app), 1);
}

async fn a_session_that_the_provider_ends_is_over_once() {
    let (app, browser) = due().await;
    stand_by(&app, false);
    let visits = all_told([app.visit(&browser), app.visit(&browser), app.visit(&browser)]).await;
    assert!(visits.iter().all(|told| told.text() == "nobody"));
    assert_eq!(visits.iter().filter(|told| told.deletes(SESSION)).count(), 1);
    assert_eq!(checks(&app), 1);
    assert_eq!(told(app.visit(&browser)).await.text(), "nobody");
    assert_eq!(checks(&app), 1);
}

async fn no_check_undoes_a_sign_out() {
    let (app, browser) = due().await;
    let (visits, out) = ([app.visit(&browser), app.visit(&browser)], app.sign_out(&browser));
    let (visits, out) = (all_told(visits).await, told(out).await);
    for visit in &visits {
        assert_brings_nothing_back(visit, &out);
    }
    settle().await;
    assert!(checks(&app) <= 1);
}

async fn no_check_that_ends_after_the_sign_out_lets_anybody_in() {
    let (app, browser) = due().await;
    let gate = app.site.upstream.hold(is_check);
    let visit = app.visit(&browser);
    told(app.sign_out(&browser)).await;
    gate.add_permits(1);
    let visit = told(visit).await;
    assert_eq!(visit.text(), "nobody");
    assert!(!visit.brings(SESSION));
    assert!(checks(&app) <= 1);
}
