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
use crate::request_id::RequestId;
use crate::respond::{self, Audience};
use crate::return_to::ReturnTo;

/// What was answered, for the layer to finish.
#[derive(Clone)]
pub(crate) struct Refusal {
    kind: ErrorKind,
    form: Form,
    who: Option<Identity>,
    request_id: RequestId,
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
        let refusal = |form| Self::new(kind, form, who, method, headers, Some(inner.id));
        match Caller::of(method, headers) {
            Caller::Navigation if kind == ErrorKind::NotSignedIn => refusal(Form::ToLogin).noted(Some(inner)),
            Caller::Navigation if kind == ErrorKind::NotAllowed => {
                refusal(Form::Failure(Audience::Person)).noted(Some(inner))
            }
            // No layer stands outside to finish it.
            Caller::Navigation => refusal(Form::Failure(Audience::Person)).final_answer(inner, None),
            Caller::Other(audience) => refusal(Form::Failure(audience)).final_answer(inner, None),
            Caller::Upgrade => refusal(Form::Failure(Audience::Program)).final_answer(inner, None),
            caller => without_words(&caller, kind, method, headers),
        }
    }

    /// An extractor's answer: the same, but that nobody is redirected.
    #[cfg(feature = "axum")]
    pub(crate) fn by_extractor(kind: ErrorKind, method: &Method, headers: &HeaderMap) -> Response<Bytes> {
        let refusal = |audience| Self::new(kind, Form::Failure(audience), None, method, headers, None);
        match Caller::of(method, headers) {
            Caller::Navigation => refusal(Audience::Person).noted(None),
            Caller::Other(audience) => refusal(audience).noted(None),
            Caller::Upgrade => refusal(Audience::Program).noted(None),
            caller => without_words(&caller, kind, method, headers),
        }
    }

    fn new(
        kind: ErrorKind,
        form: Form,
        who: Option<&Identity>,
        method: &Method,
        headers: &HeaderMap,
        owner: Option<u64>,
    ) -> Self {
        let request_id = RequestId::of(headers);
        tracing::debug!(code = kind.code(), %request_id, "turned away");
        Self { kind, form, who: who.cloned(), request_id, method: method.clone(), owner }
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
        let response = respond::failure(audience, &Page::new(&error, &advice, &self.request_id), pages);
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
            ErrorKind::NotSignedIn => Advice::sign_in(login_link(inner, return_to)),
            ErrorKind::NotAllowed => {
                let switch = switch_link(inner, return_to);
                Advice {
                    signed_in_as: self.who.as_ref().map(|identity| identity.subject().to_owned()),
                    links: vec![
                        PageLink::new(PageAction::UseAnotherAccount, switch.as_str()),
                        PageLink::new(PageAction::Continue, "/"),
                    ],
                    login: Some(switch),
                    ..Advice::default()
                }
            }
            _ => Advice::default(),
        }
    }
}

/// Whether the address looks like a callback, another `SignIn`'s say: its code and state belong in no address of ours.
fn is_callback(page: &PathAndQuery) -> bool {
    let names = || url::form_urlencoded::parse(page.query().unwrap_or_default().as_bytes()).map(|(name, _)| name);
    names().any(|name| name == "state") && names().any(|name| name == "code" || name == "error")
}

/// The answers to callers that no words would reach.
fn without_words(caller: &Caller, kind: ErrorKind, method: &Method, headers: &HeaderMap) -> Response<Bytes> {
    match caller {
        Caller::Preflight => respond::empty(StatusCode::NO_CONTENT),
        Caller::Grpc(content_type) => respond::grpc(content_type, kind),
        _ => {
            let (error, id) = (Error::from(ErrorKind::Prefetch), RequestId::of(headers));
            tracing::debug!(code = error.kind().code(), request_id = %id, "turned away");
            let response = respond::failure(Audience::Program, &Page::new(&error, &Advice::default(), &id), None);
            respond::without_body_for_head(method, response)
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
