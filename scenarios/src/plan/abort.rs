//! `abort_when:` entries of `sla:` as written: `errors > 50% over 10s`.
//! In: the entry's map. Out: [`AbortPlan`]; names are resolved when the program is made.

use super::reader::{Fields, Reader, Spec};
use super::sla::{self, Limits};
use super::{AbortPlan, ObjectivePlan};
use crate::diagnostic::{Diagnostic, Span};
use crate::objective::Stat;
use crate::syntax::{Node, Scalar};
use crate::units;

const ABORT: Spec = Spec { what: "an abort rule", keys: &["abort_when", "of", "in"], not_yet: &[] };

const SECOND_NS: u64 = 1_000_000_000;
const LONGEST_NS: u64 = 3600 * SECOND_NS;

/// The entry as an abort rule; `None` if it is none.
pub(super) fn is_one(node: &Node) -> bool {
    matches!(node, Node::Map(entries, _) if entries.iter().any(|e| e.key.text == "abort_when"))
}

pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Option<AbortPlan> {
    let fields: Fields<'_> = reader.fields(node, node.span(), &ABORT)?;
    let of = sla::selection(reader, fields);
    let profiles = fields.entry("in").map(|_| reader.texts_at(fields, "in").into_iter().cloned().collect());
    let text = reader.text_at(fields, "abort_when")?.clone();
    let (limits, over_s) = rule(reader, &text)?;
    let rule = ObjectivePlan {
        span: text.span,
        of,
        limits,
        profiles,
        must: true,
        name: None,
        each: None,
        confident: false,
        watch: None,
    };
    Some(AbortPlan { rule, over_s })
}

fn rule(reader: &mut Reader<'_>, text: &Scalar) -> Option<(Limits, u64)> {
    let Some((condition, over)) = text.text.rsplit_once(" over ") else {
        return wrong(reader, text.span, "an abort rule says over which time it looks");
    };
    let over_s = window(reader, text.span, over)?;
    let sign = condition.find(['<', '>']).unwrap_or(condition.len());
    let (word, rest) = condition.split_at(sign);
    let stat = match sla::stat_of(word.trim()) {
        Some(Ok(stat @ (Stat::Errors | Stat::Mean | Stat::Percentile(_)))) => stat,
        Some(Err(message)) => {
            reader.bad_value(text.span, message);
            return None;
        }
        _ => return wrong(reader, text.span, "an abort rule watches `errors`, `mean` or a percentile such as `p95`"),
    };
    let limit = sla::read_limit(reader, text.span, stat, rest)?;
    if limit.op.is_upper() {
        return wrong(reader, text.span, "this would end a run that is well: an abort rule says what is too much");
    }
    Some((Limits { stat, limit, warn: None }, over_s))
}

fn window(reader: &mut Reader<'_>, span: Span, text: &str) -> Option<u64> {
    match units::parse_duration(text) {
        Ok(ns) if (SECOND_NS..=LONGEST_NS).contains(&ns) && ns.is_multiple_of(SECOND_NS) => Some(ns / SECOND_NS),
        Ok(_) => {
            let message = format!("the window `{}` is not a whole number of seconds from 1s to 1h", text.trim());
            reader.bad_value(span, message);
            None
        }
        Err(message) => {
            reader.bad_value(span, message);
            None
        }
    }
}

fn wrong<T>(reader: &mut Reader<'_>, span: Span, message: &str) -> Option<T> {
    reader.push(
        Diagnostic::error("bad-value", span, message)
            .help("write for example `abort_when: errors > 50% over 10s` or `abort_when: p95 > 5s over 30s`"),
    );
    None
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("abort", &ABORT)];
