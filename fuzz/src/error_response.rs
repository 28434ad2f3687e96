//! Answers of the token route that are no success: nobody is signed in, and nothing of them is shown.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{RETRY_AFTER, SET_COOKIE};
use tower_signin::ErrorKind;

use crate::site::{Site, set_cookies};
use crate::{answer, assert_private, block_on, exchange, members, site};

/// Headers and body.
type Look = (String, Bytes);

const PERSON: &[(&str, &str)] = &[("sec-fetch-mode", "navigate")];

/// How each kind looks to a person and to a program, whatever the provider's words were.
static LOOKS: LazyLock<HashMap<ErrorKind, [Look; 2]>> = LazyLock::new(|| {
    let plain = [(500, "{}"), (400, "{}"), (401, "{}"), (401, r#"{"verificationResponse":{}}"#), (402, ""), (302, "")];
    plain.iter().map(|(status, body)| looks(&site(), *status, Bytes::from_static(body.as_bytes()))).collect()
});

fn looks(site: &Site, status: u16, body: Bytes) -> (ErrorKind, [Look; 2]) {
    let mut kinds = Vec::new();
    let bodies = [PERSON, &[]].map(|asks| {
        let response = block_on(exchange(site, status, body.clone(), asks));
        assert_private(&response);
        let kind = *response.extensions().get::<ErrorKind>().expect("a failure");
        let expected = match status {
            402 | 429 => 503,
            _ if kind == ErrorKind::NotVerified => 403,
            _ => 502,
        };
        assert_eq!((response.status().as_u16(), kind.status().as_u16()), (expected, expected), "{kind:?}");
        assert!(!response.headers().contains_key("location"));
        let set = set_cookies(&response);
        assert!(set.len() == 1 && set[0].ends_with("; Max-Age=0"), "{set:?}");
        if let Some(seconds) = response.headers().get(RETRY_AFTER) {
            assert!((1..=600).contains(&seconds.to_str().unwrap().parse::<u32>().unwrap()), "{seconds:?}");
        }
        kinds.push(kind);
        // Of the headers, these two differ by themselves: a flow's name is drawn, and a wait may be the provider's own.
        let mut shown = response.headers().clone();
        shown.remove(SET_COOKIE);
        shown.remove(RETRY_AFTER);
        (format!("{shown:?}"), response.into_body())
    });
    assert_eq!(kinds[0], kinds[1]);
    (kinds[0], bodies)
}

pub fn run(data: &[u8]) -> bool {
    let Some((status, body)) = answer(data).filter(|(status, _)| !(200..300).contains(status)) else { return false };
    let (kind, bodies) = looks(&site(), status, body);
    assert_eq!(LOOKS.get(&kind), Some(&bodies), "{kind:?} shows what the provider said");
    if kind == ErrorKind::NotVerified {
        assert_eq!(status, 401);
        let answer = members(&data[4..]).expect("an object");
        assert!(answer.contains_key("verificationResponse"), "{answer:?}");
    }
    // Something was understood of it.
    matches!(kind, ErrorKind::NotVerified | ErrorKind::ProviderBusy | ErrorKind::ExchangeRejected)
}
