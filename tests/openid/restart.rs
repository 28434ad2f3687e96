//! npm's `oidc-provider`, started again with new keys while people are signed in.

use serde_json::Value;

use crate::certified::{ABOUT_TO_END, Stage, assert_signed_in};
use crate::person::{Does, signs_in};
use crate::site::Framework;
use crate::support::{Browser, location};

const ALICE: Does = Does::Agrees("alice");

#[tokio::test]
#[ignore = "needs node"]
async fn a_session_goes_on_and_is_refreshed_under_the_new_keys() {
    let mut stage = Stage::that_keeps_tokens().await;
    let mut browsers = Vec::new();
    for site in &stage.sites {
        let mut browser = Browser::new();
        let (answer, _) = signs_in(&mut browser, &site.origin, ALICE).await;
        assert_signed_in(site, &answer);
        let who = site.who(&mut browser).await;
        browsers.push((browser, who));
    }

    stage.openid.stop().await;
    for (site, (browser, who)) in stage.sites.iter().zip(&mut browsers) {
        assert_eq!(site.who(browser).await, *who, "{:?}: while the provider is away", site.framework);
    }

    stage.openid.start_again().await;
    for (site, (browser, who)) in stage.sites.iter().zip(&mut browsers) {
        assert_eq!(site.who(browser).await, *who, "{:?}", site.framework);
        // A login of somebody else meets the new keys first at one of them, and a refresh at the others.
        if matches!(site.framework, Framework::Axum) {
            let (answer, _) = signs_in(&mut Browser::new(), &site.origin, Does::Agrees("bob")).await;
            assert_signed_in(site, &answer);
        }
        site.clock.advance(ABOUT_TO_END);
        let refreshed = site.who(browser).await;
        assert_eq!(refreshed["subject"], "alice", "{:?}", site.framework);
        assert_ne!(refreshed["access_token"], who["access_token"], "{:?}", site.framework);
        assert_ne!(refreshed["refresh_token"], who["refresh_token"], "{:?}", site.framework);

        let mut another = Browser::new();
        let (answer, _) = signs_in(&mut another, &site.origin, ALICE).await;
        assert_signed_in(site, &answer);
        assert_eq!(site.who(&mut another).await["subject"], "alice", "{:?}", site.framework);
    }
}

/// The provider does not know its own signature any more where the old keys are gone altogether: it says so on a page of its
/// own, and does not send the browser back. The session here is over all the same.
#[tokio::test]
#[ignore = "needs node"]
async fn who_signs_out_under_the_new_keys_is_signed_out_here() {
    let mut stage = Stage::that_keeps_tokens().await;
    let mut browser = Browser::new();
    let (answer, _) = signs_in(&mut browser, &stage.sites[0].origin, ALICE).await;
    assert_signed_in(&stage.sites[0], &answer);
    stage.openid.start_again().await;
    let site = &stage.sites[0];
    let answer = browser.post(&site.url("/auth/logout"), "").await;
    assert_eq!(answer.status(), 303);
    assert_eq!(browser.get(&location(&answer)).await.status(), 400);
    assert_eq!(site.who(&mut browser).await, Value::Null);
}
