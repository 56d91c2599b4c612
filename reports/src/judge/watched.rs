//! Objectives about watched series: what the target tells about itself while it is under load.
//! In: the points of a series, limit. Out: an [`Assessment`].

use super::claim::Assessment;
use crate::figures::{self, counted};
use crate::trend::{self, Trend};
use crate::verdict::{Interval, ObjectiveOutcome};
use engine::run_result::{RunResult, WatchedSeries};
use scenarios::objective::{Limit, Objective, SeriesStat, Stat, Watch};

/// A growth over some time is told from at least this part of it: a day from an hour.
const LEAST_SHARE_OF_PERIOD: f64 = 1.0 / 24.0;

/// Judges an objective about a watched series.
pub fn assess(result: &RunResult, objective: &Objective, stat: SeriesStat, limit: &Limit) -> Assessment {
    let Some(watch) = &objective.watch else {
        return Assessment::nothing("it names no series");
    };
    let Some(series) = result.watched.iter().find(|s| s.series == watch.text) else {
        return Assessment::nothing("this series was not watched in the run");
    };
    let points = judged(result, series);
    if points.is_empty() && stat != SeriesStat::Returns {
        return Assessment::nothing(missing(series));
    }
    match stat {
        SeriesStat::Max | SeriesStat::Min => extreme(&points, watch, stat, limit),
        SeriesStat::Mean => {
            let (mean, _) = moments(&points);
            plain(mean, &points, limit, format!("mean of {}", counted(points.len() as u64, "reading")))
        }
        SeriesStat::Variation => variation(&points, limit),
        SeriesStat::Growth => growth(result, &points, watch, limit),
        SeriesStat::Returns => returns(result, series, limit),
    }
}

/// The points inside the measured part.
pub fn judged(result: &RunResult, series: &WatchedSeries) -> Vec<(f64, f64)> {
    series.points.iter().copied().filter(|(t, _)| (0.0..=result.duration_s).contains(t)).collect()
}

/// The trend of a series as the report draws it; `None` with too few points.
pub fn trend_of(result: &RunResult, series: &WatchedSeries) -> Option<Trend> {
    trend::trend(&judged(result, series))
}

fn missing(series: &WatchedSeries) -> String {
    series.problem.clone().unwrap_or_else(|| "it had no value in the measured part".into())
}

fn moments(points: &[(f64, f64)]) -> (f64, f64) {
    let n = points.len() as f64;
    let mean = points.iter().map(|p| p.1).sum::<f64>() / n;
    let squares: f64 = points.iter().map(|p| (p.1 - mean).powi(2)).sum();
    (mean, if points.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
}

fn decided(holds: bool) -> ObjectiveOutcome {
    if holds { ObjectiveOutcome::Pass } else { ObjectiveOutcome::Fail }
}

fn plain(measured: f64, points: &[(f64, f64)], limit: &Limit, reason: String) -> Assessment {
    Assessment {
        measured: Some(measured),
        is_at_least: false,
        n: points.len() as u64,
        interval: None,
        outcome: decided(limit.op.holds(measured, limit.value)),
        reason,
    }
}

/// The extreme, or with `for` the level that it kept for so long: only what lasts is a miss.
fn extreme(points: &[(f64, f64)], watch: &Watch, stat: SeriesStat, limit: &Limit) -> Assessment {
    let is_max = stat == SeriesStat::Max;
    let written = figures::like_limit(&limit.text);
    let worse = |a: f64, b: f64| if is_max { a.max(b) } else { a.min(b) };
    let Some(hold_ns) = watch.hold_ns else {
        let found = points.iter().copied().reduce(|a, b| if worse(a.1, b.1) == a.1 { a } else { b });
        let (at, value) = found.unwrap_or_default();
        let readings = counted(points.len() as u64, "reading");
        let reason = format!("{} at {} of {readings}", written(value), figures::duration(at));
        return plain(value, points, limit, reason);
    };
    let hold_s = hold_ns as f64 / 1e9;
    let span = points[points.len() - 1].0 - points[0].0;
    let words = figures::duration(hold_s);
    if span < hold_s {
        return Assessment::nothing(format!("it was watched for {}, less than {words}", figures::duration(span)));
    }
    // For each start the mildest value until it has lasted so long; the worst of these is the level that it kept.
    let mut kept: Option<(f64, f64)> = None;
    for (i, start) in points.iter().enumerate() {
        let Some(length) = points[i..].iter().position(|p| p.0 - start.0 >= hold_s - 1e-6) else { break };
        let window = points[i..=i + length].iter().map(|p| p.1);
        let mildest = if is_max { window.reduce(f64::min) } else { window.reduce(f64::max) }.unwrap_or(start.1);
        if kept.is_none_or(|(_, level)| worse(level, mildest) != level) {
            kept = Some((start.0, mildest));
        }
    }
    let (at, level) = kept.unwrap_or_default();
    let side = if is_max { "at least" } else { "at most" };
    let reason = format!("{side} {} for {words} from {} on", written(level), figures::duration(at));
    plain(level, points, limit, reason)
}

fn variation(points: &[(f64, f64)], limit: &Limit) -> Assessment {
    let (mean, deviation) = moments(points);
    if points.len() < trend::LEAST || mean.abs() <= f64::EPSILON {
        let readings = counted(points.len() as u64, "reading");
        return Assessment::nothing(format!("{readings} with a mean of {} have no variation", figures::number(mean)));
    }
    let reason = format!("deviation {} of a mean of {}", figures::number(deviation), figures::number(mean));
    plain(deviation / mean.abs(), points, limit, reason)
}

/// Fails if the whole interval of the growth lies beyond the limit, holds if it lies below, and is open in between.
fn growth(result: &RunResult, points: &[(f64, f64)], watch: &Watch, limit: &Limit) -> Assessment {
    let per_s = watch.per_ns.unwrap_or(0) as f64 / 1e9;
    let span = points[points.len() - 1].0 - points[0].0;
    let Some(trend) = trend::trend(points) else {
        return Assessment::nothing(format!(
            "{} are too few for a trend; it needs {}",
            counted(points.len() as u64, "reading"),
            trend::LEAST
        ));
    };
    if trend.level <= 0.0 {
        return Assessment::nothing("its level at the start is not above 0, so a growth has no share");
    }
    let (watched, per) = (figures::duration(span), figures::duration(per_s));
    let seen = figures::share(trend.slope * span / trend.level);
    let share = |slope: f64| slope * per_s / trend.level;
    let mut found = Assessment {
        measured: Some(share(trend.slope)),
        is_at_least: false,
        n: points.len() as u64,
        interval: Some(Interval { low: share(trend.low), high: Some(share(trend.high)) }),
        outcome: ObjectiveOutcome::Inconclusive,
        reason: String::new(),
    };
    if span < per_s * LEAST_SHARE_OF_PERIOD {
        // A figure that must not be believed is not shown.
        (found.measured, found.interval) = (None, None);
        found.reason = format!(
            "it was watched for {watched}, in which it changed by {seen}; what it does in {per} cannot be told from less than {}",
            figures::duration(per_s * LEAST_SHARE_OF_PERIOD)
        );
        return found;
    }
    let far = if span < per_s * 0.95 { format!(", extrapolated from {watched}") } else { String::new() };
    found.reason = format!("{} in {per}{far}; {seen} in the time watched", figures::share(share(trend.slope)));
    if result.header.scaled.is_some() {
        found.reason += "; in a scaled run a growth decides nothing";
    } else if !limit.op.holds(share(trend.low), limit.value) {
        found.outcome = ObjectiveOutcome::Fail;
    } else if limit.op.holds(share(trend.high), limit.value) {
        found.outcome = ObjectiveOutcome::Pass;
    } else {
        found.reason += "; the interval reaches to both sides of the limit";
    }
    found
}

fn returns(result: &RunResult, series: &WatchedSeries, limit: &Limit) -> Assessment {
    let warm_up_s = result.header.warm_up_ns as f64 / 1e9;
    let load_s = result.header.planned_ns as f64 / 1e9 - warm_up_s;
    let before = series.points.first().filter(|(t, _)| *t < -warm_up_s);
    let after = series.points.last().filter(|(t, _)| *t >= load_s.min(result.duration_s));
    let (Some(&(_, before)), Some(&(at, after))) = (before, after) else {
        let why = series.problem.as_ref().map_or(String::new(), |p| format!(": {p}"));
        return Assessment::nothing(format!("it was not read both before and after the load{why}"));
    };
    if before == 0.0 {
        let is_same = after == 0.0;
        let reason = format!("0 before the load and {} after it", figures::number(after));
        return Assessment {
            measured: is_same.then_some(0.0),
            is_at_least: false,
            n: 2,
            interval: None,
            outcome: decided(is_same),
            reason,
        };
    }
    let reason = format!(
        "{} before the load, {} at {}, after it",
        figures::number(before),
        figures::number(after),
        figures::duration(at)
    );
    plain(((after - before) / before).abs(), &[(0.0, before), (at, after)], limit, reason)
}

/// Whether the objective cannot decide this run whatever is found: a growth in a scaled one.
pub fn is_undecidable(result: &RunResult, objective: &Objective) -> bool {
    objective.stat == Stat::Watched(SeriesStat::Growth) && result.header.scaled.is_some()
}
