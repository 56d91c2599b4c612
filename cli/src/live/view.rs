//! Drawing the live state: lines of text that fit the terminal.

use super::state::State;
use engine::run_result::{LeakRecord, Times};

/// The live lines, at most `height - 1` of them, each at most `width` wide.
pub fn live(state: &State, width: usize, height: usize, colour: bool) -> Vec<String> {
    let (recent, times, seconds) = state.recent();
    let mut lines = vec![
        format!("{}  {}", state.title, progress(state)),
        format!(
            "users {:<6} in flight {:<6} asked {:>8}/s  done {:>8}/s  sent {}",
            state.users,
            state.in_flight,
            rate(recent.planned, seconds),
            rate(recent.sent(), seconds),
            state.counts.sent()
        ),
        format!("response  last {seconds:.0} s  {}", percentiles(&times)),
        format!("          since start {}", percentiles(&state.response)),
        format!("errors    {}", errors(state)),
        format!("isolation {}", leaks(state)),
        format!(
            "generator lag p99 {}  busiest worker {:.0} %  dropped {}",
            lag(state),
            state.busy * 100.0,
            state.dropped
        ),
    ];
    for watched in &state.objectives {
        let sign = match watched.holds() {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        };
        lines.push(format!("  {sign} {}", watched.id));
    }
    lines.truncate(height.saturating_sub(1).max(1));
    lines.into_iter().map(|line| paint(&cut(&line, width), colour)).collect()
}

/// One line for logs.
pub fn plain(state: &State) -> String {
    let (recent, times, seconds) = state.recent();
    let failing: Vec<_> = state.objectives.iter().filter(|o| o.holds() == Some(false)).map(|o| o.id.as_str()).collect();
    let failing = if failing.is_empty() { String::new() } else { format!(" · missing now: {}", failing.join(", ")) };
    format!(
        "{:>4.0} s  users {}  done {}/s  {}  errors {}  leaks {}  lag p99 {}{failing}",
        state.elapsed_s,
        state.users,
        rate(recent.sent(), seconds),
        percentiles(&times),
        state.counts.failed + state.counts.timed_out,
        state.leaks,
        lag(state)
    )
}

/// A leak in a sentence.
pub fn leak(record: &LeakRecord) -> String {
    format!("{} in {} {} ({})", reports::who(record), record.reader.journey, record.reader.step, record.detector)
}

pub(super) fn progress(state: &State) -> String {
    let left = (state.planned_s - state.elapsed_s).max(0.0);
    if state.elapsed_s <= state.warm_up_s {
        format!("warm-up, {left:.0} s left")
    } else if left > 0.0 {
        format!("{:.0} s, {left:.0} s left", state.elapsed_s)
    } else {
        "users finish their iterations".into()
    }
}

pub(super) fn rate(count: u64, seconds: f64) -> String {
    format!("{:.1}", count as f64 / seconds)
}

pub(super) fn percentiles(times: &Times) -> String {
    let ms = |p| times.percentile_ns(p).map_or_else(|| "-".into(), |ns| format!("{:.1} ms", ns as f64 / 1e6));
    format!("p50 {}  p95 {}  p99 {}", ms(50.0), ms(95.0), ms(99.0))
}

pub(super) fn lag(state: &State) -> String {
    state.lag.percentile_ns(99.0).map_or_else(|| "-".into(), |ns| format!("{:.2} ms", ns as f64 / 1e6))
}

pub(super) fn errors(state: &State) -> String {
    if state.errors.is_empty() {
        return "none".into();
    }
    let mut kinds: Vec<_> = state.errors.iter().collect();
    kinds.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    kinds.iter().take(4).map(|(kind, n)| format!("{n} × {kind}")).collect::<Vec<_>>().join(", ")
}

fn leaks(state: &State) -> String {
    match (&state.first_leak, state.leaks) {
        (None, 0) => "no leak so far".into(),
        (first, n) => format!("{n} leaks: {}", first.as_deref().unwrap_or("evidence is in leaks.jsonl")),
    }
}

pub(super) fn cut(line: &str, width: usize) -> String {
    line.chars().filter(|c| !c.is_control()).take(width.max(20) - 1).collect()
}

fn paint(line: &str, colour: bool) -> String {
    let code = match line.trim_start().chars().next() {
        _ if !colour => return line.to_owned(),
        Some('✓') => "32",
        Some('✗') => "31",
        _ if line.starts_with("isolation") && line.contains(" leaks") => "1;31",
        _ => return line.to_owned(),
    };
    format!("\x1b[{code}m{line}\x1b[0m")
}
