//! Hesitating on purpose: the head of a request goes first, its large body a moment later and at one go, as many clients
//! send it. A target that has begun with the head by then has a full buffer before it asks for the body, and stops reading.
//! In: the wish of a request. Out: how many bytes may be written now, and how long the wait was: it is no time of the target's.

use super::slow::Slowness;
use crate::clock::{Clock, Nanos};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Long enough for a target near by to begin with the head.
const MOMENT: Duration = Duration::from_millis(1);

/// The wish. Shared between the connection, which hyper owns, and its user.
#[derive(Debug, Default)]
pub struct Hesitation {
    /// Length of the body that waits, bytes; 0: nothing does.
    body: AtomicU64,
}

impl Hesitation {
    /// The body of the next request, so many bytes, waits behind its head.
    pub fn begin(&self, body: u64) {
        self.body.store(body, Relaxed);
    }

    /// Nothing waits any more.
    pub fn end(&self) {
        if self.body.load(Relaxed) > 0 {
            self.begin(0);
        }
    }
}

/// A connection's moment of hesitation, if it is in one.
#[derive(Debug, Default)]
pub struct Hesitant {
    now: Option<(Nanos, Pin<Box<Sleep>>)>,
}

impl Hesitant {
    /// Ready with how many of the `total` bytes that are to be written may go; `None`: all of them.
    pub fn poll(
        &mut self,
        (wish, slowness): (&Hesitation, &Slowness),
        (total, clock): (usize, &Clock),
        cx: &mut Context<'_>,
    ) -> Poll<Option<usize>> {
        let body = wish.body.load(Relaxed);
        if body == 0 {
            if self.now.is_some() {
                self.now = None;
            }
            return Poll::Ready(None);
        }
        if let Some((since, sleep)) = &mut self.now {
            ready!(sleep.as_mut().poll(cx));
            slowness.hold(clock.now().saturating_sub(*since));
        } else if let Some(head) = (total as u64).checked_sub(body).filter(|head| *head > 0) {
            return Poll::Ready(Some(head as usize));
        }
        self.now = None;
        wish.end();
        Poll::Ready(None)
    }

    /// So many bytes of the `most` that were allowed have gone.
    pub fn wrote(&mut self, n: usize, most: usize, clock: &Clock) {
        if n == most {
            self.now = Some((clock.now(), Box::pin(tokio::time::sleep(MOMENT))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Waker;

    #[tokio::test]
    async fn the_head_goes_and_the_body_a_moment_later() {
        let (wish, slowness, mut line) = (Hesitation::default(), Slowness::default(), Hesitant::default());
        let clock = Clock::starting_in(Duration::ZERO);
        let mut cx = Context::from_waker(Waker::noop());
        let mut ask = |line: &mut Hesitant, total| line.poll((&wish, &slowness), (total, &clock), &mut cx);
        assert_eq!(ask(&mut line, 500), Poll::Ready(None), "nobody asked for it");
        wish.begin(400);
        assert_eq!(ask(&mut line, 500), Poll::Ready(Some(100)));
        line.wrote(60, 100, &clock);
        assert_eq!(ask(&mut line, 440), Poll::Ready(Some(40)), "the rest of the head");
        line.wrote(40, 40, &clock);
        assert_eq!(ask(&mut line, 400), Poll::Pending);
        assert_eq!(poll_fn(|cx| line.poll((&wish, &slowness), (400, &clock), cx)).await, None);
        assert!(slowness.end() > 0, "the wait was ours");
        assert_eq!(ask(&mut line, 500), Poll::Ready(None), "once");
        wish.begin(400);
        assert_eq!(ask(&mut line, 400), Poll::Ready(None), "without a head there is nothing to wait behind");
    }
}
