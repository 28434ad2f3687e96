//! Clocks that go back, run ahead, or show what no clock should.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::inner::take_good_codes;
use crate::site::{NOW, Site};
use crate::support::Browser;

#[tokio::test]
async fn a_state_is_redeemed_once_though_the_clock_goes_back() {
    let site = Site::new();
    take_good_codes(&site);
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let jar = browser.jar.clone();
    site.clock.set(now() - Duration::from_secs(59));
    site.get(&mut browser, &started.callback("bad")).await;
    assert_eq!(site.upstream.requests().len(), 1, "as far behind as another node may be");
    for later in [0, 540, 599] {
        site.clock.set(now() + Duration::from_secs(later));
        browser.jar.clone_from(&jar);
        let again = site.get(&mut browser, &started.callback("good")).await;
        assert_eq!(again.status(), 400, "{later} seconds later");
        assert_eq!(site.upstream.requests().len(), 1, "{later} seconds later");
    }
}

#[tokio::test]
async fn a_clock_that_was_ahead_once_keeps_no_outcomes() {
    let site = Site::new();
    site.clock.set(now() + Duration::from_secs(10 * 365 * 24 * 3600));
    site.complete(&mut Browser::new(), "/").await;
    site.clock.set(now());
    let mut browser = Browser::new();
    let started = site.start(&mut browser, "/").await;
    let jar = browser.jar.clone();
    assert_eq!(site.get(&mut browser, &started.callback("good")).await.status(), 303);
    site.clock.advance(Duration::from_secs(300));
    browser.jar = jar;
    let double = site.get(&mut browser, &started.callback("good")).await;
    assert_eq!(double.status(), 400, "five minutes later the outcome is still handed out");
}

#[tokio::test]
async fn odd_clocks_never_panic() {
    let site = Site::with(|builder| builder.session_lifetime(Duration::from_secs(400 * 24 * 3600)));
    let old = site.signed_in().await;
    let times = [
        UNIX_EPOCH - Duration::from_secs(1 << 40),
        UNIX_EPOCH - Duration::from_secs(1),
        UNIX_EPOCH,
        UNIX_EPOCH + Duration::from_secs((1 << 31) - 1),
        UNIX_EPOCH + Duration::from_secs(1 << 31),
        UNIX_EPOCH + Duration::from_secs(1 << 32),
        UNIX_EPOCH + Duration::from_secs((1 << 40) - 1),
        UNIX_EPOCH + Duration::from_secs(1 << 40),
        UNIX_EPOCH + Duration::from_secs((1 << 40) + 5),
        UNIX_EPOCH + Duration::from_secs((1 << 63) - 2),
        UNIX_EPOCH + Duration::from_secs((1 << 63) - 1),
    ];
    for time in times.iter().chain(times.iter().rev()) {
        site.clock.set(*time);
        let mut browser = Browser::new();
        let answer = site.complete(&mut browser, "/").await;
        assert!(matches!(answer.status().as_u16(), 303 | 400), "{time:?}: {}", answer.status());
        for mut browser in [browser, old.clone()] {
            assert_eq!(site.get(&mut browser, "/").await.status(), 200, "{time:?}");
        }
    }
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}
