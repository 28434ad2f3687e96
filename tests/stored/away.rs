//! A store that does not answer signs nobody out, and nobody in.

use std::time::Duration;

use http::header::SET_COOKIE;
use http::{Method, Request, Response};
use tokio::time::Instant;
use tower_signin::ErrorKind;

use crate::Visit::{Ignored, Kept};
use crate::double::{Fault, KINDS, STEPS, Step};
use crate::site::{BOB, CODE, Site, deleted, set_cookies};
use crate::support::{Browser, code, navigation, text};
use crate::{SESSION, Stored, ask, fetch, open, page, said, settle, sign_out, told};

const FAULTS: [Fault; 5] = [Fault::Unreachable, Fault::Failed, Fault::Hangs, Fault::Panics, Fault::PanicsAtOnce];

/// What one question to a store takes that gives this answer.
fn patience(fault: Fault) -> Duration {
    Duration::from_secs(if fault == Fault::Hangs { 5 } else { 0 })
}

#[track_caller]
fn assert_unavailable(name: &str, response: &Response<bytes::Bytes>) {
    assert_eq!(told(response), said(503, "session_unavailable"), "{name}");
    assert_eq!(response.headers()["retry-after"], "5", "{name}");
    assert_eq!(response.headers()["cache-control"], "no-store", "{name}");
    assert!(!response.headers().contains_key(SET_COOKIE), "{name}: {:?}", set_cookies(response));
}

#[tokio::test(start_paused = true)]
async fn u25_whoever_needs_to_know_is_told_that_nobody_can_and_everybody_else_is_answered() {
    for (kind, fault) in pairs() {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        stored.store.fail(&STEPS, fault);
        for path in ["/guarded", "/somebody", "/perhaps"] {
            for (caller, request) in [("page", page(path)), ("script", fetch(path))] {
                let name = format!("{kind:?}, {fault:?}, {path}, {caller}");
                let began = Instant::now();
                let response = ask(&stored.site, &browser, request).await;
                assert_unavailable(&name, &response);
                assert_eq!(began.elapsed(), patience(fault), "{name}");
                let way_on = match caller {
                    "page" => "<a href=\"\">Try again</a>".to_owned(),
                    _ => "\"login_url\":\"https://example.com/api/login".to_owned(),
                };
                assert!(text(&response).contains(&way_on), "{name}: {}", text(&response));
            }
        }
        let response = ask(&stored.site, &browser, page("/open")).await;
        assert_eq!((text(&response), set_cookies(&response).len()), ("open", 0), "{kind:?}, {fault:?}");
        // One who comes without a cookie is nobody, and waits for nothing.
        stored.store.forget();
        let began = Instant::now();
        for (path, status) in [("/guarded", 401), ("/somebody", 401), ("/perhaps", 200), ("/open", 200)] {
            let response = ask(&stored.site, &Browser::new(), fetch(path)).await;
            assert_eq!(response.status(), status, "{kind:?}, {fault:?}, {path}");
        }
        assert!(stored.store.asked().is_empty() && began.elapsed().is_zero(), "{kind:?}, {fault:?}");

        stored.store.recover();
        assert_eq!(open(&stored.site, &mut browser.clone()).await, Kept, "{kind:?}, {fault:?}");
        for (path, expected) in [("/guarded", "guarded"), ("/somebody", BOB), ("/perhaps", BOB)] {
            assert_eq!(text(&ask(&stored.site, &browser, fetch(path)).await), expected, "{kind:?}, {fault:?}, {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn login_starts_nothing_for_who_may_be_signed_in() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        stored.store.fail(&STEPS, fault);
        for site in ["none", "same-origin", "cross-site"] {
            let began = Instant::now();
            let request = navigation(Method::GET, &stored.site.login("/target"), site);
            let response = stored.site.visit(&mut browser, request).await;
            assert_unavailable(&name, &response);
            assert_eq!(began.elapsed(), patience(fault), "{name}");
        }
        stored.store.forget();
        stored.site.start(&mut Browser::new(), "/").await;
        assert!(stored.store.asked().is_empty(), "{name}");
        stored.store.recover();
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{name}");
    }
}

/// Its code would be used up for a session that can't be kept.
#[tokio::test(start_paused = true)]
async fn a_callback_waits_for_the_store_to_come_back() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let (former, _) = stored.store.session();
        let started = stored.site.start(&mut browser, "/target").await;
        let before = browser.jar.clone();
        stored.store.fail(&STEPS, fault);
        for _ in 0..2 {
            let began = Instant::now();
            let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
            assert_unavailable(&name, &response);
            assert_eq!(response.extensions().get(), Some(&ErrorKind::SessionUnavailable), "{name}");
            assert_eq!(began.elapsed(), patience(fault), "{name}");
        }
        assert_eq!((browser.jar.clone(), stored.site.upstream.requests().len()), (before, 0), "{name}");
        // A reload of an earlier callback is told the same rather than that its sign-in is unknown.
        let mut without_flow = browser.clone();
        without_flow.jar.remove(&started.flow_cookie());
        assert_unavailable(&name, &stored.site.get(&mut without_flow, &started.callback(CODE)).await);

        stored.store.recover();
        let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!((response.status().as_u16(), stored.site.upstream.requests().len()), (303, 1), "{name}");
        settle().await;
        assert_ne!(stored.store.session().0, former, "{name}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{name}");
    }
}

/// A refusal and a wrong state are told as ever: they end or leave a flow, and need no session.
#[tokio::test(start_paused = true)]
async fn a_callback_that_comes_to_nothing_is_told_as_ever() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let started = stored.site.start(&mut browser, "/").await;
        stored.store.fail(&STEPS, fault);
        let refused = format!("/api/callback?error=access_denied&state={}", started.state);
        let response = stored.site.get(&mut browser, &refused).await;
        assert_eq!(
            (told(&response), set_cookies(&response)),
            (said(403, "access_denied"), vec![started.flow_deleted()])
        );
        let response = stored.site.get(&mut browser, "/api/callback").await;
        assert_eq!((response.status().as_u16(), set_cookies(&response).len()), (400, 0), "{name}");
        stored.store.recover();
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn signing_out_counts_here_though_the_store_is_not_told() {
    for (kind, fault) in pairs() {
        for lost in [&[Step::Delete][..], &STEPS] {
            let name = format!("{kind:?}, {fault:?}, {lost:?}");
            let stored = Stored::new(kind);
            let mut browser = stored.signed_in().await;
            let mut copy = browser.clone();
            stored.store.fail(lost, fault);
            let began = Instant::now();
            let response = sign_out(&stored.site, &mut browser).await;
            assert_eq!(response.status(), 303, "{name}");
            assert!(began.elapsed() <= patience(fault) * 2, "{name}: once to look, once to delete");
            assert!(set_cookies(&response).contains(&deleted(SESSION)), "{name}");
            assert_eq!(stored.store.count(Step::Delete), 1, "{name}");
            stored.store.recover();
            assert_eq!(stored.store.sessions().len(), 1, "{name}: it was not told");
            assert_eq!(open(&stored.site, &mut copy).await, Ignored, "{name}");
            assert_eq!(told(&ask(&stored.site, &copy, fetch("/guarded")).await), said(401, "not_signed_in"), "{name}");
            // A second click, or another tab's, reaches the store.
            assert_eq!(sign_out(&stored.site, &mut copy).await.status(), 303, "{name}");
            assert!(stored.store.sessions().is_empty(), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_site_signs_nobody_out_while_the_store_is_away() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        stored.store.fail(&STEPS, fault);
        let logout = stored.site.sign_in.logout_path().to_owned();
        for site in ["cross-site", "same-site"] {
            let response = stored.site.visit(&mut browser, navigation(Method::POST, &logout, site)).await;
            assert_eq!(
                (told(&response), set_cookies(&response)),
                (said(403, "logout_from_another_site"), vec![]),
                "{name}"
            );
        }
        // Whose page it was can't be told, and a page that asks would have to say who is signed in.
        let unknown = || Request::post(&logout).header("accept", "text/html");
        assert_unavailable(&name, &stored.site.visit(&mut browser, unknown()).await);
        assert_eq!(stored.store.count(Step::Delete), 0, "{name}");
        stored.store.recover();
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{name}");
        let response = stored.site.visit(&mut browser, unknown()).await;
        assert_eq!((response.status().as_u16(), code(&response).as_str()), (403, "logout_unconfirmed"), "{name}");
    }
}

/// A token that our page gave before holds while the store is away.
#[tokio::test(start_paused = true)]
async fn the_page_to_sign_out_works_on() {
    for (kind, fault) in pairs() {
        let name = format!("{kind:?}, {fault:?}");
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let unknown = |path: &str| Request::post(path).header("accept", "text/html");
        let asked = stored.site.visit(&mut browser, unknown("/api/logout")).await;
        let action = text(&asked).split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
        stored.store.fail(&STEPS, fault);
        let response = stored.site.visit(&mut browser, unknown(&action)).await;
        assert_eq!(response.status(), 303, "{name}: {}", text(&response));
        assert!(!browser.jar.contains_key(SESSION), "{name}");
    }
}

fn pairs() -> Vec<(crate::double::Kind, Fault)> {
    KINDS.iter().flat_map(|kind| FAULTS.map(|fault| (*kind, fault))).collect()
}

/// One hanging question for each request, and those behind do not add up.
#[tokio::test(start_paused = true)]
async fn a_hundred_requests_to_a_store_that_hangs_wait_five_seconds_together() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        stored.store.fail(&STEPS, Fault::Hangs);
        let began = Instant::now();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (site, browser): (Site, Browser) = (stored.node(|builder| builder), browser.clone());
            waiting.spawn(async move { told(&ask(&site, &browser, fetch("/guarded")).await) });
        }
        for told in waiting.join_all().await {
            assert_eq!(told, said(503, "session_unavailable"), "{kind:?}");
        }
        assert_eq!(began.elapsed(), Duration::from_secs(5), "{kind:?}");
    }
}

/// The provider has answered; what is left to write down is for other nodes.
#[tokio::test(start_paused = true)]
async fn nobody_waits_until_a_check_is_noted() {
    for kind in KINDS {
        let stored = Stored::with(kind, |builder| builder.recheck_every(Duration::from_secs(60)));
        let mut browser = stored.signed_in().await;
        stored.clock.set(crate::at(60));
        stored.store.fail(&[Step::Update], Fault::Hangs);
        let began = Instant::now();
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
        assert!(began.elapsed().is_zero(), "{kind:?}: {:?}", began.elapsed());
        settle().await;
        assert_eq!(stored.store.count(Step::Update), 1, "{kind:?}");
    }
}
