//! `gate:` and `waivers:` as written.
//! In: the two keys of the file. Out: [`GatePlan`], [`WaiverPlan`]s; names are resolved when the program is made.

use super::reader::{Fields, Reader, Spec};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::{Node, Scalar};
use jiff::civil::Date;

/// The gate as written.
#[derive(Clone, Debug)]
pub(crate) struct GatePlan {
    pub requires: Vec<Scalar>,
    pub isolation_required: bool,
    pub signoffs: Vec<Scalar>,
}

/// A waiver as written.
#[derive(Clone, Debug)]
pub(crate) struct WaiverPlan {
    pub objective: Scalar,
    pub reason: String,
    pub by: String,
    pub until: Date,
    /// Where `until` stands.
    pub until_span: Span,
}

const GATE: Spec = Spec { what: "`gate`", keys: &["requires", "isolation", "signoffs"], not_yet: &[] };

const WAIVER: Spec = Spec { what: "a waiver", keys: &["objective", "reason", "by", "until"], not_yet: &[] };

/// The longest time for which a miss may be let through.
pub(crate) const LONGEST_WAIVER_DAYS: i32 = 90;

pub(super) fn read(reader: &mut Reader<'_>, file: Fields<'_>) -> Option<GatePlan> {
    let entry = file.entry("gate")?;
    let fields = reader.fields(&entry.value, entry.key.span, &GATE)?;
    let requires: Vec<Scalar> = reader.texts_at(fields, "requires").into_iter().cloned().collect();
    let signoffs: Vec<Scalar> = reader.texts_at(fields, "signoffs").into_iter().cloned().collect();
    for name in &signoffs {
        reader.plain_name(name, "a sign-off");
    }
    let isolation = reader.word_at(fields, "isolation", &["required", "report"], &[]);
    for list in [&requires, &signoffs] {
        for (i, name) in list.iter().enumerate() {
            if list[..i].iter().any(|n| n.text == name.text) {
                reader.push(
                    Diagnostic::error("duplicate-name", name.span, format!("`{}` stands here twice", name.shown()))
                        .help("remove one"),
                );
            }
        }
    }
    if fields.entry("requires").is_none() && fields.entry("isolation").is_none() && fields.entry("signoffs").is_none() {
        reader.missing(entry.key.span, "`gate`", "requires", "[sustained, burst]");
    }
    Some(GatePlan { requires, isolation_required: isolation == Some("required"), signoffs })
}

pub(super) fn read_waivers(reader: &mut Reader<'_>, file: Fields<'_>) -> Vec<WaiverPlan> {
    let Some(entry) = file.entry("waivers") else {
        return Vec::new();
    };
    let Node::List(items, _) = &entry.value else {
        reader.expected(entry.key.span, "`waivers` is a list, each with a `-`", &entry.value);
        return Vec::new();
    };
    items.iter().filter_map(|item| waiver(reader, item, entry.key.span)).collect()
}

fn waiver(reader: &mut Reader<'_>, node: &Node, at: Span) -> Option<WaiverPlan> {
    let fields = reader.fields(node, at, &WAIVER)?;
    let span = node.span();
    let start = Span::new(span.start..span.start);
    let mut named = |key: &str, example: &str| {
        if fields.entry(key).is_none() {
            reader.missing(start, "a waiver", key, example);
        }
        reader.text_at(fields, key).cloned()
    };
    let objective = named("objective", "\"p95 < 200ms\"");
    let reason = named("reason", "mended in release 14, ticket 4711");
    let by = named("by", "Ada Lovelace");
    let until = named("until", "2026-12-31");
    let until = until.and_then(|text| match text.text.parse::<Date>() {
        Ok(date) => Some((date, text.span)),
        Err(_) => {
            let message = format!("`{}` is no day: write for example `2026-12-31`", text.shown());
            reader.bad_value(text.span, message);
            None
        }
    });
    let (until, until_span) = until?;
    Some(WaiverPlan { objective: objective?, reason: reason?.text, by: by?.text, until, until_span })
}

/// Waivers that do not hold on `today`, or would hold for too long.
pub(super) fn out_of_date(waivers: &[WaiverPlan], today: Date) -> Vec<Diagnostic> {
    let days = |date: Date| today.until(date).map_or(i32::MAX, |span| span.get_days());
    waivers
        .iter()
        .filter_map(|waiver| match days(waiver.until) {
            left if left < 0 => Some(
                Diagnostic::error(
                    "expired-waiver",
                    waiver.until_span,
                    format!("the waiver of `{}` has expired", waiver.objective.shown()),
                )
                .help("mend what it let through and remove it, or have it renewed by somebody who answers for it"),
            ),
            left if left > LONGEST_WAIVER_DAYS => Some(
                Diagnostic::error(
                    "long-waiver",
                    waiver.until_span,
                    format!("a waiver holds for {LONGEST_WAIVER_DAYS} days at most; this one would for {left}",),
                )
                .help("choose an earlier day; what is let through for longer should be another limit"),
            ),
            _ => None,
        })
        .collect()
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("gate", &GATE), ("waiver", &WAIVER)];
