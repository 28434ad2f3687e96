//! BitBadges as it would be if it told of logouts, with tokens that are signed by saying so.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower_signin::{
    AuthorizationRequest, BoxFuture, Context, Error, ErrorKind, Grant, LogoutNotice, Provider, Siwbb, ValidatedCode,
};

use crate::site::{NOW, siwbb};

/// What the provider calls the session of everybody who signs in.
pub(crate) const SESSION_ID: &str = "5e55-10n";
pub(crate) const ISSUER: &str = "https://bitbadges.io";

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

/// Cheap to clone; clones are the same provider.
#[derive(Clone)]
pub(crate) struct Teller(Arc<Inside>);

struct Inside {
    siwbb: Siwbb,
    /// What reading a token comes to, if not to the token.
    fault: Mutex<Option<Fault>>,
    begun: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Unreachable,
    Unsupported,
    Panics,
    /// Until there is a permit.
    Waits(Arc<Semaphore>),
    /// Likewise, though only where the signature is wrong: there might be newer keys.
    WaitsForKeys(Arc<Semaphore>),
}

impl Default for Teller {
    fn default() -> Self {
        Self(Arc::new(Inside { siwbb: siwbb(), fault: Mutex::default(), begun: AtomicUsize::new(0) }))
    }
}

impl Teller {
    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        *self.0.fault.lock().unwrap() = fault;
    }

    /// How many tokens have been looked at, or are.
    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }
}

impl Provider for Teller {
    fn issuer(&self) -> &str {
        self.0.siwbb.issuer()
    }

    fn endpoints(&self) -> Vec<&str> {
        self.0.siwbb.endpoints()
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        self.0.siwbb.authorization_url(request)
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async move { Ok(self.0.siwbb.redeem(context, code).await?.with_session_id(SESSION_ID)) })
    }

    fn tells_of_logouts(&self) -> bool {
        true
    }

    fn logout_notice<'a>(&'a self, context: Context<'a>, token: &'a str) -> BoxFuture<'a, Result<LogoutNotice, Error>> {
        Box::pin(async move {
            self.0.begun.fetch_add(1, Ordering::SeqCst);
            let fault = self.0.fault.lock().unwrap().clone();
            match fault {
                Some(Fault::Unreachable) => return Err(ErrorKind::ProviderUnreachable.into()),
                Some(Fault::Unsupported) => return Err(ErrorKind::Unsupported.into()),
                Some(Fault::Panics) => panic!("the provider panics"),
                Some(Fault::Waits(gate)) => gate.acquire().await.unwrap().forget(),
                Some(Fault::WaitsForKeys(gate)) if !token.ends_with(".signed") => {
                    gate.acquire().await.unwrap().forget()
                }
                Some(Fault::WaitsForKeys(_)) | None => {}
            }
            let parts: Vec<_> = token.split('.').collect();
            if parts.len() != 3 || parts[2] != "signed" {
                return Err(Error::new(ErrorKind::LogoutTokenRejected).with_reason("the signature is wrong"));
            }
            let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
            let text = |name: &str| claims[name].as_str().map(str::to_owned);
            let mut notice = LogoutNotice::new(text("jti").unwrap(), context.now() + Duration::from_secs(120));
            if let Some(subject) = text("sub") {
                notice = notice.with_subject(subject);
            }
            if let Some(session_id) = text("sid") {
                notice = notice.with_session_id(session_id);
            }
            Ok(notice)
        })
    }
}

/// A token with an id of its own.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) claims: Value,
    pub(crate) signature: &'static str,
}

impl Token {
    pub(crate) fn of(subject: Option<&str>, session_id: Option<&str>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let claims = json!({"iss": ISSUER, "sub": subject, "sid": session_id, "jti": id});
        Self { claims, signature: "signed" }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = URL_SAFE_NO_PAD.encode(self.claims.to_string());
        write!(f, "e30.{payload}.{}", self.signature)
    }
}
