//! How an answer of ours looks: a page for people, `application/problem+json` for programs, a gRPC status, a redirect;
//! never cached.

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, Entry, HeaderName, LAST_MODIFIED, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::page::{Advice, Page, Pages};
use crate::requester::Requester;

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A person, in a browser window.
    Person,
    /// A script or another program.
    Program,
}

const HTML: &[u8] = b"text/html";

/// What browsers tell of a request (Fetch Metadata). As names that need no parsing at each request.
pub(crate) static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) static SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Audience {
    /// A navigation is a person's; where the browser does not say, asking for HTML by name is.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_person = match headers.get(&SEC_FETCH_MODE) {
            Some(mode) => mode == "navigate",
            None => headers
                .get_all(ACCEPT)
                .iter()
                .any(|accept| accept.as_bytes().windows(HTML.len()).any(|part| part.eq_ignore_ascii_case(HTML))),
        };
        if is_person { Self::Person } else { Self::Program }
    }
}

/// Answers with a redirect that turns every method into GET (RFC 9110 section 15.4.4).
pub(crate) fn see_other(location: &str) -> Response<Bytes> {
    let mut response = answer(StatusCode::SEE_OTHER, Bytes::new());
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => {
            let (error, requester) = (Error::from(ErrorKind::Internal), Requester::unknown());
            failure(Audience::Program, &Page::new(&error, &Advice::default(), &requester), None)
        }
    }
}

/// Answers with a failure.
pub(crate) fn failure(audience: Audience, page: &Page<'_>, pages: Option<&Pages>) -> Response<Bytes> {
    let mut response = match audience {
        Audience::Person => page.respond(pages),
        Audience::Program => problem(page),
    };
    if let Some(seconds) = page.error().retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if page.status() == StatusCode::UNAUTHORIZED {
        // RFC 9110 section 15.5.2 demands a challenge. No scheme is registered for cookies, and browsers pass over one that
        // they don't know.
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Cookie"));
    }
    response.extensions_mut().insert(page.kind());
    response
}

/// Takes the body away where HEAD was asked: HTTP/2 has no place for it, and hyper sends what it gets (RFC 9110 section 9.3.2).
pub(crate) fn without_body_for_head(method: &Method, response: Response<Bytes>) -> Response<Bytes> {
    if method == Method::HEAD { response.map(|_| Bytes::new()) } else { response }
}

/// Answers with nothing but a status.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    answer(status, Bytes::new())
}

/// What keeps an answer out of caches and its address out of `Referer`, on answers of ours and of a forwarded callback.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    let for_shared_caches: Vec<_> = headers.keys().filter(|name| is_for_shared_caches(name)).cloned().collect();
    for name in for_shared_caches {
        headers.remove(name);
    }
    headers.remove(EXPIRES);
    for (name, value) in [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer")] {
        // Where there is no room for it, there is none for a cookie.
        let _ = headers.try_insert(name, HeaderValue::from_static(value));
    }
}

/// A response to somebody who is signed in may be meant for them alone.
pub(crate) fn keep_out_of_shared_caches(headers: &mut HeaderMap) {
    // An entry makes room before it looks, which fails where there can be no more names.
    let Ok(cache_control) = headers.try_entry(CACHE_CONTROL) else { return keep_full_out_of_caches(headers) };
    if let Entry::Vacant(cache_control) = cache_control {
        let _ = cache_control.try_insert(HeaderValue::from_static("private"));
    }
    let cookie = HeaderValue::from_static("cookie");
    match headers.try_entry(VARY) {
        Err(_) => keep_full_out_of_caches(headers),
        Ok(Entry::Vacant(vary)) => {
            let _ = vary.try_insert(cookie);
        }
        Ok(Entry::Occupied(mut vary)) => {
            let is_told = |name: &[u8]| name.trim_ascii() == b"*" || name.trim_ascii().eq_ignore_ascii_case(b"cookie");
            if !vary.iter().any(|names| names.as_bytes().split(|byte| *byte == b',').any(is_told)) {
                vary.append(cookie);
            }
        }
    }
}

/// The same where there can be no more names: one that only caches read makes room. Where there is none of these, the
/// application answers for its caches alone.
fn keep_full_out_of_caches(headers: &mut HeaderMap) {
    if [CACHE_CONTROL, VARY, EXPIRES, LAST_MODIFIED, ETAG].into_iter().any(|name| headers.remove(name).is_some()) {
        let _ = headers.try_insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// Whether a response of the application can carry a cookie of ours: what is meant for shared caches must not, since a cache
/// would hand the cookie to everybody. Where nothing says that it is, it becomes `private`.
pub(crate) fn make_private(headers: &mut HeaderMap) -> bool {
    let says = |headers: &HeaderMap, names: [&str; 2]| {
        headers.get_all(CACHE_CONTROL).iter().any(|value| {
            let directives = value.to_str().unwrap_or_default().split(',');
            directives
                .filter_map(|it| it.split('=').next())
                .any(|directive| names.iter().any(|name| directive.trim().eq_ignore_ascii_case(name)))
        })
    };
    if headers.keys().any(is_for_shared_caches) {
        return false;
    }
    if says(headers, ["private", "no-store"]) {
        return true;
    }
    if headers.contains_key(EXPIRES) || says(headers, ["public", "s-maxage"]) {
        return false;
    }
    headers.try_append(CACHE_CONTROL, HeaderValue::from_static("private")).is_ok()
}

/// What proxies and content delivery networks read instead of `Cache-Control`: RFC 9213's field, those that vendors
/// derive from it, and older ones.
fn is_for_shared_caches(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("cdn-cache-control") || matches!(name, "surrogate-control" | "x-accel-expires")
}

/// Most answers of ours have no more headers. Room for seven would be twice as large.
const HEADERS: usize = 6;

pub(crate) fn answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A gRPC status as headers alone ("Trailers-Only" in gRPC's description of its protocol over HTTP/2). gRPC-Web reads the
/// same headers: its trailers may stand there where there is no message.
pub(crate) fn grpc(content_type: &HeaderValue, kind: ErrorKind) -> Response<Bytes> {
    let status = match kind.status().as_u16() {
        401 => "16", // UNAUTHENTICATED
        403 => "7",  // PERMISSION_DENIED
        503 => "14", // UNAVAILABLE
        _ => "13",   // INTERNAL
    };
    let mut response = answer(StatusCode::OK, Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.clone());
    headers.insert("grpc-status", HeaderValue::from_static(status));
    headers.insert("grpc-message", HeaderValue::from_static(kind.code()));
    response.extensions_mut().insert(kind);
    response
}

/// The members of RFC 9457, and ours.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'static str,
    remedy: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<String>,
}

/// Most take less.
const PROBLEM: usize = 768;

/// `application/problem+json` (RFC 9457).
fn problem(page: &Page<'_>) -> Response<Bytes> {
    let kind = page.kind();
    let problem = Problem {
        r#type: "about:blank",
        title: kind.title(),
        status: kind.status().as_u16(),
        code: kind.code(),
        detail: kind.cause(),
        remedy: kind.remedy(),
        request_id: page.request_id(),
        reason: page.reason(),
        login_url: page.login_url(),
    };
    // Text and a number can always be written.
    let mut body = Vec::with_capacity(PROBLEM);
    let _ = serde_json::to_writer(&mut body, &problem);
    let mut response = answer(kind.status(), body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::flow::append_cookies;
    use std::collections::HashMap;
    use std::hash::{Hash as _, Hasher};

    /// Fills a map with as many headers as there can be.
    pub(crate) fn fill(headers: &mut HeaderMap) {
        let name = |number: usize| HeaderName::try_from(format!("x-{number}")).unwrap();
        while headers.try_insert(name(headers.len()), HeaderValue::from_static("")).is_ok() {}
    }

    /// Fills a map until one name more would have it grow beyond its bound, though it has room: a fifth of its places are
    /// taken, and the last names collide.
    pub(crate) fn crowd(headers: &mut HeaderMap) {
        headers.try_reserve(20_000).unwrap();
        let names = (0..6_600).map(|number| format!("x-{number}")).chain(colliding());
        for name in names.map(|name| HeaderName::try_from(name).unwrap()) {
            headers.try_insert(name, HeaderValue::from_static("")).unwrap();
            if headers.keys_len() > 6_600
                && headers.clone().try_insert("one-more", HeaderValue::from_static("")).is_err()
            {
                return;
            }
        }
        panic!("{} names do not collide", headers.keys_len());
    }

    /// Names of one hash. A map uses FNV-1a at first, and fifteen bits of it, which depend on the fifteen bits before: in each
    /// place two pieces lead from one state to one state, so that ten places make a thousand names.
    fn colliding() -> Vec<String> {
        struct Fnv(u64);
        impl Hasher for Fnv {
            fn finish(&self) -> u64 {
                self.0 & 0x7fff
            }
            fn write(&mut self, bytes: &[u8]) {
                self.0 =
                    bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
            }
        }
        let mut start = Fnv(0xcbf2_9ce4_8422_2325);
        HeaderName::from_static("y").hash(&mut start);
        let (mut state, mut names) = (start.finish(), vec!["y".to_owned()]);
        for _ in 0..10 {
            let mut seen = HashMap::new();
            let pieces = (0..).map(|number| format!("{number:04}")).find_map(|piece| {
                let mut hash = Fnv(state);
                hash.write(piece.as_bytes());
                let other = seen.insert(hash.finish(), piece.clone())?;
                state = hash.finish();
                Some([piece, other])
            });
            let pieces = pieces.unwrap();
            names = names.iter().flat_map(|name| pieces.each_ref().map(|piece| format!("{name}{piece}"))).collect();
        }
        names
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn tells_people_from_programs() {
        let cases: &[(&[(&str, &str)], Audience)] = &[
            (&[("sec-fetch-mode", "navigate"), ("accept", "*/*")], Audience::Person),
            (&[("sec-fetch-mode", "cors"), ("accept", "text/html")], Audience::Program),
            (&[("accept", "text/html,application/xhtml+xml")], Audience::Person),
            (&[("accept", "application/json")], Audience::Program),
            (&[("accept", "*/*")], Audience::Program),
            (&[], Audience::Program),
        ];
        for (pairs, expected) in cases {
            assert_eq!(Audience::of(&headers(pairs)), *expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_problem_tells_a_program_all_that_there_is() {
        let error = Error::new(ErrorKind::RefusedByApp).with_reason("not_a_member");
        let advice = Advice::sign_in("/auth/login".to_owned());
        let requester = Requester::of(&headers(&[("x-request-id", "abc")]));
        let page = Page::new(&error, &advice, &requester).with_origin("https://app.example.com");
        let response = failure(Audience::Program, &page, None);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let kind = ErrorKind::RefusedByApp;
        let expected = serde_json::json!({
            "type": "about:blank",
            "title": kind.title(),
            "status": 403,
            "code": "refused_by_app",
            "detail": kind.cause(),
            "remedy": kind.remedy(),
            "request_id": "abc",
            "reason": "not_a_member",
            "login_url": "https://app.example.com/auth/login",
        });
        assert_eq!(body, expected);

        let (error, advice) = (Error::from(kind), Advice::default());
        let body = failure(Audience::Program, &Page::new(&error, &advice, &requester), None).into_body();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(body.get("reason").is_none() && body.get("login_url").is_none(), "{body}");
    }

    #[test]
    fn only_what_no_shared_cache_stores_carries_a_cookie() {
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[], true),
            (&[("cache-control", "private, max-age=60")], true),
            (&[("cache-control", "no-store")], true),
            (&[("cache-control", "max-age=60")], true),
            (&[("cache-control", "public")], false),
            (&[("cache-control", "s-maxage=60")], false),
            (&[("cache-control", "no-cache")], true),
            (&[("cache-control", "no-cache, Public")], false),
            (&[("cache-control", "max-age=60"), ("expires", "0")], false),
            (&[("expires", "Wed, 21 Oct 2026 07:28:00 GMT")], false),
            (&[("cache-control", "private"), ("cdn-cache-control", "max-age=60")], false),
            (&[("cache-control", "private"), ("surrogate-control", "max-age=60")], false),
            (&[("cache-control", "private"), ("cloudflare-cdn-cache-control", "max-age=60")], false),
            (&[("cache-control", "private"), ("x-accel-expires", "60")], false),
        ];
        for (pairs, expected) in cases {
            assert_eq!(make_private(&mut headers(pairs)), *expected, "{pairs:?}");
        }
        let mut silent = HeaderMap::new();
        make_private(&mut silent);
        assert_eq!(silent[CACHE_CONTROL], "private");
        let mut vague = headers(&[("cache-control", "no-cache")]);
        make_private(&mut vague);
        assert_eq!(vague.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(), ["no-cache", "private"]);
    }

    #[test]
    fn a_response_with_as_many_headers_as_there_can_be_is_no_panic_and_stays_out_of_caches() {
        let cases: &[(&[(&str, &str)], Option<&str>)] = &[
            (&[("cache-control", "public"), ("vary", "accept")], Some("no-store")),
            (&[("cache-control", "no-store")], Some("no-store")),
            (&[("vary", "accept")], Some("no-store")),
            (&[("etag", "\"1\"")], Some("no-store")),
            (&[], None),
        ];
        for (pairs, expected) in cases {
            let mut headers = headers(pairs);
            fill(&mut headers);
            let full = headers.keys_len();
            keep_out_of_shared_caches(&mut headers);
            let told: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
            assert_eq!(told, expected.as_slice(), "{pairs:?}");
            assert_eq!(make_private(&mut headers), expected.is_some(), "{pairs:?}");
            append_cookies(&mut headers, [HeaderValue::from_static("signin-1=")]);
            keep_private(&mut headers);
            assert_eq!(headers.keys_len(), full, "{pairs:?}");
        }
        let mut room_for_one = HeaderMap::new();
        fill(&mut room_for_one);
        room_for_one.remove("x-100");
        keep_out_of_shared_caches(&mut room_for_one);
        assert_eq!(room_for_one[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn a_program_reads_a_problem() {
        let error = Error::new(ErrorKind::ProviderBusy).with_reason("rate limit").with_retry_after(7);
        let advice = Advice { login: Some("/auth/login".to_owned()), ..Advice::go_home() };
        let requester = Requester::unknown();
        let response =
            failure(Audience::Program, &Page::new(&error, &advice, &requester).with_origin("https://a.example"), None);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(body["code"], "provider_busy");
        assert_eq!(body["status"], 503);
        assert_eq!(body["login_url"], "https://a.example/auth/login");
        assert_eq!(body["request_id"], requester.id());
        assert_eq!(response.extensions().get(), Some(&ErrorKind::ProviderBusy));
        assert_eq!(body.get("reason"), None, "the provider's words are for the log");
    }
}
