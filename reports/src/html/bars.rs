//! Small drawings inside table cells: a figure against its limit, a step's spread of times.
//! In: figures. Out: inline `<svg>`; every number in it is ours, no text.

use crate::rows::TimesRow;
use crate::verdict::JudgedObjective;
use std::fmt::Write;

const WIDTH: f64 = 150.0;

/// Figure, interval and limit on one line. The limit stands at two thirds; shares that must be high are drawn by what
/// is missing to 1, so that right of the limit is always bad. Empty where a drawing would say nothing.
pub fn gauge(o: &JudgedObjective) -> String {
    let Some(measured) = o.measured else {
        return String::new();
    };
    let is_upper = o.limit.op.is_upper();
    if o.stat.is_rate() || (!is_upper && o.stat.is_time()) {
        return String::new();
    }
    let badness = |v: f64| if is_upper { v } else { 1.0 - v };
    let limit = badness(o.limit.value);
    if limit <= 0.0 {
        return String::new();
    }
    let scale = WIDTH * 2.0 / 3.0 / limit;
    let place = |v: f64| (badness(v) * scale).clamp(0.0, WIDTH);
    let mut svg = format!("<svg class=\"gauge {}\" viewBox=\"0 0 {WIDTH} 16\" aria-hidden=\"true\">", o.outcome.key());
    let _ = write!(svg, "<rect class=\"track\" x=\"0\" y=\"5\" width=\"{WIDTH}\" height=\"6\" rx=\"3\"/>");
    let _ = write!(
        svg,
        "<rect class=\"fill\" x=\"0\" y=\"5\" width=\"{:.1}\" height=\"6\" rx=\"3\"/>",
        place(measured).max(2.0)
    );
    if let Some(interval) = o.interval {
        let ends = [place(interval.low), interval.high.map_or(WIDTH, place)];
        let (a, b) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
        let _ = write!(svg, "<line class=\"whisker\" x1=\"{a:.1}\" y1=\"8\" x2=\"{b:.1}\" y2=\"8\"/>");
    }
    let at = WIDTH * 2.0 / 3.0;
    let _ = write!(svg, "<line class=\"limit\" x1=\"{at}\" y1=\"0\" x2=\"{at}\" y2=\"16\"/></svg>");
    svg
}

/// The common logarithmic scale of [`spread`].
pub struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// From the smallest median to the largest maximum.
    pub fn of<'a>(rows: impl Iterator<Item = &'a TimesRow> + Clone) -> Self {
        let low = rows.clone().map(|r| r.percentiles[0].ns).fold(f64::INFINITY, f64::min);
        let high = rows.map(|r| r.max.ns).fold(0.0, f64::max);
        let low = if low.is_finite() { low.max(1.0) } else { 1.0 };
        Self { low: (low * 0.8).log10(), high: high.max(low * 2.0).log10() }
    }

    fn place(&self, ns: f64) -> f64 {
        let share = (ns.max(1.0).log10() - self.low) / (self.high - self.low);
        (share * WIDTH).clamp(0.0, WIDTH)
    }
}

/// Median to p99 as a bar, p99 to the maximum as a thin line, p95 as a tick.
pub fn spread(row: &TimesRow, scale: &Scale) -> String {
    let [p50, _, p95, p99, ..] = row.percentiles.map(|p| scale.place(p.ns));
    let max = scale.place(row.max.ns);
    format!(
        "<svg class=\"spread\" viewBox=\"0 0 {WIDTH} 16\" aria-hidden=\"true\"><line class=\"thin\" x1=\"{p99:.1}\" y1=\"8\" x2=\"{max:.1}\" y2=\"8\"/><rect x=\"{p50:.1}\" y=\"4\" width=\"{:.1}\" height=\"8\" rx=\"2\"/><line class=\"tick\" x1=\"{p95:.1}\" y1=\"2\" x2=\"{p95:.1}\" y2=\"14\"/></svg>",
        (p99 - p50).max(2.0)
    )
}
