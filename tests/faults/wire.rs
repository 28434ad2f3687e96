//! What lies between the site and the provider, and what can become of a connection there.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::answers::answer;
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

pub struct Shared {
    pub dev: String,
    pub elsewhere: String,
    tls: Option<Certificates>,
    requests: Mutex<Vec<String>>,
    /// The last answer with tokens.
    pub tokens: Mutex<Bytes>,
    /// Connections that were taken.
    taken: AtomicUsize,
    pub worked_off: AtomicUsize,
    /// Answers that were written to their end.
    answered: AtomicUsize,
    pub sent: AtomicU64,
    pub release: Semaphore,
}

impl Wire {
    /// `elsewhere` is where redirects lead to.
    pub async fn start(dev: &str, elsewhere: &str, tls: Option<Certificates>) -> Self {
        let listener = listen().await;
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
        let shared = Arc::clone(&self.shared);
        *self.server.lock().unwrap() = match fault {
            // The port stays taken, so that nobody else can listen there.
            Fault::Refuses => tokio::spawn(hold(at(address, Ok).await)),
            Fault::NeverAccepts => {
                let listener = at(address, |socket| socket.listen(1)).await;
                // Linux takes one more than it was asked to.
                let queued = [0, 1].map(|_| std::net::TcpStream::connect(address).unwrap());
                tokio::spawn(hold((listener, queued)))
            }
            fault => tokio::spawn(accept(at(address, |socket| socket.listen(64)).await, fault, shared)),
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

/// On a port that can be taken again later: the system gives those above 10,000 to whoever asks for any.
pub async fn listen() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 5_000 + u16::try_from(std::process::id() % 20).unwrap() * 250;
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::SeqCst) % 250;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
}

/// Takes a port that this process had before. Another test's child has it too between its fork and its exec.
async fn at<T>(address: SocketAddr, begin: impl Fn(TcpSocket) -> io::Result<T>) -> T {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        match socket.bind(address).and_then(|()| begin(socket)) {
            Ok(taken) => return taken,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse),
        }
        tokio::task::yield_now().await;
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
