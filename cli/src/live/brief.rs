//! The live view of a hit: one request, no objectives, no leaks.

use super::state::State;
use super::view::{cut, errors, lag, percentiles, progress, rate};

/// The live lines, at most `height - 1` of them, each at most `width` wide.
pub fn live(state: &State, requests: Option<u64>, width: usize, height: usize) -> Vec<String> {
    let (recent, times, seconds) = state.recent();
    let mut lines = vec![
        format!("{}  {}", state.title, goal(state, requests)),
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
        format!(
            "generator lag p99 {}  busiest worker {:.0} %  dropped {}",
            lag(state),
            state.busy * 100.0,
            state.dropped
        ),
    ];
    lines.truncate(height.saturating_sub(1).max(1));
    lines.iter().map(|line| cut(line, width)).collect()
}

/// One line for logs.
pub fn plain(state: &State, requests: Option<u64>) -> String {
    let (recent, times, seconds) = state.recent();
    format!(
        "{}  done {}/s  {}  errors {}  lag p99 {}",
        goal(state, requests),
        rate(recent.sent(), seconds),
        percentiles(&times),
        state.counts.failed + state.counts.timed_out,
        lag(state)
    )
}

/// How far it is: by requests if their number is given, else by time.
fn goal(state: &State, requests: Option<u64>) -> String {
    match requests {
        Some(n) => format!("{:.0} s, {} of {n} requests", state.elapsed_s, state.counts.sent() + state.dropped),
        None => progress(state),
    }
}
