//! Sessions in a store: what was ended stays gone, there and in the browser.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tower_signin::{Builder, ManualClock};

use crate::app::{App, SESSION, all_told, settle, told, until};
use crate::double::{Double, Kind};
use crate::site::{CODE, NOW};
use crate::support::Browser;
use crate::tokens::assert_brings_nothing_back;

mod tests {
    crate::in_many_orders! {
        what_was_signed_out_stays_gone,
        the_former_session_goes_and_the_new_one_stays,
        what_is_gone_takes_no_newer_cookie_away,
        a_session_that_all_handlers_refuse_is_gone,
        a_session_that_one_handler_lets_in_stays,
    }
}

/// A site whose sessions are in a store, for a hundred seconds unused.
fn app(kind: Kind, configure: impl FnOnce(Builder) -> Builder) -> (App, Double) {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
    let store = Double::new(kind, &clock);
    let mut app = App::new(|builder| {
        let builder = builder.session_idle_timeout(Duration::from_secs(100)).session_store(store.clone());
        configure(builder.clock(Arc::clone(&clock)))
    });
    app.site.clock = clock;
    (app, store)
}

async fn what_was_signed_out_stays_gone() {
    for kind in [Kind::Private, Kind::Later] {
        let (app, store) = app(kind, |builder| builder);
        let browser = app.site.signed_in().await;
        app.advance(60);
        let (visits, out) = ([app.visit(&browser), app.visit(&browser)], app.sign_out(&browser));
        let (visits, out) = (all_told(visits).await, told(out).await);
        assert!(store.sessions().is_empty());
        for visit in &visits {
            assert!(visit.text() == "nobody" || visit.begun < out.ended);
            assert_brings_nothing_back(visit, &out);
        }
        assert_eq!(told(app.visit(&browser)).await.text(), "nobody");
    }
}

async fn the_former_session_goes_and_the_new_one_stays() {
    let (app, store) = app(Kind::Later, |builder| builder);
    let mut browser = app.site.signed_in().await;
    let started = app.site.start(&mut browser, "/").await;
    app.advance(60);
    let callback = started.callback(CODE);
    let visit = app.visit(&browser);
    let answers = all_told([app.come_back(&browser, &callback), app.come_back(&browser, &callback)]).await;
    assert!(answers.iter().all(|told| told.brings(SESSION)));
    assert_brings_nothing_back(&told(visit).await, &answers[0]);
    let former = browser.clone();
    browser.keep(&answers[1].response);
    until(|| store.sessions().len() == 1).await;
    assert_eq!(told(app.visit(&browser)).await.text(), "bob");
    assert_eq!(told(app.visit(&former)).await.text(), "nobody");
}

async fn what_is_gone_takes_no_newer_cookie_away() {
    let (app, store) = app(Kind::Private, |builder| builder);
    let mut browser = app.site.signed_in().await;
    // Gone before the flow began, so that nothing tells which session the new one replaces.
    let old = browser.clone();
    store.clear();
    let started = app.site.start(&mut browser, "/").await;
    let visits = [app.visit(&old), app.visit(&old)];
    let signed_in = told(app.come_back(&browser, &started.callback(CODE))).await;
    assert!(signed_in.brings(SESSION));
    for visit in all_told(visits).await {
        assert_eq!(visit.text(), "nobody");
        assert!(!(visit.deletes(SESSION) && visit.was_handled_around(&signed_in)));
    }
}

async fn a_session_that_all_handlers_refuse_is_gone() {
    assert_eq!(forwarded(2).await, 0);
}

async fn a_session_that_one_handler_lets_in_stays() {
    // None is let in where one has refused before the other began.
    assert!(forwarded(1).await <= 1);
}

/// A callback and its double in forward mode, so many of whose handlers refuse: how many are let in. The session is there
/// in the end if one was, and else it is nobody's.
async fn forwarded(refusing: usize) -> usize {
    let (app, store) = app(Kind::Private, Builder::forward_callback);
    let mut browser = Browser::new();
    let started = app.site.start(&mut browser, "/").await;
    let callback = started.callback(CODE);
    app.refuse_next(refusing);
    let answers = all_told([app.come_back(&browser, &callback), app.come_back(&browser, &callback)]).await;
    assert_eq!(app.sent(), ["exchange"]);
    let let_in = answers.iter().filter(|told| told.brings(SESSION)).count();
    until(|| store.sessions().len() == let_in).await;
    settle().await;
    assert_eq!(store.sessions().len(), let_in);
    let_in
}
