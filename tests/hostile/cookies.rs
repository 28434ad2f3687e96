//! Cookies that come: hostile ones, and those of others beside ours.

use std::convert::Infallible;
use std::future::{Future as _, ready};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer as _, Service as _, service_fn};
use tower_signin::{Builder, Identity};

use crate::rows::Row;
use crate::rows::Verdict::Held;
use crate::site::{BOB, SESSION, Site, set_cookies};
use crate::support::{Browser, navigation, text};

pub(crate) const ROWS: &[Row] = &[
    Row {
        id: "H083",
        what: "a cookie said how many there are, and a loop believed it",
        verdict: Held(&["h083_no_number_in_a_cookie_is_counted_to"]),
    },
    Row {
        id: "H084",
        what: "a cookie without a value was read beyond its end",
        verdict: Held(&["h084_crumbs_between_cookies_change_nothing"]),
    },
    Row {
        id: "H085",
        what: "taking cookies out of a header crashed on a crafted one",
        verdict: Held(&[
            "tests/attack/hidden.rs::no_cookie_header_shows_ours_or_changes_another_one",
            "tests/users/proxies.rs::u05_a_proxy_hands_on_no_cookie_of_the_layer",
        ]),
    },
    Row {
        id: "H086",
        what: "what was left of a header was white space, and was passed on",
        verdict: Held(&["h086_a_header_of_which_nothing_is_left_goes"]),
    },
    Row {
        id: "H087",
        what: "more cookies were written than are read, so nobody was ever signed in",
        verdict: Held(&["tests/chunks.rs::u04_every_size_signs_in_within_the_limit_and_none_beyond"]),
    },
    Row {
        id: "H088",
        what: "a session that filled its last cookie to the brim lost it",
        verdict: Held(&[
            "tests/chunks.rs::every_border_between_cookies_comes_back",
            "tests/chunks.rs::random_sizes_come_back",
        ]),
    },
    Row {
        id: "H089",
        what: "what was left of a longer session was read as part of a shorter one",
        verdict: Held(&[
            "tests/chunks.rs::a_shorter_session_takes_what_is_left_of_a_longer_one",
            "tests/chunks.rs::a_set_that_is_not_whole_and_its_own_is_nobody",
        ]),
    },
    Row {
        id: "H090",
        what: "of two cookies of one name, the one that another host had planted was believed",
        verdict: Held(&["h090_of_two_of_one_name_neither_is_believed", "h090_a_twin_of_another_name_does_no_harm"]),
    },
];

/// A good session beside nothing else.
pub(crate) async fn session(site: &Site) -> String {
    site.signed_in().await.jar[SESSION].clone()
}

pub(crate) async fn who(site: &Site, cookies: &[&[u8]]) -> (String, Vec<String>) {
    let mut request = navigation(Method::GET, "/", "none").body(Bytes::new()).unwrap();
    for cookies in cookies {
        request.headers_mut().append(COOKIE, HeaderValue::from_bytes(cookies).unwrap());
    }
    let response = site.send(request).await;
    assert_eq!(response.status(), 200, "{cookies:?}");
    (text(&response).to_owned(), set_cookies(&response))
}

#[test]
fn h083_no_number_in_a_cookie_is_counted_to() {
    let site = Site::new();
    let inner = service_fn(|request: Request<Bytes>| {
        assert!(request.extensions().get::<Identity>().is_none());
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    });
    let mut service = site.sign_in.layer().layer(inner);
    let numbers = [
        "2",
        "4",
        "5",
        "9",
        "10",
        "99",
        "99999999",
        "4294967296",
        "18446744073709551616",
        "-1",
        "+4",
        "0x4",
        "1e9",
        " 4",
        "\u{664}",
    ];
    let values = numbers.iter().flat_map(|number| {
        [
            format!("{SESSION}={number}.AAAA"),
            format!("{SESSION}={number}"),
            format!("{SESSION}={number}.AAAA; {SESSION}.1=AAAA; {SESSION}.2=AAAA; {SESSION}.3=AAAA"),
            format!("{SESSION}=4.AAAA; {SESSION}.{number}=AAAA"),
            format!("{SESSION}.{number}=AAAA"),
            format!("{SESSION}={number}.{number}.{number}.{}", "A".repeat(60_000)),
            format!("{SESSION}-tokens={number}.AAAA; {SESSION}-rounds={number}.AAAA"),
        ]
    });
    for cookies in values {
        let mut request = Request::new(Bytes::new());
        request.headers_mut().insert(COOKIE, HeaderValue::from_bytes(cookies.as_bytes()).unwrap());
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut status = None;
        let counted = allocation_counter::measure(|| {
            if let Poll::Ready(answer) = std::pin::pin!(service.call(request)).poll(&mut context) {
                status = Some(answer.unwrap().status());
            }
        });
        assert_eq!(status, Some(StatusCode::OK), "{cookies:.80}");
        // Four cookies at their fullest, and what it takes to open them.
        assert!(counted.bytes_max < 48 * 1024, "{} bytes for {cookies:.80}", counted.bytes_max);
    }
}

#[tokio::test]
async fn h084_crumbs_between_cookies_change_nothing() {
    #[rustfmt::skip]
    let crumbs: [&[u8]; 30] = [
        b"", b"a", b"=", b";", b";;", b";=;", b" ; ", b"==", b"=;=", b"a=", b"=a", b"\t", b",", b"\"", b"a=\"", b"\xff",
        b"\xff=\xff", b"a;b;c", b"__Host-signin", b"__Host-signin;", b"=__Host-signin", b"__Host-", b"__Host-signi",
        b"__Host-signin-", b"__Host-signin-flow", b"__Host-signin-flow-=", b"__Host-signin.", b"__Host-signin.=a",
        b"$Version=1", b"__Host-signin-tokens",
    ];
    let site = Site::new();
    let good = format!("{SESSION}={}", session(&site).await).into_bytes();
    for one in crumbs {
        let nobody = ("nobody".to_owned(), Vec::new());
        assert_eq!(who(&site, &[one]).await, nobody, "{:?} alone", String::from_utf8_lossy(one));
        for other in crumbs {
            for glue in [&b";"[..], b"; ", b" ;\t"] {
                let both = [one, glue, other].concat();
                assert_eq!(who(&site, &[&both, other]).await, nobody, "{:?}", String::from_utf8_lossy(&both));
                let around = [one, glue, &good, glue, other].concat();
                let bob = (BOB.to_owned(), Vec::new());
                assert_eq!(who(&site, &[&around]).await, bob, "{:?}", String::from_utf8_lossy(&around));
                assert_eq!(
                    who(&site, &[one, &good, other]).await,
                    bob,
                    "{:?} in three headers",
                    String::from_utf8_lossy(&both)
                );
            }
        }
    }
}

#[tokio::test]
async fn h086_a_header_of_which_nothing_is_left_goes() {
    let site = Site::with(Builder::hide_cookies);
    let ours = format!("{SESSION}={}", session(&site).await);
    let echo = Router::new().fallback(any(async |request: Request<Body>| {
        let cookies = request.headers().get_all(COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned());
        format!("{:?}", cookies.collect::<Vec<_>>())
    }));
    let cases = [
        (vec![ours.clone()], vec![]),
        (vec![format!(" ; {ours} ;\t; ")], vec![]),
        (vec![format!("{ours};"), "  ".to_owned()], vec!["  "]),
        (vec![format!(";;{ours};;"), format!("{SESSION}-rounds=1; {SESSION}-tokens=2")], vec![]),
        (vec![format!("a=1; {ours}; b=2")], vec!["a=1; b=2"]),
        (vec![format!("{ours}; a=1")], vec!["a=1"]),
        (vec![format!("a=1;{ours}")], vec!["a=1"]),
        (vec!["a=1".to_owned(), ours.clone(), "b=2".to_owned()], vec!["a=1", "b=2"]),
    ];
    for (sent, left) in cases {
        let request = sent.iter().fold(Request::get("/"), |request, cookies| request.header(COOKIE, cookies));
        let seen = text(&site.through(&echo, &Browser::new(), request).await).to_owned();
        assert_eq!(seen, format!("{left:?}"), "{sent:?}");
    }
}

#[tokio::test]
async fn h090_of_two_of_one_name_neither_is_believed() {
    let site = Site::new();
    let [bob, other] = [session(&site).await, session(&site).await];
    for (one, two) in [(&bob, &other), (&other, &bob), (&bob, &bob), (&bob, &"x".to_owned()), (&String::new(), &bob)] {
        let (one, two) = (format!("{SESSION}={one}"), format!("{SESSION}={two}"));
        let nobody = ("nobody".to_owned(), Vec::new());
        let joined = format!("{one}; {two}");
        let spread = format!("{one}; a=b; c=d");
        for cookies in
            [vec![joined.as_bytes()], vec![one.as_bytes(), two.as_bytes()], vec![spread.as_bytes(), two.as_bytes()]]
        {
            assert_eq!(who(&site, &cookies).await, nobody, "{joined}");
        }
    }
    // It starts a sign-in like anybody else, and what comes of it is not the planted one.
    let mut browser = Browser::new();
    let request = navigation(Method::GET, "/api/login", "same-origin")
        .header(COOKIE, format!("{SESSION}={bob}; {SESSION}={other}"));
    let login = site.visit(&mut browser, request).await;
    assert!(crate::support::location(&login).starts_with("https://bitbadges.io/"), "{login:?}");
}

#[tokio::test]
async fn h090_a_twin_of_another_name_does_no_harm() {
    let site = Site::new();
    let bob = session(&site).await;
    for twin in [
        "signin",
        "__Secure-signin",
        "__host-signin",
        "__HOST-SIGNIN",
        "_Host-signin",
        "__Host-signin2",
        "__Host-signin_",
        "\"__Host-signin\"",
    ] {
        for planted in [bob.as_str(), "x", ""] {
            let both = format!("{twin}={planted}; {SESSION}={bob}; {twin}={planted}");
            assert_eq!(who(&site, &[both.as_bytes()]).await, (BOB.to_owned(), Vec::new()), "{both}");
            let alone = format!("{twin}={planted}");
            assert_eq!(who(&site, &[alone.as_bytes()]).await, ("nobody".to_owned(), Vec::new()), "{alone}");
        }
    }
}
