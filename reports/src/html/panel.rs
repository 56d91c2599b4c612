//! One chart: axes with few, round ticks, lines, limit lines, marks. Drawn by plotters; its colours become CSS
//! variables, so that one drawing serves light, dark and print.
//! In: series in data units. Out: an inline `<svg>` whose text is text.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Drawn at twice the size that it is usually seen at: plotters places on whole pixels.
const WIDTH: u32 = 1840;
const FONT: u32 = 23;
/// Room for the labels of the vertical axis; the same in every panel, so that time axes line up.
const LEFT: u32 = 150;
const BOTTOM: u32 = 48;
const RIGHT: u32 = 36;
const TOP: u32 = 18;

/// What a line is drawn in. Each is a colour that exists nowhere else, replaced by a variable afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Labels.
    Text = 1,
    /// Grid.
    Grid = 2,
    /// Axes.
    Axis = 3,
    /// First series, solid.
    First = 4,
    /// Second series, dashed.
    Second = 5,
    /// Third series, dotted.
    Third = 6,
    /// Behind the others: wide and pale.
    Behind = 7,
    /// Something bad.
    Bad = 8,
    /// A limit, finely dashed.
    Limit = 9,
}

impl Ink {
    const ALL: [Self; 9] = [
        Self::Text,
        Self::Grid,
        Self::Axis,
        Self::First,
        Self::Second,
        Self::Third,
        Self::Behind,
        Self::Bad,
        Self::Limit,
    ];

    fn colour(self) -> RGBColor {
        RGBColor(0, 0, self as u8)
    }

    /// The name shared with the style sheet and the legend.
    pub fn class(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Grid => "grid",
            Self::Axis => "axis",
            Self::First => "first",
            Self::Second => "second",
            Self::Third => "third",
            Self::Behind => "behind",
            Self::Bad => "bad",
            Self::Limit => "limit",
        }
    }

    /// Dashes tell the lines apart where colours cannot.
    pub fn dashes(self) -> &'static str {
        match self {
            Self::Second => "14 7",
            Self::Third => "3 7",
            Self::Limit => "6 6",
            _ => "",
        }
    }

    fn width(self) -> u32 {
        match self {
            Self::Behind => 9,
            Self::Limit => 2,
            _ => 3,
        }
    }
}

/// One line; `None` breaks it.
#[derive(Debug)]
pub struct Series {
    /// What it is drawn in.
    pub ink: Ink,
    /// (x, y).
    pub points: Vec<(f64, Option<f64>)>,
}

/// A horizontal limit from the left edge to `until`, with its label.
#[derive(Debug)]
pub struct LimitLine {
    /// End on the horizontal axis.
    pub until: f64,
    /// Height, data units.
    pub at: f64,
    /// Words.
    pub label: String,
}

/// An axis: range, ticks, label of a tick. A logarithmic axis holds log10 of the values.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Range.
    pub range: Range<f64>,
    /// Ticks inside it.
    pub ticks: Vec<f64>,
    /// Words of a tick.
    pub label: fn(f64) -> String,
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (share * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// A chart to be drawn.
pub struct Panel {
    /// Words for those who cannot see it.
    pub description: String,
    /// Height, in the drawing's pixels.
    pub height: u32,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Lines, the first at the back.
    pub series: Vec<Series>,
    /// Limits.
    pub limits: Vec<LimitLine>,
    /// Places on the horizontal axis to mark with a triangle.
    pub marks: Vec<f64>,
}

impl Panel {
    /// Draws it.
    pub fn svg(&self) -> String {
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, (WIDTH, self.height)).into_drawing_area();
            self.draw(&root).expect("drawing into memory has nothing that can fail");
        }
        finish(&text, self.height, &self.description)
    }

    fn draw(&self, root: &DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let label = |ink: Ink| ("sans-serif", FONT).into_font().color(&ink.colour());
        let mut chart = ChartBuilder::on(root)
            .margin_top(TOP)
            .margin_right(RIGHT)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(self.x.clone(), self.y.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Ink::Grid.colour())
            .axis_style(Ink::Axis.colour())
            .label_style(label(Ink::Text))
            .max_light_lines(0)
            .x_labels(self.x.ticks.len().max(2))
            .y_labels(self.y.ticks.len().max(2))
            .x_label_formatter(&|v| (self.x.label)(*v))
            .y_label_formatter(&|v| (self.y.label)(*v))
            .draw()?;
        for series in &self.series {
            let style = series.ink.colour().stroke_width(series.ink.width());
            for part in unbroken(&series.points) {
                chart.draw_series(LineSeries::new(part, style))?;
            }
        }
        for limit in self.limits.iter().filter(|limit| self.edge(limit).is_none()) {
            let line = [(self.x.range.start, limit.at), (limit.until, limit.at)];
            let style = Ink::Limit.colour().stroke_width(Ink::Limit.width());
            chart.draw_series(LineSeries::new(line, style))?;
        }
        // Words after all lines, so that none crosses them.
        chart.draw_series(self.limits.iter().enumerate().map(|(i, limit)| {
            let style = label(Ink::Limit).pos(Pos::new(HPos::Left, VPos::Center));
            let (words, at) = match self.edge(limit) {
                Some((sign, at)) => (format!("{sign} {}", limit.label), at),
                None => (limit.label.clone(), limit.at),
            };
            Text::new(words, (self.label_x(i), at), style)
        }))?;
        let top = self.y.range.end - (self.y.range.end - self.y.range.start) * 0.06;
        chart.draw_series(self.marks.iter().map(|&x| TriangleMarker::new((x, top), 11, Ink::Bad.colour().filled())))?;
        root.present()
    }
}

impl Panel {
    /// A limit beyond the axis is no line: an arrow towards it, and where at the edge its words stand.
    fn edge(&self, limit: &LimitLine) -> Option<(&'static str, f64)> {
        let Range { start, end } = self.y.range;
        let margin = (end - start) * 0.05;
        if limit.at > end {
            Some(("↑", end - margin))
        } else if limit.at < start {
            Some(("↓", start + margin))
        } else {
            None
        }
    }

    /// Where the words of the `i`-th limit start: side by side, so that those of close limits stay apart.
    fn label_x(&self, i: usize) -> f64 {
        let share = 0.01 + 0.13 * (i % 6) as f64;
        self.x.range.start + (self.x.range.end - self.x.range.start) * share
    }
}

/// The runs of points between breaks. A lone point becomes a short line, or it would be invisible.
fn unbroken(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    let mut parts: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for &(x, y) in points {
        match (y, parts.last_mut()) {
            (Some(y), Some(part)) => part.push((x, y)),
            _ => parts.push(Vec::new()),
        }
    }
    parts.retain(|p| !p.is_empty());
    for part in &mut parts {
        if let [only] = part[..] {
            part.push((only.0 + 0.4, only.1));
        }
    }
    parts
}

/// Fixed size and name space out, colours to variables, dashes in.
fn finish(svg: &str, height: u32, description: &str) -> String {
    let start = svg.find('>').map_or(0, |end| end + 1);
    let mut body = svg[start..].replace(" font-family=\"sans-serif\"", "");
    body = body.replace(" opacity=\"1\"", "");
    for ink in Ink::ALL {
        let colour = format!("\"#{:06X}\"", ink as u8);
        let variable = format!("\"var(--{})\"", ink.class());
        if !ink.dashes().is_empty() {
            let dashed = format!("stroke={variable} stroke-dasharray=\"{}\"", ink.dashes());
            body = body.replace(&format!("stroke={colour}"), &dashed);
        }
        body = body.replace(&colour, &variable);
    }
    format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">{body}",
        escape(description)
    )
}

/// For an attribute value.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// About `most` round ticks from 0 to at least `top`, and the end of the axis.
pub fn linear_axis(top: f64, label: fn(f64) -> String) -> Axis {
    let top = if top > 0.0 { top } else { 1.0 };
    let raw = top / 4.0;
    let unit = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|f| f * unit).find(|s| *s >= raw * 0.999).unwrap_or(10.0 * unit);
    let count = (top / step).ceil().max(1.0) as u64;
    Axis { range: 0.0..(count as f64 * step * 1.08), ticks: (0..=count).map(|i| i as f64 * step).collect(), label }
}

/// A logarithmic axis over positive values: whole decades, finer where there are few. Its coordinates are log10.
pub fn log_axis(low: f64, high: f64, label: fn(f64) -> String) -> Axis {
    let low = low.max(1e-9).log10();
    let high = high.max(1e-9).log10().max(low + 0.3);
    let margin = (high - low) * 0.08;
    let range = (low - margin)..(high + margin);
    let factors: &[f64] = match high - low {
        d if d < 1.2 => &[1.0, 2.0, 3.0, 5.0, 7.0],
        d if d < 2.5 => &[1.0, 2.0, 5.0],
        d if d < 4.0 => &[1.0, 3.0],
        _ => &[1.0],
    };
    let decades = (range.start.floor() as i32)..=(range.end.ceil() as i32);
    let ticks = decades
        .flat_map(|d| factors.iter().map(move |f| f64::from(d) + f.log10()))
        .filter(|t| range.contains(t))
        .collect();
    Axis { range, ticks, label }
}

/// A time axis in seconds with at most ten ticks at whole seconds, minutes or hours.
pub fn time_axis(start: f64, end: f64) -> Axis {
    const STEPS: [f64; 18] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10_800.0, 21_600.0,
        43_200.0, 86_400.0,
    ];
    let end = end.max(start + 1.0);
    // Beyond a day a tick each day, two days, four days …, whatever length a stored run claims.
    let days = std::iter::successors(Some(172_800.0), |s| Some(s * 2.0)).take(64);
    let step = STEPS.into_iter().chain(days).find(|s| (end - start) / s <= 10.0).unwrap_or(f64::MAX);
    let first = (start / step).ceil() as i64;
    let last = (end / step).floor() as i64;
    Axis { range: start..end, ticks: (first..=last).map(|i| i as f64 * step).collect(), label: clock }
}

/// `0:30`, `2:05`, `1:00:00`: minutes and seconds since the start of the measured part.
fn clock(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "−" } else { "" };
    let s = seconds.abs().round() as u64;
    match s / 3600 {
        0 => format!("{sign}{}:{:02}", s / 60, s % 60),
        h => format!("{sign}{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}
