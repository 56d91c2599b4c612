//! What was measured window by window, for objectives that have to hold in each: counts at their limits, and when the
//! target was up and when down.
//! In: folded by `record::windows` and `record::beats`. Out: read by `reports`.

use super::Times;
use scenarios::objective::{Comparison, Limit};

/// The windows of one objective.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowSeries {
    /// Its id.
    pub objective: String,
    /// Length of a window, s: as asked for, or a multiple in a run so long that it would have too many.
    pub every_s: f64,
    /// In order, without a gap. Windows with too few samples are merged with the next.
    pub windows: Vec<Window>,
}

/// One window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Start, seconds since the end of the warm-up.
    pub from_s: f64,
    /// End.
    pub to_s: f64,
    /// Samples: response times, requests, iterations, arrivals or connections, whatever the statistic counts.
    pub n: u64,
    /// Of those: what the share counts (errors, answers as expected, …); 0 for times and rates.
    pub hits: u64,
    /// The statistic's figure in its base unit; `None` without samples.
    pub figure: Option<f64>,
    /// A time: how the samples lie about the limit, and about the tighter one that only warns.
    pub about: [About; 2],
    /// Timed-out and unfinished ones among the samples.
    pub bounds: u64,
}

/// How samples lie about a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Answered on its near side.
    pub within: u64,
    /// Cut before it: either side.
    pub unknown: u64,
}

/// When the selected steps were answered well and when not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BeatSeries {
    /// Id of the objective.
    pub objective: String,
    /// Length of a beat, s.
    pub every_s: f64,
    /// In order, without a gap, from the end of the warm-up to the end of the load.
    pub beats: Vec<Beat>,
    /// Percentile (0..100) and limit of the objectives whose times are counted in `Beat::times`.
    pub limits: Vec<(f64, Limit)>,
}

/// A few seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Answered as expected.
    pub ok: u64,
    /// Failed or timed out.
    pub bad: u64,
    /// Requests were under way at its end.
    pub waiting: bool,
    /// For each of the series' limits: samples, and those within.
    pub times: Vec<(u64, u64)>,
}

impl Times {
    /// Samples on the near side of the limit, by the histogram. The bucket that holds the limit is left out for an upper
    /// limit and taken in for a lower one, so that an unsure sample never helps; exact extremes decide first.
    pub fn within(&self, limit: &Limit) -> u64 {
        if self.count() == 0 {
            return 0;
        }
        let includes_limit = matches!(limit.op, Comparison::AtMost | Comparison::More);
        let is_near = |ns: u64| {
            let ns = ns as f64;
            ns < limit.value || (includes_limit && ns <= limit.value)
        };
        if is_near(self.max_ns) {
            return self.count();
        }
        if !is_near(self.min_ns) {
            return 0;
        }
        let us = (limit.value / 1e3) as u64;
        let end = if limit.op.is_upper() { self.histogram.lowest_equivalent(us).checked_sub(1) } else { Some(us) };
        end.map_or(0, |end| self.histogram.count_between(0, end))
    }
}
