//! Opening a page at a second of the test, and what that comes to.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_signin::Keys;

use crate::site::{BOB, NOW, SESSION, Site, deleted, set_cookies};
use crate::support::{Browser, text};

/// What a visit comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Signed in, and no cookie came.
    Kept,
    /// Signed in, and the cookie came anew for so many seconds.
    Renewed(u64),
    /// Nobody, and the cookie is deleted.
    Over,
    /// Nobody, and the cookie stays.
    Ignored,
}

/// So many seconds after the start of the test.
pub fn at(second: i64) -> SystemTime {
    let start = UNIX_EPOCH + Duration::from_secs(NOW);
    let distance = Duration::from_secs(second.unsigned_abs());
    if second < 0 { start - distance } else { start + distance }
}

/// Opens a page, and keeps the cookies that come.
pub async fn open(site: &Site, browser: &mut Browser) -> Visit {
    let response = site.get(browser, "/").await;
    let cookies = set_cookies(&response);
    match (text(&response), cookies.as_slice()) {
        (BOB, []) => Visit::Kept,
        (BOB, [cookie]) => Visit::Renewed(max_age(cookie)),
        ("nobody", []) => Visit::Ignored,
        ("nobody", [cookie]) if *cookie == deleted(SESSION) => Visit::Over,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub fn max_age(cookie: &str) -> u64 {
    let (_, seconds) = cookie.split_once("; Max-Age=").expect("a Max-Age");
    seconds.parse().expect("whole seconds, and nothing after them")
}

/// A ring of keys by their numbers, first the one that seals.
pub fn ring(numbers: &[u8]) -> Keys {
    let keys: Vec<_> = numbers.iter().map(|number| URL_SAFE_NO_PAD.encode([[*number; 16], [0; 16]].concat())).collect();
    Keys::parse(&keys.join(",")).unwrap()
}
