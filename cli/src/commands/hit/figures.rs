//! The figures of a hit: what both outputs are made from.
//! In: a run result. Out: [`Figures`].

use super::order::Order;
use engine::run_result::{Counts, Ending, RunResult, StepTotals};
use reports::Verdict;
use reports::verdict::{Validity, ValidityState};

/// Percentiles that are shown, with their keys in JSON.
pub const PERCENTILES: [(f64, &str); 7] =
    [(50.0, "p50"), (75.0, "p75"), (90.0, "p90"), (95.0, "p95"), (99.0, "p99"), (99.9, "p999"), (99.99, "p9999")];

/// All that is said of a hit.
#[derive(Debug)]
pub struct Figures<'a> {
    /// What was ordered.
    pub order: &'a Order,
    /// What was measured.
    pub result: &'a RunResult,
    /// The one request's figures.
    pub step: &'a StepTotals,
    /// The generator judged.
    pub validity: &'a Validity,
}

impl<'a> Figures<'a> {
    /// The figures of a run of `order`.
    pub fn new(order: &'a Order, result: &'a RunResult, verdict: &'a Verdict) -> Option<Self> {
        Some(Self { order, result, step: result.steps.first()?, validity: &verdict.validity })
    }

    /// Counters.
    pub fn counts(&self) -> &Counts {
        &self.step.counts
    }

    /// Whole answers, liked or not.
    pub fn answered(&self) -> u64 {
        self.step.statuses.values().sum()
    }

    /// Ok answers among all requests that came to their own end.
    pub fn success(&self) -> Option<f64> {
        let counts = self.counts();
        let settled = counts.ok + counts.failed + counts.timed_out;
        (settled > 0).then(|| counts.ok as f64 / settled as f64)
    }

    /// Requests that fell due, dropped ones included, a second.
    pub fn asked_per_s(&self) -> Option<f64> {
        self.per_s(self.counts().planned + self.result.dropped, self.asking_s())
    }

    /// Whole answers a second, until the last of them.
    pub fn done_per_s(&self) -> Option<f64> {
        self.per_s(self.answered(), self.result.duration_s)
    }

    /// Bytes of answers a second.
    pub fn received_per_s(&self) -> Option<f64> {
        self.per_s(self.counts().bytes_received, self.result.duration_s)
    }

    fn per_s(&self, count: u64, seconds: f64) -> Option<f64> {
        (seconds > 0.0).then(|| count as f64 / seconds)
    }

    /// How long requests fell due: the ordered time, unless the run ended before.
    fn asking_s(&self) -> f64 {
        let open_s = match (self.order.rate, self.order.requests) {
            (Some(rate), Some(n)) => n as f64 / rate,
            _ => f64::INFINITY,
        };
        let ordered_s = self.order.duration_ns.map_or(f64::INFINITY, |ns| ns as f64 / 1e9).min(open_s);
        let is_whole = self.result.ending == Ending::Finished && self.order.rate.is_some();
        if is_whole { ordered_s } else { self.result.duration_s.min(ordered_s) }
    }

    /// Largest busy share of a worker in any second; `None` in a run shorter than one.
    pub fn busy_max(&self) -> Option<f64> {
        let is_watched = self.result.health.workers.iter().any(|w| w.wall_ns > 0);
        is_watched.then_some(self.validity.busy_max)
    }

    /// The generator's state in a word or two.
    pub fn validity_words(&self) -> &'static str {
        match self.validity.state {
            ValidityState::Ok => "ok: the figures are the target's",
            ValidityState::Degraded => "degraded: read the figures with care",
            ValidityState::Void => "void: the generator itself was the limit, these are not the target's figures",
        }
    }
}

/// A time with three digits also where milliseconds are too coarse: `85 µs`, `0.42 ms` is `420 µs`.
pub fn fine_time(ns: f64) -> String {
    if ns > 0.0 && ns < 999_500.0 { format!("{:.0} µs", ns / 1e3) } else { reports::figures::short_time(ns) }
}

/// Bytes as people read them.
pub fn bytes(n: f64) -> String {
    match n {
        n if n < 1e3 => format!("{n:.0} B"),
        n if n < 1e6 => format!("{:.1} kB", n / 1e3),
        n if n < 1e9 => format!("{:.1} MB", n / 1e6),
        n => format!("{:.2} GB", n / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_are_microseconds() {
        assert_eq!(fine_time(85_000.0), "85 µs");
        assert_eq!(fine_time(999_400.0), "999 µs");
        assert_eq!(fine_time(999_600.0), "1.00 ms");
        assert_eq!(fine_time(901e6), "901 ms");
        assert_eq!(fine_time(0.0), "0 ms");
    }

    #[test]
    fn bytes_have_their_unit() {
        assert_eq!([0.0, 999.0, 1e3, 2.5e6, 3e9].map(bytes), ["0 B", "999 B", "1.0 kB", "2.5 MB", "3.00 GB"]);
    }
}
