//! Objectives about watched series: `{ watch: EXPRESSION, growth: < 5% per 24h, … }`.
//! In: the entry. Out: [`ObjectivePlan`]; the expression is read when the watched targets are known.

use super::{Limits, windows};
use crate::diagnostic::{Diagnostic, suggestion};
use crate::objective::{Comparison, Limit, SeriesStat, Stat, Watch};
use crate::plan::ObjectivePlan;
use crate::plan::reader::{Fields, Reader};
use crate::syntax::{Entry, Scalar};
use crate::units;

const KEYS: &[&str] = &["watch", "in", "warn", "must", "name", "for"];
const STATS: &[&str] = &["max", "min", "mean", "variation", "growth", "returns"];

/// Whether the entry is about a watched series.
pub(super) fn is_one(entries: &[Entry]) -> bool {
    entries.iter().any(|e| e.key.text == "watch")
}

fn stat_of(key: &str) -> Option<SeriesStat> {
    Some(match key {
        "max" => SeriesStat::Max,
        "min" => SeriesStat::Min,
        "mean" => SeriesStat::Mean,
        "variation" => SeriesStat::Variation,
        "growth" => SeriesStat::Growth,
        "returns" => SeriesStat::Returns,
        _ => return None,
    })
}

pub(super) fn read(reader: &mut Reader<'_>, entries: &[Entry], span: crate::Span) -> Option<ObjectivePlan> {
    let fields = Fields::new(entries, entries.first().map_or(span, |e| e.key.span));
    let mut stats = Vec::new();
    let mut is_known = true;
    for entry in entries {
        let key = entry.key.text.as_str();
        if let Some(stat) = stat_of(key) {
            stats.push((entry, stat));
        } else if !KEYS.contains(&key) {
            let message = format!("an objective about a watched series has no key `{}`", entry.key.shown());
            reader.push(
                Diagnostic::error("unknown-key", entry.key.span, message)
                    .maybe_help(suggestion(key, KEYS.iter().chain(STATS).copied())),
            );
            is_known = false;
        }
    }
    let profiles = fields.entry("in").map(|_| reader.texts_at(fields, "in").into_iter().cloned().collect());
    let must = reader.flag_at(fields, "must").unwrap_or(true);
    let name = reader.text_at(fields, "name").cloned();
    let expression = reader.text_at(fields, "watch")?.clone();
    let (entry, stat) = match stats.as_slice() {
        [one] => *one,
        [] if is_known => {
            reader.push(
                Diagnostic::error("no-statistic", fields.at, "this objective limits nothing")
                    .help(format!("add one of {}", STATS.join(", "))),
            );
            return None;
        }
        [] => return None,
        [_, (second, _), ..] => {
            let message = "an objective has one statistic, here a second one starts";
            reader.push(
                Diagnostic::error("two-statistics", second.key.span, message).help("make it an entry of its own"),
            );
            return None;
        }
    };
    let written = reader.text(&entry.value, entry.key.span, &format!("the limit of `{}`", entry.key.text))?.clone();
    let (limit, per_ns) = limit(reader, &written, stat)?;
    let warn = fields.entry("warn").and_then(|warn| warning(reader, warn, stat, &limit));
    let hold_ns = hold(reader, fields, stat);
    if fields.entry("for").is_some() && hold_ns.is_none() {
        return None;
    }
    let watch = Watch { text: expression.text.clone(), per_ns, hold_ns };
    let limits = Limits { stat: Stat::Watched(stat), limit, warn };
    let each = windows::read(reader, fields, limits.stat);
    (is_known).then(|| ObjectivePlan {
        confident: false,
        span,
        of: Vec::new(),
        limits,
        profiles,
        must,
        name,
        each,
        watch: Some((watch, expression)),
    })
}

/// `for: 5m`: only what lasts so long is a miss.
fn hold(reader: &mut Reader<'_>, fields: Fields<'_>, stat: SeriesStat) -> Option<u64> {
    let entry = fields.entry("for")?;
    if !matches!(stat, SeriesStat::Max | SeriesStat::Min) {
        reader.bad_value(entry.key.span, "`for` goes with `max` and `min`: only what lasts so long is a miss");
        return None;
    }
    reader.duration_at(fields, "for", 1_000_000_000)
}

fn warning(reader: &mut Reader<'_>, entry: &Entry, stat: SeriesStat, than: &Limit) -> Option<Limit> {
    let node = match &entry.value {
        crate::syntax::Node::Map(inner, _) => match inner.as_slice() {
            [only] if stat_of(&only.key.text) == Some(stat) => &only.value,
            _ => {
                reader.bad_value(entry.key.span, "`warn` holds the objective's statistic with a tighter limit");
                return None;
            }
        },
        other => other,
    };
    let text = reader.text(node, entry.key.span, "`warn`")?.clone();
    let (warn, _) = limit(reader, &text, stat)?;
    let is_tighter = if than.op.is_upper() { warn.value < than.value } else { warn.value > than.value };
    if !is_tighter {
        let message = format!("`warn` is tighter than the limit itself, `{}`", than.text);
        reader.push(
            Diagnostic::error("bad-value", text.span, message).help("a warning that comes after the miss warns nobody"),
        );
        return None;
    }
    Some(warn)
}

/// The limit, and over which time a growth is told.
fn limit(reader: &mut Reader<'_>, text: &Scalar, stat: SeriesStat) -> Option<(Limit, Option<u64>)> {
    let example = match stat {
        SeriesStat::Growth => "growth: < 5% per 24h",
        SeriesStat::Returns => "returns: within 10%",
        SeriesStat::Variation => "variation: < 5%",
        SeriesStat::Min => "min: \">= 50%\"",
        SeriesStat::Max | SeriesStat::Mean => "max: < 7GB",
    };
    let read = match stat {
        SeriesStat::Returns => returns(&text.text).map(|limit| (limit, None)),
        SeriesStat::Growth => growth(&text.text).map(|(limit, per_ns)| (limit, Some(per_ns))),
        SeriesStat::Variation => compared(&text.text, super::share).map(|limit| (limit, None)),
        SeriesStat::Max | SeriesStat::Min | SeriesStat::Mean => compared(&text.text, plain).map(|limit| (limit, None)),
    };
    read.map_err(|message| {
        reader.push(Diagnostic::error("bad-limit", text.span, message).help(format!("write for example `{example}`")));
    })
    .ok()
}

fn compared(text: &str, value: fn(&str) -> Result<f64, String>) -> Result<Limit, String> {
    let (op, rest) = units::split_comparison(text).ok_or("a limit starts with `<`, `<=`, `>` or `>=`")?;
    let sign = match op {
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::More => ">",
        Comparison::AtLeast => ">=",
    };
    Ok(Limit { op, value: value(rest)?, text: format!("{sign} {rest}") })
}

fn growth(text: &str) -> Result<(Limit, u64), String> {
    let (limit, per) = text.rsplit_once(" per ").ok_or("a growth says over which time")?;
    let mut limit = compared(limit.trim(), super::share)?;
    if !limit.op.is_upper() {
        return Err("this demands that it grows".into());
    }
    let per_ns = units::parse_duration(per)?;
    if per_ns == 0 {
        return Err("a growth over no time is none".into());
    }
    limit.text = format!("{} per {}", limit.text, per.trim());
    Ok((limit, per_ns))
}

fn returns(text: &str) -> Result<Limit, String> {
    let share = text.trim().strip_prefix("within ").ok_or("`returns` says how near the level before")?;
    Ok(Limit { op: Comparison::AtMost, value: super::share(share.trim())?, text: format!("within {}", share.trim()) })
}

/// A number as series have it: plain, a size in bytes, a time in seconds, or a share.
fn plain(text: &str) -> Result<f64, String> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return if number.is_finite() { Ok(number) } else { Err(format!("`{text}` is no number")) };
    }
    if text.ends_with('%') {
        return units::parse_share(text);
    }
    if text.ends_with('B') {
        return units::parse_size(text).map(|bytes| bytes as f64);
    }
    if let Ok(ns) = units::parse_duration(text) {
        return Ok(ns as f64 / 1e9);
    }
    Err(format!("`{text}` is no number, size, time or share"))
}
