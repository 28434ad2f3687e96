//! Signing out, a refresh and a slow response, in every order in which they can end.

use crate::support::{Browser, navigation, text};
use crate::{SESSION, Shop, TOKENS, failure, is_refresh, sets, settle};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A request that waits for the refresh and is answered at once.
    Quick,
    /// One that waits for the refresh, then for its own handler.
    Slow,
    /// The provider answers the refresh.
    Refresh,
    /// The slow handler answers.
    Answer,
    SignOut,
    SignIn,
}

use Step::{Answer, Quick, Refresh, SignIn, SignOut, Slow};

/// How the provider answers the refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Yes,
    No,
    Nothing,
}

#[tokio::test]
async fn u07_in_every_order_nothing_is_lost_brought_back_or_left_alive() {
    let mut runs = 0;
    for word in [Word::Yes, Word::No, Word::Nothing] {
        for ends in [vec![SignOut], vec![SignIn], vec![SignOut, SignIn], vec![]] {
            let steps: Vec<_> = [Quick, Slow, Refresh, Answer].into_iter().chain(ends).collect();
            for order in orders(&steps) {
                run(word, &order).await;
                runs += 1;
            }
        }
    }
    assert_eq!(runs, 3 * (120 + 120 + 720 + 24));
}

async fn run(word: Word, order: &[Step]) {
    let name = format!("{word:?}, {order:?}");
    let shop = Shop::new();
    let mut browser = shop.due().await;
    // As the browser was when its requests began.
    let at_first = browser.clone();
    let gate = shop.site.upstream.hold(is_refresh);
    match word {
        Word::Yes => {}
        Word::No => shop.bank.fail(|| Ok(failure(400, ""))),
        Word::Nothing => shop.bank.fail(|| Ok(failure(503, ""))),
    }
    let mut waiting = Vec::new();
    // The access token that a browser should have in the end, or none.
    let mut signed_out = false;
    let mut signed_in = None;
    for step in order {
        match step {
            Quick => waiting.push(shop.begin(&at_first, "/").await),
            Slow => waiting.push(shop.begin(&at_first, "/slow").await),
            Refresh => gate.add_permits(1),
            Answer => shop.slow.add_permits(1),
            SignOut => {
                let response = shop.sign_out(&mut browser).await;
                assert_eq!(response.status(), 303, "{name}");
                signed_out = signed_in.take().is_none() || signed_out;
            }
            SignIn => {
                assert_eq!(shop.site.complete(&mut browser, "/").await.status(), 303, "{name}");
                signed_in = Some(browser.jar[TOKENS].clone());
            }
        }
        settle().await;
        keep_what_came(&mut waiting, &mut browser).await;
    }
    settle().await;
    keep_what_came(&mut waiting, &mut browser).await;
    assert!(waiting.is_empty(), "{name}: somebody waits for ever");

    let sent = shop.sent();
    let refreshes = sent.iter().filter(|sent| sent.starts_with("refresh")).count();
    assert!(refreshes <= 1, "{name}: {sent:?}");
    let is_over = order.last().is_some_and(|_| signed_out || order.contains(&SignIn));
    let who = shop.who(&mut browser).await;
    if let Some(tokens) = signed_in {
        assert_eq!(browser.jar.get(TOKENS), Some(&tokens), "{name}: the new session's own");
        assert!(who.starts_with("bob at-"), "{name}: {who}");
    } else if is_over {
        assert_eq!(who, "nobody", "{name}");
        assert!(!browser.jar.contains_key(SESSION) && !browser.jar.contains_key(TOKENS), "{name}: {browser:?}");
    } else {
        let expected = match word {
            Word::Yes => "bob at-2",
            Word::No => "nobody",
            Word::Nothing => "bob at-1",
        };
        assert_eq!(who, expected, "{name}");
        assert_eq!(browser.jar.contains_key(TOKENS), word != Word::No, "{name}");
    }
    // Each pair that was issued and is no browser's any more was revoked, once.
    if signed_out && !order.contains(&SignIn) {
        let revoked: Vec<_> = sent.iter().filter_map(|sent| sent.strip_prefix("revoke ")).collect();
        match word {
            Word::Yes if refreshes == 1 => assert_eq!(revoked, ["at-2"], "{name}"),
            Word::No if refreshes == 1 => assert!(revoked.len() <= 1, "{name}"),
            _ => assert_eq!(revoked, ["at-1"], "{name}"),
        }
    }
}

async fn keep_what_came(
    waiting: &mut Vec<tokio::task::JoinHandle<http::Response<bytes::Bytes>>>,
    browser: &mut Browser,
) {
    let mut still = Vec::new();
    for task in waiting.drain(..) {
        if task.is_finished() {
            browser.keep(&task.await.unwrap());
        } else {
            still.push(task);
        }
    }
    *waiting = still;
}

/// Every order of these steps.
fn orders(steps: &[Step]) -> Vec<Vec<Step>> {
    if steps.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let mut rest = steps.to_vec();
        rest.remove(index);
        all.extend(orders(&rest).into_iter().map(|order| [&[*step], &order[..]].concat()));
    }
    all
}

/// The orders are worth something only if they meet what they are about.
#[tokio::test]
async fn the_slow_request_and_the_quick_one_share_a_refresh() {
    let shop = Shop::new();
    let browser = shop.due().await;
    let gate = shop.site.upstream.hold(is_refresh);
    let (quick, slow) = (shop.begin(&browser, "/").await, shop.begin(&browser, "/slow").await);
    assert_eq!(shop.sent(), ["refresh rt-1"]);
    gate.add_permits(1);
    shop.slow.add_permits(1);
    for task in [quick, slow] {
        let response = task.await.unwrap();
        assert_eq!((text(&response), sets(&response)), ("bob at-2", vec![TOKENS]));
    }
    let later = shop.call(&browser, navigation(http::Method::GET, "/", "none")).await;
    assert_eq!(sets(&later), [TOKENS]);
}
