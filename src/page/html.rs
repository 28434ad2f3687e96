//! A page as HTML, in the layer's looks or the application's, and what a browser may do with it.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_FRAME_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use super::{Page, Pages};
use crate::requester::Requester;
use crate::respond;

impl Page<'_> {
    /// The answer with this page, in the application's looks if it has any.
    pub(crate) fn respond(&self, pages: Option<&Pages>) -> Response<Bytes> {
        let status = self.status();
        let form = self.advice.sign_out.as_ref();
        // A template may escape the address; the token has nothing to escape.
        let is_whole = |html: &String| form.is_none_or(|form| html.contains(&form.token));
        match pages.and_then(|pages| self.by(pages)).filter(is_whole) {
            Some(html) => respond_page(status, html, Look::Custom(self.form_targets)),
            None if form.is_some() => respond_page(status, self.html(), Look::WithForm(self.form_targets)),
            None => respond_page(status, self.html(), Look::Plain),
        }
    }

    fn by(&self, pages: &Pages) -> Option<String> {
        shown_by(self.requester, self.kind().code(), || pages(self))
    }

    fn html(&self) -> String {
        let mut html = String::with_capacity(1024);
        for text in self.paragraphs() {
            let _ = write!(html, "<p>{}</p>", Self::escape(&text));
        }
        if !self.links().is_empty() || self.sign_out_action().is_some() {
            html.push_str("<div class=\"links\">");
            if let Some(action) = self.sign_out_action() {
                let action = Self::escape(action);
                let _ = write!(html, "<form method=\"post\" action=\"{action}\"><button>Sign out</button></form> ");
            }
            for link in self.links() {
                let _ = write!(html, "<a href=\"{}\">{}</a> ", Self::escape(link.href()), link.action().label());
            }
            html.push_str("</div>");
        }
        let code = self.kind().code();
        let code = self.reason().map_or_else(|| code.to_owned(), |reason| format!("{code}: {reason}"));
        let _ = write!(
            html,
            "<p class=\"code\">{}</p><p class=\"request\">Request {}</p>",
            Self::escape(&code),
            Self::escape(self.request_id())
        );
        document(self.title(), &html)
    }
}

/// A whole document in the layer's looks.
pub(super) fn document(title: &str, content: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{content}</main></body></html>",
        title = Page::escape(title),
    )
}

/// A page of the application that panics is no reason to leave a person without one.
pub(super) fn shown_by(requester: &Requester, code: &'static str, page: impl FnOnce() -> String) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(page)) {
        Ok(html) => Some(html),
        Err(payload) => {
            // To drop it would run code of whoever panicked once more.
            std::mem::forget(payload);
            tracing::error!(code, request_id = %requester, "the application's pages panicked; the layer's own was shown");
            None
        }
    }
}

/// Whose page it is, and so what a browser may do with it.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Plain,
    /// With a form that leads there.
    WithForm(&'static str),
    /// The application's, with forms that lead there.
    Custom(&'static str),
}

pub(super) fn respond_page(status: StatusCode, html: String, look: Look) -> Response<Bytes> {
    let policy = match look {
        Look::Plain => POLICY.clone(),
        Look::WithForm(targets) => policy(targets),
        Look::Custom(targets) => or_nothing(format!("{CUSTOM_POLICY}; form-action {targets}")),
    };
    respond_html(status, html, policy)
}

/// An answer of ours in HTML, locked down.
pub(crate) fn respond_html(status: StatusCode, html: String, policy: HeaderValue) -> Response<Bytes> {
    let mut response = respond::answer(status, html.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    response
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
.choices{display:grid;gap:.75rem;margin-top:1.5rem;text-align:center}\
.links a,.links button,.choices a{display:inline-block;padding:.6rem 1.1rem;border:0;border-radius:.5rem;background:var(--act);color:#fff;font:inherit;font-weight:600;text-decoration:none;cursor:pointer}\
.links a+a,.links form+a,.choices a{background:none;color:inherit;box-shadow:inset 0 0 0 1px var(--soft)}\
.choices a:hover{box-shadow:inset 0 0 0 2px var(--act)}\
:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
.code,.request{margin:0;color:var(--soft);font:.875rem/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
.code{padding-top:1rem;border-top:1px solid var(--line)}";

/// Nothing is loaded and nothing runs; the one style sheet is named by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy("'none'"));

fn policy(form_action: &str) -> HeaderValue {
    let hash = sha256(STYLE);
    or_nothing(format!(
        "default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    ))
}

fn or_nothing(policy: String) -> HeaderValue {
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// For pages of the application: its style sheets, pictures and fonts, forms to sign out, and no script, since the address of a callback's
/// page holds code and state.
const CUSTOM_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                             font-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How a content security policy names an inline script or style sheet.
pub(crate) fn sha256(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode_to_string(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::page::{Advice, PageAction, PageLink};
    use crate::requester::Requester;
    use http::header::{CACHE_CONTROL, REFERRER_POLICY};

    fn page(advice: &Advice, pages: Option<&Pages>) -> (Response<Bytes>, String) {
        let error = Error::from(ErrorKind::AccessDenied);
        let response = Page::new(&error, advice, &Requester::unknown()).respond(pages);
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        (response, body)
    }

    #[test]
    fn a_page_escapes_and_is_locked_down() {
        let advice = Advice {
            signed_in_as: Some("<b>&'\"".to_owned()),
            links: vec![PageLink::new(PageAction::SignIn, "/login?a=\"><script>")],
            ..Advice::default()
        };
        let (response, body) = page(&advice, None);
        assert!(!body.contains("<script") && !body.contains("<b>"), "{body}");
        assert!(body.contains("&lt;b&gt;&amp;&#39;&quot;"), "{body}");
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
        assert_eq!(response.headers()[X_FRAME_OPTIONS], "DENY");
        assert!(response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    }

    #[test]
    fn the_application_s_page_is_locked_down_too_and_may_panic() {
        let pages: Pages = Box::new(|page| format!("<h1>{}</h1>", page.title()));
        let (response, body) = page(&Advice::default(), Some(&pages));
        assert_eq!((body.as_str(), response.status().as_u16()), ("<h1>You did not sign in</h1>", 403));
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(!policy.contains("script-src") && policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("form-action 'self'"), "a form to sign out: {policy}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");

        let pages: Pages = Box::new(|_| panic!("a broken template"));
        let (response, body) = page(&Advice::default(), Some(&pages));
        assert_eq!(response.status(), 403);
        assert!(body.contains("access_denied"), "{body}");
    }
}
