//! Sessions that are larger than one cookie.

#![allow(missing_docs, reason = "tests")]

#[path = "support/log.rs"]
mod log;
#[path = "support/site.rs"]
mod site;
mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, ORIGIN};
use http::{Method, Request, Response};
use log::Log;
use site::{BOB, ORIGIN as HERE, SESSION, Site, deleted, set_cookies, siwbb};
use support::{Browser, code, navigation, text};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Admission, Builder, ErrorKind, Keys, SignIn};

const MOST: usize = 16_384;

/// How much the hook attaches to the next session.
static NOTHING: AtomicUsize = AtomicUsize::new(0);

fn attaching(builder: Builder, length: &'static AtomicUsize) -> Builder {
    builder.on_sign_in(move |_| async move { Admission::with_data(&"x".repeat(length.load(Ordering::SeqCst))) })
}

fn roomy(length: &'static AtomicUsize) -> Site {
    Site::with(|builder| attaching(builder.session_cookie_limit(MOST), length))
}

/// A number of its own for each test, which run side by side.
fn length(bytes: usize) -> &'static AtomicUsize {
    Box::leak(Box::new(AtomicUsize::new(bytes)))
}

fn chunk(number: usize) -> String {
    if number == 0 { SESSION.to_owned() } else { format!("{SESSION}.{number}") }
}

fn session_of(browser: &Browser) -> Vec<(String, String)> {
    let of_session = browser.jar.iter().filter(|(name, _)| *name == SESSION || name.starts_with("__Host-signin."));
    of_session.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn header(cookies: &[(String, String)]) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

async fn visit(site: &Site, cookies: &str) -> (String, Vec<String>) {
    let response = site.visit(&mut Browser::new(), navigation(Method::GET, "/", "none").header(COOKIE, cookies)).await;
    (text(&response).to_owned(), set_cookies(&response))
}

/// A browser whose session takes so many cookies.
async fn signed_in(site: &Site, length: &AtomicUsize, count: usize) -> Browser {
    length.store(count.saturating_sub(1) * 3000, Ordering::SeqCst);
    let browser = site.signed_in().await;
    assert_eq!(session_of(&browser).len(), count);
    browser
}

#[tokio::test]
async fn u04_every_size_signs_in_within_the_limit_and_none_beyond() {
    let attached = length(0);
    for limit in [1024, 4096, 6000, 8192, 12_288, MOST] {
        let site = Site::with(|builder| attaching(builder.session_cookie_limit(limit), attached));
        // The longest value that fits is found by halving; whatever is a byte longer fails.
        let (mut fits, mut too_long) = (0, MOST);
        while too_long - fits > 1 {
            let middle = usize::midpoint(fits, too_long);
            if attempt(&site, attached, middle, limit).await { fits = middle } else { too_long = middle }
        }
        assert!(attempt(&site, attached, fits, limit).await && !attempt(&site, attached, fits + 1, limit).await);
        attached.store(fits, Ordering::SeqCst);
        let cookies = session_of(&site.signed_in().await);
        let size: usize = cookies.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert_eq!(cookies.len(), limit.div_ceil(4096), "{limit}");
        // Three bytes are four characters, and a full cookie may be followed by one that needs a name.
        assert!(size > limit - 2, "{size} of {limit}");
    }
}

/// Whether somebody with a value of this length can sign in; what comes of it is checked either way.
async fn attempt(site: &Site, attached: &AtomicUsize, bytes: usize, limit: usize) -> bool {
    attached.store(bytes, Ordering::SeqCst);
    let mut browser = Browser::new();
    let response = site.complete(&mut browser, "/").await;
    let cookies = session_of(&browser);
    if response.status() != 303 {
        assert_eq!(response.extensions().get(), Some(&ErrorKind::SessionTooLarge), "{bytes}");
        assert_eq!(cookies, [], "{bytes}");
        return false;
    }
    let sizes: Vec<_> = cookies.iter().map(|(name, value)| name.len() + value.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 4096) && sizes.iter().sum::<usize>() <= limit, "{bytes}: {sizes:?}");
    assert_eq!(visit(site, &header(&cookies)).await, (BOB.to_owned(), vec![]), "{bytes}");
    true
}

#[tokio::test]
async fn every_border_between_cookies_comes_back() {
    let attached = length(0);
    let site = roomy(attached);
    // Where the number of cookies changes, by halving, and a few bytes on both sides of it.
    for count in 1..4 {
        let (mut few, mut many) = (0, MOST);
        while many - few > 1 {
            let middle = usize::midpoint(few, many);
            attached.store(middle, Ordering::SeqCst);
            let mut browser = Browser::new();
            let is_answered = site.complete(&mut browser, "/").await.status() == 303;
            if is_answered && session_of(&browser).len() <= count { few = middle } else { many = middle }
        }
        for bytes in few - 4..few + 5 {
            assert!(attempt(&site, attached, bytes, MOST).await, "{bytes}");
        }
    }
}

#[tokio::test]
async fn random_sizes_come_back() {
    let attached = length(0);
    let site = roomy(attached);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..60 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bytes = usize::try_from(random % 11_000).unwrap();
        assert!(attempt(&site, attached, bytes, MOST).await, "{bytes}");
    }
}

#[tokio::test]
async fn a_session_that_fits_looks_as_it_always_did() {
    let site = roomy(&NOTHING);
    let cookies = session_of(&site.signed_in().await);
    assert_eq!(cookies.len(), 1);
    assert!(!cookies[0].1.contains('.'), "{cookies:?}");
    // A limit changes nothing of what is read: as after a change of the settings, or on another node.
    let keys = Keys::generate().unwrap();
    let attached = length(9000);
    let large = Site::with(|builder| attaching(builder.keys(keys.clone()).session_cookie_limit(MOST), attached));
    let cookies = session_of(&large.signed_in().await);
    let small = Site::with(|builder| builder.keys(keys).session_idle_timeout(Duration::from_secs(3600)));
    assert_eq!(visit(&small, &header(&cookies)).await, (BOB.to_owned(), vec![]));
    small.clock.advance(Duration::from_secs(1800));
    let (who, renewed) = visit(&small, &header(&cookies)).await;
    assert_eq!((who.as_str(), renewed.len()), (BOB, cookies.len()), "and renewed as it is");
}

#[tokio::test]
async fn a_set_that_is_not_whole_and_its_own_is_nobody() {
    let attached = length(0);
    let site = roomy(attached);
    for count in 2..=4 {
        let own = session_of(&signed_in(&site, attached, count).await);
        let other = session_of(&signed_in(&site, attached, count).await);
        let longer = session_of(&signed_in(&site, attached, 4).await);
        let forged: Vec<_> = (0..count).map(|number| deleted(&chunk(number))).collect();
        let nobody = |cookies: Vec<String>| ("nobody".to_owned(), cookies);
        assert_eq!(visit(&site, &header(&own)).await, (BOB.to_owned(), vec![]));
        let reversed: Vec<_> = own.iter().rev().cloned().collect();
        assert_eq!(visit(&site, &header(&reversed)).await, (BOB.to_owned(), vec![]), "the order is a browser's");
        for number in 0..count {
            let case = format!("{number} of {count}");
            let with = |change: &dyn Fn(&mut Vec<(String, String)>)| {
                let mut cookies = own.clone();
                change(&mut cookies);
                header(&cookies)
            };
            let lost = with(&|cookies| drop(cookies.remove(number)));
            assert_eq!(visit(&site, &lost).await, nobody(vec![]), "{case} lost");
            let empty = with(&|cookies| cookies[number].1.clear());
            assert_eq!(visit(&site, &empty).await.0, "nobody", "{case} empty");
            let twice = with(&|cookies| cookies.push(own[number].clone()));
            assert_eq!(visit(&site, &twice).await, nobody(vec![]), "{case} twice");
            let planted = with(&|cookies| cookies.insert(0, (chunk(number), "planted".to_owned())));
            assert_eq!(visit(&site, &planted).await, nobody(vec![]), "{case} planted");
            let foreign = with(&|cookies| cookies[number] = other[number].clone());
            assert_eq!(visit(&site, &foreign).await, nobody(forged.clone()), "{case} of another session");
            let long = with(&|cookies| cookies[number].1 += &"A".repeat(4096));
            assert_eq!(visit(&site, &long).await, nobody(vec![]), "{case} too long");
            for second in 0..number {
                let swapped = with(&|cookies| {
                    let value = cookies[number].1.clone();
                    cookies[number].1 = cookies[second].1.clone();
                    cookies[second].1 = value;
                });
                assert_eq!(visit(&site, &swapped).await.0, "nobody", "{case} swapped with {second}");
            }
            for position in [0, 1, 2, own[number].1.len() / 2, own[number].1.len() - 2] {
                let changed = with(&|cookies| {
                    let byte = if cookies[number].1.as_bytes()[position] == b'B' { "C" } else { "B" };
                    cookies[number].1.replace_range(position..=position, byte);
                });
                assert_eq!(visit(&site, &changed).await.0, "nobody", "{case} changed at {position}");
            }
        }
        for claimed in (0..=9).filter(|claimed| *claimed != count) {
            let mut cookies = longer.clone();
            cookies.splice(..count, own.clone());
            cookies[0].1.replace_range(..1, &claimed.to_string());
            assert_eq!(visit(&site, &header(&cookies)).await.0, "nobody", "{count} that say {claimed}");
        }
        let mut unmarked = own.clone();
        unmarked[0].1.drain(..2);
        assert_eq!(visit(&site, &header(&unmarked)).await.0, "nobody", "the first of {count} alone");
        let stale: Vec<_> = own.iter().chain(&longer[count..]).cloned().collect();
        assert_eq!(visit(&site, &header(&stale)).await, (BOB.to_owned(), vec![]), "{count} and what is left of 4");
    }
}

#[tokio::test]
async fn parts_without_a_first_are_nobody_and_stay() {
    let attached = length(0);
    let site = roomy(attached);
    let own = session_of(&signed_in(&site, attached, 3).await);
    assert_eq!(visit(&site, &header(&own[1..])).await, ("nobody".to_owned(), vec![]));
    let stranger = session_of(&signed_in(&roomy(attached), attached, 3).await);
    assert_eq!(visit(&site, &header(&stranger)).await, ("nobody".to_owned(), vec![]), "other keys");
}

#[tokio::test]
async fn a_set_goes_whole_once_it_is_over() {
    let attached = length(0);
    let site = roomy(attached);
    let own = session_of(&signed_in(&site, attached, 3).await);
    let longer = session_of(&signed_in(&site, attached, 4).await);
    site.clock.advance(Duration::from_secs(24 * 60 * 60));
    let gone = |count: usize| (0..count).map(|number| deleted(&chunk(number))).collect::<Vec<_>>();
    assert_eq!(visit(&site, &header(&own)).await, ("nobody".to_owned(), gone(3)));
    let with_stale: Vec<_> = own.iter().chain(&longer[3..]).cloned().collect();
    assert_eq!(visit(&site, &header(&with_stale)).await, ("nobody".to_owned(), gone(4)), "and what is left of another");
    assert_eq!(visit(&site, &header(&own[..2])).await, ("nobody".to_owned(), vec![]), "no proof without all of it");
}

#[tokio::test]
async fn a_renewal_brings_every_part_anew_and_takes_what_is_stale() {
    let attached = length(0);
    let idle = Duration::from_secs(3600);
    let site = Site::with(|builder| attaching(builder.session_cookie_limit(MOST).session_idle_timeout(idle), attached));
    let mut browser = signed_in(&site, attached, 3).await;
    let before = session_of(&browser);
    let stale = session_of(&signed_in(&site, attached, 4).await).remove(3);
    browser.jar.insert(stale.0, stale.1);
    site.clock.advance(idle / 2);
    let response = site.get(&mut browser, "/").await;
    let cookies = set_cookies(&response);
    assert_eq!((text(&response), cookies.len()), (BOB, 4));
    assert_eq!(cookies[3], deleted(&chunk(3)));
    for cookie in &cookies[..3] {
        assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600"), "{cookie:.40}");
    }
    let after = session_of(&browser);
    assert_eq!(after.len(), 3);
    assert!(before.iter().zip(&after).all(|(before, after)| before.0 == after.0 && before.1.len() == after.1.len()));
    site.clock.advance(idle * 3 / 4);
    assert_eq!(visit(&site, &header(&after)).await.0, BOB);
    assert_eq!(visit(&site, &header(&before)).await.0, "nobody");
}

#[tokio::test]
async fn a_shorter_session_takes_what_is_left_of_a_longer_one() {
    let attached = length(0);
    let site = roomy(attached);
    for (former, new) in [(4, 1), (4, 2), (4, 3), (3, 1), (2, 1), (2, 4), (1, 3), (3, 3)] {
        let mut browser = signed_in(&site, attached, former).await;
        attached.store((new - 1) * 3000, Ordering::SeqCst);
        let response = site.complete(&mut browser, "/").await;
        let gone: Vec<_> = set_cookies(&response)
            .into_iter()
            .filter(|it| it.starts_with("__Host-signin.") && it.contains("Max-Age=0"))
            .collect();
        let expected: Vec<_> = (new..former).map(|number| deleted(&chunk(number))).collect();
        assert_eq!(gone, expected, "{new} after {former}");
        assert_eq!(session_of(&browser).len(), new, "{new} after {former}");
        assert_eq!(text(&site.get(&mut browser, "/").await), BOB, "{new} after {former}");
    }
}

#[tokio::test]
async fn the_log_says_how_large_a_session_would_have_been() {
    Log::start();
    let site = Site::with(|builder| attaching(builder, length(5000)));
    let response = site.complete(&mut Browser::new(), "/").await;
    assert_eq!((response.status().as_u16(), code(&response).as_str()), (500, "session_too_large"));
    let line = Log::line("bytes in 2 cookies, and session_cookie_limit is 4096");
    assert!(line.contains("session_too_large") && line.contains("WARN"), "{}", Log::text());
}

#[tokio::test]
async fn a_sign_in_that_fails_takes_nothing() {
    let attached = length(0);
    let site = roomy(attached);
    let mut browser = signed_in(&site, attached, 3).await;
    let before = session_of(&browser);
    attached.store(MOST, Ordering::SeqCst);
    assert_eq!(code(&site.complete(&mut browser, "/").await), "session_too_large");
    assert_eq!(session_of(&browser), before);
}

#[tokio::test]
async fn signing_out_takes_every_part_that_came() {
    let attached = length(0);
    let site = roomy(attached);
    let logout = |cookies: String| {
        let request = Request::post("/api/logout").header(COOKIE, cookies).header(ORIGIN, HERE);
        site.send(request.body(Bytes::new()).unwrap())
    };
    let own = session_of(&signed_in(&site, attached, 4).await);
    let names = |response: &Response<Bytes>| set_cookies(response);
    let gone = |numbers: &[usize]| numbers.iter().map(|number| deleted(&chunk(*number))).collect::<Vec<_>>();
    assert_eq!(names(&logout(header(&own)).await), gone(&[0, 1, 2, 3]));
    assert_eq!(names(&logout(header(&own[2..])).await), gone(&[2, 3]), "also those that are left over");
    let twice = format!("{0}; {0}", header(&own[..2]));
    assert_eq!(names(&logout(twice).await), gone(&[0, 1]), "each once");
    let foreign = navigation(Method::POST, "/api/logout", "cross-site").header(COOKIE, header(&own));
    assert_eq!(names(&site.send(foreign.body(Bytes::new()).unwrap()).await), [""; 0]);
}

#[tokio::test]
async fn the_cookies_of_a_test_are_the_whole_set() {
    let bitbadges = DevProvider::start().await.unwrap();
    let build = |limit| {
        let builder = SignIn::builder(bitbadges.siwbb()).redirect_uri("http://localhost:3000/api/callback");
        builder.keys(Keys::generate().unwrap()).session_cookie_limit(limit).build().unwrap()
    };
    let data = "x".repeat(8000);
    let cookies = bitbadges.signed_in_cookie_with(&build(MOST), &Account::bob(), &data).unwrap();
    let names: Vec<_> = cookies.split("; ").map(|pair| pair.split_once('=').unwrap().0).collect();
    assert_eq!(names, ["signin-3000", "signin-3000.1", "signin-3000.2"]);
    let error = bitbadges.signed_in_cookie_with(&build(8192), &Account::bob(), &data).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
}

#[tokio::test]
async fn what_is_set_beside_a_large_session_is_not_part_of_it() {
    let attached = length(0);
    let site = roomy(attached);
    let mut browser = signed_in(&site, attached, 3).await;
    let started = site.start(&mut browser, "/").await;
    for name in ["__Host-signin.", "__Host-signin.0", "__Host-signin.4", "__Host-signin.01", "__Host-signin.1.1"] {
        browser.jar.insert(name.to_owned(), "theirs".to_owned());
    }
    let before: BTreeMap<_, _> = browser.jar.clone();
    assert_eq!(text(&site.get(&mut browser, "/").await), BOB);
    assert_eq!(browser.jar, before);
    let request = navigation(Method::POST, "/api/logout", "same-origin");
    site.visit(&mut browser, request).await;
    let theirs = ["__Host-signin.", "__Host-signin.0", "__Host-signin.01", "__Host-signin.1.1", "__Host-signin.4"];
    assert_eq!(browser.jar.into_keys().collect::<Vec<_>>(), theirs, "{started:?}", started = started.state);
}

#[test]
fn limits_that_can_t_work_are_refused_when_built() {
    let build = |configure: &dyn Fn(Builder) -> Builder| {
        let builder = SignIn::builder(siwbb()).redirect_uri(site::CALLBACK).keys(Keys::generate().unwrap());
        configure(builder).build().map(drop)
    };
    for limit in [1024, 4096, 4097, 16_384] {
        assert_eq!(build(&|builder| builder.session_cookie_limit(limit)), Ok(()), "{limit}");
    }
    for limit in [0, 1023, 16_385, usize::MAX] {
        let error = build(&|builder| builder.session_cookie_limit(limit)).unwrap_err();
        assert_eq!(error.setting(), "session_cookie_limit", "{error}");
        assert!(error.to_string().contains(&limit.to_string()), "{error}");
    }
    for (prefix, is_good) in
        [("a.1", false), ("a.9", false), (".0", false), ("a.10", true), ("a1", true), ("a.b", true)]
    {
        assert_eq!(build(&|builder| builder.cookie_prefix(prefix)).is_ok(), is_good, "{prefix}");
    }
}
