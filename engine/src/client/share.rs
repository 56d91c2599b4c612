//! A fair share of a worker: what one connection reads in a turn of its user's task has a limit, so that a target that
//! talks without end takes time from its own user only. Tokio's own budget lets a task go on at once, before the next look
//! at what has come for others.
//! In: what was taken. Out: whether more may be taken now.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A turn of at most `MOST` pieces.
#[derive(Default)]
pub struct Share<const MOST: u32> {
    taken: u32,
    /// Until everybody else has had a turn.
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<const MOST: u32> std::fmt::Debug for Share<MOST> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {MOST}", self.taken)
    }
}

impl<const MOST: u32> Share<MOST> {
    /// Ready when a piece may be taken; else the task is woken when everybody else has had a turn.
    #[inline]
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.taken < MOST { Poll::Ready(()) } else { self.rest(cx) }
    }

    #[cold]
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::task::yield_now()));
        std::task::ready!(pause.as_mut().poll(cx));
        self.pause = None;
        self.taken = 0;
        Poll::Ready(())
    }

    /// A piece was asked for: whether it was there.
    #[inline]
    pub fn took(&mut self, was_there: bool) {
        // Who has nothing to read gives the others their turn.
        self.taken = if was_there { self.taken + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_turn_ends_after_so_many_pieces_and_begins_anew_when_there_were_none() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut share = Share::<3>::default();
        for _ in 0..2 {
            for was_there in [true, true, false, true, true, true] {
                assert!(share.poll(&mut cx).is_ready());
                share.took(was_there);
            }
            assert!(share.poll(&mut cx).is_pending());
            assert!(share.poll(&mut cx).is_ready(), "the others have had their turn");
        }
    }
}
