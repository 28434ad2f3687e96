//! Clients that don't get to the end of a request, or go away before they hear of it.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::provider::Trouble;
use crate::report::Fault;
use crate::support::Browser;
use crate::visitor::{Http, Visitor};
use crate::world::{World, account, path_of};

/// A client that holds on this long is held by the server, not the other way round.
const PATIENCE: Duration = Duration::from_secs(20);
const NOTHING: Duration = Duration::from_secs(10);
const BETWEEN_LEAVERS: Duration = Duration::from_secs(1);

pub(crate) async fn clients(world: Arc<World>, number: usize) {
    for turn in number.. {
        if !world.goes_on() {
            return;
        }
        match turn % 6 {
            0 | 1 => a_byte_a_second(&world).await,
            2 => half_open(&world).await,
            3 => says_nothing(&world).await,
            4 => resets(&world, turn).await,
            _ => leaves(&world, turn).await,
        }
    }
}

/// The server ends it in the middle of its head. Drips as long as there is time.
async fn a_byte_a_second(world: &World) {
    let Some(mut stream) = connect(world).await else { return };
    let begin = Instant::now();
    for byte in "GET /guarded HTTP/1.1\r\nHost: localhost\r\nCookie: a=b; c=d; e=f\r\n".bytes() {
        if stream.write_all(&[byte]).await.is_err() || !world.goes_on() {
            break;
        }
        // What comes before the head is whole is the end.
        if timeout(Duration::from_secs(1), stream.read(&mut [0; 512])).await.is_ok() {
            break;
        }
        if begin.elapsed() > PATIENCE {
            world.report.fault(Fault::OtherAnswer, "a head a byte a second is read for 20 s");
            break;
        }
    }
    world.report.count("slow, a byte a second", 0);
}

/// Has said all it will, which is half of a head.
async fn half_open(world: &World) {
    let Some(mut stream) = connect(world).await else { return };
    let _ = stream.write_all(b"GET /guarded HTTP/1.1\r\nHost: lo").await;
    let _ = stream.shutdown().await;
    ended(world, stream, "slow, half open").await;
}

async fn says_nothing(world: &World) {
    let Some(stream) = connect(world).await else { return };
    sleep(world.left().min(NOTHING)).await;
    world.report.count("slow, says nothing", 0);
    drop(stream);
}

/// In the middle of a head, or of a body that nobody reads.
async fn resets(world: &World, turn: usize) {
    let Some(mut stream) = connect(world).await else { return };
    let starts: [&[u8]; 4] = [
        b"GET /auth/login?return_to=",
        b"POST /auth/logout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nabc",
        b"POST /guarded HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x06\x04\x00",
    ];
    let _ = stream.write_all(starts[turn / 6 % starts.len()]).await;
    let _ = stream.set_zero_linger();
    drop(stream);
    world.report.count("slow, resets", 0);
    sleep(Duration::from_millis(20)).await;
}

/// While the code is exchanged, also at a provider that never answers. The attempt ends by itself.
async fn leaves(world: &World, turn: usize) {
    let mut visitor = Visitor::new(world.address, Http::One, &Browser::new());
    if let Some(url) = visitor.begin().await {
        let trouble = if turn / 6 % 2 == 1 { Trouble::Hangs } else { Trouble::Slow };
        let callback = world.provider.approve(&url, &account(10), trouble);
        let asks = visitor.ask(Method::GET, path_of(&callback), "cross-site");
        let _ = timeout(Duration::from_millis(30), asks).await;
        world.report.count("slow, leaves its callback", 0);
    }
    drop(visitor);
    sleep(BETWEEN_LEAVERS.min(world.left())).await;
}

async fn ended(world: &World, mut stream: TcpStream, kind: &'static str) {
    let mut answer = Vec::new();
    if timeout(PATIENCE, stream.read_to_end(&mut answer)).await.is_err() {
        world.report.fault(Fault::OtherAnswer, format!("{kind}: still there after 20 s"));
    }
    world.report.count(kind, status_of(&answer));
}

fn status_of(answer: &[u8]) -> u16 {
    let status = answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok());
    status.and_then(|status| status.parse().ok()).unwrap_or_default()
}

async fn connect(world: &World) -> Option<TcpStream> {
    let stream = TcpStream::connect(world.address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}
