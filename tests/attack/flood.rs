//! Floods of requests of nobody.

use std::future::Future as _;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Method;
use http::header::{COOKIE, SET_COOKIE};
use tower::{Layer as _, Service as _};

use crate::inner::echo;
use crate::site::Site;
use crate::support::navigation;

#[test]
fn a_flood_of_logins_leaves_nothing_behind() {
    let site = Site::new();
    let mut service = site.sign_in.layer().layer(echo());
    let mut cookie = None;
    let mut visit = |method: Method, path: &str| {
        let mut request = navigation(method, path, "same-origin").body(Bytes::new()).unwrap();
        request.headers_mut().extend(cookie.clone().map(|cookie| (COOKIE, cookie)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let response = match std::pin::pin!(service.call(request)).poll(&mut context) {
            Poll::Ready(response) => response.unwrap(),
            Poll::Pending => panic!("{path} waits for something"),
        };
        cookie = response.headers().get(SET_COOKIE).cloned();
        response.status().as_u16()
    };
    let mut flood = |times: usize| {
        for _ in 0..times {
            assert_eq!(visit(Method::GET, "/api/login?return_to=/x"), 303);
            assert_eq!(visit(Method::GET, "/api/login"), 303, "with a flow cookie");
            assert_eq!(visit(Method::GET, "/api/callback?code=c&state=s"), 400);
            assert_eq!(visit(Method::POST, "/api/logout"), 303);
            assert_eq!(visit(Method::GET, "/"), 200);
        }
    };
    flood(10);
    let counted = allocation_counter::measure(|| flood(10_000));
    // The last cookie may be another one than before the flood.
    assert!(counted.bytes_current.abs() < 2048, "{} bytes stay", counted.bytes_current);
    assert!(site.upstream.requests().is_empty());
}
