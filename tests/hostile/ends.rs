//! Ends of sessions: who can cause one, and what is guessed, known or cut on the way there.

use http::Method;
use tower_signin::{Builder, Keys, SignIn};

use crate::people::{know_everybody, sign_in_as, subject, who};
use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, CALLBACK, SESSION, Site, set_cookies, siwbb};
use crate::stored::stored;
use crate::support::{Browser, navigation};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H074",
        what: "a logout token that named a subject ended one session and left the others",
        verdict: Held(&[
            "tests/conformance/sign_out.rs::c60_one_session_or_all_of_a_person",
            "tests/stored/fleet.rs::the_sessions_of_a_person_are_listed_and_ended_at_every_node",
            "tests/revoked/persons.rs::all_of_theirs_are_over_everywhere_and_nobody_else_s",
        ]),
    },
    Row {
        id: "H075",
        what: "a link that named a session id revoked somebody's tokens",
        verdict: Held(&[
            "h075_nothing_that_names_a_session_revokes_or_ends_one",
            "tests/conformance/sign_out.rs::c61_only_who_names_issuer_and_session",
        ]),
    },
    Row {
        id: "H076",
        what: "a logout token could be sent twice",
        verdict: Held(&[
            "tests/conformance/sign_out.rs::c60_a_token_counts_once",
            "tests/back_channel/crowd.rs::of_one_token_that_comes_many_times_at_once_one_counts",
        ]),
    },
    Row {
        id: "H077",
        what: "a link that signs out cleared the session of whoever opened it",
        verdict: Held(&["h077_opening_an_address_signs_nobody_out"]),
    },
    Row {
        id: "H078",
        what: "what a refresh said of the person was not checked",
        verdict: Held(&["tests/tokens/refused.rs::another_account_s_tokens_are_never_handed_on"]),
    },
    Row {
        id: "H079",
        what: "session ids were short enough to guess",
        verdict: Held(&[
            "tests/stored/unread.rs::nothing_that_was_made_up_is_looked_for",
            "tests/stored/sign_in.rs::every_sign_in_has_an_id_of_its_own_that_the_store_does_not_learn",
            "tests/attack/seals.rs::every_bit_of_a_seal_counts",
        ]),
    },
    Row {
        id: "H080",
        what: "every installation came with the same secret",
        verdict: Held(&[
            "h080_there_is_no_key_but_a_random_one",
            "tests/hostile/keys.rs::h117_no_key_is_empty_short_or_uniform",
        ]),
    },
    Row {
        id: "H081",
        what: "times were cut to 32 bits, and from 2038 on people ran in circles",
        verdict: Held(&[
            "tests/sessions/lifetimes.rs::no_year_is_special",
            "tests/attack/clocks.rs::odd_clocks_never_panic",
        ]),
    },
];

#[tokio::test]
async fn h075_nothing_that_names_a_session_revokes_or_ends_one() {
    let (site, _) = stored(Builder::keep_tokens);
    know_everybody(&site);
    let mut browser = Browser::new();
    sign_in_as(&site, &mut browser, 1).await;
    site.upstream.forget();
    let named = format!("sid={0}&session={0}&iss=https://bitbadges.io&sub={1}", browser.jar[SESSION], subject(1));
    for path in ["/api/logout", "/api/login", "/api/callback", "/"] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
            for from in ["cross-site", "same-site", "none"] {
                // It comes without cookies, as from a provider or from an image of another site.
                let request = navigation(method.clone(), &format!("{path}?{named}"), from);
                let response = site.visit(&mut Browser::new(), request).await;
                let cookies = set_cookies(&response);
                assert!(cookies.iter().all(|cookie| cookie.contains("-flow-")), "{method} {path}: {cookies:?}");
            }
        }
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(who(&site, &browser).await, subject(1));
    assert!(site.upstream.requests().is_empty(), "something was revoked");
}

#[tokio::test]
async fn h077_opening_an_address_signs_nobody_out() {
    let site = Site::with(Builder::keep_tokens);
    know_everybody(&site);
    let mut browser = Browser::new();
    sign_in_as(&site, &mut browser, 1).await;
    site.upstream.forget();
    for query in ["", "?sid=x&iss=https://bitbadges.io", "?logout_token=x", "?return_to=/", "?token=x", "?_method=POST"]
    {
        for method in [Method::GET, Method::HEAD] {
            for from in ["cross-site", "same-site", "same-origin", "none"] {
                let request = navigation(method.clone(), &format!("/api/logout{query}"), from);
                let response = site.visit(&mut browser, request).await;
                assert_eq!(response.status(), 405, "{method} {query} {from}");
                assert_eq!(set_cookies(&response), [""; 0], "{method} {query} {from}");
            }
        }
        // A form of another site is no better, whatever it says in its body and its query.
        let foreign = navigation(Method::POST, &format!("/api/logout{query}"), "cross-site");
        let response = site.visit(&mut browser, foreign.header("x-http-method-override", "POST")).await;
        assert_eq!((response.status().as_u16(), set_cookies(&response).len()), (403, 0), "{query}");
    }
    assert_eq!(who(&site, &browser).await, subject(1));
    assert!(site.upstream.requests().is_empty(), "something was revoked");
}

#[tokio::test]
async fn h080_there_is_no_key_but_a_random_one() {
    let without = SignIn::builder(siwbb()).redirect_uri(CALLBACK).build().unwrap_err();
    assert_eq!(without.setting(), "keys");
    let unset = Keys::from_lookup("SIGNIN_KEYS", |_| None).map(drop).unwrap_err();
    assert_eq!(unset.setting(), "keys");

    // Two processes that make their own have no cookie in common.
    let (one, other) = (Site::new(), Site::new());
    let session = one.signed_in().await;
    assert_eq!((who(&one, &session).await.as_str(), who(&other, &session).await.as_str()), (BOB, "nobody"));
}
