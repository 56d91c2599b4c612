//! The rungs of a ladder: an objective of times or shares has to hold on each of them as well as on the whole run.
//! In: run result, how to assess a run. Out: one assessment for all, and what was found on each rung.

use super::claim::Assessment;
use crate::figures::counted;
use crate::verdict::{JudgedRung, ObjectiveOutcome};
use engine::run_result::RunResult;
use scenarios::objective::Stat;

/// Samples from which on a mean of one rung is judged. A mean has no least number of its own; a handful of first
/// requests must not fail a ladder.
const LEAST_FOR_MEAN: u64 = 30;

/// Whether a statistic is judged on every rung: response times and shares of requests. All else is asked of the whole run.
fn is_of_rungs(stat: Stat) -> bool {
    // What is not folded by phase is judged on the whole: connections, service times, arrivals, outages.
    matches!(stat, Stat::Percentile(_) | Stat::Mean | Stat::Max | Stat::Errors | Stat::Availability | Stat::Completed)
}

/// Each rung as a run of its own, with its name; empty unless the run is a ladder.
pub fn rungs(result: &RunResult) -> Vec<(String, RunResult)> {
    if !result.header.ladder {
        return Vec::new();
    }
    let named = result.header.phases.iter().enumerate();
    named.filter_map(|(i, phase)| Some((phase.name.clone(), result.of_phase(i)?))).collect()
}

/// Assesses the whole and each rung. A rung that misses, with enough samples to say so, decides: the figure and the
/// reason are those of the lowest such rung.
pub fn assess(
    result: &RunResult,
    rungs: &[(String, RunResult)],
    stat: Stat,
    assess: impl Fn(&RunResult) -> Assessment,
) -> (Assessment, Vec<JudgedRung>) {
    let whole = assess(result);
    if !is_of_rungs(stat) || rungs.is_empty() {
        return (whole, Vec::new());
    }
    let found: Vec<(&str, Assessment)> =
        rungs.iter().map(|(name, rung)| (name.as_str(), enough(stat, assess(rung)))).collect();
    let judged = found.iter().map(|(name, a)| JudgedRung {
        phase: (*name).to_owned(),
        measured: a.measured,
        is_at_least: a.is_at_least,
        n: a.n,
        outcome: a.outcome,
    });
    let judged = judged.collect();
    (decide(whole, &found), judged)
}

fn enough(stat: Stat, found: Assessment) -> Assessment {
    if stat == Stat::Mean && found.measured.is_some() && found.n < LEAST_FOR_MEAN {
        let reason = format!("{}; a mean needs at least {LEAST_FOR_MEAN} on a rung", counted(found.n, "sample"));
        return Assessment { outcome: ObjectiveOutcome::Inconclusive, reason, ..found };
    }
    found
}

fn decide(whole: Assessment, found: &[(&str, Assessment)]) -> Assessment {
    let of = |outcome| {
        let some = found.iter().filter(move |(_, a)| a.outcome == outcome);
        some.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let missed = of(ObjectiveOutcome::Fail);
    let unjudged = of(ObjectiveOutcome::Inconclusive);
    if let Some((name, first)) = found.iter().find(|(_, a)| a.outcome == ObjectiveOutcome::Fail) {
        let mut reason = format!("on the rung {name}: {}", first.reason);
        if let [_, more @ ..] = missed.as_slice()
            && !more.is_empty()
        {
            reason += &format!("; missed on {} too", more.join(", "));
        }
        return Assessment { reason, ..first.clone() };
    }
    if whole.outcome != ObjectiveOutcome::Pass {
        return whole;
    }
    let held = found.len() - unjudged.len();
    if held == 0 {
        let why = found.first().map_or("", |(_, a)| a.reason.as_str());
        let reason = format!("no rung has enough samples: {why}");
        return Assessment { outcome: ObjectiveOutcome::Inconclusive, reason, ..whole };
    }
    let mut reason = format!("{}; held on {held} of {}", whole.reason, counted(found.len() as u64, "rung"));
    if !unjudged.is_empty() {
        reason += &format!(", too few samples on {}", unjudged.join(", "));
    }
    Assessment { reason, ..whole }
}
