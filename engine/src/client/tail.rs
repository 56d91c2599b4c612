//! What follows the last event of a stream over HTTP/2. The user has heard what it waited for and goes on; whose bytes
//! come behind is looked at all the same, for a while. (Over HTTP/1.1 they stand in the way of the next request, see
//! `Connection::read_away`.)
//! In: the body after its last event. Out: a [`Stray`] with what came of it.

use super::answer::Via;
use super::connect::Connection;
use super::framing::{MOST_KEPT, Stray};
use h2::RecvStream;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// As many as a connection has at most; the oldest is given up.
const MOST_TAILS: usize = 4;
/// How long what follows is waited for; then the stream is reset.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pieces of it that are read at most.
const MOST_PIECES: usize = 256;

/// The rest of a body.
pub struct Tail {
    /// Gone when it is over.
    body: Option<RecvStream>,
    pieces: usize,
    patience: Option<Pin<Box<Sleep>>>,
    stray: Stray,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}

impl Tail {
    /// The rest of `body`, which came on `connection` by `via`. `None` if there is none.
    pub fn of(body: RecvStream, connection: &Connection, via: Via) -> Option<Self> {
        if body.is_end_stream() {
            return None;
        }
        let stray = Stray {
            bytes: Vec::new(),
            is_unasked: false,
            last: connection.last.clone()?,
            via,
            asked: connection.asked,
        };
        Some(Self { body: Some(body), pieces: 0, patience: None, stray })
    }

    /// Reads what is there.
    pub fn poll(&mut self, cx: &mut Context<'_>) {
        if self.read(cx).is_ready() {
            self.body = None;
        }
    }

    /// Ready when it is over: the stream has ended, enough of it was read, or it was waited for long enough.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(body) = &mut self.body else { return Poll::Ready(()) };
        while self.stray.bytes.len() < MOST_KEPT && self.pieces < MOST_PIECES {
            match body.poll_data(cx) {
                Poll::Pending => {
                    let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
                    return patience.as_mut().poll(cx);
                }
                Poll::Ready(Some(Ok(data))) => {
                    self.pieces += 1;
                    let room = MOST_KEPT - self.stray.bytes.len();
                    self.stray.bytes.extend_from_slice(&data[..data.len().min(room)]);
                    // A stream that is reset meanwhile has no window any more; its error comes with the next read.
                    let _ = body.flow_control().release_capacity(data.len());
                }
                Poll::Ready(None | Some(Err(_))) => break,
            }
        }
        Poll::Ready(())
    }

    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        self.body.is_none()
    }

    /// What came, if anything did.
    pub fn into_stray(self) -> Option<Stray> {
        (!self.stray.bytes.is_empty()).then_some(self.stray)
    }
}

/// Gives up what is too much; what came of it stays.
pub fn shorten(tails: &mut [Tail]) {
    let most = tails.len().saturating_sub(MOST_TAILS);
    tails[..most].iter_mut().for_each(|tail| tail.body = None);
}
