//! Evidence: what is kept of single leaks and failed requests, besides their counts.
//! In: the virtual users' findings. Out: lines of `leaks.jsonl` and `failures.jsonl`, and the examples of reports.

use serde::{Deserialize, Serialize};

/// One group of leaks: same detector, step and mechanism.
#[derive(Clone, Debug)]
pub struct LeakGroup {
    /// Detector, tier and step of the group.
    pub key: LeakKey,
    /// How often; never capped.
    pub count: u64,
    /// First seen, seconds since the end of the warm-up.
    pub first_s: f64,
    /// The first examples, oldest first; at most 20.
    pub examples: Vec<LeakRecord>,
}

/// What makes leaks one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeakKey {
    /// Detector: `foreign-marker`, `identity`, `credential`, `probe` …
    pub detector: String,
    /// How sure.
    pub tier: Tier,
    /// The reader's step index.
    pub step: usize,
    /// Where it was found: `body`, `header`, `status line`.
    pub place: String,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Gates.
    Proven,
    /// Shown apart, never gates.
    Suspect,
    /// A risk without a proof.
    Risk,
    /// A wrong answer that shows nobody else's data: it fails its request and is no leak.
    Correctness,
}

/// Evidence of one leak; one line of `leaks.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakRecord {
    /// Detector.
    pub detector: String,
    /// How sure.
    pub tier: Tier,
    /// Number of the group in this run.
    pub group: usize,
    /// Who received it.
    pub reader: Party,
    /// Whose it was.
    pub owner: Party,
    /// Seconds since the start of the load (warm-up included).
    pub t_s: f64,
    /// `body`, `header x-user`, `status line`.
    #[serde(rename = "where")]
    pub place: String,
    /// Decoders passed on the way, outermost first: `gzip`, `upper-case`.
    pub decode: Vec<String>,
    /// Byte offset in the decoded part.
    pub offset: u64,
    /// At most 256 bytes around the marker, secrets masked.
    pub excerpt: String,
    /// The connection: local port, ordinal of the request on it.
    pub connection: String,
    /// Why the reader was not entitled to it.
    pub why: String,
    /// What the signature suggests.
    pub hint: String,
}

/// One of the two users of a leak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// Number of the account, while the run goes.
    #[serde(skip)]
    pub number: Option<u32>,
    /// Virtual user index, if one of this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    /// Account as people know it.
    pub account: String,
    /// Role.
    pub kind: String,
    /// Journey.
    pub journey: String,
    /// Step.
    pub step: String,
    /// The request: method, path with values, status, trace id, when.
    pub request: String,
}

/// A sample of a failed request; one line of `failures.jsonl` (the first 100 of each kind).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// Seconds since the start of the load.
    pub t_s: f64,
    /// Virtual user index.
    pub user: u64,
    /// Journey.
    pub journey: String,
    /// Step.
    pub step: String,
    /// Named kind.
    pub kind: String,
    /// Method and path as sent.
    pub request: String,
    /// What was expected and what came, secrets masked, at most 256 bytes of body.
    pub detail: String,
}
