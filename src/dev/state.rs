use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, rand};

use super::authorize::Challenge;
use super::{Account, DevError, Fault, Mode, RecordedRequest, Route};

/// What the running server and its handle have in common.
pub(super) struct Shared {
    pub(super) origin: String,
    inner: Mutex<State>,
}

impl Shared {
    pub(super) fn new(origin: String) -> Self {
        let state = State {
            mode: Mode::Strict,
            clock: Arc::new(SystemTime::now),
            apps: HashMap::new(),
            codes: Table::new(MAX_ROWS),
            grants: Table::new(MAX_ROWS),
            faults: HashMap::new(),
            claims: HashMap::new(),
            owners: HashSet::new(),
            requests: Requests::default(),
        };
        Self { origin, inner: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Client id to the hash of the client secret.
    pub(super) apps: HashMap<String, String>,
    /// By the hash of the code.
    pub(super) codes: Table<Code>,
    /// By the hashes of the access token and of the refresh token.
    pub(super) grants: Table<Grant>,
    pub(super) faults: HashMap<Route, Fault>,
    /// Claim id and `bb1…` address to the number of successes.
    pub(super) claims: HashMap<(String, String), u64>,
    /// The `bb1…` addresses that meet every ownership requirement.
    pub(super) owners: HashSet<String>,
    pub(super) requests: Requests,
}

impl State {
    /// UNIX time in milliseconds.
    pub(super) fn now(&self) -> u64 {
        let since = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Makes a code, as the authorize page does on approval.
    pub(super) fn issue_code(&mut self, code: NewCode) -> Result<String, DevError> {
        let text = random_hex()?;
        let row = Code {
            account: code.account,
            client_id: code.client_id,
            redirect_uri: code.redirect_uri,
            challenge: code.challenge,
            scopes: code.scopes,
            issued_at: self.now(),
        };
        self.codes.insert([hash(&text)], row);
        Ok(text)
    }
}

/// The last requests, oldest first.
#[derive(Default)]
pub(super) struct Requests(VecDeque<RecordedRequest>);

impl Requests {
    pub(super) fn record(&mut self, request: RecordedRequest) {
        if self.0.len() >= MAX_REQUESTS {
            self.0.pop_front();
        }
        self.0.push_back(request);
    }

    pub(super) fn all(&self) -> Vec<RecordedRequest> {
        self.0.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// What a code stands for, before it is made.
pub(super) struct NewCode {
    pub(super) account: Account,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<Challenge>,
    pub(super) scopes: Vec<String>,
}

/// A code that was handed out.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) account: Account,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<Challenge>,
    pub(super) scopes: Vec<String>,
    pub(super) issued_at: u64,
}

/// A pair of tokens that was handed out.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) account: Account,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    pub(super) access_hash: String,
    pub(super) access_expires_at: u64,
    pub(super) refresh_hash: String,
    pub(super) refresh_expires_at: u64,
}

/// Rows found by any of their keys; when full, the oldest row goes.
pub(super) struct Table<V> {
    rows: BTreeMap<u64, (Vec<String>, V)>,
    index: HashMap<String, u64>,
    next: u64,
    capacity: usize,
}

impl<V> Table<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { rows: BTreeMap::new(), index: HashMap::new(), next: 0, capacity }
    }

    pub(super) fn insert(&mut self, keys: impl IntoIterator<Item = String>, value: V) {
        while self.rows.len() >= self.capacity {
            let Some((_, (keys, _))) = self.rows.pop_first() else {
                break;
            };
            for key in keys {
                self.index.remove(&key);
            }
        }
        let keys: Vec<String> = keys.into_iter().collect();
        for key in &keys {
            self.index.insert(key.clone(), self.next);
        }
        self.rows.insert(self.next, (keys, value));
        self.next += 1;
    }

    pub(super) fn get(&self, key: &str) -> Option<&V> {
        let row = self.index.get(key)?;
        self.rows.get(row).map(|(_, value)| value)
    }

    #[cfg(feature = "oidc")]
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut V> {
        let row = self.index.get(key)?;
        self.rows.get_mut(row).map(|(_, value)| value)
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        let row = self.index.get(key)?;
        let (keys, value) = self.rows.remove(row)?;
        for key in keys {
            self.index.remove(&key);
        }
        Some(value)
    }
}

/// SHA-256 in hex. Codes, tokens and secrets are kept and looked up by it only.
pub(super) fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// 32 random bytes as 64 lower-case hex digits, the documented shape of a code.
pub(super) fn random_hex() -> Result<String, DevError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| DevError::Random)?;
    Ok(hex::encode(bytes))
}

pub(super) const MAX_ROWS: usize = 10_000;
const MAX_REQUESTS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_drops_its_oldest_row() {
        let mut table = Table::new(2);
        for n in 1..=3 {
            table.insert([format!("a{n}"), format!("b{n}")], n);
        }
        assert_eq!(table.get("a1"), None);
        assert_eq!(table.get("b1"), None);
        assert_eq!(table.remove("b2"), Some(2));
        assert_eq!(table.get("a2"), None);
        assert_eq!(table.get("a3"), Some(&3));
        assert_eq!(table.index.len(), 2);
    }

    #[test]
    fn hash_is_sha256_in_lower_case_hex() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
