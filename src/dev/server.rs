use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::RecordedRequest;
use super::body::DevBody;
use super::payload::{TEXT, respond};

/// What is served.
pub(super) trait Site: Send + Sync + 'static {
    /// Answers a request whose body was read, or `refused` with this status and left empty. An error closes the connection
    /// without an answer.
    fn answer(
        &self,
        request: RecordedRequest,
        refused: Option<StatusCode>,
    ) -> impl Future<Output = io::Result<Response<DevBody>>> + Send;
}

/// Accepts until it is dropped, and every open connection goes with it.
pub(super) async fn run<S: Site>(listener: TcpListener, site: Arc<S>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, Arc::clone(&site)));
            }
            Err(error) => {
                // Out of file descriptors, most likely: trying again at once would only spin.
                tracing::warn!(%error, "the dev provider could not accept a connection");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve<S: Site>(stream: TcpStream, site: Arc<S>) {
    // A drip is one byte at a time on the wire only without Nagle's algorithm.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&site), request));
    let served = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the dev provider ended early");
    }
}

async fn handle<S: Site>(site: Arc<S>, request: Request<Incoming>) -> io::Result<Response<DevBody>> {
    if !is_for_this_machine(&request) {
        let text = Bytes::from_static(b"The dev provider answers on localhost only.\n");
        return Ok(respond(StatusCode::MISDIRECTED_REQUEST, TEXT, text));
    }
    let (parts, body) = request.into_parts();
    let mut request = RecordedRequest {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body: Bytes::new(),
    };
    tracing::debug!(method = %request.method, path = request.path, "dev provider request");
    let refused = match read(body).await {
        Ok(body) => {
            request.body = body;
            None
        }
        Err(ReadError::Refused(status)) => Some(status),
        Err(ReadError::Gone) => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    site.answer(request, refused).await
}

/// A page elsewhere that has its name resolve to this machine (DNS rebinding) still sends its own
/// name as the Host.
fn is_for_this_machine(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let target = request.uri().authority().map(http::uri::Authority::as_str);
    host.to_str().is_ok_and(is_loopback_authority) && target.is_none_or(is_loopback_authority)
}

fn is_loopback_authority(authority: &str) -> bool {
    let authority = authority.to_ascii_lowercase();
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        authority.strip_prefix(name).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
        })
    })
}

enum ReadError {
    Refused(StatusCode),
    Gone,
}

async fn read(body: Incoming) -> Result<Bytes, ReadError> {
    match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ReadError::Refused(StatusCode::PAYLOAD_TOO_LARGE)),
        Ok(Err(_)) => Err(ReadError::Gone),
        Err(_) => Err(ReadError::Refused(StatusCode::REQUEST_TIMEOUT)),
    }
}

const MAX_BODY: usize = 64 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (host, ours) in [
            ("localhost", true),
            ("LocalHost:3001", true),
            ("127.0.0.1:80", true),
            ("[::1]:3001", true),
            ("[::1]", true),
            ("localhost:", false),
            ("localhost:99999", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:80", false),
            ("user@localhost", false),
            ("evil.example", false),
            ("::1", false),
            ("", false),
        ] {
            assert_eq!(is_loopback_authority(host), ours, "{host}");
        }
    }
}
