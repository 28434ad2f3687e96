//! Sessions that live in their cookies, and end by a list that two nodes share.

use std::sync::Arc;
use std::time::Duration;

use tower_signin::{Keys, ManualClock};

use crate::double::{Double, Kind};
use crate::site::{BOB, CALLBACK, Site};
use crate::support::Browser;
use crate::teller::{self, Teller, Token};
use crate::{DONE, REJECTED, Told, token, told};

/// Longer than a node's copy of the list may be old.
const BOUND: Duration = Duration::from_secs(10);

/// The node that is told, and another one.
fn nodes() -> (Told, Site) {
    let clock = Arc::new(ManualClock::new(teller::now()));
    let (list, teller) = (Double::new(Kind::Sealed, &clock), Teller::default());
    let keys = Keys::generate().unwrap();
    let node = || {
        Site::of(teller.clone(), CALLBACK, |builder| {
            builder.keys(keys.clone()).revocation_list(list.clone()).clock(Arc::clone(&clock))
        })
    };
    let (site, other) = (node(), node());
    let layer = site.sign_in.back_channel_logout().unwrap();
    (Told { site, store: list.clone(), teller: teller.clone(), clock: Arc::clone(&clock), layer }, other)
}

async fn knows(site: &Site, browser: &Browser) -> bool {
    site.get(&mut browser.clone(), "/").await.body() != "nobody"
}

#[tokio::test]
async fn they_end_here_at_once_and_at_the_other_node_within_the_bound() {
    for (name, token) in [("by sid", token()), ("by sub", Token::of(Some(BOB), None))] {
        let (told_of, other) = nodes();
        let browser = told_of.site.signed_in().await;
        assert!(told_of.knows(&browser).await && knows(&other, &browser).await, "{name}");
        assert_eq!(told(&told_of.tell(&token).await), DONE, "{name}");
        assert!(!told_of.knows(&browser).await, "{name}");
        told_of.clock.advance(BOUND);
        assert!(!knows(&other, &browser).await, "{name}");
        assert_eq!(told(&told_of.tell(&token).await), REJECTED, "{name}: it is taken once");
    }
}
