//! The work after state has passed: exchange, checks, gates, hook. It runs in a task of its own, once for each state,
//! and ends whether or not the browser waits for it.

mod fleet;
mod table;

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use http::HeaderValue;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tracing::Instrument as _;

use self::fleet::Spending;
use self::table::{Entry, Progress, Table};
use super::handlers::Handlers;
use super::signed_in::SignedIn;
use crate::clock::unix_seconds;
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::oauth::callback::ValidatedCode;
use crate::oauth::token::Tokens;
use crate::provider::Grant;
use crate::requester::Requester;
use crate::return_to::ReturnTo;
use crate::seal::random;
use crate::session::sealed::new_cookies;
use crate::session::stored::{self, StoredId};
use crate::session::tokens::KeptTokens;
use crate::session::{Fingerprint, NewSession, ProviderSession, Session, SessionId};
use crate::sync::{Mutex, MutexGuard, PoisonError};
use crate::telemetry::{self, Call, timed};
use crate::wire::Writer;

/// How an attempt ended, shared by every request that waits for it.
pub(crate) type Outcome = Result<Completed, Arc<Error>>;

/// A sign-in that succeeded, and the headers that make its session.
#[derive(Clone)]
pub(crate) struct Completed {
    pub(crate) signed_in: SignedIn,
    pub(crate) session_cookies: Vec<HeaderValue>,
    /// Where tokens are kept, and the session is not in the store.
    pub(crate) tokens_cookie: Option<HeaderValue>,
    /// Where the session is in the store.
    pub(crate) stored: Option<StoredId>,
    /// In forward mode, those who answer for it.
    pub(crate) handlers: Arc<Handlers>,
}

/// A callback that has passed every check.
pub(crate) struct Ticket {
    pub(crate) state: StateHash,
    /// Over state and code, kept in the session.
    pub(crate) made_by: Fingerprint,
    /// Over state, code and flow cookie: who comes with the same three is the same browser again.
    pub(crate) presented: Fingerprint,
    /// The place of the provider whose code it is.
    pub(crate) provider: usize,
    pub(crate) code: ValidatedCode,
    pub(crate) return_to: ReturnTo,
    /// Who asked first, for the log.
    pub(crate) requester: Requester,
}

pub(crate) type StateHash = [u8; 32];

/// Waits for the end of an attempt.
pub(crate) struct Waiter(watch::Receiver<Option<Outcome>>);

/// The attempts of this process. Bounded in every way.
pub(crate) struct Attempts {
    table: Mutex<Table>,
    /// Places for those who see to a state that may have been marked as spent though nothing was sent.
    taking_back: Arc<Semaphore>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { table: Mutex::default(), taking_back: Arc::new(Semaphore::new(fleet::MOST_TAKING_BACK)) }
    }
}

/// The time for exchange, checks and gates, and for the hook: 30 seconds together.
const PROVIDER_TIME: Duration = Duration::from_secs(20);
const HOOK_TIME: Duration = Duration::from_secs(10);

impl Attempts {
    /// Starts the attempt for a ticket, or joins the one that its state has already started.
    pub(crate) fn start_or_join(inner: &Arc<Inner>, ticket: Ticket) -> Result<Waiter, Error> {
        let runtime = Handle::try_current().map_err(|error| Error::new(ErrorKind::Internal).with_source(error))?;
        let now = unix_seconds(inner.clock.now());
        let mut table = inner.attempts.lock();
        table.forget_old(now);
        if let Some(entry) = table.entries.get(&ticket.state) {
            if !entry.presented.is_same(&ticket.presented) {
                return Err(ErrorKind::StateSpent.into());
            }
            return match &entry.progress {
                Progress::Running(outcome) => Ok(Waiter(outcome.clone())),
                Progress::Ended(outcome) => Ok(Waiter(watch::channel(Some(outcome.clone())).1)),
                Progress::Spent => Err(ErrorKind::StateSpent.into()),
            };
        }
        if table.is_full(ticket.provider) {
            return Err(Error::new(ErrorKind::TooManyAttempts).with_retry_after(2));
        }
        table.make_room();
        let (sender, receiver) = watch::channel(None);
        let state = ticket.state;
        let progress = Progress::Running(receiver.clone());
        let entry = Entry { presented: ticket.presented, return_to: ticket.return_to.clone(), progress };
        table.entries.insert(state, entry);
        table.order.push_back((state, now));
        table.begun(ticket.provider);
        drop(table);

        let end = End { inner: Arc::clone(inner), provider: ticket.provider, state, sender, outcome: None };
        runtime.spawn(supervise(end, ticket).in_current_span());
        Ok(Waiter(receiver))
    }

    /// Where the flow of this state wanted to go, while that is remembered.
    pub(crate) fn return_to(&self, state: &StateHash) -> Option<ReturnTo> {
        self.lock().entries.get(state).map(|entry| entry.return_to.clone())
    }

    /// No code of anyone else's runs under this lock, so a poisoned table is still whole.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    pub(crate) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or_else(interrupted),
            Err(_) => interrupted(),
        }
    }
}

/// Records the end of an attempt when dropped, so that none runs for ever in the table, whatever becomes of its task.
struct End {
    inner: Arc<Inner>,
    provider: usize,
    state: StateHash,
    sender: watch::Sender<Option<Outcome>>,
    outcome: Option<Outcome>,
}

impl Drop for End {
    fn drop(&mut self) {
        let now = unix_seconds(self.inner.clock.now());
        let outcome = self.outcome.take().unwrap_or_else(interrupted);
        let mut table = self.inner.attempts.lock();
        table.ended(self.provider);
        if matches!(&outcome, Err(error) if error.leaves_flow()) {
            table.entries.remove(&self.state);
        } else if let Some(entry) = table.entries.get_mut(&self.state) {
            entry.progress = Progress::Ended(outcome.clone());
            table.outcomes.push_back((self.state, now));
        }
        drop(table);
        self.sender.send_replace(Some(outcome));
    }
}

fn interrupted() -> Outcome {
    Err(Arc::new(Error::new(ErrorKind::Internal).with_reason("the attempt was interrupted")))
}

/// Runs the attempt in a second task, so that a panic of the application's hook is an outcome like any other.
async fn supervise(mut end: End, ticket: Ticket) {
    let inner = Arc::clone(&end.inner);
    let requester = ticket.requester.clone();
    let outcome = match tokio::spawn(async move { run(&inner, ticket).await }.in_current_span()).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => {
            Err(Error::new(ErrorKind::HookFailed).with_reason("the sign-in hook or the provider panicked"))
        }
        Err(error) => Err(Error::new(ErrorKind::Internal).with_source(error)),
    };
    match &outcome {
        // In forward mode the application's handler has the last word.
        Ok(_) if end.inner.forward => tracing::debug!(request_id = %requester, "sign-in handed on"),
        Ok(completed) => {
            let identity = completed.signed_in.identity();
            let (issuer, subject) = (identity.issuer(), identity.subject());
            tracing::info!(request_id = %requester, session = %identity.session().log_id(), issuer, subject, "signed in");
            telemetry::sign_in_ended("success");
        }
        Err(error) => {
            super::log(error, &requester);
            telemetry::sign_in_ended(error.kind().code());
        }
    }
    end.outcome = Some(outcome.map_err(Arc::new));
}

async fn run(inner: &Arc<Inner>, ticket: Ticket) -> Result<Completed, Error> {
    let spent = match fleet::spend(inner, &ticket).await? {
        Spending::First(spent) => spent,
        Spending::Done(completed) => return Ok(completed),
    };
    let completed = sign_in(inner, ticket).await;
    if let Some(spent) = spent {
        spent.tell(inner, completed.as_ref().ok().and_then(|completed| completed.stored)).await;
    }
    completed
}

async fn sign_in(inner: &Inner, ticket: Ticket) -> Result<Completed, Error> {
    let mounted = inner.providers.at(ticket.provider);
    let context = mounted.context(&inner.http, &*inner.clock);
    let exchange = async {
        let grant = mounted.provider.redeem(context, ticket.code).await?;
        mounted.provider.admit(context, &grant).await?;
        Ok::<_, Error>(grant)
    };
    let exchange = async { timeout(PROVIDER_TIME, exchange).await.map_err(|_| ErrorKind::ProviderTimeout)? };
    let grant = timed(Call::Exchange, exchange).await?;

    let stored = inner.store.as_ref().map(|store| Ok::<_, Error>((store, StoredId::draw()?))).transpose()?;
    let id = match &stored {
        Some((_, stored)) => stored.session_id(),
        None => new_id()?,
    };
    let session = |data: &str| new_session(inner, mounted.provider.issuer(), &grant, id, ticket.made_by, data);
    let key = stored.as_ref().map(|(_, stored)| stored.key());
    let signed_in = |session: Session| {
        let ends_at = session.ends_at();
        SignedIn::new(
            Identity::new(session, ends_at, &inner.registry, key),
            grant.tokens().cloned(),
            ticket.return_to.clone(),
        )
    };
    let session = match &inner.hook {
        None => session("")?,
        Some(hook) => {
            let who = signed_in(session("")?);
            let admission = timeout(HOOK_TIME, hook(who.clone()))
                .await
                .map_err(|_| ErrorKind::HookTimeout)?
                .map_err(|rejection| rejection.into_error())?;
            if let Some(code) = who.refusal() {
                return Err(Error::new(ErrorKind::RefusedByApp).with_reason(code));
            }
            session(admission.data())?
        }
    };
    let kept = grant.tokens().filter(|_| session.has_tokens());
    let kept = kept.map(|tokens| KeptTokens::first(id, tokens.clone(), session.authenticated_at()));
    let (session_cookies, tokens_cookie) = match &stored {
        None => {
            let tokens_cookie = kept.map(|kept| kept.set_cookie(inner, session.absolute_end())).transpose()?;
            (new_cookies(inner, &session)?, tokens_cookie)
        }
        Some((store, stored)) => {
            stored::create(inner, store, *stored, &session, kept.as_ref()).await?;
            (vec![stored.set_cookie(inner, &session)?], None)
        }
    };
    let stored = stored.map(|(_, stored)| stored);
    let handlers = Arc::default();
    Ok(Completed { signed_in: signed_in(session), session_cookies, tokens_cookie, stored, handlers })
}

fn new_id() -> Result<SessionId, ErrorKind> {
    let mut id = [0; 16];
    random(&mut id).map_err(|_| ErrorKind::Internal)?;
    Ok(id)
}

pub(crate) fn new_session(
    inner: &Inner,
    issuer: &str,
    grant: &Grant,
    id: [u8; 16],
    fingerprint: Fingerprint,
    data: &str,
) -> Result<Session, Error> {
    let now = unix_seconds(inner.clock.now());
    let kept = grant.tokens().filter(|_| inner.keep_tokens);
    let is_refreshable = kept.is_some_and(|tokens| tokens.refresh_token().is_some());
    let mut token_ends_at = grant.tokens().and_then(Tokens::access_expires_at).map(unix_seconds);
    if token_ends_at.is_some_and(|token_ends_at| token_ends_at <= now) {
        tracing::warn!("an access token had ended when it came; its end is ignored, and a clock may be wrong");
        token_ends_at = None;
    }
    let absolute_end = inner.lifetimes.absolute_end(now, token_ends_at.filter(|_| !is_refreshable));
    let list = inner.revocations.as_ref();
    let authenticated_at = list.map_or(now, |list| list.begins_at(issuer, grant.subject(), now));
    let new = NewSession {
        id,
        issuer,
        subject: grant.subject(),
        claims: grant.claims(),
        data,
        authenticated_at,
        idle_end: inner.lifetimes.idle_end(now, absolute_end),
        absolute_end,
        generation: u64::from(kept.is_some()),
        fingerprint,
        provider_session: grant.session_id().map(|session_id| provider_session(issuer, session_id)),
    };
    Session::new(&new).ok_or_else(|| ErrorKind::Internal.into())
}

pub(crate) fn provider_session(issuer: &str, session_id: &str) -> ProviderSession {
    let hash = hash(&[b"provider session", issuer.as_bytes(), session_id.as_bytes()]);
    hash.first_chunk().copied().unwrap_or_default()
}

/// Hashes parts so that no two lists of parts collide by their borders.
pub(crate) fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut writer = Writer::with_capacity(parts.iter().map(|part| Writer::PREFIX + part.len()).sum());
    for part in parts {
        writer.prefixed(part);
    }
    let hash = digest::digest(&digest::SHA256, &writer.into_secret());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The first half of [`hash`].
pub(crate) fn fingerprint(parts: &[&[u8]]) -> Fingerprint {
    Fingerprint(hash(parts).first_chunk().copied().unwrap_or_default())
}
