use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::keys::Keys;
use super::logout::{Session, Told};
use super::{Account, Misbehaviour};
use crate::clock::unix_seconds;
use crate::dev::DevError;
use crate::dev::authorize::Challenge;
use crate::dev::state::{MAX_ROWS, Requests, Table, hash, random_hex};
use crate::provider::oidc::SigningAlgorithm;

/// What the running server and its handle have in common.
pub(super) struct Shared {
    pub(super) issuer: String,
    inner: Mutex<State>,
}

impl Shared {
    pub(super) fn new(issuer: String) -> Result<Self, DevError> {
        let state = State {
            issuer: issuer.clone(),
            clock: Arc::new(SystemTime::now),
            misbehaviour: None,
            algorithm: SigningAlgorithm::Rs256,
            names_authorized_party: false,
            keys: Keys::generate(1)?,
            foreign_keys: None,
            accounts: Account::people(),
            clients: HashMap::new(),
            codes: Table::new(MAX_ROWS),
            tokens: Table::new(MAX_ROWS),
            id_tokens: Table::new(MAX_ROWS),
            sessions: VecDeque::new(),
            told: Vec::new(),
            requests: Requests::default(),
        };
        Ok(Self { issuer, inner: Mutex::new(state) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct State {
    pub(super) issuer: String,
    pub(super) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    pub(super) misbehaviour: Option<Misbehaviour>,
    pub(super) algorithm: SigningAlgorithm,
    pub(super) names_authorized_party: bool,
    pub(super) keys: Keys,
    foreign_keys: Option<Keys>,
    /// Those of the page.
    pub(super) accounts: Vec<Account>,
    /// By client id.
    pub(super) clients: HashMap<String, Client>,
    /// By the hash of the code.
    pub(super) codes: Table<Code>,
    /// Access and refresh tokens, by their hash.
    pub(super) tokens: Table<Token>,
    /// The session of each ID token that was handed out, by its hash.
    pub(super) id_tokens: Table<Session>,
    /// Who is signed in, oldest first.
    pub(super) sessions: VecDeque<Session>,
    /// The logout tokens that were sent and not asked about.
    pub(super) told: Vec<Told>,
    pub(super) requests: Requests,
}

impl State {
    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        unix_seconds((self.clock)())
    }

    pub(super) fn misbehaves(&self, how: Misbehaviour) -> bool {
        self.misbehaviour == Some(how)
    }

    /// An issuer that this server is not.
    pub(super) fn other_issuer(&self) -> String {
        format!("{}/other", self.issuer)
    }

    /// New keys in place of the old ones, with their ids or with new ones.
    pub(super) fn rotate_keys(&mut self, keep_ids: bool) -> Result<(), DevError> {
        let generation = self.keys.generation();
        self.keys = Keys::generate(if keep_ids { generation } else { generation + 1 })?;
        Ok(())
    }

    /// Keys of somebody else, made when they are first needed.
    pub(super) fn foreign_keys(&mut self) -> Result<&Keys, DevError> {
        if self.foreign_keys.is_none() {
            self.foreign_keys = Some(Keys::generate(0)?);
        }
        self.foreign_keys.as_ref().ok_or(DevError::Random)
    }

    /// Remembers who is signed in.
    pub(super) fn begin(&mut self, session: Session) {
        if self.sessions.len() >= MAX_ROWS {
            self.sessions.pop_front();
        }
        self.sessions.push_back(session);
    }

    pub(super) fn issue_code(&mut self, code: Code) -> Result<String, DevError> {
        let text = random_hex()?;
        self.codes.insert([hash(&text)], code);
        Ok(text)
    }

    pub(super) fn issue_token(
        &mut self,
        kind: TokenKind,
        authorization: &Arc<Authorization>,
        lifetime: u64,
    ) -> Result<String, DevError> {
        let text = random_hex()?;
        let expires_at = self.now().saturating_add(lifetime);
        let token = Token { kind, authorization: Arc::clone(authorization), expires_at, spent: false };
        self.tokens.insert([hash(&text)], token);
        Ok(text)
    }

    /// A token of this kind that is neither spent nor too old, of an authorization that stands.
    pub(super) fn live_token(&self, kind: TokenKind, text: &str) -> Option<&Token> {
        let token = self.tokens.get(&hash(text))?;
        let live =
            token.kind == kind && !token.spent && self.now() < token.expires_at && !token.authorization.is_ended();
        live.then_some(token)
    }
}

/// An app that signs people in here.
#[derive(Clone, Default)]
pub(super) struct Client {
    /// A public client has none.
    pub(super) secret: Option<String>,
    /// Any of this machine where none is registered.
    pub(super) redirect_uris: Vec<String>,
    pub(super) post_logout_redirect_uris: Vec<String>,
    /// Where it wants to be told who has signed out here.
    pub(super) back_channel_logout_uri: Option<String>,
}

/// A code that was handed out.
pub(super) struct Code {
    pub(super) authorization: Arc<Authorization>,
    pub(super) redirect_uri: String,
    pub(super) challenge: Challenge,
    pub(super) expires_at: u64,
    pub(super) spent: bool,
}

/// An access or refresh token that was handed out.
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) authorization: Arc<Authorization>,
    pub(super) expires_at: u64,
    pub(super) spent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Access,
    Refresh,
}

/// What somebody approved. The code, and every token that follows from it, live as long as it stands.
pub(super) struct Authorization {
    pub(super) account: Account,
    pub(super) client_id: String,
    /// This browser's session here.
    pub(super) session_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) acr: Option<String>,
    pub(super) auth_time: u64,
    pub(super) ended: AtomicBool,
}

impl Authorization {
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|found| found == scope)
    }

    pub(super) fn session(&self) -> Session {
        let (client_id, subject) = (self.client_id.clone(), self.account.subject.clone());
        Session { client_id, subject, session_id: self.session_id.clone() }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}
