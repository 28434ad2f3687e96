//! A sign-in that must fail, between two that work.

use std::time::Duration;

use tower_signin::dev::openid::Misbehaviour;

use crate::log::Log;
use crate::stage::{Stage, TOKEN, USER_INFO, alice, refused};

/// What must come of a sign-in once the code was exchanged.
#[derive(Clone, Copy)]
pub(crate) struct Refusal {
    code: &'static str,
    /// What the log names as the reason.
    reason: &'static str,
    /// How often UserInfo is asked.
    user_info: usize,
}

/// The ID token is refused, and nothing is done with its access token.
pub(crate) const fn by_id_token(reason: &'static str) -> Refusal {
    Refusal { code: "id_token_rejected", reason, user_info: 0 }
}

/// The ID token is right, and what UserInfo says is not.
pub(crate) const fn by_user_info(reason: &'static str) -> Refusal {
    Refusal { code: "provider_answer_unreadable", reason, user_info: 1 }
}

/// Alice signs in: the code is exchanged once, and UserInfo is asked once.
pub(crate) async fn works(stage: &Stage, when: &str) {
    stage.openid.clear_requests();
    assert_eq!(stage.outcome().await, alice(), "{when}");
    assert_eq!((stage.count(TOKEN), stage.count(USER_INFO)), (1, 1), "{when}");
}

/// The same while the provider goes wrong in this way.
pub(crate) async fn accepts(stage: &Stage, misbehaviour: Misbehaviour) {
    stage.openid.set_misbehaviour(Some(misbehaviour));
    works(stage, &format!("{misbehaviour:?}")).await;
    stage.openid.set_misbehaviour(None);
}

/// Alice signs in, but not while the provider goes wrong in this way, and then again.
pub(crate) async fn refuses(stage: &Stage, misbehaviour: Misbehaviour, refusal: Refusal) {
    works(stage, &format!("before {misbehaviour:?}")).await;
    stage.openid.set_misbehaviour(Some(misbehaviour));
    fails(stage, &format!("{misbehaviour:?}"), refusal).await;
    stage.openid.set_misbehaviour(None);
    // Keys are not sought again at once.
    stage.app.clock.advance(Duration::from_secs(10));
    works(stage, &format!("after {misbehaviour:?}")).await;
}

/// Nobody is signed in, for this reason and no other.
pub(crate) async fn fails(stage: &Stage, when: &str, refusal: Refusal) {
    stage.openid.clear_requests();
    Log::start();
    assert_eq!(stage.outcome().await, refused(502, refusal.code), "{when}");
    let logged = Log::line("sign-in failed");
    assert!(logged.contains(refusal.reason), "{when}: {:?} is not in {logged}", refusal.reason);
    assert_eq!((stage.count(TOKEN), stage.count(USER_INFO)), (1, refusal.user_info), "{when}");
}
