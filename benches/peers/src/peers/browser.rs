//! What a browser does with cookies.

use axum::body::Bytes;
use http::Response;
use http::header::SET_COOKIE;

/// The Cookie header of a browser after this answer.
pub(super) fn cookies(response: &Response<Bytes>) -> String {
    let set = response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().expect("it is text"));
    let kept = set.filter(|cookie| !cookie.contains("Max-Age=0"));
    kept.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}
