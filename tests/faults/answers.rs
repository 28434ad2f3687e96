//! What the provider's side of a [`Wire`](crate::wire::Wire) says to a request.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::OnceCell;

use crate::gzip::gzip;
use crate::support::send;
use crate::wire::{Fault, Length, Shared};

const JSON: &str = "application/json";
/// An answer that is begun and never comes to its end.
const BEGINNING: &str =
    "{\"address\":\"0x092bb4851ae26850588243e7bef22a56287f4739\",\"chain\":\"ETH\",\"bitbadgesAddress\":\"bb1";
const SIZE: usize = 50_000_000;
/// As many in gzip; what follows is a member of its own (RFC 1952 section 2.2).
static SPACES: OnceCell<Bytes> = OnceCell::const_new();

pub async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    fault: Fault,
    shared: &Shared,
    request: &str,
) -> io::Result<()> {
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

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
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
) -> io::Result<()> {
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
