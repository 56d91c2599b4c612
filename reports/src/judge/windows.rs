//! Objectives that have to hold in every window: each window is judged by the same rules as a whole run, and the worst
//! one is named.
//! In: the windows of an objective. Out: one assessment for all, and what was found in each.

use super::claim::{Assessment, Claim};
use super::times;
use crate::figures::{self, count, counted};
use crate::verdict::{JudgedWindow, JudgedWindows, ObjectiveOutcome};
use engine::run_result::{RunResult, Window, WindowSeries};
use scenarios::objective::{Each, LEAST_FOR_MEAN, Limit, Objective, Stat, Unit};

/// Judges the windows of `objective` against its limit, or against the tighter one that only warns.
pub fn assess(
    result: &RunResult,
    objective: &Objective,
    each: &Each,
    limit: &Limit,
    is_warning: bool,
) -> (Assessment, Option<JudgedWindows>) {
    let Some(series) = result.windows.iter().find(|s| s.objective == objective.id).filter(|s| !s.windows.is_empty())
    else {
        return (Assessment::nothing("nothing was measured in any window"), None);
    };
    let place = usize::from(is_warning);
    let judged: Vec<(JudgedWindow, String)> =
        series.windows.iter().map(|w| one(objective.stat, limit, w, place)).collect();
    let of = |outcome| judged.iter().filter(|(w, _)| w.outcome == outcome).count();
    let (held, missed) = (of(ObjectiveOutcome::Pass), of(ObjectiveOutcome::Fail));
    let outcome = outcome(each.share, judged.len(), held, missed);
    let figures = judged.iter().filter(|(w, _)| w.figure.is_some());
    let badness = |w: &JudgedWindow| {
        let figure = w.figure.unwrap_or(0.0);
        if limit.op.is_upper() { figure } else { -figure }
    };
    // Among the windows that decide: a figure of too few samples is the worst of nothing.
    let deciding = figures.clone().filter(|(w, _)| w.outcome == ObjectiveOutcome::Fail);
    let chosen: Vec<&(JudgedWindow, String)> = if missed > 0 { deciding.collect() } else { figures.collect() };
    let worst = chosen.into_iter().max_by(|a, b| badness(&a.0).total_cmp(&badness(&b.0)));
    let n = series.windows.iter().map(|w| w.n).sum();
    let assessment = Assessment {
        measured: worst.and_then(|(w, _)| w.figure),
        is_at_least: worst.is_some_and(|(w, _)| w.is_at_least),
        n,
        interval: None,
        outcome,
        reason: reason(objective, each, series, &judged, worst, (held, missed)),
    };
    let windows = JudgedWindows {
        every_s: series.every_s,
        share: each.share,
        held,
        missed,
        worst: worst.map(|(w, _)| w.clone()),
        all: judged.into_iter().map(|(w, _)| w).collect(),
    };
    (assessment, Some(windows))
}

/// All have to hold, or the share that was asked for; what nobody can tell counts for neither side.
fn outcome(share: Option<f64>, all: usize, held: usize, missed: usize) -> ObjectiveOutcome {
    let need = share.map_or(all, |share| (share * all as f64 - 1e-9).ceil() as usize);
    if all - missed < need {
        ObjectiveOutcome::Fail
    } else if held >= need {
        ObjectiveOutcome::Pass
    } else {
        ObjectiveOutcome::Inconclusive
    }
}

fn one(stat: Stat, limit: &Limit, window: &Window, place: usize) -> (JudgedWindow, String) {
    let about = window.about[place];
    let (outcome, reason) = match stat {
        Stat::Percentile(p)
        | Stat::Service(p)
        | Stat::Connect(p)
        | Stat::FirstEvent(p)
        | Stat::EventGap(p)
        | Stat::Message(p) => times::claim(stat, p, limit, (window.n, about.within, about.unknown), 1.0).decide(),
        Stat::Max => times::claim(stat, 100.0, limit, (window.n, about.within, about.unknown), 1.0).decide(),
        Stat::Mean if window.n < LEAST_FOR_MEAN => too_few(window.n),
        Stat::Mean => {
            let holds = window.figure.is_some_and(|f| limit.op.holds(f, limit.value));
            let is_open = holds && limit.op.is_upper() && times::is_open(window.bounds, window.n);
            let outcome = if is_open { ObjectiveOutcome::Inconclusive } else { verdict(holds) };
            (outcome, "requests that were cut or timed out decide it".into())
        }
        stat if stat.unit() == Unit::Rate => {
            (verdict(window.figure.is_some_and(|f| limit.op.holds(f, limit.value))), String::new())
        }
        _ => share(stat, limit, window).decide(),
    };
    let judged = JudgedWindow {
        from_s: window.from_s,
        to_s: window.to_s,
        n: window.n,
        figure: window.figure,
        is_at_least: window.bounds > 0 && stat.is_time(),
        outcome,
    };
    (judged, reason)
}

fn too_few(n: u64) -> (ObjectiveOutcome, String) {
    let reason = format!("{}; a mean needs at least {LEAST_FOR_MEAN}", counted(n, "sample"));
    (ObjectiveOutcome::Inconclusive, reason)
}

fn verdict(holds: bool) -> ObjectiveOutcome {
    if holds { ObjectiveOutcome::Pass } else { ObjectiveOutcome::Fail }
}

fn share(stat: Stat, limit: &Limit, window: &Window) -> Claim {
    let is_upper = limit.op.is_upper();
    let holds = window.figure.is_some_and(|f| limit.op.holds(f, limit.value));
    let hits = window.hits.min(window.n);
    Claim {
        name: format!("{} {}", stat.word(), limit.text),
        noun: super::shares::noun(stat),
        n: window.n,
        bad: if is_upper { hits } else { window.n - hits },
        unknown: 0,
        allowed: if is_upper { limit.value } else { 1.0 - limit.value },
        holds_at_best: holds,
        holds_at_worst: holds,
        // Inside a window nothing is known of the dependence of its samples: each counts as one.
        design_effect: 1.0,
        seen: format!("{} of {}", count(hits), counted(window.n, super::shares::noun(stat))),
    }
}

/// `held in 57 of 60 windows of 10 s; the worst, 40 s – 50 s, had p95 812 ms`.
fn reason(
    objective: &Objective,
    each: &Each,
    series: &WindowSeries,
    judged: &[(JudgedWindow, String)],
    worst: Option<&(JudgedWindow, String)>,
    (held, missed): (usize, usize),
) -> String {
    let length = figures::duration(series.every_s);
    let windows = counted(judged.len() as u64, "window");
    let mut text = format!("held in {} of {windows} of {length}", count(held as u64));
    let unsure = judged.len() - held - missed;
    if unsure > 0 {
        let why = judged.iter().find(|(w, _)| w.outcome == ObjectiveOutcome::Inconclusive);
        let why = why.map_or("", |(_, why)| why.as_str());
        text += &format!(", {} undecided ({why})", count(unsure as u64));
    }
    let longer = series.windows.iter().filter(|w| w.to_s - w.from_s > series.every_s + 1e-6).count();
    if longer > 0 {
        text += &format!(", {} merged to hold enough samples", count(longer as u64));
    }
    if let Some(share) = each.share {
        text += &format!("; {} of them have to hold", figures::share(share));
    }
    if let Some((window, figure)) = worst.and_then(|(w, _)| Some((w, w.figure?))) {
        let sign = if window.is_at_least { "≥ " } else { "" };
        text += &format!(
            "; the worst, {}, had {} {sign}{} ({})",
            span(window),
            objective.stat.word(),
            figures::of_stat(objective.stat, figure),
            counted(window.n, super::shares::noun(objective.stat)),
        );
    }
    if series.every_s * 1e9 > each.every_ns as f64 + 1.0 {
        text += &format!("; the run is too long for windows of {}", figures::duration(each.every_ns as f64 / 1e9));
    }
    text
}

/// `40 s – 50 s`.
pub fn span(window: &JudgedWindow) -> String {
    format!("{} – {}", figures::duration(window.from_s), figures::duration(window.to_s))
}
