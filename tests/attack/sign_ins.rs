//! Several `SignIn`s with the same keys: what one vouches for is nothing to another.

use bytes::Bytes;
use http::Request;
use http::header::COOKIE;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{Identity, Keys, Siwbb};

use crate::inner::{echo, shown};
use crate::site::{CALLBACK, CODE, Site, siwbb};
use crate::support::{Browser, text};

const OTHER_CALLBACK: &str = "https://example.com/admin/callback";

#[tokio::test]
async fn a_session_of_a_laxer_sign_in_does_not_pass_a_stricter_one() {
    let [lax, strict] = with_the_same_keys(siwbb(), siwbb().require_claim("closed"), OTHER_CALLBACK);
    let browser = lax.signed_in().await;
    let guarded = strict.sign_in.layer().layer(strict.sign_in.require().layer(echo()));
    let response = guarded.oneshot(with_cookies(&browser)).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(!response.headers().contains_key("set-cookie"), "the other one's session stays");
}

#[tokio::test]
async fn a_flow_of_one_sign_in_does_not_end_at_another() {
    let other = Siwbb::new("another-client", "another-secret", "another-key");
    let [one, other] = with_the_same_keys(siwbb(), other, OTHER_CALLBACK);
    let mut browser = Browser::new();
    let started = one.start(&mut browser, "/").await;
    let jar = browser.jar.clone();
    let callback = started.callback(CODE).replace("/api/", "/admin/");
    let answer = other.get(&mut browser, &callback).await;
    other.assert_refused("moved", &answer, 400, tower_signin::ErrorKind::FlowUnreadable);
    assert_eq!(browser.jar, jar);
    assert_eq!(one.get(&mut browser, &started.callback(CODE)).await.status(), 303, "and it is still open");
}

/// With the same keys and redirect URI, sessions are shared; guards and identities are not.
#[tokio::test]
async fn an_identity_of_another_sign_in_passes_no_guard() {
    let [one, other] = with_the_same_keys(siwbb(), siwbb(), CALLBACK);
    let browser = one.signed_in().await;
    let ask = async |outer: &Site, guard: &Site| {
        let service = outer.sign_in.layer().layer(guard.sign_in.require().layer(echo()));
        service.oneshot(with_cookies(&browser)).await.unwrap().status().as_u16()
    };
    assert_eq!(ask(&one, &one).await, 200);
    assert_eq!(ask(&one, &other).await, 500, "a session cookie by its own name, and its own layer did not look");

    let (sender, receiver) = std::sync::mpsc::channel();
    let take = service_fn(move |request: Request<Bytes>| {
        sender.send(request.extensions().get::<Identity>().cloned()).unwrap();
        async { Ok::<_, std::convert::Infallible>(http::Response::new(String::new())) }
    });
    one.sign_in.layer().layer(take).oneshot(with_cookies(&browser)).await.unwrap();
    let identity = receiver.recv().unwrap().unwrap();
    let mut request = Request::get("/").body(Bytes::new()).unwrap();
    request.extensions_mut().insert(identity);
    assert!(text(&shown(&one, request).await).starts_with("nobody|false|"), "taken out of one request into another");
}

fn with_the_same_keys(one: Siwbb, other: Siwbb, others_callback: &str) -> [Site; 2] {
    let keys = Keys::generate().unwrap();
    [(one, CALLBACK), (other, others_callback)]
        .map(|(provider, callback)| Site::of(provider, callback, |builder| builder.keys(keys.clone())))
}

fn with_cookies(browser: &Browser) -> Request<Bytes> {
    Request::get("/").header(COOKIE, browser.cookie_header().unwrap()).body(Bytes::new()).unwrap()
}
