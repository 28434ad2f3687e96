use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

/// The body of an answer: whole, or broken in one of the ways a fault asks for.
pub(super) enum DevBody {
    /// All at once, with a length.
    Whole(Bytes),
    /// One byte per interval.
    Drip { rest: Bytes, interval: Duration, sleep: Pin<Box<Sleep>> },
    /// `left` bytes of JSON white space, then the answer: only a cap on the size refuses it.
    Flood { left: u64, tail: Bytes, declared: bool },
    /// Announces the length of the whole, sends `part` and breaks the connection.
    CutOff { announced: u64, part: Bytes, flushed: bool },
}

impl DevBody {
    pub(super) fn drip(bytes: Bytes, interval: Duration) -> Self {
        Self::Drip { rest: bytes, interval, sleep: Box::pin(tokio::time::sleep(interval)) }
    }

    pub(super) fn cut_off(mut bytes: Bytes) -> Self {
        let announced = bytes.len() as u64;
        bytes.truncate(bytes.len() / 2);
        Self::CutOff { announced, part: bytes, flushed: false }
    }
}

impl Body for DevBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let chunk = match self.get_mut() {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Drip { rest, interval, sleep } => {
                if !rest.is_empty() {
                    ready!(sleep.as_mut().poll(cx));
                    *sleep = Box::pin(tokio::time::sleep(*interval));
                }
                rest.split_to(rest.len().min(1))
            }
            Self::Flood { left, tail, .. } if *left == 0 => std::mem::take(tail),
            Self::Flood { left, .. } => {
                let size = (*left).min(WHITE_SPACE.len() as u64);
                *left -= size;
                Bytes::from_static(WHITE_SPACE).slice(..size as usize)
            }
            Self::CutOff { part, flushed, .. } => match (part.is_empty(), *flushed) {
                (false, _) => std::mem::take(part),
                // hyper writes out what it holds only while the body has nothing more to give.
                (true, false) => {
                    *flushed = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                (true, true) => {
                    return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
                }
            },
        };
        Poll::Ready((!chunk.is_empty()).then(|| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) | Self::Drip { rest: bytes, .. } => bytes.is_empty(),
            Self::Flood { left, tail, .. } => *left == 0 && tail.is_empty(),
            Self::CutOff { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) | Self::Drip { rest: bytes, .. } => SizeHint::with_exact(bytes.len() as u64),
            Self::Flood { left, tail, declared: true } => SizeHint::with_exact(left + tail.len() as u64),
            Self::Flood { .. } => SizeHint::default(),
            Self::CutOff { announced, .. } => SizeHint::with_exact(*announced),
        }
    }
}

static WHITE_SPACE: &[u8] = &[b' '; 64 * 1024];
