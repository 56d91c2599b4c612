//! The users' network: farther away and narrower than the machine's own, at the socket, under TLS and HTTP.
//! In: what the profile asks for. Out: how many bytes may go now, and waits. The time is felt by the user, so it is a part
//! of the response time.

use crate::clock::{Clock, Nanos, SECOND};
use scenarios::conditions::Network;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// Bytes that go at once on a line that is narrow; a segment on most networks.
const SEGMENT: f64 = 1_460.0;
/// Most bytes read at once.
pub const MOST_AT_ONCE: usize = 16 << 10;

/// One connection's line.
#[derive(Debug)]
pub struct Throttle {
    delay: Duration,
    clock: Clock,
    /// The direction that the latest byte went.
    last: Option<Way>,
    up: Lane,
    down: Lane,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    wait: Option<Pin<Box<Sleep>>>,
    bucket: Option<Bucket>,
}

impl Throttle {
    /// A line as `network` asks for.
    pub fn new(network: Network, clock: Clock) -> Self {
        let lane = || Lane { wait: None, bucket: (network.rate > 0).then(|| Bucket::full(network.rate, clock.now())) };
        Self { delay: Duration::from_nanos(network.delay_ns), clock, last: None, up: lane(), down: lane() }
    }

    /// Ready with the number of bytes, at least one, that may be written now.
    pub fn may_write(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let turns = self.last.replace(Way::Up) != Some(Way::Up);
        self.up.pass(turns, self.delay, &self.clock, cx)
    }

    /// Ready with the number of bytes, at least one, that may be read now. Ask only when there is something to read: the
    /// first byte of an answer is late by the delay, not the wish to read it.
    pub fn may_read(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let turns = self.last.replace(Way::Down) != Some(Way::Down);
        let most = ready!(self.down.pass(turns, self.delay, &self.clock, cx));
        Poll::Ready(most.min(MOST_AT_ONCE))
    }

    /// So many bytes were written.
    pub fn wrote(&mut self, bytes: usize) {
        self.up.took(bytes);
    }

    /// So many bytes were read.
    pub fn read(&mut self, bytes: usize) {
        self.down.took(bytes);
    }
}

impl Lane {
    fn pass(&mut self, turns: bool, delay: Duration, clock: &Clock, cx: &mut Context<'_>) -> Poll<usize> {
        if turns && !delay.is_zero() {
            self.wait = Some(Box::pin(tokio::time::sleep(delay)));
        }
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let Some(bucket) = &mut self.bucket else {
                return Poll::Ready(usize::MAX);
            };
            match bucket.ask(clock.now()) {
                Ok(bytes) => return Poll::Ready(bytes),
                Err(wait_ns) => self.wait = Some(Box::pin(tokio::time::sleep(Duration::from_nanos(wait_ns)))),
            }
        }
    }

    fn took(&mut self, bytes: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.tokens -= bytes as f64;
        }
    }
}

/// A token bucket: so many bytes a second, a twentieth of a second's at once.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    most: f64,
    tokens: f64,
    since: Nanos,
}

impl Bucket {
    fn full(rate: u64, now: Nanos) -> Self {
        let rate = rate as f64;
        let most = (rate / 20.0).max(SEGMENT);
        Self { rate, most, tokens: most, since: now }
    }

    /// The bytes that may go, at least one; or how long to wait for a segment, ns.
    fn ask(&mut self, now: Nanos) -> Result<usize, Nanos> {
        let passed = now.saturating_sub(self.since) as f64 / SECOND as f64;
        self.since = now;
        self.tokens = (self.tokens + passed * self.rate).min(self.most);
        if self.tokens >= 1.0 {
            return Ok(self.tokens as usize);
        }
        Err(((SEGMENT - self.tokens) / self.rate * SECOND as f64) as Nanos + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_rate_and_no_more() {
        for rate in [1_000_u64, 64_000, 1_000_000, 1_000_000_000] {
            let mut bucket = Bucket::full(rate, 0);
            let (mut now, mut sent) = (0, 0_u64);
            // Ten seconds of somebody who always wants to send.
            while now < 10 * SECOND {
                match bucket.ask(now) {
                    Ok(bytes) => {
                        bucket.tokens -= bytes as f64;
                        sent += bytes as u64;
                    }
                    Err(wait) => now += wait,
                }
            }
            let (asked, burst) = (10 * rate, bucket.most as u64);
            assert!((asked - rate / 10..=asked + burst + SEGMENT as u64).contains(&sent), "{rate}: {sent}");
        }
    }

    #[test]
    fn a_pause_saves_up_no_more_than_the_burst() {
        let mut bucket = Bucket::full(1_000_000, 0);
        bucket.tokens = 0.0;
        assert_eq!(bucket.ask(60 * SECOND), Ok(50_000));
    }
}
