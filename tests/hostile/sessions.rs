//! The life of a session: how it begins, what it outlives, and that what is over stays over.

use std::collections::HashSet;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, LOCATION};
use http::{Method, Request};
use tower_signin::ErrorKind;

use crate::people::{know_everybody, sign_in_as, subject, who};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::set_cookies::whole_life;
use crate::site::{BOB, CALLBACK, CODE, NOW, SESSION, Site, deleted, set_cookies};
use crate::stored::stored;
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H065",
        what: "signing in kept the session id that was there before, which somebody else had chosen",
        verdict: Held(&["h065_no_session_that_was_there_becomes_the_one_that_is_signed_in"]),
    },
    Row {
        id: "H066",
        what: "a stale session stayed good behind the page that asked to sign in",
        verdict: Held(&[
            "h066_a_stale_session_is_nobody_while_somebody_signs_in",
            "h066_a_failed_sign_in_moves_nobody",
        ]),
    },
    Row {
        id: "H067",
        what: "signing out cleared the browser, and a copy of the cookie went on working",
        verdict: Held(&[
            "h067_in_a_store_every_copy_ends_with_the_sign_out",
            "h067_without_a_store_a_copy_is_never_renewed_after_the_sign_out",
        ]),
    },
    Row {
        id: "H068",
        what: "a request that ran beside the sign-out wrote the deleted session back",
        verdict: Held(&[
            "tests/stored/races.rs::nothing_that_runs_beside_a_sign_out_brings_the_session_back",
            "tests/stored/orders.rs::no_order_brings_a_session_back",
            "tests/sessions/late.rs::a_renewal_that_comes_late_brings_nothing_back",
            "tests/tokens/responses.rs::nothing_comes_after_signing_out",
        ]),
    },
    Row {
        id: "H069",
        what: "only the browser knew when the cookie was over, so an old one worked for ever",
        verdict: Held(&[
            "h069_session_and_flow_hold_their_own_ends",
            "tests/stored/gone.rs::a_record_whose_end_has_passed_is_over_whatever_the_store_says",
            "tests/tokens/unreachable.rs::sessions_that_outlive_tokens_go_on_without",
            "tests/users/rounds.rs::u13_a_sign_in_that_lasted_a_minute_ends_the_count",
            "tests/logout_page.rs::only_the_token_of_this_session_and_of_the_last_ten_minutes_counts",
        ]),
    },
    Row {
        id: "H070",
        what: "what did not decrypt was read as it was",
        verdict: Held(&["h070_nothing_is_read_that_is_not_sealed"]),
    },
    Row {
        id: "H071",
        what: "the cookie that deletes lacked an attribute of the one it should delete",
        verdict: Held(&["h071_what_deletes_has_the_attributes_of_what_set"]),
    },
    Row {
        id: "H072",
        what: "a key outlived the end of the provider's token, which could not be refreshed",
        verdict: Held(&[
            "tests/sessions/lifetimes.rs::u37_a_session_ends_with_its_access_token_unless_told_otherwise",
            "tests/tokens/keep.rs::without_a_refresh_token_the_session_ends_with_the_access_token",
        ]),
    },
    Row {
        id: "H073",
        what: "a sign-in that the attacker had begun was finished in the victim's browser",
        verdict: Held(&["h073_a_flow_that_another_host_planted_finishes_nothing"]),
    },
];

#[tokio::test]
async fn h065_no_session_that_was_there_becomes_the_one_that_is_signed_in() {
    let (in_a_store, store) = stored(|builder| builder);
    for site in [Site::new(), in_a_store] {
        know_everybody(&site);
        let mut attacker = Browser::new();
        sign_in_as(&site, &mut attacker, 1).await;
        let own = attacker.jar[SESSION].clone();
        let planted = [own.clone(), "A".repeat(own.len()), String::new(), format!("2.{own}"), "fixed".to_owned()];
        let mut seen = HashSet::from([own]);
        for planted in planted {
            let mut victim = Browser::new();
            victim.jar.insert(SESSION.to_owned(), planted.clone());
            victim.jar.insert(format!("{SESSION}.1"), planted.clone());
            sign_in_as(&site, &mut victim, 2).await;
            assert!(seen.insert(victim.jar[SESSION].clone()), "{planted}: a session of its own");
            assert_eq!(who(&site, &victim).await, subject(2), "{planted}");
            let thief = Browser { jar: [(SESSION.to_owned(), planted.clone())].into() };
            assert_ne!(who(&site, &thief).await, subject(2), "{planted}");
            // Nor does whoever signs in here next go on with the session of the one before.
            let before = victim.clone();
            sign_in_as(&site, &mut victim, 3).await;
            assert_eq!(who(&site, &victim).await, subject(3), "{planted}");
            assert_ne!(who(&site, &before).await, subject(3), "{planted}");
        }
    }
    let made = store.made();
    assert_eq!((made.len(), made.iter().collect::<HashSet<_>>().len()), (11, 11), "an id for each sign-in");
}

#[tokio::test]
async fn h066_a_stale_session_is_nobody_while_somebody_signs_in() {
    let site = Site::new();
    let guarded = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require());
    let mut browser = site.signed_in().await;
    let stale = browser.jar[SESSION].clone();
    site.clock.advance(Duration::from_secs(24 * 60 * 60));
    let response = site.through(&guarded, &browser, navigation(Method::GET, "/private", "none")).await;
    assert!(response.headers()[LOCATION].to_str().unwrap().starts_with("/api/login?"), "{response:?}");
    assert_eq!((text(&response), set_cookies(&response)), ("", vec![deleted(SESSION)]));

    // A browser that keeps it all the same gets nothing for it, whatever becomes of the sign-in.
    for answer in [500, 400, 200] {
        site.upstream.answer(answer, if answer == 200 { crate::site::BOB_ANSWER } else { "" });
        let started = site.start(&mut browser, "/private").await;
        browser.jar.insert(SESSION.to_owned(), stale.clone());
        assert_eq!(who(&site, &browser).await, "nobody", "while it goes on");
        let completed = site.get(&mut browser, &started.callback(CODE)).await.status() == 303;
        assert_eq!(completed, answer == 200);
        assert_eq!(who(&site, &browser).await, if completed { BOB } else { "nobody" }, "after {answer}");
    }
    browser.jar.insert(SESSION.to_owned(), stale);
    assert_eq!(who(&site, &browser).await, "nobody", "a new session brings no old one back");
}

#[tokio::test]
async fn h066_a_failed_sign_in_moves_nobody() {
    let site = Site::new();
    know_everybody(&site);
    let mut browser = Browser::new();
    sign_in_as(&site, &mut browser, 1).await;
    let session = browser.jar[SESSION].clone();
    for result in ["error=access_denied", "error=server_error", "code=nobody's"] {
        site.upstream.answer(400, "");
        let started = site.start(&mut browser, "/").await;
        assert_eq!(who(&site, &browser).await, subject(1), "{result}: while it goes on");
        let response = site.get(&mut browser, &format!("/api/callback?{result}&state={}", started.state)).await;
        assert!(response.status().as_u16() >= 400, "{result}: {}", response.status());
        assert_eq!(set_cookies(&response), [started.flow_deleted()], "{result}");
        assert_eq!((&browser.jar[SESSION], who(&site, &browser).await), (&session, subject(1)), "{result}");
    }
}

async fn sign_out(site: &Site, browser: &mut Browser) {
    let response = site.visit(browser, navigation(Method::POST, "/api/logout", "same-origin")).await;
    assert_eq!(response.status(), 303);
    assert!(!browser.jar.contains_key(SESSION));
}

#[tokio::test]
async fn h067_in_a_store_every_copy_ends_with_the_sign_out() {
    let (site, _) = stored(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    know_everybody(&site);
    let mut browser = Browser::new();
    sign_in_as(&site, &mut browser, 1).await;
    let mut elsewhere = Browser::new();
    sign_in_as(&site, &mut elsewhere, 1).await;
    let old = browser.clone();
    site.clock.advance(Duration::from_secs(50));
    site.get(&mut browser, "/").await;
    let copies = [old, browser.clone()];
    sign_out(&site, &mut browser).await;

    let guarded = Router::new().fallback(any(async || "let in")).layer(site.sign_in.require());
    for copy in &copies {
        let response = site.get(&mut copy.clone(), "/").await;
        assert_eq!(text(&response), "nobody");
        assert!(set_cookies(&response).iter().all(|cookie| *cookie == deleted(SESSION)), "{response:?}");
        let response = site.through(&guarded, copy, Request::get("/")).await;
        assert_eq!((response.status().as_u16(), text(&response) == "let in"), (401, false));
        // It starts no sign-in as somebody who is known either: another site's link would else go to its target.
        let login =
            site.visit(&mut copy.clone(), navigation(Method::GET, "/api/login?return_to=/x", "cross-site")).await;
        assert!(login.headers()[LOCATION].to_str().unwrap().starts_with("https://bitbadges.io/"), "{login:?}");
    }
    assert_eq!(who(&site, &elsewhere).await, subject(1), "the same person in another browser goes on");
}

/// Without a store the copy is good to its end, which SECURITY.md says; what it must not do is live on.
#[tokio::test]
async fn h067_without_a_store_a_copy_is_never_renewed_after_the_sign_out() {
    let site = Site::with(|builder| builder.session_idle_timeout(Duration::from_secs(100)));
    let mut browser = site.signed_in().await;
    let mut copy = browser.clone();
    sign_out(&site, &mut browser).await;
    for _ in 0..3 {
        site.clock.advance(Duration::from_secs(33));
        assert_eq!(set_cookies(&site.get(&mut copy, "/").await), [""; 0]);
    }
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(text(&site.get(&mut copy, "/").await), "nobody");
}

#[tokio::test]
async fn h069_session_and_flow_hold_their_own_ends() {
    let site = Site::with(|builder| builder.session_lifetime(Duration::from_secs(1000)));
    let session = site.signed_in().await;
    let mut pending = Browser::new();
    let started = site.start(&mut pending, "/").await;
    for (second, expected) in [(0, BOB), (999, BOB), (1000, "nobody"), (1001, "nobody"), (100_000_000, "nobody")] {
        site.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(NOW + second));
        assert_eq!(who(&site, &session).await, expected, "second {second}");
    }
    site.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(NOW + 600));
    let response = site.get(&mut pending, &started.callback(CODE)).await;
    assert_eq!(set_cookies(&response), [started.flow_deleted()]);
    site.clock.set(std::time::UNIX_EPOCH + Duration::from_secs(NOW));
    assert_eq!(who(&site, &session).await, BOB, "it was the clock, and nothing else");
    assert_eq!(response.extensions().get(), Some(&ErrorKind::FlowExpired));
    assert_eq!(site.upstream.requests().len(), 0, "its code was redeemed");
}

#[tokio::test]
async fn h070_nothing_is_read_that_is_not_sealed() {
    let site = Site::new();
    let sealed = site.signed_in().await.jar[SESSION].clone();
    let header = URL_SAFE_NO_PAD.decode(&sealed).unwrap()[..21].to_vec();
    // The layout that is inside the seal: its number, the id, six times, the fingerprint, and four texts.
    let mut plain = vec![1];
    plain.extend_from_slice(&[7; 16]);
    for time in [NOW, NOW, NOW + 9999, NOW + 9999, 0, NOW] {
        plain.extend_from_slice(&time.to_be_bytes());
    }
    plain.extend_from_slice(&[9; 16]);
    for part in ["https://bitbadges.io", BOB, "{}", ""] {
        plain.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        plain.extend_from_slice(part.as_bytes());
    }
    let json = format!(r#"{{"iss":"https://bitbadges.io","sub":"{BOB}","exp":9999999999}}"#);
    let bytes = [
        plain.clone(),
        [&[1_u8][..], &plain].concat(),
        [&header[..], &plain].concat(),
        [&header[..], &plain, &[0; 16]].concat(),
        [&[0_u8][..], &header[1..], &plain, &[0; 16]].concat(),
        [&header[..9], &[0; 12], &plain, &[0; 16]].concat(),
        json.clone().into_bytes(),
        [&header[..], json.as_bytes(), &[0; 16]].concat(),
    ];
    let texts = bytes.iter().flat_map(|bytes| {
        let text = URL_SAFE_NO_PAD.encode(bytes);
        [text.clone(), format!("1.{text}"), format!("2.{text}"), format!("v0.{text}"), hex(bytes)]
    });
    for value in texts.chain([json.replace(',', "%2C"), BOB.to_owned(), format!("sub={BOB}"), String::new()]) {
        let request = Request::get("/").header(COOKIE, format!("{SESSION}={value}; {SESSION}.1={value}"));
        assert_eq!(text(&site.visit(&mut Browser::new(), request).await), "nobody", "{value}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn h071_what_deletes_has_the_attributes_of_what_set() {
    for callback in [CALLBACK, "http://localhost:3000/api/callback"] {
        let life = whole_life(callback).await;
        let (mut set, mut gone) = (HashSet::new(), HashSet::new());
        for cookie in &life {
            let (pair, attributes) = cookie.split_once("; ").unwrap();
            let (attributes, max_age) = attributes.rsplit_once("; Max-Age=").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert_eq!(value.is_empty(), max_age == "0", "{cookie}");
            let cookies = if value.is_empty() { &mut gone } else { &mut set };
            cookies.insert((name.to_owned(), attributes.to_owned()));
        }
        assert_eq!(set, gone, "each is deleted as it was set");
        assert!(set.len() >= 8, "{set:?}");
    }
}

#[tokio::test]
async fn h073_a_flow_that_another_host_planted_finishes_nothing() {
    let site = Site::new();
    let mut attacker = Browser::new();
    let started = site.start(&mut attacker, "/attackers").await;
    let (name, value) = attacker.jar.pop_first().unwrap();
    let public = name.strip_prefix("__Host-").unwrap().to_owned();
    // What a page of another host below the same domain can set: names that have no `__Host-`, as browsers read it.
    let names = [
        public.clone(),
        format!("__Secure-{public}"),
        format!("__host-{public}"),
        format!("__HOST-{public}"),
        format!("%5F%5FHost-{public}"),
        format!("_Host-{public}"),
        format!("\u{a0}__Host-{public}"),
        format!("x; {public}"),
    ];
    for planted in names {
        let mut victim = Browser::new();
        let own = site.start(&mut victim, "/own").await;
        let cookies = format!("{planted}={value}; {}", victim.cookie_header().unwrap());
        let request = navigation(Method::GET, &started.callback(CODE), "cross-site").header(COOKIE, cookies);
        let response = site.visit(&mut Browser::new(), request).await;
        site.assert_refused(&planted, &response, 400, ErrorKind::FlowNotFound);
        assert_eq!(set_cookies(&response), [""; 0], "{planted}");
        assert!(victim.jar.contains_key(&own.flow_cookie()));
    }
    let twice = format!("{name}={value}; a=b; {name}={value}");
    let request = navigation(Method::GET, &started.callback(CODE), "cross-site").header(COOKIE, twice);
    let response = site.visit(&mut Browser::new(), request).await;
    site.assert_refused("one beside it", &response, 400, ErrorKind::FlowUnreadable);
}
