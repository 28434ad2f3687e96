//! Keys that change while people are signed in.

use crate::Visit::{Ignored, Kept, Renewed};
use crate::double::{Fault, KINDS, Kind, Step};
use crate::{SESSION, Stored, at, open, ring};

const OLD: u8 = 1;
const NEW: u8 = 2;
const DAY: u64 = 24 * 60 * 60;

fn sealed() -> [Kind; 2] {
    [Kind::Sealed, Kind::Later]
}

#[tokio::test]
async fn a_rotation_signs_nobody_out_and_seals_cookie_and_record_anew() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let [added, first, last] =
            [&[OLD, NEW][..], &[NEW, OLD], &[NEW]].map(|keys| stored.node(|builder| builder.keys(ring(keys))));
        let mut browser = stored.signed_in().await;
        let (_, before) = stored.store.session();

        assert_eq!(open(&added, &mut browser).await, Kept, "{kind:?}: the new key is there, and not first");
        assert_eq!(stored.store.session().1, before, "{kind:?}");

        stored.clock.set(at(200));
        let old_cookie = browser.clone();
        assert_eq!(open(&first, &mut browser).await, Renewed(DAY - 200), "{kind:?}: no longer than the session");
        let (_, after) = stored.store.session();
        assert_eq!(after.expires_at(), before.expires_at(), "{kind:?}");
        assert_eq!(after.generation(), u64::from(kind != Kind::Private), "{kind:?}");
        assert_eq!(after.bytes() == before.bytes(), kind == Kind::Private, "{kind:?}");

        stored.store.forget();
        for second in [200, 201, 5000] {
            stored.clock.set(at(second));
            assert_eq!(open(&first, &mut browser).await, Kept, "{kind:?}: once only");
        }
        assert_eq!(stored.store.asked(), [Step::Load; 3], "{kind:?}");
        // A browser that did not get the answer, and another tab's request that was under way.
        assert_eq!(open(&first, &mut old_cookie.clone()).await, Renewed(DAY - 5000), "{kind:?}");
        assert_eq!(stored.store.session().1.generation(), after.generation(), "{kind:?}: the record is new enough");

        assert_eq!(open(&last, &mut browser).await, Kept, "{kind:?}: the old key is gone");
        assert_eq!(open(&last, &mut old_cookie.clone()).await, Ignored, "{kind:?}");
    }
}

/// Of many requests at once each brings the cookie anew, and one the record.
#[tokio::test]
async fn a_record_is_sealed_anew_once_however_many_come_at_once() {
    for kind in sealed() {
        let stored = Stored::new(kind);
        let browser = stored.signed_in().await;
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (site, mut browser) = (stored.node(|builder| builder.keys(ring(&[NEW, OLD]))), browser.clone());
            waiting.spawn(async move { open(&site, &mut browser).await });
        }
        assert_eq!(waiting.join_all().await, [Renewed(DAY); 50], "{kind:?}");
        assert_eq!(stored.store.session().1.generation(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_record_that_can_not_be_sealed_anew_still_holds() {
    for kind in sealed() {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let first = stored.node(|builder| builder.keys(ring(&[NEW, OLD])));
        stored.store.fail(&[Step::Update], Fault::Unreachable);
        assert_eq!(open(&first, &mut browser).await, Renewed(DAY), "{kind:?}");
        assert_eq!(stored.store.session().1.generation(), 0, "{kind:?}");
        stored.store.recover();
        assert_eq!(open(&first, &mut browser).await, Kept, "{kind:?}: the cookie is new already");
        assert_eq!(stored.store.session().1.generation(), 1, "{kind:?}");
        let last = stored.node(|builder| builder.keys(ring(&[NEW])));
        assert_eq!(open(&last, &mut browser).await, Kept, "{kind:?}");
    }
}

/// While a deployment lasts, whatever the one seals the other either opens or leaves alone.
#[tokio::test]
async fn a_node_without_the_new_key_ignores_what_it_can_not_open() {
    for kind in KINDS {
        let stored = Stored::new(kind);
        let mut browser = stored.signed_in().await;
        let before = browser.clone();
        let first = stored.node(|builder| builder.keys(ring(&[NEW, OLD])));
        assert_eq!(open(&first, &mut browser).await, Renewed(DAY), "{kind:?}");
        let renewed = browser.jar[SESSION].clone();
        stored.store.forget();
        assert_eq!(open(&stored.site, &mut browser).await, Ignored, "{kind:?}");
        assert!(stored.store.asked().is_empty() && browser.jar[SESSION] == renewed, "{kind:?}");
        // The cookie it knows leads to a record that it does not, unless that is kept in clear.
        let expected = if kind == Kind::Private { Kept } else { Ignored };
        assert_eq!(open(&stored.site, &mut before.clone()).await, expected, "{kind:?}");
        assert_eq!(open(&first, &mut browser).await, Kept, "{kind:?}");
    }
}
