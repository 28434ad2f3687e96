//! What caches are told of responses to people who are signed in, and what they may store carries no cookie of ours.

use std::time::Duration;

use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, Response};
use http_body_util::Full;

use crate::site::{Site, deleted, set_cookies};
use crate::support::Browser;
use crate::{Inner, SESSION, at, inner, max_age, through};

type Headers = &'static [(&'static str, &'static str)];

/// Whether it is meant for shared caches, by row.
const RESPONSES: &[(Headers, bool)] = &[
    (&[("cache-control", "public")], true),
    (&[("cache-control", "public, max-age=3600")], true),
    (&[("cache-control", "max-age=3600")], false),
    (&[("cache-control", "s-maxage=60")], true),
    (&[("cache-control", "S-MaxAge=60, stale-while-revalidate=9")], true),
    (&[("cache-control", "no-cache")], false),
    (&[("cache-control", "must-revalidate"), ("cache-control", "immutable")], false),
    (&[("cache-control", "unprivate")], false),
    (&[("cdn-cache-control", "max-age=60")], true),
    (&[("cache-control", "private"), ("cdn-cache-control", "max-age=60")], true),
    (&[("cache-control", "no-store"), ("surrogate-control", "max-age=60")], true),
    (&[("cache-control", "private"), ("vercel-cdn-cache-control", "max-age=60")], true),
    (&[("cache-control", "private"), ("x-accel-expires", "60")], true),
    (&[("cache-control", "private")], false),
    (&[("cache-control", "max-age=60, Private")], false),
    (&[("cache-control", "max-age=60"), ("cache-control", "private")], false),
    (&[("cache-control", "no-store")], false),
    (&[("vary", "accept")], false),
    (&[], false),
];

#[tokio::test]
async fn a_renewal_waits_for_a_response_that_is_not_meant_for_shared_caches() {
    let site = Site::with(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    let browser = site.signed_in().await;
    site.clock.set(at(50));
    for (headers, is_shared) in RESPONSES {
        let response = through(&site.sign_in, &answering(headers), &browser, "/").await;
        let cookies: Vec<_> = set_cookies(&response).iter().map(|cookie| max_age(cookie)).collect();
        assert_eq!(cookies, if *is_shared { vec![] } else { vec![100] }, "{headers:?}");
        what_the_app_said_stays(headers, response.headers());
    }
}

#[tokio::test]
async fn a_deletion_waits_for_a_response_that_is_not_meant_for_shared_caches() {
    let site = Site::with(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    let browser = site.signed_in().await;
    site.clock.set(at(100));
    for (headers, is_shared) in RESPONSES {
        let response = through(&site.sign_in, &answering(headers), &browser, "/").await;
        let expected = if *is_shared { vec![] } else { vec![deleted(SESSION)] };
        assert_eq!(set_cookies(&response), expected, "{headers:?}");
        what_the_app_said_stays(headers, response.headers());
    }
}

/// Signed in, whether or not a renewal is due.
#[tokio::test]
async fn a_response_to_somebody_is_private_unless_the_app_says_otherwise() {
    // What is added, and what is where the response carries a cookie.
    let cases: &[(Headers, [Option<&str>; 2])] = &[
        (&[], [Some("private"); 2]),
        (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], [Some("private"); 2]),
        (&[("vary", "accept")], [Some("private"); 2]),
        (&[("cache-control", "public, max-age=60")], [None; 2]),
        (&[("cache-control", "max-age=60")], [None, Some("private")]),
        (&[("cache-control", "no-store")], [None; 2]),
        (&[("cache-control", "no-cache"), ("cache-control", "must-revalidate")], [None, Some("private")]),
        (&[("cache-control", "")], [None, Some("private")]),
    ];
    let site = Site::with(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    let browser = site.signed_in().await;
    for (number, second) in [0, 50].into_iter().enumerate() {
        site.clock.set(at(second));
        for (headers, added) in cases {
            let response = through(&site.sign_in, &answering(headers), &browser, "/").await;
            let said = headers.iter().filter(|(name, _)| *name == "cache-control").map(|(_, value)| *value);
            let expected: Vec<_> = said.chain(added[number]).collect();
            assert_eq!(values(response.headers(), CACHE_CONTROL.as_str()), expected, "second {second}, {headers:?}");
            what_the_app_said_stays(headers, response.headers());
        }
    }
}

#[tokio::test]
async fn a_response_to_somebody_varies_by_cookie_and_says_so_once() {
    let cases: &[(Headers, bool)] = &[
        (&[], true),
        (&[("vary", "accept")], true),
        (&[("vary", "accept, origin"), ("vary", "user-agent")], true),
        (&[("vary", "cookies")], true),
        (&[("vary", "set-cookie")], true),
        (&[("vary", "")], true),
        (&[("cache-control", "public"), ("vary", "accept")], true),
        (&[("vary", "cookie")], false),
        (&[("vary", "Cookie")], false),
        (&[("vary", "accept,COOKIE ,origin")], false),
        (&[("vary", "accept"), ("vary", "origin,\tcookie")], false),
        (&[("vary", "*")], false),
        (&[("vary", "accept, *")], false),
    ];
    let site = Site::new();
    let browser = site.signed_in().await;
    for (headers, is_added) in cases {
        let response = through(&site.sign_in, &answering(headers), &browser, "/").await;
        let said = headers.iter().filter(|(name, _)| *name == "vary").map(|(_, value)| *value);
        let expected: Vec<_> = said.chain(is_added.then_some("cookie")).collect();
        assert_eq!(values(response.headers(), VARY.as_str()), expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_response_to_nobody_is_as_the_app_made_it() {
    let site = Site::new();
    let mut planted = Browser::new();
    planted.jar.insert(SESSION.to_owned(), "planted".to_owned());
    let mut with_flow = Browser::new();
    site.start(&mut with_flow, "/").await;
    for (name, browser) in [("no cookie", Browser::new()), ("an unreadable one", planted), ("a flow", with_flow)] {
        for (headers, _) in RESPONSES {
            let response = through(&site.sign_in, &answering(headers), &browser, "/").await;
            assert_eq!(response.headers().len(), headers.len(), "{name}: {headers:?}");
            what_the_app_said_stays(headers, response.headers());
        }
    }
}

fn answering(headers: Headers) -> Inner {
    inner(move |_| async move {
        let response =
            headers.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
        response.body(Full::default()).unwrap()
    })
}

#[track_caller]
fn what_the_app_said_stays(headers: Headers, found: &HeaderMap) {
    assert!(headers.iter().all(|(name, _)| *name != SET_COOKIE.as_str()));
    for (name, value) in headers {
        assert!(values(found, name).contains(value), "{headers:?}");
    }
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}
