//! A store that is away, refuses, hangs or panics.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tower_signin::{Builder, ManualClock};

use crate::double::{Double, Fault, Kind, STEPS};
use crate::place::{LIFE, Place, after, sees, signs_in};
use crate::support::Browser;
use crate::table::Seen;

const FAULTS: [(&str, Fault); 4] = [
    ("can't be reached", Fault::Unreachable),
    ("says no", Fault::Failed),
    ("never answers", Fault::Hangs),
    ("panics", Fault::Panics),
];

/// The default bound of a list, in seconds.
const BOUND: u64 = 10;

struct Shared {
    place: Place,
    store: Double,
    clock: Arc<ManualClock>,
}

impl Shared {
    async fn start(share: fn(Builder, Double) -> Builder) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(now)));
        let store = Double::new(Kind::Sealed, &clock);
        let (shared, its) = (store.clone(), Arc::clone(&clock));
        let place = Place::start(|builder| {
            let builder = builder.session_lifetime(Duration::from_secs(30 * LIFE)).keep_tokens().clock(its);
            share(builder, shared)
        });
        let mut place = place.await;
        place.clock = Arc::clone(&clock);
        place.same_clock();
        Self { place, store, clock }
    }

    /// What a request comes to, and after how many seconds: while a store hangs, by the clock of the deadlines.
    async fn outwait(&self, fault: Fault, request: impl Future<Output = String> + Send + 'static) -> String {
        self.store.forget();
        self.store.fail(&STEPS, fault);
        let task = tokio::spawn(request);
        if fault == Fault::Hangs {
            while self.store.asked_for().is_empty() && !task.is_finished() {
                tokio::task::yield_now().await;
            }
            tokio::time::pause();
        }
        let began = Instant::now();
        let seen = task.await.unwrap();
        let took = began.elapsed().as_secs();
        if fault == Fault::Hangs {
            tokio::time::resume();
        }
        self.store.recover();
        after(seen, took)
    }

    async fn page(&self, fault: Fault, browser: &Browser) -> String {
        let (mut visitor, url) = (browser.clone(), self.place.url("/guarded"));
        self.outwait(fault, async move {
            let seen = sees(&visitor.get(&url).await);
            assert!(!visitor.jar.is_empty(), "no cookie goes");
            seen
        })
        .await
    }
}

#[tokio::test]
async fn a_store_at_fault_signs_nobody_out_and_nobody_in() {
    let mut seen = Seen::of("The store");
    for (name, fault) in FAULTS {
        let shared = Shared::start(|builder, store| builder.session_store(store)).await;
        rows(&mut seen, name, fault, &shared, "stored").await;
        let browser = shared.place.signed_in().await;
        let page = shared.page(fault, &browser).await;
        let next = shared.place.guarded(&mut browser.clone()).await;
        seen.row(name, "a page, stored", page, next);
        sign_out(&mut seen, name, fault, &shared, "stored").await;

        let shared = Shared::start(|builder, store| builder.revocation_list(store)).await;
        rows(&mut seen, name, fault, &shared, "listed").await;
        let browser = shared.place.signed_in().await;
        assert_eq!(shared.place.guarded(&mut browser.clone()).await, "alice");
        let within = shared.page(fault, &browser).await;
        shared.clock.advance(Duration::from_secs(BOUND));
        let beyond = shared.page(fault, &browser).await;
        let next = shared.place.guarded(&mut browser.clone()).await;
        seen.row(name, "a page, listed", format!("{within}; then {beyond}"), next);
        sign_out(&mut seen, name, fault, &shared, "listed").await;
    }
    seen.check();
}

/// A callback, which is loaded again afterwards.
async fn rows(seen: &mut Seen, name: &str, fault: Fault, shared: &Shared, kept: &str) {
    let mut browser = Browser::new();
    let started = browser.start(&shared.place.origin, "/target").await;
    let callback = browser.approve(&started, "alice").await;
    let (mut visitor, url) = (browser.clone(), callback.clone());
    let first = shared.outwait(fault, async move { sees(&visitor.get(&url).await) }).await;
    shared.clock.advance(Duration::from_secs(BOUND));
    let next = sees(&browser.get(&callback).await);
    assert_eq!(shared.place.guarded(&mut browser).await, "alice", "{name}, {kept}");
    seen.row(name, &format!("sign-in, {kept}"), first, format!("the same callback: {next}"));
}

async fn sign_out(seen: &mut Seen, name: &str, fault: Fault, shared: &Shared, kept: &str) {
    let browser = shared.place.signed_in().await;
    let (mut visitor, url) = (browser.clone(), shared.place.url("/auth/logout"));
    let out = shared.outwait(fault, async move {
        let seen = sees(&visitor.post(&url, "").await);
        assert!(visitor.jar.is_empty(), "{:?}", visitor.jar.keys());
        seen
    });
    let out = out.await;
    let copy = shared.place.guarded(&mut browser.clone()).await;
    assert_eq!(signs_in(&mut Browser::new(), &shared.place.origin).await, "signed in", "{name}, {kept}");
    seen.row(name, &format!("sign-out, {kept}"), out, format!("a copy of the cookies: {copy}"));
}
