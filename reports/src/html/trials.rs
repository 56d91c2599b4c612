//! A search for the capacity on the page: the answer and every trial.
//! In: run result. Out: a view for the template; `None` for a run that searched nothing.

use crate::capacity::{outcome_words, statement};
use crate::figures::{self, plain};
use engine::run_result::{Capacity, RunResult, Trial};

/// The search.
pub(crate) struct CapacityView {
    pub statement: String,
    pub trials: Vec<TrialView>,
}

/// One trial.
pub(crate) struct TrialView {
    pub number: usize,
    pub rate: String,
    pub hold: String,
    pub confirming: bool,
    pub done: String,
    /// p50, p95, p99.
    pub times: Vec<String>,
    /// Class, sign, word.
    pub outcome: (&'static str, &'static str, &'static str),
    pub why: String,
}

pub(crate) fn capacity(result: &RunResult) -> Option<CapacityView> {
    result.header.capacity.as_ref().map(|capacity: &Capacity| CapacityView {
        statement: plain(&statement(capacity)),
        trials: capacity.trials.iter().map(trial).collect(),
    })
}

fn trial(trial: &Trial) -> TrialView {
    let dash = || "–".to_string();
    TrialView {
        number: trial.number,
        rate: figures::rate(trial.rate),
        hold: figures::duration(trial.hold_s),
        confirming: trial.confirming,
        done: trial.done.map_or_else(dash, figures::share),
        times: (0..3).map(|i| trial.response_ns.map_or_else(dash, |r| figures::short_time(r[i] as f64))).collect(),
        outcome: outcome_words(trial),
        why: plain(&trial.why),
    }
}
