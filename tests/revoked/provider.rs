//! Whom the provider stands by no longer is out at every node.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use crate::Visit::Over;
use crate::double::KINDS;
use crate::site::BOB_ANSWER;
use crate::support::text;
use crate::{BOUND, Fleet, NOW, at, open, settle};

#[tokio::test(start_paused = true)]
async fn a_session_that_a_check_has_ended_is_over_elsewhere_too() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let checks = fleet.node(|builder| builder.keep_tokens().recheck_every(Duration::from_secs(600)));
        let browser = checks.signed_in().await;
        checks.upstream.answer(200, r#"{"signedIn":false}"#);
        fleet.clock.set(at(600));
        assert_eq!(text(&checks.get(&mut browser.clone(), "/").await), "nobody", "{kind:?}");
        settle().await;
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut browser.clone()).await, Over, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_refresh_was_refused_is_over_elsewhere_too() {
    for kind in KINDS {
        let fleet = Fleet::new(kind);
        let refreshes = fleet.node(|builder| builder.keep_tokens());
        let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
        pair["access_token_expires_at"] = ((NOW + 3600) * 1000).into();
        pair["refresh_token"] = "rt-1".into();
        refreshes.upstream.answer(200, pair.to_string());
        let browser = refreshes.signed_in().await;
        refreshes.upstream.answer_by(|_| {
            Ok(Response::builder().status(400).body(Bytes::from_static(br#"{"error":"invalid_grant"}"#)).unwrap())
        });
        fleet.clock.set(at(3590));
        assert_eq!(text(&refreshes.get(&mut browser.clone(), "/").await), "nobody", "{kind:?}");
        settle().await;
        fleet.pass(BOUND).await;
        assert_eq!(open(&fleet.other, &mut browser.clone()).await, Over, "{kind:?}");
    }
}
