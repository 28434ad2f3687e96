//! What this process knows of sessions beyond their cookies: which have ended, and who waits for the end of which.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::SessionId;
use super::bounded::Store;
use super::revocations::{Revocations, Watch};
use super::store::SessionKey;
use crate::clock::{Clock, unix_seconds};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::telemetry;

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnd {
    /// Its time is up.
    Expired,
    /// The person signed out.
    SignedOut,
    /// The same browser signed in anew.
    Replaced,
    /// The provider stands by it no longer.
    Revoked,
    /// It was ended from elsewhere, by [`SignIn::end_sessions_of`](crate::SignIn::end_sessions_of) or at another process: the
    /// session store has it no longer, or the revocation list has it.
    Elsewhere,
}

impl SessionEnd {
    /// A stable name, for logs and metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::SignedOut => "signed_out",
            Self::Replaced => "replaced",
            Self::Revoked => "revoked",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// The sessions of one [`SignIn`](crate::SignIn). Bounded: what has ended is forgotten after an hour, or once many more
/// have, and who waits holds an [`Identity`](crate::Identity).
pub(crate) struct Registry {
    id: u64,
    clock: Arc<dyn Clock>,
    store: Option<Arc<Store>>,
    revocations: Option<Arc<Revocations>>,
    sign_ins: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    ended: HashMap<SessionId, Ended>,
    /// Every entry of `ended`, oldest first, with the time it came.
    order: VecDeque<(SessionId, u64)>,
    watched: HashMap<SessionId, Watched>,
}

struct Ended {
    end: SessionEnd,
    /// Whether a response has deleted its cookies.
    is_deleted: bool,
}

struct Watched {
    sender: watch::Sender<State>,
    watchers: usize,
}

/// What a watcher is told.
#[derive(Clone, Copy)]
struct State {
    ends_at: u64,
    end: Option<SessionEnd>,
}

/// Responses that were begun before an end come within an hour, or never.
const REMEMBERED: u64 = 60 * 60;
const MOST_ENDED: usize = 65_536;

/// A watcher looks at the clock at least this often: it may be set, and a machine may sleep. And into the store, where other
/// processes renew and end sessions.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

impl Registry {
    pub(crate) fn new(clock: Arc<dyn Clock>, store: Option<Arc<Store>>, revocations: Option<Arc<Revocations>>) -> Self {
        // None of `crate::sync`: under shuttle it would have to be new for each order of turns.
        static NEXT_ID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            clock,
            store,
            revocations,
            sign_ins: AtomicU64::new(0),
            table: Mutex::default(),
        }
    }

    /// Tells one `SignIn` from every other in the process.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Somebody has signed in.
    pub(crate) fn signed_in(&self) {
        self.sign_ins.fetch_add(1, Ordering::AcqRel);
    }

    /// How many have signed in. While this stays the same, no browser has got a new session.
    pub(crate) fn sign_ins(&self) -> u64 {
        self.sign_ins.load(Ordering::Acquire)
    }

    /// From now on no response brings this session back. Where it has ended already, the word of the provider or of another
    /// node changes nothing. Gives the end that it had before.
    pub(crate) fn end(&self, id: SessionId, end: SessionEnd) -> Option<SessionEnd> {
        let now = unix_seconds(self.clock.now());
        let mut table = self.lock();
        let before = table.ended.get(&id).map(|ended| ended.end);
        if before.is_some() && matches!(end, SessionEnd::Revoked | SessionEnd::Elsewhere) {
            return before;
        }
        table.ended.entry(id).or_insert(Ended { end, is_deleted: false }).end = end;
        if before.is_none() {
            table.order.push_back((id, now));
            table.forget_old(now);
        }
        if let Some(watched) = table.watched.get(&id) {
            watched.sender.send_modify(|state| state.end = Some(end));
        }
        drop(table);
        if before.is_none() {
            telemetry::session_ended(end);
        }
        before
    }

    pub(crate) fn has_ended(&self, id: &SessionId) -> bool {
        self.end_of(id).is_some()
    }

    pub(crate) fn end_of(&self, id: &SessionId) -> Option<SessionEnd> {
        self.lock().ended.get(id).map(|ended| ended.end)
    }

    /// Whether a response may delete the cookies of a session that the provider or another node has ended: once only, since
    /// whoever lost it may have signed in again before an old request comes.
    pub(crate) fn may_delete(&self, id: &SessionId) -> bool {
        self.lock().ended.get_mut(id).is_none_or(|ended| !mem::replace(&mut ended.is_deleted, true))
    }

    /// Whoever waits for the end of this session waits longer.
    pub(crate) fn renewed(&self, id: &SessionId, ends_at: u64) {
        if let Some(watched) = self.lock().watched.get(id) {
            watched.sender.send_modify(|state| state.ends_at = state.ends_at.max(ends_at));
        }
    }

    /// Waits until a session is over. Renewals count from the call on, not from the first poll. `key` is what the store knows
    /// it by; no end in the store counts beyond `latest`. `watch` looks into the list for one that its cookie holds.
    pub(crate) fn ended(
        self: Arc<Self>,
        id: SessionId,
        ends_at: u64,
        latest: u64,
        key: Option<SessionKey>,
        watch: Option<Watch>,
    ) -> impl Future<Output = SessionEnd> + Send {
        let mut watcher = Watcher::new(self, id, ends_at);
        async move {
            loop {
                let state = *watcher.receiver.borrow_and_update();
                let left = state.ends_at.saturating_sub(unix_seconds(watcher.registry.clock.now()));
                match state.end {
                    Some(end) => return end,
                    None if left == 0 => return SessionEnd::Expired,
                    None => {}
                }
                let pause = watch.as_ref().map_or(LOOK_AT_CLOCK, |watch| watch.pause().min(LOOK_AT_CLOCK));
                let nap = pause.min(Duration::from_secs(left));
                if timeout(nap, watcher.receiver.changed()).await.is_err() {
                    if let Some(watch) = &watch
                        && watch.is_revoked().await
                    {
                        return watcher.registry.end(id, SessionEnd::Elsewhere).unwrap_or(SessionEnd::Elsewhere);
                    }
                    match watcher.registry.end_in_store(key).await {
                        Some(Some(later)) => watcher.registry.renewed(&id, later.min(latest)),
                        Some(None) if unix_seconds(watcher.registry.clock.now()) < state.ends_at => {
                            return watcher.registry.end_of(&id).unwrap_or(SessionEnd::Elsewhere);
                        }
                        Some(None) | None => {}
                    }
                }
            }
        }
    }

    /// The list of sessions that were ended before their time, if there is one.
    pub(crate) fn revocations(&self) -> Option<&Arc<Revocations>> {
        self.revocations.as_ref()
    }

    /// The end of a session as the store has it, or that it has none. `None` where there is nobody to ask, or no answer.
    async fn end_in_store(&self, key: Option<SessionKey>) -> Option<Option<u64>> {
        let (store, key) = (self.store.as_ref()?, key?);
        let record = store.load(key).await.ok()?;
        Some(record.map(|record| unix_seconds(record.expires_at())))
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn forget_old(&mut self, now: u64) {
        while let Some(&(id, ended)) = self.order.front() {
            if self.order.len() <= MOST_ENDED && now < ended.saturating_add(REMEMBERED) {
                break;
            }
            self.order.pop_front();
            self.ended.remove(&id);
        }
    }
}

/// One who waits; the last one to go takes the entry along.
struct Watcher {
    registry: Arc<Registry>,
    id: SessionId,
    receiver: watch::Receiver<State>,
}

impl Watcher {
    fn new(registry: Arc<Registry>, id: SessionId, ends_at: u64) -> Self {
        let mut table = registry.lock();
        let end = table.ended.get(&id).map(|ended| ended.end);
        let watched = table
            .watched
            .entry(id)
            .or_insert_with(|| Watched { sender: watch::channel(State { ends_at, end }).0, watchers: 0 });
        watched.watchers += 1;
        watched.sender.send_modify(|state| state.ends_at = state.ends_at.max(ends_at));
        let receiver = watched.sender.subscribe();
        drop(table);
        Self { registry, id, receiver }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut table = self.registry.lock();
        if let Some(watched) = table.watched.get_mut(&self.id) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                table.watched.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::time::SystemTime;

    fn registry() -> (Arc<ManualClock>, Arc<Registry>) {
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)));
        let registry = Arc::new(Registry::new(Arc::clone(&clock) as Arc<dyn Clock>, None, None));
        (clock, registry)
    }

    #[test]
    fn an_end_is_remembered_for_an_hour() {
        let (clock, registry) = registry();
        registry.end([1; 16], SessionEnd::SignedOut);
        clock.advance(Duration::from_secs(REMEMBERED - 1));
        registry.end([2; 16], SessionEnd::Replaced);
        assert!(registry.has_ended(&[1; 16]) && registry.has_ended(&[2; 16]) && !registry.has_ended(&[3; 16]));
        clock.advance(Duration::from_secs(1));
        registry.end([3; 16], SessionEnd::Replaced);
        assert!(!registry.has_ended(&[1; 16]) && registry.has_ended(&[2; 16]));
    }

    #[test]
    fn ends_are_bounded_and_the_newest_stay() {
        let (_, registry) = registry();
        for number in 0..=u128::try_from(MOST_ENDED).unwrap() {
            registry.end(number.to_be_bytes(), SessionEnd::SignedOut);
            registry.end(number.to_be_bytes(), SessionEnd::SignedOut);
        }
        let table = registry.lock();
        assert_eq!((table.ended.len(), table.order.len()), (MOST_ENDED, MOST_ENDED));
        assert!(!table.ended.contains_key(&0_u128.to_be_bytes()) && table.ended.contains_key(&1_u128.to_be_bytes()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_told_and_leaves_nothing_behind() {
        let (clock, registry) = registry();
        let wait = |ends_at| tokio::spawn(Arc::clone(&registry).ended([1; 16], ends_at, ends_at, None, None));
        let (one, other) = (wait(2000), wait(2000));
        tokio::task::yield_now().await;
        assert_eq!(registry.lock().watched[&[1; 16]].watchers, 2);
        other.abort();
        let _ = other.await;
        tokio::time::advance(Duration::from_secs(500)).await;
        assert!(!one.is_finished(), "only the clock counts");
        clock.advance(Duration::from_secs(999));
        tokio::time::advance(LOOK_AT_CLOCK).await;
        tokio::task::yield_now().await;
        assert!(!one.is_finished());
        clock.advance(Duration::from_secs(1));
        assert_eq!(one.await.unwrap(), SessionEnd::Expired);
        assert!(registry.lock().watched.is_empty());

        let signs_out = wait(5000);
        tokio::task::yield_now().await;
        registry.end([1; 16], SessionEnd::SignedOut);
        assert_eq!(signs_out.await.unwrap(), SessionEnd::SignedOut);
        assert_eq!(wait(5000).await.unwrap(), SessionEnd::SignedOut, "over already");
        assert!(registry.lock().watched.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_session_of_the_store_hears_of_other_processes() {
        use super::super::memory::MemoryStore;
        use super::super::store::{SessionRecord, SessionStore as _};

        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1000)));
        let memory = Arc::new(MemoryStore::new().clock(Arc::clone(&clock)));
        let store = Arc::new(Store::new(Box::new(Arc::clone(&memory))));
        let registry = Arc::new(Registry::new(Arc::clone(&clock) as Arc<dyn Clock>, Some(store), None));
        let key = SessionKey::new([7; 32]);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let pass = async |seconds| {
            for _ in 0..seconds / 10 {
                clock.advance(Duration::from_secs(10));
                tokio::time::advance(Duration::from_secs(10)).await;
                tokio::task::yield_now().await;
            }
        };

        assert!(memory.create(key, SessionRecord::new([], 0, at(1100))).await.unwrap());
        let renewed = tokio::spawn(Arc::clone(&registry).ended([1; 16], 1100, 9000, Some(key), None));
        tokio::task::yield_now().await;
        assert!(memory.touch(key, at(1300)).await.unwrap());
        pass(290).await;
        assert!(!renewed.is_finished(), "another process has renewed it");
        pass(10).await;
        assert_eq!(renewed.await.unwrap(), SessionEnd::Expired);

        assert!(memory.create(key, SessionRecord::new([], 0, at(9000))).await.unwrap());
        let deleted = tokio::spawn(Arc::clone(&registry).ended([2; 16], 9000, 9000, Some(key), None));
        pass(120).await;
        assert!(!deleted.is_finished());
        memory.delete(key).await.unwrap();
        pass(60).await;
        assert_eq!(deleted.await.unwrap(), SessionEnd::Elsewhere);
        assert!(registry.lock().watched.is_empty());
    }
}
