//! Callbacks: each state is used once, and so many at a time.

use http::StatusCode;
use tower_signin::ErrorKind;

use crate::app::{App, SESSION, Told, all_told, settle, told, until};
use crate::bank::is_exchange;
use crate::site::{CODE, Started};
use crate::support::Browser;

mod tests {
    crate::in_many_orders! {
        a_state_is_used_once,
        a_state_is_used_once_whichever_code_comes_first,
        no_double_of_a_callback_signs_in_after_the_sign_out,
        sixty_four_attempts_run_and_no_more,
    }
}

const OTHER_CODE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

async fn started(app: &App) -> (Browser, Started) {
    let mut browser = Browser::new();
    let started = app.site.start(&mut browser, "/").await;
    (browser, started)
}

async fn a_state_is_used_once() {
    let app = App::new(|builder| builder);
    let (browser, started) = started(&app).await;
    let callback = started.callback(CODE);
    let come = || app.come_back(&browser, &callback);
    let answers = all_told([come(), come(), come()]).await;
    assert!(answers.iter().all(|told| told.response.status() == StatusCode::SEE_OTHER));
    assert!(answers.iter().all(|told| told.brings(SESSION)));
    assert!(answers.iter().all(|told| told.cookie(SESSION) == answers[0].cookie(SESSION)), "one session");
    assert_eq!(app.sent(), ["exchange"]);
}

async fn a_state_is_used_once_whichever_code_comes_first() {
    let app = App::new(|builder| builder);
    let (browser, started) = started(&app).await;
    let come = |code| app.come_back(&browser, &started.callback(code));
    let answers = all_told([come(CODE), come(CODE), come(OTHER_CODE)]).await;
    let are_in: Vec<_> = answers.iter().map(|told| told.brings(SESSION)).collect();
    assert!([vec![true, true, false], vec![false, false, true]].contains(&are_in), "{are_in:?}");
    for refused in answers.iter().filter(|told| !told.brings(SESSION)) {
        assert_eq!(refused.response.extensions().get(), Some(&ErrorKind::StateSpent));
    }
    assert_eq!(app.sent(), ["exchange"]);
}

async fn no_double_of_a_callback_signs_in_after_the_sign_out() {
    let app = App::new(|builder| builder);
    let (mut browser, started) = started(&app).await;
    let callback = started.callback(CODE);
    let at_start = browser.clone();
    let (first, double) = (app.come_back(&at_start, &callback), app.come_back(&at_start, &callback));
    browser.keep(&told(first).await.response);
    let out = app.sign_out(&browser);
    let late = app.come_back(&at_start, &callback);
    let out = told(out).await;
    for told in [told(double).await, told(late).await, told(app.come_back(&at_start, &callback)).await] {
        assert!(!told.brings(SESSION) || told.begun < out.ended);
    }
    assert_eq!(app.sent(), ["exchange"]);
}

async fn sixty_four_attempts_run_and_no_more() {
    let app = App::new(|builder| builder);
    let gate = app.site.upstream.hold(is_exchange);
    let mut running = Vec::new();
    for _ in 0..63 {
        let (browser, started) = started(&app).await;
        running.push(app.come_back(&browser, &started.callback(CODE)));
    }
    until(|| app.sent().len() == 63).await;
    let mut racing = Vec::new();
    for _ in 0..3 {
        let (browser, started) = started(&app).await;
        racing.push((browser, started));
    }
    let racing: Vec<_> =
        racing.iter().map(|(browser, started)| app.come_back(browser, &started.callback(CODE))).collect();
    until(|| app.sent().len() == 64).await;
    settle().await;
    assert_eq!(app.sent().len(), 64);
    gate.add_permits(100);
    let is_busy = |told: &Told| told.response.extensions().get() == Some(&ErrorKind::TooManyAttempts);
    let (running, racing) = (all_told(running).await, all_told(racing).await);
    assert!(running.iter().all(|told| told.brings(SESSION)));
    assert_eq!(racing.iter().filter(|told| told.brings(SESSION)).count(), 1);
    assert_eq!(racing.iter().filter(|told| is_busy(told)).count(), 2);
    let (browser, started) = started(&app).await;
    assert!(told(app.come_back(&browser, &started.callback(CODE))).await.brings(SESSION), "every place is free again");
}
