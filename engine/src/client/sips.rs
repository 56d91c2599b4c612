//! Bytes in sips: what a WebSocket reads in one turn of its user's task has a limit, so that a target that talks without
//! end takes time from its own user only.
//! In: a stream. Out: the same, `Pending` once a turn's reads are used up.

use super::connect::Stream;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads of one turn.
const READS: u32 = 32;
/// Messages, pings and pongs of one turn.
const FRAMES: u32 = 32;

/// A stream of which so much is read in a turn.
pub struct Sips {
    /// The bytes.
    pub stream: Stream,
    reads: u32,
    frames: u32,
    is_over: bool,
    /// Until the others have had their turn.
    pause: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Sips {
    /// Of `stream`.
    pub fn of(stream: Stream) -> Self {
        Self { stream, reads: READS, frames: FRAMES, is_over: false, pause: None }
    }

    /// Ready when something may be read in this turn; else the task is woken when everybody else has had a turn.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over || self.frames == 0 {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::task::yield_now()));
            std::task::ready!(pause.as_mut().poll(cx));
            self.pause = None;
            self.rest();
        }
        Poll::Ready(())
    }

    /// A message has been read, or a ping.
    pub fn took_frame(&mut self) {
        self.frames = self.frames.saturating_sub(1);
    }

    /// There was nothing to read. Answers whether that is because the turn is over.
    pub fn ran_dry(&mut self) -> bool {
        if !self.is_over {
            self.rest();
        }
        self.is_over
    }

    fn rest(&mut self) {
        (self.reads, self.frames, self.is_over) = (READS, FRAMES, false);
    }
}

impl AsyncRead for Sips {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reads == 0 {
            self.is_over = true;
            return Poll::Pending;
        }
        self.reads -= 1;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Sips {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
