//! Signed-in requests beside callbacks that wait for a slow provider.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{COOKIE, HOST, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::{Layer as _, service_fn};
use tower_signin::dev::{API_KEY, Account, CLIENT_ID, CLIENT_SECRET, DevProvider};
use tower_signin::{Identity, Keys, SignIn, Siwbb};

use crate::provider;
use crate::visit::callback;

const PROVIDER_TAKES: Duration = Duration::from_millis(300);
/// Browsers that wait at the callback.
const BROWSERS: usize = 500;
/// Of one sign-in, as many clicks as keep the sign-ins below the 64 that run at once.
const CLICKS: usize = 8;

const SLOW_PAGE: &str = "/slow";
/// How often a browser of the crowd comes, which is more often than a window has time for.
const ROUNDS: usize = 8;

/// Pairs of windows, and how long each is.
const PAIRS: usize = 8;
const WINDOW: Duration = Duration::from_secs(1);
/// Connections of signed-in people, and the time between two requests on each.
const CONNECTIONS: usize = 4;
const BETWEEN_REQUESTS: Duration = Duration::from_millis(2);

pub(crate) fn table() {
    let site = Site::new();
    println!("{:<24} {:>9} {:>12} {:>12} {:>7}", "p99", "in flight", "idle us", "loaded us", "ratio");
    site.row("500 at a slow page", Crowds::SlowPage);
    site.row("500, eight clicks each", Crowds::Callbacks { clicks: CLICKS });
    site.row("500 sign-ins", Crowds::Callbacks { clicks: 1 });
}

/// What the browsers of a crowd come for.
#[derive(Clone, Copy)]
enum Crowds {
    /// A page of the app that takes as long as the provider.
    SlowPage,
    /// The end of a sign-in, of which so many browsers click at once.
    Callbacks { clicks: usize },
}

/// A server with the layer, on two threads of its own.
struct Site {
    address: SocketAddr,
    sign_in: SignIn,
    bitbadges: DevProvider,
    cookie: String,
    runtime: Runtime,
}

impl Site {
    fn new() -> Self {
        let slow = provider::start(None, PROVIDER_TAKES);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let bitbadges = runtime.block_on(DevProvider::start()).unwrap();
        let provider = Siwbb::new(CLIENT_ID, CLIENT_SECRET, API_KEY).base_urls(bitbadges.origin(), slow);
        let sign_in = SignIn::builder(provider)
            .redirect_uri("http://localhost:3000/auth/callback")
            .keys(Keys::generate().unwrap())
            .build()
            .unwrap();
        let cookie = bitbadges.signed_in_cookie(&sign_in, &Account::alice()).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, sign_in.clone()));
        Self { address, sign_in, bitbadges, cookie, runtime }
    }

    fn row(&self, name: &str, crowds: Crowds) {
        let (mut idle, mut loaded, mut ratios, mut in_flight) = (f64::MAX, f64::MAX, Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let alone = self.window();
            let crowd = self.crowd(crowds);
            let beside = self.window();
            in_flight.push(crowd.in_flight());
            crowd.end();
            idle = idle.min(alone);
            loaded = loaded.min(beside);
            ratios.push(beside / alone);
        }
        ratios.sort_by(f64::total_cmp);
        in_flight.sort_unstable();
        let (in_flight, ratio) = (in_flight[PAIRS / 2], ratios[PAIRS / 2]);
        println!("{name:<24} {in_flight:>9} {idle:>12.0} {loaded:>12.0} {ratio:>7.2}");
    }

    /// The 99th percentile in microseconds, from a client in a thread of its own.
    fn window(&self) -> f64 {
        let (address, cookie) = (self.address, self.cookie.clone());
        let client = thread::spawn(move || {
            on_this_thread(async move {
                let mut connections = JoinSet::new();
                for _ in 0..CONNECTIONS {
                    connections.spawn(visit(address, cookie.clone()));
                }
                connections.join_all().await.concat()
            })
        });
        let mut latencies = client.join().unwrap();
        latencies.sort_unstable();
        latencies[latencies.len() * 99 / 100].as_secs_f64() * 1e6
    }

    /// Begins enough sign-ins for a window, and has the browsers come back from the provider, evenly spread over the time
    /// that it takes to answer.
    fn crowd(&self, crowds: Crowds) -> Crowd {
        let clicks = match crowds {
            Crowds::SlowPage => 1,
            Crowds::Callbacks { clicks } => clicks,
        };
        let groups = BROWSERS.div_ceil(clicks);
        let requests: Vec<Vec<_>> = (0..groups).map(|_| (0..ROUNDS).map(|_| self.request(crowds)).collect()).collect();
        let counts = Arc::new(Counts::default());
        let (address, of_thread) = (self.address, Arc::clone(&counts));
        let thread = thread::spawn(move || {
            on_this_thread(async move {
                let mut browsers = JoinSet::new();
                for browser in 0..BROWSERS {
                    let group = browser / clicks;
                    let requests = requests[group].clone();
                    let begins_after = PROVIDER_TAKES * u32::try_from(group).unwrap() / u32::try_from(groups).unwrap();
                    browsers.spawn(come_back(address, requests, begins_after, Arc::clone(&of_thread)));
                }
                browsers.join_all().await;
            });
        });
        // Half a second is enough for all to have come, and for the first answers.
        thread::sleep(PROVIDER_TAKES + Duration::from_millis(200));
        Crowd { counts, thread }
    }

    fn request(&self, crowds: Crowds) -> Request<()> {
        if let Crowds::SlowPage = crowds {
            return Request::get(SLOW_PAGE).body(()).unwrap();
        }
        let page = service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(()))));
        self.runtime.block_on(callback(&mut self.sign_in.layer().layer(page), &self.bitbadges))
    }
}

struct Crowd {
    counts: Arc<Counts>,
    thread: thread::JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    is_over: AtomicBool,
    in_flight: AtomicUsize,
    answered: AtomicUsize,
}

impl Crowd {
    fn in_flight(&self) -> usize {
        self.counts.in_flight.load(Ordering::Relaxed)
    }

    fn end(self) {
        self.counts.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        // Proves that they were answered all the time.
        let answered = self.counts.answered.load(Ordering::Relaxed);
        assert!(answered > 128, "{answered} of the crowd got what they came for");
    }
}

async fn serve(listener: TcpListener, sign_in: SignIn) {
    let service = sign_in.layer().layer(service_fn(|request: Request<Incoming>| async move {
        if request.uri().path() == SLOW_PAGE {
            sleep(PROVIDER_TAKES).await;
        }
        let subject = request.extensions().get::<Identity>().map_or("", Identity::subject);
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(subject.to_owned()))))
    }));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

/// Asks for a page again and again, and gives the latencies.
async fn visit(address: SocketAddr, cookie: String) -> Vec<Duration> {
    let mut connection = connect(address).await;
    let alice = Account::alice().bitbadges_address;
    let mut latencies = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < WINDOW {
        let request = Request::get("/page").header(HOST, "localhost:3000").header(COOKIE, &cookie);
        let start = Instant::now();
        let response = connection.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        latencies.push(start.elapsed());
        assert_eq!(body, alice);
        sleep(BETWEEN_REQUESTS).await;
    }
    latencies
}

/// Comes with one request after the other, and again after a while where that is asked for.
async fn come_back(address: SocketAddr, requests: Vec<Request<()>>, begins_after: Duration, counts: Arc<Counts>) {
    let mut connection = connect(address).await;
    sleep(begins_after).await;
    for request in requests {
        loop {
            if counts.is_over.load(Ordering::Relaxed) {
                return;
            }
            counts.in_flight.fetch_add(1, Ordering::Relaxed);
            let (status, headers) = send(&mut connection, &request).await;
            counts.in_flight.fetch_sub(1, Ordering::Relaxed);
            if status == 503 {
                let seconds = headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
                wait(Duration::from_secs(seconds), &counts).await;
                continue;
            }
            let is_page = status == 200 && request.uri() == SLOW_PAGE;
            assert!(is_page || status == 303 && headers[LOCATION] == "/me", "{status}");
            counts.answered.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
}

/// Waits, but not beyond the window.
async fn wait(time: Duration, counts: &Counts) {
    let begin = Instant::now();
    while begin.elapsed() < time && !counts.is_over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn send(connection: &mut SendRequest<Empty<Bytes>>, asked: &Request<()>) -> (u16, HeaderMap) {
    let path = asked.uri().path_and_query().unwrap().as_str();
    let mut request = Request::get(path).header(HOST, "localhost:3000").body(Empty::new()).unwrap();
    request.headers_mut().extend(asked.headers().clone());
    let (parts, body) = connection.send_request(request).await.unwrap().into_parts();
    body.collect().await.unwrap();
    (parts.status.as_u16(), parts.headers)
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn on_this_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}
