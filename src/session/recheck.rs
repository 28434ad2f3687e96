//! Asking again, while a session lasts, whether the provider stands by it: once for each session, however many requests find
//! it due, and in a task of its own, since the answer is for all of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::Instrument as _;

use super::calls::{is_refusal, pause, within_time};
use super::lifetime::{LONGEST, SHORTEST};
use super::refresh::Refreshes;
use super::registry::SessionEnd;
use super::stored::{self, StoredId};
use super::tokens::KeptTokens;
use super::{Session, SessionId, revocations};
use crate::clock::{CLOCK_SKEW, unix_seconds};
use crate::config::Inner;
use crate::config_error::ConfigError;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::provider::Grant;
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::telemetry::{Call, timed};

/// What becomes of a session for which something can't be asked: the provider, for as long as
/// [`Builder::recheck_outage`](crate::Builder::recheck_outage) allows, or the list of revoked sessions, for as long as
/// [`Builder::revocation_bound`](crate::Builder::revocation_bound) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenUnchecked {
    /// Guards and extractors answer 503 and `session_unavailable` until that is back. Nobody is signed out.
    Unavailable,
    /// It goes on as if it had been checked, to its end at the latest.
    SignedIn,
}

/// The rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    every: Duration,
    grace: Duration,
    then: WhenUnchecked,
}

/// What a check came to, for every request that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The provider stands by it, and did at this time.
    Passed(u64),
    /// The provider does not. It is over.
    Ended,
    /// Nothing is known; later, perhaps. It passed last at this time.
    Unknown(u64),
}

/// The checks of one [`SignIn`](crate::SignIn) in this process. Bounded in every way.
#[derive(Default)]
pub(crate) struct Rechecks(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: HashMap<SessionId, Entry>,
    /// What has ended, oldest first, with the time. An entry may have been replaced since.
    order: VecDeque<(SessionId, u64)>,
    running: usize,
}

struct Entry {
    /// When it passed last, as far as is known here.
    passed_at: u64,
    failures: u32,
    progress: Progress,
}

enum Progress {
    Running(watch::Receiver<Option<Verdict>>),
    /// Passed, or nothing could be learnt.
    Ended {
        at: u64,
    },
}

/// At most this many run at once; whoever comes then is told that nothing is known.
const MOST_RUNNING: usize = 256;
/// At most this many sessions are remembered.
const MOST_ENTRIES: usize = 65_536;
/// The grace unless another one is set.
const GRACE: Duration = Duration::from_secs(60 * 60);

impl Rules {
    /// From the settings of the builder; none where nothing is checked again.
    pub(crate) fn new(
        every: Option<Duration>,
        outage: Option<(Duration, WhenUnchecked)>,
    ) -> Result<Option<Self>, ConfigError> {
        let refused = |setting, problem: String, remedy| Err(ConfigError::new(setting, problem, remedy));
        let Some(every) = every else {
            return match outage {
                None => Ok(None),
                Some(_) => {
                    refused("recheck_outage", "nothing is checked again".to_owned(), "call recheck_every as well")
                }
            };
        };
        if every < SHORTEST || every > LONGEST {
            let problem = format!("{every:?} is not between a minute and 400 days");
            return refused("recheck_every", problem, "choose a duration in between");
        }
        let (grace, then) = outage.unwrap_or((GRACE, WhenUnchecked::Unavailable));
        if grace > LONGEST {
            return refused("recheck_outage", format!("{grace:?} is more than 400 days"), "choose a shorter grace");
        }
        Ok(Some(Self { every, grace, then }))
    }

    /// Whether it is time again, where a session passed at `passed_at`. A time that lies ahead comes from a wrong clock.
    pub(crate) fn is_due(&self, passed_at: u64, now: u64) -> bool {
        now >= passed_at.saturating_add(self.every.as_secs()) || is_ahead(passed_at, now)
    }

    /// When a session passed, where that can be true: else the grace would begin at a time that lies ahead, and not now.
    fn not_ahead(&self, passed_at: u64, now: u64) -> u64 {
        if is_ahead(passed_at, now) { now.saturating_sub(self.every.as_secs()) } else { passed_at }
    }

    /// Whether a session that could not be checked may still go on without.
    pub(crate) fn allow_unchecked(&self, passed_at: u64, now: u64) -> bool {
        let is_forever = self.then == WhenUnchecked::SignedIn;
        is_forever || now < passed_at.saturating_add(self.every.as_secs()).saturating_add(self.grace.as_secs())
    }
}

fn is_ahead(at: u64, now: u64) -> bool {
    at > now.saturating_add(CLOCK_SKEW)
}

/// A session that is due.
pub(crate) struct Due {
    pub(crate) identity: Identity,
    /// Those that are good now.
    pub(crate) tokens: Option<Arc<KeptTokens>>,
    /// Whether newer ones were due and could not be had.
    pub(crate) is_unrefreshed: bool,
    pub(crate) stored: Option<StoredId>,
}

impl Rechecks {
    /// Checks a session, or joins whoever does already, or has.
    pub(crate) async fn check(inner: Arc<Inner>, rules: Rules, due: Due) -> Verdict {
        let passed_at = due.identity.session().checked_at();
        let mut waiter = match Self::start_or_join(&inner, rules, due) {
            Ok(verdict) => return verdict,
            Err(waiter) => waiter,
        };
        match waiter.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.unwrap_or(Verdict::Unknown(passed_at)),
            Err(_) => Verdict::Unknown(passed_at),
        }
    }

    /// When a session passed last, as far as is known here.
    pub(crate) fn passed_at(&self, session: &Session, now: u64) -> u64 {
        self.lock().entries.get(session.id()).map_or(session.checked_at(), |entry| entry.passed_at(session, now))
    }

    /// A verdict that is known, or what to wait for.
    fn start_or_join(inner: &Arc<Inner>, rules: Rules, due: Due) -> Result<Verdict, watch::Receiver<Option<Verdict>>> {
        let id = *due.identity.session().id();
        let now = unix_seconds(inner.clock.now());
        let mut table = inner.rechecks.lock();
        // Under the lock: an end is told to the registry before it is forgotten here.
        if inner.registry.has_ended(&id) {
            return Ok(Verdict::Ended);
        }
        table.forget_old(rules, now);
        let (mut passed_at, mut failures) = (rules.not_ahead(due.identity.session().checked_at(), now), 0);
        if let Some(entry) = table.entries.get(&id) {
            passed_at = entry.passed_at(due.identity.session(), now);
            failures = entry.failures;
            match &entry.progress {
                Progress::Running(verdict) => return Err(verdict.clone()),
                Progress::Ended { .. } if !rules.is_due(passed_at, now) => return Ok(Verdict::Passed(passed_at)),
                // A clock that was set back must not prolong the pause.
                Progress::Ended { at } if (*at..at.saturating_add(pause(failures))).contains(&now) => {
                    return Ok(Verdict::Unknown(passed_at));
                }
                Progress::Ended { .. } => {}
            }
        }
        let Some(runtime) = Handle::try_current().ok().filter(|_| table.running < MOST_RUNNING) else {
            return Ok(Verdict::Unknown(passed_at));
        };
        let (sender, receiver) = watch::channel(None);
        table.entries.insert(id, Entry { passed_at, failures, progress: Progress::Running(receiver.clone()) });
        table.running += 1;
        drop(table);

        let span = tracing::info_span!("recheck", session = %due.identity.session().log_id());
        let (inner, stored, verdict) = (Arc::clone(inner), due.stored, Verdict::Unknown(passed_at));
        let end = End { inner, session: id, stored, sender, verdict };
        runtime.spawn(check(end, due).instrument(span));
        Err(receiver)
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What is known here, or the session says if that is later and can be true.
    fn passed_at(&self, session: &Session, now: u64) -> u64 {
        if is_ahead(session.checked_at(), now) { self.passed_at } else { self.passed_at.max(session.checked_at()) }
    }
}

impl Table {
    /// Forgets what is due again and out of grace: nothing is lost by asking anew.
    fn forget_old(&mut self, rules: Rules, now: u64) {
        let kept = rules.every.saturating_add(rules.grace).as_secs();
        while let Some(&(session, at)) = self.order.front() {
            if self.order.len() <= MOST_ENTRIES && now < at.saturating_add(kept) {
                break;
            }
            self.order.pop_front();
            let is_it = |entry: &Entry| matches!(entry.progress, Progress::Ended { at: ended } if ended == at);
            if self.entries.get(&session).is_some_and(is_it) {
                self.entries.remove(&session);
            }
        }
    }

    fn end(&mut self, session: SessionId, verdict: Verdict, now: u64) {
        self.running = self.running.saturating_sub(1);
        let failures = self.entries.get(&session).map_or(0, |entry| entry.failures);
        let (passed_at, failures) = match verdict {
            Verdict::Passed(at) => (at, 0),
            Verdict::Unknown(at) => (at, failures.saturating_add(1)),
            // The registry knows.
            Verdict::Ended => {
                self.entries.remove(&session);
                return;
            }
        };
        self.entries.insert(session, Entry { passed_at, failures, progress: Progress::Ended { at: now } });
        self.order.push_back((session, now));
    }
}

/// Records the end of a check when dropped, so that none runs for ever in the table, whatever becomes of its task.
struct End {
    inner: Arc<Inner>,
    session: SessionId,
    stored: Option<StoredId>,
    sender: watch::Sender<Option<Verdict>>,
    verdict: Verdict,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.verdict == Verdict::Ended {
            self.inner.registry.end(self.session, SessionEnd::Revoked);
            match self.stored {
                Some(stored) => stored::delete_soon(&self.inner, stored, None),
                None => revocations::revoke_soon(&self.inner, self.session),
            }
        }
        let now = unix_seconds(self.inner.clock.now());
        self.inner.rechecks.lock().end(self.session, self.verdict, now);
        self.sender.send_replace(Some(self.verdict));
    }
}

async fn check(mut end: End, due: Due) {
    let inner = Arc::clone(&end.inner);
    let began = unix_seconds(inner.clock.now());
    match timed(Call::Recheck, within_time(Box::pin(ask(&inner, &due)))).await {
        Ok(()) => {
            tracing::debug!("the provider stands by the session");
            end.verdict = Verdict::Passed(began);
            // Nobody waits for the note.
            drop(end);
            if let Some(stored) = due.stored {
                stored::set_checked(&inner, stored, began).await;
            }
        }
        Err(error) if is_refusal(&error) => {
            tracing::info!(
                code = error.kind().code(),
                reason = error.reason(),
                "the provider does not stand by the session any longer; it is over"
            );
            end.verdict = Verdict::Ended;
        }
        Err(error) => {
            tracing::warn!(code = error.kind().code(), reason = error.reason(), "a session could not be checked again");
        }
    }
}

/// Whether the authorization stands, and then the gates, which need only the address.
async fn ask(inner: &Arc<Inner>, due: &Due) -> Result<(), Error> {
    let session = due.identity.session();
    let unknown = || Error::new(ErrorKind::Internal).with_reason("a session of an issuer that is not configured here");
    let mounted = inner.providers.of_issuer(session.issuer()).ok_or_else(unknown)?;
    let context = mounted.context(&inner.http, &*inner.clock);
    // By another clock they may have ended, which is no word on the person.
    let soon = unix_seconds(inner.clock.now()).saturating_add(CLOCK_SKEW);
    let asked_after = due.tokens.as_ref().filter(|kept| !kept.have_ended(soon));
    if asked_after.is_none() && due.is_unrefreshed {
        // Else whoever keeps this site from refreshing them keeps a person in whose authorization is over.
        let reason = "the authorization can't be asked after: its tokens could not be refreshed";
        return Err(Error::new(ErrorKind::ProviderFailed).with_reason(reason));
    }
    if let Some(kept) = asked_after {
        match mounted.provider.is_active(context, kept.tokens()).await {
            Ok(true) => {}
            // A refresh may have replaced them while the question was on its way.
            Ok(false) => {
                let have_moved_on = Refreshes::have_moved_on(inner, kept, due.stored).await;
                let unknown = |error| Error::new(ErrorKind::SessionUnavailable).with_source(error);
                return Err(if have_moved_on.map_err(unknown)? {
                    Error::new(ErrorKind::ProviderAnswer).with_reason("the tokens were replaced meanwhile")
                } else {
                    Error::new(ErrorKind::NotVerified).with_reason("the authorization was ended at the provider")
                });
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {}
            // Its word is the answer, not that there is none.
            Err(error) if is_refusal(&error) => {
                return Err(Error::new(ErrorKind::ProviderFailed).with_reason("the status of the tokens was refused"));
            }
            Err(error) => return Err(error),
        }
    }
    let grant = Grant::of_session(session);
    let grant = match &due.tokens {
        Some(kept) => grant.with_tokens(kept.tokens().clone()),
        None => grant,
    };
    mounted.provider.admit(context, &grant).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_again_and_out_of_grace_is_forgotten() {
        let rules =
            Rules::new(Some(Duration::from_secs(100)), Some((Duration::from_secs(50), WhenUnchecked::Unavailable)));
        let rules = rules.unwrap().unwrap();
        let mut table = Table::default();
        for (session, at) in [([1; 16], 1000), ([2; 16], 1001), ([1; 16], 1002)] {
            table.running += 1;
            table.end(session, Verdict::Passed(at), at);
        }
        for (now, left) in [(1149, 2), (1150, 2), (1151, 1), (1152, 0)] {
            table.forget_old(rules, now);
            assert_eq!((table.entries.len(), table.order.len()), (left, left + usize::from(now < 1150)), "{now}");
        }
    }
}
