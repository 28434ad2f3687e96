//! A provider that knows as many people as there are numbers.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};
use tower_signin::dev::Account;
use tower_signin::{Clock as _, ManualClock};

use crate::site::Site;
use crate::support::{Browser, text};

/// How long an access token lives, in seconds.
pub(crate) const LIFE: u64 = 3600;

/// Has every code of [`code`] sign in its own account, with tokens of its own; a refresh gives that account the next pair.
pub(crate) fn know_everybody(site: &Site) {
    let clock: Arc<ManualClock> = Arc::clone(&site.clock);
    site.upstream.answer_by(move |request| {
        let sent: Value = serde_json::from_slice(request.body()).unwrap();
        let (code, pair) = match sent["refresh_token"].as_str() {
            Some(token) => {
                let (pair, code) = token.trim_start_matches("rt-").split_once('-').unwrap();
                (code.to_owned(), pair.parse::<usize>().unwrap() + 1)
            }
            None => (sent["code"].as_str().unwrap_or_default().to_owned(), 1),
        };
        let account = Account::from_address(&code).unwrap();
        let now = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let answer = json!({
            "address": account.address, "bitbadgesAddress": account.bitbadges_address, "chain": account.chain,
            "verificationResponse": { "success": true }, "token_type": "Bearer",
            "access_token": format!("at-{pair}-{code}"), "access_token_expires_at": (now + LIFE) * 1000,
            "refresh_token": format!("rt-{pair}-{code}"),
        });
        Ok(Response::new(Bytes::from(answer.to_string())))
    });
}

/// The code by which this one of them signs in: their address.
pub(crate) fn code(number: usize) -> String {
    format!("0x{number:040x}")
}

pub(crate) fn subject(number: usize) -> String {
    Account::from_address(&code(number)).unwrap().bitbadges_address
}

/// Signs this one of them in.
pub(crate) async fn sign_in_as(site: &Site, browser: &mut Browser, number: usize) -> Response<Bytes> {
    let started = site.start(browser, "/").await;
    let response = site.get(browser, &started.callback(&code(number))).await;
    assert_eq!(response.status(), 303, "{response:?}");
    response
}

/// Who a page says that this browser's cookies are; nothing that comes is kept.
pub(crate) async fn who(site: &Site, browser: &Browser) -> String {
    text(&site.get(&mut browser.clone(), "/").await).to_owned()
}
