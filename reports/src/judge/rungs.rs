//! The rungs of a ladder and the steps of a canary: an objective of times or shares has to hold on each of them as well
//! as on the whole run. At a step of a canary it has to hold for all users, and for those of the new version alone.
//! In: run result, how to assess a run. Out: one assessment for all, and what was found on each rung.

use super::claim::Assessment;
use crate::figures::counted;
use crate::verdict::{JudgedRung, ObjectiveOutcome};
use engine::run_result::{PointStep, RunResult, StepTotals};
use scenarios::objective::Stat;

/// Samples from which on a mean of one rung is judged. A mean has no least number of its own; a handful of first
/// requests must not fail a ladder.
const LEAST_FOR_MEAN: u64 = 30;

/// A rung as a run of its own.
pub struct Rung {
    name: String,
    /// `rung` or `step`.
    noun: &'static str,
    all: RunResult,
    /// What the new version of a canary alone answered in it.
    new: Option<RunResult>,
}

/// Whether a statistic is judged on every rung: response times and shares of requests. All else is asked of the whole run.
pub fn is_of_rungs(stat: Stat) -> bool {
    // What is not folded by phase is judged on the whole: connections, service times, arrivals, outages.
    matches!(stat, Stat::Percentile(_) | Stat::Mean | Stat::Max | Stat::Errors | Stat::Availability | Stat::Completed)
}

/// Each rung as a run of its own; empty unless the run is a ladder or a canary. Steps of a canary that were never
/// reached are left out: it is stopped at the first that fails.
pub fn rungs(result: &RunResult) -> Vec<Rung> {
    if !result.header.ladder && result.header.canary.is_none() {
        return Vec::new();
    }
    let is_reached = |i: &usize| {
        result.header.canary.is_none() || result.phase_duration_s(&result.header.phases[*i]) > 0.0 || *i == 0
    };
    (0..result.header.phases.len()).filter(is_reached).filter_map(|i| rung(result, i)).collect()
}

/// Phase `index` as a rung.
pub fn rung(result: &RunResult, index: usize) -> Option<Rung> {
    let all = result.of_phase(index)?;
    let is_canary = result.header.canary.is_some();
    Some(Rung {
        name: result.header.phases.get(index)?.name.clone(),
        noun: if is_canary { "step" } else { "rung" },
        new: is_canary.then(|| of_new(&all)),
        all,
    })
}

/// The same with nothing but what the new version answered.
fn of_new(all: &RunResult) -> RunResult {
    let mut new = all.clone();
    for (index, step) in all.header.steps.iter().enumerate().filter(|(_, step)| step.twin_of.is_none()) {
        if let Some(totals) = new.steps.get_mut(index) {
            *totals = StepTotals { within: vec![0; step.limits_ns.len()], ..StepTotals::default() };
        }
        for point in &mut new.timeline {
            if let Some(seen) = point.steps.get_mut(index) {
                *seen = PointStep { within: vec![0; step.limits_ns.len()], ..PointStep::default() };
            }
        }
    }
    new
}

impl Rung {
    /// Assesses the rung: of a canary the new version alone, unless only all users together miss it.
    pub fn assess(&self, (stat, ids): (Stat, &[usize]), assess: &impl Fn(&RunResult) -> Assessment) -> Assessment {
        let all = enough(stat, assess(&self.all));
        let has_new = ids.iter().any(|&i| self.all.header.steps.get(i).is_some_and(|step| step.twin_of.is_some()));
        let Some(new) = self.new.as_ref().filter(|_| has_new && stat.is_of_steps()) else {
            return all;
        };
        let new = enough(stat, assess(new));
        if all.outcome == ObjectiveOutcome::Fail && new.outcome != ObjectiveOutcome::Fail {
            return Assessment { reason: format!("both versions together: {}", all.reason), ..all };
        }
        Assessment { reason: format!("the new version: {}", new.reason), ..new }
    }
}

/// Assesses the whole and each rung. A rung that misses, with enough samples to say so, decides: the figure and the
/// reason are those of the lowest such rung.
pub fn assess(
    result: &RunResult,
    rungs: &[Rung],
    (stat, ids): (Stat, &[usize]),
    assess: impl Fn(&RunResult) -> Assessment,
) -> (Assessment, Vec<JudgedRung>) {
    let whole = assess(result);
    if !is_of_rungs(stat) || rungs.is_empty() {
        return (whole, Vec::new());
    }
    let found: Vec<(&str, Assessment)> =
        rungs.iter().map(|rung| (rung.name.as_str(), rung.assess((stat, ids), &assess))).collect();
    let judged = found.iter().map(|(name, a)| JudgedRung {
        phase: (*name).to_owned(),
        measured: a.measured,
        is_at_least: a.is_at_least,
        n: a.n,
        outcome: a.outcome,
    });
    let judged = judged.collect();
    (decide(whole, &found, rungs[0].noun), judged)
}

fn enough(stat: Stat, found: Assessment) -> Assessment {
    if stat == Stat::Mean && found.measured.is_some() && found.n < LEAST_FOR_MEAN {
        let reason = format!("{}; a mean needs at least {LEAST_FOR_MEAN} on a rung", counted(found.n, "sample"));
        return Assessment { outcome: ObjectiveOutcome::Inconclusive, reason, ..found };
    }
    found
}

fn decide(whole: Assessment, found: &[(&str, Assessment)], noun: &str) -> Assessment {
    let of = |outcome| {
        let some = found.iter().filter(move |(_, a)| a.outcome == outcome);
        some.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let missed = of(ObjectiveOutcome::Fail);
    let unjudged = of(ObjectiveOutcome::Inconclusive);
    if let Some((name, first)) = found.iter().find(|(_, a)| a.outcome == ObjectiveOutcome::Fail) {
        let mut reason =
            format!("{} {noun} {name}: {}", if noun == "step" { "at the" } else { "on the" }, first.reason);
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
        let reason = format!("no {noun} has enough samples: {why}");
        return Assessment { outcome: ObjectiveOutcome::Inconclusive, reason, ..whole };
    }
    let mut reason = format!("{}; held on {held} of {}", whole.reason, counted(found.len() as u64, noun));
    if !unjudged.is_empty() {
        reason += &format!(", too few samples on {}", unjudged.join(", "));
    }
    Assessment { reason, ..whole }
}
