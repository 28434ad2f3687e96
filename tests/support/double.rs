//! A store that the test can count, fail, hold and falsify, around one in memory.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use tokio::sync::Semaphore;
use tower_signin::{
    BoxFuture, ManualClock, MemoryStore, SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError,
    StoreErrorKind,
};

/// How a store keeps records and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Keeps them in clear, answers at once.
    Private,
    /// Keeps them sealed, answers at once.
    Sealed,
    /// Keeps them sealed, answers after a while.
    Later,
}

pub const KINDS: [Kind; 3] = [Kind::Private, Kind::Sealed, Kind::Later];

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Create,
    Load,
    Update,
    Touch,
    Delete,
    Join,
    Leave,
    Members,
    /// To create or update what is no session: that a state was spent, say.
    Mark,
}

pub const STEPS: [Step; 9] = [
    Step::Create,
    Step::Load,
    Step::Update,
    Step::Touch,
    Step::Delete,
    Step::Join,
    Step::Leave,
    Step::Members,
    Step::Mark,
];

/// What goes wrong with a step, which is not taken then but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Unreachable,
    Failed,
    Hangs,
    Panics,
    /// Before there is a future.
    PanicsAtOnce,
    /// It is taken, and nobody hears of it.
    LosesTheAnswer,
}

/// Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct Double(Arc<Inside>);

struct Inside {
    memory: Mutex<Arc<MemoryStore>>,
    clock: Arc<ManualClock>,
    kind: Kind,
    now: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<(Step, SessionKey)>,
    made: Vec<SessionKey>,
    faults: Vec<(Step, Fault)>,
    /// Of every step on one key.
    broken: Option<(SessionKey, Fault)>,
    gates: Vec<(Step, Gates)>,
    /// For one question each.
    next: Vec<(Step, Gates)>,
    falsify: Option<Arc<dyn Fn(SessionRecord) -> SessionRecord + Send + Sync>>,
}

/// A step waits for a permit of `before`, is taken, and its answer waits for one of `after`.
#[derive(Clone, Debug)]
pub struct Gates {
    pub before: Arc<Semaphore>,
    pub after: Arc<Semaphore>,
}

impl Gates {
    fn closed() -> Self {
        Self { before: Arc::new(Semaphore::new(0)), after: Arc::new(Semaphore::new(0)) }
    }
}

impl Double {
    pub fn new(kind: Kind, clock: &Arc<ManualClock>) -> Self {
        let (memory, clock) = (Mutex::new(empty(clock)), Arc::clone(clock));
        Self(Arc::new(Inside { memory, clock, kind, now: Mutex::default() }))
    }

    /// Loses all that it holds, groups included, as one that was started anew.
    pub fn lose_everything(&self) {
        *self.0.memory.lock().unwrap() = empty(&self.0.clock);
    }

    fn memory(&self) -> Arc<MemoryStore> {
        Arc::clone(&self.0.memory.lock().unwrap())
    }

    /// How often a step was asked for since the last [`forget`](Self::forget).
    pub fn count(&self, step: Step) -> usize {
        self.0.now.lock().unwrap().calls.iter().filter(|(called, _)| *called == step).count()
    }

    /// Every step that was asked for on a session since the last [`forget`](Self::forget).
    pub fn asked(&self) -> Vec<Step> {
        let of_session = |step: &Step| !matches!(step, Step::Join | Step::Leave | Step::Members | Step::Mark);
        self.0.now.lock().unwrap().calls.iter().map(|(step, _)| *step).filter(of_session).collect()
    }

    /// The key of every one, groups and marks included.
    pub fn asked_for(&self) -> Vec<SessionKey> {
        self.0.now.lock().unwrap().calls.iter().map(|(_, key)| *key).collect()
    }

    pub fn forget(&self) {
        self.0.now.lock().unwrap().calls.clear();
    }

    /// From now on these steps go wrong.
    pub fn fail(&self, steps: &[Step], fault: Fault) {
        self.0.now.lock().unwrap().faults = steps.iter().map(|step| (*step, fault)).collect();
    }

    /// From now on every step on this key goes wrong.
    pub fn fail_at(&self, key: SessionKey, fault: Fault) {
        self.0.now.lock().unwrap().broken = Some((key, fault));
    }

    /// From now on none does.
    pub fn recover(&self) {
        let mut state = self.0.now.lock().unwrap();
        state.faults.clear();
        state.broken = None;
    }

    /// From now on this step waits.
    pub fn hold(&self, step: Step) -> Gates {
        let gates = Gates::closed();
        self.0.now.lock().unwrap().gates.push((step, gates.clone()));
        gates
    }

    /// The next time, this step waits.
    pub fn hold_next(&self, step: Step) -> Gates {
        let gates = Gates::closed();
        self.0.now.lock().unwrap().next.push((step, gates.clone()));
        gates
    }

    /// From now on `load` gives this in place of what is there.
    pub fn falsify(&self, falsify: impl Fn(SessionRecord) -> SessionRecord + Send + Sync + 'static) {
        self.0.now.lock().unwrap().falsify = Some(Arc::new(falsify));
    }

    /// The key of every session that was ever there.
    pub fn made(&self) -> Vec<SessionKey> {
        self.0.now.lock().unwrap().made.clone()
    }

    /// The sessions that are there, oldest first.
    pub fn sessions(&self) -> Vec<(SessionKey, SessionRecord)> {
        let made = self.0.now.lock().unwrap().made.clone();
        made.into_iter().filter_map(|key| Some((key, at_once(self.memory().load(key)).unwrap()?))).collect()
    }

    /// The only one.
    #[track_caller]
    pub fn session(&self) -> (SessionKey, SessionRecord) {
        let mut sessions = self.sessions();
        assert_eq!(sessions.len(), 1);
        sessions.remove(0)
    }

    /// Takes every session away.
    pub fn clear(&self) {
        for (key, _) in self.sessions() {
            at_once(self.memory().delete(key)).unwrap();
        }
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        step: Step,
        key: SessionKey,
        take: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let (fault, gates) = {
            let mut state = self.0.now.lock().unwrap();
            state.calls.push((step, key));
            if step == Step::Create {
                state.made.push(key);
            }
            let fault = state.faults.iter().find(|(which, _)| *which == step).map(|(_, fault)| *fault);
            let broken = state.broken.filter(|(which, _)| *which == key).map(|(_, fault)| fault);
            let fault = fault.or(broken);
            let next = state.next.iter().position(|(which, _)| *which == step);
            let gates = match next {
                Some(next) => Some(state.next.remove(next).1),
                None => state.gates.iter().find(|(which, _)| *which == step).map(|(_, gates)| gates.clone()),
            };
            (fault, gates)
        };
        assert_ne!(fault, Some(Fault::PanicsAtOnce), "the store panics");
        let source = || io::Error::from(io::ErrorKind::ConnectionRefused);
        Box::pin(async move {
            if self.0.kind == Kind::Later {
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                }
            }
            if let Some(gates) = &gates {
                gates.before.acquire().await.unwrap().forget();
            }
            let answer = match fault {
                None => take.await,
                Some(Fault::Unreachable) => Err(StoreError::new(StoreErrorKind::Unreachable).with_source(source())),
                Some(Fault::Failed) => Err(StoreError::new(StoreErrorKind::Failed)),
                Some(Fault::LosesTheAnswer) => {
                    take.await.and(Err(StoreError::new(StoreErrorKind::Unreachable).with_source(source())))
                }
                Some(Fault::Hangs) => pending().await,
                Some(Fault::Panics | Fault::PanicsAtOnce) => panic!("the store panics"),
            };
            if let Some(gates) = &gates {
                gates.after.acquire().await.unwrap().forget();
            }
            answer
        })
    }
}

impl SessionStore for Double {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        // A session has bytes, and its first generation is 0.
        let is_session = !record.bytes().is_empty() && record.generation() == 0;
        let step = if is_session { Step::Create } else { Step::Mark };
        self.ask(step, key, Box::pin(async move { self.memory().create(key, record).await }))
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        let falsify = self.0.now.lock().unwrap().falsify.clone();
        let load = async move {
            let record = self.memory().load(key).await?;
            Ok(record.map(|record| falsify.map_or(record.clone(), |falsify| falsify(record))))
        };
        self.ask(Step::Load, key, Box::pin(load))
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        let step = if record.bytes().is_empty() { Step::Mark } else { Step::Update };
        self.ask(step, key, Box::pin(async move { self.memory().update(key, record).await }))
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.ask(Step::Touch, key, Box::pin(async move { self.memory().touch(key, expires_at).await }))
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(Step::Delete, key, Box::pin(async move { self.memory().delete(key).await }))
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(Step::Join, member, Box::pin(async move { self.memory().join(group, member, until).await }))
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        self.ask(Step::Leave, member, Box::pin(async move { self.memory().leave(group, member).await }))
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        let key = SessionKey::new(*group.as_bytes());
        self.ask(Step::Members, key, Box::pin(async move { self.memory().members(group).await }))
    }

    fn is_private(&self) -> bool {
        self.0.kind == Kind::Private
    }
}

fn empty(clock: &Arc<ManualClock>) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new().clock(Arc::clone(clock)))
}

/// What the store in memory says, which never lets anybody wait.
fn at_once<T>(mut future: BoxFuture<'_, T>) -> T {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}
