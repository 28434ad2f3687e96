//! Tokens beside a stored session stay in their own cookie, and live as ever.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use tower_signin::{Builder, Clock as _};

use crate::Visit::Kept;
use crate::double::{Fault, KINDS, Kind, STEPS};
use crate::site::{BOB, BOB_ANSWER, deleted, set_cookies};
use crate::support::{Browser, text};
use crate::{SESSION, Stored, at, fetch, open, said, settle, sign_out, told};

const TOKENS: &str = "__Host-signin-tokens";

/// A site that keeps tokens, whose provider gives numbered pairs that end after an hour.
fn keeping(kind: Kind) -> Stored {
    let stored = Stored::with(kind, Builder::keep_tokens);
    let (clock, issued) = (stored.clock.clone(), std::sync::atomic::AtomicUsize::new(0));
    stored.site.upstream.answer_by(move |request| {
        if is_revoke(request) {
            return Ok(Response::new(Bytes::from_static(b"{}")));
        }
        let number = issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
        pair["access_token"] = format!("at-{number}").into();
        pair["refresh_token"] = format!("rt-{number}").into();
        let ends = clock.now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
        pair["access_token_expires_at"] = ends.as_millis().to_string().into();
        Ok(Response::new(pair.to_string().into()))
    });
    stored
}

fn is_revoke(request: &Request<Bytes>) -> bool {
    request.uri().path().ends_with("/token/revoke")
}

#[tokio::test]
async fn one_refresh_serves_a_thousand_requests() {
    for kind in KINDS {
        let stored = keeping(kind);
        let browser = stored.signed_in().await;
        assert!(browser.jar.contains_key(TOKENS), "{kind:?}");
        stored.clock.set(at(3600 - 60));
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..1000 {
            let mut request = crate::page("/").body(Bytes::new()).unwrap();
            request.headers_mut().insert(http::header::COOKIE, browser.cookie_header().unwrap().parse().unwrap());
            let service = stored.sign_in_service();
            waiting.spawn(
                async move { tower::ServiceExt::oneshot(service, request).await.unwrap().map(|_| Bytes::new()) },
            );
        }
        for response in waiting.join_all().await {
            let cookies = set_cookies(&response);
            assert!(cookies.len() == 1 && cookies[0].starts_with(TOKENS), "{kind:?}: {cookies:?}");
        }
        assert_eq!(stored.site.upstream.requests().len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn signing_out_revokes_them_though_the_store_is_away() {
    for kind in KINDS {
        for steps in [&[][..], &STEPS] {
            let stored = keeping(kind);
            let mut browser = stored.signed_in().await;
            stored.store.fail(steps, Fault::Unreachable);
            let response = sign_out(&stored.site, &mut browser).await;
            for name in [SESSION, TOKENS] {
                assert!(set_cookies(&response).contains(&deleted(name)), "{kind:?}, {steps:?}, {name}");
            }
            settle().await;
            let sent = stored.site.upstream.requests();
            assert!(sent.len() == 1 && is_revoke(&sent[0]), "{kind:?}, {steps:?}: {sent:?}");
        }
    }
}

/// Nothing is refreshed for whoever may have signed out meanwhile.
#[tokio::test]
async fn nothing_is_refreshed_while_the_store_is_away_nor_for_who_is_gone() {
    for kind in KINDS {
        let stored = keeping(kind);
        let mut browser = stored.signed_in().await;
        stored.clock.set(at(3600 - 60));
        stored.store.fail(&STEPS, Fault::Unreachable);
        let response = crate::ask(&stored.site, &browser, fetch("/guarded")).await;
        assert_eq!((told(&response), set_cookies(&response)), (said(503, "session_unavailable"), vec![]), "{kind:?}");
        assert!(stored.site.upstream.requests().is_empty(), "{kind:?}");
        stored.store.recover();
        let response = stored.site.get(&mut browser.clone(), "/").await;
        assert_eq!((text(&response), stored.site.upstream.requests().len()), (BOB, 1), "{kind:?}");

        stored.site.upstream.forget();
        stored.store.clear();
        let response = stored.site.get(&mut browser, "/").await;
        assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![deleted(SESSION), deleted(TOKENS)]));
        assert!(stored.site.upstream.requests().is_empty(), "{kind:?}");
    }
}

/// The tokens of one session beside another are none.
#[tokio::test]
async fn tokens_belong_to_their_session() {
    for kind in KINDS {
        let stored = keeping(kind);
        let (mut mine, other) = (stored.signed_in().await, stored.signed_in().await);
        assert_eq!(open(&stored.site, &mut mine).await, Kept, "{kind:?}");
        let mut mixed: Browser = mine.clone();
        mixed.jar.insert(TOKENS.to_owned(), other.jar[TOKENS].clone());
        let response = stored.site.get(&mut mixed, "/").await;
        assert_eq!((text(&response), set_cookies(&response)), ("nobody", vec![]), "{kind:?}");
    }
}
