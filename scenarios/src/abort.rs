//! Abort rules as data: what ends a run before its time. Watched in `engine`, which counts and does not judge.
//! In: `abort_when:` entries of `sla:`. Out: [`AbortRule`].

use crate::objective::{Limit, Selection, Stat};
use serde::{Deserialize, Serialize};

/// Ends a run as soon as `stat (limit)` holds over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbortRule {
    /// As written, normalised: `errors > 50% over 10s`.
    pub text: String,
    /// What it watches.
    pub of: Selection,
    /// `Errors`, `Mean` or `Percentile`.
    pub stat: Stat,
    /// The condition that ends the run; its comparison is `>` or `>=`.
    pub limit: Limit,
    /// Length of the window in whole seconds, at least 1.
    pub over_s: u64,
    /// Only in these profiles; all when `None`.
    pub profiles: Option<Vec<String>>,
}
