//! The phases of a run as rows: how much came, how much of it went wrong, how long it took.
//! In: run result. Out: plain rows for `result.json`, the terminal and the page.

use crate::figures::plain;
use crate::judge::times::{Percentiles, Shown};
use engine::run_result::{Counts, RunResult, StepTotals};

/// One phase.
#[derive(Clone, Debug)]
pub struct PhaseRow {
    /// Name.
    pub name: String,
    /// Start, s since the end of the warm-up.
    pub from_s: f64,
    /// End as planned, s since the end of the warm-up.
    pub to_s: f64,
    /// Counters over all steps.
    pub counts: Counts,
    /// Failed and timed out, of those that have an outcome of the target's; `None` when there is none.
    pub errors: Option<f64>,
    /// Requests answered a second; `None` when the phase was not reached.
    pub rate: Option<f64>,
    /// Mean response time over all steps but probes, ns.
    pub mean: Option<Shown>,
    /// p50, p95, p99 of the same, ns.
    pub percentiles: [Option<Shown>; 3],
}

/// The phases in order; empty for a run without phases.
pub fn rows(result: &RunResult) -> Vec<PhaseRow> {
    let warm_up_s = result.header.warm_up_ns as f64 / 1e9;
    let phases = result.header.phases.iter().zip(&result.phases);
    phases
        .map(|(header, totals)| {
            let counts = totals.counts();
            let mut times = StepTotals::default();
            let judged = result.header.steps.iter().zip(&totals.steps).filter(|(step, _)| !step.probe);
            for (_, seen) in judged {
                seen.response.add_to(&mut times.response);
                seen.lower_bounds.add_to(&mut times.lower_bounds);
            }
            let settled = counts.ok + counts.failed + counts.timed_out;
            let bad = counts.failed + counts.timed_out;
            let answered = counts.ok + counts.failed - counts.failed.min(counts.not_delivered);
            let seconds = result.phase_duration_s(header);
            let percentiles = Percentiles::of_response(&times);
            let is_at_least = times.lower_bounds.count() > 0;
            PhaseRow {
                name: plain(&header.name),
                from_s: header.from_ns as f64 / 1e9 - warm_up_s,
                to_s: header.to_ns as f64 / 1e9 - warm_up_s,
                counts,
                errors: (settled > 0).then(|| bad as f64 / settled as f64),
                rate: (seconds > 0.0).then(|| answered as f64 / seconds),
                mean: times.response.mean_ns().map(|ns| Shown { ns, is_at_least }),
                percentiles: [50.0, 95.0, 99.0].map(|p| percentiles.at(p)),
            }
        })
        .collect()
}
