//! What every row is made of.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;

use axum::Router;
use http::{HeaderName, HeaderValue};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One way to know who is signed in, as its own documentation sets it up.
pub struct Peer {
    /// `GET /page` is the measured route. It answers [`page`], also to nobody.
    pub router: Router,
    /// The cookies, or the authorization, of one signed-in user.
    pub signed_in: Vec<(HeaderName, HeaderValue)>,
    /// Path and query at which a login begins, with a redirect to the provider, where the peer has one.
    pub login: Option<String>,
    /// Signs one more person in, where the server keeps something for each.
    pub sign_in_another: Option<Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>>,
    /// Whatever must live on while the router is used.
    pub alive: Vec<Box<dyn Any + Send>>,
}

impl Peer {
    /// A peer that starts no login and keeps nothing on the server.
    #[must_use]
    pub fn new(router: Router, signed_in: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { router, signed_in, login: None, sign_in_another: None, alive: Vec::new() }
    }
}

/// The issuer of the signed-in user.
pub const ISSUER: &str = "https://bitbadges.io";

/// The signed-in user. The answer to a signed-in request must contain it.
pub const SUBJECT: &str = "bb1p0rrel3365scadq5k9pv0x0zp9j22js6dnw70d";

/// What `GET /page` answers, of one length and cost whoever asks.
#[must_use]
pub fn page(who: Option<(&str, &str)>) -> String {
    let (issuer, subject) = who.unwrap_or(("https://no.example..", "nobody..................................."));
    format!("{subject} of {issuer}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_nobody_is_as_long_as_one_for_somebody() {
        assert_eq!(page(None).len(), page(Some((ISSUER, SUBJECT))).len());
    }
}
