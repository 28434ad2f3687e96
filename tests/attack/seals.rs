//! A session cookie that differs from a good one by as little as a bit.

use http::Request;
use http::header::COOKIE;

use crate::site::{BOB, Site};
use crate::support::{Browser, text};

#[tokio::test]
async fn every_bit_of_a_seal_counts() {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let site = Site::new();
    let mut browser = site.signed_in().await;
    let session = browser.jar["__Host-signin"].clone();
    browser.jar.clear();
    site.start(&mut browser, "/").await;
    let (flow_name, flow) = browser.jar.pop_first().unwrap();
    let who = async |cookie: &str| {
        let request = Request::get("/").header(COOKIE, cookie);
        text(&site.visit(&mut Browser::new(), request).await).to_owned()
    };
    assert_eq!(who(&format!("__Host-signin={session}")).await, BOB);
    for at in 0..session.len() {
        for bit in 0..6 {
            let mut changed = session.clone().into_bytes();
            let value = ALPHABET.iter().position(|letter| *letter == changed[at]).unwrap();
            changed[at] = ALPHABET[value ^ (1 << bit)];
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(who(&format!("__Host-signin={changed}")).await, "nobody", "bit {bit} of character {at}");
        }
        assert_eq!(who(&format!("__Host-signin={}", &session[..at])).await, "nobody", "cut to {at}");
        let other = if session.as_bytes()[at] == b'A' { 'B' } else { 'A' };
        let cut = format!("__Host-signin={}{other}", &session[..at]);
        assert_eq!(who(&cut).await, "nobody", "cut to {at} and one more");
    }
    let others = [
        format!("__Host-signin={flow}"),
        format!("__Host-signin={session}="),
        format!("__Host-signin={session}A"),
        format!("__Host-signin={session}AAAA"),
        format!("__Host-signin=\"{session}\""),
        format!("__Host-signin={}+", session.replace('_', "/").replace('-', "+")),
        format!("__Host-signin={session}{session}"),
        format!("__Host-signin={session},{session}"),
        format!("__Host-signin={session}; __Host-signin={session}"),
        format!("__host-signin={session}"),
        format!("__Secure-signin={session}"),
        format!("signin={session}"),
        format!("{flow_name}={session}"),
    ];
    for cookie in others {
        assert_eq!(who(&cookie).await, "nobody", "{cookie}");
    }
}
