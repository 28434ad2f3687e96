//! What many sessions and many abandoned logins take.
//!
//! `cargo bench --bench scale` prints two tables; it takes about a minute and half a gigabyte, and needs Linux, where the
//! resident memory is told by /proc/self/status.
//!
//! The first is of a `MemoryStore` that holds 1, 100,000 and 1,000,000 sessions of 300 bytes each: `KiB` is by how much the
//! resident memory grew while the store was made and filled, `bytes each` the same per session. `ns` is the time of a request by
//! somebody chosen at random among at most 20,000 whose sessions stand evenly spread in the store, and `ns of 8` of one by
//! somebody among 8: what the store itself does more for many sessions is in both, and what the processor's caches don't hold
//! is in the first alone. The stores take turns of 200 requests, times are those of the fastest turn, and each `ratio` is the
//! median over all turns of the time in comparison with the store of one session.
//!
//! The second is of logins that nobody finished: the resident memory after so many, less that after the first 1,000.

#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

#[path = "situations/memory.rs"]
mod memory;
#[path = "situations/visit.rs"]
mod visit;

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Instant, SystemTime};

use http::header::COOKIE;
use http::{Request, Response};
use tower::{Layer as _, Service};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{
    Admission, BoxFuture, Builder, Identity, Keys, MemoryStore, SessionGroup, SessionKey, SessionRecord, SessionStore,
    SignIn, SignInService, StoreError,
};

use memory::resident;
use visit::{Canned, callback, kept_cookies};

const SESSIONS: [usize; 3] = [1, 100_000, 1_000_000];

/// Sessions at most that requests are made for, so that the benchmark's own memory stays small.
const SAMPLE: usize = 20_000;

const SESSION_BYTES: usize = 300;
/// So much data of the application makes alice's session as long as that.
const PADDING: usize = 5;

/// Turns of each store, and requests of a turn.
const TURNS: usize = 500;
const TIMES: usize = 200;

const LOGINS: [usize; 3] = [10_000, 100_000, 1_000_000];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let bitbadges = DevProvider::start().await.unwrap();
    sessions(&bitbadges).await;
    println!();
    abandoned_logins(&bitbadges).await;
}

async fn sessions(bitbadges: &DevProvider) {
    let mut stores = Vec::new();
    for count in SESSIONS {
        stores.push(Filled::new(bitbadges, count).await);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut of_few, mut of_all) = (vec![Vec::new(); stores.len()], vec![Vec::new(); stores.len()]);
    for _ in 0..TURNS {
        for (turns, store) in of_few.iter_mut().zip(&mut stores) {
            turns.push(store.turn(&mut random, 8));
        }
        for (turns, store) in of_all.iter_mut().zip(&mut stores) {
            turns.push(store.turn(&mut random, SAMPLE));
        }
    }
    println!(
        "{:<12} {:>9} {:>11} {:>9} {:>7} {:>9} {:>7}",
        "sessions", "KiB", "bytes each", "ns of 8", "ratio", "ns", "ratio"
    );
    for (at, store) in stores.iter().enumerate() {
        let (count, bytes) = (store.count, store.grown);
        let (few, few_ratio) = (fastest(&of_few[at]), median_ratio(&of_few[at], &of_few[0]));
        let (all, all_ratio) = (fastest(&of_all[at]), median_ratio(&of_all[at], &of_all[0]));
        println!(
            "{count:<12} {:>9} {:>11} {few:>9.0} {few_ratio:>7.2} {all:>9.0} {all_ratio:>7.2}",
            bytes / 1024,
            bytes / count
        );
    }
}

fn fastest(turns: &[f64]) -> f64 {
    turns.iter().copied().fold(f64::MAX, f64::min)
}

fn median_ratio(turns: &[f64], others: &[f64]) -> f64 {
    let mut ratios: Vec<_> = turns.iter().zip(others).map(|(this, other)| this / other).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// A store with so many sessions in it, and the cookies of some.
struct Filled {
    count: usize,
    /// By so many bytes the resident memory grew.
    grown: usize,
    cookies: Vec<String>,
    service: SignInService<Handler>,
}

impl Filled {
    /// The sample signs in through the layer, into a store that takes note of what it is given. Then the store to be measured
    /// is filled with that and with like sessions of other keys.
    async fn new(bitbadges: &DevProvider, count: usize) -> Self {
        let slot = Slot::default();
        let sign_in = built(bitbadges, |builder| {
            // As much as makes a session of 300 bytes with the address and the claims.
            let builder = builder.on_sign_in(|_| async { Admission::with_data(&"x".repeat(PADDING)) });
            builder.session_store(slot.clone())
        });
        let mut service = sign_in.layer().layer(Handler);
        let mut cookies = Vec::new();
        for _ in 0..count.min(SAMPLE) {
            let callback = callback(&mut service, bitbadges).await;
            let response = service.call(callback).await.unwrap();
            assert_eq!(response.status(), 303);
            cookies.push(kept_cookies(&response));
        }
        let sample = slot.noted();
        assert_eq!(sample.len(), cookies.len());
        let (_, record) = sample[0].clone();
        assert_eq!(record.bytes().len(), SESSION_BYTES);

        let before = resident();
        let store = MemoryStore::with_capacity(count);
        let mut random = Random(count as u64);
        let step = count / sample.len();
        for at in 0..count {
            let (key, record) = if at % step == 0 && at / step < sample.len() {
                sample[at / step].clone()
            } else {
                (random.key(), record.clone())
            };
            // Bytes of its own, made as the layer makes them.
            let record = SessionRecord::new(record.bytes().to_vec(), 0, record.expires_at());
            assert!(store.create(key, record).await.unwrap());
        }
        let grown = resident() - before;
        slot.fill(store);
        let mut filled = Self { count, grown, cookies, service };
        filled.prove();
        filled
    }

    fn prove(&mut self) {
        let alice = Account::alice().bitbadges_address;
        for at in [0, self.cookies.len() / 2, self.cookies.len() - 1] {
            let request = self.request(at);
            let response = answer(&mut self.service, request);
            let subject = response.extensions().get::<Identity>().map(Identity::subject);
            assert_eq!(subject, Some(alice.as_str()), "session {at} of {}", self.count);
        }
    }

    fn request(&self, at: usize) -> Request<()> {
        Request::get("http://localhost:3000/page?x=1").header(COOKIE, &self.cookies[at]).body(()).unwrap()
    }

    /// Nanoseconds per request, by so many people at most.
    fn turn(&mut self, random: &mut Random, people: usize) -> f64 {
        let people = people.min(self.cookies.len());
        let requests: Vec<_> = (0..TIMES).map(|_| self.request(random.below(people))).collect();
        let start = Instant::now();
        for request in requests {
            drop(black_box(answer(&mut self.service, request)));
        }
        start.elapsed().as_nanos() as f64 / TIMES as f64
    }
}

async fn abandoned_logins(bitbadges: &DevProvider) {
    let sign_in = built(bitbadges, |builder| builder);
    let mut service = sign_in.layer().layer(Handler);
    let mut begin = |from, to| {
        for _ in from..to {
            let login = Request::get("http://localhost:3000/auth/login?return_to=%2Fme");
            let response = answer(&mut service, login.header("sec-fetch-mode", "navigate").body(()).unwrap());
            assert_eq!(response.status(), 303);
        }
    };
    let mut done = 1_000;
    begin(0, done);
    let before = resident();
    println!("{:<12} {:>9}", "logins", "KiB");
    for count in LOGINS {
        begin(done, count);
        done = count;
        println!("{count:<12} {:>9}", (resident() as i64 - before as i64) / 1024);
    }
}

fn built(bitbadges: &DevProvider, configure: impl FnOnce(Builder) -> Builder) -> SignIn {
    let builder = SignIn::builder(bitbadges.siwbb())
        .redirect_uri("http://localhost:3000/auth/callback")
        .keys(Keys::generate().unwrap())
        .http_client(Canned::new());
    configure(builder).build().unwrap()
}

/// Notes what it is to keep, until it is given the store that keeps it.
#[derive(Clone, Default)]
struct Slot(Arc<SlotState>);

#[derive(Default)]
struct SlotState {
    noted: Mutex<Vec<(SessionKey, SessionRecord)>>,
    store: OnceLock<MemoryStore>,
}

impl Slot {
    fn noted(&self) -> Vec<(SessionKey, SessionRecord)> {
        self.0.noted.lock().unwrap().clone()
    }

    fn fill(&self, store: MemoryStore) {
        self.0.noted.lock().unwrap().clear();
        assert!(self.0.store.set(store).is_ok());
    }

    fn store(&self) -> &MemoryStore {
        self.0.store.get().expect("it is only noted yet what is to be kept")
    }
}

impl SessionStore for Slot {
    fn is_private(&self) -> bool {
        true
    }

    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.noted.lock().unwrap().push((key, record));
        Box::pin(ready(Ok(true)))
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.store().load(key)
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store().update(key, record)
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.store().touch(key, expires_at)
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store().delete(key)
    }

    fn join(&self, _: SessionGroup, _: SessionKey, _: SystemTime) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store().leave(group, member)
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        self.store().members(group)
    }
}

/// A handler that looks who is there, and says so in the response's extensions.
#[derive(Clone)]
struct Handler;

impl Service<Request<()>> for Handler {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let mut response = Response::new(());
        if let Some(identity) = request.extensions().get::<Identity>() {
            response.extensions_mut().insert(identity.clone());
        }
        ready(Ok(response))
    }
}

/// The answer of a service that gives it at its first poll.
fn answer<S>(service: &mut S, request: Request<()>) -> S::Response
where
    S: Service<Request<()>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_ready());
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("the service did not answer at once"),
    }
}

/// Marsaglia's xorshift: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn key(&mut self) -> SessionKey {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        SessionKey::new(bytes)
    }
}
