//! `expect:`: what an answer must be like.
//! In: the map. Out: [`ExpectPlan`].

use super::check_header_name;
use crate::diagnostic::Diagnostic;
use crate::plan::reader::{Fields, Reader, Spec};
use crate::plan::{ConditionPlan, ExpectPlan, RequestPlan};
use crate::program::Control;
use crate::syntax::{Entry, Node, Scalar, Style};
use crate::units;
use crate::value::Value;

pub(super) const EXPECT: Spec = Spec {
    what: "`expect`",
    keys: &["status", "json", "body", "header", "under", "that", "marker", "first_event", "event_gap", "events"],
    not_yet: &[],
};

pub(super) const BODY: Spec = Spec { what: "`body` in `expect`", keys: &["contains", "matches"], not_yet: &[] };

pub(super) const CONDITION: Spec = Spec { what: "a condition", keys: &["matches", "exists"], not_yet: &[] };

pub(super) fn read(reader: &mut Reader<'_>, request: Fields<'_>) -> ExpectPlan {
    let mut expect = ExpectPlan::default();
    let Some(entry) = request.entry("expect") else {
        return expect;
    };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &EXPECT) else {
        return expect;
    };
    if let Some(entry) = fields.entry("status") {
        expect.status = statuses(reader, entry);
    }
    expect.json = conditions(reader, fields, "json", "`json` in `expect`");
    expect.headers = conditions(reader, fields, "header", "`header` in `expect`");
    for (name, _) in &mut expect.headers {
        check_header_name(reader, name);
        name.text.make_ascii_lowercase();
    }
    if let Some(entry) = fields.entry("body") {
        body(reader, entry, &mut expect);
    }
    expect.under_ns = below(reader, fields, "under");
    expect.first_event_ns = below(reader, fields, "first_event");
    expect.event_gap_ns = below(reader, fields, "event_gap");
    expect.events = fields.entry("events").and_then(|entry| {
        let count = reader.text(&entry.value, entry.key.span, "`events` in `expect`")?;
        Some(ConditionPlan::Value(Node::Scalar(count.clone())))
    });
    expect.that = reader.text_at(fields, "that").cloned();
    expect.marker = match reader.word_at(fields, "marker", &["own", "permitted", "latest"], &[]) {
        Some("own") => Some(Control::Own),
        Some("latest") => Some(Control::Latest),
        Some(_) => Some(Control::Permitted),
        None => None,
    };
    expect
}

/// `200`, `2xx`, or a list of them, as inclusive ranges.
pub(in crate::plan) fn statuses(reader: &mut Reader<'_>, entry: &Entry) -> Vec<(u16, u16)> {
    let nodes = match &entry.value {
        Node::List(items, _) => items.iter().collect(),
        single => vec![single],
    };
    nodes.into_iter().filter_map(|node| status(reader, node, entry)).collect()
}

/// `200`, or a class such as `2xx`.
pub(in crate::plan) fn status(reader: &mut Reader<'_>, node: &Node, entry: &Entry) -> Option<(u16, u16)> {
    let Some(scalar) = node.as_scalar().filter(|s| !s.is_null() && !s.broken) else {
        let rule = "`status` is a number such as 200, a class such as `2xx`, or a list of them";
        reader.expected(entry.key.span, rule, node);
        return None;
    };
    if let Value::Int(code) = scalar.value() {
        if let Some(code) = u16::try_from(code).ok().filter(|c| (100..=599).contains(c)) {
            return Some((code, code));
        }
        reader.bad_value(scalar.span, "a status is between 100 and 599");
        return None;
    }
    if let Some(class @ '1'..='5') = scalar.text.chars().next()
        && scalar.text.get(1..) == Some("xx")
    {
        let hundred = class.to_digit(10).unwrap_or(2) as u16 * 100;
        return Some((hundred, hundred + 99));
    }
    if scalar.style == Style::Quoted && scalar.text.parse::<u16>().is_ok() {
        reader.push(
            Diagnostic::error("quoted-status", scalar.span, "a status is a number, in quotes it is text")
                .help(format!("write `status: {}`", scalar.text)),
        );
        return None;
    }
    reader.push(
        Diagnostic::error("bad-value", scalar.span, format!("`{}` is no status", scalar.shown()))
            .help("write a number such as 200, a class such as `2xx`, or a list such as `[200, 404]`"),
    );
    None
}

/// A duration that stands for "less than this": `5s` or `< 5s`.
fn below(reader: &mut Reader<'_>, fields: Fields<'_>, key: &str) -> Option<u64> {
    let entry = fields.entry(key)?;
    reader.unit(&entry.value, entry.key.span, &format!("`{key}`"), "`5s`", |text| {
        units::parse_duration(text.trim().trim_start_matches('<'))
    })
}

/// What is expected of events needs events.
pub(super) fn check_events(reader: &mut Reader<'_>, request: Fields<'_>, plan: &RequestPlan) {
    let expect = &plan.expect;
    let asked = expect.first_event_ns.is_some() || expect.event_gap_ns.is_some() || expect.events.is_some();
    if asked && request.entry("events").is_none() {
        reader.push(
            Diagnostic::error("missing-key", plan.key.span, "this request expects events and does not read any")
                .help("add `events: { text: $.text, until: \"[DONE]\" }`, or `events: {}` for a stream that just ends"),
        );
    }
}

/// Path or name → condition, under `key`.
pub(super) fn conditions(
    reader: &mut Reader<'_>,
    fields: Fields<'_>,
    key: &str,
    what: &str,
) -> Vec<(Scalar, ConditionPlan)> {
    let Some(entry) = fields.entry(key) else {
        return Vec::new();
    };
    let entries = reader.entries(&entry.value, entry.key.span, what);
    let mut conditions = Vec::new();
    for entry in entries.unwrap_or_default() {
        if let Some(condition) = condition(reader, entry) {
            conditions.push((entry.key.clone(), condition));
        }
    }
    conditions
}

fn condition(reader: &mut Reader<'_>, entry: &Entry) -> Option<ConditionPlan> {
    let Node::Map(..) = &entry.value else {
        return Some(ConditionPlan::Value(entry.value.clone()));
    };
    let fields = reader.fields(&entry.value, entry.key.span, &CONDITION)?;
    if let Some(pattern) = reader.text_at(fields, "matches") {
        if let Some(other) = fields.entry("exists") {
            reader.bad_value(other.key.span, "a condition is one of `matches` and `exists`");
        }
        return Some(ConditionPlan::Matches(pattern.clone()));
    }
    reader.flag_at(fields, "exists").map(ConditionPlan::Exists)
}

fn body(reader: &mut Reader<'_>, entry: &Entry, expect: &mut ExpectPlan) {
    if let Node::Scalar(text) = &entry.value {
        if text.broken {
            return;
        }
        reader.push(
            Diagnostic::error("wrong-type", text.span, "`body` says how it is compared")
                .help("write `body: { contains: … }` or `body: { matches: … }`"),
        );
        return;
    }
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &BODY) else {
        return;
    };
    let texts = |reader: &mut Reader<'_>, key| {
        let texts = reader.texts_at(fields, key);
        texts.into_iter().cloned().collect()
    };
    expect.contains = texts(reader, "contains");
    expect.matches = texts(reader, "matches");
}
