//! Renewals, checks, sign-outs and sign-ins of one session at once, on several threads.

use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::double::{KINDS, Step};
use crate::site::{BOB, BOB_ANSWER, CODE, NOW};
use crate::support::{Browser, navigation};
use crate::{SESSION, Stored, at, identity, page, settle};

fn with(browser: &Browser, request: http::request::Builder) -> Request<Bytes> {
    request.header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap()
}

/// Whatever runs at once: once the sign-out is answered nobody is let in, and the record stays away.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_that_runs_beside_a_sign_out_brings_the_session_back() {
    let seconds = Duration::from_secs;
    for round in 0..60 {
        let kind = KINDS[round % 3];
        let stored =
            Stored::with(kind, |builder| builder.session_idle_timeout(seconds(100)).recheck_every(seconds(60)));
        let browser = stored.signed_in().await;
        stored.clock.set(at(65));
        let mut running = tokio::task::JoinSet::new();
        for number in 0..24 {
            let request = match number {
                12 => with(&browser, navigation(Method::POST, "/api/logout", "same-origin")),
                _ => with(&browser, page("/")),
            };
            let service = stored.sign_in_service();
            running.spawn(async move {
                let response = service.oneshot(request).await.unwrap();
                let status = response.status();
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert!(number != 12 || status == 303);
                assert!(number == 12 || body == BOB || body == "nobody");
            });
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
        assert!(identity(&stored.site, &browser).await.is_none(), "{kind:?}, {round}");
        for _ in 0..200 {
            if tokio::runtime::Handle::current().metrics().num_alive_tasks() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(stored.store.sessions().is_empty(), "{kind:?}, {round}");
        let other = stored.node(|builder| builder);
        assert!(identity(&other, &browser).await.is_none(), "{kind:?}, {round}");
    }
}

/// Doubles of a callback beside requests with the former cookie: one session is left, and its cookie opens.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn doubles_of_a_callback_leave_one_session_that_opens() {
    for round in 0..60 {
        let kind = KINDS[round % 3];
        let stored = Stored::with(kind, |builder| builder.session_idle_timeout(Duration::from_secs(100)));
        let mut browser = stored.signed_in().await;
        let started = stored.site.start(&mut browser, "/").await;
        stored.clock.set(at(50));
        let mut running = tokio::task::JoinSet::new();
        for number in 0..24 {
            let request = match number % 3 {
                0 => with(&browser, page(&started.callback(CODE))),
                _ => with(&browser, page("/")),
            };
            let service = stored.sign_in_service();
            running.spawn(async move { (number % 3, service.oneshot(request).await.unwrap().map(|_| Bytes::new())) });
        }
        let mut values = Vec::new();
        while let Some(done) = running.join_next().await {
            let (kind_of_request, response) = done.unwrap();
            browser.keep(&response);
            if kind_of_request == 0 {
                assert_eq!(response.status(), 303, "{kind:?}, {round}");
                values.push(browser.jar[SESSION].clone());
            }
        }
        values.dedup();
        assert_eq!(values.len(), 1, "{kind:?}, {round}");
        assert_eq!(stored.store.count(Step::Create), 1, "{kind:?}, {round}");
        assert!(identity(&stored.site, &browser).await.is_some(), "{kind:?}, {round}");
        for _ in 0..200 {
            if stored.store.sessions().len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(stored.store.sessions().len(), 1, "{kind:?}, {round}");
    }
}

/// The provider's word is for the store as well, whether or not anybody waits for it, and the store is told once.
#[tokio::test]
async fn a_session_that_the_provider_ends_is_deleted_once_though_nobody_waits() {
    let check = (60, 200, r#"{"signedIn":false}"#);
    let refresh = (3595, 400, r#"{"errorMessage":"Invalid refresh token."}"#);
    for kind in KINDS {
        for (second, status, answer) in [check, refresh] {
            for is_waiting in [true, false] {
                let name = format!("{kind:?}, {answer}, {is_waiting}");
                let every = Duration::from_secs(if second == 60 { 60 } else { 7200 });
                let stored = Stored::with(kind, |builder| builder.keep_tokens().recheck_every(every));
                let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
                pair["refresh_token"] = "rt".into();
                pair["access_token_expires_at"] = ((NOW + 3600) * 1000).into();
                stored.site.upstream.answer(200, pair.to_string());
                let browser = stored.signed_in().await;
                stored.site.upstream.answer(status, answer);
                let gate = stored.site.upstream.hold(|_| true);
                stored.clock.set(at(second));
                let mut running = tokio::task::JoinSet::new();
                for _ in 0..100 {
                    running.spawn(stored.sign_in_service().oneshot(with(&browser, page("/"))));
                }
                settle().await;
                assert_eq!(stored.site.upstream.requests().len(), 1, "{name}");
                if !is_waiting {
                    running.abort_all();
                    settle().await;
                }
                gate.add_permits(1);
                settle().await;
                while running.join_next().await.is_some() {}
                settle().await;
                assert_eq!(stored.store.count(Step::Delete), 1, "{name}");
                assert!(stored.store.sessions().is_empty(), "{name}");
            }
        }
    }
}
