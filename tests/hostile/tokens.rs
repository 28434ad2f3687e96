//! Tokens and keys: what is not read at all, and what must not be mixed.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{Method, Request};
use serde_json::{Value, json};
use tower_signin::{Identity, Keys, SignIn, Siwbb, Tokens};

use crate::people::{LIFE, code, know_everybody, sign_in_as, subject, who};
use crate::rows::Row;
use crate::rows::Verdict::{CannotApply, Held, HeldElsewhere};
use crate::site::{BOB, BOB_ANSWER, CALLBACK, CODE, ID, KEY, SECRET, Site, deleted, query, set_cookies, siwbb};
use crate::support::{Browser, alice, block_on, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H109",
        what: "a token that said it was not signed was believed",
        verdict: Held(&["h109_no_token_names_anybody_whatever_it_says_of_its_signature"]),
    },
    Row {
        id: "H110",
        what: "a public key was used as the secret of a signature",
        verdict: CannotApply(
            "no signature is verified: no ID token is read, and cookies are sealed with AES-256-GCM-SIV and nothing else",
        ),
    },
    Row {
        id: "H111",
        what: "the key was taken from the token that it should verify",
        verdict: CannotApply("no token names a key here: what is sealed opens with the keys of the settings alone"),
    },
    Row {
        id: "H112",
        what: "a token with a critical header that nobody understood was accepted",
        verdict: CannotApply("no token with headers is read; a seal of another format is left alone, see K03"),
    },
    Row {
        id: "H113",
        what: "the check of a hash passed where its algorithm was unknown",
        verdict: CannotApply(
            "no ID token is read, so there is no at_hash; the identity comes with the access token itself",
        ),
    },
    Row {
        id: "H114",
        what: "an old padding of RSA told what it should hide",
        verdict: CannotApply(
            "nothing is encrypted or signed with RSA by this crate, and the rsa crate is not among its dependencies",
        ),
    },
    Row {
        id: "H115",
        what: "a token that was meant for another app was accepted",
        verdict: CannotApply(
            "no token is taken for proof: who it is comes from the exchange of a code by this app's own credentials and verifier. That BitBadges binds codes to apps is its own to do; SECURITY.md says so",
        ),
    },
    Row {
        id: "H116",
        what: "a small release no longer checked signatures, and no test noticed",
        verdict: HeldElsewhere(&[
            "tests/attack/seals.rs::every_bit_of_a_seal_counts",
            "tests/bad_input/sessions.rs::only_a_whole_session_of_ours_is_anybody",
            "tests/stored/gone.rs::a_sealed_record_that_was_touched_anywhere_is_nobody",
        ]),
    },
    Row { id: "H117", what: "an empty key was a key", verdict: Held(&["h117_an_empty_key_or_secret_is_refused"]) },
    Row {
        id: "H118",
        what: "a key id chose a key of the wrong kind, or an old key hid the new ones",
        verdict: Held(&["h118_a_key_id_chooses_no_other_key", "h118_a_key_that_was_dropped_opens_nothing"]),
    },
    Row {
        id: "H119",
        what: "an encrypted token was taken for a signed one",
        verdict: CannotApply("no token of either kind is read, and there is one kind of seal, which does both at once"),
    },
    Row {
        id: "H120",
        what: "tokens were cached under a key that two people shared",
        verdict: Held(&["h120_everybody_gets_their_own_tokens"]),
    },
    Row {
        id: "H121",
        what: "an answer from a cache was not checked against what this page demands",
        verdict: HeldElsewhere(&[
            "tests/users/predicates.rs::a_predicate_is_asked_about_people_only_and_once_for_each_request",
            "tests/attack/sign_ins.rs::a_session_of_a_laxer_sign_in_does_not_pass_a_stricter_one",
            "tests/recheck/ended.rs::each_no_ends_the_session",
        ]),
    },
];

const SESSION: &str = "__Host-signin";

#[tokio::test]
async fn h109_no_token_names_anybody_whatever_it_says_of_its_signature() {
    let site = Site::new();
    let claims = json!({ "iss": "https://bitbadges.io", "sub": alice(), "aud": ID, "exp": 9_999_999_999_u64, "address": alice() });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let headers = [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "nOnE" }),
        json!({ "alg": "" }),
        json!({}),
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "" } }),
        json!({ "alg": "RS256", "jku": "https://evil.example/keys", "x5u": "https://evil.example/cert", "kid": "../../dev/null" }),
        json!({ "alg": "dir", "enc": "A256GCM", "zip": "DEF" }),
    ];
    for header in headers {
        for signature in ["", "AA", "."] {
            let token = format!("{}.{}.{signature}", part(&header), part(&claims));
            let named =
                query(&[("id_token", &token), ("access_token", &token), ("request", &token), ("response", &token)]);
            let request = Request::get(format!("/?{named}"))
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .header("x-id-token", &token)
                .header(COOKIE, format!("{SESSION}={token}; {SESSION}-tokens={token}; id_token={token}"));
            assert_eq!(text(&site.visit(&mut Browser::new(), request).await), "nobody", "{header}");

            // Nor beside the answer of a real sign-in.
            let mut answer: Value = serde_json::from_str(BOB_ANSWER).unwrap();
            answer["id_token"] = json!(token);
            answer["access_token"] = json!(token);
            answer["claims"] = claims.clone();
            answer["sub"] = claims["sub"].clone();
            site.upstream.answer(200, answer.to_string());
            let mut browser = Browser::new();
            let started = site.start(&mut browser, "/").await;
            let response = site.get(&mut browser, &format!("{}&{named}", started.callback(CODE))).await;
            assert_eq!(response.status(), 303, "{header}");
            assert_eq!(who(&site, &browser).await, BOB, "{header}");
        }
    }
}

#[test]
fn h117_an_empty_key_or_secret_is_refused() {
    for empty in [
        "",
        " ",
        ",",
        ",,",
        "=",
        "====",
        "\n",
        "\0",
        "AA",
        "A",
        "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k,",
        ",q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k",
    ] {
        let error = Keys::parse(empty).expect_err(empty);
        assert_eq!(error.setting(), "keys", "{empty:?}");
    }
    for (id, secret, key) in [("", SECRET, KEY), (ID, "", KEY), (ID, SECRET, ""), (ID, " ", KEY), (ID, SECRET, "\t")] {
        let build =
            |provider: Siwbb| SignIn::builder(provider).redirect_uri(CALLBACK).keys(Keys::generate().unwrap()).build();
        assert!(build(Siwbb::new(id, secret, key)).is_err(), "{id:?} {secret:?} {key:?}");
        assert!(build(siwbb()).is_ok());
    }
}

/// A key by its number, as in the ring of a setting.
fn key(number: u8) -> String {
    URL_SAFE_NO_PAD.encode([[number; 16], [0; 16]].concat())
}

fn site_with(ring: &[u8]) -> Site {
    let ring: Vec<_> = ring.iter().map(|number| key(*number)).collect();
    Site::with(|builder| builder.keys(Keys::parse(&ring.join(",")).unwrap()))
}

async fn shown(site: &Site, session: &str) -> (String, Vec<String>) {
    let request = navigation(Method::GET, "/", "none").header(COOKIE, format!("{SESSION}={session}"));
    let response = site.visit(&mut Browser::new(), request).await;
    (text(&response).to_owned(), set_cookies(&response))
}

#[tokio::test]
async fn h118_a_key_id_chooses_no_other_key() {
    let (both, one, two) = (site_with(&[1, 2]), site_with(&[1]), site_with(&[2]));
    let by_one = one.signed_in().await.jar[SESSION].clone();
    let by_two = two.signed_in().await.jar[SESSION].clone();
    let mut browser = Browser::new();
    let started = one.start(&mut browser, "/").await;
    let flow = browser.jar[&started.flow_cookie()].clone();
    for good in [&by_one, &by_two] {
        assert_eq!(shown(&both, good).await.0, BOB);
    }
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let [one, two, flow] = [decode(&by_one), decode(&by_two), decode(&flow)];
    assert_eq!(one[1..9], flow[1..9], "the id is of the ring's key, and the key itself of the purpose");
    assert_ne!(one[1..9], two[1..9]);
    let (gone, stays) = (vec![deleted(SESSION)], Vec::new());
    let mixed = [
        ("one's under the id of two", [&one[..1], &two[1..9], &one[9..]].concat(), &gone),
        ("two's under the id of one", [&two[..1], &one[1..9], &two[9..]].concat(), &gone),
        ("with the nonce of two", [&one[..9], &two[9..21], &one[21..]].concat(), &gone),
        ("a flow", flow, &gone),
        ("an id that no key has", [&one[..1], &[0; 8], &one[9..]].concat(), &stays),
        ("an id that is a path", [&one[..1], b"../../x\0", &one[9..]].concat(), &stays),
    ];
    for (name, bytes, expected) in mixed {
        assert_eq!(
            shown(&both, &URL_SAFE_NO_PAD.encode(bytes)).await,
            ("nobody".to_owned(), expected.clone()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn h118_a_key_that_was_dropped_opens_nothing() {
    let old = site_with(&[1]).signed_in().await.jar[SESSION].clone();
    for (ring, expected) in [(&[1][..], BOB), (&[2, 1], BOB), (&[1, 2], BOB), (&[2], "nobody"), (&[2, 3], "nobody")] {
        assert_eq!(shown(&site_with(ring), &old).await.0, expected, "{ring:?}");
    }
    // Nor does one that is still there keep the new one from sealing.
    let new = site_with(&[2, 1]).signed_in().await.jar[SESSION].clone();
    assert_eq!(
        (shown(&site_with(&[2]), &new).await.0.as_str(), shown(&site_with(&[1]), &new).await.0.as_str()),
        (BOB, "nobody")
    );
}

/// Refreshes that are due at once for everybody, each asked for by several requests, on several threads.
#[test]
fn h120_everybody_gets_their_own_tokens() {
    block_on(async {
        let site =
            Arc::new(Site::with(|builder| builder.keep_tokens().session_lifetime(Duration::from_secs(100 * LIFE))));
        know_everybody(&site);
        let router = Router::new().fallback(any(async |who: Identity, tokens: Tokens| {
            format!("{} {}", who.subject(), tokens.access_token())
        }));
        let mut browsers = Vec::new();
        for number in 1..=16 {
            let mut browser = Browser::new();
            sign_in_as(&site, &mut browser, number).await;
            browsers.push((number, browser));
        }
        site.clock.advance(Duration::from_secs(LIFE - 60));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            for (number, browser) in &browsers {
                let answer = site.through(&router, browser, navigation(Method::GET, "/", "none"));
                let number = *number;
                tasks.spawn(async move { (number, text(&answer.await).to_owned()) });
            }
        }
        let seen = tasks.join_all().await;
        assert_eq!(seen.len(), 64);
        for (number, said) in seen {
            assert_eq!(said, format!("{} at-2-{}", subject(number), code(number)));
        }
        assert_eq!(site.upstream.requests().len(), 32, "an exchange and a refresh for each");
    });
}
