//! `{ containment: { errors: < 1pp, mean: < 20% } }`: how far the faults of some users may harm the others.
//! In: the entry. Out: an [`ObjectivePlan`] for each of the two limits that is given.

use super::Limits;
use crate::containment::Harm;
use crate::diagnostic::{Diagnostic, suggestion};
use crate::objective::{Limit, Stat};
use crate::plan::ObjectivePlan;
use crate::plan::reader::{Fields, Reader, Spec};
use crate::syntax::Entry;
use crate::units;

/// Keys of the entry.
pub(super) const KEYS: &[&str] = &["containment", "in", "must", "name"];

/// Keys of its map.
pub(super) const CONTAINMENT: Spec = Spec { what: "`containment`", keys: &["errors", "mean"], not_yet: &[] };

/// Whether the entry is about containment.
pub(super) fn is_one(entries: &[Entry]) -> bool {
    entries.iter().any(|e| e.key.text == "containment")
}

pub(super) fn read(reader: &mut Reader<'_>, entries: &[Entry], span: crate::Span) -> Vec<ObjectivePlan> {
    let fields = Fields::new(entries, entries.first().map_or(span, |e| e.key.span));
    for entry in entries.iter().filter(|e| !KEYS.contains(&e.key.text.as_str())) {
        let message = format!("an objective about containment has no key `{}`", entry.key.shown());
        let help = suggestion(&entry.key.text, KEYS.iter().copied());
        reader.push(Diagnostic::error("unknown-key", entry.key.span, message).maybe_help(help));
    }
    let profiles: Option<Vec<_>> =
        fields.entry("in").map(|_| reader.texts_at(fields, "in").into_iter().cloned().collect());
    let must = reader.flag_at(fields, "must").unwrap_or(true);
    let name = reader.text_at(fields, "name").cloned();
    let Some(entry) = fields.entry("containment") else {
        return Vec::new();
    };
    let Some(inner) = reader.fields(&entry.value, entry.key.span, &CONTAINMENT) else {
        return Vec::new();
    };
    // An unknown key has been said; that nothing else is there is no mistake of its own.
    if matches!(&entry.value, crate::syntax::Node::Map(entries, _) if entries.is_empty()) {
        reader.push(
            Diagnostic::error("no-statistic", entry.key.span, "this objective limits nothing")
                .help("write for example `containment: { errors: < 1pp, mean: < 20% }`"),
        );
    }
    let both = inner.entry("errors").is_some() && inner.entry("mean").is_some();
    let mut plans = Vec::new();
    for (key, harm) in [("errors", Harm::Errors), ("mean", Harm::Mean)] {
        let Some(limit) = inner.entry(key).and_then(|entry| limit(reader, entry, harm)) else {
            continue;
        };
        let mut name = name.clone();
        if let Some(name) = name.as_mut().filter(|_| both) {
            name.text = format!("{} ({key})", name.text);
        }
        plans.push(ObjectivePlan {
            confident: false,
            span,
            of: Vec::new(),
            limits: Limits { stat: Stat::Containment(harm), limit, warn: None },
            profiles: profiles.clone(),
            must,
            name,
            each: None,
            watch: None,
        });
    }
    plans
}

/// `< 1pp` or `< 20%`: a margin above zero below which the harm has to stay.
fn limit(reader: &mut Reader<'_>, entry: &Entry, harm: Harm) -> Option<Limit> {
    let key = entry.key.text.as_str();
    let text = reader.text(&entry.value, entry.key.span, &format!("the limit of `{key}`"))?.clone();
    let (example, what) = match harm {
        Harm::Errors => ("< 1pp", "percentage points"),
        Harm::Mean => ("< 20%", "percent of the mean without faults"),
    };
    let read = match units::split_comparison(&text.text) {
        None => Err("a limit starts with `<` or `<=`".to_owned()),
        Some((op, _)) if !op.is_upper() => Err(format!("this demands that `{key}` is bad")),
        Some((op, value)) => margin(value, harm).map(|margin| (op, value.to_owned(), margin)),
    };
    match read {
        Ok((op, value, margin)) => {
            let sign = if op == crate::objective::Comparison::Less { "<" } else { "<=" };
            Some(Limit { op, value: margin, text: format!("{sign} {value}") })
        }
        Err(message) => {
            let help = format!("write for example `{key}: {example}`, in {what}");
            reader.push(Diagnostic::error("bad-limit", text.span, message).help(help));
            None
        }
    }
}

fn margin(value: &str, harm: Harm) -> Result<f64, String> {
    let (unit, most) = match harm {
        Harm::Errors => ("pp", 100.0),
        Harm::Mean => ("%", 1000.0),
    };
    let number = value.strip_suffix(unit).map(str::trim).and_then(|n| n.parse::<f64>().ok());
    let shown: String = value.chars().take(40).collect();
    match number {
        // No number of requests proves that there is no harm at all.
        Some(number) if number > 0.0 && number <= most => Ok(number / 100.0),
        Some(_) => Err(format!("`{shown}` is no margin: above 0{unit} and at most {most}{unit}")),
        None => Err(format!("`{shown}` is not a number with `{unit}`")),
    }
}
