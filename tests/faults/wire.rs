//! What lies between the site and the provider, and what can become of a connection there.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::compression::{CompressionLayer, predicate::SizeAbove};

use crate::support::send;
use crate::tls::Certificates;

/// What becomes of a connection to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: every request is worked off and answered.
    None,
    /// Nothing listens.
    Refuses,
    /// Listens, and its queue is full.
    NeverAccepts,
    ClosesAtOnce,
    ResetsAtOnce,
    /// Reads everything and says nothing.
    NeverAnswers,
    /// A byte a second, from the first of the status line on.
    DripsAll,
    /// The same, from the first of the body on.
    DripsBody,
    /// Closes in the middle of an answer of a declared length.
    ClosesMidAnswer,
    ResetsMidAnswer,
    /// Works the request off, then resets in the middle of the answer.
    LosesAnswer,
    /// Answers the first request of each connection, reads the second and closes.
    ClosesKept,
    NotHttp,
    BinaryNoise,
    TwoLengths,
    GarbageJson,
    Empty,
    /// 50 MB of spaces before the right answer.
    Huge(Length),
    /// The right answer, in a coding that nobody asked for.
    Gzip,
    /// The same with 50 MB of spaces before it.
    GzipBomb,
    /// To another server, with the right answer as its body.
    Redirects(u16),
    /// The right answer as a page.
    WrongContentType,
    EndlessHeaders,
    EndlessInterim,
    /// Reads the request, works nothing off and waits.
    HoldsRequest,
    /// Works the request off and waits for [`Wire::release`] before it answers.
    HoldsAnswer,
    /// Takes the first words of TLS and says nothing.
    NeverShakesHands,
    /// Answers them in plain HTTP.
    NoTls,
    /// Shows one that must not be believed.
    Certificate(Certificate),
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    SelfSigned,
    UnknownAuthority,
    OtherName,
    Ended,
    NotYet,
}

/// How an answer says how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Declared,
    Chunked,
    UntilClose,
}

/// A place in front of the dev provider's API.
pub struct Wire {
    port: u16,
    scheme: &'static str,
    shared: Arc<Shared>,
    server: Mutex<JoinHandle<()>>,
}

struct Shared {
    dev: String,
    elsewhere: String,
    tls: Option<Certificates>,
    requests: Mutex<Vec<String>>,
    /// The last answer with tokens.
    tokens: Mutex<Bytes>,
    /// Connections that were taken.
    taken: AtomicUsize,
    worked_off: AtomicUsize,
    /// Answers that were written to their end.
    answered: AtomicUsize,
    sent: AtomicU64,
    release: Semaphore,
}

impl Wire {
    /// `elsewhere` is where redirects lead to.
    pub async fn start(dev: &str, elsewhere: &str, tls: Option<Certificates>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            dev: dev.to_owned(),
            elsewhere: elsewhere.to_owned(),
            tls,
            requests: Mutex::default(),
            tokens: Mutex::default(),
            taken: AtomicUsize::new(0),
            worked_off: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            release: Semaphore::new(0),
        });
        let server = Mutex::new(tokio::spawn(accept(listener, Fault::None, Arc::clone(&shared))));
        Self { port, scheme, shared, server }
    }

    pub fn origin(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// From now on this becomes of connections; those that are open are cut.
    pub async fn set(&self, fault: Fault) {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let before = std::mem::replace(&mut *self.server.lock().unwrap(), tokio::spawn(async {}));
        before.abort();
        let _ = before.await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let shared = Arc::clone(&self.shared);
        *self.server.lock().unwrap() = match fault {
            // The port stays taken, so that nobody else can listen there.
            Fault::Refuses => tokio::spawn(hold(socket)),
            Fault::NeverAccepts => {
                let listener = socket.listen(1).unwrap();
                // Linux takes one more than it was asked to.
                let queued = [0, 1].map(|_| std::net::TcpStream::connect(address).unwrap());
                tokio::spawn(hold((listener, queued)))
            }
            fault => tokio::spawn(accept(socket.listen(64).unwrap(), fault, shared)),
        };
    }

    /// The heads of the requests that came whole, with their bodies.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.shared.requests.lock().unwrap().clear();
        self.shared.sent.store(0, Ordering::SeqCst);
    }

    /// Whole requests, and connections that were taken.
    pub fn seen(&self) -> (usize, usize) {
        (self.shared.requests.lock().unwrap().len(), self.shared.taken.load(Ordering::SeqCst))
    }

    /// How many requests the dev provider has answered by way of this.
    pub fn worked_off(&self) -> usize {
        self.shared.worked_off.load(Ordering::SeqCst)
    }

    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Bytes of bodies that the site's system took.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// Lets one answer that is held go.
    pub fn release(&self) {
        self.shared.release.add_permits(1);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.lock().unwrap().abort();
    }
}

async fn hold<T>(held: T) {
    std::future::pending::<()>().await;
    drop(held);
}

async fn accept(listener: TcpListener, fault: Fault, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        shared.taken.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).unwrap();
        connections.spawn(connection(stream, fault, Arc::clone(&shared)));
    }
}

async fn connection(mut stream: TcpStream, fault: Fault, shared: Arc<Shared>) {
    match fault {
        Fault::ClosesAtOnce => return,
        Fault::ResetsAtOnce | Fault::ResetsMidAnswer | Fault::LosesAnswer => stream.set_zero_linger().unwrap(),
        _ => {}
    }
    if fault == Fault::ResetsAtOnce {
        return;
    }
    match &shared.tls {
        None => serve(&mut stream, fault, &shared).await,
        Some(_) if fault == Fault::NeverShakesHands => {
            let _ = stream.read(&mut [0; 1024]).await;
            shared.requests.lock().unwrap().push("a handshake".to_owned());
            hold(stream).await;
        }
        Some(_) if fault == Fault::NoTls => {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        }
        Some(tls) => {
            if let Ok(mut stream) = tls.acceptor(fault).accept(stream).await {
                serve(&mut stream, fault, &shared).await;
                let _ = stream.shutdown().await;
            }
        }
    }
}

/// Whoever goes away in the middle is no failure here.
async fn serve(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), fault: Fault, shared: &Shared) {
    let mut answered = 0;
    while let Some(request) = read(stream).await {
        let text = String::from_utf8(request.clone()).unwrap();
        shared.requests.lock().unwrap().push(text.clone());
        if fault == Fault::ClosesKept && answered > 0 {
            return;
        }
        if answer(stream, fault, shared, &text).await.is_err() {
            return;
        }
        answered += 1;
        shared.answered.fetch_add(1, Ordering::SeqCst);
        if fault != Fault::ClosesKept {
            return;
        }
    }
}

const JSON: &str = "application/json";
/// An answer that is begun and never comes to its end.
const BEGINNING: &str =
    "{\"address\":\"0x092bb4851ae26850588243e7bef22a56287f4739\",\"chain\":\"ETH\",\"bitbadgesAddress\":\"bb1";
const SIZE: usize = 50_000_000;
/// As many in gzip; what follows is a member of its own (RFC 1952 section 2.2).
static SPACES: OnceCell<Bytes> = OnceCell::const_new();

async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    fault: Fault,
    shared: &Shared,
    request: &str,
) -> std::io::Result<()> {
    let head = |rest: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: {JSON}\r\n{rest}\r\n");
    let whole = |kind: &str, rest: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n{rest}\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    match fault {
        Fault::None | Fault::ClosesKept | Fault::Certificate(_) => {
            let answer = work_off(shared, request).await;
            let connection = if fault == Fault::ClosesKept { "keep-alive" } else { "close" };
            let head = format!(
                "HTTP/1.1 {}\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\nconnection: {connection}\r\n\r\n",
                answer.status(),
                answer.body().len()
            );
            stream.write_all(&[head.as_bytes(), answer.body()].concat()).await?;
        }
        Fault::NeverAnswers | Fault::HoldsRequest => std::future::pending().await,
        Fault::HoldsAnswer => {
            let answer = work_off(shared, request).await;
            shared.release.acquire().await.unwrap().forget();
            stream.write_all(&whole(JSON, "", answer.body())).await?;
        }
        Fault::DripsAll => drip(stream, &whole(JSON, "", BEGINNING.as_bytes())).await?,
        Fault::DripsBody => {
            stream.write_all(head("content-length: 1000\r\n").as_bytes()).await?;
            drip(stream, &[b' '; 1000]).await?;
        }
        Fault::ClosesMidAnswer | Fault::ResetsMidAnswer => {
            stream.write_all(format!("{}{BEGINNING}", head("content-length: 1000\r\n")).as_bytes()).await?;
            stream.flush().await?;
        }
        Fault::LosesAnswer => {
            let answer = work_off(shared, request).await;
            let whole = whole(JSON, "", answer.body());
            stream.write_all(&whole[..whole.len() - 20]).await?;
        }
        Fault::NotHttp => stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").await?,
        Fault::BinaryNoise => stream.write_all(&[0, 255, 128, 13, 10, 13, 10].repeat(50)).await?,
        Fault::TwoLengths => {
            let body = right_answer(shared, request).await;
            let lengths = format!("content-length: {}\r\ncontent-length: 2\r\n", body.len());
            stream.write_all(&[head(&lengths).as_bytes(), &body].concat()).await?;
        }
        Fault::GarbageJson => stream.write_all(&whole(JSON, "", b"{\"address\":\xff\xfe,}]")).await?,
        Fault::Empty => stream.write_all(&whole(JSON, "", b"")).await?,
        Fault::Huge(length) => flood(stream, length, shared, request).await?,
        Fault::Gzip => {
            let body = gzip(right_answer(shared, request).await).await;
            stream.write_all(&whole(JSON, "content-encoding: gzip\r\n", &body)).await?;
        }
        Fault::GzipBomb => {
            let body = right_answer(shared, request).await;
            let spaces = SPACES.get_or_init(|| gzip(b" ".repeat(SIZE).into())).await;
            let body = [&spaces[..], &gzip(body).await].concat();
            stream.write_all(&whole(JSON, "content-encoding: gzip\r\n", &body)).await?;
        }
        Fault::Redirects(status) => {
            let body = right_answer(shared, request).await;
            let whole = String::from_utf8(whole(JSON, "", &body)).unwrap();
            let path = request.split(' ').nth(1).unwrap();
            let location = format!("{status} Elsewhere\r\nlocation: {}{path}", shared.elsewhere);
            stream.write_all(whole.replacen("200 OK", &location, 1).as_bytes()).await?;
        }
        Fault::WrongContentType => {
            let body = work_off(shared, request).await.into_body();
            stream.write_all(&whole("text/html", "", &body)).await?;
        }
        Fault::EndlessHeaders => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream.write_all("x-more: and more\r\n".repeat(100).as_bytes()).await?;
            }
        }
        // In bursts: somebody who never stops to breathe would never let the test's clock jump.
        Fault::EndlessInterim => loop {
            stream.write_all("HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n".repeat(100).as_bytes()).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        },
        Fault::Refuses
        | Fault::NeverAccepts
        | Fault::ClosesAtOnce
        | Fault::ResetsAtOnce
        | Fault::NeverShakesHands
        | Fault::NoTls => unreachable!("{fault:?} reads no request"),
    }
    stream.flush().await
}

/// One request with its head and body; `None` where there is no more.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        let end = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4);
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if request.len() >= end + length.unwrap_or(0) {
                return Some(request);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// Has the dev provider answer.
async fn work_off(shared: &Shared, request: &str) -> Response<Bytes> {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let mut onward = Request::builder()
        .method(first.next().unwrap())
        .uri(format!("{}{}", shared.dev, first.next().unwrap()))
        .body(Bytes::from(body.to_owned()))
        .unwrap();
    for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
        let name: http::HeaderName = name.parse().unwrap();
        if ![HOST, CONNECTION, CONTENT_LENGTH].contains(&name) {
            onward.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    let answer = send(onward).await.unwrap();
    assert!(answer.headers()[CONTENT_TYPE].to_str().unwrap().starts_with(JSON));
    shared.worked_off.fetch_add(1, Ordering::SeqCst);
    if answer.body().starts_with(b"{\"") && answer.body().windows(15).any(|bytes| bytes == b"\"refresh_token\"") {
        *shared.tokens.lock().unwrap() = answer.body().clone();
    }
    answer
}

/// The right answer by its looks. A refresh is not worked off for it, or the pair that the site has would be dead.
async fn right_answer(shared: &Shared, request: &str) -> Bytes {
    if request.contains("\"grant_type\":\"refresh_token\"") {
        return shared.tokens.lock().unwrap().clone();
    }
    work_off(shared, request).await.into_body()
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        stream.flush().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

async fn flood(
    stream: &mut (impl AsyncWrite + Unpin),
    length: Length,
    shared: &Shared,
    request: &str,
) -> std::io::Result<()> {
    let tail = right_answer(shared, request).await;
    let size = SIZE + tail.len();
    let framing = match length {
        Length::Declared => format!("content-length: {size}\r\n"),
        Length::Chunked => "transfer-encoding: chunked\r\n".to_owned(),
        Length::UntilClose => String::new(),
    };
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}connection: close\r\n\r\n").as_bytes()).await?;
    let spaces = vec![b' '; 50_000];
    for part in std::iter::repeat_n(&spaces[..], SIZE / spaces.len()).chain([&tail[..]]) {
        if length == Length::Chunked {
            stream.write_all(format!("{:x}\r\n", part.len()).as_bytes()).await?;
        }
        stream.write_all(part).await?;
        if length == Length::Chunked {
            stream.write_all(b"\r\n").await?;
        }
        shared.sent.fetch_add(part.len() as u64, Ordering::SeqCst);
    }
    if length == Length::Chunked {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}

async fn gzip(body: Bytes) -> Bytes {
    let service = service_fn(move |_: Request<()>| {
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::new(Full::new(body.clone()))))
    });
    let request = Request::builder().header("accept-encoding", "gzip").body(()).unwrap();
    let answer =
        CompressionLayer::new().compress_when(SizeAbove::new(0)).layer(service).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    answer.into_body().collect().await.unwrap().to_bytes()
}
