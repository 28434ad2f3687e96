//! Whom the provider stands by no longer is out at every node.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::Response;
use tower_signin::{Builder, Clock as _};

use crate::Visit::Over;
use crate::double::{KINDS, Kind};
use crate::site::{BOB, BOB_ANSWER, Site};
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

/// The provider, as this node sees it, gives pairs of this name that end after an hour.
fn gives_pairs(node: &Site, name: &'static str) {
    let clock = Arc::clone(&node.clock);
    node.upstream.answer_by(move |_| {
        let mut pair: serde_json::Value = serde_json::from_str(BOB_ANSWER).unwrap();
        pair["access_token"] = format!("at-{name}").into();
        pair["refresh_token"] = format!("rt-{name}").into();
        let ends = clock.now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(3600);
        pair["access_token_expires_at"] = ends.as_millis().to_string().into();
        Ok(Response::new(pair.to_string().into()))
    });
}

/// The answer that brought them was lost, or is on its way; the browser has older ones.
#[tokio::test(start_paused = true)]
async fn signing_out_revokes_the_tokens_that_another_node_has_brought() {
    for kind in [Kind::Sealed, Kind::Later] {
        let fleet = Fleet::with(kind, Builder::keep_tokens);
        for (node, name) in [(&fleet.one, "one"), (&fleet.other, "other")] {
            gives_pairs(node, name);
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

/// A node loses its turn while the provider thinks, another one refreshes, and only then comes what the first has waited for.
#[tokio::test(start_paused = true)]
async fn who_comes_late_overwrites_no_tokens() {
    for kind in [Kind::Sealed, Kind::Later] {
        let fleet = Fleet::with(kind, Builder::keep_tokens);
        let third = fleet.node(Builder::keep_tokens);
        for (node, name) in [(&fleet.one, "one"), (&fleet.other, "other"), (&third, "third")] {
            gives_pairs(node, name);
        }
        let browser = fleet.one.signed_in().await;
        fleet.clock.set(at(3600 - 30));
        let gate = fleet.one.upstream.hold(|_| true);
        let late = async {
            let mut browser = browser.clone();
            text(&fleet.one.get(&mut browser, "/").await) == BOB
        };
        let between = async {
            settle().await;
            // The time of the lease goes by before it is renewed.
            fleet.clock.set(at(3600 - 30 + 11));
            assert_eq!(text(&fleet.other.get(&mut browser.clone(), "/").await), BOB, "{kind:?}");
            gate.add_permits(1);
        };
        let (is_bob, ()) = tokio::join!(late, between);
        assert!(is_bob, "{kind:?}");
        settle().await;
        let sent = [&fleet.one, &fleet.other].map(|node| node.upstream.requests().len());
        assert_eq!(sent, [1, 1], "{kind:?}");

        sign_out(&third, &mut browser.clone()).await;
        settle().await;
        let [revoked] = &third.upstream.requests()[..] else { panic!("{kind:?}: one is revoked") };
        assert!(format!("{revoked:?}").contains("t-other"), "{kind:?}: the later turn's are there: {revoked:?}");
    }
}
