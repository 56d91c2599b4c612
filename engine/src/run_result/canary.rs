//! What a canary tried: stored with the run, so that its steps can be judged and compared again.
//! In: made from the profile. Out: read by `reports`.

use serde::{Deserialize, Serialize};

/// A canary as planned; its steps are the phases of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CanaryHeader {
    /// Index of the target with the new version.
    pub new: usize,
    /// By phase: so many users, the first by index, are served by the new version.
    pub users: Vec<usize>,
}
