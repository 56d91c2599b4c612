//! `retry:`: when a request is made again.
//! In: the map. Out: [`Retry`].

use super::expect::status;
use crate::diagnostic::Diagnostic;
use crate::plan::reader::{Reader, Spec};
use crate::program::{Delay, Retry};
use crate::syntax::{Entry, Node};
use crate::units;

pub(super) const RETRY: Spec = Spec { what: "`retry`", keys: &["on", "times", "wait"], not_yet: &[] };

const SECOND_NS: u64 = 1_000_000_000;

pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry) -> Option<Retry> {
    let fields = reader.fields(&entry.value, entry.key.span, &RETRY)?;
    let mut retry = Retry { times: 1, wait: Some(Delay::Fixed(SECOND_NS)), ..Retry::default() };
    match fields.entry("on") {
        Some(on) => read_on(reader, on, &mut retry),
        None => reader.missing(entry.key.span, "`retry`", "on", "[429, 503]"),
    }
    if let Some(times) = reader.whole_at(fields, "times", 1, 100) {
        retry.times = times as u32;
    }
    if let Some(wait) = fields.entry("wait") {
        retry.wait = reader.unit(&wait.value, wait.key.span, "`wait`", "`1s`", units::parse_delay);
    }
    Some(retry)
}

/// Status codes, and the words `timeout` and `connection`.
fn read_on(reader: &mut Reader<'_>, entry: &Entry, retry: &mut Retry) {
    let nodes = match &entry.value {
        Node::List(items, _) => items.iter().collect(),
        single => vec![single],
    };
    if nodes.is_empty() {
        reader.push(
            Diagnostic::error("bad-value", entry.key.span, "this `retry` never tries again: `on` names nothing")
                .help("write for example `on: [429, 503]`, or take the `retry` out"),
        );
    }
    for node in nodes {
        match node.as_scalar().map(|s| s.text.as_str()) {
            Some("timeout") => retry.on_timeout = true,
            Some("connection") => retry.on_connection = true,
            _ => retry.on.extend(status(reader, node, entry)),
        }
    }
}
