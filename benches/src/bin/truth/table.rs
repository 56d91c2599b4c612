//! The table: measured beside true, and how well the machine let both sides keep time.

use super::cases::Case;
use super::server::Server;
use engine::run_result::RunResult;

/// Errors up to this share of the truth, or up to 1 ms, are what the design of the measurement allows.
const ALLOWED: f64 = 0.01;

/// The head.
pub fn head() -> String {
    format!("{:<4}{:>8}{:>14}{:>14}{:>14}{:>9}  within 1 % or 1 ms\n", "", "", "measured", "truth", "error", "")
}

/// A case's rows.
pub fn rows(case: &Case, result: &RunResult, server: &Server) -> String {
    let step = &result.steps[0];
    let truth = case.truth();
    let mut text = format!("\n{}   {}, {} s\n", case.letter, case.name, case.seconds);
    for &p in case.percentiles {
        let name = if p >= 100.0 { "max".into() } else { format!("p{p}") };
        let measured = step.response.percentile_ns(p).map(|ns| ns as f64);
        text.push_str(&row(&name, measured, step.is_at_least(p), at(&truth, p)));
    }
    let mean = truth.iter().map(|ns| *ns as f64).sum::<f64>() / truth.len().max(1) as f64;
    text.push_str(&row("mean", step.response.mean_ns(), step.lower_bounds.count() > 0, mean));
    let counts = result.totals();
    let ms = |ns: Option<u64>| ns.map_or_else(|| "–".into(), |ns| format!("{:.3} ms", ns as f64 / 1e6));
    let seen = server.seen();
    text.push_str(&format!(
        "      due {} of {}, sent {} (the server counted {}), timed out {}, failed {}, dropped {}, not sendable here {}\n      \
         our lag p99 {}, the server's own lateness p99 {}\n      \
         service p50 {}, p99 {}; by the server's own clock p50 {}, p99 {}\n",
        counts.planned + result.dropped,
        truth.len(),
        counts.sent(),
        seen.requests,
        counts.timed_out,
        counts.failed,
        result.dropped,
        counts.generator_errors,
        ms(result.health.lag.percentile_ns(99.0)),
        ms(seen.late.percentile_ns(99.0)),
        ms(step.service.percentile_ns(50.0)),
        ms(step.service.percentile_ns(99.0)),
        ms(seen.residence.percentile_ns(50.0)),
        ms(seen.residence.percentile_ns(99.0)),
    ));
    text
}

fn row(name: &str, measured: Option<f64>, is_at_least: bool, truth: f64) -> String {
    let ms = |ns: f64| format!("{:.3} ms", ns / 1e6);
    let Some(measured) = measured else {
        return format!("{:<4}{name:>8}{:>14}{:>14}\n", "", "–", ms(truth));
    };
    let error = measured - truth;
    let share = if truth > 0.0 { error / truth * 100.0 } else { 0.0 };
    let is_within = error.abs() <= (truth * ALLOWED).max(1e6);
    let sign = if is_at_least { "≥ " } else { "" };
    format!(
        "{:<4}{name:>8}{:>14}{:>14}{:>14}{:>9}  {}\n",
        "",
        format!("{sign}{}", ms(measured)),
        ms(truth),
        format!("{:+.3} ms", error / 1e6),
        format!("{share:+.1} %"),
        if is_within { "yes" } else { "no" }
    )
}

/// The smallest time that so many percent do not exceed.
fn at(sorted: &[u64], p: f64) -> f64 {
    let rank = (p / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).map_or(0.0, |ns| *ns as f64)
}
