//! The page in between by which a fragment survives the sign-in, where the application asks for it.
//!
//! A browser carries the fragment over redirects as far as login, but sends it to nobody. So login answers with a page
//! whose script comes back to login with the fragment in the return target.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use url::form_urlencoded::Serializer;

use super::PROMPT;
use crate::page::{Page, respond_html, sha256};
use crate::return_to::ReturnTo;
use crate::route::Site;

/// The query parameter that tells that the script has run, and for whom: it comes from a page of this site, whoever sent
/// the person there.
pub(super) const PARAMETER: &str = "fragment";
const OURS: &str = "read";
const FOREIGN: &str = "read-from-elsewhere";

/// Where the login came from, if it comes from the page in between.
pub(super) fn answered(mark: Option<&str>, site: Site) -> Option<Site> {
    match mark {
        Some(OURS) => Some(site),
        Some(FOREIGN) => Some(Site::Foreign),
        _ => None,
    }
}

/// The page in between, which comes back to login with everything that came to it.
pub(super) fn page(login_path: &str, select_account: bool, return_to: &ReturnTo, site: Site) -> Response<Bytes> {
    let mark = if site == Site::Foreign { FOREIGN } else { OURS };
    let mut next = format!("{login_path}?");
    let start = next.len();
    Serializer::for_suffix(&mut next, start)
        .append_pair(PARAMETER, mark)
        .extend_pairs(select_account.then_some(PROMPT))
        .append_pair("return_to", return_to.as_str());
    let next = Page::escape(&next);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sign in</title>\
         <noscript><meta http-equiv=\"refresh\" content=\"0;url={next}\"></noscript></head>\
         <body data-next=\"{next}\"><noscript><a href=\"{next}\">Sign in</a></noscript>\
         <script>{SCRIPT}</script></body></html>"
    );
    respond_html(StatusCode::OK, html, POLICY.clone())
}

/// The return target is the last parameter, so the encoded fragment lengthens it. What is too long for a flow cookie would
/// be cut there anyway.
const SCRIPT: &str = "const hash=location.hash.length>512?'':location.hash;\
location.replace(document.body.dataset.next+encodeURIComponent(hash))";

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; script-src '{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        sha256(SCRIPT)
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});
