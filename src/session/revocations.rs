//! Which sessions that live in their cookies were ended before their time: a list in a store that the nodes share, and this
//! node's copy of it, which is never older than a bound.

mod copy;
mod freshness;
mod groups;
mod refresh;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use self::copy::{Item, Kind, Kinds, LocalCopy, Name};
use self::freshness::Freshness;
use self::refresh::Refreshing;
use super::bounded::Store;
use super::entrance::Deletion;
use super::presented::{Current, Presented, Told, Untold};
use super::recheck::WhenUnchecked;
use super::registry::SessionEnd;
use super::store::StoreError;
use super::{LogId, ProviderSession, Session, SessionId};
use crate::clock::{CLOCK_SKEW, Clock, from_unix_seconds, unix_seconds};
use crate::config::Inner;
use crate::config_error::ConfigError;
use crate::seal::Seal;

/// The list of one [`SignIn`](crate::SignIn).
pub(crate) struct Revocations {
    store: Arc<Store>,
    seal: Arc<Seal>,
    clock: Arc<dyn Clock>,
    /// What the groups of other sites in the same store are told apart by.
    redirect_uri: String,
    rules: Rules,
    /// How long an entry counts, in seconds from its time: until the longest session that it speaks of is over.
    kept_for: u64,
    copy: LocalCopy,
    freshness: Freshness,
    refreshing: Refreshing,
}

/// What is ended.
#[derive(Clone, Copy)]
pub(crate) enum Revoked<'a> {
    Session(&'a SessionId),
    /// Every session of theirs that began up to now.
    Person {
        issuer: &'a str,
        subject: &'a str,
    },
    /// Every session that was or will be begun of it.
    ProviderSession(&'a ProviderSession),
}

/// How old the copy may get, and what becomes of sessions when it can't be had anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    bound: Duration,
    then: WhenUnchecked,
}

/// Whether a session may go on.
enum Standing {
    Good,
    Revoked,
    Unknown,
}

/// Other nodes' clocks and the store's may each be off by as much.
const MARGIN: u64 = 3 * CLOCK_SKEW;

impl Rules {
    /// From the settings of the builder.
    pub(crate) fn new(has_list: bool, bound: Option<(Duration, WhenUnchecked)>) -> Result<Self, ConfigError> {
        const SETTING: &str = "revocation_bound";
        let Some((bound, then)) = bound else {
            return Ok(Self { bound: Duration::from_secs(10), then: WhenUnchecked::Unavailable });
        };
        if !has_list {
            return Err(ConfigError::new(SETTING, "there is no revocation list", "call revocation_list as well"));
        }
        if bound < Duration::from_secs(1) || bound > Duration::from_secs(10 * 60) {
            let problem = format!("{bound:?} is not between a second and ten minutes");
            return Err(ConfigError::new(SETTING, problem, "choose a duration in between"));
        }
        Ok(Self { bound, then })
    }
}

impl Revocations {
    pub(crate) fn new(
        store: Arc<Store>,
        rules: Rules,
        seal: Arc<Seal>,
        clock: Arc<dyn Clock>,
        redirect_uri: String,
        session_lifetime: Duration,
    ) -> Self {
        Self {
            store,
            seal,
            clock,
            redirect_uri,
            rules,
            kept_for: session_lifetime.as_secs().saturating_add(MARGIN),
            copy: LocalCopy::default(),
            freshness: Freshness::default(),
            refreshing: Refreshing::default(),
        }
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn bound(&self) -> Duration {
        self.rules.bound
    }

    /// How many entries this node knows.
    pub(crate) fn count(&self) -> usize {
        self.copy.len()
    }

    /// Adds to the list. This node knows at once; where the store can't be told, that is an error, and it is told later.
    pub(crate) async fn revoke(self: &Arc<Self>, what: &Revoked<'_>) -> Result<(), StoreError> {
        match self.note(what) {
            Some(item) => self.write(&item).await,
            None => Ok(()),
        }
    }

    /// Adds to this node's copy. `None` where the list has it already.
    fn note(&self, what: &Revoked<'_>) -> Option<Item> {
        let kind = what.kind();
        let name = self.seal.names(what.parts()).next().map(|name| short(&name))?;
        let now = unix_seconds(self.clock.now());
        let at = match what {
            // Who signed in again since they were ended last may have begun a second ahead.
            Revoked::Person { issuer, subject } => self.begins_at(issuer, subject, now),
            Revoked::Session(_) | Revoked::ProviderSession(_) => now,
        };
        let item = Item { name, kind, at };
        self.copy.add(&item).then_some(item)
    }

    /// When somebody signs in now: after their sessions were ended, if this node knows that they were within this second, or by
    /// a clock that is ahead.
    pub(crate) fn begins_at(&self, issuer: &str, subject: &str, now: u64) -> u64 {
        if !self.copy.kinds().contain(Kind::Person) {
            return now;
        }
        let names: Vec<_> = self.named(&Revoked::Person { issuer, subject }).collect();
        match self.copy.latest(&names) {
            Some(at) if (now..=now.saturating_add(CLOCK_SKEW)).contains(&at) => at.saturating_add(1),
            _ => now,
        }
    }

    /// By the copy, whatever its age. `None` where somebody has to be asked.
    fn standing(self: &Arc<Self>, session: &Session) -> Option<Standing> {
        if self.has_revoked(session) {
            // Nothing leaves the list before its time.
            return Some(Standing::Revoked);
        }
        let age = self.freshness.age(&*self.clock);
        let is_good = age.is_some_and(|age| age < self.rules.bound);
        if is_good && age < Some(self.due_after()) {
            return Some(Standing::Good);
        }
        if is_good || (self.rules.then == WhenUnchecked::SignedIn && self.refreshing.has_failed()) {
            self.refresh_soon();
            return Some(Standing::Good);
        }
        None
    }

    async fn ask(self: &Arc<Self>, session: &Session) -> Standing {
        let is_refreshed = self.refreshed().await;
        if self.has_revoked(session) {
            Standing::Revoked
        } else if is_refreshed || self.rules.then == WhenUnchecked::SignedIn {
            Standing::Good
        } else {
            Standing::Unknown
        }
    }

    fn has_revoked(&self, session: &Session) -> bool {
        let kinds = self.copy.kinds();
        if kinds.are_none() {
            return false;
        }
        let authenticated_at = session.authenticated_at();
        self.names_of(session, kinds).any(|(kind, name)| self.copy.has(kind, &name, authenticated_at))
    }

    /// Everything of these sorts that would end this session, under every key.
    fn names_of<'a>(&'a self, session: &'a Session, kinds: Kinds) -> impl Iterator<Item = (Kind, Name)> + use<'a> {
        let person = Revoked::Person { issuer: session.issuer(), subject: session.subject() };
        let provider_session = session.provider_session().map(Revoked::ProviderSession);
        let all = [Some(Revoked::Session(session.id())), Some(person), provider_session];
        all.into_iter().flatten().filter(move |what| kinds.contain(what.kind())).flat_map(|what| self.named(&what))
    }

    fn named<'a>(&'a self, what: &Revoked<'a>) -> impl Iterator<Item = (Kind, Name)> + use<'a> {
        let kind = what.kind();
        self.seal.names(what.parts()).map(move |name| (kind, short(&name)))
    }

    /// After this the copy is read anew, while the old one still counts.
    fn due_after(&self) -> Duration {
        self.rules.bound / 3
    }

    /// Looks after a session for whoever waits for its end.
    pub(crate) fn watch(self: &Arc<Self>, session: &Session) -> Watch {
        let names = self.names_of(session, Kinds::ALL).collect();
        Watch { revocations: Arc::clone(self), names, authenticated_at: session.authenticated_at() }
    }
}

impl<'a> Revoked<'a> {
    fn kind(&self) -> Kind {
        match self {
            Self::Session(_) => Kind::Session,
            Self::Person { .. } => Kind::Person,
            Self::ProviderSession(_) => Kind::ProviderSession,
        }
    }

    fn parts(&self) -> [&'a [u8]; 3] {
        match self {
            Self::Session(id) => [b"revoked session", &id[..], b""],
            Self::Person { issuer, subject } => [b"revoked person", issuer.as_bytes(), subject.as_bytes()],
            Self::ProviderSession(digest) => [b"revoked provider session", &digest[..], b""],
        }
    }
}

fn short(name: &[u8; 32]) -> Name {
    name.first_chunk().copied().unwrap_or_default()
}

/// A session that is looked after, though nobody asks for it.
pub(crate) struct Watch {
    revocations: Arc<Revocations>,
    names: Vec<(Kind, Name)>,
    authenticated_at: u64,
}

impl Watch {
    /// How long to wait between two looks.
    pub(crate) fn pause(&self) -> Duration {
        self.revocations.due_after()
    }

    pub(crate) async fn is_revoked(&self) -> bool {
        let age = self.revocations.freshness.age(&*self.revocations.clock);
        if age.is_none_or(|age| age >= self.revocations.due_after()) {
            self.revocations.refreshed().await;
        }
        let copy = &self.revocations.copy;
        self.names.iter().any(|(kind, name)| copy.has(*kind, name, self.authenticated_at))
    }
}

/// Lets a session in that its cookie holds, unless the list has it.
pub(crate) fn present(inner: &Arc<Inner>, revocations: &Arc<Revocations>, current: Current) -> Told<Presented> {
    if let Some(standing) = revocations.standing(current.session()) {
        return Told::Now(presented(inner, current, &standing));
    }
    let (inner, revocations) = (Arc::clone(inner), Arc::clone(revocations));
    Told::poll(Box::pin(async move {
        let standing = revocations.ask(current.session()).await;
        presented(&inner, current, &standing)
    }))
}

fn presented(inner: &Inner, current: Current, standing: &Standing) -> Presented {
    match standing {
        Standing::Good => Presented::Session(current),
        Standing::Unknown => Presented::Unavailable(Untold::Sealed(current)),
        Standing::Revoked => {
            let delete = match inner.registry.end(*current.session().id(), SessionEnd::Elsewhere) {
                // Whoever ended it here has seen to the cookies.
                Some(SessionEnd::SignedOut | SessionEnd::Replaced) => None,
                _ => Some(Deletion::of_ended(*current.session().id(), current.sign_ins)),
            };
            Presented::Refused { delete, stored: None }
        }
    }
}

/// Puts a session that has ended into the list, if there is one. Nothing more can be done where that fails than to say so.
pub(crate) async fn revoke(inner: Arc<Inner>, id: SessionId) {
    let Some(revocations) = &inner.revocations else { return };
    if let Err(error) = revocations.revoke(&Revoked::Session(&id)).await {
        log_not_written(&id, &error);
    }
}

/// The same, in a task of its own.
pub(crate) fn revoke_soon(inner: &Arc<Inner>, id: SessionId) {
    let Some(revocations) = &inner.revocations else { return };
    let Some(item) = revocations.note(&Revoked::Session(&id)) else { return };
    let Ok(runtime) = Handle::try_current() else { return };
    let revocations = Arc::clone(revocations);
    runtime.spawn(async move {
        if let Err(error) = revocations.write(&item).await {
            log_not_written(&id, &error);
        }
    });
}

fn log_not_written(id: &SessionId, error: &StoreError) {
    let source = std::error::Error::source(error);
    tracing::error!(
        session = %LogId(id), %error, source,
        "a session that is over is not in the revocation list yet; until it is, a copy of its cookie opens it elsewhere"
    );
}
