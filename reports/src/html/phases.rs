//! The phases on the page: one row each, and on a ladder which objectives held there.
//! In: run result, verdict. Out: views for the template.

use crate::figures::{self, count};
use crate::phases::rows;
use crate::rows::shown;
use crate::verdict::{ObjectiveOutcome, Verdict};
use engine::run_result::RunResult;

/// One phase.
pub(crate) struct PhaseView {
    pub name: String,
    pub span: String,
    pub sent: String,
    pub errors: String,
    pub is_bad: bool,
    pub rate: String,
    /// Mean, p50, p95, p99.
    pub times: Vec<String>,
    /// Outcome class, sign and words: which objectives held on this rung; `None` for a run that is no ladder.
    pub judged: Option<(&'static str, &'static str, String)>,
}

pub(crate) fn phases(result: &RunResult, verdict: &Verdict) -> Vec<PhaseView> {
    let dash = || "–".to_string();
    rows(result)
        .into_iter()
        .enumerate()
        .map(|(index, row)| {
            let [p50, p95, p99] = row.percentiles;
            PhaseView {
                span: format!("{} – {}", figures::duration(row.from_s.max(0.0)), figures::duration(row.to_s.max(0.0))),
                sent: count(row.counts.sent()),
                errors: row.errors.map_or_else(dash, figures::share),
                is_bad: row.counts.failed + row.counts.timed_out > 0,
                rate: row.rate.map_or_else(dash, figures::rate),
                times: [row.mean, p50, p95, p99].map(|t| t.map_or_else(dash, shown)).into(),
                judged: (result.header.ladder || result.header.canary.is_some()).then(|| judged(verdict, index)),
                name: row.name,
            }
        })
        .collect()
}

fn judged(verdict: &Verdict, index: usize) -> (&'static str, &'static str, String) {
    let outcomes: Vec<_> =
        verdict.objectives.iter().filter_map(|o| Some((&o.id, o.rungs.get(index)?.outcome))).collect();
    if outcomes.is_empty() {
        return (ObjectiveOutcome::Inconclusive.key(), ObjectiveOutcome::Inconclusive.sign(), "not judged".into());
    }
    let of = |outcome| outcomes.iter().filter(move |(_, o)| *o == outcome);
    let missed: Vec<_> = of(ObjectiveOutcome::Fail).map(|(id, _)| figures::plain(id)).collect();
    let (pass, unsure) = (of(ObjectiveOutcome::Pass).count(), of(ObjectiveOutcome::Inconclusive).count());
    let (outcome, text) = if !missed.is_empty() {
        (ObjectiveOutcome::Fail, format!("misses {}", missed.join(", ")))
    } else if unsure > 0 || pass == 0 {
        (ObjectiveOutcome::Inconclusive, format!("{pass} held, {unsure} with too few samples"))
    } else {
        (ObjectiveOutcome::Pass, format!("{pass} held"))
    };
    (outcome.key(), outcome.sign(), text)
}
