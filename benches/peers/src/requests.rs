//! Who asks for what, and how it is sent.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use http::header::{ACCEPT, COOKIE, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

use crate::peers::peer;
use crate::{Peer, SUBJECT};

/// A request that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Of the signed-in user, with five cookies.
    SignedIn,
    /// Of nobody, with five cookies that are not the peer's.
    Nobody,
    /// The beginning of a login, by nobody.
    Login,
}

/// All of them.
pub const KINDS: [Kind; 3] = [Kind::SignedIn, Kind::Nobody, Kind::Login];

impl Kind {
    /// What the programs call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::Nobody => "nobody",
            Self::Login => "login",
        }
    }
}

/// A request as often as it is wanted: made of what it is made of only once.
#[derive(Clone, Debug)]
pub struct Template {
    target: Bytes,
    headers: HeaderMap,
}

impl Template {
    /// `None` where the peer has no such request.
    #[must_use]
    pub fn new(peer: &Peer, kind: Kind) -> Option<Self> {
        let target = match kind {
            Kind::SignedIn | Kind::Nobody => "/page",
            Kind::Login => peer.login.as_deref()?,
        };
        Some(Self { target: Bytes::from(format!("GET {target}")), headers: headers(peer, kind) })
    }

    /// The headers that tell this request from another: cookies and authorization.
    pub fn credentials(&self) -> impl Iterator<Item = (&str, &str)> {
        let ours = self.headers.iter().filter(|(name, _)| !PLAIN.iter().any(|(plain, _)| plain == name));
        ours.map(|(name, value)| (name.as_str(), value.to_str().expect("it is text")))
    }

    /// This request, but for `/page`: what the bare router is asked in its place.
    #[must_use]
    pub fn of_page(&self) -> Self {
        Self { target: Bytes::from_static(b"GET /page"), headers: self.headers.clone() }
    }

    /// A request as hyper gives it: the address lies in a buffer that others share.
    #[must_use]
    pub fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_maybe_shared(self.target.slice(4..)).expect("it is an address");
        *request.headers_mut() = self.headers.clone();
        request
    }
}

const PLAIN: [(http::HeaderName, HeaderValue); 4] = [
    (HOST, HeaderValue::from_static("app.example.com")),
    (ACCEPT, HeaderValue::from_static("*/*")),
    (USER_AGENT, HeaderValue::from_static("benchmark")),
    (http::HeaderName::from_static("sec-fetch-mode"), HeaderValue::from_static("navigate")),
];

const FOREIGN: [&str; 5] = ["a=1", "theme=dark", "_ga=GA1.2.3", "lang=en", "__Host-other=xyz"];

fn headers(peer: &Peer, kind: Kind) -> HeaderMap {
    let mut headers = HeaderMap::from_iter(PLAIN);
    let mut ours = Vec::new();
    if kind == Kind::SignedIn {
        for (name, value) in &peer.signed_in {
            if name == COOKIE {
                ours.extend(value.to_str().expect("it is text").split("; "));
            } else {
                headers.append(name, value.clone());
            }
        }
    }
    let mut cookies = FOREIGN[..FOREIGN.len().saturating_sub(ours.len())].to_vec();
    let middle = cookies.len() / 2;
    cookies.splice(middle..middle, ours);
    headers.insert(COOKIE, cookies.join("; ").parse().expect("cookies are text"));
    headers
}

/// Sends a request and reads its answer to the end.
pub async fn send(router: &mut Router, request: Request<Body>) -> Response<Bytes> {
    let Ok(response) = router.call(request).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("the body ends");
    Response::from_parts(parts, body)
}

/// Sends a request of each kind, and looks whether the answer is what it should be: a row that is not signed in would
/// be a fast one.
///
/// # Panics
///
/// Where it is not.
pub async fn prove(peer: &mut Peer, is_bare: bool) {
    for kind in KINDS {
        let Some(template) = Template::new(peer, kind) else { continue };
        let response = send(&mut peer.router, template.request()).await;
        let names_them = str::from_utf8(response.body()).is_ok_and(|body| body.contains(SUBJECT));
        let is_right = match kind {
            Kind::SignedIn => response.status() == StatusCode::OK && names_them,
            Kind::Nobody => response.status() == StatusCode::OK && (!names_them || is_bare),
            Kind::Login => {
                let target =
                    response.headers().get(LOCATION).and_then(|target| target.to_str().ok()).unwrap_or_default();
                response.status().is_redirection() && target.contains("/authorize?")
            }
        };
        assert!(is_right, "{} was answered {response:?}", kind.name());
    }
}

/// Requests that are counted, after as many that are not: what is made once is no cost of a request.
pub const TIMES: usize = 200;

/// Sends requests as `row` is sent them to a router, its own or the bare one, half of them through `measured`. Each is made
/// just before, so that its memory is what the one before gave back, as in a server. `None` where the row has no such
/// request.
pub fn counted(
    router: &str,
    row: &str,
    kind: &str,
    mut measured: impl FnMut(&Runtime, &mut Router, Request<Body>),
) -> Option<()> {
    let kind = KINDS.into_iter().find(|known| known.name() == kind).expect("the kind is known");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let mut peer = runtime.block_on(peer(row));
    runtime.block_on(prove(&mut peer, row == "bare"));
    let mut template = Template::new(&peer, kind)?;
    let mut asked = peer.router.clone();
    if router != row {
        asked = runtime.block_on(crate::peers::peer(router)).router;
        template = template.of_page();
    }
    for _ in 0..TIMES {
        runtime.block_on(send(&mut asked, template.request()));
    }
    for _ in 0..TIMES {
        measured(&runtime, &mut asked, template.request());
    }
    Some(())
}
