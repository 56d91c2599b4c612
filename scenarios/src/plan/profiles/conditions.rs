//! `network:` and `at:` of a profile: the users' lines, and moments on the timeline.
//! In: the profile's map. Out: [`Network`] and [`Moment`]s.

use crate::conditions::{Moment, Network};
use crate::diagnostic::Diagnostic;
use crate::plan::reader::{Fields, Reader, Spec};
use crate::syntax::{Entry, Node};
use crate::units;

pub(super) const NETWORK: Spec = Spec { what: "`network`", keys: &["delay", "rate"], not_yet: &[] };

pub(super) const MOMENT: Spec = Spec { what: "a moment of `at`", keys: &["mark", "run"], not_yet: &[] };

/// The longest delay that is still a network.
const MAX_DELAY_NS: u64 = 60_000_000_000;

/// Most moments of a profile.
const MAX_MOMENTS: usize = 1_000;

pub(super) fn network(reader: &mut Reader<'_>, profile: Fields<'_>) -> Option<Network> {
    let entry = profile.entry("network")?;
    let fields = reader.fields(&entry.value, entry.key.span, &NETWORK)?;
    if fields.entry("delay").is_none() && fields.entry("rate").is_none() {
        reader.missing(entry.key.span, "`network`", "delay", "50ms");
        return None;
    }
    let delay_ns = reader.duration_at(fields, "delay", 0).unwrap_or(0);
    if let Some(node) = fields.get("delay").filter(|_| delay_ns > MAX_DELAY_NS) {
        reader.bad_value(node.span(), "`delay` is at most 60s");
    }
    let rate = fields.entry("rate").and_then(|entry| {
        reader.unit(&entry.value, entry.key.span, "`rate`", "`1MB/s`", |text| {
            let size = text.trim().strip_suffix("/s").ok_or("a rate of bytes ends with `/s`, as in `1MB/s`")?;
            let bytes = units::parse_size(size.trim_end())?;
            if bytes < 1_000 { Err("`rate` is at least 1kB/s".to_owned()) } else { Ok(bytes) }
        })
    });
    Some(Network { delay_ns, rate: rate.unwrap_or(0) })
}

pub(super) fn moments(reader: &mut Reader<'_>, profile: Fields<'_>) -> Vec<Moment> {
    let Some(entry) = profile.entry("at") else {
        return Vec::new();
    };
    let entries = reader.entries(&entry.value, entry.key.span, "`at`").unwrap_or_default();
    if entries.len() > MAX_MOMENTS {
        reader.bad_value(entry.key.span, format!("a profile has at most {MAX_MOMENTS} moments"));
        return Vec::new();
    }
    let mut moments: Vec<Moment> = entries.iter().filter_map(|entry| moment(reader, entry)).collect();
    moments.sort_by_key(|m| m.at_ns);
    moments
}

fn moment(reader: &mut Reader<'_>, entry: &Entry) -> Option<Moment> {
    let at_ns = match units::parse_duration(&entry.key.text) {
        Ok(ns) => Some(ns),
        Err(message) => {
            let help = "`at` is a map of times from the start, such as `2m: { mark: restart }`";
            reader.push(Diagnostic::error("bad-value", entry.key.span, message).help(help));
            None
        }
    };
    if let Node::Scalar(_) = &entry.value {
        let mark = reader.text(&entry.value, entry.key.span, "a moment")?.clone();
        reader.plain(&mark, "a mark");
        return Some(Moment { at_ns: at_ns?, mark: mark.text, run: None });
    }
    let fields = reader.fields(&entry.value, entry.key.span, &MOMENT)?;
    let run = fields.entry("run").and_then(|entry| command(reader, entry));
    let mark = match fields.entry("mark") {
        Some(_) => reader.text_at(fields, "mark").cloned(),
        None => {
            reader.missing(entry.key.span, "a moment of `at`", "mark", "restart");
            None
        }
    };
    let mark = mark?;
    reader.plain(&mark, "a mark");
    Some(Moment { at_ns: at_ns?, mark: mark.text, run })
}

/// `./roll.sh --all` is split at white space, a list is taken as it is; there is no shell in between.
fn command(reader: &mut Reader<'_>, entry: &Entry) -> Option<Vec<String>> {
    let words: Vec<String> = match &entry.value {
        Node::List(..) => {
            reader.texts(&entry.value, entry.key.span, "`run`").into_iter().map(|s| s.text.clone()).collect()
        }
        _ => {
            let text = reader.text(&entry.value, entry.key.span, "`run`")?;
            if text.text.contains(['|', '&', ';', '<', '>', '$', '`', '"', '\'', '*']) {
                reader.push(
                    Diagnostic::error("no-shell", text.span, "`run` is started without a shell")
                        .help("write a list of program and arguments, or `[sh, -c, \"…\"]`, or put it in a script"),
                );
                return None;
            }
            text.text.split_whitespace().map(str::to_owned).collect()
        }
    };
    if words.first().is_none_or(String::is_empty) {
        reader.bad_value(entry.key.span, "`run` names no program");
        return None;
    }
    Some(words)
}
