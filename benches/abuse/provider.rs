//! The provider: the stand-in for BitBadges, with trouble in front of its API.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower_signin::dev::{Account, DevProvider};
use url::Url;

use crate::report::{Fault, Report};
use crate::support::send;

/// What becomes of the exchange of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The right answer after half a second.
    Slow,
    Error,
    Busy,
    Garbage,
    Closes,
    Hangs,
}

pub(crate) struct Provider {
    pub(crate) dev: DevProvider,
    /// Where the site finds the API.
    pub(crate) api: String,
    /// The codes that may come, each once.
    due: Arc<Mutex<HashMap<String, Trouble>>>,
    exchanges: Arc<AtomicU64>,
}

impl Provider {
    pub(crate) async fn start(report: &Arc<Report>) -> Self {
        let dev = DevProvider::start().await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let api = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (due, exchanges) = (Arc::default(), Arc::default());
        let desk = Desk {
            dev: dev.origin().to_owned(),
            due: Arc::clone(&due),
            exchanges: Arc::clone(&exchanges),
            report: Arc::clone(report),
        };
        tokio::spawn(accept(listener, Arc::new(desk)));
        Self { dev, api, due, exchanges }
    }

    /// How many codes the site has come with.
    pub(crate) fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::SeqCst)
    }

    /// A person approves, and goes back to this address. The site may exchange the code.
    pub(crate) fn approve(&self, authorization_url: &str, account: &Account, trouble: Trouble) -> String {
        let callback = self.approve_unexpected(authorization_url, account);
        self.due.lock().unwrap().insert(code_of(&callback), trouble);
        callback
    }

    /// The same, where the site must not exchange the code.
    pub(crate) fn approve_unexpected(&self, authorization_url: &str, account: &Account) -> String {
        self.dev.approve(authorization_url, account).unwrap()
    }
}

fn code_of(callback: &str) -> String {
    let url = Url::parse(callback).unwrap();
    url.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

struct Desk {
    dev: String,
    due: Arc<Mutex<HashMap<String, Trouble>>>,
    exchanges: Arc<AtomicU64>,
    report: Arc<Report>,
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let desk = Arc::clone(&desk);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(Arc::clone(&desk), request));
            // The site's client may go away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(desk: Arc<Desk>, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    desk.exchanges.fetch_add(1, Ordering::SeqCst);
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let fields: serde_json::Value = serde_json::from_slice(&body)?;
    let code = fields["code"].as_str().unwrap_or_default();
    let Some(trouble) = desk.due.lock().unwrap().remove(code) else {
        desk.report
            .fault(Fault::ForgedAccepted, format!("{} is asked for a code that must not come, or came", parts.uri));
        return Ok(plain(400, "{}"));
    };
    match trouble {
        Trouble::None => {}
        Trouble::Slow => tokio::time::sleep(Duration::from_millis(500)).await,
        Trouble::Error => return Ok(plain(500, "{}")),
        Trouble::Busy => return Ok(plain(429, "{}")),
        Trouble::Garbage => return Ok(plain(200, "<html>Just a moment</html>")),
        Trouble::Closes => return Err(io::ErrorKind::ConnectionReset.into()),
        Trouble::Hangs => pending().await,
    }
    parts.uri = format!("{}{}", desk.dev, parts.uri.path()).parse::<Uri>().map_err(io::Error::other)?;
    parts.headers.remove(HOST);
    let response = send(Request::from_parts(parts, body)).await.map_err(io::Error::other)?;
    Ok(response.map(Full::new))
}

fn plain(status: u16, body: &'static str) -> Response<Full<Bytes>> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}
