use std::sync::LazyLock;

use aws_lc_rs::digest;
use base64_simd::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::Account;
use super::authorize::{AuthorizationRequest, PATH, distinct_scopes};
use super::body::DevBody;
use crate::page::Page;

/// The banner of every page.
pub(super) const NOT_BITBADGES: &str = "This is not BitBadges.";

/// What the authorize page shows.
pub(super) struct Consent<'a> {
    request: &'a AuthorizationRequest,
    account: &'a str,
    address: &'a str,
    problem: Option<&'a str>,
}

impl<'a> Consent<'a> {
    pub(super) fn new(request: &'a AuthorizationRequest) -> Self {
        Self { request, account: "alice", address: "", problem: None }
    }

    /// Keeps what the person had entered.
    pub(super) fn filled(self, account: &'a str, address: &'a str) -> Self {
        Self { account, address, ..self }
    }

    pub(super) fn problem(self, problem: &'a str) -> Self {
        Self { problem: Some(problem), ..self }
    }
}

/// The page that asks whether to sign in, and as whom.
pub(super) fn consent(view: &Consent<'_>, status: StatusCode) -> Response<DevBody> {
    let request = view.request;
    let mut main = format!("<h1>Sign in to <span class=\"app\">{}</span></h1>", Page::escape(&request.client_id));
    if let Some(problem) = view.problem {
        main.push_str(&format!("<p class=\"problem\" role=\"alert\">{}</p>", Page::escape(problem)));
    }
    main.push_str("<h2>What the app asks for</h2><ul class=\"asks\"><li>Your address</li>");
    for (label, id) in distinct_scopes(&request.scopes) {
        main.push_str(&format!("<li>{} <code>{}</code></li>", Page::escape(label), Page::escape(id)));
    }
    if let Some(claim) = &request.claim_id {
        main.push_str(&format!(
            "<li>Claim <code>{}</code>{}</li>",
            Page::escape(claim),
            if request.expect_verify_success { ", expected to succeed" } else { "" }
        ));
    }
    main.push_str(&format!(
        "</ul><form method=\"post\" action=\"{PATH}?{}\"><fieldset><legend>Sign in as</legend>",
        Page::escape(&request.query)
    ));
    let picked = if Account::people().iter().any(|p| p.name == view.account) { view.account } else { "alice" };
    for person in Account::people() {
        let checked = if person.name == picked { " checked" } else { "" };
        main.push_str(&format!(
            "<label class=\"person\"><input type=\"radio\" name=\"account\" value=\"{name}\"{checked}>\
             <span><b>{name}</b><code>{address}</code></span></label>",
            name = Page::escape(&person.name),
            address = Page::escape(&person.address),
        ));
    }
    main.push_str(&format!(
        "</fieldset><label class=\"other\" for=\"address\">Or any other address</label>\
         <input id=\"address\" name=\"address\" type=\"text\" value=\"{}\" \
         placeholder=\"0x… or bb1…\" autocomplete=\"off\" autocapitalize=\"off\" spellcheck=\"false\">\
         <p class=\"hint\">Leave it empty to use the account picked above.</p>\
         <div class=\"buttons\">\
         <button name=\"decision\" value=\"approve\" type=\"submit\">Approve</button>\
         <button name=\"decision\" value=\"deny\" type=\"submit\" class=\"quiet\">Deny</button></div></form>\
         <p class=\"target\">You go back to <code>{}</code></p>",
        Page::escape(view.address),
        Page::escape(&request.redirect_uri),
    ));
    html(NOT_BITBADGES, "Sign in", &main, status)
}

/// A request that is answered here and never by a redirect.
pub(super) fn refusal(banner: &str, title: &str, reason: &str) -> Response<DevBody> {
    let main = format!(
        "<h1>{}</h1><p class=\"problem\">{}</p><p class=\"hint\">Nobody was signed in and the app \
         was told nothing. Go back to the app and start again.</p>",
        Page::escape(title),
        Page::escape(reason)
    );
    html(banner, title, &main, StatusCode::BAD_REQUEST)
}

/// `GET /`.
pub(super) fn home(origin: &str) -> Response<DevBody> {
    let main = format!(
        "<h1>The dev provider runs</h1><p>It answers <code>{PATH}</code> in place of bitbadges.io \
         and <code>/api/v0/…</code> in place of its API, at <code>{}</code>.</p>\
         <p class=\"hint\">It has no accounts, no chain and no keys. Apps reach it while they are \
         written and tested; nothing it says proves anything.</p>",
        Page::escape(origin)
    );
    html(NOT_BITBADGES, "Dev provider", &main, StatusCode::OK)
}

/// An answer without a body, with the headers that every page has.
pub(super) fn bare(status: StatusCode) -> Response<DevBody> {
    page(status, Bytes::new())
}

/// A method that a page does not know.
pub(super) fn not_allowed(allow: &'static str) -> Response<DevBody> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// Sends the browser on, with the method changed to GET.
pub(super) fn see_other(banner: &str, target: &str) -> Response<DevBody> {
    let Ok(location) = target.parse() else {
        return refusal(banner, "Nowhere to go", "The redirect URI does not fit in a header.");
    };
    let mut response = bare(StatusCode::SEE_OTHER);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// A whole page. The `banner` says above everything what this server is not.
pub(super) fn html(banner: &str, title: &str, main: &str, status: StatusCode) -> Response<DevBody> {
    let page_text = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} (development stand-in)</title>\
         <style>{STYLE}</style></head><body><p class=\"banner\" role=\"note\"><b>Development stand-in. \
         {banner}</b> It runs on this machine and signs in anybody as anyone.</p>\
         <main>{main}</main></body></html>",
        Page::escape(title)
    );
    page(status, Bytes::from(page_text))
}

fn page(status: StatusCode, body: Bytes) -> Response<DevBody> {
    let mut response = Response::new(DevBody::Whole(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let fixed = HeaderValue::from_static;
    headers.insert(header::CONTENT_TYPE, fixed("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::REFERRER_POLICY, fixed("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

/// No `form-action`: Chrome applies it to the redirect that follows the form as well, and that one
/// leads to the app.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode_to_string(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'");
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1d22;--soft:#5b6270;--line:#d4d8e0;--paper:#fff;--ground:#f3f4f7;\
--accent:#2f5bd7;--on-accent:#fff;--bad:#a8201a;--bad-ground:#fdecea;--warn:#5c3d00;--warn-ground:#ffdf8a}\
@media (prefers-color-scheme:dark){:root{--ink:#eceef3;--soft:#a4acba;--line:#3a404c;--paper:#1d2027;\
--ground:#13151a;--accent:#86a8ff;--on-accent:#0d1530;--bad:#ffb4ab;--bad-ground:#3d1614;--warn:#ffe3a0;\
--warn-ground:#4a3500}}\
*{box-sizing:border-box}\
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif}\
.banner{margin:0;padding:.75rem 1rem;background:var(--warn-ground);color:var(--warn);text-align:center;overflow-wrap:anywhere}\
main{max-width:32rem;margin:1.5rem auto;padding:1.5rem;background:var(--paper);border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 1rem;font-size:1.4rem;line-height:1.25;overflow-wrap:anywhere}\
h2,legend,.other{display:block;margin:0 0 .5rem;padding:0;font-size:.9rem;font-weight:600;color:var(--soft)}\
.app{color:var(--accent)}\
p{overflow-wrap:anywhere}\
code{font:.85em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}\
.asks{margin:0 0 1.5rem;padding-left:1.25rem;overflow-wrap:anywhere}\
.asks code{color:var(--soft)}\
fieldset{margin:0 0 1.25rem;padding:0;border:0;min-width:0}\
.person{display:flex;gap:.75rem;align-items:flex-start;padding:.6rem .75rem;border:1px solid var(--line);cursor:pointer}\
.person+.person{border-top:0}\
.person:first-of-type{border-radius:.5rem .5rem 0 0}\
.person:last-of-type{border-radius:0 0 .5rem .5rem}\
.person:has(:checked){background:var(--ground)}\
.person input{flex:none;margin:.3rem 0 0;accent-color:var(--accent)}\
.person span{min-width:0}\
.person code{display:block;color:var(--soft)}\
input[type=text]{width:100%;padding:.6rem .75rem;font:inherit;color:inherit;background:var(--paper);border:1px solid var(--soft);border-radius:.5rem}\
::placeholder{color:var(--soft);opacity:1}\
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}\
.hint,.target{margin:.5rem 0 0;font-size:.9rem;color:var(--soft)}\
.buttons{display:flex;gap:.75rem;margin:1.25rem 0}\
button{flex:1;padding:.7rem 1rem;font:inherit;font-weight:600;color:var(--on-accent);background:var(--accent);border:1px solid var(--accent);border-radius:.5rem;cursor:pointer}\
.quiet{color:var(--ink);background:transparent;border-color:var(--soft)}\
.problem{margin:0 0 1rem;padding:.75rem;color:var(--bad);background:var(--bad-ground);border-radius:.5rem}\
@media (max-width:34rem){main{margin:0;border-width:0 0 1px;border-radius:0;padding:1.25rem 1rem}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_stays_text() {
        assert_eq!(
            Page::escape("<b a=\"1\">'&'</b>\n\u{202e}"),
            "&lt;b a=&quot;1&quot;&gt;&#39;&amp;&#39;&lt;/b&gt;\u{fffd}\u{fffd}"
        );
    }
}
