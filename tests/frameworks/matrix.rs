//! Every caller in every state, at guards in axum and in plain hyper, over HTTP/1.1 and h2c.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tower::{BoxError, Layer as _, Service, service_fn};
use tower_signin::dev::{Account, DevProvider};
use tower_signin::siwbb::addresses;
use tower_signin::{ManualClock, RequireLayer, SignIn};

use crate::app::{FROM_THE_APP, Site, answer, while_serving};
use crate::support::{code, send, text};

use Voice::{Grpc, Page, Prefetch, Preflight, Problem, Redirect};
use Who::{Alice, Bob, Expired, Nobody};

const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const DOCUMENT: (&str, &str) = ("sec-fetch-dest", "document");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const ANYTHING: (&str, &str) = ("accept", "*/*");
const ORIGIN: (&str, &str) = ("origin", "https://other.example");
const CORS: (&str, &str) = ("sec-fetch-mode", "cors");

pub(crate) const CALLERS: &[Caller] = &[
    caller("a navigation", "GET", &[HTML, NAVIGATE, DOCUMENT, ("sec-fetch-site", "none")], Redirect),
    caller("a navigation from another site", "GET", &[NAVIGATE, DOCUMENT, ("sec-fetch-site", "cross-site")], Redirect),
    caller("an old browser", "GET", &[HTML], Redirect),
    caller("a form", "POST", &[HTML, NAVIGATE, DOCUMENT], Page),
    caller("an old browser's form", "POST", &[HTML], Page),
    caller("a frame", "GET", &[HTML, NAVIGATE, ("sec-fetch-dest", "iframe")], Page),
    caller("a fetch", "GET", &[ANYTHING, CORS, ("sec-fetch-dest", "empty")], Problem),
    caller("a fetch of HTML", "PUT", &[HTML, CORS, ("sec-fetch-dest", "empty")], Problem),
    caller("an XHR", "GET", &[HTML, ("x-requested-with", "XMLHttpRequest")], Problem),
    caller("an EventSource", "GET", &[("accept", "text/event-stream"), CORS, ("sec-fetch-dest", "empty")], Problem),
    caller("an old EventSource", "GET", &[("accept", "text/event-stream")], Problem),
    caller("an image", "GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], Problem),
    caller("curl", "GET", &[ANYTHING], Problem),
    caller("nothing said", "DELETE", &[], Problem),
    Caller { wire: Some(Version::HTTP_11), ..caller("a WebSocket", "GET", WEB_SOCKET, Problem) },
    Caller { wire: Some(Version::HTTP_2), ..caller("a WebSocket in HTTP/2", "CONNECT", WEB_SOCKET_2, Problem) },
    Caller {
        wire: Some(Version::HTTP_11),
        ..caller("an old WebSocket", "GET", &[UPGRADE[0], UPGRADE[1], HTML], Problem)
    },
    Caller { wire: Some(Version::HTTP_2), ..caller("an old one in HTTP/2", "CONNECT", &[HTML], Problem) },
    caller("a preflight", "OPTIONS", &[ORIGIN, ("access-control-request-method", "PUT")], Preflight),
    caller("another OPTIONS", "OPTIONS", &[ORIGIN], Problem),
    caller("a prefetch", "GET", &[HTML, NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch")], Prefetch),
    caller("a prerender", "GET", &[HTML, NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch;prerender")], Prefetch),
    caller("an old prefetch", "GET", &[HTML, ("purpose", "prefetch")], Prefetch),
    caller("gRPC", "POST", &[("content-type", "application/grpc"), ("te", "trailers")], Grpc),
    caller("gRPC with a codec", "POST", &[("content-type", "application/grpc+proto"), ("te", "trailers")], Grpc),
    caller("gRPC-Web", "POST", &[("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1"), CORS], Grpc),
    caller("gRPC-Web as text", "POST", &[("content-type", "application/grpc-web-text"), ("x-grpc-web", "1")], Grpc),
    caller("gRPC's type by GET", "GET", &[("content-type", "application/grpc")], Problem),
];

const UPGRADE: [(&str, &str); 2] = [("connection", "Upgrade"), ("upgrade", "websocket")];
const WEB_SOCKET: &[(&str, &str)] = &[
    UPGRADE[0],
    UPGRADE[1],
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("sec-fetch-mode", "websocket"),
    HTML,
];
const WEB_SOCKET_2: &[(&str, &str)] = &[("sec-websocket-version", "13"), ("sec-fetch-mode", "websocket"), HTML];

/// One kind of client, and how it is told no.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    headers: &'static [(&'static str, &'static str)],
    pub(crate) voice: Voice,
    /// The one version of HTTP in which there is such a client.
    wire: Option<Version>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// To login and back; where that won't help, a page.
    Redirect,
    Page,
    Problem,
    Grpc,
    Preflight,
    Prefetch,
}

/// Alice may see everything, Bob what only asks for a session. A session that is over is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    Alice,
    Bob,
    Nobody,
    Expired,
}

#[tokio::test]
async fn axum_answers_every_caller_in_every_state() {
    let (guarded, listener) = Guarded::start().await;
    let (session, alice) = (guarded.sign_in.require(), guarded.only_alice());
    let below = || {
        Router::new()
            .route("/get", get(guarded.handler()).layer(session.clone()))
            .route("/any", any(guarded.handler()).layer(session.clone()))
            .route("/get/alice", get(guarded.handler()).layer(alice.clone()))
            .route("/any/alice", any(guarded.handler()).layer(alice.clone()))
            .nest("/all", Router::new().route("/any", any(guarded.handler())).layer(session.clone()))
            .nest("/routes", Router::new().route("/any/alice", any(guarded.handler())).route_layer(alice.clone()))
    };
    let app = below().nest("/app", below().nest("/deep", below())).layer(guarded.sign_in.layer());
    let clients = async {
        for wire in [Version::HTTP_11, Version::HTTP_2] {
            let mut wire = Wire::connect(wire, &guarded.origin).await;
            for prefix in ["", "/app", "/app/deep"] {
                for route in ["/get", "/any", "/get/alice", "/any/alice", "/all/any", "/routes/any/alice"] {
                    let path = format!("{prefix}{route}?x=1&y=a%20b&z=%C3%BC");
                    let runs = |caller: &Caller| route.contains("/any") || caller.method == "GET";
                    guarded.check(&mut wire, &path, route.ends_with("/alice"), runs).await;
                }
            }
        }
    };
    while_serving(serve(listener, app), clients).await;
}

#[tokio::test]
async fn hyper_answers_every_caller_in_every_state() {
    for only_alice in [false, true] {
        let (guarded, listener) = Guarded::start().await;
        let guard = if only_alice { guarded.only_alice() } else { guarded.sign_in.require() };
        let calls = Arc::clone(&guarded.calls);
        let inner = service_fn(move |request: Request<Incoming>| {
            calls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Infallible>(answer(&request)))
        });
        let service = guarded.sign_in.layer().layer(guard.layer(inner));
        let clients = async {
            for wire in [Version::HTTP_11, Version::HTTP_2] {
                let mut wire = Wire::connect(wire, &guarded.origin).await;
                for path in ["/page?x=1", "/a/b//c", "/"] {
                    guarded.check(&mut wire, path, only_alice, |_| true).await;
                }
            }
        };
        while_serving(serve(listener, service), clients).await;
    }
}

/// A site whose guards let in alice alone or everybody with a session, and the cookies of everybody.
pub(crate) struct Guarded {
    pub(crate) origin: String,
    pub(crate) sign_in: SignIn,
    pub(crate) calls: Arc<AtomicUsize>,
    /// Whether the server takes CONNECT with a protocol (RFC 8441).
    pub(crate) takes_connect: bool,
    cookies: BTreeMap<Who, String>,
    _dev: DevProvider,
}

impl Guarded {
    pub(crate) async fn start() -> (Self, TcpListener) {
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_788_739_200)));
        let Site { listener, origin, sign_in, dev } = Site::new(|builder| builder.clock(Arc::clone(&clock))).await;
        let cookie = |account: &Account| dev.signed_in_cookie(&sign_in, account).unwrap();
        let mut cookies = BTreeMap::from([(Expired, cookie(&Account::alice()))]);
        clock.advance(Duration::from_secs(24 * 60 * 60));
        cookies.extend([(Alice, cookie(&Account::alice())), (Bob, cookie(&Account::bob()))]);
        (Self { origin, sign_in, calls: Arc::default(), takes_connect: true, cookies, _dev: dev }, listener)
    }

    pub(crate) fn only_alice(&self) -> RequireLayer {
        self.sign_in.require_where(addresses([Account::alice().address]).unwrap())
    }

    pub(crate) fn cookie(&self, who: Who) -> Option<&str> {
        self.cookies.get(&who).map(String::as_str)
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// A handler of axum that counts.
    pub(crate) fn handler(&self) -> impl Fn() -> std::future::Ready<axum::response::Response> + Clone + use<> {
        let calls = Arc::clone(&self.calls);
        move || {
            calls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(([(FROM_THE_APP, "yes")], "secret").into_response())
        }
    }

    /// Sends every caller in every state. `runs` tells for whom the framework itself lets what is guarded run.
    pub(crate) async fn check(&self, wire: &mut Wire, path: &str, only_alice: bool, runs: impl Fn(&Caller) -> bool) {
        let version = wire.version();
        let exists = |caller: &&Caller| {
            caller.wire.is_none_or(|only| only == version) && (self.takes_connect || caller.method != "CONNECT")
        };
        for caller in CALLERS.iter().filter(exists) {
            for who in [Alice, Bob, Nobody, Expired] {
                let name = format!("{}, {who:?}, {path}, {version:?}", caller.name);
                let before = self.count();
                let response = wire.send(caller.request(&self.origin, path, self.cookie(who))).await;
                let ran = self.count() - before;
                let is_let_in = who == Alice || who == Bob && !only_alice;
                if is_let_in && caller.voice != Preflight {
                    let expected = usize::from(runs(caller));
                    assert_eq!(ran, expected, "{name}: {response:?}");
                    assert!(expected == 0 || response.headers().contains_key(FROM_THE_APP), "{name}: {response:?}");
                    assert!(!response.headers().contains_key(SET_COOKIE), "{name}");
                } else {
                    assert_eq!(ran, 0, "{name}: what is guarded ran");
                    assert_turned_away(&name, caller, who, (&self.origin, path), &response);
                }
            }
        }
    }
}

/// An answer is whole, in the caller's language, and not for caches.
#[track_caller]
fn assert_turned_away(name: &str, caller: &Caller, who: Who, (origin, path): (&str, &str), response: &Response<Bytes>) {
    let is_allowed = who != Bob;
    let (status, kind, grpc) = if is_allowed { (401, "not_signed_in", "16") } else { (403, "not_allowed", "7") };
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
    let content_type = header("content-type");
    let found = response.status().as_u16();
    assert_eq!(header("cache-control"), Some("no-store"), "{name}");
    assert!(!response.headers().contains_key(FROM_THE_APP), "{name}");
    assert!(response.headers().keys().all(|header| !header.as_str().starts_with("access-control-")), "{name}");
    assert_eq!(response.headers().contains_key(LOCATION), caller.voice == Redirect && is_allowed, "{name}");
    assert_eq!(header("grpc-status"), (caller.voice == Grpc).then_some(grpc), "{name}");
    assert_only_over_is_deleted(name, who, response);
    let here = url::form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
    let here = if path == "/" { String::new() } else { format!("return_to={here}") };
    let query = |parts: &[&str]| {
        let parts: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        format!("/auth/login{}{}", if parts.is_empty() { "" } else { "?" }, parts.join("&"))
    };
    match caller.voice {
        Redirect if is_allowed => {
            assert_eq!((found, header("location")), (303, Some(query(&[&here]).as_str())), "{name}");
            assert_eq!((content_type, text(response)), (None, ""), "{name}");
        }
        Redirect | Page => {
            let here = if caller.voice == Redirect { here.as_str() } else { "" };
            let link = if is_allowed { query(&[here]) } else { query(&["prompt=select_account", here]) };
            let (link, body) = (format!("href=\"{}\"", link.replace('&', "&amp;")), text(response));
            assert_eq!((found, content_type), (status, Some("text/html; charset=utf-8")), "{name}");
            assert_eq!(code(response), kind, "{name}");
            assert!(body.contains(&link), "{name}: no {link} in {body}");
            let names_bob = body.contains(&Account::bob().bitbadges_address);
            let offers = body.contains("Use another account") && body.contains("href=\"/\">To the home page<");
            assert_eq!((names_bob, offers), (!is_allowed, !is_allowed), "{name}: {body}");
        }
        Problem => {
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!((found, content_type), (status, Some("application/problem+json")), "{name}");
            assert_eq!((&body["code"], &body["status"]), (&kind.into(), &status.into()), "{name}");
            let login = query(if is_allowed { &[] } else { &["prompt=select_account"] });
            assert_eq!(body["login_url"], format!("{origin}{login}"), "{name}");
            assert!(body["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{name}: {body}");
        }
        Grpc => {
            let asked = caller.headers.iter().find(|(name, _)| *name == CONTENT_TYPE.as_str());
            assert_eq!((found, content_type), (200, asked.map(|(_, value)| *value)), "{name}");
            assert_eq!((header("grpc-message"), text(response)), (Some(kind), ""), "{name}");
            // gRPC calls it Trailers-Only; in HTTP/1.1 there are no frames.
            let is_alone = response.extensions().get::<IsHeadersAlone>();
            assert!(is_alone.is_none_or(|alone| alone.0), "{name}: an empty DATA frame or trailers follow");
        }
        Preflight => assert_eq!((found, content_type, text(response)), (204, None, ""), "{name}"),
        Prefetch => {
            assert_eq!((found, content_type), (503, Some("application/problem+json")), "{name}");
            assert_eq!(code(response), "prefetch_refused", "{name}");
        }
    }
}

/// No answer to who is turned away carries a cookie, but for the end of a session that is over.
#[track_caller]
pub(crate) fn assert_only_over_is_deleted(name: &str, who: Who, response: &Response<Bytes>) {
    let cookies: Vec<_> =
        response.headers().get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect();
    let is_deletion =
        |cookie: &&str| cookie.starts_with("signin-") && cookie.contains("=; ") && cookie.contains("Max-Age=0");
    assert_eq!(cookies.len(), usize::from(who == Expired), "{name}: {cookies:?}");
    assert!(cookies.iter().all(is_deletion), "{name}: {cookies:?}");
    assert!(cookies.is_empty() || response.headers()[CACHE_CONTROL] == "no-store", "{name}");
}

const fn caller(
    name: &'static str,
    method: &'static str,
    headers: &'static [(&'static str, &'static str)],
    voice: Voice,
) -> Caller {
    Caller { name, method, headers, voice, wire: None }
}

impl Caller {
    pub(crate) fn request(&self, origin: &str, path: &str, cookie: Option<&str>) -> Request<Bytes> {
        let mut request = request(origin, self.method, path, self.headers, cookie);
        if self.method == "CONNECT" {
            request.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        request
    }
}

pub(crate) fn request(
    origin: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    cookie: Option<&str>,
) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(format!("{origin}{path}"));
    let cookie = cookie.map(|cookie| (COOKIE.as_str(), cookie));
    let headers = headers.iter().copied().chain(cookie);
    headers.fold(request, |request, (name, value)| request.header(name, value)).body(Bytes::new()).unwrap()
}

/// Whether an answer in HTTP/2 was one HEADERS frame with END_STREAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IsHeadersAlone(pub(crate) bool);

/// HTTP/1.1 on a connection per request, or h2c on one for all.
pub(crate) enum Wire {
    Http1,
    Http2(SendRequest<Full<Bytes>>),
}

impl Wire {
    pub(crate) async fn connect(version: Version, origin: &str) -> Self {
        if version == Version::HTTP_11 {
            return Self::Http1;
        }
        let port = origin.rsplit(':').next().unwrap().parse().unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let mut wire = Self::Http2(sender);
        // Whether the server takes CONNECT with a protocol is known once its first frame has come.
        wire.send(request(origin, "GET", "/auth/login", &[("sec-purpose", "prefetch")], None)).await;
        wire
    }

    fn version(&self) -> Version {
        match self {
            Self::Http1 => Version::HTTP_11,
            Self::Http2(_) => Version::HTTP_2,
        }
    }

    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        let Self::Http2(sender) = self else { return send(request).await.unwrap() };
        let is_head = request.method() == Method::HEAD;
        let (mut parts, body) = sender.send_request(request.map(Full::new)).await.unwrap().into_parts();
        parts.extensions.insert(IsHeadersAlone(body.is_end_stream()));
        // What a server wrongly adds to an answer to HEAD can't be read.
        let body = if is_head { Bytes::new() } else { body.collect().await.unwrap().to_bytes() };
        Response::from_parts(parts, body)
    }
}

/// hyper over HTTP/1.1 and h2c, WebSockets in both.
pub(crate) async fn serve<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>> + Clone + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}
