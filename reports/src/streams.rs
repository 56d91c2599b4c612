//! Event streams and WebSockets of a run: the rows that terminal, page and `result.json` share.
//! In: run result. Out: plain rows; text from outside made harmless.

use crate::figures::{self, count, fit, plain};
use crate::rows::{TimesRow, journey_name, shown, target_name};
use engine::record::interval::Recording;
use engine::run_result::{Messages, RunResult};
use serde_json::{Map, Value, json};

/// One step whose answers were read as events.
pub struct StreamRow {
    /// Journey and step.
    pub step: String,
    /// Events that came.
    pub events: u64,
    /// Time to the first event.
    pub first_event: Option<TimesRow>,
    /// Time between two events.
    pub event_gap: Option<TimesRow>,
    /// Events a second while a stream flowed: 1 / mean gap; with one token an event, tokens a second.
    pub per_second: Option<f64>,
}

/// One WebSocket step.
pub struct SocketRow {
    /// Journey name.
    pub journey: String,
    /// Step name.
    pub step: String,
    /// Target name.
    pub target: String,
    /// Connections that were to be made.
    pub connections: u64,
    /// Of those: made.
    pub connections_ok: u64,
    /// Messages.
    pub messages: Messages,
    /// Round trips.
    pub round_trip: Option<TimesRow>,
}

/// Percentiles of what was recorded; `None` without samples.
pub fn row(times: &Recording) -> Option<TimesRow> {
    times.times().and_then(TimesRow::plain)
}

/// Events a second while a stream flowed.
pub fn per_second(gaps: &Recording) -> Option<f64> {
    let mean_ns = gaps.times()?.mean_ns()?;
    (mean_ns > 0.0).then(|| 1e9 / mean_ns)
}

/// Steps with events, in the order of the file.
pub fn streams(result: &RunResult) -> Vec<StreamRow> {
    let steps = result.header.steps.iter().zip(&result.steps);
    steps
        .filter(|(_, totals)| totals.first_event.count() > 0)
        .map(|(header, totals)| StreamRow {
            step: format!("{} · {}", journey_name(result, header.journey), plain(&header.name)),
            events: totals.first_event.count() + totals.event_gap.count(),
            first_event: row(&totals.first_event),
            event_gap: row(&totals.event_gap),
            per_second: per_second(&totals.event_gap),
        })
        .collect()
}

/// WebSocket steps that were played, in the order of the file.
pub fn sockets(result: &RunResult) -> Vec<SocketRow> {
    let steps = result.header.steps.iter().zip(&result.steps);
    steps
        .filter(|(header, totals)| header.socket && totals.counts.planned + totals.counts.sent() > 0)
        .map(|(header, totals)| SocketRow {
            journey: journey_name(result, header.journey),
            step: plain(&header.name),
            target: target_name(result, header.target),
            connections: totals.counts.sent(),
            connections_ok: totals.counts.ok,
            messages: totals.messages,
            round_trip: row(&totals.message),
        })
        .collect()
}

/// `messages` of `result.json`; `times` renders times as everywhere in that file.
pub fn messages_json(result: &RunResult, times: impl Fn(Option<&TimesRow>) -> Value) -> Vec<Value> {
    let one = |row: &SocketRow| {
        let m = &row.messages;
        let mut map = Map::new();
        map.insert("journey".into(), json!(row.journey));
        map.insert("step".into(), json!(row.step));
        map.insert("target".into(), json!(row.target));
        for (key, value) in [
            ("connections", row.connections),
            ("connections_ok", row.connections_ok),
            ("connections_lost", m.lost),
            ("connections_abandoned", m.abandoned),
            ("sent", m.sent),
            ("not_sent", m.not_sent),
            ("received", m.received),
            ("expected", m.expected),
            ("matched", m.matched),
            ("missed", m.missed),
            ("unfinished", m.unfinished),
            ("bytes_sent", m.bytes_sent),
            ("bytes_received", m.bytes_received),
        ] {
            map.insert(key.into(), json!(value));
        }
        map.insert("round_trip".into(), times(row.round_trip.as_ref()));
        Value::Object(map)
    };
    sockets(result).iter().map(one).collect()
}

/// p50, p95, p99 and the largest, as text.
pub fn cells(row: Option<&TimesRow>) -> [String; 4] {
    let Some(row) = row else {
        return ["–", "–", "–", "–"].map(str::to_owned);
    };
    [row.percentiles[0], row.percentiles[2], row.percentiles[3], row.max].map(shown)
}

/// The lines for the terminal, titles first; nothing for a run without streams.
pub(crate) fn terminal(result: &RunResult, width: usize) -> Vec<(bool, String)> {
    let mut lines = Vec::new();
    let streams = streams(result);
    if !streams.is_empty() {
        let title = format!(
            "{:<40}{:>9}{:>10}{:>8}{:>8}{:>8}{:>8}{:>8}",
            "Streams", "events", "a second", "p50", "p95", "p99", "max", ""
        );
        lines.push((true, title));
    }
    for stream in &streams {
        lines.push((false, format!("  {}", fit(&stream.step, width - 2))));
        let rate = stream.per_second.map_or_else(|| "–".into(), figures::rate);
        let [p50, p95, p99, max] = cells(stream.first_event.as_ref());
        let first = format!("    {:<36}{:>9}{:>10}", "to the first event", count(stream.events), rate);
        lines.push((false, format!("{first}{p50:>8}{p95:>8}{p99:>8}{max:>8}")));
        let [p50, p95, p99, max] = cells(stream.event_gap.as_ref());
        lines.push((false, format!("    {:<55}{p50:>8}{p95:>8}{p99:>8}{max:>8}", "between two events")));
    }
    let sockets = sockets(result);
    if !sockets.is_empty() {
        let title = format!(
            "{:<24}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}{:>8}{:>8}",
            "WebSockets", "open", "sent", "received", "matched", "missed", "p50", "p95", "p99", "max"
        );
        lines.push((true, title));
    }
    for socket in &sockets {
        let m = &socket.messages;
        let name = format!("{} · {}", socket.journey, socket.step);
        lines.push((false, format!("  {}", fit(&name, width - 2))));
        let open = format!("{}/{}", count(socket.connections_ok), count(socket.connections));
        let [p50, p95, p99, max] = cells(socket.round_trip.as_ref());
        lines.push((
            false,
            format!(
                "    {:<13}{open:>14}{:>9}{:>9}{:>9}{:>9}{p50:>8}{p95:>8}{p99:>8}{max:>8}",
                "round trip",
                count(m.sent),
                count(m.received),
                count(m.matched),
                count(m.failures()),
            ),
        ));
    }
    lines
}
