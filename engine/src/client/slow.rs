//! Reading slowly on purpose: small reads with pauses, so that a target's buffers fill and its writers wait.
//! In: the wish of a request. Out: pauses in `poll_read`, and how long they were: they are no time of the target's.

use crate::clock::{Clock, Nanos};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes taken at once.
pub const MOUTHFUL: usize = 256;
const PAUSE: Duration = Duration::from_millis(5);
/// All pauses of one answer together: after that it is read like any other, so that a large one ends in time.
const LONGEST: Nanos = 1_000_000_000;

/// How slowly the present answer is read. Shared between the connection, which hyper owns, and its user.
#[derive(Debug, Default)]
pub struct Slowness {
    /// Pauses still allowed, ns; 0: read as usual.
    left: AtomicU64,
    held: AtomicU64,
}

impl Slowness {
    /// From now on slowly; at most a quarter of the request's time limit is spent so.
    pub fn begin(&self, timeout_ns: Nanos) {
        self.held.store(0, Relaxed);
        self.left.store(LONGEST.min(timeout_ns / 4), Relaxed);
    }

    /// As usual again; answers how long the pauses were.
    pub fn end(&self) -> Nanos {
        self.left.store(0, Relaxed);
        let held = self.held.load(Relaxed);
        if held > 0 {
            self.held.store(0, Relaxed);
        }
        held
    }

    /// What was held back for so long is no time of the target's.
    pub(super) fn hold(&self, ns: Nanos) {
        self.held.fetch_add(ns, Relaxed);
    }

    /// Whether the present answer is read slowly.
    pub fn is_on(&self) -> bool {
        self.left.load(Relaxed) > 0
    }
}

/// A connection's pause, if it is in one.
#[derive(Debug, Default)]
pub struct Pause {
    now: Option<(Nanos, Pin<Box<Sleep>>)>,
    /// Something was read since the last pause. Before the first bytes the target is waited for, and nobody pauses.
    has_eaten: bool,
}

impl Pause {
    /// There is none, and none is due.
    pub fn is_over(&self) -> bool {
        !self.has_eaten && self.now.is_none()
    }

    /// Ready when a mouthful may be read.
    pub fn poll(&mut self, slowness: &Slowness, clock: &Clock, cx: &mut Context<'_>) -> Poll<()> {
        if !slowness.is_on() {
            if self.has_eaten || self.now.is_some() {
                *self = Self::default();
            }
            return Poll::Ready(());
        }
        if std::mem::take(&mut self.has_eaten) {
            self.now = Some((clock.now(), Box::pin(tokio::time::sleep(PAUSE))));
        }
        let Some((since, sleep)) = &mut self.now else {
            return Poll::Ready(());
        };
        std::task::ready!(sleep.as_mut().poll(cx));
        let paused = clock.now().saturating_sub(*since);
        self.now = None;
        slowness.held.fetch_add(paused, Relaxed);
        slowness.left.store(slowness.left.load(Relaxed).saturating_sub(paused), Relaxed);
        Poll::Ready(())
    }

    /// A mouthful of `n` bytes was read.
    pub fn eaten(&mut self, n: usize) {
        self.has_eaten = n > 0;
    }
}
