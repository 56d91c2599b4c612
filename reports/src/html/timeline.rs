//! Four panels over one time axis: rates, users, response times, errors.
//! In: the timeline of a run. Out: [`ChartView`]s.

use super::panel::{Axis, Ink, LimitLine, Panel, Series, linear_axis, log_axis, time_axis};
use super::{ChartView, Key};
use crate::figures;
use crate::verdict::Verdict;
use engine::faults::{FAULTS, FaultCounts};
use engine::run_result::{Point, RunResult};
use scenarios::objective::Stat;

/// Most columns: a soak has 3,600 points, a screen fewer pixels.
const MOST_COLUMNS: usize = 360;

/// Some contiguous points as one column. Rates are averaged; percentiles cannot be, so the worst is shown.
struct Column {
    t_s: f64,
    asked: f64,
    done: f64,
    failed: f64,
    timed_out: f64,
    dropped: f64,
    users: f64,
    in_flight: f64,
    response_ms: Option<[f64; 3]>,
    leaks: u64,
    /// By fault, in the order of `FaultCounts::by_name`.
    provoked: [f64; FAULTS],
}

fn columns(points: &[Point]) -> Vec<Column> {
    let size = points.len().div_ceil(MOST_COLUMNS).max(1);
    points.chunks(size).map(column).collect()
}

fn column(points: &[Point]) -> Column {
    let seconds: f64 = points.iter().map(|p| p.every_s).sum::<f64>().max(1e-9);
    let rate = |of: fn(&Point) -> u64| points.iter().map(of).sum::<u64>() as f64 / seconds;
    let most = |of: fn(&Point) -> u64| points.iter().map(of).max().unwrap_or(0) as f64;
    let worst = |i: usize| {
        let all = points.iter().filter_map(|p| p.response_ns);
        all.map(|r| r[i] as f64 / 1e6).max_by(f64::total_cmp)
    };
    Column {
        t_s: points[0].t_s + seconds / 2.0,
        asked: rate(|p| p.counts.planned + p.dropped),
        done: rate(|p| p.counts.ok + p.counts.failed),
        failed: rate(|p| p.counts.failed),
        timed_out: rate(|p| p.counts.timed_out),
        dropped: rate(|p| p.dropped),
        users: most(|p| p.users),
        in_flight: most(|p| p.in_flight),
        response_ms: worst(0).map(|p50| [p50, worst(1).unwrap_or(p50), worst(2).unwrap_or(p50)]),
        leaks: points.iter().map(|p| p.leaks).sum(),
        provoked: provoked_of(points, seconds),
    }
}

fn provoked_of(points: &[Point], seconds: f64) -> [f64; FAULTS] {
    let mut sum = FaultCounts::default();
    points.iter().for_each(|p| sum.add(&p.faults));
    sum.by_name().map(|(_, times)| times as f64 / seconds)
}

/// The panels; none for a run without a timeline.
pub fn charts(result: &RunResult, verdict: &Verdict) -> Vec<ChartView> {
    let (Some(first), Some(last)) = (result.timeline.first(), result.timeline.last()) else {
        return Vec::new();
    };
    let columns = columns(&result.timeline);
    let span = &Span { from: first.t_s, to: last.t_s + last.every_s, marks: crate::moments::times_s(result) };
    let mut charts =
        vec![rates(&columns, span), users(&columns, span), responses(&columns, span, verdict), errors(&columns, span)];
    if columns.iter().any(|c| c.provoked.iter().any(|rate| *rate > 0.0)) {
        charts.push(provoked(&columns, span));
    }
    charts
}

fn line(columns: &[Column], ink: Ink, of: impl Fn(&Column) -> Option<f64>) -> Series {
    Series { ink, points: columns.iter().map(|c| (c.t_s, of(c))).collect() }
}

fn top(columns: &[Column], of: fn(&Column) -> f64) -> f64 {
    columns.iter().map(of).fold(0.0, f64::max)
}

/// The time that all panels show, and the moments that divide it.
struct Span {
    from: f64,
    to: f64,
    marks: Vec<f64>,
}

fn panel(description: &str, span: &Span, y: Axis, series: Vec<Series>) -> Panel {
    let upright =
        |at: &f64| Series { ink: Ink::Limit, points: vec![(*at, Some(y.range.start)), (*at, Some(y.range.end))] };
    let inside = span.marks.iter().filter(|at| (span.from..=span.to).contains(*at));
    let series = series.into_iter().chain(inside.map(upright)).collect();
    Panel {
        description: description.into(),
        height: 330,
        x: time_axis(span.from, span.to),
        y,
        series,
        limits: Vec::new(),
        marks: Vec::new(),
    }
}

fn number(v: f64) -> String {
    if v >= 1000.0 {
        figures::count(v.round() as u64)
    } else {
        let text = format!("{v:.2}");
        text.trim_end_matches('0').trim_end_matches('.').into()
    }
}

fn rates(columns: &[Column], span: &Span) -> ChartView {
    let top = top(columns, |c| c.asked.max(c.done));
    let series = vec![line(columns, Ink::Behind, |c| Some(c.asked)), line(columns, Ink::First, |c| Some(c.done))];
    ChartView {
        title: "Requests a second".into(),
        note: String::new(),
        keys: vec![Key::new(Ink::Behind, "asked"), Key::new(Ink::First, "done")],
        svg: panel("Requests asked for and done a second, over time", span, linear_axis(top, number), series).svg(),
    }
}

fn users(columns: &[Column], span: &Span) -> ChartView {
    let top = top(columns, |c| c.users.max(c.in_flight));
    let series = vec![line(columns, Ink::First, |c| Some(c.users)), line(columns, Ink::Second, |c| Some(c.in_flight))];
    ChartView {
        title: "Users and requests in flight".into(),
        note: String::new(),
        keys: vec![Key::new(Ink::First, "users"), Key::new(Ink::Second, "requests in flight")],
        svg: panel("Active users and requests in flight, over time", span, linear_axis(top, number), series).svg(),
    }
}

/// Lines for the most frequent faults; the others share one.
const KINDS: [Ink; 3] = [Ink::First, Ink::Second, Ink::Third];

/// Faults provoked on purpose, with the leaks beside them: whether the one brings the other.
fn provoked(columns: &[Column], span: &Span) -> ChartView {
    let mut kinds: Vec<(usize, &str, f64)> = FaultCounts::default()
        .by_name()
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (i, *name, columns.iter().map(|c| c.provoked[i]).sum()))
        .filter(|(.., sum)| *sum > 0.0)
        .collect();
    kinds.sort_by(|a, b| b.2.total_cmp(&a.2));
    let own = kinds.len().min(KINDS.len());
    let rest: Vec<usize> = kinds[own..].iter().map(|(i, ..)| *i).collect();
    let of_rest = |c: &Column| rest.iter().map(|i| c.provoked[*i]).sum::<f64>();
    let top = columns.iter().flat_map(|c| c.provoked.into_iter().chain([of_rest(c)])).fold(0.0, f64::max);
    let mut series: Vec<Series> =
        kinds.iter().zip(KINDS).map(|((i, ..), ink)| line(columns, ink, |c| Some(c.provoked[*i]))).collect();
    let mut keys: Vec<Key> = kinds.iter().zip(KINDS).map(|((_, name, _), ink)| Key::new(ink, name)).collect();
    if !rest.is_empty() {
        series.push(line(columns, Ink::Behind, |c| Some(of_rest(c))));
        keys.push(Key::new(Ink::Behind, "other faults"));
    }
    let axis = linear_axis(top, number);
    let mut panel = panel("Faults provoked on purpose a second, over time", span, axis, series);
    panel.marks = columns.iter().filter(|c| c.leaks > 0).map(|c| c.t_s).collect();
    if !panel.marks.is_empty() {
        keys.push(Key { class: "", dashes: "", label: "▲ proven leak" });
    }
    ChartView { title: "Faults provoked a second".into(), note: String::new(), keys, svg: panel.svg() }
}

/// Label of a logarithmic tick in ms.
pub fn log_ms(v: f64) -> String {
    let ms = 10f64.powf(v);
    if ms >= 999.5 {
        format!("{} s", number(ms / 1e3))
    } else if ms >= 0.095 {
        format!("{} ms", number(ms))
    } else {
        format!("{} µs", number(ms * 1e3))
    }
}

fn responses(columns: &[Column], span: &Span, verdict: &Verdict) -> ChartView {
    let values = || columns.iter().filter_map(|c| c.response_ms);
    let low = values().map(|r| r[0]).fold(f64::INFINITY, f64::min);
    let mut high = values().map(|r| r[2]).fold(0.0, f64::max);
    let mut limits = Vec::new();
    for o in &verdict.objectives {
        let is_drawn = matches!(o.stat, Stat::Percentile(p) if [50.0, 95.0, 99.0].contains(&p));
        if o.of.is_everything() && is_drawn {
            let ms = o.limit.value / 1e6;
            high = high.max(ms);
            limits.push(LimitLine {
                until: span.to,
                at: ms.max(1e-9).log10(),
                label: format!("{} {}", o.stat.word(), o.limit.text),
            });
        }
    }
    let log = |c: &Column, i: usize| c.response_ms.map(|r| r[i].max(1e-6).log10());
    let series = vec![
        line(columns, Ink::Third, |c| log(c, 0)),
        line(columns, Ink::Second, |c| log(c, 1)),
        line(columns, Ink::First, |c| log(c, 2)),
    ];
    let low = if low.is_finite() { low } else { 1.0 };
    let mut panel = panel(
        "Percentiles 50, 95 and 99 of response time, over time, logarithmic",
        span,
        log_axis(low, high.max(low), log_ms),
        series,
    );
    panel.height = 430;
    panel.limits = limits;
    ChartView {
        title: "Response time".into(),
        note: "all steps but probes; logarithmic; in a long run each column shows its worst interval".into(),
        keys: vec![Key::new(Ink::First, "p99"), Key::new(Ink::Second, "p95"), Key::new(Ink::Third, "p50")],
        svg: panel.svg(),
    }
}

fn errors(columns: &[Column], span: &Span) -> ChartView {
    let top = top(columns, |c| c.failed.max(c.timed_out).max(c.dropped));
    let mut keys = vec![
        Key::new(Ink::Bad, "failed"),
        Key::new(Ink::Second, "timed out"),
        Key::new(Ink::Third, "dropped arrivals"),
    ];
    let series = vec![
        line(columns, Ink::Third, |c| Some(c.dropped)),
        line(columns, Ink::Second, |c| Some(c.timed_out)),
        line(columns, Ink::Bad, |c| Some(c.failed)),
    ];
    let mut panel =
        panel("Failed, timed-out and dropped requests a second, over time", span, linear_axis(top, number), series);
    let leaks = columns.iter().filter(|c| c.leaks > 0);
    panel.marks = leaks.map(|c| c.t_s).collect();
    if !panel.marks.is_empty() {
        keys.push(Key { class: "", dashes: "", label: "▲ proven leak" });
    }
    ChartView {
        title: "Errors a second".into(),
        note: if top > 0.0 { String::new() } else { "none".into() },
        keys,
        svg: panel.svg(),
    }
}
