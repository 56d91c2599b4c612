//! Times of events and messages against their limits, by the same claim as response times.
//! In: run result, steps, limit. Out: an [`Assessment`].

use super::claim::Assessment;
use super::times::{self, Percentiles};
use crate::blocks;
use engine::record::interval::Recording;
use engine::run_result::{RunResult, StepTotals, StreamTime, Times};
use scenarios::objective::{Comparison, Limit, Stat};

/// Judges percentile `p` of the times to the first event, between events, or of round trips. What did not come in time
/// lies within no limit: it is in the times with how long it was waited for, and in no exact counter. The interval takes
/// over the dependence of the response times, of which blocks are known.
pub fn percentile(result: &RunResult, ids: &[usize], stat: Stat, p: f64, limit: &Limit) -> Assessment {
    let Some(kind) = StreamTime::of(stat) else {
        return Assessment::nothing("it is of no stream");
    };
    let mut times = Times::default();
    ids.iter().for_each(|&i| recording(&result.steps[i], kind).add_to(&mut times));
    let n = times.count();
    let Some(shown) = Percentiles::plain(&times).at(p) else {
        return Assessment::nothing(match kind {
            StreamTime::FirstEvent => "no event came",
            StreamTime::EventGap => "no stream had two events",
            StreamTime::Message => "no message was answered",
        });
    };
    let within = exact(result, ids, kind, limit).unwrap_or_else(|| times.within(limit)).min(n);
    let dependence = blocks::of_response(result, ids, &times::merged(result, ids));
    let claim = times::claim(stat, p, limit, (n, within, 0), dependence.map_or(1.0, |d| d.design_effect));
    let (outcome, reason) = claim.decide();
    let as_totals = StepTotals { response: times, ..StepTotals::default() };
    let measured = times::agree(shown.ns, &as_totals, limit, outcome);
    let interval = dependence.and_then(|d| times::interval(&as_totals, p, n, d, measured));
    Assessment { measured: Some(measured), is_at_least: false, n, interval, outcome, reason }
}

fn recording(step: &StepTotals, kind: StreamTime) -> &Recording {
    match kind {
        StreamTime::FirstEvent => &step.first_event,
        StreamTime::EventGap => &step.event_gap,
        StreamTime::Message => &step.message,
    }
}

/// The exact counters; `None` if a step that has samples was not counted at this limit.
fn exact(result: &RunResult, ids: &[usize], kind: StreamTime, limit: &Limit) -> Option<u64> {
    let ns = limit.value as u64 + u64::from(matches!(limit.op, Comparison::AtMost | Comparison::More));
    let counted = ids.iter().filter(|&&i| recording(&result.steps[i], kind).count() > 0).map(|&i| {
        let place = result.header.steps[i].stream_limits.iter().position(|l| *l == (kind, ns))?;
        result.steps[i].streams_within.get(place).copied().or(Some(0))
    });
    counted.sum()
}
