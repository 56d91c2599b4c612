//! The defects that no user causes: pauses, failures, slowness.
//!
//! In: every request before and after its route, except `GET /practice/counts`.
//! Out: a pause, or a 503 in place of the answer.

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::{RwLock, RwLockWriteGuard};

use crate::{defects::Defect, refusal::Refusal};

/// When the first pause comes, how long each is, and from one's begin to the next one's.
const FIRST_PAUSE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_EVERY: Duration = Duration::from_secs(10);

/// The share of requests that fail.
const FAILING: f64 = 0.05;

/// By how much every answer is late.
const LATENESS: Duration = Duration::from_millis(300);

/// The defects of this kind that are switched on.
pub(crate) struct Faults {
    /// The lock that a pause holds against everybody, as a stop-the-world collector would.
    world: Option<RwLock<()>>,
    failing: Option<Mutex<StdRng>>,
    slow: bool,
}

impl Faults {
    pub(crate) fn new(defects: &[Defect], seed: u64) -> Self {
        Faults {
            world: defects.contains(&Defect::Stall).then(RwLock::default),
            failing: defects.contains(&Defect::Errors).then(|| Mutex::new(StdRng::seed_from_u64(seed))),
            slow: defects.contains(&Defect::Slow),
        }
    }

    /// Before a route. `may_fail` is false for the probes of operators, which would otherwise
    /// take a clinic with a few errors for one that is down.
    pub(crate) async fn before(&self, may_fail: bool) -> Result<(), Refusal> {
        self.pass().await;
        let fails = may_fail
            && self.failing.as_ref().is_some_and(|failing| {
                let mut chance = failing.lock().unwrap_or_else(PoisonError::into_inner);
                chance.random_bool(FAILING)
            });
        if fails {
            return Err(Refusal::Unavailable);
        }
        Ok(())
    }

    /// Between a route and its answer.
    pub(crate) async fn after(&self) {
        if self.slow {
            tokio::time::sleep(LATENESS).await;
        }
        self.pass().await;
    }

    async fn pass(&self) {
        if let Some(world) = &self.world {
            drop(world.read().await);
        }
    }

    /// Holds everybody until what it returns is dropped; nobody without [`Defect::Stall`].
    pub(crate) async fn stop_the_world(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        match &self.world {
            Some(world) => Some(world.write().await),
            None => None,
        }
    }

    /// Stops the world again and again, if that is among the defects.
    pub(crate) async fn keep_pausing(&self) {
        if self.world.is_none() {
            return;
        }
        tokio::time::sleep(FIRST_PAUSE).await;
        loop {
            let stopped = self.stop_the_world().await;
            tokio::time::sleep(PAUSE).await;
            drop(stopped);
            tokio::time::sleep(PAUSE_EVERY - PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock;

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_a_second_in_ten_from_the_third_on() {
        let faults = Arc::new(Faults::new(&[Defect::Stall], 1));
        let began = clock::now();
        let pausing = faults.clone();
        tokio::spawn(async move { pausing.keep_pausing().await });
        // (asked at, answered at), in milliseconds since the start.
        for (asked, answered) in [(2_900, 2_900), (3_100, 4_000), (4_100, 4_100), (12_900, 12_900), (13_500, 14_000)] {
            tokio::time::sleep_until(began + Duration::from_millis(asked)).await;
            faults.pass().await;
            assert_eq!(began.elapsed().as_millis() / 10, answered / 10);
        }
    }

    #[tokio::test]
    async fn five_percent_fail_and_the_seed_says_which() {
        let draw = async |seed| {
            let faults = Faults::new(&[Defect::Errors], seed);
            let mut failed = Vec::new();
            for request in 0..2_000 {
                if faults.before(true).await.is_err() {
                    failed.push(request);
                }
            }
            failed
        };
        let failed = draw(7).await;
        assert!((60..140).contains(&failed.len()), "{}", failed.len());
        assert_eq!(failed, draw(7).await);
        assert_ne!(failed, draw(8).await);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_is_300_ms_late() {
        let faults = Faults::new(&[Defect::Slow], 1);
        let began = clock::now();
        faults.after().await;
        assert_eq!(began.elapsed().as_millis() / 10, 30);
    }
}
