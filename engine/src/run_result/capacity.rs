//! A search for the capacity, as stored with the run that confirmed it: every trial and the answer.
//! In: written by whoever searched. Out: read by `reports`.

use serde::{Deserialize, Serialize};

/// How one trial came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialOutcome {
    /// Everything held at this rate.
    Held,
    /// Something did not hold.
    Missed,
    /// Our own generator could not keep up: nothing was learnt of the target.
    Generator,
}

/// One trial: a run at one rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number, from 1; its run is in `trials/NN`, but for the one that is the result itself.
    pub number: usize,
    /// Rate of arrivals asked for, a second.
    pub rate: f64,
    /// How long it was held, s.
    pub hold_s: f64,
    /// It confirms an answer: held twice as long.
    pub confirming: bool,
    /// How it came out.
    pub outcome: TrialOutcome,
    /// What did not hold, in a few words: an objective's id, `done`, `in flight`, `the generator`; empty if all held.
    pub limit: String,
    /// What was seen, in words.
    pub why: String,
    /// Iterations that came to their end, of those asked for; `None` when none was.
    pub done: Option<f64>,
    /// Response time over all steps but probes, ns: p50, p95, p99.
    pub response_ns: Option<[u64; 3]>,
}

/// A search and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// Highest rate that held and was confirmed; `None`: not even the lower end did, or the search was cut short.
    pub rate: Option<f64>,
    /// Lowest rate above it that did not hold.
    pub missed_at: Option<f64>,
    /// What did not hold there.
    pub limited_by: String,
    /// The target may hold more: the generator or the range was the limit.
    pub at_least: bool,
    /// Why the search has no answer, if it was cut short.
    pub cut_short: Option<String>,
    /// The range that was searched.
    pub range: [f64; 2],
    /// All trials in order.
    pub trials: Vec<Trial>,
}
