//! WebSocket steps: `websocket /path` with what is said over it, `send`, `receive`, `close`.
//! In: the step's map. Out: the [`StepKind`], every shape checked.

use super::reader::{Fields, Reader, Spec};
use super::requests;
use super::{LikePlan, PayloadPlan, ReceivePlan, SavedFrom, StepKind, steps};
use crate::diagnostic::Diagnostic;
use crate::syntax::{Entry, Node, Scalar};
use base64::Engine as _;

/// The steps of this file, by their first word.
pub(super) const WORDS: &[&str] = &["websocket", "send", "receive", "close"];

const SEND: Spec = Spec { what: "a `send` step", keys: &["send"], not_yet: &[] };
const PAYLOAD: Spec = Spec { what: "a message", keys: &["json", "base64"], not_yet: &[] };
const RECEIVE: Spec = Spec { what: "a `receive` step", keys: &["receive", "within", "save"], not_yet: &[] };
const CLOSE: Spec = Spec { what: "a `close` step", keys: &["close"], not_yet: &[] };

/// The step of `node` whose keyword stands in `entry`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node, entry: &Entry) -> Option<StepKind> {
    let at = entry.key.span;
    match entry.key.text.as_str() {
        "send" => {
            reader.fields(node, at, &SEND)?;
            payload(reader, entry).map(StepKind::Send)
        }
        "receive" => {
            let fields = reader.fields(node, at, &RECEIVE)?;
            receive(reader, fields, entry)
        }
        "close" => {
            reader.fields(node, at, &CLOSE)?;
            close(reader, entry)
        }
        _ => websocket(reader, entry),
    }
}

fn websocket(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let (open, fields) = requests::read_upgrade(reader, &entry.key, &entry.value)?;
    let heartbeat_ns = reader.duration_at(fields, "heartbeat", 100_000_000);
    let steps = match fields.entry("steps") {
        Some(entry) => steps::read(reader, entry),
        None => {
            reader.missing(fields.at, "a `websocket` step", "steps", "[ { receive: {} } ]");
            Vec::new()
        }
    };
    Some(StepKind::Websocket { open: Box::new(open), heartbeat_ns, steps })
}

/// Plain text, `{ json: … }` or `{ base64: … }`.
fn payload(reader: &mut Reader<'_>, entry: &Entry) -> Option<PayloadPlan> {
    if !matches!(entry.value, Node::Map(..)) {
        return reader.text(&entry.value, entry.key.span, "a message").cloned().map(PayloadPlan::Text);
    }
    let fields = reader.fields(&entry.value, entry.key.span, &PAYLOAD)?;
    match (fields.entry("json"), fields.entry("base64")) {
        (Some(json), None) => {
            requests::check_json_keys(reader, &json.value);
            Some(PayloadPlan::Json(json.value.clone()))
        }
        (None, Some(_)) => {
            let text = reader.text_at(fields, "base64")?;
            let is_plain = !text.text.contains("{{");
            if is_plain && base64::engine::general_purpose::STANDARD.decode(&text.text).is_err() {
                reader.push(
                    Diagnostic::error("bad-value", text.span, "this is no base64")
                        .help("write the bytes as `base64` prints them, with its `=` at the end"),
                );
                return None;
            }
            Some(PayloadPlan::Base64(text.clone()))
        }
        (Some(_), Some(second)) => {
            reader.bad_value(second.key.span, "a message is one of `json` and `base64`");
            None
        }
        (None, None) => {
            reader.missing(entry.key.span, "a message", "json", "{ type: message }");
            None
        }
    }
}

fn receive(reader: &mut Reader<'_>, fields: Fields<'_>, entry: &Entry) -> Option<StepKind> {
    let like = match &entry.value {
        Node::Map(..) => LikePlan::Json(requests::conditions_at(reader, fields, "receive", "`receive`")),
        other => LikePlan::Text(reader.text(other, entry.key.span, "`receive`")?.clone()),
    };
    let within_ns = reader.duration_at(fields, "within", 1_000_000);
    let saves = requests::saves(reader, fields);
    for save in &saves {
        if !matches!(save.source, SavedFrom::Json(_) | SavedFrom::Regex(_)) {
            reader.push(
                Diagnostic::error("bad-value", save.name.span, "a message has no headers, cookies or elements")
                    .help("save from a message by JSONPath, or by `{ regex: … }`"),
            );
        }
    }
    Some(StepKind::Receive(Box::new(ReceivePlan { like, within_ns, saves })))
}

/// Codes that a client may send: RFC 6455 §7.4 and its registry.
fn close(reader: &mut Reader<'_>, entry: &Entry) -> Option<StepKind> {
    let code = reader.whole(&entry.value, entry.key.span, "`close`", 1000, 4999)?;
    let code = u16::try_from(code).ok().filter(|c| matches!(c, 1000..=1003 | 1007..=1014 | 3000..=4999));
    if code.is_none() {
        reader.push(
            Diagnostic::error("bad-value", entry.value.span(), "nobody may close with this code")
                .help("1000 is the usual end; an application's own codes are 3000 to 4999"),
        );
    }
    code.map(StepKind::Close)
}

/// `websocket /path` without anything under it.
pub(super) fn no_options(reader: &mut Reader<'_>, text: &Scalar, word: &str) {
    reader.push(Diagnostic::error("bad-step", text.span, format!("the step `{word}` needs a value")).help(
        match word {
            "websocket" => "write `websocket /path:` and under it `steps:`",
            "close" => "write `close: 1000`",
            "receive" => "write for example `receive: { $.type: reply }`; any message is `receive: {}`",
            _ => "write for example `send: { json: { text: hello } }`",
        },
    ));
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] =
    &[("step_send", &SEND), ("payload", &PAYLOAD), ("step_receive", &RECEIVE), ("step_close", &CLOSE)];
