//! Containment measured: the blocks of a run, and the healthy users in each.
//! In: cohorts, intervals. Out: read by `reports`.

use crate::record::{Class, Sample};
use serde::{Deserialize, Serialize};

/// Who suffered the faults, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainmentHeader {
    /// Whether an objective asked for it.
    pub declared: bool,
    /// Users of the faulty cohort.
    pub faulty: usize,
    /// The others.
    pub healthy: usize,
    /// In order; none if the load was too short.
    pub blocks: Vec<BlockHeader>,
}

/// A block of a run: the part that counts, without the wash-out before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockHeader {
    /// Start, ns since the start of the load.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// Whether the faults were on.
    pub on: bool,
}

/// Requests of healthy users that fell due in a block, probes left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthyBlock {
    /// Answered as expected.
    pub ok: u64,
    /// Answered otherwise, broken, or not in time.
    pub bad: u64,
    /// Of those: not in time.
    pub late: u64,
    /// Sum of the response times of `ok` and `late`, ns.
    pub sum_ns: u64,
}

impl HealthyBlock {
    /// Counts one request.
    pub fn count(&mut self, sample: &Sample) {
        let is_late = sample.class == Class::TimedOut;
        match sample.class {
            Class::Ok => self.ok += 1,
            Class::Failed | Class::TimedOut => self.bad += 1,
            // What would have come is not known; and so quick a no would flatter the mean.
            Class::Limited | Class::Abandoned | Class::Unfinished | Class::GeneratorError => return,
        }
        self.late += u64::from(is_late);
        if is_late || sample.class == Class::Ok {
            let response = sample.times.done.saturating_sub(sample.due).saturating_sub(sample.times.held);
            self.sum_ns = self.sum_ns.saturating_add(response);
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.bad += other.bad;
        self.late += other.late;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// Requests with an outcome.
    pub fn requests(&self) -> u64 {
        self.ok + self.bad
    }

    /// Requests with a time.
    pub fn timed(&self) -> u64 {
        self.ok + self.late
    }
}
