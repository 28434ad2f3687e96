use std::time::UNIX_EPOCH;

use super::*;
use crate::clock::ManualClock;
use crate::keys::Keys;
use crate::session::memory::MemoryStore;
use crate::session::{Fingerprint, NewSession};

const NOW: u64 = 1_788_739_200;
const DAY: u64 = 24 * 60 * 60;

/// A node with a list of its own.
fn node() -> (Arc<ManualClock>, Arc<Revocations>) {
    let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
    let store = Arc::new(Store::new(Box::new(MemoryStore::new().clock(Arc::clone(&clock)))));
    let seal = Arc::new(Seal::new(&Keys::generate().unwrap(), "https://example.com/callback").unwrap());
    let rules = Rules::new(true, None).unwrap();
    let (redirect_uri, lifetime) = ("https://example.com/callback".to_owned(), Duration::from_secs(DAY));
    let revocations = Revocations::new(store, rules, seal, Arc::clone(&clock) as _, redirect_uri, lifetime);
    (clock, Arc::new(revocations))
}

fn session(id: u8, subject: &str, authenticated_at: u64, provider_session: Option<ProviderSession>) -> Session {
    Session::new(&NewSession {
        id: [id; 16],
        issuer: "https://issuer.example",
        subject,
        claims: "{}",
        data: "",
        authenticated_at,
        idle_end: authenticated_at + DAY,
        absolute_end: authenticated_at + DAY,
        generation: 0,
        fingerprint: Fingerprint([0; 16]),
        provider_session,
    })
    .unwrap()
}

/// A sign-in of it that is still under way when the provider says that it is over comes too late.
#[tokio::test]
async fn a_provider_s_session_ends_all_that_were_or_will_be_begun_of_it() {
    let (_, node) = node();
    node.revoke(&Revoked::ProviderSession(&[3; 16])).await.unwrap();
    for (name, at, provider_session, is_over) in [
        ("before", NOW - 100, Some([3; 16]), true),
        ("afterwards", NOW + 100, Some([3; 16]), true),
        ("of another", NOW - 100, Some([4; 16]), false),
        ("of none", NOW - 100, None, false),
    ] {
        assert_eq!(node.has_revoked(&session(1, "alice", at, provider_session)), is_over, "{name}");
    }
}

/// Its own node's clock is an hour ahead, or who can write to the store says so.
#[tokio::test]
async fn a_time_that_lies_ahead_keeps_nobody_from_signing_in_again() {
    let (clock, node) = node();
    let alice = Revoked::Person { issuer: "https://issuer.example", subject: "alice" };
    let name = short(&node.seal.names(alice.parts()).next().unwrap());
    let ahead = Item { name, kind: Kind::Person, at: NOW + 3600 };
    for second in [NOW, NOW + 20, NOW + 40] {
        clock.set(UNIX_EPOCH + Duration::from_secs(second));
        node.copy.absorb(&[ahead.member()], true, second);
        assert!(node.has_revoked(&session(1, "alice", NOW, None)), "{second}");
        assert!(!node.has_revoked(&session(1, "alice", NOW + 10, None)), "{second}: begun since");
    }
}

/// The id of one is not taken for that of the other, nor half a name for a whole one.
#[tokio::test]
async fn what_is_revoked_is_nothing_else_of_the_same_bytes() {
    let (_, node) = node();
    node.revoke(&Revoked::Session(&[3; 16])).await.unwrap();
    assert!(!node.has_revoked(&session(1, "alice", NOW, Some([3; 16]))));
    assert!(node.has_revoked(&session(3, "alice", NOW + 100, None)), "whenever it began");
    node.revoke(&Revoked::Person { issuer: "https://issuer", subject: ".examplealice" }).await.unwrap();
    assert!(!node.has_revoked(&session(1, "alice", NOW, None)));
    node.revoke(&Revoked::Person { issuer: "https://issuer.example", subject: "alice" }).await.unwrap();
    assert!(node.has_revoked(&session(1, "alice", NOW, None)));
    assert!(!node.has_revoked(&session(1, "alice", NOW + 1, None)));
    assert!(!node.has_revoked(&session(1, "bob", NOW, None)));
}

#[tokio::test]
async fn a_session_is_entered_once() {
    let (clock, node) = node();
    for seconds in 0..3 {
        node.revoke(&Revoked::Session(&[1; 16])).await.unwrap();
        clock.set(UNIX_EPOCH + Duration::from_secs(NOW + seconds));
    }
    let mut count = 0;
    for group in groups::Plan::new(None, NOW, DAY).groups(&node.redirect_uri) {
        count += node.store.members(group).await.unwrap().len();
    }
    assert_eq!(count, 1);
}

/// And no longer: what is kept is bounded by the sessions of a lifetime.
#[tokio::test]
async fn an_entry_is_kept_while_a_session_may_last_that_it_ends() {
    let (clock, node) = node();
    node.revoke(&Revoked::Session(&[1; 16])).await.unwrap();
    node.read().await.unwrap();
    for (seconds, kept) in [(0, 1), (DAY, 1), (DAY + MARGIN, 1), (DAY + 2 * MARGIN, 0)] {
        clock.set(UNIX_EPOCH + Duration::from_secs(NOW + seconds));
        node.read().await.unwrap();
        assert_eq!((node.count(), node.copy.kinds().are_none()), (kept, kept == 0), "{seconds}");
    }
}

#[tokio::test]
async fn a_person_whose_sessions_end_again_is_out_again() {
    let (clock, node) = node();
    let alice = Revoked::Person { issuer: "https://issuer.example", subject: "alice" };
    for now in [NOW, NOW + 2, NOW + 4] {
        // Who signs in again within the second begins with the next one.
        for second in [now, now + 1] {
            assert!(!node.has_revoked(&session(1, "alice", second, None)), "{now}, {second}");
            node.revoke(&alice).await.unwrap();
            assert!(node.has_revoked(&session(1, "alice", second, None)), "{now}, {second}");
        }
        assert!(!node.has_revoked(&session(1, "alice", now + 2, None)), "{now}");
        clock.advance(Duration::from_secs(2));
    }
    node.read().await.unwrap();
    assert_eq!(node.count(), 1);
}

#[test]
fn an_item_is_read_back_and_another_version_s_is_not() {
    for kind in [Kind::Session, Kind::Person, Kind::ProviderSession] {
        let item = Item { name: [7; 24], kind, at: NOW };
        assert_eq!(Item::of(&item.member()), Some(item));
    }
    for sort in [0, 3, 5, 8, 255] {
        let mut member = *Item { name: [7; 24], kind: Kind::Person, at: NOW }.member().as_bytes();
        member[24] = sort;
        assert_eq!(Item::of(&super::super::store::SessionKey::new(member)), None, "{sort}");
    }
}
