//! Objectives that have to hold in every window, drawn: the figure of each window beside the limit, missed ones marked.
//! In: verdict. Out: views for the template.

use super::panel::{Axis, Ink, LimitLine, Panel, Series, linear_axis, time_axis};
use super::{ChartView, Key};
use crate::figures::{self, counted, plain};
use crate::judge::windows::span;
use crate::verdict::{JudgedObjective, JudgedWindow, JudgedWindows, ObjectiveOutcome, Verdict};
use scenarios::objective::Unit;

/// Objectives that are drawn; the table of objectives tells of all.
const MOST_DRAWN: usize = 12;
/// Missed windows listed for an objective.
const MOST_LISTED: usize = 8;
/// Places of a drawn line; where there are more windows, a place shows its worst.
const MOST_PLACES: usize = 600;

/// One objective with its windows.
pub(crate) struct WindowsView {
    pub outcome: &'static str,
    pub sign: &'static str,
    pub id: String,
    pub words: String,
    pub chart: ChartView,
    /// Missed windows: from – to, figure, n.
    pub missed: Vec<(String, String, String)>,
    pub further: usize,
}

pub(crate) fn windows(verdict: &Verdict) -> Vec<WindowsView> {
    let judged = verdict.objectives.iter().filter_map(|o| Some((o, o.windows.as_ref()?)));
    judged.take(MOST_DRAWN).map(|(o, w)| view(o, w)).collect()
}

fn view(o: &JudgedObjective, windows: &JudgedWindows) -> WindowsView {
    let mut missed: Vec<&JudgedWindow> = windows.all.iter().filter(|w| w.outcome == ObjectiveOutcome::Fail).collect();
    let badness = |w: &JudgedWindow| w.figure.unwrap_or(0.0) * if o.limit.op.is_upper() { 1.0 } else { -1.0 };
    missed.sort_by(|a, b| badness(b).total_cmp(&badness(a)));
    let row = |w: &&JudgedWindow| {
        let figure = w.figure.map_or_else(|| "–".into(), |f| figures::of_stat(o.stat, f));
        (span(w), figure, figures::count(w.n))
    };
    WindowsView {
        outcome: o.outcome.key(),
        sign: o.outcome.sign(),
        id: plain(&o.id),
        words: plain(&o.reason),
        chart: chart(o, windows),
        missed: missed.iter().take(MOST_LISTED).map(row).collect(),
        further: missed.len().saturating_sub(MOST_LISTED),
    }
}

/// Divisor of a figure on the axis, and the words of a tick.
fn scale(unit: Unit) -> (f64, fn(f64) -> String) {
    match unit {
        Unit::Time => (1e6, |v| figures::time(v * 1e6)),
        Unit::Share => (0.01, |v| format!("{}%", tick(v))),
        Unit::Rate => (1.0, |v| format!("{}/s", tick(v))),
        Unit::Plain => (1.0, figures::number),
    }
}

/// A tick without needless digits.
fn tick(v: f64) -> String {
    let text = format!("{v:.3}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// From 0 for what should be small; around the figures for shares that should be large, where all lie close to 100 %.
fn axis(values: &[f64], limit: f64, label: fn(f64) -> String, is_high_share: bool) -> Axis {
    let top = values.iter().copied().fold(limit, f64::max);
    if !is_high_share {
        return linear_axis(top, label);
    }
    let low = values.iter().copied().fold(limit, f64::min);
    let height = (100.0 - low).max(0.1);
    let ticks = (0..=4).map(|i| 100.0 - height * f64::from(i) / 4.0).collect();
    Axis { range: (100.0 - height * 1.1)..(100.0 + height * 0.08), ticks, label }
}

fn chart(o: &JudgedObjective, windows: &JudgedWindows) -> ChartView {
    let (divisor, label) = scale(o.stat.unit());
    let group = windows.all.len().div_ceil(MOST_PLACES).max(1);
    let is_upper = o.limit.op.is_upper();
    let worst = |part: &[JudgedWindow]| {
        let figures = part.iter().filter_map(|w| w.figure);
        if is_upper { figures.reduce(f64::max) } else { figures.reduce(f64::min) }
    };
    // A window is a level, not a point.
    let points: Vec<(f64, Option<f64>)> = windows
        .all
        .chunks(group)
        .flat_map(|part| {
            let figure = worst(part).map(|f| f / divisor);
            [(part[0].from_s, figure), (part[part.len() - 1].to_s, figure)]
        })
        .collect();
    let values: Vec<f64> = points.iter().filter_map(|p| p.1).collect();
    let (start, end) = (points.first().map_or(0.0, |p| p.0), points.last().map_or(1.0, |p| p.0));
    let missed = windows.all.iter().filter(|w| w.outcome == ObjectiveOutcome::Fail);
    let marks: Vec<f64> = missed.map(|w| f64::midpoint(w.from_s, w.to_s)).take(MOST_PLACES).collect();
    let mut keys = vec![Key::new(Ink::First, "figure of each window")];
    if !marks.is_empty() {
        keys.push(Key { class: "", dashes: "", label: "▼ missed" });
    }
    let limit = o.limit.value / divisor;
    let panel = Panel {
        description: format!("{} in each window, over time", plain(&o.id)),
        height: 260,
        x: time_axis(start, end),
        y: axis(&values, limit, label, o.stat.unit() == Unit::Share && !is_upper),
        series: vec![Series { ink: Ink::First, points }],
        limits: vec![LimitLine { until: end, at: limit, label: plain(&o.limit.text) }],
        marks,
    };
    let length = figures::duration(windows.every_s);
    ChartView {
        title: plain(&o.id),
        note: format!("{} of {length}", counted(windows.all.len() as u64, "window")),
        keys,
        svg: panel.svg(),
    }
}
