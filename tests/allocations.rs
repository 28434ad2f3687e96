//! What the layer allocates on the way to the inner service.

#![allow(missing_docs, reason = "tests")]

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::COOKIE;
use http::{Method, Request, Response, Uri};
use tower::{Layer, Service};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::{Identity, Keys, MemoryStore, SignIn, Siwbb, WhenUnchecked};

/// Answers without allocating. It expects somebody who is signed in, or nobody.
#[derive(Clone)]
struct Inner(bool);

impl Service<Request<()>> for Inner {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert_eq!(request.extensions().get::<Identity>().is_some(), self.0);
        ready(Ok(Response::new(())))
    }
}

#[test]
fn u36_a_request_of_nobody_allocates_nothing() {
    for (keeps_tokens, hides_cookies) in [(false, false), (true, false), (false, true)] {
        allocates_nothing(keeps_tokens, hides_cookies);
    }
}

fn allocates_nothing(keeps_tokens: bool, hides_cookies: bool) {
    let builder = SignIn::builder(Siwbb::new("id", "secret", "key"))
        .redirect_uri("https://app.example.com/auth/callback")
        .keys(Keys::generate().unwrap());
    let builder = if keeps_tokens { builder.keep_tokens() } else { builder };
    let builder = if hides_cookies { builder.hide_cookies() } else { builder };
    let sign_in = builder.build().unwrap();
    let mut service = sign_in.layer().layer(Inner(false));
    let five = "a=1; theme=dark; __Host-other=xyz; _ga=GA1.2.3; lang=en";
    let twenty = [five; 4].join("; ");
    let cases = [
        ("no cookie", vec![]),
        ("five cookies", vec![five]),
        ("twenty cookies", vec![twenty.as_str()]),
        ("cookies in several headers", vec!["a=1", five, "b=2"]),
        ("a flow cookie", vec!["__Host-signin-flow-006b052a9b01989c998581fd10=AYdVA7"]),
        ("tokens and no session", vec!["__Host-signin-tokens=AYdVA7"]),
        ("names like ours", vec!["__Host-signing=1; __Host-signin.4=2; __Host-signin-flow-x=3"]),
        ("no fetch metadata", vec![five]),
        ("not cookies at all", vec!["=;;; =; ;a"]),
        ("nobody shares the address of a post", vec![five]),
    ];
    // What is taken out leaves a header that has to be written anew.
    let is_measured = |name: &str| !hides_cookies || !["a flow cookie", "tokens and no session"].contains(&name);
    for (name, cookies) in cases.into_iter().filter(|(name, _)| is_measured(name)) {
        let mut request = match name {
            "no fetch metadata" => old_page(),
            "nobody shares the address of a post" => unshared_post(),
            _ => page(),
        };
        for cookie in cookies {
            request.headers_mut().append(COOKIE, cookie.parse().unwrap());
        }
        let mut request = Some(request);
        let counted = allocation_counter::measure(|| {
            let mut context = Context::from_waker(Waker::noop());
            assert!(service.poll_ready(&mut context).is_ready());
            let mut response = std::pin::pin!(service.call(request.take().unwrap()));
            assert!(response.as_mut().poll(&mut context).is_ready());
        });
        assert_eq!(counted.count_total, 0, "{name}, keeps tokens: {keeps_tokens}, hides cookies: {hides_cookies}");
    }
}

/// What a session in one cookie costs: its bytes, the identity, and three for its place among the extensions. A list of what
/// was revoked costs none where it is empty and was read just now.
#[tokio::test]
async fn a_session_in_one_cookie_costs_five() {
    for has_list in [false, true] {
        costs_five(has_list).await;
    }
}

async fn costs_five(has_list: bool) {
    let bitbadges = DevProvider::start().await.unwrap();
    let builder = SignIn::builder(bitbadges.siwbb()).redirect_uri("http://localhost:3000/auth/callback");
    let bound = Duration::from_secs(10 * 60);
    let builder = if has_list {
        builder.revocation_list(MemoryStore::new()).revocation_bound(bound, WhenUnchecked::Unavailable)
    } else {
        builder
    };
    let sign_in = builder.keys(Keys::generate().unwrap()).build().unwrap();
    let cookie = bitbadges.signed_in_cookie(&sign_in, &Account::alice()).unwrap();
    let mut service = sign_in.layer().layer(Inner(true));
    let signed_in = || {
        let mut request = page();
        request.headers_mut().append(COOKIE, format!("a=1; {cookie}; b=2").parse().unwrap());
        request
    };
    service.call(signed_in()).await.unwrap();
    let mut request = Some(signed_in());
    let mut response = None;
    let counted = allocation_counter::measure(|| {
        response = Some(service.call(request.take().unwrap()));
    });
    assert_eq!(counted.count_total, 5, "has a list: {has_list}");
}

/// A page as a browser asks for it. The address lies in a buffer that others share, as in hyper: it is kept for a guard, and
/// that is no copy.
fn page() -> Request<()> {
    let mut buffer = b"GET ".to_vec();
    buffer.extend_from_slice(b"https://app.example.com/some/page?x=1");
    let uri = Uri::from_maybe_shared(Bytes::from(buffer).slice(4..)).unwrap();
    let request = Request::get(uri).header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
    request.header("accept", "text/html").body(()).unwrap()
}

/// An address with a buffer of its own, as a layer outside ours may have written it. By GET it would be kept, which makes it
/// shared and is one allocation.
fn unshared_post() -> Request<()> {
    let mut request = page();
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/some/page?x=1".parse().unwrap();
    request
}

/// The same from an old browser or a program, which says what it takes and no more.
fn old_page() -> Request<()> {
    let mut request = page();
    request.headers_mut().remove("sec-fetch-mode");
    request.headers_mut().append("accept", "application/json, TEXT/HTML;q=0.9".parse().unwrap());
    request
}
