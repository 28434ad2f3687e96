//! `Cookie` headers, one on each line: who is signed in?

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, Request};
use tower_signin::Admission;

use crate::site::{BOB, Site, deleted, set_cookies};
use crate::support::{Browser, text};
use crate::{ALIEN_KEY, KEYS, OLD_KEY, SESSION, block_on, fill, session_cookies, site, site_with};

/// Good values, and others that only look like it.
pub struct Values {
    pub session: String,
    /// Sealed by the second key of the ring.
    older: String,
    over: String,
    alien: String,
    flow: String,
    large: Vec<String>,
}

pub static VALUES: LazyLock<Values> = LazyLock::new(|| {
    let one = |site: &Site| block_on(site.signed_in()).jar[SESSION].clone();
    let early = site();
    early.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(crate::START - 100_000));
    let mut browser = Browser::new();
    block_on(site().start(&mut browser, "/"));
    let roomy = |builder: tower_signin::Builder| {
        builder.session_cookie_limit(16_384).on_sign_in(|_| async { Admission::with_data(&"x".repeat(4000)) })
    };
    Values {
        session: one(&site()),
        older: one(&site_with(OLD_KEY, |builder| builder)),
        over: one(&early),
        alien: one(&site_with(ALIEN_KEY, |builder| builder)),
        flow: browser.jar.into_values().next().unwrap(),
        large: session_cookies(&block_on(site_with(KEYS, roomy).signed_in())),
    }
});

#[must_use]
pub fn fill_cookies(template: &str) -> String {
    let values = &*VALUES;
    fill(
        template,
        &[
            ("session", &values.session),
            ("older", &values.older),
            ("over", &values.over),
            ("alien", &values.alien),
            ("flow", &values.flow),
            ("large", &values.large[0]),
            ("large.1", &values.large[1]),
        ],
    )
}

/// The values of every cookie with this name, as RFC 6265 section 4.2 writes them.
fn named<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
    pairs
        .filter_map(|pair| pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?))
        .filter(|(other, _)| other.trim_ascii() == name.as_bytes())
        .map(|(_, value)| value[1..].trim_ascii())
        .collect()
}

/// What the cookies of a request must come to.
#[derive(Debug, PartialEq)]
pub enum Expected {
    SignedIn,
    /// The same, and the session is sealed anew.
    SealedAnew,
    Over,
    /// Opens under no key of ours; it may be deleted where it names one of them.
    Nobody {
        may_delete: bool,
    },
}

#[must_use]
pub fn expected(headers: &HeaderMap) -> Expected {
    let values = &*VALUES;
    let [first] = named(headers, SESSION)[..] else { return Expected::Nobody { may_delete: false } };
    let rest = named(headers, &format!("{SESSION}.1"));
    let sealed = if first.get(1) == Some(&b'.') { &first[2..] } else { first };
    // Format and key id are nine bytes, twelve characters.
    let names_our_key = [&values.session, &values.older].iter().any(|good| sealed.starts_with(&good.as_bytes()[..12]));
    match first {
        _ if first == values.session.as_bytes() => Expected::SignedIn,
        _ if first == values.older.as_bytes() => Expected::SealedAnew,
        _ if first == values.over.as_bytes() => Expected::Over,
        _ if first == values.large[0].as_bytes() && rest == [values.large[1].as_bytes()] => Expected::SignedIn,
        _ => Expected::Nobody { may_delete: names_our_key },
    }
}

pub fn run(data: &[u8]) -> bool {
    static SITE: LazyLock<Site> = LazyLock::new(site);
    let Ok(template) = std::str::from_utf8(data) else { return false };
    let mut headers = HeaderMap::new();
    for line in template.lines() {
        let Ok(header) = HeaderValue::from_bytes(fill_cookies(line).as_bytes()) else { return false };
        headers.append(COOKIE, header);
    }
    let mut request = Request::new(Bytes::new());
    *request.headers_mut() = headers.clone();
    let response = block_on(SITE.send(request));
    assert_eq!(response.status(), 200);
    let expected = expected(&headers);
    let is_signed_in = matches!(expected, Expected::SignedIn | Expected::SealedAnew);
    assert_eq!(text(&response), if is_signed_in { BOB } else { "nobody" }, "{expected:?}");
    let set = set_cookies(&response);
    let deleted = set.iter().filter(|cookie| **cookie == deleted(SESSION)).count();
    let kept = set.iter().filter(|cookie| !cookie.ends_with("; Max-Age=0")).count();
    match expected {
        Expected::SignedIn => assert_eq!((kept, deleted), (0, 0), "{set:?}"),
        Expected::SealedAnew => assert_eq!((kept, deleted), (1, 0), "{set:?}"),
        Expected::Over => assert_eq!((kept, deleted), (0, 1), "{set:?}"),
        Expected::Nobody { may_delete } => assert!(kept == 0 && (may_delete || set.is_empty()), "{set:?}"),
    }
    is_signed_in
}
