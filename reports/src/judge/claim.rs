//! A claim "at most this share is bad", and whether a sample allows it. Percentiles and shares are both such claims.
//! In: counts. Out: pass, fail or inconclusive, with words.

use crate::figures::{count, counted};
use crate::stats;
use crate::verdict::{Interval, ObjectiveOutcome};

/// What was found for one objective against one limit.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The figure, base unit.
    pub measured: Option<f64>,
    /// The figure is a lower bound.
    pub is_at_least: bool,
    /// Samples.
    pub n: u64,
    /// 95 % interval.
    pub interval: Option<Interval>,
    /// Pass, fail or inconclusive.
    pub outcome: ObjectiveOutcome,
    /// Why, in words.
    pub reason: String,
}

impl Assessment {
    /// Nothing can be said, for this reason.
    pub fn nothing(reason: impl Into<String>) -> Self {
        Self {
            measured: None,
            is_at_least: false,
            n: 0,
            interval: None,
            outcome: ObjectiveOutcome::Inconclusive,
            reason: reason.into(),
        }
    }
}

/// "At most `allowed` of these samples are bad."
#[derive(Clone, Debug)]
pub struct Claim {
    /// Name in a reason: `p99`, `errors < 1%`.
    pub name: String,
    /// What a sample is: `sample`, `request`, `iteration`.
    pub noun: &'static str,
    /// Samples.
    pub n: u64,
    /// Samples known to be bad.
    pub bad: u64,
    /// Samples cut so early that they could be either.
    pub unknown: u64,
    /// Share that may be bad, 0..1.
    pub allowed: f64,
    /// The figure holds if every unknown is good.
    pub holds_at_best: bool,
    /// The figure holds if every unknown is bad.
    pub holds_at_worst: bool,
    /// Design effect of the sample, at least 1.
    pub design_effect: f64,
    /// What was seen, in words: the reason of a pass or a fail.
    pub seen: String,
}

impl Claim {
    /// Pass, fail or inconclusive. A pass needs the least n of [`stats::least_n`]. A miss is a fail from that n on;
    /// below it only if proven: were the allowed share the truth, so many bad ones would come by chance in less
    /// than 5 % of cases (one-sided binomial test on n divided by the design effect). So 20 errors of 20 fail
    /// `errors < 1%`, and 1 of 20 does not decide it.
    pub fn decide(&self) -> (ObjectiveOutcome, String) {
        let least = stats::least_n(self.allowed);
        let is_enough = self.n >= least;
        let too_few = format!("{}; {} needs at least {}", counted(self.n, self.noun), self.name, count(least));
        if self.n == 0 {
            let reason = format!("no {} to judge", self.noun);
            (ObjectiveOutcome::Inconclusive, reason)
        } else if !self.holds_at_best && is_enough {
            (ObjectiveOutcome::Fail, self.seen.clone())
        } else if !self.holds_at_best && self.is_miss_proven() {
            let reason = format!("{}; so few already prove the miss", self.seen);
            (ObjectiveOutcome::Fail, reason)
        } else if !is_enough {
            (ObjectiveOutcome::Inconclusive, too_few)
        } else if self.holds_at_worst {
            (ObjectiveOutcome::Pass, self.seen.clone())
        } else {
            let reason =
                format!("{} ended before the limit without an answer, and decide it", counted(self.unknown, self.noun));
            (ObjectiveOutcome::Inconclusive, reason)
        }
    }

    fn is_miss_proven(&self) -> bool {
        let bad = self.bad as f64 / self.design_effect;
        let n = self.n as f64 / self.design_effect;
        stats::binomial_tail(bad, n, self.allowed.max(0.0)) < stats::ALPHA
    }
}
