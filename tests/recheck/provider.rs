//! A provider of the application's own: what it is asked with, and which of its errors count.

use std::sync::{Arc, Mutex};

use tower_signin::{
    AuthorizationRequest, BoxFuture, Context, Error, ErrorKind, Grant, Provider, Tokens, ValidatedCode,
};

use crate::seconds;
use crate::site::{CALLBACK, Site};
use crate::support::text;

/// Says nothing of tokens, and lets in or not as the test wants it.
#[derive(Clone, Default)]
struct Own {
    seen: Arc<Mutex<Vec<String>>>,
    refuses: Arc<Mutex<Option<ErrorKind>>>,
}

impl Provider for Own {
    fn issuer(&self) -> &str {
        "https://id.example.com"
    }

    fn endpoints(&self) -> Vec<&str> {
        vec!["https://id.example.com/token"]
    }

    fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, Error> {
        Ok(format!("https://id.example.com/authorize?state={}", request.state))
    }

    fn redeem<'a>(&'a self, _: Context<'a>, _: ValidatedCode) -> BoxFuture<'a, Result<Grant, Error>> {
        Box::pin(async { Ok(Grant::new("ada", &["staff"])?.with_tokens(Tokens::new("at"))) })
    }

    fn admit<'a>(&'a self, _: Context<'a>, who: &'a Grant) -> BoxFuture<'a, Result<(), Error>> {
        let tokens = who.tokens().map_or("no tokens", Tokens::access_token);
        self.seen.lock().unwrap().push(format!("{} {} {tokens}", who.subject(), who.claims()));
        let answer = self.refuses.lock().unwrap().map_or(Ok(()), |kind| Err(kind.into()));
        Box::pin(async { answer })
    }
}

#[tokio::test]
async fn is_asked_with_what_the_session_holds() {
    for (keeps, expected) in [(true, "ada [\"staff\"] at"), (false, "ada [\"staff\"] no tokens")] {
        let own = Own::default();
        let site = Site::of(own.clone(), CALLBACK, |builder| {
            let builder = builder.recheck_every(seconds(60));
            if keeps { builder.keep_tokens() } else { builder }
        });
        let mut browser = site.signed_in().await;
        own.seen.lock().unwrap().clear();
        site.clock.advance(seconds(60));
        assert_eq!(text(&site.get(&mut browser, "/").await), "ada", "is_active is unsupported, which is no no");
        assert_eq!(*own.seen.lock().unwrap(), [expected]);
    }
}

#[tokio::test]
async fn three_errors_are_its_word_on_the_person_and_no_other_is() {
    use ErrorKind::{ClaimRequired, NotVerified, OwnershipRequired};
    for kind in ErrorKind::ALL {
        let own = Own::default();
        let site = Site::of(own.clone(), CALLBACK, |builder| builder.keep_tokens().recheck_every(seconds(60)));
        let mut browser = site.signed_in().await;
        *own.refuses.lock().unwrap() = Some(*kind);
        site.clock.advance(seconds(60));
        let ends = [ClaimRequired, NotVerified, OwnershipRequired].contains(kind);
        let response = site.get(&mut browser, "/").await;
        assert_eq!(text(&response), if ends { "nobody" } else { "ada" }, "{kind:?}");
        assert_eq!(browser.jar.contains_key(crate::SESSION), !ends, "{kind:?}");
    }
}
