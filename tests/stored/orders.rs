//! A request, and the end of its session, in every order in which the store can be asked and can answer.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::task::JoinHandle;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::Visit::{Ignored, Kept};
use crate::double::{Gates, KINDS, Step};
use crate::site::{CODE, Site};
use crate::support::{Browser, navigation};
use crate::{SESSION, Stored, at, identity, open, ring, settle, sign_out};

/// What happens next. A question is asked where the request or the end begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// A request with the cookie comes, and asks.
    Request,
    /// The store looks for it.
    Loads,
    /// Its answer arrives.
    Loaded,
    /// Somebody signs out, or in anew, which has the store delete the session.
    End,
    /// The store deletes it.
    Deletes,
    /// And says so.
    Deleted,
}

use Event::{Deleted, Deletes, End, Loaded, Loads, Request};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    SignOut,
    SignIn,
}

#[tokio::test]
async fn no_order_brings_a_session_back() {
    let orders = merged(&[Request, Loads, Loaded], &[End, Deletes, Deleted]);
    assert_eq!(orders.len(), 20);
    for kind in KINDS {
        for how in [How::SignOut, How::SignIn] {
            for node in ["same", "other", "other, with a newer key"] {
                for order in &orders {
                    let name = format!("{kind:?}, {how:?}, {node}, {order:?}");
                    run(&Stored::with(kind, |builder| builder.keys(ring(&[1, 2]))), how, node, order, &name).await;
                }
            }
        }
    }
}

/// Its own session was gone already, so that nothing tells the request that a newer one has taken its place.
#[tokio::test]
async fn an_answer_that_comes_late_takes_no_newer_cookie_away() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let old = browser.clone();
        stored.store.clear();
        let load = stored.store.hold_next(Step::Load);
        let mut waiting = vec![send(&stored.site, &old, navigation(Method::GET, "/", "none"))];
        settle().await;
        assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{kind:?}");
        load.before.add_permits(1);
        load.after.add_permits(1);
        settle().await;
        keep_what_came(&mut waiting, &mut browser).await;
        assert!(waiting.is_empty(), "{kind:?}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

/// The end is moved in the store, then somebody signs out, then the answer comes.
#[tokio::test]
async fn whoever_signs_out_during_a_renewal_is_nobody_to_the_request_that_waits_for_it() {
    for kind in KINDS {
        let stored = Stored::with(kind, |builder| builder.session_idle_timeout(Duration::from_secs(100)));
        let mut browser = stored.signed_in().await;
        let mut old = browser.clone();
        stored.clock.set(at(50));
        let touch = stored.store.hold_next(Step::Touch);
        touch.before.add_permits(1);
        let service = stored.sign_in_service();
        let request = navigation(Method::GET, "/", "none").header(COOKIE, old.cookie_header().unwrap());
        let request = request.body(Bytes::new()).unwrap();
        let waiting = tokio::spawn(async move { service.oneshot(request).await.unwrap().into_body().collect().await });
        settle().await;
        assert_eq!(sign_out(&stored.site, &mut browser).await.status(), 303, "{kind:?}");
        touch.after.add_permits(1);
        assert_eq!(waiting.await.unwrap().unwrap().to_bytes(), "nobody", "{kind:?}");
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
        assert_eq!(open(&stored.site, &mut old).await, Ignored, "{kind:?}");
    }
}

async fn run(stored: &Stored, how: How, node: &str, order: &[Event], name: &str) {
    let mut browser = stored.signed_in().await;
    let old = browser.clone();
    let started = stored.site.start(&mut browser, "/").await;
    let another = match node {
        "other, with a newer key" => Some(stored.node(|builder| builder.keys(ring(&[2, 1])))),
        "other" => Some(stored.node(|builder| builder.keys(ring(&[1, 2])))),
        _ => None,
    };
    let requested = another.as_ref().unwrap_or(&stored.site);
    let end = match how {
        How::SignOut => navigation(Method::POST, "/api/logout", "same-origin"),
        How::SignIn => navigation(Method::GET, &started.callback(CODE), "cross-site"),
    };
    let (mut end, at_end) = (Some(end), browser.clone());
    let (mut load, mut delete): (Option<Gates>, Option<Gates>) = (None, None);
    let mut waiting = Vec::new();
    for event in order {
        match event {
            Request => {
                load = Some(stored.store.hold_next(Step::Load));
                waiting.push(send(requested, &old, navigation(Method::GET, "/", "none")));
            }
            Loads => load.as_ref().unwrap().before.add_permits(1),
            Loaded => load.as_ref().unwrap().after.add_permits(1),
            End => {
                delete = Some(stored.store.hold_next(Step::Delete));
                waiting.push(send(&stored.site, &at_end, end.take().unwrap()));
            }
            Deletes => delete.as_ref().unwrap().before.add_permits(1),
            Deleted => delete.as_ref().unwrap().after.add_permits(1),
        }
        settle().await;
        keep_what_came(&mut waiting, &mut browser).await;
    }
    assert!(waiting.is_empty(), "{name}: somebody waits for ever");
    assert_eq!(stored.store.count(Step::Delete), 1, "{name}");

    for site in [&stored.site, requested] {
        assert!(identity(site, &old).await.is_none(), "{name}: a copy of the old cookie");
    }
    let found = open(&stored.site, &mut browser).await;
    match how {
        How::SignOut => {
            assert_ne!(found, Kept, "{name}");
            assert!(stored.store.sessions().is_empty(), "{name}");
        }
        How::SignIn => {
            assert_eq!(stored.store.sessions().len(), 1, "{name}");
            // Another node does not hear of the sign-in, and may delete the cookie of a session that is gone.
            assert!(found == Kept || another.is_some(), "{name}: {found:?}, {:?}", browser.jar.get(SESSION));
        }
    }
}

type Waiting = JoinHandle<Response<Bytes>>;

fn send(site: &Site, browser: &Browser, request: http::request::Builder) -> Waiting {
    let request = request.header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
    let inner =
        service_fn(|_: http::Request<Bytes>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))));
    let service = site.sign_in.layer().layer(inner);
    tokio::spawn(async move { service.oneshot(request).await.unwrap().map(|_| Bytes::new()) })
}

async fn keep_what_came(waiting: &mut Vec<Waiting>, browser: &mut Browser) {
    let mut still = Vec::new();
    for task in waiting.drain(..) {
        if task.is_finished() {
            browser.keep(&task.await.unwrap());
        } else {
            still.push(task);
        }
    }
    *waiting = still;
}

/// Every order of both that keeps the order of each.
fn merged(one: &[Event], other: &[Event]) -> Vec<Vec<Event>> {
    let (Some(first), Some(second)) = (one.first(), other.first()) else { return vec![[one, other].concat()] };
    let beginning = |event: &Event, rest: Vec<Vec<Event>>| -> Vec<Vec<Event>> {
        rest.into_iter().map(|rest| [&[*event], &rest[..]].concat()).collect()
    };
    let mut all = beginning(first, merged(&one[1..], other));
    all.extend(beginning(second, merged(one, &other[1..])));
    all
}
