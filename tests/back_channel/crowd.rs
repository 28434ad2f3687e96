//! However many come at once: a bounded number is worked on, and nobody who sends slowly keeps a token from being followed.

use std::convert::Infallible;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http_body::{Body, Frame};
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::double::{Kind, Step};
use crate::support::text;
use crate::teller::{Fault, Token};
use crate::{DONE, FORM, NOT_DONE, PATH, REJECTED, Told, token, told};

const MOST_WORKED_ON: usize = 64;
const MOST_READ: usize = 1024;

#[tokio::test]
async fn one_more_than_can_be_worked_on_is_told_to_come_again() {
    let told_of = Arc::new(Told::new(Kind::Private));
    let gates = told_of.store.hold(Step::Load);
    let tell = |told_of: &Arc<Told>| {
        let told_of = Arc::clone(told_of);
        tokio::spawn(async move { told(&told_of.tell(&token()).await) })
    };
    let waiting: Vec<_> = (0..MOST_WORKED_ON).map(|_| tell(&told_of)).collect();
    while told_of.store.count(Step::Load) < MOST_WORKED_ON {
        tokio::task::yield_now().await;
    }
    let last = told_of.tell(&token()).await;
    assert_eq!(told(&last), NOT_DONE);
    assert_eq!(last.headers()[RETRY_AFTER], "5");
    assert!(text(&last).contains("too many notices come at once"), "{}", text(&last));
    assert_eq!(told_of.store.count(Step::Load), MOST_WORKED_ON);
    for gate in [gates.before, gates.after] {
        gate.add_permits(MOST_WORKED_ON + 1);
    }
    for one in waiting {
        assert_eq!(one.await.unwrap(), DONE);
    }
    assert_eq!(told(&told_of.tell(&token()).await), DONE, "there is room again");
}

/// Anybody can send tokens that nobody signed. The provider is asked for newer keys then, and may take its time.
#[tokio::test]
async fn forged_tokens_keep_nobody_s_token_from_being_followed() {
    for count in [MOST_WORKED_ON, MOST_READ, 3 * MOST_READ] {
        let told_of = Arc::new(Told::new(Kind::Private));
        let browser = told_of.site.signed_in().await;
        let gate = Arc::new(Semaphore::new(0));
        told_of.teller.set_fault(Some(Fault::WaitsForKeys(Arc::clone(&gate))));
        let forge = || {
            let told_of = Arc::clone(&told_of);
            tokio::spawn(async move { told(&told_of.tell(&Token { signature: "forged", ..token() }).await) })
        };
        let forged: Vec<_> = (0..count).map(|_| forge()).collect();
        while told_of.teller.begun() < count {
            tokio::task::yield_now().await;
        }
        assert_eq!(told(&told_of.tell(&token()).await), DONE, "{count}");
        assert!(!told_of.knows(&browser).await, "{count}");
        gate.add_permits(count);
        for one in forged {
            assert!([NOT_DONE, REJECTED].contains(&one.await.unwrap()), "{count}");
        }
    }
}

#[tokio::test]
async fn of_one_token_that_comes_many_times_at_once_one_counts() {
    for kind in [Kind::Private, Kind::Later] {
        let told_of = Arc::new(Told::new(kind));
        let browser = told_of.site.signed_in().await;
        let token = token();
        let all: Vec<_> = (0..20)
            .map(|_| {
                let (told_of, token) = (Arc::clone(&told_of), token.clone());
                tokio::spawn(async move { told(&told_of.tell(&token).await) })
            })
            .collect();
        let mut answers = Vec::new();
        for one in all {
            answers.push(one.await.unwrap());
        }
        assert_eq!(answers.iter().filter(|answer| **answer == DONE).count(), 1, "{kind:?}: {answers:?}");
        assert!(answers.iter().all(|answer| [DONE, REJECTED].contains(answer)), "{kind:?}: {answers:?}");
        assert!(!told_of.knows(&browser).await, "{kind:?}");
    }
}

/// A form that never comes.
struct Slow {
    begun: Arc<AtomicUsize>,
    is_begun: bool,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !mem::replace(&mut self.is_begun, true) {
            self.begun.fetch_add(1, Ordering::SeqCst);
        }
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn slow_senders_keep_nobody_s_token_from_being_followed() {
    for (senders, turned_away) in [(1000, 0), (MOST_READ, 1), (3 * MOST_READ, 2 * MOST_READ + 1)] {
        let told_of = Told::new(Kind::Private);
        let browser = told_of.site.signed_in().await;
        let begun = Arc::new(AtomicUsize::new(0));
        let slow = || {
            let body = Slow { begun: Arc::clone(&begun), is_begun: false };
            let inner = service_fn(|_: Request<Slow>| async {
                Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
            });
            let request = Request::post(PATH).header(CONTENT_TYPE, FORM).body(body).unwrap();
            tokio::spawn(told_of.layer.layer(inner).oneshot(request))
        };
        let all: Vec<_> = (0..senders).map(|_| slow()).collect();
        while begun.load(Ordering::SeqCst) < senders {
            tokio::task::yield_now().await;
        }
        assert_eq!(told(&told_of.tell(&token()).await), DONE, "{senders}");
        assert!(!told_of.knows(&browser).await, "{senders}");
        while all.iter().filter(|one| one.is_finished()).count() < turned_away {
            tokio::task::yield_now().await;
        }
        // Who has been at it for longest makes room.
        let are_gone: Vec<_> = all.iter().map(tokio::task::JoinHandle::is_finished).collect();
        assert_eq!(are_gone.iter().filter(|gone| **gone).count(), turned_away, "{senders}");
        assert!(are_gone.is_sorted_by(|before, after| before >= after), "{senders}: the oldest first");
        for one in all {
            assert_eq!(one.await.unwrap().unwrap().status(), 400, "{senders}: after ten seconds at the latest");
        }
    }
}
