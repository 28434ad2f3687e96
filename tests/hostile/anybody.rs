//! A provider that vouches for whomever the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower_signin::{AuthorizationRequest, BoxFuture, Context, Error, Grant, Provider, ValidatedCode};

#[derive(Clone)]
pub(crate) struct Anybody {
    grant: Arc<dyn Fn() -> Result<Grant, Error> + Send + Sync>,
    redeemed: Arc<AtomicUsize>,
}

impl Anybody {
    pub(crate) fn new(grant: impl Fn() -> Result<Grant, Error> + Send + Sync + 'static) -> Self {
        Self { grant: Arc::new(grant), redeemed: Arc::default() }
    }

    /// A person of this name, of whom this is claimed.
    pub(crate) fn called(subject: &'static str, claims: serde_json::Value) -> Self {
        Self::new(move || Grant::new(subject, &claims))
    }

    /// How many codes it was given.
    pub(crate) fn redeemed(&self) -> usize {
        self.redeemed.load(Ordering::SeqCst)
    }
}

impl Provider for Anybody {
    fn issuer(&self) -> &str {
        "https://id.example"
    }

    fn endpoints(&self) -> Vec<&str> {
        vec!["https://id.example/token"]
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("https://id.example/authorize?state={}", request.state))
    }

    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        self.redeemed.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { (self.grant)() })
    }
}
