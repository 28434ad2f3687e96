//! What signing in leaves in the store, and in the cookie.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tower_signin::{Admission, Builder, ErrorKind};

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{Fault, KINDS, Kind, Step};
use crate::site::{BOB, CODE, Site, deleted, set_cookies};
use crate::support::{Browser, navigation, text};
use crate::{SESSION, Stored, at, fetch, max_age, open, said, settle, told};

const DAY: u64 = 24 * 60 * 60;

/// What a session may take in a store.
const MOST: usize = 64 * 1024;

/// Attaches a text of so many letters to the next session.
fn attaching(length: &Arc<AtomicUsize>) -> impl FnOnce(Builder) -> Builder + use<> {
    let length = Arc::clone(length);
    |builder| {
        builder.on_sign_in(move |_| {
            let letters = "x".repeat(length.load(Ordering::SeqCst));
            async move { Admission::with_data(&letters) }
        })
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[tokio::test]
async fn makes_one_record_that_tells_who_only_where_the_store_is_private() {
    for kind in KINDS {
        let stored = Stored::with(kind, attaching(&Arc::new(AtomicUsize::new(40))));
        let mut browser = Browser::new();
        assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{kind:?}");
        assert_eq!(stored.store.asked(), [Step::Create], "{kind:?}");
        let (_, record) = stored.store.session();
        assert_eq!((record.generation(), record.expires_at()), (0, at(DAY as i64)), "{kind:?}");
        let claims = "0x092bb4851ae26850588243e7bef22a56287f4739";
        for told in [BOB, "bitbadges", "bitbadgesAddress", claims, &"x".repeat(8)] {
            let told_in_clear = holds(record.bytes(), told);
            assert!(told_in_clear == (kind == Kind::Private) || told == "bitbadgesAddress", "{kind:?}: {told}");
        }
    }
}

#[tokio::test]
async fn the_cookie_is_small_however_large_the_session_is() {
    for kind in KINDS {
        let length = Arc::new(AtomicUsize::new(0));
        let stored = Stored::with(kind, attaching(&length));
        let mut lengths = HashSet::new();
        for letters in [0, 300, 20_000] {
            length.store(letters, Ordering::SeqCst);
            let mut browser = Browser::new();
            let response = stored.site.complete(&mut browser, "/").await;
            let session: Vec<_> =
                set_cookies(&response).into_iter().filter(|it| it.starts_with("__Host-signin=")).collect();
            assert_eq!(session.len(), 1, "{kind:?}, {letters}");
            assert_eq!(max_age(&session[0]), DAY, "{kind:?}, {letters}");
            let size = SESSION.len() + browser.jar[SESSION].len();
            assert!(size < 130, "{kind:?}, {letters}: {size} bytes");
            lengths.insert(size);
            let data = data_of(&stored, &browser).await.unwrap();
            assert_eq!(data.len(), letters, "{kind:?}");
        }
        assert_eq!(lengths.len(), 1, "{kind:?}: {lengths:?}");
    }
}

#[tokio::test]
async fn a_session_may_take_64_kib_and_not_a_byte_more() {
    for kind in KINDS {
        let length = Arc::new(AtomicUsize::new(0));
        let overhead = {
            let stored = Stored::with(Kind::Private, attaching(&length));
            stored.signed_in().await;
            stored.store.session().1.bytes().len()
        };
        let stored = Stored::with(kind, attaching(&length));
        length.store(MOST - overhead + 1, Ordering::SeqCst);
        let mut browser = Browser::new();
        let response = stored.site.complete(&mut browser, "/").await;
        assert_eq!(told(&response), said(500, "session_too_large"), "{kind:?}");
        assert_eq!(response.extensions().get(), Some(&ErrorKind::SessionTooLarge), "{kind:?}");
        assert!(!browser.jar.contains_key(SESSION), "{kind:?}");
        assert!(stored.store.asked().is_empty() && stored.store.sessions().is_empty(), "{kind:?}");
        length.store(MOST - overhead, Ordering::SeqCst);
        assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{kind:?}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
        assert_eq!(data_of(&stored, &browser).await.unwrap().len(), MOST - overhead, "{kind:?}");
    }
}

/// What the identity of a request brings besides its subject.
async fn data_of(stored: &Stored, browser: &Browser) -> Option<String> {
    let identity = crate::identity(&stored.site, browser).await?;
    let claims: serde_json::Value = identity.claims().unwrap();
    assert_eq!((identity.subject(), identity.issuer()), (BOB, "https://bitbadges.io"));
    assert_eq!(claims["address"], "0x092bb4851ae26850588243e7bef22a56287f4739", "{claims}");
    assert_eq!(identity.authenticated_at(), at(0));
    assert_eq!(identity.expires_at(), at(DAY as i64));
    identity.data()
}

#[tokio::test]
async fn every_sign_in_has_an_id_of_its_own_that_the_store_does_not_learn() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut keys = HashSet::new();
        for _ in 0..20 {
            let browser = stored.signed_in().await;
            let (key, _) = *stored.store.sessions().last().unwrap();
            assert!(keys.insert(key), "{kind:?}");
            assert_eq!(crate::open(&stored.site, &mut browser.clone()).await, Kept, "{kind:?}");
            assert_eq!(stored.store.asked_for(), [key], "{kind:?}");
            stored.store.forget();
        }
        // The bytes of a record, and the key, tell nothing that would open the session.
        let (key, record) = stored.store.sessions().remove(0);
        for forged in [key.to_hex(), String::from_utf8_lossy(record.bytes()).into_owned()] {
            let forged = forged.replace(|it: char| !it.is_ascii_alphanumeric(), "");
            let mut browser = Browser::new();
            browser.jar.insert(SESSION.to_owned(), forged);
            assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}");
        }
        assert!(stored.store.asked().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_session_is_one_look_for_each_request_and_none_for_anybody_else() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        for visits in 1..4 {
            assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
            assert_eq!(stored.store.asked(), vec![Step::Load; visits], "{kind:?}");
        }
        stored.store.forget();
        assert_eq!(open(&stored.site, &mut Browser::new()).await, Ignored, "{kind:?}");
        let started = stored.site.start(&mut Browser::new(), "/").await;
        assert_eq!(stored.site.get(&mut Browser::new(), &started.callback(CODE)).await.status(), 400, "{kind:?}");
        assert!(stored.store.asked().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_take_the_session_makes_none_and_the_next_try_works() {
    for kind in KINDS {
        for fault in [Fault::Unreachable, Fault::Failed] {
            let name = format!("{kind:?}, {fault:?}");
            let stored = Stored::new(kind);
            let mut browser = Browser::new();
            stored.store.fail(&[Step::Create], fault);
            let started = stored.site.start(&mut browser, "/target").await;
            let response = stored.site.get(&mut browser, &started.callback(CODE)).await;
            assert_eq!(told(&response), said(503, "session_store_failed"), "{name}");
            assert_eq!(response.headers()["retry-after"], "5", "{name}");
            assert_eq!(set_cookies(&response), [started.flow_deleted()], "{name}");
            stored.store.recover();
            assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{name}");
            assert_eq!(open(&stored.site, &mut browser).await, Kept, "{name}");
            assert_eq!(stored.store.sessions().len(), 1, "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_takes_the_session_is_given_five_seconds() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = Browser::new();
        stored.store.fail(&[Step::Create], Fault::Hangs);
        let began = tokio::time::Instant::now();
        let response = stored.site.complete(&mut browser, "/").await;
        assert_eq!(told(&response), said(503, "session_store_failed"), "{kind:?}");
        assert_eq!(began.elapsed(), Duration::from_secs(5), "{kind:?}");
        assert!(!browser.jar.contains_key(SESSION), "{kind:?}");
    }
}

/// The same browser, so that its former session is over: in the store too, whatever copies of its cookie there are.
#[tokio::test]
async fn a_new_sign_in_takes_the_former_session_out_of_the_store() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let other = stored.node(|builder| builder);
        let mut browser = stored.signed_in().await;
        let (former, _) = stored.store.session();
        let mut copy = browser.clone();
        assert_eq!(stored.site.complete(&mut browser, "/").await.status(), 303, "{kind:?}");
        settle().await;
        assert_ne!(stored.store.session().0, former, "{kind:?}");
        assert_eq!(open(&other, &mut copy.clone()).await, Over, "{kind:?}");
        assert_eq!(open(&stored.site, &mut copy).await, Ignored, "{kind:?}: this browser may hold the new one");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

/// Whoever reloads the callback has the session already, and it stays.
#[tokio::test]
async fn a_double_of_the_callback_makes_no_second_record_and_takes_none_away() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/target").await;
        let at_first = browser.clone();
        let callback = started.callback(CODE);
        let first = stored.site.get(&mut browser, &callback).await;
        // The second as it was sent before the answer to the first, and once more afterwards.
        let mut with_session = browser.clone();
        with_session.jar.extend(at_first.jar.clone());
        for mut double in [at_first, with_session] {
            let response = stored.site.get(&mut double, &callback).await;
            assert_eq!(response.status(), 303, "{kind:?}");
            assert_eq!(set_cookies(&response)[..2], set_cookies(&first)[..2], "{kind:?}");
        }
        settle().await;
        assert_eq!(stored.store.count(Step::Create), 1, "{kind:?}");
        assert_eq!(stored.store.count(Step::Delete), 0, "{kind:?}");
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
    }
}

/// Sessions from before the store live on in their cookies; signing in anew puts one into the store.
#[tokio::test]
async fn a_session_in_its_cookie_is_accepted_beside_a_store() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.without_store().signed_in().await;
        assert_eq!(open(&stored.site, &mut browser).await, Kept, "{kind:?}");
        assert_eq!(crate::ask(&stored.site, &browser, fetch("/guarded")).await.status(), 200, "{kind:?}");
        assert!(stored.store.asked().is_empty(), "{kind:?}");
        stored.site.complete(&mut browser, "/").await;
        settle().await;
        assert_eq!((stored.store.asked(), stored.store.sessions().len()), (vec![Step::Create], 1), "{kind:?}");
        let request = navigation(http::Method::POST, stored.site.sign_in.logout_path(), "same-origin");
        let response = stored.site.visit(&mut browser, request).await;
        assert!(set_cookies(&response).contains(&deleted(SESSION)), "{kind:?}");
        assert!(stored.store.sessions().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_site_without_the_store_ignores_an_id_and_leaves_it() {
    let stored = Stored::new(Kind::Sealed);
    let mut browser = stored.signed_in().await;
    let without: Site = stored.without_store();
    assert_eq!(open(&without, &mut browser).await, Ignored);
    assert_eq!(crate::ask(&without, &browser, fetch("/guarded")).await.status(), 401);
    assert_eq!(text(&crate::ask(&without, &browser, fetch("/perhaps")).await), "nobody");
    assert_eq!(open(&stored.site, &mut browser).await, Kept);
}
