//! `each:` and `share:` of an objective: it has to hold in every window of this length, or in so many of them.
//! In: the objective's keys. Out: [`Each`], or what is wrong with it.

use super::Fields;
use crate::diagnostic::Diagnostic;
use crate::objective::{Each, Stat};
use crate::plan::reader::Reader;
use crate::units;

const SECOND_NS: u64 = 1_000_000_000;
const LONGEST_NS: u64 = 24 * 3600 * SECOND_NS;

pub(super) fn read(reader: &mut Reader<'_>, fields: Fields<'_>, stat: Stat) -> Option<Each> {
    let Some(entry) = fields.entry("each") else {
        if let Some(share) = fields.entry("share") {
            reader.push(
                Diagnostic::error("bad-value", share.key.span, "`share` says in how many windows it has to hold")
                    .help("say how long a window is: `each: 10s, share: 99%`"),
            );
        }
        return None;
    };
    if !stat.has_windows() {
        let message = format!("`{}` is of a whole run, it cannot be told of a window", stat.word());
        reader.push(Diagnostic::error("bad-value", entry.key.span, message).help("take `each` out"));
        return None;
    }
    let text = reader.text_at(fields, "each")?.clone();
    let every_ns = match units::parse_duration(&text.text) {
        Ok(ns) if (SECOND_NS..=LONGEST_NS).contains(&ns) && ns.is_multiple_of(SECOND_NS) => ns,
        Ok(_) => {
            let message = format!("the window `{}` is not a whole number of seconds from 1s to 24h", text.text.trim());
            reader.bad_value(text.span, message);
            return None;
        }
        Err(message) => {
            reader.push(Diagnostic::error("bad-value", text.span, message).help("write for example `each: 10s`"));
            return None;
        }
    };
    let share = match fields.entry("share") {
        None => None,
        Some(_) => {
            let text = reader.text_at(fields, "share")?.clone();
            match super::share(&text.text) {
                Ok(share) if share >= 1.0 => None,
                Ok(share) if share > 0.0 => Some(share),
                Ok(_) => {
                    reader.bad_value(text.span, "in no window at all is nothing to hold: `share` is above 0%");
                    return None;
                }
                Err(message) => {
                    reader.push(
                        Diagnostic::error("bad-value", text.span, message).help("write for example `share: 99%`"),
                    );
                    return None;
                }
            }
        }
    };
    Some(Each { every_ns, share })
}
