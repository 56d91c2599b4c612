//! Event streams and WebSockets on the page.
//! In: run result. Out: rows of text for the template.

use crate::figures::{self, count};
use crate::streams::{self, cells};
use engine::run_result::RunResult;

/// Most rows of each table.
const MOST_ROWS: usize = 100;

/// One step with events.
pub(crate) struct StreamView {
    pub step: String,
    pub events: String,
    pub per_second: String,
    /// p50, p95, p99, max of the first event, then of the gaps.
    pub times: Vec<String>,
}

/// One WebSocket step.
pub(crate) struct SocketView {
    pub step: String,
    pub target: String,
    pub open: String,
    /// Sent, received, waited for, matched.
    pub messages: Vec<String>,
    pub missed: String,
    pub is_bad: bool,
    /// p50, p95, p99, max of the round trips.
    pub times: Vec<String>,
}

pub(crate) fn streams(result: &RunResult) -> Vec<StreamView> {
    streams::streams(result)
        .into_iter()
        .take(MOST_ROWS)
        .map(|row| StreamView {
            events: count(row.events),
            per_second: row.per_second.map_or_else(|| "–".into(), figures::rate),
            times: [cells(row.first_event.as_ref()), cells(row.event_gap.as_ref())].concat(),
            step: row.step,
        })
        .collect()
}

pub(crate) fn sockets(result: &RunResult) -> Vec<SocketView> {
    streams::sockets(result)
        .into_iter()
        .take(MOST_ROWS)
        .map(|row| {
            let m = &row.messages;
            SocketView {
                step: format!("{} · {}", row.journey, row.step),
                target: row.target,
                open: format!("{} of {}", count(row.connections_ok), count(row.connections)),
                messages: [m.sent, m.received, m.expected, m.matched].map(count).into(),
                missed: count(m.failures()),
                is_bad: m.failures() > 0,
                times: cells(row.round_trip.as_ref()).into(),
            }
        })
        .collect()
}
