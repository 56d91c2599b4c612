//! `preset: ladder`: rungs of rising load, each held equally long.
//! In: `users` or `arrivals` as a list, `each`, `ramp`. Out: one stage a rung.

use super::super::reader::{Fields, Reader, is_broken};
use super::{MINUTE_NS, MS_NS, check_inside, level_rate, level_users, open_options, refuse_open_keys, two_loads};
use crate::diagnostic::Diagnostic;
use crate::program::{Load, Stage};
use crate::syntax::{Entry, Node};

/// The rungs when the profile is silent.
const USERS: [f64; 5] = [10.0, 25.0, 50.0, 100.0, 150.0];
/// How long each rung is held when the profile is silent.
const EACH_NS: u64 = 10 * MINUTE_NS;
/// Most rungs: each holds its own figures of every step.
const MOST_RUNGS: usize = 100;

/// The load of a ladder.
pub(super) fn load(reader: &mut Reader<'_>, fields: Fields<'_>) -> Option<Load> {
    for (key, instead) in [("stages", "`users` or `arrivals` as a list"), ("for", "`each`, the length of a rung")] {
        if let Some(entry) = fields.entry(key) {
            reader.bad_value(entry.key.span, format!("a ladder has no `{key}`, but {instead}"));
        }
    }
    let given: Vec<&Entry> = ["users", "arrivals"].iter().filter_map(|key| fields.entry(key)).collect();
    if let [first, second] = given.as_slice() {
        two_loads(reader, first, second);
        return None;
    }
    let open = given.first().is_some_and(|entry| entry.key.text == "arrivals");
    let levels = match given.first() {
        Some(entry) => levels(reader, entry, open),
        None => Some(USERS.to_vec()),
    };
    let each_ns = match fields.entry("each") {
        Some(_) => reader.duration_at(fields, "each", MS_NS),
        None => Some(EACH_NS),
    };
    let ramp_ns = reader.duration_at(fields, "ramp", 0).unwrap_or(0);
    let options = if open {
        Some(open_options(reader, fields))
    } else {
        refuse_open_keys(reader, fields);
        None
    };
    let rung = Stage { level: 0.0, duration_ns: each_ns?, ramp_ns };
    let rung = check_inside(reader, fields, rung, "each")?;
    let stages = levels?.into_iter().map(|level| Stage { level, ..rung }).collect();
    Some(match options {
        Some(open) => open(stages),
        None => Load::Closed(stages),
    })
}

fn levels(reader: &mut Reader<'_>, entry: &Entry, open: bool) -> Option<Vec<f64>> {
    let key = &entry.key.text;
    let example = if open { "[5/s, 10/s, 20/s]" } else { "[10, 25, 50, 100]" };
    let Node::List(items, _) = &entry.value else {
        if !is_broken(&entry.value) {
            let span = if entry.value.is_null() { entry.key.span } else { entry.value.span() };
            reader.push(
                Diagnostic::error("wrong-type", span, format!("`{key}` of a ladder is a list, one entry a rung"))
                    .help(format!("write for example `{key}: {example}`")),
            );
        }
        return None;
    };
    if !(2..=MOST_RUNGS).contains(&items.len()) {
        reader.push(
            Diagnostic::error(
                "bad-value",
                entry.value.span(),
                format!("a ladder has 2 to {MOST_RUNGS} rungs, here are {}", items.len()),
            )
            .help(format!("write for example `{key}: {example}`")),
        );
        return None;
    }
    let read: Vec<Option<f64>> =
        items
            .iter()
            .map(|item| {
                if open { level_rate(reader, item, entry.key.span) } else { level_users(reader, item, entry.key.span) }
            })
            .collect();
    read.into_iter().collect()
}
