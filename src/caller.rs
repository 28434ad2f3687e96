//! In which language a caller can be told no: a pure function of a request's head.

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, CONNECTION, CONTENT_TYPE, HeaderName, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};

use crate::respond::{Audience, SEC_FETCH_DEST};
use crate::route::is_prefetch;

/// Who is being turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A browser asking whether another site may ask (Fetch standard, "CORS-preflight fetch"). It carries no cookies, and
    /// what it asks for must not run.
    Preflight,
    /// A browser loading a page before anybody clicks.
    Prefetch,
    /// A gRPC or gRPC-Web client, with the content type it speaks.
    Grpc(HeaderValue),
    /// A WebSocket or another upgrade; nobody could see a page.
    Upgrade,
    /// A person opening a page in a window of its own, by GET: they can be sent elsewhere and back.
    Navigation,
    /// A page for a person, or a problem for a program.
    Other(Audience),
}

static X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

impl Caller {
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if is_preflight(method, headers) {
            Self::Preflight
        } else if let Some(content_type) = grpc(method, headers) {
            Self::Grpc(content_type)
        } else if is_prefetch(headers) {
            Self::Prefetch
        } else if is_upgrade(headers) || method == Method::CONNECT {
            // HTTP/2 has CONNECT with a protocol where HTTP/1.1 upgrades (RFC 8441).
            Self::Upgrade
        } else if headers.get(&X_REQUESTED_WITH).is_some_and(|value| value == "XMLHttpRequest") {
            Self::Other(Audience::Program)
        } else if is_page(method, headers) {
            Self::Navigation
        } else {
            Self::Other(Audience::of(headers))
        }
    }
}

pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// `Upgrade` counts only where `Connection` names it (RFC 9110 section 7.8). `h2c` asks for no more than another version
/// of HTTP, which a client takes as an offer that nobody need take.
fn is_upgrade(headers: &HeaderMap) -> bool {
    let tokens = headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    headers.get_all(UPGRADE).iter().any(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
        && tokens.into_iter().any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

/// Whether a person opens this address in a window of its own, so that it is a place to come back to. A frame is none:
/// nobody can sign in there. `empty` is what Firefox once sent for navigations that a service worker preloads.
pub(crate) fn is_page(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET
        && Audience::of(headers) == Audience::Person
        && headers.get(&SEC_FETCH_DEST).is_none_or(|destination| destination == "document" || destination == "empty")
}

/// The content type of a gRPC request, which the answer repeats without parameters. gRPC knows no method but POST, and
/// whoever else names its content type must not be answered 200: a proxy may ask a guarded address whether to let somebody
/// through.
fn grpc(method: &Method, headers: &HeaderMap) -> Option<HeaderValue> {
    const PREFIX: &[u8] = b"application/grpc";
    let content_type = headers.get(CONTENT_TYPE).filter(|_| method == Method::POST)?.as_bytes();
    let (start, rest) = content_type.split_at_checked(PREFIX.len())?;
    let is_grpc = start.eq_ignore_ascii_case(PREFIX) && matches!(rest.first(), None | Some(b'+' | b';' | b'-'));
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/+-._".contains(byte);
    let length = content_type.iter().take_while(|byte| is_plain(byte)).count();
    is_grpc.then(|| HeaderValue::from_bytes(content_type.get(..length)?).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_callers_apart() {
        let grpc = |text: &'static str| Caller::Grpc(HeaderValue::from_static(text));
        let (person, program) = (Caller::Other(Audience::Person), Caller::Other(Audience::Program));
        let page = Caller::Navigation;
        let cases: &[(&str, &str, &[(&'static str, &'static str)], Caller)] = &[
            ("a navigation", "GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], page.clone()),
            ("one preloaded", "GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "empty")], page.clone()),
            ("a browser of few words", "GET", &[("sec-fetch-mode", "navigate")], page.clone()),
            ("an old browser", "GET", &[("accept", "text/html")], page.clone()),
            ("a frame", "GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], person.clone()),
            ("a form", "POST", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], person.clone()),
            ("an old browser's form", "POST", &[("accept", "text/html")], person.clone()),
            ("the head of a page", "HEAD", &[("accept", "text/html")], person),
            ("an image", "GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], program.clone()),
            ("a fetch", "GET", &[("sec-fetch-mode", "cors"), ("accept", "text/html")], program.clone()),
            ("an XHR", "GET", &[("x-requested-with", "XMLHttpRequest"), ("accept", "text/html")], program.clone()),
            ("an EventSource", "GET", &[("accept", "text/event-stream")], program.clone()),
            ("curl", "GET", &[("accept", "*/*")], program.clone()),
            ("nothing said", "TRACE", &[], program.clone()),
            ("gRPC", "POST", &[("content-type", "application/grpc")], grpc("application/grpc")),
            (
                "gRPC with a codec",
                "POST",
                &[("content-type", "application/grpc+proto")],
                grpc("application/grpc+proto"),
            ),
            ("gRPC in capitals", "POST", &[("content-type", "Application/gRPC")], grpc("Application/gRPC")),
            ("gRPC-Web", "POST", &[("content-type", "application/grpc-web")], grpc("application/grpc-web")),
            ("gRPC and more", "POST", &[("content-type", "application/grpc;x, text/html")], grpc("application/grpc")),
            (
                "gRPC-Web as text",
                "POST",
                &[("content-type", "application/grpc-web-text+proto"), ("accept", "text/html")],
                grpc("application/grpc-web-text+proto"),
            ),
            ("gRPC by another method", "GET", &[("content-type", "application/grpc")], program.clone()),
            ("not gRPC", "POST", &[("content-type", "application/grpcish")], program.clone()),
            (
                "a WebSocket",
                "GET",
                &[("upgrade", "websocket"), ("connection", "keep-alive, Upgrade"), ("sec-fetch-mode", "websocket")],
                Caller::Upgrade,
            ),
            (
                "a WebSocket of few words",
                "GET",
                &[("upgrade", "websocket"), ("connection", "upgrade")],
                Caller::Upgrade,
            ),
            ("an upgrade not named", "GET", &[("upgrade", "websocket"), ("accept", "text/html")], page.clone()),
            (
                "HTTP/2 in clear",
                "GET",
                &[("upgrade", "H2C"), ("connection", "upgrade, http2-settings"), ("accept", "text/html")],
                page.clone(),
            ),
            ("a WebSocket over HTTP/2", "CONNECT", &[], Caller::Upgrade),
            ("a preflight", "OPTIONS", &[("access-control-request-method", "PUT")], Caller::Preflight),
            (
                "a preflight for gRPC-Web",
                "OPTIONS",
                &[("access-control-request-method", "POST"), ("access-control-request-headers", "content-type")],
                Caller::Preflight,
            ),
            ("another OPTIONS", "OPTIONS", &[], program.clone()),
            ("a GET that claims to be a preflight", "GET", &[("access-control-request-method", "PUT")], program),
            ("a prefetch", "GET", &[("sec-purpose", "prefetch"), ("sec-fetch-mode", "navigate")], Caller::Prefetch),
            ("a prerender", "GET", &[("sec-purpose", "prefetch;prerender")], Caller::Prefetch),
            ("an older prefetch", "GET", &[("purpose", "prefetch")], Caller::Prefetch),
            ("a router's prefetch", "GET", &[("next-router-prefetch", "1")], Caller::Prefetch),
        ];
        for (name, method, headers, expected) in cases {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let headers =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            assert_eq!(&Caller::of(&method, &headers.collect()), expected, "{name}");
        }
    }
}
