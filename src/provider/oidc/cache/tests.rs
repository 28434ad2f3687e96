//! When something is fetched, how often, and what is used in between.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::http_client::{BoxFuture, HttpError, HttpErrorKind};

const HERE: Place<'static> = Place { url: "https://id.example.com/keys", issuer: "https://id.example.com" };
const ELSEWHERE: Place<'static> = Place { url: "https://id.example.com/other", issuer: "https://id.example.com" };
const NOW: u64 = 1_800_000_000;

/// A provider that numbers its answers.
struct Fake {
    requests: AtomicUsize,
    answers: std::sync::Mutex<Says>,
    /// One permit for each answer that may go.
    gate: Semaphore,
}

#[derive(Clone, Copy)]
enum Says {
    Number,
    Nothing,
    Status(u16),
    Panic,
}

impl Fake {
    fn new() -> Arc<Self> {
        let gate = Semaphore::new(Semaphore::MAX_PERMITS);
        Arc::new(Self { requests: AtomicUsize::new(0), answers: std::sync::Mutex::new(Says::Number), gate })
    }

    fn says(&self, says: Says) {
        *self.answers.lock().unwrap() = says;
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl HttpClient for Fake {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            assert_eq!(request.headers()[ACCEPT], "application/json");
            let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
            let _permit = self.gate.acquire().await;
            let says = *self.answers.lock().unwrap();
            match says {
                Says::Number => Ok(Response::new(number.to_string().into())),
                Says::Nothing => Err(HttpError::new(HttpErrorKind::Unreachable)),
                Says::Status(status) => Ok(Response::builder().status(status).body("1".into()).unwrap()),
                Says::Panic => panic!("the HTTP client panics"),
            }
        })
    }
}

/// The cache, its provider, and a layer's own way to hand it over.
struct Stage {
    cached: Arc<Cached<String>>,
    fake: Arc<Fake>,
    http: Arc<dyn HttpClient>,
}

impl Stage {
    fn new() -> Arc<Self> {
        let read = |answer: &Response<Bytes>, _: &str| Ok(String::from_utf8(answer.body().to_vec()).unwrap());
        let fake = Fake::new();
        let http: Arc<dyn HttpClient> = Arc::<Fake>::clone(&fake);
        Arc::new(Self { cached: Cached::new("it could not be fetched", read), fake, http })
    }

    fn context(&self, now: u64) -> Context<'_> {
        Context::new(&*self.http, time(now), "").sharing(&self.http)
    }

    async fn get(&self, now: u64) -> Result<Arc<String>, Error> {
        self.cached.get(self.context(now), HERE).await
    }

    /// What is got, as text: the number of the answer, or the code of the error.
    async fn got(&self, now: u64) -> String {
        self.get(now).await.map_or_else(|error| error.kind().code().to_owned(), |number| (*number).clone())
    }
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_whoever_waits() {
    let stage = Stage::new();
    stage.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    let mut waiting = JoinSet::new();
    for _ in 0..50 {
        let stage = Arc::clone(&stage);
        waiting.spawn(async move { stage.got(NOW).await });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.fake.gate.add_permits(1);
    assert_eq!(waiting.join_all().await, vec!["1"; 50]);
    assert_eq!(stage.fake.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn it_is_fetched_again_after_its_lifetime_and_not_before() {
    let stage = Stage::new();
    for (later, number) in
        [(0, "1"), (LIFETIME - 1, "1"), (LIFETIME, "2"), (2 * LIFETIME - 1, "2"), (9 * LIFETIME, "3")]
    {
        assert_eq!(stage.got(NOW + later).await, number, "{later}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_for_a_moment_and_heals() {
    for (says, code) in [
        (Says::Nothing, "provider_unreachable"),
        (Says::Status(500), "provider_failed"),
        (Says::Status(429), "provider_busy"),
        (Says::Status(503), "provider_busy"),
        (Says::Status(404), "provider_answer_unreadable"),
        (Says::Status(302), "provider_answer_unreadable"),
        (Says::Panic, "provider_unreachable"),
    ] {
        let stage = Stage::new();
        stage.fake.says(says);
        for later in 0..FLOOR {
            assert_eq!(stage.got(NOW + later).await, code);
        }
        assert_eq!(stage.fake.requests(), 1, "{code}: a flood");
        assert!(stage.get(NOW).await.unwrap_err().reason().is_some(), "{code}");
        stage.fake.says(Says::Number);
        assert_eq!(stage.got(NOW + FLOOR).await, "2", "{code}: it does not heal");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_one_is_better_than_none() {
    let stage = Stage::new();
    assert_eq!(stage.got(NOW).await, "1");
    stage.fake.says(Says::Nothing);
    let old = NOW + LIFETIME;
    assert!(!stage.cached.is_at_hand(old, HERE));
    for later in 0..FLOOR {
        assert_eq!(stage.got(old + later).await, "1");
        assert!(stage.cached.is_at_hand(old + later, HERE), "there is nothing to wait for within the floor");
    }
    assert_eq!(stage.fake.requests(), 2);
    assert_eq!(stage.got(old + FLOOR).await, "1");
    stage.fake.says(Says::Number);
    assert_eq!(stage.got(old + 2 * FLOOR).await, "4");
}

#[tokio::test(start_paused = true)]
async fn what_lies_elsewhere_is_another_document() {
    let stage = Stage::new();
    assert_eq!(stage.got(NOW).await, "1");
    assert!(!stage.cached.is_at_hand(NOW, ELSEWHERE));
    assert_eq!(*stage.cached.get(stage.context(NOW), ELSEWHERE).await.unwrap(), "2");
    stage.fake.says(Says::Nothing);
    assert_eq!(stage.got(NOW).await, "provider_unreachable");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_goes_back_does_not_make_it_last() {
    let stage = Stage::new();
    assert_eq!(stage.got(NOW).await, "1");
    assert_eq!(stage.got(NOW - 1).await, "2", "it is from a time to come");
    assert_eq!(stage.got(NOW - 1 + LIFETIME).await, "3");

    let stage = Stage::new();
    stage.fake.says(Says::Nothing);
    assert_eq!(stage.got(NOW).await, "provider_unreachable");
    stage.fake.says(Says::Number);
    assert_eq!(stage.got(NOW - 1).await, "2", "the failure sticks");
    let old = stage.get(NOW - 1).await.unwrap();
    assert!(stage.cached.newer(stage.context(NOW), HERE, &old).await.is_some());
    let old = stage.cached.known().unwrap();
    assert!(stage.cached.newer(stage.context(NOW - 1), HERE, &old).await.is_some(), "the floor sticks");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_loses_nothing() {
    let stage = Stage::new();
    stage.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    for _ in 0..5 {
        // The browser goes away.
        assert!(timeout(Duration::from_secs(1), stage.get(NOW)).await.is_err());
    }
    assert_eq!(stage.fake.requests(), 1);
    stage.fake.gate.add_permits(1);
    assert_eq!(stage.got(NOW).await, "1");
    assert_eq!(stage.fake.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lent_client_works_and_leaves_nothing_running() {
    let stage = Stage::new();
    let lent = |now| Context::new(&*stage.fake, time(now), "");
    stage.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    assert!(timeout(Duration::from_secs(1), stage.cached.get(lent(NOW), HERE)).await.is_err());
    stage.fake.gate.add_permits(9);
    assert_eq!(stage.cached.get(lent(NOW + 1), HERE).await.unwrap_err().kind(), ErrorKind::ProviderUnreachable);
    assert_eq!(stage.cached.get(lent(NOW + FLOOR), HERE).await.unwrap_err().kind(), ErrorKind::ProviderUnreachable);
    assert_eq!(*stage.cached.get(lent(NOW + 1 + FLOOR), HERE).await.unwrap(), "2", "from its end, after a second");
}

#[tokio::test(start_paused = true)]
async fn a_newer_one_is_sought_once_in_a_while() {
    let stage = Stage::new();
    let first = stage.get(NOW).await.unwrap();
    let newer = |now: u64, than: &Arc<String>| {
        let (stage, than) = (Arc::clone(&stage), Arc::clone(than));
        async move { stage.cached.newer(stage.context(now), HERE, &than).await.map(|number| (*number).clone()) }
    };
    assert_eq!(newer(NOW, &first).await.as_deref(), Some("2"), "whenever the first one was fetched");
    assert_eq!(newer(NOW, &first).await.as_deref(), Some("2"), "it is here already");
    assert_eq!(stage.fake.requests(), 2);
    let second = stage.cached.known().unwrap();
    for later in 0..FLOOR {
        assert_eq!(newer(NOW + later, &second).await, None, "{later}");
    }
    assert_eq!(stage.fake.requests(), 2);
    let many: JoinSet<_> = (0..20).map(|_| newer(NOW + FLOOR, &second)).collect();
    assert_eq!(many.join_all().await, vec![Some("3".to_owned()); 20]);
    assert_eq!(stage.fake.requests(), 3);
    stage.fake.says(Says::Nothing);
    let third = stage.cached.known().unwrap();
    assert_eq!(newer(NOW + 2 * FLOOR, &third).await, None);
    assert_eq!(stage.got(NOW + 2 * FLOOR).await, "3", "the last good one is kept");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_holds_nobody_for_ever() {
    let stage = Stage::new();
    assert_eq!(stage.got(NOW).await, "1");
    stage.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    let began = Instant::now();
    assert_eq!(stage.got(NOW + LIFETIME).await, "1");
    assert_eq!(began.elapsed(), PATIENCE, "with an old one at hand");

    let stage = Stage::new();
    stage.fake.gate.forget_permits(Semaphore::MAX_PERMITS);
    let began = Instant::now();
    assert_eq!(stage.got(NOW).await, "provider_timeout");
    assert_eq!(began.elapsed(), FETCH_TIME, "with none");
}

#[test]
fn without_a_runtime_it_is_an_error() {
    let stage = Stage::new();
    let mut got = std::pin::pin!(stage.get(NOW));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(got) = got.as_mut().poll(&mut context) else { panic!("it waits") };
    assert_eq!(got.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(stage.fake.requests(), 0);
}
