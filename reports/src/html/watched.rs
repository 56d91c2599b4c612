//! Watched series drawn: what the target told about itself, its trend, and the limits that were set.
//! In: run result, verdict. Out: charts for the template.

use super::panel::{Axis, Ink, LimitLine, Panel, Series, time_axis};
use super::{ChartView, Key};
use crate::figures::{self, plain};
use crate::judge::watched::trend_of;
use crate::verdict::Verdict;
use engine::run_result::{RunResult, WatchedSeries};
use scenarios::objective::{SeriesStat, Stat};

/// Series that are drawn.
const MOST_DRAWN: usize = 24;
/// Points of a drawn line.
const MOST_POINTS: usize = 600;

pub(crate) fn charts(result: &RunResult, verdict: &Verdict) -> Vec<ChartView> {
    result.watched.iter().take(MOST_DRAWN).map(|series| chart(result, verdict, series)).collect()
}

/// A round scale about the values, from 0 where they reach down to it.
fn axis(low: f64, high: f64, label: fn(f64) -> String) -> Axis {
    let low = if low >= 0.0 && low < high * 0.5 { 0.0 } else { low };
    let height = if high > low { high - low } else { low.abs().max(1.0) * 0.1 };
    let raw = height / 4.0;
    let unit = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|f| f * unit).find(|s| *s >= raw * 0.999).unwrap_or(10.0 * unit);
    let first = (low / step).floor();
    let ticks: Vec<f64> = (0..=6).map(|i| (first + f64::from(i)) * step).take_while(|t| *t <= high + step).collect();
    let end = ticks.last().copied().unwrap_or(high).max(high);
    Axis { range: (first * step)..(end + step * 0.1), ticks, label }
}

/// The values that can be drawn beside these without pressing them flat: four times their own spread to either side, and
/// at least as far as half of the largest. Everything, when there are none.
fn near(points: &[(f64, f64)]) -> (f64, f64) {
    let (low, high) = points.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (_, v)| (l.min(*v), h.max(*v)));
    if !low.is_finite() {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    let reach = (4.0 * (high - low)).max(low.abs().max(high.abs()) / 2.0);
    (low - reach, high + reach)
}

fn chart(result: &RunResult, verdict: &Verdict, series: &WatchedSeries) -> ChartView {
    let every = series.points.len().div_ceil(MOST_POINTS).max(1);
    let points: Vec<(f64, f64)> = series.points.iter().step_by(every).copied().collect();
    let start = points.first().map_or(0.0, |p| p.0.min(0.0));
    let end = points.last().map_or(result.duration_s, |p| p.0.max(result.duration_s)).max(start + 1.0);
    let mut limits = Vec::new();
    let mut written: fn(f64) -> String = figures::number;
    for o in verdict.objectives.iter().filter(|o| o.watch.as_ref().is_some_and(|w| w.text == series.series)) {
        if matches!(o.stat, Stat::Watched(SeriesStat::Max | SeriesStat::Min | SeriesStat::Mean)) {
            let label = format!("{} {}", o.stat.word(), plain(&o.limit.text));
            limits.push(LimitLine { until: end, at: o.limit.value, label });
            written = figures::like_limit(&o.limit.text);
        }
    }
    let trend = trend_of(result, series);
    let (from, to) = near(&points);
    // A limit far off would press the line flat: it is told at the edge instead.
    let values = points.iter().map(|p| p.1).chain(limits.iter().map(|l| l.at).filter(|at| (from..=to).contains(at)));
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
    let mut drawn = Vec::new();
    let mut keys = vec![Key::new(Ink::First, "as read")];
    if let Some(t) = trend {
        let at = |x: f64| (x, Some((t.level + t.slope * x).clamp(low, high)));
        drawn.push(Series { ink: Ink::Second, points: vec![at(0.0), at(result.duration_s)] });
        keys.push(Key::new(Ink::Second, "trend"));
    }
    drawn.push(Series { ink: Ink::First, points: points.iter().map(|&(x, y)| (x, Some(y))).collect() });
    let note = match (&series.problem, points.is_empty(), trend) {
        (Some(problem), true, _) => plain(problem),
        (Some(problem), false, _) => format!("{} readings; at times: {}", series.points.len(), plain(problem)),
        (None, _, Some(t)) => {
            let change = |slope: f64| written(slope * result.duration_s);
            format!(
                "{} readings; trend over the measured part {} (95% interval {} … {})",
                series.points.len(),
                change(t.slope),
                change(t.low),
                change(t.high)
            )
        }
        (None, _, None) => format!("{} readings", series.points.len()),
    };
    let panel = Panel {
        description: format!("{}, over time", plain(&series.series)),
        height: 300,
        x: time_axis(start, end),
        y: axis(low, high, written),
        series: drawn,
        limits,
        marks: Vec::new(),
    };
    // A name that the file gives says more than the expression, which then stands behind it.
    let named = verdict
        .objectives
        .iter()
        .find(|o| o.watch.as_ref().is_some_and(|w| w.text == series.series) && !o.id.contains(series.series.as_str()));
    let title = match named {
        Some(o) => format!("{}: {}", plain(&o.id), plain(&series.series)),
        None => plain(&series.series),
    };
    ChartView { title, note, keys, svg: panel.svg() }
}
