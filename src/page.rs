//! The pages that people see when something went wrong, and how an application gives them its own looks.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, X_FRAME_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use crate::error::{Error, ErrorKind};
use crate::requester::Requester;
use crate::respond;

/// What a page of the layer says: what happened, what to do, and where to go on. The application may put it into words
/// and looks of its own with [`Builder::pages`](crate::Builder::pages).
///
/// Every text is plain: [`escape`](Self::escape) it, unless your templates do.
pub struct Page<'a> {
    error: &'a Error,
    advice: &'a Advice,
    requester: &'a Requester,
    /// Scheme, host and port of this site.
    origin: &'a str,
}

/// Where a person can go on from a [`Page`].
#[derive(Clone, Debug)]
pub struct PageLink {
    action: PageAction,
    href: String,
}

/// What a [`PageLink`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageAction {
    /// Starts to sign in.
    SignIn,
    /// Starts over.
    SignInAgain,
    /// Starts to sign in as somebody else.
    UseAnotherAccount,
    /// Goes on as things are.
    Continue,
    /// Goes to the site's first page.
    Home,
    /// Asks for the same page once more.
    Reload,
}

/// The application's own look, boxed once at build.
pub(crate) type Pages = Box<dyn Fn(&Page<'_>) -> String + Send + Sync>;

/// What an answer to a failure says besides its kind.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    /// Said before the kind's cause, and in place of its remedy.
    pub(crate) remedy: Option<&'static str>,
    /// What it probably comes from here, said after the kind's cause.
    pub(crate) likely_cause: Option<String>,
    /// The subject of who is signed in.
    pub(crate) signed_in_as: Option<String>,
    /// The buttons of a page, the most likely first.
    pub(crate) links: Vec<PageLink>,
    /// Where signing in starts over, for a program.
    pub(crate) login: Option<String>,
    /// The form of the page.
    pub(crate) sign_out: Option<SignOut>,
}

/// A form that signs out.
pub(crate) struct SignOut {
    /// Where it posts to, the token in its query.
    pub(crate) action: String,
    pub(crate) token: String,
}

impl<'a> Page<'a> {
    pub(crate) fn new(error: &'a Error, advice: &'a Advice, requester: &'a Requester) -> Self {
        Self { error, advice, requester, origin: "" }
    }

    /// For a program, which may run on another site.
    pub(crate) fn with_origin(mut self, origin: &'a str) -> Self {
        self.origin = origin;
        self
    }

    /// What went wrong, as a stable code: `page.kind().code()`.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.error.kind().status()
    }

    /// The application's own code, where it refused somebody with one.
    #[must_use]
    pub fn reason(&self) -> Option<&'a str> {
        // What a provider said is for the log.
        self.error.reason().filter(|_| self.kind() == ErrorKind::RefusedByApp)
    }

    /// The heading.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.kind().title()
    }

    /// What happened and what to do, a sentence or two each.
    #[must_use]
    pub fn paragraphs(&self) -> Vec<Cow<'a, str>> {
        let who = self.signed_in_as().map(|subject| Cow::Owned(format!("You are signed in as {subject}.")));
        let (cause, remedy) = (self.kind().cause(), self.kind().remedy());
        let words = match &self.advice.remedy {
            Some(advice) => [Some(*advice), Some(cause), self.advice.likely_cause.as_deref()],
            None => [Some(cause), self.advice.likely_cause.as_deref(), Some(remedy)],
        };
        who.into_iter().chain(words.into_iter().flatten().map(Cow::Borrowed)).collect()
    }

    /// The subject of who is signed in, where it matters.
    #[must_use]
    pub fn signed_in_as(&self) -> Option<&'a str> {
        self.advice.signed_in_as.as_deref()
    }

    /// Where to go on, the most likely first.
    #[must_use]
    pub fn links(&self) -> &'a [PageLink] {
        &self.advice.links
    }

    /// Where a form with a button to sign out posts to, on the one page that needs one (`logout_unconfirmed`):
    /// `<form method="post" action="…"><button>Sign out</button></form>`. A path on this site whose query holds a token that
    /// is good for ten minutes and this session. Where a page of yours leaves it out, people get the default page, since
    /// they could not sign out otherwise.
    #[must_use]
    pub fn sign_out_action(&self) -> Option<&'a str> {
        self.advice.sign_out.as_ref().map(|form| form.action.as_str())
    }

    /// Names this request, here and in the log (field `request_id`): the request's own `x-request-id`, or a random one.
    #[must_use]
    pub fn request_id(&self) -> &'a str {
        self.requester.id()
    }

    /// The request's `Accept-Language`, for pages in several languages. What to say in each is the application's: switch on
    /// [`kind`](Self::kind) and [`PageLink::action`].
    #[must_use]
    pub fn accept_language(&self) -> Option<&'a str> {
        self.requester.accept_language()
    }

    /// Text as it may stand between tags and inside a double-quoted attribute.
    ///
    /// ```
    /// assert_eq!(tower_signin::Page::escape("<b>\"R&D\"</b>"), "&lt;b&gt;&quot;R&amp;D&quot;&lt;/b&gt;");
    /// ```
    #[must_use]
    pub fn escape(text: &str) -> String {
        let mut escaped = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                // What nobody sees could make a line read as something else.
                other if other.is_control() || is_invisible(other) => escaped.push('\u{fffd}'),
                other => escaped.push(other),
            }
        }
        escaped
    }

    pub(crate) fn error(&self) -> &'a Error {
        self.error
    }

    /// The whole address where signing in starts over.
    pub(crate) fn login_url(&self) -> Option<String> {
        self.advice.login.as_ref().map(|login| format!("{}{login}", self.origin))
    }

    /// The answer with this page, in the application's looks if it has any.
    pub(crate) fn respond(&self, pages: Option<&Pages>) -> Response<Bytes> {
        let status = self.status();
        let form = self.advice.sign_out.as_ref();
        // A template may escape the address; the token has nothing to escape.
        let is_whole = |html: &String| form.is_none_or(|form| html.contains(&form.token));
        match pages.and_then(|pages| self.by(pages)).filter(is_whole) {
            Some(html) => respond_html(status, html, HeaderValue::from_static(CUSTOM_POLICY)),
            None if form.is_some() => respond_html(status, self.html(), POLICY_WITH_FORM.clone()),
            None => respond_html(status, self.html(), POLICY.clone()),
        }
    }

    /// A page of the application that panics is no reason to leave a person without one.
    fn by(&self, pages: &Pages) -> Option<String> {
        match catch_unwind(AssertUnwindSafe(|| pages(self))) {
            Ok(html) => Some(html),
            Err(payload) => {
                // To drop it would run code of whoever panicked once more.
                std::mem::forget(payload);
                tracing::error!(
                    code = self.kind().code(),
                    request_id = %self.requester,
                    "the application's pages panicked; the layer's own was shown"
                );
                None
            }
        }
    }

    fn html(&self) -> String {
        let mut html = String::with_capacity(4096);
        let _ = write!(
            html,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>",
            title = Self::escape(self.title()),
        );
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
            "<p class=\"code\">{}</p><p class=\"request\">Request {}</p></main></body></html>",
            Self::escape(&code),
            Self::escape(self.request_id())
        );
        html
    }
}

impl fmt::Debug for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("kind", &self.kind())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

impl PageLink {
    pub(crate) fn new(action: PageAction, href: impl Into<String>) -> Self {
        Self { action, href: href.into() }
    }

    /// What it does.
    #[must_use]
    pub fn action(&self) -> PageAction {
        self.action
    }

    /// A path on this site, with a query; empty for [`PageAction::Reload`], which a browser takes for the page it shows.
    #[must_use]
    pub fn href(&self) -> &str {
        &self.href
    }
}

impl PageAction {
    /// What the button says: `Sign in`, `Use another account`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SignIn => "Sign in",
            Self::SignInAgain => "Sign in again",
            Self::UseAnotherAccount => "Use another account",
            Self::Continue => "Continue",
            Self::Home => "To the home page",
            Self::Reload => "Try again",
        }
    }
}

impl Advice {
    /// To sign in.
    pub(crate) fn sign_in(login: String) -> Self {
        Self { links: vec![PageLink::new(PageAction::SignIn, login.as_str())], login: Some(login), ..Self::default() }
    }

    /// To come as somebody else, or to sign in again once whatever is missing is there.
    pub(crate) fn switch_account(switch: String, login: String) -> Self {
        let links = vec![
            PageLink::new(PageAction::UseAnotherAccount, switch),
            PageLink::new(PageAction::SignInAgain, login.as_str()),
        ];
        Self { links, login: Some(login), ..Self::default() }
    }

    /// To ask once more.
    pub(crate) fn reload(login: String) -> Self {
        Self { links: vec![PageLink::new(PageAction::Reload, "")], login: Some(login), ..Self::default() }
    }

    /// To go on to the site's first page.
    pub(crate) fn go_home() -> Self {
        Self { links: vec![PageLink::new(PageAction::Home, "/")], ..Self::default() }
    }
}

impl fmt::Debug for SignOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignOut").finish_non_exhaustive()
    }
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

/// Marks of direction, separators of lines, and characters without width.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
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
.links a,.links button{display:inline-block;padding:.6rem 1.1rem;border:0;border-radius:.5rem;background:var(--act);color:#fff;font:inherit;font-weight:600;text-decoration:none;cursor:pointer}\
.links a+a,.links form+a{background:none;color:inherit;box-shadow:inset 0 0 0 1px var(--soft)}\
.links :focus-visible{outline:3px solid var(--act);outline-offset:2px}\
.code,.request{margin:0;color:var(--soft);font:.875rem/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
.code{padding-top:1rem;border-top:1px solid var(--line)}";

/// Nothing is loaded and nothing runs; the one style sheet is named by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| policy("'none'"));

/// The same, with a form that goes to this site.
static POLICY_WITH_FORM: LazyLock<HeaderValue> = LazyLock::new(|| policy("'self'"));

fn policy(form_action: &str) -> HeaderValue {
    let hash = sha256(STYLE);
    let policy = format!(
        "default-src 'none'; style-src '{hash}'; base-uri 'none'; form-action {form_action}; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// For pages of the application: its style sheets, pictures and fonts, forms to sign out, and no script, since the address of a callback's
/// page holds code and state.
const CUSTOM_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                             font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// How a content security policy names an inline script or style sheet.
pub(crate) fn sha256(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn the_token_to_sign_out_is_not_in_debug_output() {
        let sign_out = SignOut { action: "/logout?confirm=t0ken".to_owned(), token: "t0ken".to_owned() };
        let advice = Advice { sign_out: Some(sign_out), ..Advice::go_home() };
        let error = Error::from(ErrorKind::LogoutUnconfirmed);
        let requester = Requester::unknown();
        for shown in [format!("{advice:?}"), format!("{:?}", Page::new(&error, &advice, &requester))] {
            assert!(!shown.contains("t0ken"), "{shown}");
        }
        assert!(format!("{advice:?}").contains("sign_out: Some(SignOut { .. })"), "{advice:?}");
    }

    #[test]
    fn what_nobody_sees_is_shown() {
        for hidden in ['\u{7}', '\u{ad}', '\u{61c}', '\u{200b}', '\u{202e}', '\u{2028}', '\u{2066}', '\u{feff}'] {
            assert_eq!(Page::escape(&format!("a{hidden}b")), "a\u{fffd}b", "{hidden:?}");
        }
        assert_eq!(Page::escape("né 日本 🙂"), "né 日本 🙂");
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
