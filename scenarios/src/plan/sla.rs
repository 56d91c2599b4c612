//! `sla:`: the objectives as written.
//! In: the list. Out: [`ObjectivePlan`]s; names in `of` and `in` are resolved when the program is made.

mod confidence;
mod containment;
mod rate_limit;
mod watched;
mod windows;

use super::abort;
use super::reader::{Fields, Reader, Spec};
use super::{AbortPlan, ObjectivePlan};
use crate::diagnostic::{Diagnostic, Span, suggestion};
use crate::objective::{Comparison, Limit, Stat, Unit};
use crate::syntax::{Entry, Node, Scalar};
use crate::units;

/// The statistic of an objective with its limits.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub stat: Stat,
    pub limit: Limit,
    pub warn: Option<Limit>,
}

const KEYS: &[&str] = &["of", "in", "warn", "must", "name", "each", "share", "mode"];

const STATS: &[&str] = &[
    "p50",
    "p90",
    "p95",
    "p99",
    "p99.9",
    "mean",
    "max",
    "errors",
    "availability",
    "completed",
    "rate",
    "capacity",
    "service_p95",
    "connect_p95",
    "dropped",
    "iterations",
    "connections_ok",
    "uptime",
    "longest_outage",
    "recovery",
    "first_event_p95",
    "event_gap_p95",
    "message_p95",
    "rate_limit",
];

const NOT_YET: &[&str] = &["regress"];

/// Makes the statistic of a percentile.
type AtPercentile = fn(f64) -> Stat;

/// What a percentile can be of, apart from response times.
const TIMES: &[(&str, AtPercentile)] = &[
    ("service_", Stat::Service),
    ("connect_", Stat::Connect),
    ("first_event_", Stat::FirstEvent),
    ("event_gap_", Stat::EventGap),
    ("message_", Stat::Message),
];

/// Keys that only a watched series gives a meaning.
const OF_SERIES: &[&str] = &["growth", "min", "variation", "returns", "for"];

const OF: Spec = Spec { what: "`of`", keys: &["target", "journey", "step", "tag"], not_yet: &[] };

pub(super) fn read(reader: &mut Reader<'_>, file: Fields<'_>) -> (Vec<ObjectivePlan>, Vec<AbortPlan>) {
    let Some(entry) = file.entry("sla") else {
        return (Vec::new(), Vec::new());
    };
    let Node::List(items, _) = &entry.value else {
        let rule = "`sla` is a list of objectives, each with a `-`";
        reader.expected(entry.key.span, rule, &entry.value);
        return (Vec::new(), Vec::new());
    };
    let (aborts, objectives): (Vec<&Node>, Vec<&Node>) = items.iter().partition(|item| abort::is_one(item));
    (
        objectives.into_iter().flat_map(|item| entry_of(reader, item)).collect(),
        aborts.into_iter().filter_map(|item| abort::read(reader, item)).collect(),
    )
}

/// An entry; one about containment may be two objectives.
fn entry_of(reader: &mut Reader<'_>, node: &Node) -> Vec<ObjectivePlan> {
    match node {
        Node::Map(entries, span) if containment::is_one(entries) => containment::read(reader, entries, *span),
        other => objective(reader, other).into_iter().collect(),
    }
}

fn objective(reader: &mut Reader<'_>, node: &Node) -> Option<ObjectivePlan> {
    let (entries, span) = match node {
        Node::Map(entries, span) => (entries, *span),
        Node::Scalar(text) if !text.is_null() && !text.broken => {
            let limits = one_line(reader, text)?;
            return Some(ObjectivePlan {
                span: text.span,
                of: Vec::new(),
                limits,
                profiles: None,
                must: true,
                name: None,
                each: None,
                confident: false,
                watch: None,
            });
        }
        other => {
            let rule = "an objective is a map such as `{ p95: < 200ms }`";
            reader.expected(other.span(), rule, other);
            return None;
        }
    };
    if watched::is_one(entries) {
        return watched::read(reader, entries, span);
    }
    let stats = stat_keys(reader, entries);
    let fields = Fields::new(entries, entries.first().map_or(span, |e| e.key.span));
    let of = selection(reader, fields);
    let profiles = fields.entry("in").map(|_| reader.texts_at(fields, "in").into_iter().cloned().collect());
    let must = reader.flag_at(fields, "must").unwrap_or(true);
    let name = reader.text_at(fields, "name").cloned();
    let stats = stats?;
    let (entry, stat) = match stats.as_slice() {
        [one] => *one,
        [] => {
            reader.push(
                Diagnostic::error("no-statistic", fields.at, "this objective limits nothing")
                    .help(format!("add one of {}", STATS.join(", "))),
            );
            return None;
        }
        [_, (second, _), ..] => {
            reader.push(
                Diagnostic::error(
                    "two-statistics",
                    second.key.span,
                    "an objective has one statistic, here a second one starts",
                )
                .help("make it an entry of its own"),
            );
            return None;
        }
    };
    let limit = limit_of(reader, entry, stat)?;
    let warn = match stat {
        Stat::RateLimit => {
            rate_limit::refuse_warn(reader, fields);
            None
        }
        _ => fields.entry("warn").and_then(|warn| warning(reader, warn, stat, &limit)),
    };
    let each = windows::read(reader, fields, stat);
    let confident = confidence::read(reader, fields, stat);
    let limits = Limits { stat, limit, warn };
    Some(ObjectivePlan { span, of, limits, profiles, must, name, each, confident, watch: None })
}

/// The keys that are statistics; `None` when a key stands for something that is not built yet.
fn stat_keys<'n>(reader: &mut Reader<'_>, entries: &'n [Entry]) -> Option<Vec<(&'n Entry, Stat)>> {
    let mut stats = Vec::new();
    let mut known = true;
    for entry in entries {
        let key = entry.key.text.as_str();
        match stat_of(key) {
            Some(Ok(stat)) => stats.push((entry, stat)),
            Some(Err(message)) => {
                reader.bad_value(entry.key.span, message);
                known = false;
            }
            None if KEYS.contains(&key) => {}
            None if OF_SERIES.contains(&key) => {
                reader.push(
                    Diagnostic::error("bad-value", entry.key.span, format!("`{key}` is of a watched series"))
                        .help("say which one: `watch: \"target.series_name\"`"),
                );
                known = false;
            }
            None if is_not_yet(key) => {
                reader.not_yet(entry.key.span, key);
                known = false;
            }
            None => {
                let all = KEYS.iter().chain(STATS).chain(NOT_YET).chain(&["watch", "containment"]).copied();
                let help = match crate::diagnostic::did_you_mean(key, all) {
                    Some(near) => Some(format!("did you mean `{near}`?")),
                    None => suggestion(key, STATS.iter().copied()),
                };
                reader.push(
                    Diagnostic::error(
                        "unknown-key",
                        entry.key.span,
                        format!("an objective has no key or statistic `{}`", entry.key.shown()),
                    )
                    .maybe_help(help),
                );
                known = false;
            }
        }
    }
    known.then_some(stats)
}

fn is_not_yet(key: &str) -> bool {
    NOT_YET.contains(&key)
}

/// The statistic that a key names: `p95`, k6's `p(95)`, `errors` …
pub(super) fn stat_of(key: &str) -> Option<Result<Stat, String>> {
    let stat = match key {
        "mean" | "avg" => Stat::Mean,
        "max" => Stat::Max,
        "errors" => Stat::Errors,
        "availability" => Stat::Availability,
        "completed" => Stat::Completed,
        "rate" => Stat::Rate,
        "capacity" => Stat::Capacity,
        "dropped" => Stat::Dropped,
        "iterations" => Stat::Iterations,
        "connections_ok" => Stat::ConnectionsOk,
        "uptime" => Stat::Uptime,
        "longest_outage" => Stat::LongestOutage,
        "recovery" => Stat::Recovery,
        "rate_limit" => Stat::RateLimit,
        _ if let Some((of, rest)) = TIMES.iter().find_map(|(word, of)| Some((of, key.strip_prefix(word)?))) => {
            return match stat_of(rest)? {
                Ok(Stat::Percentile(p)) => Some(Ok(of(p))),
                Ok(_) => None,
                Err(message) => Some(Err(message)),
            };
        }
        _ => {
            let number = key.strip_prefix('p')?;
            let number = number.strip_prefix('(').and_then(|n| n.strip_suffix(')')).unwrap_or(number);
            if !number.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            let percent = number.trim().parse::<f64>().ok()?;
            if !(50.0..=99.99).contains(&percent) {
                let message = format!("`{key}` is no percentile that can be judged: p50 to p99.99");
                return Some(Err(message));
            }
            Stat::Percentile(percent)
        }
    };
    Some(Ok(stat))
}

/// `p95 < 200ms` in one text, and k6's `p(95)<500`, which is milliseconds.
fn one_line(reader: &mut Reader<'_>, text: &Scalar) -> Option<Limits> {
    let sign = text.text.find(['<', '>']);
    let (word, rest) = sign.map_or(("", ""), |at| text.text.split_at(at));
    match stat_of(word.trim()) {
        Some(Ok(stat)) => {
            let k6 = stat.is_time() && rest.trim_start_matches(['<', '>', '=']).trim().parse::<f64>().is_ok();
            let rest = if k6 { format!("{}ms", rest.trim()) } else { rest.to_owned() };
            let limit = parse_limit(reader, text.span, stat, &rest)?;
            Some(Limits { stat, limit, warn: None })
        }
        Some(Err(message)) => {
            reader.bad_value(text.span, message);
            None
        }
        None => {
            reader.push(
                Diagnostic::error("bad-value", text.span, "this is no objective")
                    .help("write for example `{ p95: < 200ms }`, or in k6's spelling `p(95)<200`"),
            );
            None
        }
    }
}

fn limit_of(reader: &mut Reader<'_>, entry: &Entry, stat: Stat) -> Option<Limit> {
    let what = format!("the limit of `{}`", entry.key.text);
    let text = reader.text(&entry.value, entry.key.span, &what)?;
    parse_limit(reader, text.span, stat, &text.text)
}

/// A limit in the direction that makes sense for its statistic; the other one is warned of.
fn parse_limit(reader: &mut Reader<'_>, span: Span, stat: Stat, text: &str) -> Option<Limit> {
    let limit = read_limit(reader, span, stat, text)?;
    let upper = stat.wants_less();
    if !matches!(stat, Stat::Rate | Stat::Iterations | Stat::RateLimit) && limit.op.is_upper() != upper {
        let sign = if upper { "<" } else { ">=" };
        let value = limit.text.trim_start_matches(['<', '>', '=', ' ']);
        reader.push(
            Diagnostic::warning("odd-direction", span, format!("this demands that `{}` is bad", stat.word()))
                .help(format!("did you mean `{sign} {value}`?")),
        );
    }
    Some(limit)
}

pub(super) fn read_limit(reader: &mut Reader<'_>, span: Span, stat: Stat, text: &str) -> Option<Limit> {
    if stat == Stat::RateLimit {
        return rate_limit::read(reader, span, text);
    }
    let example = match stat {
        Stat::LongestOutage | Stat::Recovery => "< 30s",
        _ if stat.unit() == Unit::Time => "< 200ms",
        Stat::Errors | Stat::Dropped => "< 1%",
        _ if stat.is_rate() => "\">= 100/s\"",
        _ => "\">= 99.9%\"",
    };
    let Some((op, value)) = units::split_comparison(text) else {
        reader.push(
            Diagnostic::error("bad-limit", span, "a limit starts with `<`, `<=`, `>` or `>=`")
                .help(format!("write for example `{}: {example}`", stat.word())),
        );
        return None;
    };
    let read = match stat.unit() {
        Unit::Time => units::parse_duration(value).map(|ns| ns as f64),
        Unit::Rate => units::parse_rate(value),
        // A watched series has limits of its own.
        Unit::Share | Unit::Plain => share(value),
    };
    let number = match read {
        Ok(number) => number,
        Err(message) => {
            reader.push(
                Diagnostic::error("bad-limit", span, message)
                    .help(format!("write for example `{}: {example}`", stat.word())),
            );
            return None;
        }
    };
    let sign = match op {
        Comparison::Less => "<",
        Comparison::AtMost => "<=",
        Comparison::More => ">",
        Comparison::AtLeast => ">=",
    };
    Some(Limit { op, value: number, text: format!("{sign} {value}") })
}

/// `5%`, or a fraction such as `0.05`.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // `1` could be one percent or all of them, so only a true fraction may stand without a sign.
        Ok(fraction) if (0.0..1.0).contains(&fraction) => Ok(fraction),
        _ => units::parse_share(text),
    }
}

/// `warn: { p95: < 150ms }`, or only the limit.
fn warning(reader: &mut Reader<'_>, entry: &Entry, stat: Stat, limit: &Limit) -> Option<Limit> {
    let warn = match &entry.value {
        Node::Map(entries, _) => {
            let [only] = entries.as_slice() else {
                let message = "`warn` holds the objective's statistic with a tighter limit";
                reader.bad_value(entry.key.span, message);
                return None;
            };
            if stat_of(&only.key.text) != Some(Ok(stat)) {
                reader.push(
                    Diagnostic::error(
                        "bad-value",
                        only.key.span,
                        format!("`warn` is about the same statistic, `{}`", stat.word()),
                    )
                    .help(format!("write `warn: {{ {}: … }}`", stat.word())),
                );
                return None;
            }
            limit_of(reader, only, stat)?
        }
        _ => limit_of(reader, entry, stat)?,
    };
    let tighter = if limit.op.is_upper() { warn.value < limit.value } else { warn.value > limit.value };
    if !tighter {
        reader.push(
            Diagnostic::error(
                "bad-value",
                entry.value.span(),
                format!("`warn` is tighter than the limit itself, `{}`", limit.text),
            )
            .help("a warning that comes after the miss warns nobody"),
        );
        return None;
    }
    Some(warn)
}

pub(super) fn selection(reader: &mut Reader<'_>, fields: Fields<'_>) -> Vec<(&'static str, Vec<Scalar>)> {
    let Some(entry) = fields.entry("of") else {
        return Vec::new();
    };
    let Some(fields) = reader.fields(&entry.value, entry.key.span, &OF) else {
        return Vec::new();
    };
    OF.keys
        .iter()
        .filter(|key| fields.entry(key).is_some())
        .map(|key| {
            let names = reader.texts_at(fields, key);
            (*key, names.into_iter().cloned().collect())
        })
        .collect()
}

/// The tables of keys of this file, for the schema.
pub(super) const SPECS: &[(&str, &Spec)] = &[("of", &OF), ("containment", &containment::CONTAINMENT)];

/// The keys of an objective, for the schema.
pub(super) const OBJECTIVE_KEYS: &[&[&str]] = &[KEYS, STATS, &["containment"], watched::OWN_KEYS];
/// Keys that are percentiles, as a pattern.
pub(super) const PERCENTILE_KEYS: &str = r"^((service|connect|first_event|event_gap|message)_)?p(\([0-9.]+\)|[0-9.]+)$";
