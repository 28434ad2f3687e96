//! How an answer of ours looks: a small page for people, `application/problem+json` for programs, a redirect; never
//! cached.

use std::fmt::Write as _;
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPIRES, HeaderName, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::caller::Caller;
use crate::error::{Error, ErrorKind};

/// Whom an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// A person, in a browser window.
    Person,
    /// A script or another program.
    Program,
}

impl Audience {
    /// A navigation is a person's; where the browser does not say, asking for HTML by name is.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let is_person = match headers.get("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => headers
                .get_all(ACCEPT)
                .iter()
                .any(|accept| accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html"))),
        };
        if is_person { Self::Person } else { Self::Program }
    }
}

/// A link on a page of ours, shown as a button.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) label: &'static str,
    pub(crate) href: String,
}

/// Answers with a redirect that turns every method into GET (RFC 9110 section 15.4.4).
pub(crate) fn see_other(location: &str) -> Response<Bytes> {
    let mut response = answer(StatusCode::SEE_OTHER, Bytes::new());
    match HeaderValue::from_str(location) {
        Ok(location) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(_) => failure(Audience::Program, &ErrorKind::Internal.into(), &Advice::default()),
    }
}

/// What an answer to a failure says besides its kind.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    /// Said first, and in place of the kind's own remedy.
    pub(crate) remedy: Option<String>,
    /// The buttons of a page.
    pub(crate) links: Vec<Link>,
    /// Where signing in starts over, for a program.
    pub(crate) login: Option<String>,
}

impl Advice {
    /// To sign in, again or at all.
    pub(crate) fn sign_in(login: &str) -> Self {
        let link = Link { label: "Sign in", href: login.to_owned() };
        Self { remedy: None, links: vec![link], login: Some(login.to_owned()) }
    }

    /// To go on to the site's first page.
    pub(crate) fn go_home() -> Self {
        Self { links: vec![Link { label: "Continue", href: "/".to_owned() }], ..Self::default() }
    }
}

/// Answers with a failure.
pub(crate) fn failure(audience: Audience, error: &Error, advice: &Advice) -> Response<Bytes> {
    let kind = error.kind();
    let mut response = match audience {
        Audience::Person => page(error, advice),
        Audience::Program => problem(error, advice.login.as_deref()),
    };
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response.extensions_mut().insert(kind);
    response
}

/// Answers a guarded request with a failure, in a form its caller can read.
pub(crate) fn refusal(caller: &Caller, error: &Error, advice: &Advice) -> Response<Bytes> {
    match caller {
        Caller::Preflight => answer(StatusCode::NO_CONTENT, Bytes::new()),
        Caller::Prefetch => failure(Audience::Program, &ErrorKind::Prefetch.into(), &Advice::default()),
        Caller::Grpc(content_type) => grpc(content_type, error.kind()),
        Caller::Upgrade => failure(Audience::Program, error, advice),
        Caller::Other(audience) => failure(*audience, error, advice),
    }
}

/// What keeps an answer out of caches and its address out of `Referer`, on answers of ours and of a forwarded callback.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    let for_shared_caches: Vec<_> = headers.keys().filter(|name| is_for_shared_caches(name)).cloned().collect();
    for name in for_shared_caches {
        headers.remove(name);
    }
    headers.remove(EXPIRES);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Whether a response of the application can carry a cookie of ours: what a shared cache may store must not, since the
/// cache would hand the cookie to everybody. Without a word on caching it becomes `private`.
pub(crate) fn make_private(headers: &mut HeaderMap) -> bool {
    if headers.keys().any(is_for_shared_caches) {
        return false;
    }
    if !headers.contains_key(CACHE_CONTROL) && !headers.contains_key(EXPIRES) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let directives = value.to_str().unwrap_or_default().split(',');
        directives.map(str::trim).any(|it| it.eq_ignore_ascii_case("private") || it.eq_ignore_ascii_case("no-store"))
    })
}

/// What proxies and content delivery networks read instead of `Cache-Control`: RFC 9213's field, those that vendors
/// derive from it, and older ones.
fn is_for_shared_caches(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.ends_with("cdn-cache-control") || matches!(name, "surrogate-control" | "x-accel-expires")
}

fn answer(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    keep_private(response.headers_mut());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A gRPC status as headers alone ("Trailers-Only" in gRPC's description of its protocol over HTTP/2; gRPC-Web reads the
/// same headers).
fn grpc(content_type: &HeaderValue, kind: ErrorKind) -> Response<Bytes> {
    // UNAUTHENTICATED, or INTERNAL for a mistake in the application.
    let status = if kind.status() == StatusCode::UNAUTHORIZED { "16" } else { "13" };
    let mut response = answer(StatusCode::OK, Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type.clone());
    headers.insert("grpc-status", HeaderValue::from_static(status));
    headers.insert("grpc-message", HeaderValue::from_static(kind.code()));
    response.extensions_mut().insert(kind);
    response
}

/// `application/problem+json` (RFC 9457).
fn problem(error: &Error, login: Option<&str>) -> Response<Bytes> {
    let kind = error.kind();
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": kind.title(),
        "status": kind.status().as_u16(),
        "code": kind.code(),
        "detail": kind.cause(),
        "remedy": kind.remedy(),
    });
    if let Some(reason) = shown_reason(error) {
        body["reason"] = reason.into();
    }
    if let Some(login) = login {
        body["login_url"] = login.into();
    }
    let mut response = answer(kind.status(), body.to_string().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn page(error: &Error, advice: &Advice) -> Response<Bytes> {
    let kind = error.kind();
    let mut html = String::with_capacity(2048);
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>",
        title = escape(kind.title()),
    );
    let words = match &advice.remedy {
        Some(remedy) => [remedy, kind.cause()],
        None => [kind.cause(), kind.remedy()],
    };
    for text in words {
        let _ = write!(html, "<p>{}</p>", escape(text));
    }
    if !advice.links.is_empty() {
        html.push_str("<p class=\"links\">");
        for link in &advice.links {
            let _ = write!(html, "<a href=\"{}\">{}</a> ", escape(&link.href), escape(link.label));
        }
        html.push_str("</p>");
    }
    let code =
        shown_reason(error).map_or_else(|| kind.code().to_owned(), |reason| format!("{}: {reason}", kind.code()));
    let _ = write!(html, "<p class=\"code\">{}</p></main></body></html>", escape(&code));

    let mut response = answer(kind.status(), html.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    response
}

/// Only the application's own reason codes are for its people; what a provider said is for the log.
fn shown_reason(error: &Error) -> Option<&'static str> {
    error.reason().filter(|_| error.kind() == ErrorKind::RefusedByApp)
}

/// Text as it may stand between tags and inside a double-quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Controls and direction marks could make a line read as something else.
            other if other.is_control() || is_direction_mark(other) => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5a626b;--paper:#f5f6f8;--card:#fff;--line:#dfe3e8;--act:#1f5fd0}\
@media(prefers-color-scheme:dark){:root{--ink:#eceff2;--soft:#a9b2bb;--paper:#14171a;--card:#1d2125;--line:#343a41;--act:#3b6fd4}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:clamp(1rem,4vw,1.5rem);background:var(--paper);color:var(--ink);\
font:1.0625rem/1.55 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}\
main{width:100%;max-width:34rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:clamp(1.25rem,6vw,2rem);overflow-wrap:anywhere}\
h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25;text-wrap:balance}\
p{margin:0 0 1rem;text-wrap:pretty}\
.links{display:flex;flex-wrap:wrap;gap:.75rem;margin:1.5rem 0}\
.links a{display:inline-block;padding:.6rem 1.1rem;border-radius:.5rem;background:var(--act);color:#fff;text-decoration:none;font-weight:600}\
.links a+a{background:none;color:inherit;box-shadow:inset 0 0 0 1px var(--soft)}\
.links a:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
.code{margin:0;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font:.875rem ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}";

/// Nothing is loaded and nothing runs; the one style sheet is named by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_page_escapes_and_is_locked_down() {
        let link = Link { label: "Sign in", href: "/login?a=\"><script>".to_owned() };
        let advice = Advice { remedy: Some("<b>&'\"".to_owned()), links: vec![link], login: None };
        let response = failure(Audience::Person, &ErrorKind::AccessDenied.into(), &advice);
        let body = std::str::from_utf8(response.body()).unwrap();
        assert!(!body.contains("<script") && !body.contains("<b>"), "{body}");
        assert!(body.contains("&lt;b&gt;&amp;&#39;&quot;"), "{body}");
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
        assert_eq!(response.headers()[X_FRAME_OPTIONS], "DENY");
        assert!(response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
        assert_eq!(response.extensions().get(), Some(&ErrorKind::AccessDenied));
    }

    #[test]
    fn only_what_no_shared_cache_stores_carries_a_cookie() {
        let cases: &[(&[(&str, &str)], bool)] = &[
            (&[], true),
            (&[("cache-control", "private, max-age=60")], true),
            (&[("cache-control", "no-store")], true),
            (&[("cache-control", "max-age=60")], false),
            (&[("cache-control", "public")], false),
            (&[("cache-control", "s-maxage=60")], false),
            (&[("cache-control", "no-cache")], false),
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
    }

    #[test]
    fn a_program_reads_a_problem() {
        let error = Error::new(ErrorKind::ProviderBusy).with_reason("rate limit").with_retry_after(7);
        let advice = Advice { login: Some("/auth/login".to_owned()), ..Advice::go_home() };
        let response = failure(Audience::Program, &error, &advice);
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        assert_eq!(body["code"], "provider_busy");
        assert_eq!(body["status"], 503);
        assert_eq!(body["login_url"], "/auth/login");
        assert_eq!(body.get("reason"), None, "the provider's words are for the log");
    }
}
