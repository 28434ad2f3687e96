//! The stores of tower-sessions as stores of ours.

mod kept;
mod trouble;

use std::array::from_fn;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;
use tower_sessions_core::session::Id;
use tower_sessions_core::session_store::SessionStore as TheirStore;

use self::kept::Members;
use self::trouble::{failed, out_of_time};
use crate::clock::{Clock, SystemClock};
use crate::http_client::BoxFuture;
use crate::session::store::{SessionGroup, SessionKey, SessionRecord, SessionStore, StoreError};

/// Keeps sessions in any store of [tower-sessions](https://docs.rs/tower-sessions): Postgres, MySQL and SQLite by
/// `tower-sessions-sqlx-store`, moka, and what else implements its [`SessionStore`](tower_sessions_core::SessionStore). Feature
/// `tower-sessions`.
///
/// ```
/// use tower_sessions_memory_store::MemoryStore;
/// use tower_signin::{Builder, TowerSessionsStore};
///
/// fn in_a_database(builder: Builder, store: MemoryStore) -> Builder {
///     // The same with a `PostgresStore`, say; `migrate()` it first.
///     builder.session_store(TowerSessionsStore::new(store))
/// }
/// ```
///
/// The trait is that of `tower-sessions-core` 0.14, which the stores of the databases speak today; it is here as
/// [`tower_signin::tower_sessions_core`](tower_sessions_core). A store for another version of it does not compile.
///
/// # For one node
///
/// Their trait saves whole records and compares nothing. Within one process each step is atomic all the same: steps on one record or
/// group take turns. **Between processes it is not.** Where two nodes share a database and write the same record within the
/// same milliseconds, one of them undoes the other without knowing:
///
/// * an update is lost, and with it what was attached to the session or the renewal of its end; both nodes were told `true`;
/// * a session that one node ends is written back by another that was just renewing it, and **somebody who has signed out, or was
///   signed out, is signed in still** until the session's end;
/// * what may happen once happens twice: a state is spent at two nodes, a logout token is taken twice, two nodes refresh the
///   tokens of one session, of which a provider that rotates refresh tokens may end the session;
/// * a member of a group is lost where two nodes join or leave it at once: `SignIn::end_sessions_of` misses a session, and a
///   revocation list a session that has been revoked.
///
/// For several nodes use a store that compares in the database: `RedisStore` (feature `redis`). Nor does a `CachingSessionStore` with
/// a cache in each process do for several: what one node ends lives on in the caches of the others.
///
/// # What is kept
///
/// A record stands under the first 128 bits of a SHA-256 of its key, and a group, with its members in a list, under those of
/// its name; so an application may have its own sessions in the same table. What is over is filtered here, by
/// [`clock`](Self::clock); their date of expiry is that of ours and a minute, so that the database's clock may be wrong by as
/// much. **Their stores remove nothing by themselves**, most of them: run their `continuously_delete_expired`.
///
/// Each join and leave writes the whole list of the group, some 60 bytes for each member.
///
/// Each step takes five seconds at most. A step that has begun is carried through even where nobody waits for it any more.
/// What a backend says of its failure is kept for the log, without words in which credentials may be.
pub struct TowerSessionsStore {
    store: Arc<dyn TheirStore>,
    clock: Arc<dyn Clock>,
    /// Whose steps take turns: those of all records and groups that share one of these, so that no list of them grows.
    turns: [Arc<Mutex<()>>; TURNS],
}

/// So many steps can be under way at once; more wait.
const TURNS: usize = 64;

/// For all that a step asks.
const TIME_LIMIT: Duration = Duration::from_secs(5);

impl TowerSessionsStore {
    /// Keeps sessions in this store.
    #[must_use]
    pub fn new(store: impl TheirStore) -> Self {
        Self { store: Arc::new(store), clock: Arc::new(SystemClock), turns: from_fn(|_| Arc::default()) }
    }

    /// Where the time comes from; the system's clock by default. It should be the one of the
    /// [builder](crate::Builder::clock).
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Takes a step when it is its turn. Who goes away before then takes none; after that it is carried through, and others have
    /// their turn when it is done.
    async fn step<T, F>(&self, id: Id, step: impl FnOnce(Step) -> F + Send) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let turn = Arc::clone(self.turn(id)).lock_owned().await;
        let step = step(Step { store: Arc::clone(&self.store), id, now: self.clock.now() });
        tokio::spawn(carried_through(step, turn))
            .await
            .map_err(|_| failed("the step came to no end: the store panicked, or the runtime shuts down"))?
    }

    fn turn(&self, id: Id) -> &Arc<Mutex<()>> {
        // The bits of a hash: each is as good as another.
        let [.., last] = id.0.to_be_bytes();
        &self.turns[usize::from(last) % TURNS]
    }
}

async fn carried_through<T>(
    step: impl Future<Output = Result<T, StoreError>>,
    _turn: OwnedMutexGuard<()>,
) -> Result<T, StoreError> {
    in_time(step).await
}

async fn in_time<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(TIME_LIMIT, step).await.unwrap_or_else(|_| Err(out_of_time()))
}

/// What a step works on: one record or one group, while it has its turn.
struct Step {
    store: Arc<dyn TheirStore>,
    id: Id,
    now: SystemTime,
}

impl Step {
    /// The session that is there and not over.
    async fn session(&self) -> Result<Option<SessionRecord>, StoreError> {
        session(&*self.store, self.id, self.now).await
    }

    /// Writes a record over the one that is there, if any. One that is over must not be given to every backend.
    async fn put(&self, record: &SessionRecord) -> Result<(), StoreError> {
        if record.is_over(self.now) {
            return self.delete().await;
        }
        Ok(self.store.save(&kept::of_session(self.id, record)).await?)
    }

    async fn delete(&self) -> Result<(), StoreError> {
        Ok(self.store.delete(&self.id).await?)
    }

    async fn create(&self, record: &SessionRecord) -> Result<bool, StoreError> {
        if self.session().await?.is_some() {
            return Ok(false);
        }
        if record.is_over(self.now) {
            return Ok(true);
        }
        let mut made = kept::of_session(self.id, record);
        self.store.create(&mut made).await?;
        if made.id == self.id {
            return Ok(true);
        }
        // They evade an id that is taken. Then another process was faster, or what has it is over.
        self.store.delete(&made.id).await?;
        if self.session().await?.is_some() {
            return Ok(false);
        }
        self.put(record).await?;
        Ok(true)
    }

    /// Those whose time has not come, and whether there were others.
    async fn members(&self) -> Result<Members, StoreError> {
        members(&*self.store, self.id, self.now).await
    }

    async fn put_members(&self, members: &Members) -> Result<(), StoreError> {
        match kept::of_group(self.id, members) {
            Some(record) => Ok(self.store.save(&record).await?),
            None => self.delete().await,
        }
    }
}

async fn session(store: &dyn TheirStore, id: Id, now: SystemTime) -> Result<Option<SessionRecord>, StoreError> {
    let found = store.load(&id).await?.map(|record| kept::session(&record)).transpose()?;
    Ok(found.filter(|record| !record.is_over(now)))
}

async fn members(store: &dyn TheirStore, id: Id, now: SystemTime) -> Result<Members, StoreError> {
    let found = store.load(&id).await?.map(|record| kept::members(&record)).transpose()?;
    let mut members = found.unwrap_or_default();
    members.retain(|_, until| now < *until);
    Ok(members)
}

impl SessionStore for TowerSessionsStore {
    fn create(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.step(of_session(key), |step| async move { step.create(&record).await }))
    }

    fn load(&self, key: SessionKey) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        Box::pin(async move { in_time(session(&*self.store, of_session(key), self.clock.now())).await })
    }

    fn update(&self, key: SessionKey, record: SessionRecord) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.step(of_session(key), |step| async move {
            let Some(before) = step.session().await? else { return Ok(false) };
            let is_next = before.generation().checked_add(1) == Some(record.generation());
            if is_next {
                step.put(&record).await?;
            }
            Ok(is_next)
        }))
    }

    fn touch(&self, key: SessionKey, expires_at: SystemTime) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.step(of_session(key), move |step| async move {
            let Some(mut record) = step.session().await? else { return Ok(false) };
            if record.expires_at() < expires_at {
                record.extend(expires_at);
                step.put(&record).await?;
            }
            Ok(true)
        }))
    }

    fn delete(&self, key: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.step(of_session(key), |step| async move { step.delete().await }))
    }

    fn join(
        &self,
        group: SessionGroup,
        member: SessionKey,
        until: SystemTime,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.step(of_group(group), move |step| async move {
            let mut members = step.members().await?;
            let is_later = members.get(&member).is_none_or(|before| *before < until);
            if step.now < until && is_later {
                members.insert(member, until);
                step.put_members(&members).await?;
            }
            Ok(())
        }))
    }

    fn leave(&self, group: SessionGroup, member: SessionKey) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.step(of_group(group), move |step| async move {
            let mut members = step.members().await?;
            if members.remove(&member).is_some() {
                step.put_members(&members).await?;
            }
            Ok(())
        }))
    }

    fn members(&self, group: SessionGroup) -> BoxFuture<'_, Result<Vec<SessionKey>, StoreError>> {
        Box::pin(async move {
            let members = in_time(members(&*self.store, of_group(group), self.clock.now())).await?;
            Ok(members.into_keys().collect())
        })
    }
}

/// Shows nothing of the store, which may hold credentials.
impl fmt::Debug for TowerSessionsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessionsStore").finish_non_exhaustive()
    }
}

fn of_session(key: SessionKey) -> Id {
    id(b"tower-signin session ", key.as_bytes())
}

fn of_group(group: SessionGroup) -> Id {
    id(b"tower-signin group ", group.as_bytes())
}

fn id(what: &[u8], name: &[u8; 32]) -> Id {
    let mut digest = Context::new(&SHA256);
    digest.update(what);
    digest.update(name);
    Id(i128::from_be_bytes(digest.finish().as_ref().first_chunk().copied().unwrap_or_default()))
}
