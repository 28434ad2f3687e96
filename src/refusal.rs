//! Turning somebody away: by a guard, which knows its `SignIn`, or by an extractor, which knows none.
//!
//! Neither knows the address that the browser asked for, which a router may have shortened since. So their answers stand
//! alone, and leave a note by which the layer, which saw the address, finishes them.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response, StatusCode};

use crate::body::ResponseBody;
use crate::caller::Caller;
use crate::config::Inner;
use crate::error::{Error, ErrorKind};
use crate::flow::{login_link, switch_link};
use crate::identity::Identity;
use crate::page::{Advice, Page, PageAction, PageLink, Pages};
use crate::requester::Requester;
use crate::respond::{self, Audience};
use crate::return_to::ReturnTo;

/// What was answered, for the layer to finish.
#[derive(Clone)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    form: Form,
    who: Option<Identity>,
    requester: Requester,
    method: Method,
    /// The `SignIn` whose guard it was; an extractor has none.
    owner: Option<u64>,
}

#[derive(Clone, Copy)]
enum Form {
    ToLogin,
    Failure(Audience),
}

impl Refusal {
    /// A guard's answer, in a form its caller can read.
    pub(crate) fn by_guard(
        inner: &Inner,
        kind: ErrorKind,
        who: Option<&Identity>,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response<Bytes> {
        let (caller, requester) = (Caller::of(method, headers), Requester::of(headers));
        log(&caller, kind, &requester, who);
        let form = match caller {
            Caller::Navigation if kind == ErrorKind::NotSignedIn => Form::ToLogin,
            Caller::Navigation => Form::Failure(Audience::Person),
            Caller::Other(audience) => Form::Failure(audience),
            Caller::Upgrade => Form::Failure(Audience::Program),
            caller => return without_words(&caller, kind, method, &requester),
        };
        let refusal = Self { kind, form, who: who.cloned(), requester, method: method.clone(), owner: Some(inner.id) };
        // Where the layer is missing, none stands outside to finish it.
        if caller == Caller::Navigation && kind != ErrorKind::LayerMissing {
            refusal.noted(Some(inner))
        } else {
            refusal.final_answer(inner, None)
        }
    }

    /// An extractor's answer: the same, but that nobody is redirected.
    #[cfg(feature = "axum")]
    pub(crate) fn by_extractor(kind: ErrorKind, method: &Method, headers: &HeaderMap) -> Response<Bytes> {
        let (caller, requester) = (Caller::of(method, headers), Requester::of(headers));
        log(&caller, kind, &requester, None);
        let form = Form::Failure(match caller {
            Caller::Navigation => Audience::Person,
            Caller::Other(audience) => audience,
            Caller::Upgrade => Audience::Program,
            caller => return without_words(&caller, kind, method, &requester),
        });
        Self { kind, form, who: None, requester, method: method.clone(), owner: None }.noted(None)
    }

    /// The answer as it can be given here and now, with the note for the layer. The application's pages are asked when the
    /// layer finishes it.
    fn noted(self, inner: Option<&Inner>) -> Response<Bytes> {
        let mut response = self.answer(inner, None, None);
        response.extensions_mut().insert(self);
        response
    }

    fn final_answer(&self, inner: &Inner, page: Option<&PathAndQuery>) -> Response<Bytes> {
        self.answer(Some(inner), page, inner.pages.as_ref())
    }

    fn answer(&self, inner: Option<&Inner>, page: Option<&PathAndQuery>, pages: Option<&Pages>) -> Response<Bytes> {
        let return_to = match (inner, page) {
            (Some(inner), Some(page)) if !is_callback(page) => ReturnTo::new(page.as_str(), &inner.paths.all()),
            _ => ReturnTo::root(),
        };
        let audience = match (self.form, inner) {
            (Form::ToLogin, Some(inner)) => {
                let mut response = respond::see_other(&login_link(inner, &return_to));
                response.extensions_mut().insert(self.kind);
                return response;
            }
            (Form::ToLogin, None) => Audience::Person,
            (Form::Failure(audience), _) => audience,
        };
        let error = Error::from(self.kind);
        let advice = inner.map_or_else(Advice::default, |inner| self.advice(inner, &return_to));
        let origin = inner.map_or("", |inner| &inner.redirect.origin);
        let page = Page::new(&error, &advice, &self.requester).with_origin(origin);
        let response = respond::failure(audience, &page, pages);
        respond::without_body_for_head(&self.method, response)
    }

    fn status(&self) -> StatusCode {
        match self.form {
            Form::ToLogin => StatusCode::SEE_OTHER,
            Form::Failure(_) => self.kind.status(),
        }
    }

    fn advice(&self, inner: &Inner, return_to: &ReturnTo) -> Advice {
        match self.kind {
            ErrorKind::NotSignedIn if !self.method.is_safe() => Advice {
                remedy: Some("Sign in, then send it again: what you sent was not received."),
                ..Advice::sign_in(login_link(inner, return_to))
            },
            ErrorKind::NotSignedIn => Advice::sign_in(login_link(inner, return_to)),
            ErrorKind::NotAllowed => {
                let switch = switch_link(inner, return_to);
                Advice {
                    signed_in_as: self.who.as_ref().map(|identity| identity.subject().to_owned()),
                    links: vec![
                        PageLink::new(PageAction::UseAnotherAccount, switch.as_str()),
                        PageLink::new(PageAction::Home, "/"),
                    ],
                    login: Some(switch),
                    ..Advice::default()
                }
            }
            _ => Advice::go_home(),
        }
    }
}

/// Whether the address looks like a callback, another `SignIn`'s say: its code and state belong in no address of ours. No
/// state is as short as that of `/shops?state=NY&code=10001`.
fn is_callback(page: &PathAndQuery) -> bool {
    const SHORTEST_STATE: usize = 8;
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
    let code = kind.code();
    match kind {
        ErrorKind::NotSignedIn | ErrorKind::Prefetch => tracing::debug!(code, request_id = %requester, "turned away"),
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
/// to. Headers that other layers added stay, but for those that described the former body.
pub(crate) fn finish<R>(inner: &Inner, page: Option<&PathAndQuery>, response: &mut Response<ResponseBody<R>>) {
    let is_ours = |refusal: &Refusal| refusal.owner.is_none_or(|owner| owner == inner.id);
    let Some(refusal) = response.extensions().get::<Refusal>().filter(|refusal| is_ours(refusal)) else { return };
    let refusal = refusal.clone();
    response.extensions_mut().remove::<Refusal>();
    // Another layer may have made something else of it, a 404 that hides the page, say.
    let is_untouched = response.status() == refusal.status();
    if !is_untouched || (refusal.owner.is_some() && page.is_none()) {
        return;
    }
    let (parts, body) = refusal.final_answer(inner, page).into_parts();
    *response.status_mut() = parts.status;
    *response.body_mut() = ResponseBody::own(body);
    let headers = response.headers_mut();
    for described in [CONTENT_LENGTH, CONTENT_ENCODING, ETAG, LAST_MODIFIED] {
        headers.remove(described);
    }
    for (name, value) in parts.headers {
        if let Some(name) = name {
            headers.insert(name, value);
        }
    }
    respond::keep_private(headers);
}
