//! What is left of secrets in this process's memory once they are dropped: of ours, nothing.
//!
//! `cargo test --test wiped -- --nocapture` prints how often each is found while it is in use and afterwards, also with the
//! default HTTP client, whose buffers are not ours to wipe.
//!
//! What was given back and allotted anew is not found, so this shows what lasts: small copies that live for a moment are the
//! matter of the types, and of the unit tests that hold them to `ZeroizeOnDrop`.
//!
//! Each is met while it is in use, so that the net is known to have no hole. Two are not: the ring's key as text, which is
//! gone before `Keys::from_file` returns, and of the keys that are derived those of counts, sign-out pages and records, which
//! lie beside the three that are. What the default client and its TLS leave is counted, and not held to anything. Identities
//! are no secrets here: neither claims nor an application's data are looked for, nor what a seal holds besides.

#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::print_stdout, reason = "tests; what is printed is there to be read")]

use std::convert::Infallible;
use std::fs::{self, File};
use std::future::ready;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use memchr::memchr_iter;
use secrecy::zeroize::Zeroizing;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_signin::{BoxFuture, Clock, HttpClient, HttpError, Keys, ManualClock, SignIn, Siwbb, Tokens};

// What is constant lies in memory that can't be written, where nothing is looked for.
const CLIENT_SECRET: &str = "canary-client-secret-5b1f9d37c2a84e60";
const API_KEY: &str = "canary-api-key-8e0c64b1f7d2593ab1c9e7d0";
const CODE: &str = "9c1f4e2b7a6d5c4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e";
const RING_KEY: &str = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k";
const RING_KEY_BYTES: [u8; 32] = [
    0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89,
];
const ACCESS: [&str; 2] = ["canary-access-first-3f7a1d9be82c4650", "canary-access-second-94c2e7f10bd8a635"];
const REFRESH: [&str; 2] = ["canary-refresh-first-c81b5e0d72f94a36", "canary-refresh-second-6da03f8e17b4c925"];

const FIRST: &str = r#"{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH",
    "bitbadgesAddress":"bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue","verificationResponse":{"success":true},
    "access_token":"canary-access-first-3f7a1d9be82c4650","access_token_expires_at":"1788825600000","token_type":"Bearer",
    "refresh_token":"canary-refresh-first-c81b5e0d72f94a36","refresh_token_expires_at":"1893456000000"}"#;
const SECOND: &str = r#"{"address":"0x092bb4851ae26850588243e7bef22a56287f4739","chain":"ETH",
    "bitbadgesAddress":"bb1py4mfpg6uf59qkyzg0nmau322c5873eeysp5ue",
    "access_token":"canary-access-second-94c2e7f10bd8a635","access_token_expires_at":"1788912000000","token_type":"Bearer",
    "refresh_token":"canary-refresh-second-6da03f8e17b4c925","refresh_token_expires_at":"1893456000000"}"#;
/// 2026-09-06T00:00Z, a day before the first access token ends.
const NOW: u64 = 1_788_739_200;

/// The ends of keys that are derived of the ring's, by HKDF-SHA256 as `src/seal.rs` does, for the redirect URI below.
const FLOW_KEY: [u8; 16] =
    [0xbe, 0xa8, 0x18, 0xf8, 0x6c, 0x45, 0xb0, 0xfb, 0x12, 0x27, 0xc9, 0xce, 0x68, 0xe4, 0x73, 0x81];
const SESSION_KEY: [u8; 16] =
    [0x65, 0x5a, 0x89, 0xaa, 0xd9, 0xb5, 0xdb, 0xb0, 0x0e, 0x14, 0x50, 0x8e, 0x17, 0xd8, 0x98, 0xd7];
const TOKENS_KEY: [u8; 16] =
    [0xc9, 0x79, 0xb6, 0xca, 0xee, 0x19, 0xe3, 0x39, 0x57, 0x14, 0xf3, 0x03, 0xda, 0x87, 0x43, 0xcc];
const REDIRECT_URI: &str = "http://localhost:3000/auth/callback";

/// Its own test binary has this test alone: what others hold would be found here.
#[test]
fn no_secret_of_ours_is_left_once_it_is_dropped() {
    let ours = life(Client::Own);
    let over_sockets = life(Client::Default);
    println!("{:<28} {:>22} {:>22}", "copies: in use, afterwards", "a client of one's own", "the default client");
    for (one, other) in ours.iter().zip(&over_sockets) {
        println!("{:<28} {:>11}, {:>9} {:>11}, {:>9}", one.name, one.in_use, one.left, other.in_use, other.left);
    }
    for one in &ours {
        assert!(one.in_use > 0 || !one.is_met, "the net has a hole: {} was not found while it was in use", one.name);
        assert_eq!(one.left, 0, "{} is left", one.name);
    }
    for other in over_sockets.iter().filter(|secret| !secret.is_sent) {
        assert_eq!(other.left, 0, "{} is left, and was never sent", other.name);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Client {
    /// Wipes what it gets, as the crate asks for nothing else.
    Own,
    /// The one that comes along, over a socket.
    Default,
}

/// A sign-in, a page, a refresh and a sign-out, with looks into the memory on the way, and one after all of that is dropped.
fn life(client: Client) -> Vec<Secret> {
    let watch = Watch::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let address = serve(&requests, &watch);
    let file = std::env::temp_dir().join(format!("tower-signin-wiped-{}", std::process::id()));
    fs::write(&file, RING_KEY).unwrap();
    let clock = Arc::new(Looking {
        clock: ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)),
        watch: watch.clone(),
        is_on: AtomicBool::new(false),
    });
    let builder = SignIn::builder(Siwbb::new("id", CLIENT_SECRET, API_KEY).base_urls(&address, &address))
        .redirect_uri(REDIRECT_URI)
        .keys(Keys::from_file(&file).unwrap())
        .keep_tokens()
        .session_lifetime(Duration::from_secs(30 * 86_400))
        .clock(Arc::clone(&clock));
    fs::remove_file(&file).unwrap();
    let builder = match client {
        Client::Own => builder.http_client(Own(Arc::clone(&requests), watch.clone())),
        Client::Default => builder,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    watch.look();
    let sign_in = builder.build().unwrap();
    runtime.block_on(visit(&sign_in, &clock, &watch, &requests));
    watch.look();
    drop((sign_in, runtime));
    watch.left()
}

async fn visit(sign_in: &SignIn, clock: &Looking, watch: &Watch, requests: &AtomicUsize) {
    let service = sign_in.layer().layer(service_fn(|request: Request<Bytes>| {
        let tokens = request.extensions().get::<Tokens>();
        let status = match tokens.map(Tokens::access_token) {
            Some(token) if token == ACCESS[0] => 201,
            Some(token) if token == ACCESS[1] => 202,
            _ => 401,
        };
        if tokens.is_some() {
            watch.look();
        }
        ready(Ok::<_, Infallible>(Response::builder().status(status).body(Full::<Bytes>::default()).unwrap()))
    }));
    let mut jar = Vec::new();
    let mut send = async |method: Method, uri: Uri| {
        let mut request = Request::builder().method(method).uri(uri).header("sec-fetch-site", "same-origin");
        request = request.header(COOKIE, jar.join("; "));
        let response = service.clone().oneshot(request.body(Bytes::new()).unwrap()).await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            let name = pair.split_once('=').unwrap().0;
            jar.retain(|other: &String| !other.starts_with(&format!("{name}=")));
            if !attributes.contains("Max-Age=0") {
                jar.push(pair.to_owned());
            }
        }
        response
    };
    let path = Uri::from_static;

    let login = send(Method::GET, path("/auth/login?return_to=/page")).await;
    let location = login.headers()[LOCATION].to_str().unwrap();
    let state = location.split_once("&state=").unwrap().1.split('&').next().unwrap();
    watch.note("secret half of the state", &decoded(&state[26..]), true, false);
    let mut callback = Zeroizing::new(Vec::with_capacity(256));
    for part in ["/auth/callback?code=", CODE, "&state=", state] {
        callback.extend_from_slice(part.as_bytes());
    }
    let callback = Uri::from_maybe_shared(Bytes::from_owner(callback)).unwrap();
    assert_eq!(send(Method::GET, callback.clone()).await.status(), 303, "signed in");
    // The same callback once more, by when it is known what to look for while its flow is open.
    let (flow, _) = login.headers()[SET_COOKIE].to_str().unwrap().split_once(';').unwrap();
    let again = Request::get(callback).header(COOKIE, flow).body(Bytes::new()).unwrap();
    clock.is_on.store(true, Ordering::SeqCst);
    assert_eq!(service.clone().oneshot(again).await.unwrap().status(), 303, "the same sign-in");
    clock.is_on.store(false, Ordering::SeqCst);
    assert_eq!(send(Method::GET, path("/page")).await.status(), 201, "the first tokens");
    clock.clock.advance(Duration::from_secs(86_400 - 30));
    assert_eq!(send(Method::GET, path("/page")).await.status(), 202, "those of a refresh");
    assert_eq!(send(Method::POST, path("/auth/logout")).await.status(), 303, "signed out");
    for _ in 0..2000 {
        if requests.load(Ordering::SeqCst) == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(requests.load(Ordering::SeqCst), 3, "exchange, refresh, revocation");
}

/// The answer to a request, by its body.
fn answer(body: &[u8], watch: &Watch) -> &'static str {
    let body = std::str::from_utf8(body).unwrap();
    let Some((_, verifier)) = body.split_once(r#""code_verifier":""#) else {
        return if body.contains("refresh_token") { SECOND } else { "{}" };
    };
    let verifier = &verifier[..43];
    watch.note("code verifier", verifier.as_bytes(), true, true);
    watch.note("bytes of the code verifier", &decoded(verifier), true, false);
    FIRST
}

struct Own(Arc<AtomicUsize>, Watch);

impl HttpClient for Own {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        let answer = answer(request.body(), &self.1);
        self.1.look();
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(ready(Ok(Response::new(Bytes::from_static(answer.as_bytes())))))
    }
}

/// Looks whenever the layer asks for the time, while it is on.
struct Looking {
    clock: ManualClock,
    watch: Watch,
    is_on: AtomicBool,
}

impl Clock for Looking {
    fn now(&self) -> SystemTime {
        if self.is_on.load(Ordering::SeqCst) {
            self.watch.look();
        }
        self.clock.now()
    }
}

/// A provider on a socket that leaves no copy of what it reads.
fn serve(requests: &Arc<AtomicUsize>, watch: &Watch) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (requests, watch) = (Arc::clone(requests), watch.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut read = Zeroizing::new([0; 8192]);
            let mut length = 0;
            loop {
                let more = stream.read(&mut read[length..]).unwrap();
                length += more;
                if more == 0 {
                    break;
                }
                if !read[..length].ends_with(b"}") {
                    continue;
                }
                let body = read[..length].windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
                let answer = answer(&read[body..length], &watch);
                write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", answer.len())
                    .unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                requests.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
    });
    address
}

fn decoded(text: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; 32]);
    let out = base64_simd::Out::from_slice(&mut bytes);
    base64_simd::URL_SAFE_NO_PAD.decode(text.as_bytes(), out).unwrap();
    bytes
}

/// The secrets that are looked for.
#[derive(Clone)]
struct Watch(Arc<Mutex<Vec<Secret>>>);

#[derive(Clone)]
struct Secret {
    name: &'static str,
    /// Masked so that this copy is not found.
    masked: [u8; LENGTH],
    /// A look meets it while it is in use.
    is_met: bool,
    /// It goes through the HTTP client.
    is_sent: bool,
    /// The most copies that a look has met.
    in_use: usize,
    left: usize,
}

const LENGTH: usize = 16;
const MASK: u8 = 0xa5;

impl Watch {
    fn new() -> Self {
        let watch = Self(Arc::default());
        watch.note("client secret", CLIENT_SECRET.as_bytes(), true, true);
        watch.note("API key", API_KEY.as_bytes(), true, true);
        watch.note("ring key, as text", RING_KEY.as_bytes(), false, false);
        watch.note("ring key", &RING_KEY_BYTES, true, false);
        watch.note("key of flows", &FLOW_KEY, true, false);
        watch.note("key of sessions", &SESSION_KEY, true, false);
        watch.note("key of tokens", &TOKENS_KEY, true, false);
        watch.note("code", CODE.as_bytes(), true, true);
        watch.note("first access token", ACCESS[0].as_bytes(), true, true);
        watch.note("first refresh token", REFRESH[0].as_bytes(), true, true);
        watch.note("second access token", ACCESS[1].as_bytes(), true, true);
        watch.note("second refresh token", REFRESH[1].as_bytes(), true, true);
        watch
    }

    /// The end of it alone: an allocator writes over the beginning of what it is given back.
    fn note(&self, name: &'static str, secret: &[u8], is_met: bool, is_sent: bool) {
        let end = &secret[secret.len() - LENGTH..];
        let masked = std::array::from_fn(|at| end[at] ^ MASK);
        self.0.lock().unwrap().push(Secret { name, masked, is_met, is_sent, in_use: 0, left: 0 });
    }

    fn look(&self) {
        let mut secrets = self.0.lock().unwrap();
        let counts = count(&secrets);
        for (secret, count) in secrets.iter_mut().zip(counts) {
            secret.in_use = secret.in_use.max(count);
        }
    }

    /// The last look.
    fn left(&self) -> Vec<Secret> {
        let mut secrets = self.0.lock().unwrap();
        let counts = count(&secrets);
        for (secret, count) in secrets.iter_mut().zip(counts) {
            secret.left = count;
        }
        assert_eq!(secrets.len(), 15);
        secrets.clone()
    }
}

/// How often each is in memory that can be written, but for the buffer that it is read into.
fn count(secrets: &[Secret]) -> Vec<usize> {
    const OVERLAP: usize = LENGTH - 1;
    const NOTHING: [u8; 4096] = [0; 4096];
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
    let mut counts = vec![0; secrets.len()];
    for (start, end) in writable() {
        let pieces = if (start..end).contains(&own.start) {
            [(start, own.start), (own.end, end)]
        } else {
            [(start, end), (0, 0)]
        };
        for (mut at, end) in pieces {
            while at < end {
                let length = usize::try_from(end - at).unwrap().min(buffer.len());
                let Ok(read) = memory.read_at(&mut buffer[..length], at) else { break };
                // Most of it was never written to.
                let is_empty = buffer[..read].chunks(NOTHING.len()).all(|page| *page == NOTHING[..page.len()]);
                for (secret, count) in secrets.iter().zip(&mut counts).filter(|_| !is_empty) {
                    *count += matches(&buffer[..read], &secret.masked);
                }
                if read <= OVERLAP || at + read as u64 >= end {
                    break;
                }
                at += (read - OVERLAP) as u64;
            }
        }
    }
    buffer.fill(0);
    counts
}

fn matches(memory: &[u8], masked: &[u8]) -> usize {
    let is_at = |at: &usize| {
        memory
            .get(*at..*at + masked.len())
            .is_some_and(|found| found.iter().zip(masked).all(|(one, other)| one ^ MASK == *other))
    };
    memchr_iter(masked[0] ^ MASK, memory).filter(is_at).count()
}

fn writable() -> Vec<(u64, u64)> {
    let hexadecimal = |text| u64::from_str_radix(text, 16).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let lines = maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw")));
    lines
        .map(|line| line.split(' ').next().unwrap().split_once('-').unwrap())
        .map(|(start, end)| (hexadecimal(start), hexadecimal(end)))
        .collect()
}
