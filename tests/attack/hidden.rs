//! `hide_cookies` against every way to write a `Cookie` header.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Builder, Identity};

use crate::random::{Random, rounds};
use crate::site::{BOB, Site};
use crate::support::navigation;

const OURS: [&str; 6] = [
    "__Host-signin",
    "__Host-signin.1",
    "__Host-signin.3",
    "__Host-signin-tokens",
    "__Host-signin-rounds",
    "__Host-signin-flow-0123456789abcdef0123456789",
];

/// What a header is made of, bytes as a browser and as nobody sends them.
const PARTS: [&[u8]; 26] = [
    b"; ",
    b"; ",
    b";",
    b";",
    b" ",
    b"\t",
    b"\"",
    b",",
    b"=",
    b"==",
    b"a=1",
    b"b=\"2\"",
    b"c",
    b"d=x y",
    b"\xff",
    b"\xa0",
    b"\xc3\xa9=1",
    b"%00",
    b"%3B%20__Host-signin=1",
    b"x__Host-signin=1",
    b"__Host-signinx=1",
    b"__Host-signin.4=1",
    b"__host-signin=1",
    b"signin=1",
    b"__Host-signin",
    b"e=__Host-signin=1",
];

/// Whoever stands behind sees none of ours, all others as they came and in order, and nothing is made of two of them.
#[tokio::test]
async fn no_cookie_header_shows_ours_or_changes_another_one() {
    let site = Site::with(Builder::hide_cookies);
    let own = site.signed_in().await.cookie_header().unwrap();
    let mut random = Random::new(41);
    let mut signed_in = 0;
    for round in 0..rounds(5_000) {
        let headers: Vec<Vec<u8>> = (0..=random.below(3)).map(|_| header(&mut random, &own)).collect();
        let (who, left) = behind(&site, &headers).await;
        let shown = || format!("round {round}: {:?} became {:?}", lossy(&headers), lossy(&left));
        let others = |headers: &[Vec<u8>]| -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
            headers.iter().flat_map(|header| parsed(header)).filter(|(name, value)| !is_ours(name, value)).collect()
        };
        assert_eq!(others(&left), others(&headers), "{}", shown());
        assert!(
            !left.iter().flat_map(|header| parsed(header)).any(|(name, value)| is_ours(&name, &value)),
            "{}",
            shown()
        );
        if headers.iter().all(|header| parsed(header).iter().all(|(name, value)| !is_ours(name, value))) {
            assert_eq!(left, headers, "nothing of ours, nothing changed");
        }
        signed_in += usize::from(who == BOB);
    }
    assert!(signed_in > 100, "{signed_in}");
}

fn header(random: &mut Random, own: &str) -> Vec<u8> {
    let mut header = Vec::new();
    for _ in 0..random.below(8) {
        match random.below(5) {
            0 => header.extend_from_slice(own.as_bytes()),
            1 => {
                header.extend_from_slice(random.pick(&OURS).as_bytes());
                header.extend_from_slice(b"=1");
            }
            _ => header.extend_from_slice(random.pick(&PARTS)),
        }
        if random.one_in(2) {
            header.extend_from_slice(b"; ");
        }
    }
    header
}

/// As RFC 6265 section 5.4 has it written and servers read it; what is empty is no cookie.
fn parsed(header: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let pairs = header.split(|byte| *byte == b';').filter(|pair| !pair.trim_ascii().is_empty());
    let split = |pair: &[u8]| match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => (pair[..at].trim_ascii().to_vec(), Some(pair[at + 1..].trim_ascii().to_vec())),
        None => (pair.trim_ascii().to_vec(), None),
    };
    pairs.map(split).collect()
}

fn is_ours(name: &[u8], value: &Option<Vec<u8>>) -> bool {
    value.is_some() && (OURS.iter().any(|ours| ours.as_bytes() == name) || name == b"__Host-signin.2")
}

fn lossy(headers: &[Vec<u8>]) -> Vec<String> {
    headers.iter().map(|header| String::from_utf8_lossy(header).into_owned()).collect()
}

/// Who it is, and the cookies that the inner service is shown.
async fn behind(site: &Site, headers: &[Vec<u8>]) -> (String, Vec<Vec<u8>>) {
    let seen = Arc::new(Mutex::new((String::new(), Vec::new())));
    let kept = Arc::clone(&seen);
    let inner = service_fn(move |request: Request<Bytes>| {
        let who = request.extensions().get::<Identity>().map_or("nobody", Identity::subject).to_owned();
        assert!(request.headers().get_all(COOKIE).iter().all(HeaderValue::is_sensitive) || who == "nobody");
        let cookies = request.headers().get_all(COOKIE).iter().map(|header| header.as_bytes().to_vec()).collect();
        *kept.lock().unwrap() = (who, cookies);
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut request = navigation(http::Method::GET, "/", "none").body(Bytes::new()).unwrap();
    for header in headers {
        request.headers_mut().append(COOKIE, HeaderValue::from_bytes(header).unwrap());
    }
    site.sign_in.layer().layer(inner).oneshot(request).await.unwrap();
    std::mem::take(&mut *seen.lock().unwrap())
}
