//! Turning somebody away: by a guard, which knows its `SignIn`, or by an extractor, which knows none.
//!
//! Neither knows the address that the browser asked for, which a router may have shortened since. So their answers stand
//! alone, and leave a note by which the layer, which saw the address, finishes them.

use bytes::Bytes;
use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response, StatusCode};

use crate::body::ResponseBody;
use crate::caller::{Caller, is_page};
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::flow::{login_link, switch_link};
use crate::identity::Identity;
use crate::page::{Advice, Page, PageAction, PageLink, Pages};
use crate::requester::Requester;
use crate::respond::{self, Audience};
use crate::return_to::ReturnTo;
use crate::session::stored::RETRY_AFTER;
use crate::telemetry;

/// What was answered, for the layer to finish.
#[derive(Clone)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    /// Redirects to login rather than showing a page.
    to_login: bool,
    /// Somebody asked for a page, so that there is a place to come back to.
    is_page: bool,
    audience: Audience,
    who: Option<Identity>,
    requester: Requester,
    method: Method,
    /// The `SignIn` whose guard it was; an extractor has none.
    owner: Option<u64>,
}

/// Headers that speak of one body and are wrong beside another.
const DESCRIBES_THE_BODY: [&str; 7] =
    ["content-length", "content-encoding", "etag", "last-modified", "content-digest", "repr-digest", "digest"];

impl Refusal {
    /// The answer in a form its caller can read. A guard knows its `SignIn`; an extractor knows none, and redirects nobody.
    pub(crate) fn response(
        inner: Option<&Inner>,
        kind: ErrorKind,
        who: Option<&Identity>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let (caller, requester) = (Caller::of(method, headers), Requester::of(headers));
        log(&caller, kind, &requester, who);
        let audience = match caller {
            Caller::Navigation => Audience::Person,
            Caller::Other(audience) => audience,
            Caller::Upgrade => Audience::Program,
            caller => return without_words(&caller, kind, method, &requester),
        };
        let is_navigation = caller == Caller::Navigation;
        let refusal = Self {
            kind,
            to_login: inner.is_some() && is_navigation && kind == ErrorKind::NotSignedIn,
            is_page: is_page(method, headers),
            audience,
            who: who.cloned(),
            requester,
            method: method.clone(),
            owner: inner.map(|inner| inner.registry.id()),
        };
        // Only a page has more to say once the layer has its word; and where that is missing, none stands outside.
        if inner.is_some() && !(is_navigation && kind != ErrorKind::LayerMissing) {
            return refusal.final_answer(inner, None);
        }
        // The application's pages are asked when the layer finishes it.
        let mut response = refusal.answer(inner, None, None);
        response.extensions_mut().insert(refusal);
        response
    }

    fn final_answer(&self, inner: Option<&Inner>, page: Option<&PathAndQuery>) -> Response<Bytes> {
        self.answer(inner, page, inner.and_then(|inner| inner.pages.as_ref()))
    }

    fn answer(&self, inner: Option<&Inner>, page: Option<&PathAndQuery>, pages: Option<&Pages>) -> Response<Bytes> {
        let Some(inner) = inner else { return self.failure(&Advice::default(), None, None) };
        let return_to = match page {
            Some(page) if !is_callback(page) => ReturnTo::new(page.as_str(), inner.paths.all()),
            _ => ReturnTo::root(),
        };
        if self.to_login {
            let mut response = respond::see_other(&login_link(inner, &return_to));
            response.extensions_mut().insert(self.kind);
            return response;
        }
        self.failure(&self.advice(inner, &return_to), Some(inner), pages)
    }

    fn failure(&self, advice: &Advice, inner: Option<&Inner>, pages: Option<&Pages>) -> Response<Bytes> {
        let mut error = Error::from(self.kind);
        if self.kind == ErrorKind::SessionUnavailable {
            error = error.with_retry_after(RETRY_AFTER);
        }
        let page = Page::new(&error, advice, &self.requester);
        let page = match inner {
            Some(inner) => page.with_origin(&inner.redirect.origin).with_form_targets(inner.form_targets),
            None => page,
        };
        respond::without_body_for_head(&self.method, respond::failure(self.audience, &page, pages))
    }

    /// Whether the answer is as it was given. Another layer may have made something else of it: a 404 that hides the page, or
    /// a way elsewhere.
    fn is_untouched<R>(&self, inner: &Inner, response: &Response<R>) -> bool {
        if self.to_login {
            let login = login_link(inner, &ReturnTo::root());
            return response.status() == StatusCode::SEE_OTHER
                && response.headers().get(LOCATION).is_some_and(|location| location == &login);
        }
        response.status() == self.kind.status()
    }

    fn advice(&self, inner: &Inner, return_to: &ReturnTo) -> Advice {
        match self.kind {
            ErrorKind::NotSignedIn if !self.method.is_safe() => Advice {
                remedy: Some("What you sent was not received. Sign in, then send it again."),
                ..Advice::sign_in(login_link(inner, return_to))
            },
            ErrorKind::NotSignedIn => Advice::sign_in(login_link(inner, return_to)),
            ErrorKind::NotAllowed => {
                let switch = switch_link(inner, return_to);
                let who = self.who.as_ref();
                Advice {
                    signed_in_as: who.map(|identity| identity.subject().to_owned()),
                    signed_in_by: who.and_then(|identity| inner.providers.label_among_several(identity.issuer())),
                    links: vec![
                        PageLink::new(PageAction::UseAnotherAccount, switch.as_str()),
                        PageLink::new(PageAction::Home, "/"),
                    ],
                    login: Some(switch),
                    ..Advice::default()
                }
            }
            ErrorKind::SessionUnavailable => Advice::reload(login_link(inner, return_to)),
            _ => Advice::go_home(),
        }
    }
}

/// Whether the address looks like a callback, another `SignIn`'s say: its code and state belong in no address of ours. What
/// is shorter than 96 bits of base64url, as in `/shops?state=California&code=94110`, is taken for something else.
fn is_callback(page: &PathAndQuery) -> bool {
    const SHORTEST_STATE: usize = 16;
    let parameters = || url::form_urlencoded::parse(page.query().unwrap_or_default().as_bytes());
    parameters().any(|(name, value)| name == "state" && value.len() >= SHORTEST_STATE)
        && parameters().any(|(name, _)| name == "code" || name == "error")
}

/// A mistake of the application is an error, somebody without access worth a line, and nobody signed in ordinary.
fn log(caller: &Caller, kind: ErrorKind, requester: &Requester, who: Option<&Identity>) {
    let kind = match caller {
        Caller::Preflight => return,
        Caller::Prefetch => ErrorKind::Prefetch,
        _ => kind,
    };
    telemetry::refused(kind);
    let code = kind.code();
    match kind {
        // Why is in the log already.
        ErrorKind::NotSignedIn | ErrorKind::Prefetch | ErrorKind::SessionUnavailable => {
            tracing::debug!(code, request_id = %requester, "turned away")
        }
        ErrorKind::NotAllowed => {
            let subject = who.map(Identity::subject).unwrap_or_default();
            tracing::info!(code, request_id = %requester, subject, "turned away");
        }
        _ => tracing::error!(code, request_id = %requester, remedy = kind.remedy(), "turned away"),
    }
}

/// The answers to callers that no words would reach.
fn without_words(caller: &Caller, kind: ErrorKind, method: &Method, requester: &Requester) -> Response<Bytes> {
    match caller {
        Caller::Preflight => respond::empty(StatusCode::NO_CONTENT),
        Caller::Grpc(content_type) => respond::grpc(content_type, kind),
        _ => {
            let error = Error::from(ErrorKind::Prefetch);
            let advice = Advice::default();
            let page = Page::new(&error, &advice, requester);
            respond::without_body_for_head(method, respond::failure(Audience::Program, &page, None))
        }
    }
}

/// Writes an answer anew that was left to be finished: the page that the browser asked for becomes the place to come back
/// to. Headers that other layers added stay, but for those that described the former body. At a forwarded callback nobody is
/// signed in yet.
pub(crate) fn finish<R>(
    inner: &Inner,
    page: Option<&PathAndQuery>,
    is_forwarded: bool,
    response: &mut Response<ResponseBody<R>>,
) {
    let is_ours = |refusal: &&Refusal| refusal.owner.is_none_or(|owner| owner == inner.registry.id());
    let Some(refusal) = response.extensions().get::<Refusal>().filter(is_ours) else { return };
    let mut refusal = refusal.clone();
    response.extensions_mut().remove::<Refusal>();
    if !refusal.is_untouched(inner, response) {
        return;
    }
    if is_forwarded {
        refusal.who = None;
    }
    let page = page.filter(|_| refusal.is_page);
    let (parts, body) = refusal.final_answer(Some(inner), page).into_parts();
    *response.status_mut() = parts.status;
    *response.body_mut() = ResponseBody::own(body);
    let headers = response.headers_mut();
    for described in DESCRIBES_THE_BODY {
        headers.remove(described);
    }
    for (name, value) in parts.headers {
        if let Some(name) = name {
            let _ = headers.try_insert(name, value);
        }
    }
    respond::keep_private(headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_has_a_long_state_and_a_code_or_an_error() {
        let state = "state=0123456789abcdef";
        for (query, expected) in [
            (format!("{state}&code=1"), true),
            (format!("error=access_denied&{state}"), true),
            (format!("{state}&page=1"), false),
            (state.to_owned(), false),
            ("state=0123456789abcde&code=1".to_owned(), false),
            ("code=1&error=2".to_owned(), false),
        ] {
            assert_eq!(is_callback(&format!("/x?{query}").parse().unwrap()), expected, "{query}");
        }
    }
}
