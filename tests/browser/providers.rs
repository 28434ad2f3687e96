//! Providers with no page of their own, and the dev provider with something in its way.

use std::future::{Future, ready};

use tower_signin::{
    AuthorizationRequest, BoxFuture, Context, Error, Grant, Provider, Refreshed, Siwbb, Tokens, ValidatedCode,
};

/// Sends everybody straight back, as a provider does where somebody is signed in and has agreed before. The function says
/// what becomes of each exchange.
pub struct SaysYes<F>(pub F);

impl<F> Provider for SaysYes<F>
where
    F: Fn() -> Result<Grant, Error> + Send + Sync + 'static,
{
    fn issuer(&self) -> &str {
        "http://localhost:1"
    }

    fn endpoints(&self) -> Vec<&str> {
        vec!["http://localhost:1/token"]
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("{}?code=c0de&state={}", request.redirect_uri, request.state))
    }

    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(ready((self.0)()))
    }
}

/// The dev provider, reached only once something before it has let a call through.
pub struct Obstructed {
    siwbb: Siwbb,
    exchange: Obstacle,
    refresh: Obstacle,
}

type Obstacle = Box<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

impl Obstructed {
    pub fn at_exchange<F>(siwbb: Siwbb, obstacle: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self { siwbb, exchange: Box::new(move || Box::pin(obstacle())), refresh: none() }
    }

    pub fn at_refresh<F>(siwbb: Siwbb, obstacle: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        Self { siwbb, exchange: none(), refresh: Box::new(move || Box::pin(obstacle())) }
    }
}

fn none() -> Obstacle {
    Box::new(|| Box::pin(ready(Ok(()))))
}

impl Provider for Obstructed {
    fn issuer(&self) -> &str {
        self.siwbb.issuer()
    }

    fn endpoints(&self) -> Vec<&str> {
        self.siwbb.endpoints()
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        self.siwbb.authorization_url(request)
    }

    fn redeem<'a>(&'a self, context: Context<'a>, code: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async move {
            (self.exchange)().await?;
            self.siwbb.redeem(context, code).await
        })
    }

    fn refresh<'a>(
        &'a self,
        context: Context<'a>,
        subject: &'a str,
        tokens: &'a Tokens,
    ) -> BoxFuture<'a, Result<Refreshed, Error>> {
        Box::pin(async move {
            (self.refresh)().await?;
            self.siwbb.refresh(context, subject, tokens).await
        })
    }
}
