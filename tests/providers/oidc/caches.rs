//! What the provider publishes: when it is fetched, and what happens while it can't be.

use std::time::Duration;

use tower_signin::dev::openid::Misbehaviour;

use super::{KEYS, METADATA, Stage, alice, refused};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn u22_a_provider_that_is_down_at_the_start_is_no_obstacle_once_it_is_back() {
    let stage = Stage::start().await;
    stage.openid.set_misbehaviour(Some(Misbehaviour::DiscoveryDown));
    for _ in 0..20 {
        assert_eq!(stage.outcome().await, refused(502, "provider_answer_unreadable"));
    }
    assert_eq!(stage.count(METADATA), 1, "a flood of logins is a flood at the provider");
    stage.openid.set_misbehaviour(None);
    stage.app.clock.advance(Duration::from_secs(5));
    assert_eq!(stage.outcome().await, alice());
}

#[tokio::test]
async fn u23_new_keys_are_fetched_once_they_are_needed() {
    for misbehaviour in [Misbehaviour::RotatesKeys, Misbehaviour::RotatesKeysUnderTheirIds] {
        let stage = Stage::start().await;
        assert_eq!(stage.outcome().await, alice());
        stage.openid.set_misbehaviour(Some(misbehaviour));
        for number in 2..5 {
            assert_eq!(stage.outcome().await, alice(), "{misbehaviour:?}");
            assert_eq!(stage.count(KEYS), number, "{misbehaviour:?}");
            stage.app.clock.advance(Duration::from_secs(5));
        }
        assert_eq!(stage.count(METADATA), 1, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn a_key_that_stays_unknown_is_not_sought_over_and_over() {
    for misbehaviour in [Misbehaviour::UnknownKeyId, Misbehaviour::InvalidSignature] {
        let stage = Stage::start().await;
        stage.openid.set_misbehaviour(Some(misbehaviour));
        for _ in 0..10 {
            assert_eq!(stage.outcome().await, refused(502, "id_token_rejected"), "{misbehaviour:?}");
        }
        assert_eq!(stage.count(KEYS), 2, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn old_metadata_and_keys_serve_while_there_are_no_newer_ones() {
    for misbehaviour in [Misbehaviour::DiscoveryDown, Misbehaviour::KeysDown, Misbehaviour::KeysHtml] {
        let stage = Stage::start().await;
        assert_eq!(stage.outcome().await, alice());
        stage.openid.set_misbehaviour(Some(misbehaviour));
        stage.app.clock.advance(2 * HOUR);
        for _ in 0..3 {
            assert_eq!(stage.outcome().await, alice(), "{misbehaviour:?}");
        }
        assert!(stage.count(METADATA) <= 2 && stage.count(KEYS) <= 2, "{:?}", stage.asked());
    }
}

#[tokio::test]
async fn keys_that_are_withdrawn_are_good_for_an_hour_at_most() {
    let stage = Stage::start().await;
    assert_eq!(stage.outcome().await, alice());
    stage.app.clock.advance(HOUR);
    assert_eq!(stage.outcome().await, alice());
    assert_eq!((stage.count(METADATA), stage.count(KEYS)), (2, 2));
}
