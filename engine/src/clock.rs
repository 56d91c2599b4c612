//! Time: nanoseconds since the start of the load. This file alone reads the machine's clocks.
//! In: nothing. Out: [`Nanos`] for workers, wall time for headers, processor time for the health figures.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the start of the load.
pub type Nanos = u64;

/// One second in [`Nanos`].
pub const SECOND: Nanos = 1_000_000_000;
/// One millisecond in [`Nanos`].
pub const MILLISECOND: Nanos = 1_000_000;

/// The clock of a run: all workers share one zero. Before the zero it reads 0.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    zero: Instant,
    /// The same moment as [`monotonic_ns`] reads it.
    zero_ns: u64,
    zero_unix_ns: u64,
}

impl Clock {
    /// A clock whose zero lies `ahead` in the future, so that all workers can be ready for it.
    #[allow(clippy::disallowed_methods, reason = "this file is where the clock is read")]
    pub fn starting_in(ahead: Duration) -> Self {
        let ahead_ns = ahead.as_nanos() as u64;
        Self {
            zero: Instant::now() + ahead,
            zero_ns: monotonic_ns() + ahead_ns,
            zero_unix_ns: unix_now_ns() + ahead_ns,
        }
    }

    /// A clock for simulations, whose wall time starts at 1970: the same run gives the same bytes.
    #[allow(clippy::disallowed_methods, reason = "this file is where the clock is read")]
    pub fn simulated() -> Self {
        Self { zero: Instant::now(), zero_ns: monotonic_ns(), zero_unix_ns: 0 }
    }

    /// Time since the zero.
    #[inline]
    pub fn now(&self) -> Nanos {
        monotonic_ns().saturating_sub(self.zero_ns)
    }

    /// The instant of `t`, for timers.
    pub fn instant(&self, t: Nanos) -> Instant {
        self.zero + Duration::from_nanos(t)
    }

    /// Wall-clock time of the zero, ns since 1970.
    pub fn zero_unix_ns(&self) -> u64 {
        self.zero_unix_ns
    }

    /// Wall-clock time of `t`, ms since 1970.
    pub fn unix_ms(&self, t: Nanos) -> i64 {
        ((self.zero_unix_ns + t) / MILLISECOND) as i64
    }
}

/// The system's steady clock, the one that [`Instant`] and the timer's descriptor go by, as one number: subtracting two
/// instants costs more than reading the clock.
#[cfg(target_os = "linux")]
#[inline]
fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the call to fill; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}

/// The system's steady clock as one number, ns since it was first asked for.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::disallowed_methods, reason = "this file is where the clock is read")]
fn monotonic_ns() -> u64 {
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Wall-clock time, ns since 1970.
#[allow(clippy::disallowed_methods, reason = "this file is where the clock is read")]
pub fn unix_now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// CPU time used by the calling thread, ns; 0 where the system does not tell.
pub fn thread_cpu_ns() -> u64 {
    #[cfg(unix)]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid timespec for the call to fill; the call has no other effect.
        if unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } == 0 {
            return time.tv_sec as u64 * SECOND + time.tv_nsec as u64;
        }
    }
    0
}

/// Time that the calling thread was ready to run but had no processor, ns; 0 where the system does not tell.
pub fn thread_queue_wait_ns() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
