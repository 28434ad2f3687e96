//! Whom the provider stands by no longer is out at every node.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;
use tower_signin::{Builder, Clock as _};

use crate::Visit::Over;
use crate::double::{KINDS, Kind};
use crate::site::{BOB, BOB_ANSWER};
use crate::support::text;
use crate::{BOUND, Fleet, NOW, at, open, settle, sign_out};

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

/// The answer that brought them was lost, or is on its way; the browser has older ones.
#[tokio::test(start_paused = true)]
async fn signing_out_revokes_the_tokens_that_another_node_has_brought() {
    for kind in [Kind::Sealed, Kind::Later] {
        let fleet = Fleet::with(kind, Builder::keep_tokens);
        for (node, name) in [(&fleet.one, "one"), (&fleet.other, "other")] {
            let clock = Arc::clone(&fleet.clock);
            node.upstream.answer_by(move |_| {
                let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
                pair["access_token"] = format!("at-{name}").into();
                pair["refresh_token"] = format!("rt-{name}").into();
                let ends = clock.now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
                pair["access_token_expires_at"] = ends.as_millis().to_string().into();
                Ok(Response::new(pair.to_string().into()))
            });
        }
        let mut browser = fleet.one.signed_in().await;
        fleet.pass(3_540_000).await;
        assert_eq!(text(&fleet.other.get(&mut browser.clone(), "/").await), BOB, "{kind:?}");
        assert_eq!(fleet.other.upstream.requests().len(), 1, "{kind:?}: refreshed");
        fleet.one.upstream.forget();
        sign_out(&fleet.one, &mut browser).await;
        settle().await;
        let [revoked] = &fleet.one.upstream.requests()[..] else { panic!("{kind:?}: one is revoked") };
        let sent = format!("{revoked:?}");
        assert!(sent.contains("/token/revoke") && sent.contains("t-other") && !sent.contains("t-one"), "{sent}");
    }
}
