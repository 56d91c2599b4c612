//! Percentile curves on a logarithmic axis of 1 − p, with the limits that belong to exactly these requests.
//! In: run result, verdict. Out: one [`ChartView`] for all steps and, with several targets, one for each.

use super::panel::{Axis, Ink, LimitLine, Panel, Series, log_axis};
use super::timeline::log_ms;
use super::{ChartView, Key};
use crate::figures::{self, plain};
use crate::verdict::Verdict;
use engine::run_result::{RunResult, StepTotals, Times};
use scenarios::objective::{Selection, Stat};

/// Most targets with a curve of their own.
const MOST_TARGETS: usize = 6;
/// Points of one curve.
const POINTS: usize = 160;

/// The curves; none without samples.
pub fn charts(result: &RunResult, verdict: &Verdict) -> Vec<ChartView> {
    let mut charts = Vec::new();
    let everything: Vec<usize> = (0..result.steps.len()).collect();
    charts.extend(chart(result, verdict, "All requests", &everything));
    if result.header.targets.len() > 1 {
        for (index, target) in result.header.targets.iter().enumerate().take(MOST_TARGETS) {
            let steps = result.header.steps.iter().enumerate();
            let ids: Vec<usize> = steps.filter(|(_, s)| s.target == index).map(|(i, _)| i).collect();
            let title = format!("Target {}", plain(&target.name));
            charts.extend(chart(result, verdict, &title, &ids));
        }
    }
    charts
}

fn chart(result: &RunResult, verdict: &Verdict, title: &str, ids: &[usize]) -> Option<ChartView> {
    if ids.is_empty() {
        return None;
    }
    let totals = result.merged(ids);
    let n = totals.response.count();
    if n == 0 {
        return None;
    }
    let panel = panel(result, verdict, title, ids, &totals);
    Some(ChartView {
        title: title.into(),
        note: format!("{}; both axes logarithmic", figures::counted(n, "sample")),
        keys: vec![
            Key::new(Ink::First, "response (what a user feels)"),
            Key::new(Ink::Second, "service (from sending to last byte)"),
        ],
        svg: panel.svg(),
    })
}

fn panel(result: &RunResult, verdict: &Verdict, title: &str, ids: &[usize], totals: &StepTotals) -> Panel {
    let n = totals.response.count();
    let end = (n as f64).log10().clamp(1.0, 6.0);
    let limits = limits(result, verdict, ids, end);
    let low = totals.response.min_ns.min(totals.service.min_ns) as f64 / 1e6;
    let low = low.max(totals.response.percentile_ns(1.0).unwrap_or(1) as f64 / 4e6);
    let highest_limit = limits.iter().map(|l| 10f64.powf(l.at)).fold(0.0, f64::max);
    let high = (totals.response.max_ns as f64 / 1e6).max(highest_limit);
    Panel {
        description: format!("Percentile curve of response and service time: {title}"),
        height: 520,
        x: percentile_axis(end),
        y: log_axis(low, high, log_ms),
        series: vec![curve(Ink::Second, &totals.service, end, low), curve(Ink::First, &totals.response, end, low)],
        limits,
        marks: Vec::new(),
    }
}

/// Coordinates are −log10(1 − p).
fn percentile_axis(end: f64) -> Axis {
    let mut ticks = vec![0.0, 0.5f64.log10().abs()];
    ticks.extend((1..=end.floor() as i32).map(f64::from));
    Axis {
        range: 0.0..end * 1.01,
        ticks,
        label: |v| {
            let percent = format!("{:.4}", 100.0 - 10f64.powf(2.0 - v));
            format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
        },
    }
}

fn curve(ink: Ink, times: &Times, end: f64, low_ms: f64) -> Series {
    let points = (0..=POINTS).map(|i| {
        let x = end * i as f64 / POINTS as f64;
        let p = 100.0 * (1.0 - 10f64.powf(-x));
        let ms = times.percentile_ns(p).map(|ns| (ns as f64 / 1e6).max(low_ms).log10());
        (x, ms)
    });
    Series { ink, points: points.collect() }
}

/// Limits of percentiles whose objective is of exactly these steps.
fn limits(result: &RunResult, verdict: &Verdict, ids: &[usize], end: f64) -> Vec<LimitLine> {
    let is_same = |of: &Selection| {
        let all = ids.len() == result.steps.len();
        (of.is_everything() && all) || (!of.is_everything() && of.step_ids == ids)
    };
    let mut lines = Vec::new();
    for o in verdict.objectives.iter().filter(|o| is_same(&o.of)) {
        let until = match o.stat {
            Stat::Percentile(p) => -(1.0 - p / 100.0).max(1e-9).log10(),
            Stat::Max => end,
            _ => continue,
        };
        lines.push(LimitLine {
            until: until.min(end),
            at: (o.limit.value / 1e6).max(1e-9).log10(),
            label: format!("{} {}", o.stat.word(), o.limit.text),
        });
    }
    lines
}
