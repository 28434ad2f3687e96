//! A provider that hangs takes no other along.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;
use tower_signin::{AuthorizationRequest, BoxFuture, Context, Error, Grant, Provider, ValidatedCode};
use url::Url;

use crate::app::App;
use crate::support::{Browser, code, location};

/// Takes codes and never answers, or does at once.
struct Fake {
    issuer: &'static str,
    name: &'static str,
    taken: Option<Arc<watch::Sender<usize>>>,
}

impl Provider for Fake {
    fn issuer(&self) -> &str {
        self.issuer
    }
    fn name(&self) -> &str {
        self.name
    }
    fn endpoints(&self) -> Vec<&str> {
        Vec::new()
    }
    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("{}/authorize?state={}", self.issuer, request.state))
    }
    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        match &self.taken {
            None => Box::pin(async { Grant::new("ada", &json!({})) }),
            Some(taken) => {
                taken.send_modify(|taken| *taken += 1);
                Box::pin(std::future::pending())
            }
        }
    }
}

async fn callback(app: &App, browser: &mut Browser, login: &str, callback: &str) -> String {
    let authorization_url = Url::parse(&location(&browser.get(&app.url(login)).await)).unwrap();
    let state = authorization_url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    app.url(&format!("{callback}?code=made-up&state={state}"))
}

#[tokio::test]
async fn its_attempts_are_counted_by_themselves() {
    let taken = Arc::new(watch::Sender::new(0));
    let tar = Fake { issuer: "https://tar.example", name: "tar", taken: Some(Arc::clone(&taken)) };
    let quick = Fake { issuer: "https://quick.example", name: "quick", taken: None };
    let app = Arc::new(App::start_with(quick, |builder| builder.and(tar)).await);
    for _ in 0..64 {
        let mut browser = Browser::new();
        let url = callback(&app, &mut browser, "/auth/login/tar", "/auth/callback/tar").await;
        tokio::spawn(async move { browser.get(&url).await });
    }
    taken.subscribe().wait_for(|taken| *taken == 64).await.unwrap();
    let mut browser = Browser::new();
    let one_more = callback(&app, &mut browser, "/auth/login/tar", "/auth/callback/tar").await;
    assert_eq!(code(&browser.get(&one_more).await), "too_many_attempts");
    let other = callback(&app, &mut browser, "/auth/login/quick", "/auth/callback").await;
    assert_eq!(browser.get(&other).await.status(), 303);
    assert_eq!(app.says(&mut browser, "/").await, "ada");
}
