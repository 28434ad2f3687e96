//! A provider that gives numbered pairs of tokens, and takes each refresh token once.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::{Method, Request, Response};
use tower_signin::{Clock as _, ManualClock};

use crate::site::{Answer, BOB_ANSWER, Site};

/// How long an access token lives here, in seconds.
pub const LIFE: u64 = 3600;

/// The provider: gives numbered pairs, and takes each refresh token once.
pub struct Bank {
    clock: Arc<ManualClock>,
    issued: AtomicUsize,
    pub live: Mutex<HashSet<String>>,
    /// How long an access token lives; 0 for one whose end is not told.
    pub life: AtomicU64,
    pub gives_refresh_tokens: AtomicBool,
    /// What answers a refresh in place of the bank.
    fault: Mutex<Option<Arc<dyn Fn() -> Answer + Send + Sync>>>,
    pub revoke_status: AtomicU64,
}

impl Bank {
    pub fn open(site: &Site) -> Arc<Self> {
        let bank = Arc::new(Self {
            clock: Arc::clone(&site.clock),
            issued: AtomicUsize::new(0),
            live: Mutex::default(),
            life: AtomicU64::new(LIFE),
            gives_refresh_tokens: true.into(),
            fault: Mutex::default(),
            revoke_status: AtomicU64::new(200),
        });
        bank.open_to(site);
        bank
    }

    /// Another node comes to it, too.
    pub fn open_to(self: &Arc<Self>, site: &Site) {
        let answering = Arc::clone(self);
        site.upstream.answer_by(move |request| answering.answer(request));
    }

    fn answer(&self, request: &Request<Bytes>) -> Answer {
        if is_revoke(request) {
            let status = u16::try_from(self.revoke_status.load(Ordering::SeqCst)).unwrap();
            return Ok(Response::builder().status(status).body(Bytes::from_static(b"{}")).unwrap());
        }
        if is_refresh(request) {
            let fault = self.fault.lock().unwrap().clone();
            if let Some(fault) = fault {
                return fault();
            }
            if !self.live.lock().unwrap().remove(&member(request, "refresh_token")) {
                return Ok(failure(400, "Invalid refresh token."));
            }
        }
        Ok(Response::new(self.pair().to_string().into()))
    }

    /// A new pair, as the answer of an exchange or a refresh.
    fn pair(&self) -> serde_json::Value {
        let number = self.issued.fetch_add(1, Ordering::SeqCst) + 1;
        let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
        pair["access_token"] = format!("at-{number}").into();
        let now = self.clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let life = self.life.load(Ordering::SeqCst);
        if life > 0 {
            pair["access_token_expires_at"] = ((now + life) * 1000).to_string().into();
        }
        if self.gives_refresh_tokens.load(Ordering::SeqCst) {
            pair["refresh_token"] = format!("rt-{number}").into();
            self.live.lock().unwrap().insert(format!("rt-{number}"));
        }
        pair
    }

    /// From now on every refresh is answered so.
    pub fn fail(&self, fault: impl Fn() -> Answer + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Some(Arc::new(fault));
    }

    pub fn recover(&self) {
        *self.fault.lock().unwrap() = None;
    }
}

pub fn failure(status: u16, message: &str) -> Response<Bytes> {
    let body = serde_json::json!({ "errorMessage": message }).to_string();
    Response::builder().status(status).body(body.into()).unwrap()
}

pub fn is_refresh(request: &Request<Bytes>) -> bool {
    request.uri().path() == "/api/v0/siwbb/token" && member(request, "grant_type") == "refresh_token"
}

pub fn is_exchange(request: &Request<Bytes>) -> bool {
    request.uri().path() == "/api/v0/siwbb/token" && member(request, "grant_type") == "authorization_code"
}

pub fn is_revoke(request: &Request<Bytes>) -> bool {
    request.method() == Method::POST && request.uri().path() == "/api/v0/siwbb/token/revoke"
}

pub fn member(request: &Request<Bytes>, name: &str) -> String {
    let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
    body[name].as_str().unwrap_or_default().to_owned()
}

pub fn sent(request: &Request<Bytes>) -> String {
    match request {
        request if is_refresh(request) => format!("refresh {}", member(request, "refresh_token")),
        request if is_revoke(request) => format!("revoke {}", member(request, "token")),
        request if is_exchange(request) => "exchange".to_owned(),
        request => request.uri().to_string(),
    }
}
