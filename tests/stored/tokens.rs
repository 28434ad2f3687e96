//! Tokens of a stored session are kept beside it in the store, and no cookie carries them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use tower_signin::{Builder, Clock as _, SessionStore as _};

use crate::double::{Fault, KINDS, Kind, STEPS, Step};
use crate::site::{BOB, BOB_ANSWER, Site, deleted, set_cookies};
use crate::support::text;
use crate::{SESSION, Stored, at, fetch, said, service_of, settle, sign_out, told};

const TOKENS: &str = "__Host-signin-tokens";

/// A site that keeps tokens, whose provider gives numbered pairs that end after an hour.
fn keeping(kind: Kind) -> Stored {
    let stored = Stored::with(kind, Builder::keep_tokens);
    answer_with_pairs(&stored.site);
    stored
}

/// Another node of it.
fn keeping_node(stored: &Stored) -> Site {
    let site = stored.node(Builder::keep_tokens);
    answer_with_pairs(&site);
    site
}

fn answer_with_pairs(site: &Site) {
    let (clock, issued) = (site.clock.clone(), AtomicUsize::new(0));
    site.upstream.answer_by(move |request| {
        if is_revoke(request) {
            return Ok(Response::new(Bytes::from_static(b"{}")));
        }
        let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
        let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
        pair["access_token"] = format!("at-{number}").into();
        pair["refresh_token"] = format!("rt-{number}").into();
        let ends = clock.now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
        pair["access_token_expires_at"] = ends.as_millis().to_string().into();
        Ok(Response::new(pair.to_string().into()))
    });
}

fn is_revoke(request: &Request<Bytes>) -> bool {
    request.uri().path().ends_with("/token/revoke")
}

#[tokio::test]
async fn one_refresh_serves_a_thousand_requests() {
    for kind in KINDS {
        let stored = keeping(kind);
        let browser = stored.signed_in().await;
        assert!(!browser.jar.contains_key(TOKENS), "{kind:?}: {:?}", browser.jar.keys());
        let (_, before) = stored.store.session();
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
            assert_eq!((response.status().as_u16(), set_cookies(&response)), (200, vec![]), "{kind:?}");
        }
        assert_eq!(stored.site.upstream.requests().len(), 1, "{kind:?}");
        settle().await;
        let (_, after) = stored.store.session();
        assert_eq!(after.generation(), before.generation() + 1, "{kind:?}: the new ones are in the store");
    }
}

#[tokio::test]
async fn signing_out_revokes_them() {
    for kind in KINDS {
        let stored = keeping(kind);
        let mut browser = stored.signed_in().await;
        let response = sign_out(&stored.site, &mut browser).await;
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{kind:?}");
        settle().await;
        let sent = stored.site.upstream.requests();
        assert!(sent.len() == 1 && is_revoke(&sent[0]), "{kind:?}: {sent:?}");
    }
}

/// Only the store knows them.
#[tokio::test]
async fn signing_out_while_the_store_is_away_revokes_nothing() {
    for kind in KINDS {
        let stored = keeping(kind);
        let mut browser = stored.signed_in().await;
        stored.store.fail(&STEPS, Fault::Unreachable);
        let response = sign_out(&stored.site, &mut browser).await;
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{kind:?}");
        settle().await;
        assert!(stored.site.upstream.requests().is_empty(), "{kind:?}");
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

/// Each of two nodes has a thousand requests at once.
#[tokio::test]
async fn nodes_refresh_once_between_them() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = keeping(kind);
        let other = keeping_node(&stored);
        let browser = stored.signed_in().await;
        stored.clock.set(at(3600 - 60));
        let mut waiting = tokio::task::JoinSet::new();
        for number in 0..2000 {
            let mut request = crate::page("/").body(Bytes::new()).unwrap();
            request.headers_mut().insert(http::header::COOKIE, browser.cookie_header().unwrap().parse().unwrap());
            let service = if number % 2 == 0 { stored.sign_in_service() } else { service_of(&other) };
            waiting.spawn(async move { tower::ServiceExt::oneshot(service, request).await.unwrap().status() });
        }
        for status in waiting.join_all().await {
            assert_eq!(status, 200, "{kind:?}");
        }
        let sent = [&stored.site, &other].map(|site| site.upstream.requests().len());
        assert_eq!(sent.iter().sum::<usize>(), 1, "{kind:?}: {sent:?}");
    }
}

/// What was refused may be what another node has used up, and only the store would tell.
#[tokio::test]
async fn a_refusal_while_the_store_is_away_ends_nothing() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = keeping(kind);
        let mut browser = stored.signed_in().await;
        stored.clock.set(at(3600 - 60));
        let store = stored.store.clone();
        stored.site.upstream.answer_by(move |_| {
            store.fail(&STEPS, Fault::Unreachable);
            Ok(Response::builder().status(400).body(Bytes::from_static(b"{}")).unwrap())
        });
        let response = stored.site.get(&mut browser, "/").await;
        assert_eq!((text(&response), set_cookies(&response)), (BOB, vec![]), "{kind:?}");
        settle().await;
        stored.store.recover();
        answer_with_pairs(&stored.site);
        stored.clock.set(at(3600 - 50));
        let response = stored.site.get(&mut browser, "/").await;
        assert_eq!((text(&response), set_cookies(&response)), (BOB, vec![]), "{kind:?}");
        assert_eq!(stored.store.sessions().len(), 1, "{kind:?}");
    }
}

/// The provider takes fifteen seconds, and the store's answer to the first renewal is lost.
#[tokio::test(start_paused = true)]
async fn a_turn_is_kept_though_an_answer_was_lost() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = keeping(kind);
        let other = keeping_node(&stored);
        let browser = stored.signed_in().await;
        stored.clock.set(at(3600 - 30));
        let gate = stored.site.upstream.hold(|_| true);
        let ask = |site: &Site| {
            let (service, cookies) = (service_of(site), browser.cookie_header().unwrap());
            let request = crate::page("/").header(http::header::COOKIE, cookies).body(Bytes::new()).unwrap();
            tokio::spawn(async move { tower::ServiceExt::oneshot(service, request).await.unwrap().status() })
        };
        let waiting = ask(&stored.site);
        settle().await;
        for second in 1..=15 {
            let fault = Fault::LosesTheAnswer;
            if second <= 3 {
                stored.store.fail(&[Step::Mark], fault)
            } else {
                stored.store.recover()
            }
            stored.clock.set(at(3600 - 30 + second));
            tokio::time::advance(Duration::from_secs(1)).await;
            settle().await;
        }
        let there = ask(&other);
        settle().await;
        assert!(other.upstream.requests().is_empty(), "{kind:?}");
        gate.add_permits(1);
        assert_eq!([waiting.await.unwrap().as_u16(), there.await.unwrap().as_u16()], [200, 200], "{kind:?}");
        settle().await;
        let sent = [&stored.site, &other].map(|site| site.upstream.requests().len());
        assert_eq!(sent, [1, 0], "{kind:?}");
    }
}

/// A node loses its turn while the provider thinks, another one refreshes, and only then comes what the first has waited for.
#[tokio::test]
async fn who_comes_late_overwrites_nothing() {
    for kind in [Kind::Sealed, Kind::Later] {
        let stored = keeping(kind);
        let other = keeping_node(&stored);
        let browser = stored.signed_in().await;
        stored.clock.set(at(3600 - 30));
        let gate = stored.site.upstream.hold(|_| true);
        let (service, cookies) = (service_of(&stored.site), browser.cookie_header().unwrap());
        let request = crate::page("/").header(http::header::COOKIE, cookies).body(Bytes::new()).unwrap();
        let late = tokio::spawn(async move { tower::ServiceExt::oneshot(service, request).await.unwrap().status() });
        settle().await;
        stored.clock.set(at(3600 - 30 + 11));
        assert_eq!(text(&other.get(&mut browser.clone(), "/").await), BOB, "{kind:?}");
        let (key, there) = stored.store.session();
        gate.add_permits(1);
        assert_eq!(late.await.unwrap(), 200, "{kind:?}");
        settle().await;
        let sent = [&stored.site, &other].map(|site| site.upstream.requests().len());
        assert_eq!(sent, [1, 1], "{kind:?}");
        assert!(stored.store.load(key).await.unwrap().unwrap() == there, "{kind:?}: the later turn's are there");
    }
}

/// As signing out does.
#[tokio::test]
async fn an_end_from_elsewhere_revokes_them() {
    for kind in KINDS {
        for is_for_all in [true, false] {
            let stored = keeping(kind);
            let browser = stored.signed_in().await;
            let who = crate::identity(&stored.site, &browser).await.unwrap();
            if is_for_all {
                stored.site.sign_in.end_sessions_of(who.issuer(), BOB).await.unwrap();
            } else {
                stored.site.sign_in.end_session(&who).await.unwrap();
            }
            settle().await;
            let sent = stored.site.upstream.requests();
            assert!(sent.len() == 1 && is_revoke(&sent[0]), "{kind:?}, {is_for_all}: {sent:?}");
        }
    }
}
