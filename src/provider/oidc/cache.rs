//! What a provider publishes, fetched when somebody needs it, and kept.
//!
//! One fetch runs at a time, whoever waits for it, and in a task of its own, so that requests that go away neither lose it nor
//! set off another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use crate::clock::unix_seconds;
use crate::error::{Error, ErrorKind};
use crate::http_client::HttpClient;
use crate::oauth::answer::{busy, failed, unreadable};
use crate::provider::Context;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// One document of one provider.
pub(super) struct Cached<T> {
    /// Said of a fetch that failed for no better reason.
    not_fetched: &'static str,
    /// Reads an answer about this issuer.
    read: fn(&Response<Bytes>, &str) -> Result<T, Error>,
    state: Mutex<State<T>>,
}

struct State<T> {
    good: Option<Good<T>>,
    /// The last fetch, if it failed, and when it began.
    failure: Option<(u64, Arc<Error>)>,
    /// When one was fetched although a good one was there.
    sought_newer_at: Option<u64>,
    /// Turns true at its end.
    running: Option<watch::Receiver<bool>>,
}

struct Good<T> {
    document: Arc<T>,
    url: String,
    fetched_at: u64,
}

/// What to fetch, and of whom.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) url: &'a str,
    pub(super) issuer: &'a str,
}

/// Seconds for which a document is good without being fetched again. It is used for longer while the provider does not
/// answer.
const LIFETIME: u64 = 3600;

/// Seconds in which at most one fetch begins for want of a document, and at most one for want of a newer one.
const FLOOR: u64 = 5;

const FETCH_TIME: Duration = Duration::from_secs(15);

/// How long a fetch is waited for by whoever has an older document.
const PATIENCE: Duration = Duration::from_secs(2);

enum Step<T: Send + Sync + 'static> {
    Known(Arc<T>),
    Failed(Arc<Error>),
    Wait(watch::Receiver<bool>),
    Fetch(End<T>, watch::Receiver<bool>),
}

impl<T: Send + Sync + 'static> Cached<T> {
    pub(super) fn new(not_fetched: &'static str, read: fn(&Response<Bytes>, &str) -> Result<T, Error>) -> Arc<Self> {
        let state = State { good: None, failure: None, sought_newer_at: None, running: None };
        Arc::new(Self { not_fetched, read, state: Mutex::new(state) })
    }

    /// The last good one, however old.
    pub(super) fn known(&self) -> Option<Arc<T>> {
        self.lock().good.as_ref().map(|good| Arc::clone(&good.document))
    }

    /// Whether [`get`](Self::get) has nothing to wait for and nothing to refuse.
    pub(super) fn is_at_hand(&self, now: u64, place: Place<'_>) -> bool {
        let state = self.lock();
        state.good_from(place).is_some_and(|good| state.is_good_enough(good, now))
    }

    /// A good document: the one at hand while it is new, or a newer one, or the old one where none comes.
    pub(super) async fn get(self: &Arc<Self>, context: Context<'_>, place: Place<'_>) -> Result<Arc<T>, Error> {
        match self.next_step(unix_seconds(context.now()), place) {
            Step::Known(document) => return Ok(document),
            Step::Failed(error) => return Err(again(&error)),
            Step::Wait(running) => self.wait(running, place).await?,
            Step::Fetch(end, running) => {
                self.start(end, context, place).await?;
                self.wait(running, place).await?;
            }
        }
        let state = self.lock();
        match (state.good_from(place), &state.failure) {
            (Some(good), _) => Ok(Arc::clone(&good.document)),
            (None, Some((_, error))) => Err(again(error)),
            (None, None) => Err(Error::new(ErrorKind::ProviderUnreachable).with_reason(self.not_fetched)),
        }
    }

    /// A document fetched after this one, if it can be had now.
    pub(super) async fn newer(
        self: &Arc<Self>,
        context: Context<'_>,
        place: Place<'_>,
        than: &Arc<T>,
    ) -> Option<Arc<T>> {
        match self.step_to_newer(unix_seconds(context.now()), place, than)? {
            Step::Known(document) => return Some(document),
            Step::Failed(_) => return None,
            Step::Wait(mut running) => drop(running.wait_for(|ended| *ended).await),
            Step::Fetch(end, mut running) => {
                self.start(end, context, place).await.ok()?;
                drop(running.wait_for(|ended| *ended).await);
            }
        }
        self.lock().newer_than(than, place)
    }

    fn next_step(self: &Arc<Self>, now: u64, place: Place<'_>) -> Step<T> {
        let mut state = self.lock();
        let good = state.good_from(place);
        if let Some(good) = good.filter(|good| state.is_good_enough(good, now)) {
            return Step::Known(Arc::clone(&good.document));
        }
        if let Some(running) = &state.running {
            return Step::Wait(running.clone());
        }
        match &state.failure {
            Some((at, error)) if is_within(*at, FLOOR, now) => Step::Failed(Arc::clone(error)),
            _ => self.begin(&mut state, now, place),
        }
    }

    fn step_to_newer(self: &Arc<Self>, now: u64, place: Place<'_>, than: &Arc<T>) -> Option<Step<T>> {
        let mut state = self.lock();
        if let Some(newer) = state.newer_than(than, place) {
            return Some(Step::Known(newer));
        }
        if let Some(running) = &state.running {
            return Some(Step::Wait(running.clone()));
        }
        if state.sought_newer_at.is_some_and(|at| is_within(at, FLOOR, now)) {
            return None;
        }
        state.sought_newer_at = Some(now);
        Some(self.begin(&mut state, now, place))
    }

    fn begin(self: &Arc<Self>, state: &mut State<T>, now: u64, place: Place<'_>) -> Step<T> {
        let (sender, receiver) = watch::channel(false);
        state.running = Some(receiver.clone());
        let interrupted = Err(Error::new(ErrorKind::ProviderUnreachable).with_reason(self.not_fetched));
        let end = End {
            cached: Arc::clone(self),
            url: place.url.to_owned(),
            began_at: now,
            started: Instant::now(),
            sender,
            outcome: interrupted,
        };
        Step::Fetch(end, receiver)
    }

    /// Where the HTTP client is lent, as by tests of a provider, there is no task, and the fetch has ended with this call.
    async fn start(&self, end: End<T>, context: Context<'_>, place: Place<'_>) -> Result<(), Error> {
        let runtime = runtime()?;
        let issuer = place.issuer.to_owned();
        match context.shared_http() {
            Some(http) => {
                let span = tracing::info_span!("fetch", url = place.url);
                runtime.spawn(async move { end.run(&*http, &issuer).await }.instrument(span));
            }
            None => end.run(context.http(), &issuer).await,
        }
        Ok(())
    }

    /// What comes of it is read from the state.
    async fn wait(&self, mut running: watch::Receiver<bool>, place: Place<'_>) -> Result<(), Error> {
        runtime()?;
        let has_old_one = self.lock().good_from(place).is_some();
        let ended = running.wait_for(|ended| *ended);
        if has_old_one {
            drop(timeout(PATIENCE, ended).await)
        } else {
            drop(ended.await)
        }
        Ok(())
    }

    /// No code of anyone else's runs under this lock, so a poisoned state is still whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn good_from(&self, place: Place<'_>) -> Option<&Good<T>> {
        self.good.as_ref().filter(|good| good.url == place.url)
    }

    /// New, or as new as can be had for now.
    fn is_good_enough(&self, good: &Good<T>, now: u64) -> bool {
        is_within(good.fetched_at, LIFETIME, now)
            || self.failure.as_ref().is_some_and(|(at, _)| is_within(*at, FLOOR, now))
    }

    fn newer_than(&self, than: &Arc<T>, place: Place<'_>) -> Option<Arc<T>> {
        let good = self.good_from(place).filter(|good| !Arc::ptr_eq(&good.document, than));
        good.map(|good| Arc::clone(&good.document))
    }
}

/// Timers need one.
fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|error| Error::new(ErrorKind::Internal).with_source(error))
}

/// A clock that was set back prolongs nothing.
fn is_within(at: u64, seconds: u64, now: u64) -> bool {
    (at..at.saturating_add(seconds)).contains(&now)
}

/// Records the end of a fetch when dropped, so that none runs for ever, whatever becomes of its task.
struct End<T: Send + Sync + 'static> {
    cached: Arc<Cached<T>>,
    url: String,
    began_at: u64,
    started: Instant,
    sender: watch::Sender<bool>,
    outcome: Result<T, Error>,
}

impl<T: Send + Sync + 'static> End<T> {
    async fn run(mut self, http: &dyn HttpClient, issuer: &str) {
        self.outcome = self.fetch(http, issuer).await;
    }

    async fn fetch(&self, http: &dyn HttpClient, issuer: &str) -> Result<T, Error> {
        let request = Request::get(&self.url)
            .header(ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| ErrorKind::Internal)?;
        let answer = timeout(FETCH_TIME, http.send(request)).await.map_err(|_| ErrorKind::ProviderTimeout)??;
        check_status(&answer)?;
        (self.cached.read)(&answer, issuer)
    }
}

impl<T: Send + Sync + 'static> Drop for End<T> {
    fn drop(&mut self) {
        let interrupted = Err(ErrorKind::ProviderUnreachable.into());
        let outcome = std::mem::replace(&mut self.outcome, interrupted);
        let mut state = self.cached.lock();
        state.running = None;
        match outcome {
            Ok(document) => {
                state.failure = None;
                let url = std::mem::take(&mut self.url);
                state.good = Some(Good { document: Arc::new(document), url, fetched_at: self.began_at });
                drop(state);
            }
            Err(error) => {
                let error = if error.reason().is_none() { error.with_reason(self.cached.not_fetched) } else { error };
                let (code, reason) = (error.kind().code(), error.reason());
                // From its end: one that was long in coming would else be followed by the next at once.
                let ended_at = self.began_at.saturating_add(self.started.elapsed().as_secs());
                state.failure = Some((ended_at, Arc::new(error)));
                drop(state);
                tracing::warn!(url = self.url, code, reason, "what the provider publishes could not be fetched");
            }
        }
        self.sender.send_replace(true);
    }
}

pub(super) fn check_status(answer: &Response<Bytes>) -> Result<(), Error> {
    match answer.status() {
        StatusCode::OK => Ok(()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(busy("the provider takes no more requests for now", answer))
        }
        status if status.is_server_error() => Err(failed("the provider answered with an error of its own")),
        _ => Err(unreadable("the provider answered with another status than 200")),
    }
}

/// The same error for one more who waited.
fn again(error: &Arc<Error>) -> Error {
    let mut same = Error::new(error.kind()).with_source(Arc::clone(error));
    if let Some(reason) = error.reason() {
        same = same.with_reason(reason);
    }
    match error.retry_after() {
        Some(seconds) => same.with_retry_after(seconds),
        None => same,
    }
}

#[cfg(test)]
mod tests;
