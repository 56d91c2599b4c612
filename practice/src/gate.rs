//! A limit of requests per user: a bucket of tokens for each, filled at a steady rate.
//!
//! In: who asks. Out: whether it may, or in how many seconds. Buckets that are full again are forgotten.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::clock;

/// Users remembered before full buckets are looked for.
const MANY: usize = 10_000;

/// Lets each user in at most so many times a second.
pub(crate) struct Gate {
    rate: u32,
    /// When the user's bucket will be full again.
    full_at: Mutex<HashMap<String, Instant>>,
}

impl Gate {
    /// A gate for `rate` entries a second and user, as many of them at once.
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: rate.max(1), full_at: Mutex::default() }
    }

    /// Lets `user` in, or says after how many seconds it may try again.
    pub(crate) fn enter(&self, user: &str) -> Result<(), u32> {
        let now = clock::now();
        let one = Duration::from_secs(1) / self.rate;
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if full_at.len() > MANY {
            full_at.retain(|_, at| *at > now);
        }
        let at = full_at.get(user).copied().unwrap_or(now).max(now) + one;
        // Whole seconds are all that the header can say.
        let over = (at - now).saturating_sub(Duration::from_secs(1));
        if over.is_zero() {
            full_at.insert(user.to_owned(), at);
            return Ok(());
        }
        Err(over.as_secs_f64().ceil() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_at_once_and_then_one_in_each_tenth_of_a_second() {
        let gate = Gate::new(10);
        assert_eq!((0..12).filter(|_| gate.enter("a").is_ok()).count(), 10);
        assert_eq!(gate.enter("a"), Err(1));
        assert_eq!(gate.enter("b"), Ok(()));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!((0..12).filter(|_| gate.enter("a").is_ok()).count(), 2);
    }
}
