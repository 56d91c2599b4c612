//! What the isolation check saw of a run: opportunities, controls, findings in groups.
//! In: `fold`. Out: judged and shown by `reports`.

use super::LeakGroup;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the isolation check saw.
#[derive(Clone, Debug, Default)]
pub struct Isolation {
    /// By step index.
    pub steps: Vec<IsolationStep>,
    /// Leaks by group, most frequent first; proven and suspect.
    pub groups: Vec<LeakGroup>,
    /// Markers planted.
    pub planted: u64,
    /// Accounts that took part.
    pub accounts: u64,
    /// Markers of an earlier run that came back.
    pub residue: u64,
    /// Probes that could not be judged (429, 5xx, time-out) and probes skipped for want of a control.
    pub probes_indeterminate: u64,
    /// Probes skipped because no stranger had a positive control yet.
    pub probes_skipped: u64,
    /// Credential values evicted from the per-account memory.
    pub credential_evictions: u64,
    /// Answers to a revoked credential that come without any credential as well: public, no finding.
    pub repeats_public: u64,
    /// Markers of an audience that overlapped with a join or a leave: counted, no alarm.
    pub audience_unclear: u64,
    /// Switches of account that found no free one.
    pub switches_skipped: u64,
    /// Connections that a target closed with a 408 because they were idle.
    pub idle_timeouts: u64,
    /// Line ends behind an answer, and nothing else.
    pub stray_line_ends: u64,
    /// Known foreign markers put through the scanner.
    pub injected: u64,
    /// Of those: found.
    pub found: u64,
    /// Target-minutes in which at least two accounts were active.
    pub target_minutes: f64,
    /// Opportunities with a marker that the reader may see, by [`TRANSPORTS`].
    pub transports: [u64; 4],
    /// The same in seconds in which a fault was provoked, by the order of [`FaultCounts::by_name`](crate::faults::FaultCounts::by_name).
    pub stressors: [u64; crate::faults::FAULTS],
    /// Seconds with an opportunity, by step index.
    pub step_seconds: Vec<u64>,
    /// The same by [`TRANSPORTS`].
    pub transport_seconds: [u64; 4],
    /// Seconds with an opportunity in which a fault was provoked, as `stressors`.
    pub stressor_seconds: [u64; crate::faults::FAULTS],
    /// Answers with a marker that the reader may see: (step that planted it, step that read it), 1,024 steps at most.
    pub carried: BTreeMap<(usize, usize), u64>,
    /// The same by field: (step that planted it, number of its field, step that read it).
    pub carried_fields: BTreeMap<(usize, usize, usize), u64>,
    /// Markers planted: (step, number of its field).
    pub planted_fields: BTreeMap<(usize, usize), u64>,
}

/// Isolation counters of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IsolationStep {
    /// Answers scanned to their end.
    pub scanned: u64,
    /// Of those: held an authenticated marker that the reader may see.
    pub controlled: u64,
    /// Scanned to the end after another account had used the target.
    pub after_others: u64,
    /// Of `after_others`: held a marker that the reader may see.
    pub after_others_controlled: u64,
    /// Answers in which such a marker stood there, by [`layers::ALL`](crate::isolation::layers::ALL).
    #[serde(skip_serializing_if = "is_nothing")]
    pub places: [u64; 8],
    /// Markers planted in its requests and messages.
    #[serde(skip_serializing_if = "is_zero")]
    pub planted: u64,
    /// Of `after_others`: no other user's request to the target was under way meanwhile.
    #[serde(skip_serializing_if = "is_zero")]
    pub alone: u64,
    /// Of `after_others_controlled`: the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub alone_controlled: u64,
    /// Of `planted`: in words, which do not say their step.
    #[serde(skip_serializing_if = "is_zero")]
    pub in_words: u64,
}

/// Over what answers come.
pub const TRANSPORTS: [&str; 4] = ["http/1.1", "http/2", "event stream", "websocket"];

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_nothing<const N: usize>(counts: &[u64; N]) -> bool {
    counts.iter().all(|n| *n == 0)
}

impl IsolationStep {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.scanned += other.scanned;
        self.controlled += other.controlled;
        self.after_others += other.after_others;
        self.after_others_controlled += other.after_others_controlled;
        self.planted += other.planted;
        self.alone += other.alone;
        self.in_words += other.in_words;
        self.alone_controlled += other.alone_controlled;
        for (mine, theirs) in self.places.iter_mut().zip(other.places) {
            *mine += theirs;
        }
    }
}
