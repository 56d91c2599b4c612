//! Isolation coverage: for each step, transport and stressor how often a leak could have been seen, and what that bounds.
//! In: run result, verdict. Out: rows for `result.json` and the page.

use crate::verdict::{IsolationState, Verdict};
use engine::isolation::layers;
use engine::run_result::{IsolationStep, RunResult, TRANSPORTS, Tier};
use serde_json::{Map, Value, json};

/// −ln 0.05: with none seen in N, at most 3/N at 95 %.
const RULE_OF_THREE: f64 = 3.0;

/// Where markers stood that the reader may see, with the number of answers; only places where one did.
pub(crate) fn places(step: &IsolationStep) -> impl Iterator<Item = (&'static str, u64)> {
    layers::ALL.into_iter().zip(step.places).filter(|(_, n)| *n > 0)
}

/// With 95 % confidence at most this share of a step's opportunities leaks; `None` without opportunities, or if the
/// step leaks.
pub(crate) fn bound(result: &RunResult, step: usize, opportunities: u64) -> Option<f64> {
    let leaks = result.isolation.groups.iter().any(|g| g.key.step == step && g.key.tier == Tier::Proven);
    of(opportunities).filter(|_| !leaks)
}

fn of(opportunities: u64) -> Option<f64> {
    (opportunities > 0).then(|| (RULE_OF_THREE / opportunities as f64).min(1.0))
}

/// Whether a foreign marker in the step's answers would have been seen: a declared control was good, or a marker that
/// the reader may see came at all.
pub(crate) fn is_observable(declared: bool, seen: &IsolationStep, opportunities: u64) -> bool {
    if declared { opportunities > 0 || seen.after_others == 0 && seen.controlled > 0 } else { seen.controlled > 0 }
}

/// Name, opportunities and bound; a leaking run has no bounds, since a leak may have come over any of them.
pub(crate) type Row = (&'static str, u64, Option<f64>);

/// By transport; only those over which there was an opportunity.
pub(crate) fn by_transport(result: &RunResult, verdict: &Verdict) -> Vec<Row> {
    rows(TRANSPORTS.into_iter().zip(result.isolation.transports), verdict)
}

/// By fault, in the seconds in which it was provoked.
pub(crate) fn by_stressor(result: &RunResult, verdict: &Verdict) -> Vec<Row> {
    let names = result.faults.by_name().map(|(name, _)| name);
    rows(names.into_iter().zip(result.isolation.stressors), verdict)
}

fn rows(counts: impl Iterator<Item = (&'static str, u64)>, verdict: &Verdict) -> Vec<Row> {
    let leaks = verdict.isolation.state == IsolationState::Leaking;
    counts.filter(|(_, n)| *n > 0).map(|(name, n)| (name, n, of(n).filter(|_| !leaks))).collect()
}

/// Rows as an object: `{ "http/1.1": { opportunities, bound95 } }`.
pub(crate) fn json(rows: Vec<Row>) -> Value {
    let rows =
        rows.into_iter().map(|(name, n, bound)| (name.to_owned(), json!({"opportunities": n, "bound95": bound})));
    Value::Object(rows.collect::<Map<_, _>>())
}
