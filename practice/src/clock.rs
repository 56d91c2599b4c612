//! The one place of the clinic that reads a clock, so that tests can hold time still.
//!
//! Out: monotonic instants for durations, wall milliseconds for what is stored.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A monotonic instant; under a paused test clock it stands still.
#[allow(clippy::disallowed_methods, reason = "the clinic's single reading of the monotonic clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, UTC; 0 on a machine whose clock stands before that.
#[allow(clippy::disallowed_methods, reason = "the clinic's single reading of the wall clock")]
pub(crate) fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}
