//! What was seen of a rate limit, as counts that add without loss.
//! In: findings about single answers. Out: read by the judge.

use crate::limits::Finding;
use serde::{Deserialize, Serialize};

/// Requests that one limit counts, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitCounts {
    /// Let through within the limit.
    pub within: u64,
    /// Let through above it, where some ways of counting still do.
    pub between: u64,
    /// Let through where no way of counting does.
    pub let_through: u64,
    /// Refused above it.
    pub limited: u64,
    /// Refused within it.
    pub early: u64,
    /// Refused within it, before the wait was over that the target had asked for, or of users that share an account.
    pub excused: u64,
    /// Of all refused: without `Retry-After`.
    pub bare: u64,
    /// Fewest requests in a window of the limit at the last of which one was refused; 0: none was.
    pub fewest: u64,
}

impl LimitCounts {
    /// Adds what was found about one answer.
    pub fn note(&mut self, finding: Finding, is_bare: bool) {
        match finding {
            Finding::Nothing => return,
            Finding::Within => self.within += 1,
            Finding::Between => self.between += 1,
            Finding::LetThrough => self.let_through += 1,
            Finding::Told => self.excused += 1,
            Finding::Limited(count) | Finding::Early(count) => {
                let is_early = matches!(finding, Finding::Early(_));
                self.early += u64::from(is_early);
                self.limited += u64::from(!is_early);
                self.fewest = if self.fewest == 0 { count } else { self.fewest.min(count) };
            }
        }
        self.bare += u64::from(is_bare);
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        self.within += other.within;
        self.between += other.between;
        self.let_through += other.let_through;
        self.limited += other.limited;
        self.early += other.early;
        self.excused += other.excused;
        self.bare += other.bare;
        self.fewest = match (self.fewest, other.fewest) {
            (0, n) | (n, 0) => n,
            (a, b) => a.min(b),
        };
    }
}
