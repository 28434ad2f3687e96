//! A request that waits for the store is answered by the service that was polled ready for it, and may go away.

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http::header::COOKIE;
use http_body_util::BodyExt as _;
use tower::buffer::BufferLayer;
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer as _, Service, ServiceExt as _};
use tower_signin::{Builder, Identity};

use crate::Visit::Kept;
use crate::double::{KINDS, Kind, Step};
use crate::site::{BOB, CODE, set_cookies};
use crate::strict::{Strict, is_ready};
use crate::support::Browser;
use crate::{SESSION, Stored, at, open, page, settle, sign_out};

#[tokio::test]
async fn readiness_is_kept_while_the_request_waits() {
    let stored = Stored::new(Kind::Later);
    let browser = stored.signed_in().await;
    let gates = stored.store.hold(Step::Load);
    gates.after.add_permits(9);
    let limited = ConcurrencyLimitLayer::new(1).layer(strict());
    let mut service = stored.site.sign_in.layer().layer(limited);
    let mut other = service.clone();
    for path in ["/", "/api/login", "/api/callback", "/api/logout"] {
        let waiting = service.ready().await.unwrap().call(request(&browser, path));
        assert!(!is_ready(&mut other), "{path}: its turn is kept");
        gates.before.add_permits(1);
        let response = waiting.await.unwrap();
        assert!(is_ready(&mut other), "{path}: and given back");
        other = service.clone();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!((body == BOB) == (path == "/"), "{path}");
    }
}

#[tokio::test]
async fn readiness_is_given_back_where_the_client_goes_away() {
    let stored = Stored::new(Kind::Later);
    let browser = stored.signed_in().await;
    let gates = stored.store.hold(Step::Load);
    let mut service = stored.site.sign_in.layer().layer(ConcurrencyLimitLayer::new(1).layer(strict()));
    let mut other = service.clone();
    drop(service.ready().await.unwrap().call(request(&browser, "/")));
    assert!(is_ready(&mut other));
    drop(gates);
}

#[tokio::test]
async fn a_buffer_goes_on() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        let mut service = stored.site.sign_in.layer().layer(BufferLayer::new(1).layer(strict()));
        for _ in 0..3 {
            let response = service.ready().await.unwrap().call(request(&browser, "/")).await.unwrap();
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), BOB, "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_thousand_requests_at_once_are_each_answered() {
    for kind in KINDS {
        let stored = Stored::with(kind, |builder| builder.session_idle_timeout(std::time::Duration::from_secs(100)));
        let browser = stored.signed_in().await;
        stored.clock.set(at(50));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let (service, request) = (stored.sign_in_service(), request(&browser, "/"));
            waiting.spawn(async move {
                let response = service.oneshot(request).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            });
        }
        assert!(waiting.join_all().await.iter().all(|body| body == BOB), "{kind:?}");
        assert_eq!(stored.store.count(Step::Load), 1000, "{kind:?}");
        assert_eq!(stored.store.session().1.expires_at(), at(150), "{kind:?}");
    }
}

/// At any of its awaits: of the load, of the renewal, of the handler.
#[tokio::test]
async fn a_request_that_goes_away_leaves_the_session_as_it_was() {
    for polls in 0..12 {
        let stored =
            Stored::with(Kind::Later, |builder| builder.session_idle_timeout(std::time::Duration::from_secs(100)));
        let mut browser = stored.signed_in().await;
        stored.clock.set(at(50));
        let mut dropped = Box::pin(stored.sign_in_service().oneshot(request(&browser, "/")));
        for _ in 0..polls {
            if dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                break;
            }
        }
        drop(dropped);
        settle().await;
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{polls} polls");
        assert_eq!(stored.store.session().1.expires_at(), at(150), "{polls} polls");
        sign_out(&stored.site, &mut browser).await;
        assert!(stored.store.sessions().is_empty(), "{polls} polls");
    }
}

/// A sign-out that was clicked counts here once it was understood, whether or not its browser waits.
#[tokio::test]
async fn a_sign_out_that_goes_away_counts_here_and_can_be_clicked_again() {
    for polls in 1..12 {
        let stored = Stored::new(Kind::Later);
        let browser = stored.signed_in().await;
        let logout = http::Request::post("/api/logout").header("sec-fetch-site", "same-origin");
        let logout = logout.header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        let mut dropped = Box::pin(stored.sign_in_service().oneshot(logout));
        let mut was_answered = false;
        for _ in 0..polls {
            if let Poll::Ready(response) = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                assert_eq!(response.unwrap().status(), 303, "{polls} polls");
                was_answered = true;
                break;
            }
        }
        drop(dropped);
        settle().await;
        let is_there = !stored.store.sessions().is_empty();
        assert!(!(was_answered && is_there), "{polls} polls: answered, so it is gone");
        sign_out(&stored.site, &mut browser.clone()).await;
        assert!(stored.store.sessions().is_empty(), "{polls} polls");
        assert_eq!(crate::identity(&stored.site, &browser).await.map(|_| ()), None, "{polls} polls");
    }
}

/// The attempt goes on by itself, and the next try gets what it made.
#[tokio::test]
async fn a_callback_that_goes_away_while_the_session_is_kept_is_finished_by_the_next() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = Stored::with(kind, |builder: Builder| builder);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/").await;
        let gates = stored.store.hold(Step::Create);
        let mut dropped = Box::pin(stored.sign_in_service().oneshot(request(&browser, &started.callback(CODE))));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        settle().await;
        drop(dropped);
        gates.before.add_permits(1);
        gates.after.add_permits(1);
        let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
        assert_eq!(response.status(), 303, "{kind:?}");
        assert!(set_cookies(&response).iter().any(|cookie| cookie.starts_with(SESSION)), "{kind:?}");
        assert_eq!((stored.store.count(Step::Create), stored.store.sessions().len()), (1, 1), "{kind:?}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

fn request(browser: &Browser, path: &str) -> Request<Bytes> {
    page(path).header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap()
}

fn strict() -> Strict {
    Strict::new(|request| request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned())
}

/// Who is told that too many wait asks for nothing.
#[tokio::test]
async fn what_is_one_too_many_is_not_begun() {
    let stored = Stored::new(Kind::Sealed);
    let browser = stored.signed_in().await;
    let gates = stored.store.hold(Step::Load);
    let waiting: Vec<_> =
        (0..1100).map(|_| tokio::spawn(stored.sign_in_service().oneshot(request(&browser, "/")))).collect();
    settle().await;
    assert_eq!(waiting.iter().filter(|response| response.is_finished()).count(), 1100 - 1024);
    for _ in 0..2 {
        gates.before.add_permits(1100);
        gates.after.add_permits(1100);
        settle().await;
    }
    assert!(waiting.iter().all(tokio::task::JoinHandle::is_finished));
    assert_eq!(stored.store.count(Step::Load), 1024);
}
