//! Forward mode: what the application's handler says decides over the record too.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, ErrorKind, SignedIn};

use crate::Visit::Kept;
use crate::double::{KINDS, Kind, Step};
use crate::site::{CODE, Site, Started};
use crate::support::{Browser, navigation};
use crate::{SESSION, Stored, open, settle};

/// A site whose handler at the callback answers as it is told, when it is told.
struct Forwarding {
    stored: Stored,
}

/// A callback that the handler works on.
struct Answer {
    gate: Arc<Semaphore>,
    response: JoinHandle<Response<()>>,
}

impl Forwarding {
    fn new(kind: Kind) -> Self {
        Self { stored: Stored::with(kind, Builder::forward_callback) }
    }

    async fn started(&self) -> (Browser, Started) {
        let mut browser = Browser::new();
        let started = self.stored.site.start(&mut browser, "/").await;
        (browser, started)
    }

    /// Has the handler begin with an answer of this status; 0 for a refusal by word.
    async fn begin(&self, browser: &Browser, started: &Started, status: u16) -> Answer {
        Self::begin_at(&self.stored.site, browser, started, status).await
    }

    async fn begin_at(site: &Site, browser: &Browser, started: &Started, status: u16) -> Answer {
        let gate = Arc::new(Semaphore::new(0));
        let handler_gate = Arc::clone(&gate);
        let status = Arc::new(AtomicU16::new(status));
        let inner = service_fn(move |request: Request<Bytes>| {
            let (gate, status) = (Arc::clone(&handler_gate), status.load(Ordering::SeqCst));
            let who = request.extensions().get::<SignedIn>().cloned().expect("a callback");
            async move {
                gate.acquire().await.unwrap().forget();
                if status == 0 {
                    who.refuse("no");
                }
                let status = if status == 0 { 200 } else { status };
                Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::default()).unwrap())
            }
        });
        let request = navigation(Method::GET, &started.callback(CODE), "none");
        let request = request.header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap();
        let service = site.sign_in.layer().layer(inner);
        let response = tokio::spawn(async move { service.oneshot(request).await.unwrap().map(|_| ()) });
        settle().await;
        Answer { gate, response }
    }

    async fn finish(&self, browser: &mut Browser, answer: Answer) {
        answer.gate.add_permits(1);
        browser.keep(&answer.response.await.unwrap().map(|()| Bytes::new()));
        settle().await;
    }
}

#[tokio::test]
async fn who_is_refused_leaves_no_record() {
    for kind in KINDS {
        for (status, is_let_in) in [(200, true), (303, true), (400, false), (500, false), (0, false)] {
            let site = Forwarding::new(kind);
            let (mut browser, started) = site.started().await;
            let answer = site.begin(&browser, &started, status).await;
            assert_eq!(site.stored.store.sessions().len(), 1, "{kind:?}, {status}");
            site.finish(&mut browser, answer).await;
            assert_eq!(site.stored.store.sessions().len(), usize::from(is_let_in), "{kind:?}, {status}");
            assert_eq!(browser.jar.contains_key(SESSION), is_let_in, "{kind:?}, {status}");
            assert_eq!(site.stored.store.count(Step::Delete), usize::from(!is_let_in), "{kind:?}, {status}");
            if is_let_in {
                assert_eq!(open(&site.stored.site, &mut browser).await, Kept, "{kind:?}, {status}");
            }
        }
    }
}

/// Whichever of the two answers first, the browser keeps the cookie that came, and it opens.
#[tokio::test]
async fn a_double_that_is_let_in_keeps_the_record() {
    for kind in KINDS {
        for answers in [[303, 500], [500, 303], [303, 0], [0, 303], [303, 303], [500, 500]] {
            for is_reversed in [false, true] {
                let name = format!("{kind:?}, {answers:?}, {is_reversed}");
                let site = Forwarding::new(kind);
                let (mut browser, started) = site.started().await;
                let first = site.begin(&browser, &started, answers[0]).await;
                let second = site.begin(&browser, &started, answers[1]).await;
                let order = if is_reversed { [second, first] } else { [first, second] };
                for answer in order {
                    site.finish(&mut browser, answer).await;
                }
                let is_let_in = answers.contains(&303);
                assert_eq!(browser.jar.contains_key(SESSION), is_let_in, "{name}");
                assert_eq!(site.stored.store.sessions().len(), usize::from(is_let_in), "{name}");
                if is_let_in {
                    assert_eq!(open(&site.stored.site, &mut browser).await, Kept, "{name}");
                }
            }
        }
    }
}

/// The handler of another node does not see that somebody was let in, so it is not asked about the record.
#[tokio::test]
async fn a_double_that_another_node_refuses_leaves_the_record() {
    for kind in [Kind::Sealed, Kind::Later] {
        for status in [0, 409, 500] {
            let site = Forwarding::new(kind);
            let node = site.stored.node(Builder::forward_callback);
            let (mut browser, started) = site.started().await;
            let first = site.begin(&browser, &started, 303).await;
            let double = Forwarding::begin_at(&node, &browser, &started, status).await;
            for answer in [first, double] {
                site.finish(&mut browser, answer).await;
            }
            assert_eq!(site.stored.store.sessions().len(), 1, "{kind:?}, {status}");
            assert_eq!(open(&node, &mut browser).await, Kept, "{kind:?}, {status}");
        }
    }
}

/// The browser goes away while the handler works; whoever tries again is let in with the same session.
#[tokio::test]
async fn a_callback_whose_client_went_away_can_be_finished() {
    for kind in KINDS {
        let site = Forwarding::new(kind);
        let (mut browser, started) = site.started().await;
        let gone = site.begin(&browser, &started, 303).await;
        gone.response.abort();
        settle().await;
        let answer = site.begin(&browser, &started, 303).await;
        site.finish(&mut browser, answer).await;
        assert_eq!((site.stored.store.count(Step::Create), site.stored.store.count(Step::Delete)), (1, 0), "{kind:?}");
        assert_eq!(open(&site.stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

/// A double that comes when all have refused would get a session that is gone.
#[tokio::test]
async fn a_double_that_comes_too_late_is_told_to_start_again() {
    for kind in KINDS {
        let site = Forwarding::new(kind);
        let (mut browser, started) = site.started().await;
        let at_first = browser.clone();
        let answer = site.begin(&browser, &started, 500).await;
        site.finish(&mut browser, answer).await;
        let late = site.begin(&at_first, &started, 303).await;
        late.gate.add_permits(1);
        let response = late.response.await.unwrap();
        assert_eq!(response.extensions().get(), Some(&ErrorKind::StateSpent), "{kind:?}");
        assert_eq!(response.status(), 400, "{kind:?}");
        assert!(site.stored.store.sessions().is_empty(), "{kind:?}");
    }
}
