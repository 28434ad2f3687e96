//! Two nodes with one store: what is done once between them, and what one has ended is over at the other.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use tower_signin::{Builder, Keys, ManualClock};

use crate::app::{App, SESSION, Told, all_told, settle, told, until};
use crate::bank::{Bank, LIFE};
use crate::double::{Double, Kind, Step};
use crate::site::{CODE, NOW};
use crate::support::Browser;

mod tests {
    crate::in_many_orders! {
        nodes_refresh_a_pair_once_between_them,
        nodes_refresh_the_tokens_of_cookies_once_between_them,
        a_pair_that_another_node_fetches_after_the_sign_out_is_revoked,
        nodes_spend_a_state_once_between_them,
        nodes_spend_the_state_of_a_cookie_once_between_them,
        the_list_is_read_once_for_all_who_wait,
        what_one_node_has_ended_is_over_at_the_other_after_the_bound,
    }
}

/// The bound of a list, in seconds.
const BOUND: u64 = 10;

struct Fleet {
    one: App,
    other: App,
    store: Double,
}

impl Fleet {
    fn new(share: impl Fn(Builder, Double) -> Builder) -> Self {
        let clock = Arc::new(ManualClock::new(UNIX_EPOCH + Duration::from_secs(NOW)));
        let (store, keys) = (Double::new(Kind::Later, &clock), Keys::generate().unwrap());
        let node = || {
            let mut app =
                App::new(|builder| share(builder.keys(keys.clone()), store.clone()).clock(Arc::clone(&clock)));
            app.site.clock = Arc::clone(&clock);
            app
        };
        Self { one: node(), other: node(), store }
    }

    fn stored() -> Self {
        Self::new(|builder, store| builder.session_store(store).keep_tokens())
    }

    fn listed() -> Self {
        Self::new(|builder, store| builder.revocation_list(store).keep_tokens())
    }

    /// A browser whose pair is due to be refreshed.
    async fn due(&self) -> Browser {
        let bank = Bank::open(&self.one.site);
        bank.open_to(&self.other.site);
        let browser = self.one.site.signed_in().await;
        self.one.advance(LIFE - 60);
        browser
    }

    /// What both sent to the provider, in no order.
    fn sent(&self) -> Vec<String> {
        let mut sent = [self.one.sent(), self.other.sent()].concat();
        sent.sort();
        sent
    }
}

async fn nodes_refresh_a_pair_once_between_them() {
    refreshed_once(&Fleet::stored()).await;
}

async fn nodes_refresh_the_tokens_of_cookies_once_between_them() {
    refreshed_once(&Fleet::listed()).await;
}

async fn refreshed_once(fleet: &Fleet) {
    let mut browser = fleet.due().await;
    let visits = [fleet.one.visit(&browser), fleet.other.visit(&browser), fleet.other.visit(&browser)];
    for told in all_told(visits).await {
        assert_eq!(told.text(), "bob at-2");
        browser.keep(&told.response);
    }
    settle().await;
    assert_eq!(fleet.sent(), ["refresh rt-1"]);
    // Nor is the turn still taken.
    fleet.one.advance(LIFE - 60);
    assert_eq!(told(fleet.other.visit(&browser)).await.text(), "bob at-3");
    assert_eq!(told(fleet.one.visit(&browser)).await.text(), "bob at-3");
    assert_eq!(fleet.sent(), ["refresh rt-1", "refresh rt-2"]);
}

async fn a_pair_that_another_node_fetches_after_the_sign_out_is_revoked() {
    let fleet = Fleet::stored();
    let browser = fleet.due().await;
    let (visit, out) = (fleet.other.visit(&browser), fleet.one.sign_out(&browser));
    let (visit, out) = (told(visit).await, told(out).await);
    assert!(visit.begun < out.ended || visit.text() == "nobody");
    // A pair that was left in the store while the sign-out was on its way there is not known to it, and ends by itself.
    let is_refreshed = fleet.sent().contains(&"refresh rt-1".to_owned());
    if !is_refreshed || visit.text() == "nobody" {
        let newest = if is_refreshed { "revoke at-2" } else { "revoke at-1" };
        until(|| fleet.sent().iter().any(|sent| sent == newest)).await;
    }
    assert!(fleet.store.sessions().is_empty(), "and it does not come back");
    for node in [&fleet.one, &fleet.other] {
        assert_eq!(told(node.visit(&browser)).await.text(), "nobody");
    }
}

async fn nodes_spend_a_state_once_between_them() {
    let fleet = Fleet::new(|builder, store| builder.session_store(store));
    let answers = spent(&fleet).await;
    assert!(answers.iter().all(|told| told.response.status() == StatusCode::SEE_OTHER && told.brings(SESSION)));
    assert_eq!(fleet.store.sessions().len(), 1, "one session");
}

async fn nodes_spend_the_state_of_a_cookie_once_between_them() {
    let fleet = Fleet::new(|builder, store| builder.revocation_list(store));
    let answers = spent(&fleet).await;
    assert!(answers.iter().any(|told| told.brings(SESSION)));
    let (here, there) = (answers[0].brings(SESSION), answers[1].brings(SESSION));
    assert_ne!(here, there, "only the node that made a session in a cookie has it");
    assert_eq!(answers[1].brings(SESSION), answers[2].brings(SESSION));
}

/// A callback at one node and twice at the other.
async fn spent(fleet: &Fleet) -> Vec<Told> {
    let mut browser = Browser::new();
    let started = fleet.one.site.start(&mut browser, "/").await;
    let callback = started.callback(CODE);
    let come = |node: &App| node.come_back(&browser, &callback);
    let answers = all_told([come(&fleet.one), come(&fleet.other), come(&fleet.other)]).await;
    assert_eq!(fleet.sent(), ["exchange"]);
    answers
}

async fn the_list_is_read_once_for_all_who_wait() {
    let fleet = Fleet::new(|builder, store| builder.revocation_list(store));
    let browser = fleet.one.site.signed_in().await;
    fleet.store.forget();
    let visits = [fleet.other.visit(&browser), fleet.other.visit(&browser), fleet.other.visit(&browser)];
    for told in all_told(visits).await {
        assert_eq!(told.text(), "bob");
    }
    settle().await;
    // Each reading begins with a record that tells whether the list is still the same one.
    assert_eq!(fleet.store.count(Step::Load), 1);
}

/// Whatever the other node was reading meanwhile.
async fn what_one_node_has_ended_is_over_at_the_other_after_the_bound() {
    let fleet = Fleet::new(|builder, store| builder.revocation_list(store));
    let browser = fleet.one.site.signed_in().await;
    told(fleet.other.visit(&browser)).await;
    settle().await;
    fleet.one.advance(BOUND / 2);
    let (visits, out) = ([fleet.other.visit(&browser), fleet.other.visit(&browser)], fleet.one.sign_out(&browser));
    told(out).await;
    fleet.one.advance(BOUND);
    assert_eq!(told(fleet.other.visit(&browser)).await.text(), "nobody");
    assert_eq!(told(fleet.one.visit(&browser)).await.text(), "nobody");
    all_told(visits).await;
}
