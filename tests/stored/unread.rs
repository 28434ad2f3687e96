//! What does not open never reaches the store.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;

use crate::Visit::{Ignored, Kept, Over};
use crate::double::{KINDS, Kind, Step};
use crate::site::{CODE, Site};
use crate::support::{Browser, navigation, text};
use crate::{SESSION, Stored, Visit, ask, fetch, open, ring, said, told};

#[tokio::test]
async fn nothing_that_was_made_up_is_looked_for() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        for (name, value, expected) in made_up(&stored, &browser).await {
            let mut guest = Browser::new();
            guest.jar.insert(SESSION.to_owned(), value);
            let name = format!("{kind:?}, {name}");
            assert_eq!(open(&stored.site, &mut guest.clone()).await, expected, "{name}");
            assert_eq!(told(&ask(&stored.site, &guest, fetch("/guarded")).await), said(401, "not_signed_in"), "{name}");
            let logout = navigation(Method::POST, stored.site.sign_in.logout_path(), "same-origin");
            assert_eq!(stored.site.visit(&mut guest.clone(), logout).await.status(), 303, "{name}");
            let started = stored.site.start(&mut guest, "/").await;
            let callback = stored.site.get(&mut guest.clone(), &started.callback(CODE)).await;
            assert_eq!(callback.status(), 303, "{name}");
            let asked = stored.store.asked();
            assert!(!asked.contains(&Step::Load) && !asked.contains(&Step::Delete), "{name}: {asked:?}");
            assert_eq!(asked.iter().filter(|step| **step == Step::Create).count(), 1, "{name}: {asked:?}");
            stored.store.forget();
        }
        assert_eq!(open(&stored.site, &mut browser.clone()).await, Kept, "{kind:?}: and what opens is");
        assert_eq!(stored.store.asked(), [Step::Load], "{kind:?}");
    }
}

/// Values of a session cookie, and what a visit comes to: only what names a key of ours and fails is deleted.
async fn made_up(stored: &Stored, browser: &Browser) -> Vec<(String, String, Visit)> {
    let whole = browser.jar[SESSION].clone();
    let bytes = URL_SAFE_NO_PAD.decode(&whole).unwrap();
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let of_other_keys = {
        let other = Stored::with(Kind::Sealed, |builder| builder.keys(ring(&[9])));
        other.signed_in().await.jar[SESSION].clone()
    };
    let of_other_path = {
        let site = Site::of(crate::site::siwbb(), "https://example.com/other/callback", |builder| {
            builder.keys(ring(&[1])).session_store(stored.store.clone()).clock(stored.clock.clone())
        });
        let mut browser = Browser::new();
        let started = site.start(&mut browser, "/").await;
        site.get(&mut browser, &format!("/other/callback?code={CODE}&state={}", started.state)).await;
        stored.store.forget();
        browser.jar[SESSION].clone()
    };
    let flow = {
        let mut browser = Browser::new();
        let started = stored.site.start(&mut browser, "/").await;
        browser.jar[&started.flow_cookie()].clone()
    };
    let mut all = vec![
        ("nothing".to_owned(), String::new(), Ignored),
        ("a word".to_owned(), "session".to_owned(), Ignored),
        ("random bytes".to_owned(), encode(&[7; 69]), Ignored),
        ("one letter less".to_owned(), whole[..whole.len() - 1].to_owned(), Ignored),
        ("padded".to_owned(), format!("{whole}="), Ignored),
        ("a key's name and no more".to_owned(), encode(&bytes[..21]), Over),
        ("the key of the store".to_owned(), stored.store.sessions()[0].0.to_hex(), Ignored),
        ("other keys".to_owned(), of_other_keys, Ignored),
        ("another SignIn".to_owned(), of_other_path, Ignored),
        ("a flow".to_owned(), flow, Over),
    ];
    for place in [21, 30, bytes.len() - 1] {
        let mut forged = bytes.clone();
        forged[place] ^= 1;
        all.push((format!("byte {place} changed"), encode(&forged), Over));
    }
    all
}

/// Tokens and the count of sign-ins are sealed under the same keys.
#[tokio::test]
async fn what_was_sealed_for_another_purpose_is_not_looked_for() {
    for kind in KINDS {
        let stored = Stored::with(kind, tower_signin::Builder::keep_tokens);
        let mut browser = Browser::new();
        stored.site.complete(&mut browser, "/").await;
        stored.store.forget();
        assert!(browser.jar.len() >= 2, "{browser:?}");
        for (name, value) in browser.jar.iter().filter(|(name, _)| *name != SESSION) {
            let mut guest = Browser::new();
            guest.jar.insert(SESSION.to_owned(), value.clone());
            let response = stored.site.get(&mut guest, "/").await;
            assert_eq!((text(&response), guest.jar.contains_key(SESSION)), ("nobody", false), "{kind:?}, {name}");
        }
        // A record is bytes; as a cookie it would be these.
        let (_, record) = stored.store.session();
        let mut guest = Browser::new();
        guest.jar.insert(SESSION.to_owned(), URL_SAFE_NO_PAD.encode(record.bytes()));
        let response = stored.site.get(&mut guest, "/").await;
        let stays = kind == Kind::Private;
        assert_eq!((text(&response), guest.jar.contains_key(SESSION)), ("nobody", stays), "{kind:?}");
        assert!(stored.store.asked().is_empty(), "{kind:?}");
    }
}

/// Deterministic, and of every length: no cookie makes the layer panic or ask.
#[tokio::test]
async fn no_value_of_any_length_is_looked_for() {
    let stored = Stored::new(Kind::Sealed);
    let browser = stored.signed_in().await;
    let whole = browser.jar[SESSION].clone();
    let mut guest = Browser::new();
    for length in 0..whole.len() {
        guest.jar.insert(SESSION.to_owned(), whole[..length].to_owned());
        let found = open(&stored.site, &mut guest.clone()).await;
        assert!(matches!(found, Ignored | Over), "length {length}");
        guest.jar.insert(SESSION.to_owned(), whole[whole.len() - length..].to_owned());
        open(&stored.site, &mut guest.clone()).await;
    }
    assert!(stored.store.asked().is_empty());
}
