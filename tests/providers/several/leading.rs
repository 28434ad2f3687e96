//! Signing out over a provider that does not answer just then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tower_signin::{
    AuthorizationRequest, BoxFuture, Context, EndSessionRequest, Error, ErrorKind, Grant, Provider, ValidatedCode,
};
use url::Url;

use crate::app::App;
use crate::support::{Browser, location};

/// Where it is away it can't be prepared, and knows its page to sign out at from before or not at all.
struct Fake {
    is_away: Arc<AtomicBool>,
    remembers: bool,
}

impl Fake {
    fn is_away(&self) -> bool {
        self.is_away.load(Ordering::SeqCst)
    }
}

impl Provider for Fake {
    fn issuer(&self) -> &str {
        "https://fake.example"
    }
    fn endpoints(&self) -> Vec<&str> {
        Vec::new()
    }
    fn prepare<'a>(&'a self, _: Context<'a>) -> Option<BoxFuture<'a, Result<(), Error>>> {
        self.is_away().then(|| Box::pin(async { Err(ErrorKind::ProviderUnreachable.into()) }) as _)
    }
    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("https://fake.example/authorize?state={}", request.state))
    }
    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async { Grant::new("ada", &json!({})) })
    }
    fn ends_sessions(&self) -> bool {
        true
    }
    fn end_session_url(&self, _: &EndSessionRequest<'_>) -> Option<String> {
        (self.remembers || !self.is_away()).then(|| "https://fake.example/out".to_owned())
    }
}

#[tokio::test]
async fn nobody_is_kept_from_it_and_what_is_known_leads_there() {
    for (is_away, remembers, leads_to) in
        [(false, false, "https://fake.example/out"), (true, true, "https://fake.example/out"), (true, false, "/claims")]
    {
        let away = Arc::new(AtomicBool::new(false));
        let app = App::start(Fake { is_away: Arc::clone(&away), remembers }).await;
        let mut browser = Browser::new();
        let authorization_url = Url::parse(&browser.start(&app.origin, "/").await).unwrap();
        let (_, state) = authorization_url.query_pairs().find(|(name, _)| name == "state").unwrap();
        browser.get(&app.url(&format!("/auth/callback?code=c&state={state}"))).await;
        assert_eq!(app.says(&mut browser, "/").await, "ada");
        away.store(is_away, Ordering::SeqCst);
        let answer = browser.post(&app.url("/auth/logout?return_to=/claims"), "").await;
        assert_eq!((answer.status().as_u16(), location(&answer).as_str()), (303, leads_to), "{is_away} {remembers}");
        assert_eq!(app.says(&mut browser, "/").await, "nobody", "{is_away} {remembers}");
    }
}
