//! The final words of a hit, for people.
//! In: [`Figures`]. Out: text.

use super::figures::{Figures, PERCENTILES, bytes, fine_time};
use super::histogram;
use engine::run_result::{Ending, Times};
use reports::figures::{count, counted, duration, plain, rate, share};
use reports::verdict::ValidityState;
use std::fmt::Write;

/// Widest name of an error or address.
const WIDEST: usize = 100;

/// The whole text.
pub fn summary(figures: &Figures<'_>, colour: bool) -> String {
    let paint = Paint { colour };
    let mut text = String::new();
    totals(figures, &paint, &mut text);
    times(figures, &paint, &mut text);
    let bins = histogram::bins(&figures.step.response);
    if !bins.is_empty() {
        let _ = writeln!(text, "\n{}\n{}", paint.title("Response time, how often"), histogram::draw(&bins).trim_end());
    }
    statuses(figures, &paint, &mut text);
    errors(figures, &paint, &mut text);
    generator(figures, &paint, &mut text);
    if figures.result.ending == Ending::Interrupted {
        text.push_str("\nThe run was interrupted: the figures are of what was measured until then.\n");
    }
    text
}

fn totals(figures: &Figures<'_>, paint: &Paint, text: &mut String) {
    let (counts, order) = (figures.counts(), figures.order);
    let per_s = |value: Option<f64>| value.map_or_else(|| "–".into(), rate);
    let success = figures.success().map_or_else(|| "–".into(), share);
    let colour = if figures.success().is_some_and(|s| s >= 1.0) { "32" } else { "31" };
    let name = reports::figures::fit(&plain(&format!("{} {}", order.method, order.url)), WIDEST);
    let _ = writeln!(text, "{}\n  {}\n", paint.title(&name), order.load_words());
    let _ = writeln!(text, "  Success    {}", paint.with(colour, &success));
    let _ = writeln!(
        text,
        "  Requests   {} in {}, {} answered",
        count(counts.planned + figures.result.dropped),
        duration(figures.result.duration_s),
        count(figures.answered())
    );
    let asked = order.rate.map_or_else(String::new, |_| format!(", {} asked", per_s(figures.asked_per_s())));
    let _ = writeln!(text, "  Rate       {} done{asked}", paint.title(&per_s(figures.done_per_s())));
    let received_per_s = figures.received_per_s().map_or_else(String::new, |b| format!(" ({}/s)", bytes(b)));
    let _ = writeln!(
        text,
        "  Bytes      {} received{received_per_s}, {} sent",
        bytes(counts.bytes_received as f64),
        bytes(counts.bytes_sent as f64)
    );
}

/// The columns: those that hold anything.
fn columns<'a>(figures: &'a Figures<'_>) -> Vec<(&'static str, &'a Times, bool)> {
    let step = figures.step;
    [
        ("response", &step.response, true),
        ("service", &step.service, false),
        ("connect", &step.connect, false),
        ("failed", &step.failed_response, false),
    ]
    .into_iter()
    .filter(|(_, times, _)| times.count() > 0)
    .collect()
}

fn times(figures: &Figures<'_>, paint: &Paint, text: &mut String) {
    let columns = columns(figures);
    if columns.is_empty() {
        return;
    }
    let heads: String = columns.iter().map(|(name, ..)| format!("{name:>11}")).collect();
    let _ = writeln!(text, "\n{}", paint.title(&format!("Times   {heads}")));
    let mut row = |name: &str, of: &dyn Fn(&Times) -> Option<f64>, p: Option<f64>| {
        let cells: String = columns
            .iter()
            .map(|(_, times, is_response)| {
                let is_at_least = *is_response && p.is_some_and(|p| figures.step.is_at_least(p));
                let cell = of(times).map_or_else(|| "–".into(), fine_time);
                format!("{:>11}", if is_at_least { format!("≥ {cell}") } else { cell })
            })
            .collect();
        let _ = writeln!(text, "  {name:<6}{cells}");
    };
    row("min", &|t| Some(t.min_ns as f64), None);
    row("mean", &Times::mean_ns, None);
    for (p, _) in PERCENTILES {
        row(&format!("p{p}"), &|t| t.percentile_ns(p).map(|ns| ns as f64), Some(p));
    }
    row("max", &|t| Some(t.max_ns as f64), Some(100.0));
    row_of_counts(&columns, text);
    let from = match figures.order.rate {
        Some(_) => "response: from when the request was due, what a user would feel; service: from when it was sent",
        None => "response: from the end of the answer before, connecting included; service: from when it was sent",
    };
    let _ = writeln!(text, "  {from}");
    if figures.step.lower_bounds.count() > 0 {
        text.push_str("  ≥: among them are requests that were never answered; their times are at least these\n");
    }
}

fn row_of_counts(columns: &[(&str, &Times, bool)], text: &mut String) {
    let cells: String = columns.iter().map(|(_, times, _)| format!("{:>11}", count(times.count()))).collect();
    let _ = writeln!(text, "  {:<6}{cells}", "count");
}

fn statuses(figures: &Figures<'_>, paint: &Paint, text: &mut String) {
    if figures.step.statuses.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.title("Status"));
    for (status, n) in &figures.step.statuses {
        let note = if (300..400).contains(status) && *status != 304 { "  (followed with --redirects N)" } else { "" };
        let part = share(*n as f64 / figures.answered().max(1) as f64);
        let _ = writeln!(text, "  {status:<8}{:>11}  {part:>7}{note}", count(*n));
    }
}

fn errors(figures: &Figures<'_>, paint: &Paint, text: &mut String) {
    let counts = figures.counts();
    // A wrong status has its row in the table of statuses.
    let errors = figures.result.errors.iter().filter(|e| !e.kind.starts_with("status "));
    let mut rows: Vec<(u64, String)> = errors.map(|e| (e.count, plain(&e.kind))).collect();
    for (n, name) in [
        (counts.unfinished, "not answered before the end"),
        (figures.result.dropped, "not sent: all users were waiting for answers (more with -c)"),
        (counts.generator_errors, "not sent: this machine had no descriptor or port left"),
    ] {
        if n > 0 {
            rows.push((n, name.into()));
        }
    }
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.title("Errors"));
    for (n, name) in rows {
        let _ = writeln!(text, "  {:>11}  {}", count(n), reports::figures::fit(&name, WIDEST));
    }
}

fn generator(figures: &Figures<'_>, paint: &Paint, text: &mut String) {
    let validity = figures.validity;
    let colour = match validity.state {
        ValidityState::Ok => "32",
        ValidityState::Degraded => "33",
        ValidityState::Void => "31",
    };
    let lag = validity.lag_p99_ns.map_or_else(|| "–".into(), |ns| fine_time(ns as f64));
    let busiest = figures
        .busy_max()
        .map_or_else(|| "too short to tell how busy".into(), |busy| format!("busiest second {}", share(busy)));
    let _ = writeln!(text, "\n{} {}", paint.title("Generator"), paint.with(colour, figures.validity_words()));
    let _ = writeln!(text, "  lag p99 {lag}, {busiest}, {}", counted(figures.result.header.workers as u64, "worker"));
    for reason in &validity.reasons {
        let _ = writeln!(text, "  · {reason}");
    }
}

/// Colours, or none.
struct Paint {
    colour: bool,
}

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn title(&self, text: &str) -> String {
        self.with("1", text)
    }
}
