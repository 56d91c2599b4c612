//! The release gate as data: what a whole suite must show besides the objectives of each profile, and what people have
//! let through. Judged in `reports`.
//! In: the checked `gate:` and `waivers:`. Out: [`Gate`], stored with the suite, and [`Waiver`], stored with its objective.

use serde::{Deserialize, Serialize};

/// The gate of a scenario file. Judged for a suite only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Profiles that must have run, as written and not scaled.
    pub requires: Vec<String>,
    /// `isolation: required`: in each required profile isolation must be intact, not merely not refuted.
    pub isolation_required: bool,
    /// Who must sign, by the name of the role.
    pub signoffs: Vec<String>,
}

/// A miss that is let through: by whom, why, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiver {
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub by: String,
    /// Last day on which it holds, `2026-12-31`.
    pub until: String,
}
