//! The rows that several renderings share: steps with their percentiles, errors by kind.
//! In: run result. Out: plain rows, text from outside made harmless.

use crate::figures::{self, plain};
use crate::judge::times::{Percentiles, Shown};
use engine::run_result::{Counts, LeakRecord, RunResult, StepTotals, Tier, Times};

/// The percentiles of every step table, with their keys in `result.json`.
pub const PERCENTILES: [(f64, &str); 6] =
    [(50.0, "p50_ms"), (90.0, "p90_ms"), (95.0, "p95_ms"), (99.0, "p99_ms"), (99.5, "p995_ms"), (99.9, "p999_ms")];

/// Times of one kind, summed up.
#[derive(Clone, Debug)]
pub struct TimesRow {
    /// Samples.
    pub count: u64,
    /// Mean, ns.
    pub mean: Shown,
    /// Aligned with [`PERCENTILES`].
    pub percentiles: [Shown; 6],
    /// Largest, ns.
    pub max: Shown,
}

impl TimesRow {
    /// Of response times; `None` when empty.
    pub fn of_response(totals: &StepTotals) -> Option<Self> {
        let mut row = Self::new(&totals.response, &Percentiles::of_response(totals))?;
        row.mean.is_at_least = totals.lower_bounds.count() > 0;
        Some(row)
    }

    /// Of times without lower bounds; `None` when empty.
    pub fn plain(times: &Times) -> Option<Self> {
        Self::new(times, &Percentiles::plain(times))
    }

    fn new(times: &Times, percentiles: &Percentiles<'_>) -> Option<Self> {
        let max = percentiles.at(100.0)?;
        Some(Self {
            count: times.count(),
            mean: Shown { ns: times.mean_ns()?, is_at_least: false },
            percentiles: PERCENTILES.map(|(p, _)| percentiles.at(p).unwrap_or(max)),
            max,
        })
    }
}

/// One step that was played.
#[derive(Clone, Debug)]
pub struct StepRow {
    /// Index of the step.
    pub index: usize,
    /// Journey name.
    pub journey: String,
    /// Step name.
    pub step: String,
    /// Target name.
    pub target: String,
    /// Counters.
    pub counts: Counts,
    /// Response times; `None` without samples.
    pub response: Option<TimesRow>,
    /// Service times; `None` without samples.
    pub service: Option<TimesRow>,
}

/// Every step that fell due at least once, in the order of the file.
pub fn played_steps(result: &RunResult) -> Vec<StepRow> {
    let steps = result.header.steps.iter().zip(&result.steps).enumerate();
    steps
        .filter(|(_, (_, totals))| totals.counts.planned + totals.counts.sent() > 0)
        .map(|(index, (header, totals))| StepRow {
            index,
            journey: journey_name(result, header.journey),
            // On the new version of a canary a step has the name that it has on the old one.
            step: match header.twin_of {
                None => plain(&header.name),
                Some(_) => format!("{} ({})", plain(&header.name), target_name(result, header.target)),
            },
            target: target_name(result, header.target),
            counts: totals.counts,
            response: TimesRow::of_response(totals),
            service: TimesRow::plain(&totals.service),
        })
        .collect()
}

/// Name of a journey, `?` when a stored index is out of range.
pub fn journey_name(result: &RunResult, index: usize) -> String {
    let name = result.header.journeys.get(index);
    name.map_or_else(|| "?".into(), |n| plain(n))
}

/// Name of a target, `?` when a stored index is out of range.
pub fn target_name(result: &RunResult, index: usize) -> String {
    let target = result.header.targets.get(index);
    target.map_or_else(|| "?".into(), |t| plain(&t.name))
}

/// Name of a step, `?` when a stored index is out of range.
pub fn step_name(result: &RunResult, index: usize) -> String {
    let step = result.header.steps.get(index);
    step.map_or_else(|| "?".into(), |s| plain(&s.name))
}

/// Errors of one kind at one step.
#[derive(Clone, Debug)]
pub struct ErrorRow {
    /// Step name.
    pub step: String,
    /// Kind.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// Share of the step's requests.
    pub share: f64,
}

/// Errors, most frequent first.
pub fn errors(result: &RunResult) -> Vec<ErrorRow> {
    let mut rows: Vec<ErrorRow> = result
        .errors
        .iter()
        .map(|e| {
            let sent = result.steps.get(e.step).map_or(0, |s| s.counts.sent());
            ErrorRow {
                step: step_name(result, e.step),
                kind: plain(&e.kind),
                count: e.count,
                share: e.count as f64 / sent.max(1) as f64,
            }
        })
        .collect();
    rows.sort_by(|a, b| (b.count, &a.step, &a.kind).cmp(&(a.count, &b.step, &b.kind)));
    rows
}

/// A time with "≥" where it is a lower bound.
pub fn shown(value: Shown) -> String {
    let sign = if value.is_at_least { "≥" } else { "" };
    format!("{sign}{}", figures::short_time(value.ns))
}

/// The word for a tier.
pub fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::Proven => "proven",
        Tier::Suspect => "suspect",
        Tier::Risk => "risk",
        Tier::Correctness => "correctness",
    }
}

/// What a finding came to, in a few words; empty for a risk, which has no second party: it is the reader's own data
/// that might reach somebody.
pub fn who(e: &LeakRecord) -> String {
    let name = |account: &str| if account.is_empty() { "an unknown account".to_owned() } else { account.to_owned() };
    let (reader, owner) = (name(&e.reader.account), name(&e.owner.account));
    match (e.detector.as_str(), e.tier) {
        (_, Tier::Risk) => String::new(),
        ("framing", _) => format!("{reader} received bytes that belong to no answer"),
        ("stale-access", _) => format!("{reader} still got its data after the access had ended"),
        ("session-fixation", _) => format!("a credential of {owner} lived on for {reader}"),
        ("crossed-answer", _) if e.reader.user == e.owner.user => {
            format!("{reader} received the answer to another of its requests")
        }
        ("crossed-answer", _) => format!("{reader} received the answer to a request of {owner}"),
        (_, Tier::Suspect) => format!("{reader} may have received data of {owner}"),
        _ => format!("{reader} received data of {owner}"),
    }
}

/// When something was first seen, with the measured part's start as zero.
pub fn since(first_s: f64) -> String {
    if first_s < 0.0 { "already in the warm-up".into() } else { format!("first after {}", figures::duration(first_s)) }
}

/// What was provoked on purpose, one text each: `abandon: 123 (5% by reset)`.
pub fn stressors(result: &RunResult) -> Vec<String> {
    let asked = &result.header.faults;
    let provoked = result.faults.by_name().into_iter().filter_map(|(name, times)| {
        let far = if name == "abandon" { how_far(result) } else { String::new() };
        let extents: Vec<_> = asked.iter().filter(|(n, _)| n == name).map(|(_, extent)| extent.as_str()).collect();
        let extent = if extents.is_empty() { String::new() } else { format!(" ({})", extents.join("; ")) };
        (times > 0 || !extents.is_empty()).then(|| format!("{name}: {}{far}{extent}", crate::figures::count(times)))
    });
    provoked.collect()
}

/// How far abandoned requests were: `, 12 in the body, 3 in the stream`; empty for a run that does not know.
fn how_far(result: &RunResult) -> String {
    let counts = engine::faults::ABANDONED_AT.iter().zip(result.faults.abandoned_at).filter(|(_, n)| *n > 0);
    let words: Vec<_> = counts.map(|(place, n)| format!("{} {place}", crate::figures::count(n))).collect();
    if words.is_empty() { String::new() } else { format!(", {}", words.join(", ")) }
}
