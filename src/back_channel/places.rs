//! Places for what anybody can have done here. Where there are no more, whoever has had one for longest makes room: what the provider
//! sends takes no time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::sync::oneshot;

use crate::sync::{Mutex, PoisonError};

/// Those that are taken, the oldest first, and some that are free again. Whoever drops one takes it back.
#[derive(Default)]
pub(super) struct Places(Mutex<VecDeque<oneshot::Sender<()>>>);

const MOST: usize = 1024;

impl Places {
    /// Has a place while something is done. `None` where it was taken back.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut taken_back = self.take();
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => Pin::new(&mut taken_back).poll(cx).map(|_| None),
        })
        .await
    }

    fn take(&self) -> oneshot::Receiver<()> {
        let (place, taken_back) = oneshot::channel();
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.push_back(place);
        if places.len() > MOST {
            places.retain(|place| !place.is_closed());
        }
        if places.len() > MOST {
            places.pop_front();
        }
        taken_back
    }
}
