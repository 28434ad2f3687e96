//! Sessions that live in their cookies, and a list that says at every node which of them are over.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::{BackChannelLogoutLayer, Keys, ManualClock};

use crate::double::{Double, Fault, KINDS, Kind, Step};
use crate::site::{BOB, CALLBACK, Site};
use crate::support::{Browser, text};
use crate::teller::{self, SESSION_ID, Teller, Token};
use crate::{DONE, NOT_DONE, REJECTED, answer_of, post, token, told};

/// Two nodes of one site.
struct Listed {
    nodes: [(Site, BackChannelLogoutLayer); 2],
    store: Double,
    clock: Arc<ManualClock>,
}

impl Listed {
    fn new(kind: Kind) -> Self {
        let clock = Arc::new(ManualClock::new(teller::now()));
        let store = Double::new(kind, &clock);
        let keys = Keys::generate().unwrap();
        let node = || {
            let site = Site::of(Teller::default(), CALLBACK, |builder| {
                builder.keys(keys.clone()).revocation_list(store.clone()).clock(Arc::clone(&clock))
            });
            let layer = site.sign_in.back_channel_logout().unwrap();
            (site, layer)
        };
        Self { nodes: [node(), node()], store: store.clone(), clock: Arc::clone(&clock) }
    }

    async fn tell(&self, token: &Token, at: usize) -> (u16, &'static str) {
        told(&answer_of(&self.nodes[at].1, post(&token.to_string())).await)
    }

    async fn who(&self, browser: &Browser, at: usize) -> String {
        text(&self.nodes[at].0.get(&mut browser.clone(), "/").await).to_owned()
    }

    /// More than the bound goes by.
    async fn pass(&self) {
        self.clock.advance(Duration::from_secs(11));
        tokio::time::advance(Duration::from_secs(11)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_in_a_cookie_ends_here_at_once_and_at_every_node_within_the_bound() {
    for kind in KINDS {
        for token in [token(), Token::of(Some(BOB), None), Token::of(Some(BOB), Some(SESSION_ID))] {
            let name = format!("{kind:?}, {token}");
            let listed = Listed::new(kind);
            let browser = listed.nodes[0].0.signed_in().await;
            for at in [0, 1] {
                assert_eq!(listed.who(&browser, at).await, BOB, "{name}");
            }
            listed.pass().await;
            assert_eq!(listed.tell(&Token::of(Some("somebody"), None), 1).await, DONE, "{name}");
            assert_eq!(listed.who(&browser, 1).await, BOB, "{name}");
            assert_eq!(listed.tell(&token, 1).await, DONE, "{name}");
            assert_eq!(listed.who(&browser, 1).await, "nobody", "{name}");
            listed.pass().await;
            assert_eq!(listed.who(&browser, 0).await, "nobody", "{name}");
            assert_eq!(listed.tell(&token, 0).await, REJECTED, "{name}: at the other node, too");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_away_is_told_again() {
    for kind in KINDS {
        for step in [Step::Create, Step::Mark, Step::Load, Step::Join] {
            let name = format!("{kind:?}, {step:?}");
            let listed = Listed::new(kind);
            let browser = listed.nodes[0].0.signed_in().await;
            assert_eq!(listed.who(&browser, 0).await, BOB, "{name}");
            let token = token();
            listed.store.forget();
            listed.store.fail(&[step], Fault::Unreachable);
            let first = listed.tell(&token, 0).await;
            let is_asked = listed.store.count(step) > 0;
            assert_eq!(first, if is_asked { NOT_DONE } else { DONE }, "{name}");
            listed.store.recover();
            assert_eq!(listed.tell(&token, 0).await, if is_asked { DONE } else { REJECTED }, "{name}");
            assert_eq!(listed.who(&browser, 0).await, "nobody", "{name}");
            listed.pass().await;
            assert_eq!(listed.who(&browser, 1).await, "nobody", "{name}");
        }
    }
}
