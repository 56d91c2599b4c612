//! Objectives one by one: which apply, which steps each is of, and what a warning limit or `must: false` changes.
//! In: run result, objectives. Out: judged objectives.

use super::claim::Assessment;
use super::rungs::Rung;
use super::{containment, limits, outages, rungs, shares, streams, times, watched, windows};
use crate::capacity;
use crate::verdict::{JudgedObjective, ObjectiveOutcome};
use engine::run_result::RunResult;
use scenarios::objective::{Limit, Objective, Selection, Stat};

/// Judges every objective of this profile.
pub fn judge_all(result: &RunResult, objectives: &[Objective]) -> Vec<JudgedObjective> {
    let rungs = rungs::rungs(result);
    applicable(result, objectives).map(|objective| judge_one(result, &rungs, objective)).collect()
}

/// The gating objectives that are missed at phase `index` of a canary, each with its reason.
pub fn missed_at(result: &RunResult, index: usize, objectives: &[Objective]) -> Vec<String> {
    let Some(rung) = rungs::rung(result, index) else { return Vec::new() };
    let gating = applicable(result, objectives).filter(|o| o.must && o.waiver.is_none() && o.each.is_none());
    gating
        .filter(|o| rungs::is_of_rungs(o.stat))
        .filter_map(|objective| {
            let ids = step_ids(result, objective);
            let found = rung.assess((objective.stat, &ids), &|r| assess(r, objective, &ids, &objective.limit));
            (found.outcome == ObjectiveOutcome::Fail).then(|| format!("{}: {}", objective.id, found.reason))
        })
        .collect()
}

/// The tightest response-time limit that is judged, ns; `None` if no time is judged.
pub fn tightest_time_limit_ns(result: &RunResult, objectives: &[Objective]) -> Option<f64> {
    applicable(result, objectives).filter(|o| o.stat.is_time()).map(|o| o.limit.value).min_by(f64::total_cmp)
}

fn applicable<'a>(result: &'a RunResult, objectives: &'a [Objective]) -> impl Iterator<Item = &'a Objective> {
    objectives
        .iter()
        .filter(|o| o.profiles.as_ref().is_none_or(|names| names.contains(&result.header.profile)))
        // A capacity is asked of the search alone; its trials and other profiles know nothing of it.
        .filter(|o| o.stat != Stat::Capacity || result.header.capacity.is_some())
        // Without faults there is nothing to contain.
        .filter(|o| !matches!(o.stat, Stat::Containment(_)) || result.header.containment.is_some())
}

/// Steps that an objective is of. Probes are outside the time objectives.
fn step_ids(result: &RunResult, objective: &Objective) -> Vec<usize> {
    let steps = &result.header.steps;
    (0..result.steps.len())
        .filter(|i| objective.of.is_everything() || objective.of.step_ids.contains(i))
        .filter(|&i| !(objective.stat.is_time() && steps[i].probe))
        .collect()
}

fn judge_one(result: &RunResult, rungs: &[Rung], objective: &Objective) -> JudgedObjective {
    let ids = step_ids(result, objective);
    let in_windows = |limit: &Limit, is_warning| {
        objective.each.as_ref().map(|each| windows::assess(result, objective, each, limit, is_warning))
    };
    let against = |limit: &Limit, is_warning| match in_windows(limit, is_warning) {
        Some((found, judged)) => (found, Vec::new(), judged),
        None => {
            let whole = rungs::assess(result, rungs, (objective.stat, &ids), |r| assess(r, objective, &ids, limit));
            (whole.0, whole.1, None)
        }
    };
    let (mut found, judged_rungs, judged_windows) = against(&objective.limit, false);
    match found.outcome {
        ObjectiveOutcome::Pass => {
            if let Some(missed) = missed_warning(objective, |limit| against(limit, true).0) {
                found.outcome = ObjectiveOutcome::Warn;
                found.reason = missed;
            } else if objective.confident && !is_sure(&found, &objective.limit) {
                found.outcome = ObjectiveOutcome::Inconclusive;
                found.reason += match found.interval {
                    Some(_) => "; the limit lies inside the 95% interval, and the whole of it has to keep the limit",
                    None => "; too few blocks for a 95% interval, and the whole of it has to keep the limit",
                };
            } else if is_close(&found, &objective.limit) {
                found.reason += "; close: the interval reaches past the limit";
            }
        }
        ObjectiveOutcome::Fail => {
            if let Some(waiver) = &objective.waiver {
                found.outcome = ObjectiveOutcome::Waived;
                found.reason =
                    format!("{}; waived by {} until {}: {}", found.reason, waiver.by, waiver.until, waiver.reason);
            } else if !objective.must {
                found.outcome = ObjectiveOutcome::Warn;
            }
        }
        _ => {}
    }
    JudgedObjective {
        id: objective.id.clone(),
        of: objective.of.clone(),
        stat: objective.stat,
        limit: objective.limit.clone(),
        warn: objective.warn.clone(),
        must: objective.must && !watched::is_undecidable(result, objective),
        line: objective.line,
        measured: found.measured,
        is_at_least: found.is_at_least,
        n: found.n,
        interval: found.interval,
        outcome: found.outcome,
        reason: found.reason,
        rungs: judged_rungs,
        waiver: objective.waiver.clone(),
        each: objective.each.clone(),
        watch: objective.watch.clone(),
        windows: judged_windows,
        confident: objective.confident,
    }
}

/// The outcome of an objective for one target alone, to see in a table which service is to blame. `None` if the target
/// has no part in it, or the figure cannot be split. What holds for all is not held against one.
pub fn outcome_at(result: &RunResult, judged: &JudgedObjective, target: usize) -> Option<ObjectiveOutcome> {
    let objective = judged.objective();
    let all = step_ids(result, &objective);
    let own: Vec<usize> = all.iter().copied().filter(|&i| result.header.steps[i].target == target).collect();
    let is_alone = own.len() == all.len();
    let holds = matches!(judged.outcome, ObjectiveOutcome::Pass | ObjectiveOutcome::Waived);
    if own.iter().all(|&i| result.steps[i].counts.sent() == 0) {
        None
    } else if is_alone || holds {
        Some(judged.outcome)
    } else if !objective.stat.is_of_steps() || objective.each.is_some() {
        None
    } else {
        let of = Selection {
            targets: vec![result.header.targets[target].name.clone()],
            step_ids: own,
            ..Selection::default()
        };
        Some(judge_one(result, &[], &Objective { of, ..objective }).outcome)
    }
}

/// Whether the interval has a known end on the bad side of a limit that the figure itself keeps.
fn is_close(found: &Assessment, limit: &Limit) -> bool {
    found.interval.is_some_and(|interval| {
        let worst = if limit.op.is_upper() { interval.high } else { Some(interval.low) };
        worst.is_some_and(|end| !limit.op.holds(end, limit.value))
    })
}

/// Whether the whole interval keeps the limit. An end that nobody knows keeps none.
fn is_sure(found: &Assessment, limit: &Limit) -> bool {
    found.interval.is_some_and(|interval| {
        let worst = if limit.op.is_upper() { interval.high } else { Some(interval.low) };
        worst.is_some_and(|end| limit.op.holds(end, limit.value))
    })
}

/// The reason for a warning if the tighter limit is missed.
fn missed_warning(objective: &Objective, against: impl Fn(&Limit) -> Assessment) -> Option<String> {
    let warn = objective.warn.as_ref()?;
    let found = against(warn);
    (found.outcome == ObjectiveOutcome::Fail)
        .then(|| format!("misses the warning limit {}: {}", warn.text, found.reason))
}

fn assess(result: &RunResult, objective: &Objective, ids: &[usize], limit: &Limit) -> Assessment {
    if ids.is_empty() && !objective.stat.is_of_iterations() && objective.watch.is_none() {
        return Assessment::nothing("no step of this run belongs to it");
    }
    match objective.stat {
        Stat::Percentile(p) => times::percentile(result, ids, p, limit),
        Stat::Max => times::percentile(result, ids, 100.0, limit),
        Stat::Mean => times::mean(result, ids, limit),
        Stat::Errors => shares::errors(result, ids, limit),
        Stat::Availability => shares::availability(result, ids, objective.of.is_everything(), limit),
        Stat::Completed => shares::completed(result, &objective.of, limit),
        Stat::Rate => shares::rate(result, ids, limit),
        Stat::Capacity => capacity::assess(result, limit),
        Stat::Service(p) | Stat::Connect(p) => times::plain(result, ids, objective.stat, p, limit),
        Stat::FirstEvent(p) | Stat::EventGap(p) | Stat::Message(p) => {
            streams::percentile(result, ids, objective.stat, p, limit)
        }
        Stat::Dropped => shares::dropped(result, &objective.of, limit),
        Stat::Iterations => shares::iterations(result, &objective.of, limit),
        Stat::ConnectionsOk => shares::connections_ok(result, ids, limit),
        Stat::Uptime | Stat::LongestOutage | Stat::Recovery => outages::assess(result, objective, limit),
        Stat::Watched(stat) => watched::assess(result, objective, stat, limit),
        Stat::Containment(harm) => containment::assess(result, harm, limit),
        Stat::RateLimit => limits::assess(result, objective, limit),
    }
}
